/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "traffic/call.h"
#include "traffic/crr.h"
#include "traffic/tcp_open.h"
#include "traffic/tick.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Any thread takes any flow's connections from the one listening socket. The kernel keeps a connection back until its
 * first bytes are here, so that a stranger who says nothing is no work at all; one who says less than a hello waits
 * aside, and nobody waits for him.
 */
enum {
    CRR_PENDING = 32, /* who has said too little; more push out the oldest */
    CRR_HELLO_S = 4,  /* so long they may take: longer than a client waits, which then says why */
    CRR_DEFER_S = 2,  /* and so long the kernel waits for the first byte */
    CRR_QUIET_NS = 100 * CLOCK_MS,  /* past the end of the trial */
    CRR_CONTROL_NS = 20 * CLOCK_MS, /* a spinner looks for the client's end that often */
};

struct crr_pending {
    int fd; /* owned */
    uint64_t deadline_ns;
    size_t n;
    uint8_t hello[TOKEN_HELLO_BYTES];
};

struct crr_server {
    struct worker *worker;
    struct engine *engine;
    struct flow *flow;
    struct tick tick;
    uint8_t *bytes; /* owned; hello and payload */
    size_t n_payload;
    int last_fd; /* owned; answered, and by now reset by the client; -1 none */
    uint64_t now_ns, moved_ns, looked_ns, n_seen;
    uint32_t spins;
    bool ended; /* the client has told so */
    struct crr_pending pending[CRR_PENDING];
    uint32_t n_pending;
};

int crr_accept(struct engine *engine, struct err *err)
{
    const int defer = CRR_DEFER_S;
    /* tcp_accept() closes the listening socket when all flows are there; here it is needed still. */
    AUTO(close_p) int keep = fcntl(engine->listen_fd, F_DUPFD_CLOEXEC, 0);
    int r;

    if (keep < 0)
        return err_set(err, errno, "keeping port %u open", engine->port);
    r = tcp_accept(engine, err);
    if (r < 0)
        return r;
    if (engine->listen_fd >= 0)
        close(engine->listen_fd);
    engine->listen_fd = TAKE_FD(keep);
    setsockopt(engine->listen_fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof defer);
    return 0;
}

static bool crr_stopped(const struct crr_server *s)
{
    return atomic_load_explicit(&s->engine->stop, memory_order_relaxed);
}

/* The window's edges, for the CPU time. */
static void crr_edge(struct crr_server *s)
{
    const struct tally *tally = &s->flow->tally;

    if (tally->slot > 0)
        worker_window_begin(s->worker);
    if (tally->slot == tally->n_slots - 1)
        worker_window_end(s->worker);
}

static void crr_look(struct crr_server *s)
{
    s->now_ns = clock_mono_ns();
    if (tally_advance(&s->flow->tally, s->now_ns))
        crr_edge(s);
}

static void crr_refuse(struct crr_server *s, int fd)
{
    close(fd);
    __atomic_fetch_add(&s->engine->refused, 1, __ATOMIC_RELAXED);
}

/* Answers of all threads so far; each writes its own. */
static uint64_t crr_answers(const struct engine *engine)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < engine->n_flows; i++)
        for (uint32_t k = 0; k < engine->flows[i].tally.n_slots; k++)
            n += __atomic_load_n(&engine->flows[i].tally.slots[k].packets, __ATOMIC_RELAXED);
    return n;
}

/* What the client says on the connection that it keeps. */
static void crr_listen(struct crr_server *s)
{
    uint32_t number;

    s->looked_ns = s->now_ns;
    for (;;) {
        ssize_t n = recv(s->flow->fd, &number, CRR_END_BYTES, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            if (s->now_ns < trial_end(s->worker->trial))
                worker_fail(s->worker, s->flow, n < 0 ? errno : ECONNRESET,
                            "the client is gone before the end");
            s->ended = true;
            return;
        }
        if (n == CRR_END_BYTES && be32toh(number) == s->worker->trial->number) {
            s->ended = true;
            return;
        }
    }
}

