/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/stat.h"
#include "traffic/datagram.h"
#include "traffic/tcp_open.h"
#include "traffic/udp_open.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

/*
 * Request and response: the client sends a payload, waits for all of the answer, and only then asks again; the server
 * returns what came. A thread a flow, blocking calls, no epoll: two system calls a transaction and side.
 *
 * The server's trial is over when nothing has come for 100 ms after its own end: the client's clock may start later.
 */
enum {
    RR_CALL_MS = 100, /* a blocking call lasts no longer: it has to see stop */
    RR_TIMEOUT_NS = 200 * CLOCK_MS,
};

struct rr {
    struct worker *worker;
    struct flow *flow;
    uint8_t *buffer; /* owned; payload_bytes */
    size_t n_buffer;
    uint64_t count;    /* transactions to do in the window; UINT64_MAX by time */
    uint64_t done;     /* client: so many are; server: also those of the warm-up */
    uint64_t moved_ns; /* when the last one was, or the start */
    uint64_t now_ns;
    uint64_t sequence; /* UDP */
    uint64_t timeouts; /* UDP, in the window */
};

/* What a wait for bytes ended with. */
enum rr_end { RR_GOT, RR_NOTHING, RR_OVER };

static bool rr_stopped(const struct rr *rr)
{
    return atomic_load_explicit(&rr->worker->engine->stop, memory_order_relaxed);
}

static void rr_fail(struct rr *rr, int code, const char *what)
{
    worker_fail(rr->worker, rr->flow, code, what);
}

/* This flow's part of the trial's count. */
static uint64_t rr_count(const struct rr *rr)
{
    uint64_t count = rr->worker->trial->count;
    uint32_t n = rr->worker->engine->n_flows;

    return count ? count / n + (rr->flow->index < count % n) : UINT64_MAX;
}

