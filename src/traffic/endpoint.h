/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/engine.h"
#include "traffic/tally.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/*
 * Hooks of a protocol, and what they work on. A protocol is a file endpoint_x.c and its row in engine.c.
 *
 * A side's flows are split by what this side does on them: it sends (or asks) on some and receives (or answers) on the
 * others. Each worker is a thread with flows of one sort; it owns their counters until it is joined. Forward flows have
 * the indexes 0 … n-1, reverse flows (with FLOW_REVERSE or FLOW_BOTH) follow them, each a connection of its own.
 */
struct flow {
    int fd; /* owned; -1 when there is none */
    uint32_t index;
    bool sends; /* this side sends, or asks, on it */
    int error;  /* positive errno that ended it in this trial; 0 none */
    uint64_t connect_ns;
    struct tally tally;
    struct metric_set
        metrics; /* this trial: what the hook measured on this flow; the engine adds or averages */
    struct hist *rtt; /* lent by the trial when the hook wants one, else NULL */
    void *state;      /* owned; the hook's own for one trial, freed with free() after it */
};

struct engine {
    struct flow_spec spec; /* the client's address and port are filled in by then */
    const struct endpoint_ops *ops;
    int stop_fd;   /* lent by the caller of engine_open */
    int listen_fd; /* owned; server, until all flows are there; -1 none */
    uint16_t port;
    struct flow *flows; /* owned */
    uint32_t n_flows;
    uint64_t refused; /* connections and datagrams that did not prove the token */
    uint32_t tag;     /* derived from the token: what every datagram of the session carries */
    atomic_bool
        stop; /* workers look at it at least every 100 ms; set by the engine, or when a worker fails */
    _Atomic uint64_t heard_ns; /* worker_heard(): when a flow last got something */
    int done_fd;               /* owned; eventfd: each worker adds 1 when it is done */
    void *arg; /* lent by the caller of engine_adopt_as(): what its hooks keep; else NULL */
};

struct worker {
    struct engine *engine;
    const struct flow_trial *trial;
    struct flow **flows; /* owned by the engine; this worker's alone while it runs */
    uint32_t n_flows;
    bool sends;
    uint64_t
        cpu_user_ns; /* in the window: taken with worker_window_begin() and worker_window_end() */
    uint64_t cpu_system_ns;
    uint32_t cpu;  /* last CPU it ran on */
    int error;     /* positive errno of the worker as a whole; 0 none */
    char what[96]; /* words for error, or for the error of a flow: what went wrong */
    pthread_t thread;
    uint64_t ended_ns;       /* when its body returned */
    uint64_t user_before_ns; /* worker.c's own: CPU time at the window's begin */
    uint64_t system_before_ns;
    bool window_begun, window_ended;
};

struct endpoint_ops {
    enum flow_kind kind;
    bool want_rtt; /* flows on which this side sends get a histogram */
    bool
        thread_per_flow; /* a worker never gets more than one flow; else there are at most as many as CPUs */

    /*
     * Client: fill engine->flows[] with connected sockets that have proved the token. Server: listen_fd and port.
     * Waits with engine_wait(). On failure the engine closes whatever fds are there.
     */
    int (*open)(struct engine *engine, struct err *err);
    /* Server: take flows until all are there; NULL when there is nothing to take. */
    int (*accept)(struct engine *engine, struct err *err);

    /*
     * The body of a worker's thread: sleep until trial->start_ns, move data until the window and the tail are over
     * (sender) or the sender is done (receiver), count in flow->tally, leave flow->error and metrics. No allocation, no
     * formatting, no lock in the loop. Looks at engine->stop. ask is what a sender's thread does, answer a receiver's.
     */
    void (*ask)(struct worker *worker);
    void (*answer)(struct worker *worker); /* NULL: this side needs no thread for it (ICMP) */
};

extern const struct endpoint_ops endpoint_tcp, endpoint_udp, endpoint_icmp, endpoint_tcp_rr,
    endpoint_udp_rr, endpoint_tcp_crr, endpoint_stamp, endpoint_multicast;

/*
 * engine_adopt() with hooks of the caller's own (interop/), which need no open and no accept; ops and arg are lent. The
 * caller has checked the spec: a foreign datagram may be smaller than ours can be.
 */
int engine_adopt_as(const struct flow_spec *spec, const struct endpoint_ops *ops, void *arg,
                    const int *fds, int stop_fd, struct engine **ret_engine, struct err *err);

/* Wait for events on fd, for stop_fd, at most until deadline. 0, -ECANCELED, -ETIMEDOUT. */
int engine_wait(const struct engine *engine, int fd, short events, uint64_t deadline_ns);

/* Times of a trial. */
static inline uint64_t trial_window_start(const struct flow_trial *t)
{
    return t->start_ns + t->warmup_ns;
}