/* Nobody has come for a moment. False: nobody will. */
static bool crr_idle(struct crr_server *s)
{
    uint64_t patience = ENDPOINT_STALL_S * (uint64_t)CLOCK_S + 2 * s->engine->spec.gap_ns, answers;

    crr_look(s);
    if (s->last_fd >= 0 && s->now_ns > s->moved_ns + CRR_QUIET_NS)
        close(TAKE_FD(s->last_fd));
    if (!s->engine->spec.spin || s->now_ns > s->looked_ns + CRR_CONTROL_NS)
        crr_listen(s);
    if (s->ended || crr_stopped(s) ||
        (s->now_ns >= trial_end(s->worker->trial) && s->now_ns > s->moved_ns + CRR_QUIET_NS))
        return false;
    if (s->now_ns <= s->moved_ns + patience)
        return true;
    /* The other threads may have had all of them. */
    answers = crr_answers(s->engine);
    if (answers != s->n_seen) {
        s->n_seen = answers;
        s->moved_ns = s->now_ns;
        return true;
    }
    worker_fail(s->worker, s->flow, ETIMEDOUT, "no connection for 3 s");
    return false;
}

/* Move all bytes one way, the client is known. False: it is gone, or stands still. */
static bool crr_move(struct crr_server *s, int fd, size_t at, size_t n_all, bool out)
{
    uint64_t begin = s->now_ns;

    while (at < n_all) {
        ssize_t n = out ? call_send(fd, s->bytes + at, n_all - at, MSG_NOSIGNAL)
                        : call_recv(fd, s->bytes + at, n_all - at, 0);

        if (n > 0) {
            at += (size_t)n;
            continue;
        }
        if (n == 0 || (errno != EINTR && errno != EAGAIN))
            return false;
        crr_look(s);
        if (crr_stopped(s) || s->now_ns > begin + ENDPOINT_STALL_S * (uint64_t)CLOCK_S)
            return false;
    }
    return true;
}

/* A good hello is there, and n bytes with it: the rest, the answer. */
static void crr_serve(struct crr_server *s, int fd, size_t n)
{
    const size_t n_all = TOKEN_HELLO_BYTES + s->n_payload;
    bool good;

    s->now_ns = clock_mono_ns();
    good = crr_move(s, fd, n, n_all, false) && crr_move(s, fd, TOKEN_HELLO_BYTES, n_all, true);
    s->moved_ns = s->now_ns;
    if (good && tally_add(&s->flow->tally, s->now_ns, s->n_payload, 1))
        crr_edge(s);
    /*
     * Closed when the next is answered: the client has reset it by then. Closed now it would be an end in good order,
     * with packets of its own.
     */
    if (s->last_fd >= 0)
        close(s->last_fd);
    s->last_fd = fd;
}

/* 1 it is ours, 0 not all of the hello is here, -EACCES none of ours. */
static int crr_check(const struct crr_server *s, const uint8_t *bytes, size_t n)
{
    struct token_hello hello;

    if (n < TOKEN_HELLO_BYTES)
        return 0;
    return token_read_hello(&s->engine->spec, bytes, &hello) == 0 && hello.kind == FLOW_TCP_CRR &&
                   hello.flow_index < s->engine->n_flows
               ? 1
               : -EACCES;
}

static void crr_drop(struct crr_server *s, uint32_t i)
{
    s->n_pending--;
    memmove(&s->pending[i], &s->pending[i + 1], (s->n_pending - i) * sizeof s->pending[0]);
}

static void crr_put_aside(struct crr_server *s, int fd, size_t n)
{
    struct crr_pending *p;

    if (s->n_pending == CRR_PENDING) {
        crr_refuse(s, s->pending[0].fd);
        crr_drop(s, 0);
    }
    p = &s->pending[s->n_pending++];
    *p = (struct crr_pending){
        .fd = fd, .deadline_ns = clock_mono_ns() + CRR_HELLO_S * (uint64_t)CLOCK_S, .n = n};
    memcpy(p->hello, s->bytes, n);
}

