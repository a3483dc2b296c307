/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "traffic/call.h"
#include "traffic/crr.h"
#include "traffic/schedule.h"
#include "traffic/tcp_open.h"
#include "traffic/tick.h"

#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The client's side. */
struct crr {
    struct worker *worker;
    struct flow *flow;
    struct schedule schedule;
    struct tick tick;
    union socket_address address;
    socklen_t n_address;
    int fd; /* owned; used again for each connection, because its options stay */
    int flags;
    uint8_t *request; /* owned; hello and payload */
    uint8_t *inbox;   /* owned */
    size_t n_payload;
    uint64_t count, done;
    uint64_t began_ns, now_ns;
    uint64_t connects, connect_ns; /* in the window */
};

static bool crr_stopped(const struct crr *c)
{
    return atomic_load_explicit(&c->worker->engine->stop, memory_order_relaxed);
}

static int crr_init(struct crr *c, struct worker *worker)
{
    const struct engine *engine = worker->engine;
    const struct flow_spec *spec = &engine->spec;
    struct flow *flow = worker->flows[0];
    uint64_t count = worker->trial->count;

    *c = (struct crr){.worker = worker,
                      .flow = flow,
                      .fd = -1,
                      .flags = spec->spin ? MSG_DONTWAIT : 0,
                      .n_payload = spec->payload_bytes};
    c->count =
        count ? count / engine->n_flows + (flow->index < count % engine->n_flows) : UINT64_MAX;
    c->request = malloc(TOKEN_HELLO_BYTES + c->n_payload);
    c->inbox = malloc(c->n_payload);
    if (!c->request || !c->inbox)
        return -ENOMEM;
    token_write_hello(spec, flow->index, c->request);
    for (size_t i = 0; i < c->n_payload; i++)
        c->request[TOKEN_HELLO_BYTES + i] = (uint8_t)(i * 2654435761u >> 13);
    schedule_init(&c->schedule, worker, flow);
    if (socket_address(spec->address, spec->port, &c->address, &c->n_address, NULL) < 0)
        return -EINVAL;
    /* Without a tick the sockets have timeouts, see crr_socket(). */
    if (tick_start(&c->tick) < 0)
        c->tick = (struct tick){0};
    return 0;
}

static void crr_done(struct crr *c)
{
    tick_stop(&c->tick);
    if (c->fd >= 0)
        close(c->fd);
    free(c->request);
    free(c->inbox);
}

static bool crr_fail(struct crr *c, int code, const char *what)
{
    worker_fail(c->worker, c->flow, code, what);
    return false;
}

/* The window's edges, for the CPU time. */
static void crr_edge(struct crr *c)
{
    const struct tally *tally = &c->flow->tally;

    if (tally->slot > 0)
        worker_window_begin(c->worker);
    if (tally->slot == tally->n_slots - 1)
        worker_window_end(c->worker);
}

static void crr_look(struct crr *c)
{
    c->now_ns = clock_mono_ns();
    if (tally_advance(&c->flow->tally, c->now_ns))
        crr_edge(c);
}

/* A call was interrupted, or brought nothing: is there more patience? */
static bool crr_may_wait(struct crr *c)
{
    crr_look(c);
    if (crr_stopped(c))
        return false;
    if (worker_deaf(c->worker, c->began_ns, c->now_ns, ENDPOINT_STALL_S * (uint64_t)CLOCK_S))
        return crr_fail(c, ETIMEDOUT, "no answer for 3 s");
    return true;
}

static bool crr_socket(struct crr *c)
{
    const struct flow_spec *spec = &c->worker->engine->spec;
    const int on = 1;
    struct err err = {0};
    int r;

    c->fd = socket(c->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return crr_fail(c, errno, "opening a socket");
    r = socket_prepare(c->fd, spec, &err);
    if (r == 0)
        r = socket_set_cc(c->fd, spec->cc, &err);
    if (r == 0 && !c->tick.runs)
        r = socket_timeouts(c->fd, CRR_CALL_MS);
    if (r < 0)
        return crr_fail(c, -r, err.text[0] ? err.text : "setting a socket's timeouts");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return true;
}

static bool crr_connect_failed(struct crr *c, int code)
{
    return crr_fail(c, code,
                    code == ECONNREFUSED    ? "connecting: the server's port is closed"
                    : code == EADDRNOTAVAIL ? "connecting: no port of our own is free"
                                            : "connecting");
}

/* A connect that a tick has interrupted goes on by itself. */
static bool crr_connect_on(struct crr *c)
{
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLOUT};
        int code = 0;

        if (poll(&p, 1, CRR_CALL_MS) > 0) {
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof code});
            return code ? crr_connect_failed(c, code) : true;
        }
        if (!crr_may_wait(c))
            return false;
    }
}