static inline uint64_t trial_window_end(const struct flow_trial *t)
{
    return t->start_ns + t->warmup_ns + t->duration_ns;
}

static inline uint64_t trial_end(const struct flow_trial *t)
{
    return trial_window_end(t) + t->tail_ns;
}

enum { ENDPOINT_STALL_S = 3 }; /* nothing moved for so long: the peer has vanished */

/*
 * worker.c: CPU time of this thread between the window's edges; each worker calls both, first and last flow event. Only
 * the first call of each counts, and the end is taken by itself when the worker's body returns before it.
 */
void worker_window_begin(struct worker *worker);
void worker_window_end(struct worker *worker);
/* Sleep until a time, in steps that see engine->stop. False: it is set. */
bool worker_sleep_until(const struct worker *worker, uint64_t mono_ns);
/* A flow has failed: its error, and the words for it (kept from the first). */
void worker_fail(struct worker *worker, struct flow *flow, int error, const char *what);
/* A flow got something. Kept to a tenth of a second, so that threads do not fight for its cache line. */
void worker_heard(struct worker *worker, uint64_t now_ns);
/*
 * Has the peer vanished, of which a flow has heard nothing since since_ns? Not while other flows of the trial hear of it: one of
 * a thousand may wait for its turn, or for TCP to send once more and once more (0.2, 0.4, 0.8 … s after each other). With
 * the trial patience ends for all.
 */
bool worker_deaf(const struct worker *worker, uint64_t since_ns, uint64_t now_ns,
                 uint64_t patience_ns);

/* token.c: the first bytes of every connection, and the first datagram of every UDP flow. */
enum { TOKEN_HELLO_BYTES = 32 };
struct token_hello {
    uint32_t flow_index;
    uint8_t kind; /* enum flow_kind */
};
void token_write_hello(const struct flow_spec *spec, uint32_t flow_index,
                       uint8_t ret_bytes[TOKEN_HELLO_BYTES]);
/* 0; -EACCES not our token; -EBADMSG not a hello at all. Compares in constant time. */
int token_read_hello(const struct flow_spec *spec, const uint8_t bytes[TOKEN_HELLO_BYTES],
                     struct token_hello *ret_hello);
/* The server's answer to a good hello, a proof that it knows the token too: 16 bytes derived from it. */
enum { TOKEN_WELCOME_BYTES = 16 };
void token_write_welcome(const struct flow_spec *spec, uint32_t flow_index,
                         uint8_t ret_bytes[TOKEN_WELCOME_BYTES]);
bool token_is_welcome(const struct flow_spec *spec, uint32_t flow_index,
                      const uint8_t bytes[TOKEN_WELCOME_BYTES]);
/* What every datagram of the session carries, in network order as its first 4 bytes. A hello never begins with it. */
uint32_t token_tag(const struct flow_spec *spec);
/* SipHash-2-4 with 64 bits of output, of which all of the above is made; source: Aumasson and Bernstein, 2012. */
uint64_t token_siphash(const uint8_t key[FLOW_TOKEN_BYTES], const uint8_t *bytes, size_t n);

/* socket.c: what all protocols do with sockets. */
union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};
int socket_address(const char *text, uint16_t port, union socket_address *ret_address,
                   socklen_t *ret_len, struct err *err);
/*
 * A bound socket on the first free port of spec->port … spec->port_last (0: any); type is SOCK_STREAM or SOCK_DGRAM.
 * Nobody else has the port. A stream socket listens already, with spec->cc.
 */
int socket_bind_range(const struct flow_spec *spec, int type, uint16_t *ret_port, struct err *err);
/* Largest buffer that is allowed: SO_*BUFFORCE, else SO_*BUF. Returns what is in force, bytes. */
int socket_receive_buffer(int fd, int bytes);
int socket_send_buffer(int fd, int bytes);
/* Datagrams the kernel dropped at this socket so far (SK_MEMINFO_DROPS), or -errno. */
int64_t socket_drops(int fd);
/*
 * What the spec asks of every socket, before it is bound or connected: DSCP, window, MSS and no-delay of TCP, and for a
 * client its own address or interface. What was not granted is seen in the result (send_buffer_bytes …), except an
 * address that cannot be bound: -EADDRNOTAVAIL …, -ENODEV, -EPERM with a sentence.
 */
int socket_prepare(int fd, const struct flow_spec *spec, struct err *err);
/* A socket was refused with that positive errno: the sentence, which names the limit on open files when it is that. */
int socket_none(const struct flow_spec *spec, int code, struct err *err);
/* How long a blocking call may wait on it before it gives -EAGAIN; 0 for ever. */
int socket_timeouts(int fd, unsigned ms);
/* A congestion control for a TCP socket; "" leaves the default. The sentence of a failure lists what there is. */
int socket_set_cc(int fd, const char *cc, struct err *err);
/* Path MTU of a connected socket, or -errno. */
int socket_path_mtu(int fd);