/* A connection has come; what it says is here already. */
static void crr_take(struct crr_server *s, int fd)
{
    ssize_t n = -1;
    int r;

    /* Another CPU may still be at it: the connection is queued just before its bytes are. */
    for (int i = 0; i < CRR_SPINS && n < 0; i++) {
        n = call_recv(fd, s->bytes, TOKEN_HELLO_BYTES + s->n_payload, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            break;
    }
    r = n == 0 ? -EACCES : crr_check(s, s->bytes, n < 0 ? 0 : (size_t)n);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        r = -EACCES;
    if (r > 0)
        crr_serve(s, fd, (size_t)n);
    else if (r < 0)
        crr_refuse(s, fd);
    else
        crr_put_aside(s, fd, n < 0 ? 0 : (size_t)n);
}

/* One of those aside: has it said more? */
static void crr_look_aside(struct crr_server *s, uint32_t i)
{
    struct crr_pending *p = &s->pending[i];
    ssize_t n = recv(p->fd, p->hello + p->n, sizeof p->hello - p->n, MSG_DONTWAIT);
    bool nothing = n < 0 && (errno == EAGAIN || errno == EINTR);
    int fd = p->fd, r;

    p->n += n > 0 ? (size_t)n : 0;
    r = n > 0 ? crr_check(s, p->hello, p->n) : nothing ? 0 : -EACCES;
    if (r == 0 && clock_mono_ns() < p->deadline_ns)
        return;
    crr_drop(s, i);
    if (r > 0)
        crr_serve(s, fd, TOKEN_HELLO_BYTES);
    else
        crr_refuse(s, fd);
}

/* With somebody aside it is not accept() that we wait in. True: there is something to accept. */
static bool crr_wait_aside(struct crr_server *s)
{
    struct pollfd polls[CRR_PENDING + 1];
    uint32_t n = s->n_pending;

    for (uint32_t i = 0; i < n; i++)
        polls[i] = (struct pollfd){.fd = s->pending[i].fd, .events = POLLIN};
    polls[n] = (struct pollfd){.fd = s->engine->listen_fd, .events = POLLIN};
    if (poll(polls, n + 1, s->engine->spec.spin ? 0 : CRR_CALL_MS) < 0)
        return false;
    for (uint32_t i = n; i-- > 0;)
        crr_look_aside(s, i);
    return polls[n].revents;
}

static void crr_loop(struct crr_server *s)
{
    const bool spin = s->engine->spec.spin;

    for (;;) {
        bool ready = s->n_pending == 0 || crr_wait_aside(s);
        int fd = ready ? accept4(s->engine->listen_fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        int code = ready ? errno : EAGAIN;

        if (fd >= 0) {
            if (!s->tick.runs)
                socket_timeouts(fd, CRR_CALL_MS);
            crr_take(s, fd);
            if (crr_stopped(s))
                return;
            continue;
        }
        if (code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM) {
            worker_fail(s->worker, s->flow, code, "taking a connection");
            return;
        }
        if (spin && ++s->spins % CRR_SPINS)
            continue;
        if (spin)
            sched_yield();
        if (!crr_idle(s))
            return;
    }
}

static int crr_server_init(struct crr_server *s, struct worker *worker)
{
    int fd = worker->engine->listen_fd, flags = fcntl(fd, F_GETFL);

    s->worker = worker;
    s->engine = worker->engine;
    s->flow = worker->flows[0];
    s->n_payload = worker->engine->spec.payload_bytes;
    s->last_fd = -1;
    s->moved_ns = worker->trial->start_ns;
    s->bytes = malloc(TOKEN_HELLO_BYTES + s->n_payload);
    if (!s->bytes)
        return -ENOMEM;
    flags = worker->engine->spec.spin ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (fcntl(fd, F_SETFL, flags) < 0)
        return -errno;
    if (tick_start(&s->tick) == 0)
        return 0;
    /* For accept(); the other threads, who have the same listening socket, take EAGAIN for nothing too. */
    s->tick = (struct tick){0};
    return socket_timeouts(fd, CRR_CALL_MS);
}

void crr_answer(struct worker *worker)
{
    AUTO(free_p) struct crr_server *s = calloc(1, sizeof *s);
    int r = s ? crr_server_init(s, worker) : -ENOMEM;

    if (r < 0) {
        worker_fail(worker, worker->flows[0], -r, "preparing to take connections");
    } else if (worker_sleep_until(worker, worker->trial->start_ns)) {
        crr_look(s);
        crr_loop(s);
    }
    if (!s)
        return;
    tick_stop(&s->tick);
    for (uint32_t i = 0; i < s->n_pending; i++)
        close(s->pending[i].fd);
    if (s->last_fd >= 0)
        close(s->last_fd);
    free(s->bytes);
}