static int rr_init(struct rr *rr, struct worker *worker)
{
    int on = 1;

    *rr = (struct rr){
        .worker = worker, .flow = worker->flows[0], .moved_ns = worker->trial->start_ns};
    rr->n_buffer = worker->engine->spec.payload_bytes;
    rr->count = rr_count(rr);
    rr->buffer = calloc(1, rr->n_buffer);
    if (!rr->buffer)
        return -ENOMEM;
    for (size_t i = 0; i < rr->n_buffer; i++)
        rr->buffer[i] = (uint8_t)(i * 2654435761u >> 13);
    if (worker->engine->spec.kind == FLOW_TCP_RR)
        setsockopt(rr->flow->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket_timeouts(rr->flow->fd, RR_CALL_MS);
}

/* The window's edges, for the CPU time. */
static void rr_edge(struct rr *rr)
{
    const struct tally *tally = &rr->flow->tally;

    if (tally->slot > 0)
        worker_window_begin(rr->worker);
    if (tally->slot == tally->n_slots - 1)
        worker_window_end(rr->worker);
}

/* After each wait: the clock, edges that passed without traffic, the stall. */
static void rr_look(struct rr *rr)
{
    rr->now_ns = clock_mono_ns();
    if (tally_advance(&rr->flow->tally, rr->now_ns))
        rr_edge(rr);
}

static bool rr_stalled(struct rr *rr)
{
    if (rr->now_ns <= rr->moved_ns + ENDPOINT_STALL_S * (uint64_t)CLOCK_S)
        return false;
    rr_fail(rr, ETIMEDOUT, rr->worker->sends ? "no answer for 3 s" : "no request for 3 s");
    return true;
}

static void rr_done_one(struct rr *rr)
{
    rr->moved_ns = rr->now_ns;
    if (tally_add(&rr->flow->tally, rr->now_ns, rr->n_buffer, 1))
        rr_edge(rr);
    rr->done += !rr->worker->sends || tally_in_window(&rr->flow->tally);
}

static const char *rr_words(int code)
{
    if (code == ECONNRESET || code == EPIPE)
        return "the peer closed the connection before the end";
    return code == ECONNREFUSED ? "the peer has closed its socket" : "the connection broke";
}

/*
 * A server that waits for a request past the end has nothing more to do. When it has answered the whole count the client
 * may be done; but it may still be in its warm-up, or have missed an answer over UDP and ask once more: so only silence
 * for longer than that takes is the end.
 */
static bool rr_server_is_over(const struct rr *rr)
{
    if (rr->worker->sends)
        return false;
    return rr->now_ns >= trial_end(rr->worker->trial) ||
           (rr->done >= rr->count && rr->now_ns >= rr->moved_ns + 3 * (uint64_t)RR_TIMEOUT_NS);
}

/* All bytes of one message of a stream; a message that has begun is waited for past the trial's end. */
static enum rr_end rr_tcp_receive(struct rr *rr)
{
    size_t at = 0;

    while (at < rr->n_buffer) {
        ssize_t n = recv(rr->flow->fd, rr->buffer + at, rr->n_buffer - at, 0);
        int code = n < 0 ? errno : ECONNRESET;

        if (n > 0) {
            at += (size_t)n;
            rr->moved_ns = at < rr->n_buffer ? clock_mono_ns() : rr->moved_ns;
            continue;
        }
        rr_look(rr);
        if (n < 0 && (code == EAGAIN || code == EINTR)) {
            if (rr_stopped(rr) || (at == 0 && rr_server_is_over(rr)) || rr_stalled(rr))
                return RR_OVER;
            continue;
        }
        if (!rr_server_is_over(rr))
            rr_fail(rr, code, rr_words(code));
        return RR_OVER;
    }
    rr->now_ns = clock_mono_ns();
    return RR_GOT;
}

static bool rr_tcp_send(struct rr *rr)
{
    size_t at = 0;

    while (at < rr->n_buffer) {
        ssize_t n = send(rr->flow->fd, rr->buffer + at, rr->n_buffer - at, MSG_NOSIGNAL);
        int code = errno;

        if (n > 0) {
            at += (size_t)n;
            continue;
        }
        rr_look(rr);
        if (code != EAGAIN && code != EINTR) {
            rr_fail(rr, code, rr_words(code));
            return false;
        }
        if (rr_stopped(rr) || rr_stalled(rr))
            return false;
    }
    return true;
}

static void rr_udp_write_header(struct rr *rr)
{
    const struct engine *engine = rr->worker->engine;
    struct datagram d = {.tag = engine->tag,
                         .trial = rr->worker->trial->number,
                         .sequence = ++rr->sequence,
                         .flags = DATAGRAM_MEASURED,
                         .flow = (uint16_t)rr->flow->index};

    datagram_write(&d, rr->buffer);
}

static bool rr_udp_send(struct rr *rr)
{
    ssize_t n = send(rr->flow->fd, rr->buffer, rr->n_buffer, MSG_NOSIGNAL);
    int code = errno;

    /* Full buffers lose it like a full queue on the path does. */
    if (n >= 0 || code == EAGAIN || code == EINTR || code == ENOBUFS)
        return true;
    rr_fail(rr, code, rr_words(code));
    return false;
}

/* The next datagram of this trial; what is none, older, or not ours is not looked at. */
static enum rr_end rr_udp_receive(struct rr *rr, uint64_t until_ns)
{
    for (;;) {
        ssize_t n = recv(rr->flow->fd, rr->buffer, rr->n_buffer, MSG_TRUNC);
        int code = n < 0 ? errno : 0;
        struct datagram d;

        rr->now_ns = clock_mono_ns();
        if (n == (ssize_t)rr->n_buffer) {
            datagram_read(rr->buffer, &d);
            if (d.tag == rr->worker->engine->tag && d.trial == rr->worker->trial->number &&
                (!rr->worker->sends || d.sequence == rr->sequence))
                return RR_GOT;
        }
        rr_look(rr);
        if (n < 0 && code != EAGAIN && code != EINTR) {
            if (!rr_server_is_over(rr))
                rr_fail(rr, code, rr_words(code));
            return RR_OVER;
        }
        if (rr_stopped(rr) || (n < 0 && rr_server_is_over(rr)) || rr_stalled(rr))
            return RR_OVER;
        if (rr->now_ns >= until_ns)
            return RR_NOTHING;
    }
}

static enum rr_end rr_ask_one(struct rr *rr, uint64_t sent_ns)
{
    if (rr->worker->engine->spec.kind == FLOW_TCP_RR)
        return rr_tcp_send(rr) ? rr_tcp_receive(rr) : RR_OVER;
    rr_udp_write_header(rr);
    return rr_udp_send(rr) ? rr_udp_receive(rr, sent_ns + RR_TIMEOUT_NS) : RR_OVER;
}

/* TCP answers late or not at all; of a UDP request without an answer nothing but this tells. */
static void rr_report_loss(struct rr *rr)
{
    struct metric_set *m = &rr->flow->metrics;
    uint64_t answered = tally_window(&rr->flow->tally).packets, asked = answered + rr->timeouts;
    struct stat_interval likely = stat_share_interval(rr->timeouts, asked);

    if (rr->worker->engine->spec.kind == FLOW_TCP_RR)
        return;
    metric_put(m, METRIC_timeouts, rr->timeouts);
    metric_put(m, METRIC_sent, asked);
    metric_put(m, METRIC_received, answered);
    metric_put(m, METRIC_lost, rr->timeouts);
    if (asked == 0)
        return;
    metric_put_real(m, METRIC_loss_share, (double)rr->timeouts / (double)asked);
    metric_put_real(m, METRIC_loss_low_share, likely.low);
    metric_put_real(m, METRIC_loss_high_share, likely.high);
}

static void rr_ask_loop(struct rr *rr)
{
    uint64_t end = trial_end(rr->worker->trial);

    rr_look(rr);
    while (rr->done < rr->count && rr->now_ns < end && !rr_stopped(rr)) {
        /* The last look at the clock is the next start: nothing but counting lies between. */
        uint64_t sent_ns = rr->now_ns;
        enum rr_end got = rr_ask_one(rr, sent_ns);

        if (got == RR_OVER)
            break;
        if (got == RR_NOTHING) {
            rr->timeouts += tally_in_window(&rr->flow->tally);
            continue;
        }
        rr_done_one(rr);
        if (tally_in_window(&rr->flow->tally))
            hist_add(rr->flow->rtt, rr->now_ns - sent_ns);
    }
    rr_report_loss(rr);
}

static void rr_answer_loop(struct rr *rr)
{
    bool tcp = rr->worker->engine->spec.kind == FLOW_TCP_RR;
    /* Only here both sides count the same ones. */
    uint64_t count = tcp && rr->worker->trial->warmup_ns == 0 ? rr->count : UINT64_MAX;

    rr_look(rr);
    while (rr->done < count && !rr_stopped(rr)) {
        enum rr_end got = tcp ? rr_tcp_receive(rr) : rr_udp_receive(rr, UINT64_MAX);

        if (got != RR_GOT)
            break;
        rr_done_one(rr);
        if (!(tcp ? rr_tcp_send(rr) : rr_udp_send(rr)))
            break;
    }
}

static void rr_run(struct worker *worker, void (*body)(struct rr *rr))
{
    struct rr rr;
    int r = rr_init(&rr, worker);

    if (r < 0)
        worker_fail(worker, worker->flows[0], -r, "preparing to ask and answer");
    else if (worker_sleep_until(worker, worker->trial->start_ns))
        body(&rr);
    free(rr.buffer);
}

static void rr_ask(struct worker *worker) { rr_run(worker, rr_ask_loop); }

static void rr_answer(struct worker *worker) { rr_run(worker, rr_answer_loop); }

const struct endpoint_ops endpoint_tcp_rr = {
    .kind = FLOW_TCP_RR,
    .want_rtt = true,
    .thread_per_flow = true,
    .open = tcp_open,
    .accept = tcp_accept,
    .ask = rr_ask,
    .answer = rr_answer,
};

const struct endpoint_ops endpoint_udp_rr = {
    .kind = FLOW_UDP_RR,
    .want_rtt = true,
    .thread_per_flow = true,
    .open = udp_open,
    .accept = udp_accept,
    .ask = rr_ask,
    .answer = rr_answer,
};