static bool crr_connect(struct crr *c)
{
    if (c->fd < 0 && !crr_socket(c))
        return false;
    if (connect(c->fd, &c->address.any, c->n_address) == 0)
        return true;
    if (errno == EINTR || errno == EINPROGRESS || errno == EALREADY)
        return crr_connect_on(c);
    return crr_connect_failed(c, errno);
}

static bool crr_send(struct crr *c)
{
    size_t at = 0, n_all = TOKEN_HELLO_BYTES + c->n_payload;

    while (at < n_all) {
        ssize_t n = call_send(c->fd, c->request + at, n_all - at, MSG_NOSIGNAL);

        if (n > 0)
            at += (size_t)n;
        else if (errno != EINTR && errno != EAGAIN)
            return crr_fail(c, errno, "the server closed a connection before the request");
        else if (!crr_may_wait(c))
            return false;
    }
    return true;
}

static bool crr_receive(struct crr *c)
{
    size_t at = 0;
    uint32_t spins = 0;

    while (at < c->n_payload) {
        ssize_t n = call_recv(c->fd, c->inbox + at, c->n_payload - at, c->flags);
        int code = n < 0 ? errno : ECONNRESET;

        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || (code != EAGAIN && code != EINTR))
            return crr_fail(c, code, "the server closed a connection without an answer");
        else if (c->flags && ++spins % CRR_SPINS)
            continue;
        else if (!crr_may_wait(c))
            return false;
        else if (c->flags)
            sched_yield();
    }
    return true;
}

/*
 * End it by a reset: an end in good order would leave its port in TIME_WAIT, and 28,000 ports last for a second. Against
 * close() with SO_LINGER 0, which resets too, this saves to make a socket anew.
 */
static bool crr_reset(struct crr *c)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};

    return connect(c->fd, &none, sizeof none) == 0 || crr_fail(c, errno, "resetting a connection");
}

/* Connect to response; false when the trial has to end. */
static bool crr_transaction(struct crr *c, uint64_t from_ns)
{
    uint64_t connected;

    c->began_ns = c->now_ns;
    if (!crr_connect(c))
        return false;
    connected = clock_mono_ns();
    if (!crr_send(c) || !crr_receive(c))
        return false;
    c->now_ns = clock_mono_ns();
    worker_heard(c->worker, c->now_ns);
    if (tally_add(&c->flow->tally, c->now_ns, c->n_payload, 1))
        crr_edge(c);
    if (tally_in_window(&c->flow->tally)) {
        c->done++;
        c->connects++;
        c->connect_ns += connected - c->began_ns;
        hist_add(c->flow->rtt, c->now_ns - from_ns);
    }
    return crr_reset(c);
}

/* Until one is due. False: the trial is over. */
static bool crr_until_due(struct crr *c, uint64_t *ret_due_ns)
{
    uint64_t end = trial_end(c->worker->trial);

    for (;; crr_look(c)) {
        bool is_free = schedule_is_free(&c->schedule);
        uint64_t next = is_free ? c->now_ns : c->schedule.pacing.due_ns;

        /* What is due before the end is asked, if only a little after it. */
        if (next >= end || c->done >= c->count || crr_stopped(c))
            return false;
        if (is_free) {
            *ret_due_ns = c->now_ns;
            return true;
        }
        if (schedule_due(&c->schedule, c->now_ns)) {
            *ret_due_ns = schedule_take(&c->schedule, c->now_ns);
            return true;
        }
        schedule_wait(-1, 0, next);
    }
}

static void crr_ask(struct worker *worker)
{
    const uint32_t number = htobe32(worker->trial->number);
    struct crr c;
    uint64_t due;
    int r = crr_init(&c, worker);

    if (r < 0) {
        worker_fail(worker, worker->flows[0], -r, "preparing to connect");
    } else if (worker_sleep_until(worker, worker->trial->start_ns)) {
        crr_look(&c);
        while (crr_until_due(&c, &due) && crr_transaction(&c, due))
            crr_look(&c);
        if (c.connects)
            metric_put_real(&c.flow->metrics, METRIC_connect_ns,
                            (double)c.connect_ns / (double)c.connects);
        schedule_report(&c.schedule, &c.flow->metrics);
        send(c.flow->fd, &number, CRR_END_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    crr_done(&c);
}

const struct endpoint_ops endpoint_tcp_crr = {
    .kind = FLOW_TCP_CRR,
    .want_rtt = true,
    .thread_per_flow = true,
    .open = tcp_open,
    .accept = crr_accept,
    .ask = crr_ask,
    .answer = crr_answer,
};
