/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "interop/foreign_flow.h"
#include "interop/iperf3_message.h"
#include "interop/serve.h"
#include "traffic/stamp_reflect.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * What the thread that takes connections and the threads of tests share; interop/ only.
 *
 * shape   the taker alone adds and joins tests; a test's thread reads its own members, and under serve->lock what is
 *         marked so. report_lock is held for on_report() alone, and never together with the other
 * owns    a test: its descriptors and its thread; serve: all tests, which end before it
 */
enum serve_phase { SERVE_ASKING, SERVE_STREAMS, SERVE_RUNNING };
enum {
    SERVE_ROUNDS = 64,       /* connections or datagrams taken from one socket in a row */
    SERVE_UNPROVEN_PART = 4, /* 1/4 of the tests may be of clients whose datagrams prove nothing */
};

struct serve_test {
    struct serve *serve; /* lent */
    int fd; /* owned; iperf3: control connection; iperf2: the stream, or -1 once the engine has it */
    union socket_address peer, local;
    bool udp; /* iperf2: what the stream is; iperf3: what the parameters say */
    char cookie[IPERF3_COOKIE];
    struct serve_report report;

    /* Under the lock. */
    enum serve_phase phase;
    int stream_fds[IPERF3_MAX_STREAMS];  /* owned; until the engine has them */
    uint64_t orders[IPERF3_MAX_STREAMS]; /* by which they were accepted */
    uint16_t ports[IPERF3_MAX_STREAMS];  /* UDP: the client's, of each stream so far */
    uint32_t n_streams, n_wanted, n_ports;
    int came_fd;        /* owned; eventfd: a stream came */
    uint32_t udp_bytes; /* of buffers, its part of serve->udp_bytes */
    bool over;          /* the thread is about to end */

    atomic_bool proven; /* iperf2, UDP: enough datagrams have come; set by the engine's worker */

    pthread_t thread;
    struct serve_test *next;
};

struct serve {
    struct serve_options options;
    serve_report_fn *on_report;
    void *arg;
    int stop_fd;                                            /* owned; eventfd: tests are to end */
    int over_fd;                                            /* owned; eventfd: a test is over */
    int iperf3_fd, iperf3_udp_fd, iperf2_fd, iperf2_udp_fd; /* owned; -1 none */
    struct serve_pending *pending;                          /* owned */
    uint32_t n_pending;
    uint64_t n_accepted;
    int iperf2_next_fd; /* owned; the next listener, not bound yet; -1 none */
    union socket_address iperf2_local;
    pthread_mutex_t lock, report_lock;
    pthread_cond_t changed;
    struct serve_test *tests; /* owned; under lock */
    uint32_t n_tests;         /* under lock */
    uint32_t udp_bytes;       /* of receive buffers that live UDP tests were given; under lock */
    uint32_t n_reports;       /* of tests in which traffic began; under lock */
    int stamp_fd;             /* owned; -1 none */
    struct stamp_reflector stamp;
};

/* serve.c: the test's result, told once; then the thread ends. */
void serve_tell(struct serve_test *test);

/*
 * serve.c: begin a test with a connection or socket, which is the test's from now on. False: no memory or no thread, and
 * fd stays the caller's.
 */
bool serve_begin(struct serve *serve, int fd, const union socket_address *peer, const char *cookie,
                 bool udp);
/* One more test may begin. unproven: iperf2 over UDP, which takes a part of the places only. */
bool serve_has_room(struct serve *serve, bool unproven);

/* serve_udp.c; all by the thread that takes connections. */

/* Bytes of a buffer of each of a UDP test's streams: the more tests live, the less. Under lock. */
int serve_udp_share(struct serve_test *test, uint32_t n_streams);
/* The ports are bound: sockets of single clients may be, beside them. */
void serve_udp_share_ports(struct serve *serve);
/* Something came to iperf3's port. */
void serve_iperf3_udp(struct serve *serve);
/*
 * By a test's own thread, while it waits for streams: who asks again for one that he has did not get our answer, and gets it
 * once more.
 */
void serve_udp_answer_again(struct serve_test *test);
/* Something came to iperf2's. */
void serve_iperf2_udp(struct serve *serve);
/* Have a socket that listens. errors  -errno: try again later */
int serve_iperf2_listen(struct serve *serve);

/* Bodies of the threads. */
void iperf3_server_test(struct serve_test *test);
void iperf2_server_test(struct serve_test *test);

/* serve_socket.c */

/* The interface that is served alone; "" none. */
const char *serve_device(const struct serve_options *options);

/* A bound socket that nobody shares; streams listen. errors  -EADDRINUSE …, with protocol and port; owns *ret_fd */
int serve_bind(const struct serve_options *options, int type, uint16_t port, int *ret_fd,
               struct err *err);
/* An address without its family's differences. */
void serve_address(const union socket_address *address, struct in6_addr *ret_address,
                   uint16_t *ret_port);
bool serve_same_host(const union socket_address *a, const union socket_address *b);
bool serve_allowed(const struct serve_options *options, const union socket_address *peer);
/* Words for the report. */
void serve_name_client(struct serve_report *report, const union socket_address *peer);
