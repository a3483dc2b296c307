/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stat.h"
#include "traffic/call.h"
#include "traffic/datagram.h"
#include "traffic/rr.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>

bool rr_stopped(const struct rr *rr)
{
    return atomic_load_explicit(&rr->worker->engine->stop, memory_order_relaxed);
}

void rr_fail(struct rr *rr, int code, const char *what)
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

int rr_init(struct rr *rr, struct worker *worker)
{
    const struct flow_spec *spec = &worker->engine->spec;
    int on = 1;

    *rr = (struct rr){.worker = worker,
                      .flow = worker->flows[0],
                      .n_buffer = spec->payload_bytes,
                      .tcp = spec->kind == FLOW_TCP_RR,
                      .flags = spec->spin ? MSG_DONTWAIT : 0,
                      .moved_ns = worker->trial->start_ns,
                      .patience_ns = ENDPOINT_STALL_S * (uint64_t)CLOCK_S + 2 * spec->gap_ns};
    rr->count = rr_count(rr);
    rr->buffer = malloc(rr->n_buffer);
    if (!rr->buffer)
        return -ENOMEM;
    /* Whoever is put aside for a while loses nothing to a buffer of ours. */
    if (!rr->tcp && spec->window_bytes == 0)
        socket_receive_buffer(rr->flow->fd, RR_UDP_BUFFER);
    rr->drops = rr->tcp ? -ENOTSUP : socket_drops(rr->flow->fd);
    for (size_t i = 0; i < rr->n_buffer; i++)
        rr->buffer[i] = (uint8_t)(i * 2654435761u >> 13);
    if (rr->tcp)
        setsockopt(rr->flow->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return tick_start(&rr->tick) < 0 ? socket_timeouts(rr->flow->fd, RR_CALL_MS)
                                     : socket_timeouts(rr->flow->fd, 0);
}

void rr_done(struct rr *rr)
{
    tick_stop(&rr->tick);
    free(rr->buffer);
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

void rr_look(struct rr *rr)
{
    rr->now_ns = clock_mono_ns();
    if (tally_advance(&rr->flow->tally, rr->now_ns))
        rr_edge(rr);
}

/*
 * With many flows a server may be done before it comes to a request that was sent about the end: the thread that sent it had
 * looked at the clock and was put aside. The peer's kernel has it then, and others were answered to the end.
 */
static bool rr_was_late(const struct rr *rr)
{
    const struct engine *engine = rr->worker->engine;
    uint64_t end = trial_end(rr->worker->trial);
    int unacked = 1;

    if (!rr->tcp || rr->now_ns < end ||
        atomic_load_explicit(&engine->heard_ns, memory_order_relaxed) + 2 * RR_QUIET_NS < end)
        return false;
    return ioctl(rr->flow->fd, SIOCOUTQ, &unacked) == 0 && unacked == 0;
}

bool rr_stalled(struct rr *rr, uint64_t since_ns)
{
    if (!worker_deaf(rr->worker, since_ns, rr->now_ns, rr->patience_ns))
        return false;
    /* Asked at the very end and not answered any more: with many flows the server was done before it came to this one. */
    if (rr->worker->sends && rr->done && since_ns + RR_QUIET_NS > trial_end(rr->worker->trial))
        return true;
    if (rr->worker->sends && rr_was_late(rr))
        return true;
    rr_fail(rr, ETIMEDOUT, rr->worker->sends ? "no answer for 3 s" : "no request for 3 s");
    return true;
}

void rr_done_one(struct rr *rr)
{
    rr->moved_ns = rr->now_ns;
    worker_heard(rr->worker, rr->now_ns);
    if (tally_add(&rr->flow->tally, rr->now_ns, rr->n_buffer, 1))
        rr_edge(rr);
    rr->done += !rr->worker->sends || tally_in_window(&rr->flow->tally);
}

/*
 * A server that waits for a request past the end has nothing more to do; the client's clock may have started later than
 * ours, so a little silence is part of it. When it has answered the whole count the client may be done; but it may still
 * be in its warm-up, or have missed an answer over UDP and ask once more: so only silence for longer than that takes is
 * the end.
 */
static bool rr_server_is_over(const struct rr *rr)
{
    uint64_t gap = rr->worker->engine->spec.gap_ns;

    if (rr->worker->sends)
        return false;
    if (rr->now_ns >= trial_end(rr->worker->trial) && rr->now_ns >= rr->moved_ns + RR_QUIET_NS)
        return true;
    return rr->done >= rr->count && rr->now_ns >= rr->moved_ns + 3 * (RR_TIMEOUT_NS + gap);
}

void rr_broken(struct rr *rr, int code)
{
    const char *words = "the connection broke";

    if (rr_server_is_over(rr))
        return;
    if (code == ECONNRESET || code == EPIPE)
        words = "the peer closed the connection before the end";
    else if (code == ECONNREFUSED)
        words = "the peer has closed its socket";
    rr_fail(rr, code, words);
}

/*
 * After a read that brought nothing. False: no look at the clock was due yet. Two spinners that share a CPU would sit out
 * each other's time slices, so they offer it.
 */
static bool rr_empty(struct rr *rr)
{
    if (rr->flags && ++rr->spins % RR_SPINS)
        return false;
    if (rr->flags)
        sched_yield();
    rr_look(rr);
    return true;
}

enum rr_end rr_tcp_receive(struct rr *rr)
{
    size_t at = 0;

    for (;;) {
        ssize_t n = call_recv(rr->flow->fd, rr->buffer + at, rr->n_buffer - at, rr->flags);
        int code = n < 0 ? errno : ECONNRESET;

        if (n > 0) {
            at += (size_t)n;
            rr->now_ns = clock_mono_ns();
            if (at == rr->n_buffer)
                return RR_GOT;
            rr->moved_ns = rr->now_ns;
        } else if (n < 0 && (code == EAGAIN || code == EINTR)) {
            if (rr_empty(rr) && (rr_stopped(rr) || (at == 0 && rr_server_is_over(rr)) ||
                                 rr_stalled(rr, rr->moved_ns)))
                return RR_OVER;
        } else {
            rr_look(rr);
            rr_broken(rr, code);
            return RR_OVER;
        }
    }
}

bool rr_tcp_send(struct rr *rr)
{
    size_t at = 0;

    while (at < rr->n_buffer) {
        ssize_t n =
            call_send(rr->flow->fd, rr->buffer + at, rr->n_buffer - at, rr->flags | MSG_NOSIGNAL);
        int code = errno;

        if (n > 0) {
            at += (size_t)n;
            continue;
        }
        rr_look(rr);
        if (code != EAGAIN && code != EINTR) {
            rr_fail(rr, code, "the peer closed the connection before the end");
            return false;
        }
        if (rr_stopped(rr) || rr_stalled(rr, rr->moved_ns))
            return false;
    }
    return true;
}

void rr_udp_number(struct rr *rr)
{
    const struct engine *engine = rr->worker->engine;
    struct datagram d = {.tag = engine->tag,
                         .trial = rr->worker->trial->number,
                         .sequence = ++rr->sequence,
                         .flags = DATAGRAM_MEASURED,
                         .flow = (uint16_t)rr->flow->index};

    datagram_write(&d, rr->buffer);
}

bool rr_udp_send(struct rr *rr)
{
    ssize_t n = call_send(rr->flow->fd, rr->buffer, rr->n_buffer, rr->flags | MSG_NOSIGNAL);
    int code = errno;

    if (n >= 0 || code == EAGAIN || code == EINTR || code == ENOBUFS)
        return true;
    rr_look(rr);
    rr_broken(rr, code);
    return false;
}

enum rr_end rr_udp_receive(struct rr *rr, uint64_t until_ns)
{
    const uint32_t tag = rr->worker->engine->tag, trial = rr->worker->trial->number;

    for (;;) {
        ssize_t n = call_recv(rr->flow->fd, rr->buffer, rr->n_buffer, rr->flags | MSG_TRUNC);
        int code = n < 0 ? errno : 0;
        struct datagram d;

        if (n == (ssize_t)rr->n_buffer) {
            rr->now_ns = clock_mono_ns();
            datagram_read(rr->buffer, &d);
            if (d.tag == tag && d.trial == trial &&
                (!rr->worker->sends || d.sequence == rr->sequence))
                return RR_GOT;
        }
        if (n >= 0)
            rr_look(rr);
        else if (code != EAGAIN && code != EINTR) {
            rr_look(rr);
            rr_broken(rr, code);
            return RR_OVER;
        } else if (!rr_empty(rr))
            continue;
        if (rr_stopped(rr) || (n < 0 && rr_server_is_over(rr)) || rr_stalled(rr, rr->moved_ns))
            return RR_OVER;
        if (rr->now_ns >= until_ns)
            return RR_NOTHING;
    }
}

void rr_report_drops(struct rr *rr)
{
    int64_t drops = rr->drops < 0 ? rr->drops : socket_drops(rr->flow->fd);

    /* The kernel's counter has 32 bits. */
    if (drops >= 0)
        metric_put(&rr->flow->metrics, METRIC_lost_in_socket,
                   (uint32_t)((uint64_t)drops - (uint64_t)rr->drops));
}

/* TCP answers late or not at all; of a UDP request without an answer nothing but this tells. */
void rr_report_loss(struct rr *rr, uint64_t asked, uint64_t answered)
{
    struct metric_set *m = &rr->flow->metrics;
    uint64_t lost = asked > answered ? asked - answered : 0;
    struct stat_interval likely = stat_share_interval(lost, asked);

    if (rr->tcp)
        return;
    metric_put(m, METRIC_timeouts, lost);
    metric_put(m, METRIC_sent, asked);
    metric_put(m, METRIC_received, answered);
    metric_put(m, METRIC_lost, lost);
    if (asked == 0)
        return;
    metric_put_real(m, METRIC_loss_share, (double)lost / (double)asked);
    metric_put_real(m, METRIC_loss_low_share, likely.low);
    metric_put_real(m, METRIC_loss_high_share, likely.high);
}
