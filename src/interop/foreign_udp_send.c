/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "interop/foreign_datagram.h"
#include "interop/foreign_udp.h"
#include "traffic/call.h"
#include "traffic/pacing.h"
#include "traffic/wake.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOREIGN_BATCH = 32, /* datagrams a call */
    FOREIGN_BATCH_BYTES = 256 << 10,
    FOREIGN_ROOM_MS = 100, /* for room in the socket, before the next look at the engine's stop */
    FOREIGN_TICK_NS = 10 * CLOCK_MS, /* how often intervals in which nothing left are closed */
};

struct foreign_sender {
    struct flow *flow;
    struct foreign_flow *left;
    struct pacing pacing;
    uint64_t sent; /* in the window */
    uint64_t late, latest_ns, skipped, blocked_ns;
};

struct foreign_send {
    struct worker *worker;
    enum foreign_form form;
    uint64_t start_ns, end_ns, tick_ns;
    struct foreign_sender *senders; /* owned */
    uint8_t *payloads;              /* owned */
    uint32_t turn, batch, payload_bytes;
    struct iovec iov[FOREIGN_BATCH];
    struct mmsghdr messages[FOREIGN_BATCH];
};

static void foreign_send_done(struct foreign_send *u)
{
    free(u->senders);
    free(u->payloads);
}

static int foreign_send_init(struct foreign_send *u, struct worker *worker)
{
    const struct flow_trial *trial = worker->trial;
    const struct flow_spec *spec = &worker->engine->spec;
    uint64_t gap_num =
        trial->rate_bps ? (uint64_t)spec->payload_bytes * 8 * CLOCK_S * spec->n_flows : 0;

    *u = (struct foreign_send){.worker = worker,
                               .form = foreign_side_of(worker)->form,
                               .start_ns = trial_window_start(trial),
                               .end_ns = trial_window_end(trial),
                               .payload_bytes = spec->payload_bytes};
    u->batch = FOREIGN_BATCH_BYTES / u->payload_bytes;
    u->batch = u->batch < FOREIGN_BATCH ? u->batch : FOREIGN_BATCH;
    u->senders = calloc(worker->n_flows, sizeof *u->senders);
    u->payloads = calloc(u->batch, u->payload_bytes);
    if (!u->senders || !u->payloads)
        return -ENOMEM;
    /* iperf2 takes what follows its header for flags where it is not 0: noise only for iperf3. */
    for (size_t i = 0; u->form != FOREIGN_IPERF2 && i < (size_t)u->batch * u->payload_bytes; i++)
        u->payloads[i] = (uint8_t)((i * 2654435761u) >> 13);
    for (uint32_t i = 0; i < u->batch; i++) {
        uint8_t *payload = u->payloads + (size_t)i * u->payload_bytes;

        if (u->form == FOREIGN_IPERF2 && u->payload_bytes >= IPERF2_HEADER_BYTES)
            payload[IPERF2_DATAGRAM_BYTES] = IPERF2_WIDE_NUMBERS >> 24;
        u->iov[i] = (struct iovec){payload, u->payload_bytes};
        u->messages[i].msg_hdr = (struct msghdr){.msg_iov = &u->iov[i], .msg_iovlen = 1};
    }
    for (uint32_t i = 0; i < worker->n_flows; i++) {
        struct foreign_sender *s = &u->senders[i];

        s->flow = worker->flows[i];
        s->left = &foreign_side_of(worker)->flows[s->flow->index];
        *s->left = (struct foreign_flow){0};
        pacing_init(&s->pacing, trial->start_ns, gap_num, trial->rate_bps);
        /* Flows take turns instead of sending all at once. */
        s->pacing.due_ns += s->pacing.gap_ns / spec->n_flows * (s->flow->index % spec->n_flows);
    }
    return 0;
}

/* Edges that now has passed; false when the window is over. */
static bool foreign_send_edges(struct foreign_send *u, uint64_t now)
{
    if (now >= u->start_ns)
        worker_window_begin(u->worker);
    if (now >= u->tick_ns) {
        for (uint32_t i = 0; i < u->worker->n_flows; i++)
            tally_advance(&u->senders[i].flow->tally, now);
        u->tick_ns = now + FOREIGN_TICK_NS;
    }
    return now < u->end_ns;
}

static void foreign_send_block(struct foreign_sender *s, uint64_t now)
{
    struct pollfd p = {.fd = s->flow->fd, .events = POLLOUT};

    poll(&p, 1, FOREIGN_ROOM_MS);
    s->blocked_ns += clock_mono_ns() - now;
}

/*
 * How many of n have left. What a local queue or a firewall dropped has left, and is lost on the path; a peer's port
 * that is closed is known by the control connection.
 */
static int foreign_send_call(struct foreign_send *u, struct foreign_sender *s, uint64_t now,
                             uint32_t n)
{
    int r = call_sendmmsg(s->flow->fd, u->messages, n, MSG_DONTWAIT);

    if (r >= 0)
        return r;
    switch (errno) {
    case EAGAIN:
        foreign_send_block(s, now);
        return 0;
    case EINTR:
        return 0;
    case ENOBUFS:
    case ENOMEM:
    case EPERM:
    case ECONNREFUSED:
        return 1;
    default:
        return -errno;
    }
}

static int foreign_send_batch(struct foreign_send *u, struct foreign_sender *s, uint64_t now,
                              uint32_t n)
{
    struct foreign_datagram d = {.number = (int64_t)s->left->total + 1, .departed_ns = now};
    int r;

    for (uint32_t i = 0; i < n; i++, d.number++)
        foreign_datagram_write(u->form, &d, u->payloads + (size_t)i * u->payload_bytes);
    r = foreign_send_call(u, s, now, n);
    if (r <= 0)
        return r;
    s->left->total += (uint32_t)r;
    tally_add(&s->flow->tally, now, (uint64_t)(uint32_t)r * u->payload_bytes, (uint32_t)r);
    if (now < u->start_ns)
        s->left->omitted += (uint32_t)r;
    for (int i = 0; i < r && !pacing_is_free(&s->pacing); i++) {
        uint64_t behind = now - pacing_take(&s->pacing);

        if (now < u->start_ns)
            continue;
        s->late += behind > s->pacing.late_ns;
        s->latest_ns = behind > s->latest_ns ? behind : s->latest_ns;
    }
    return 0;
}

/* The flow whose turn it is: the one that is due first, or the next one. */
static struct foreign_sender *foreign_send_next(struct foreign_send *u)
{
    struct foreign_sender *first = &u->senders[0];

    if (pacing_is_free(&first->pacing)) {
        u->turn = u->turn + 1 < u->worker->n_flows ? u->turn + 1 : 0;
        return &u->senders[u->turn];
    }
    for (uint32_t i = 1; i < u->worker->n_flows; i++)
        if (u->senders[i].pacing.due_ns < first->pacing.due_ns)
            first = &u->senders[i];
    return first;
}

static void foreign_send_loop(struct foreign_send *u)
{
    while (!wake_stopped(u->worker->engine)) {
        struct foreign_sender *s = foreign_send_next(u);
        uint64_t due = pacing_next_ns(&s->pacing), until = due < u->end_ns ? due : u->end_ns;
        uint64_t now =
            pacing_is_free(&s->pacing) ? clock_mono_ns() : wake_at(u->worker->engine, until);
        uint64_t skipped = s->pacing.skipped;
        uint32_t n;
        int r;

        if (!foreign_send_edges(u, now))
            return;
        n = pacing_due(&s->pacing, now, u->batch);
        if (now >= u->start_ns)
            s->skipped += s->pacing.skipped - skipped;
        r = n ? foreign_send_batch(u, s, now, n) : 0;
        if (r < 0) {
            worker_fail(u->worker, s->flow, -r,
                        r == -EMSGSIZE ? "sending a datagram of this size" : "sending a datagram");
            return;
        }
    }
}

static void foreign_send_report(struct foreign_send *u)
{
    uint64_t now = clock_mono_ns();

    for (uint32_t i = 0; i < u->worker->n_flows; i++) {
        struct foreign_sender *s = &u->senders[i];
        struct metric_set *m = &s->flow->metrics;
        int buffer = 0, mtu = socket_path_mtu(s->flow->fd);

        s->left->bytes = tally_window(&s->flow->tally).bytes;
        s->left->begin_ns = u->start_ns;
        s->left->end_ns = now < u->start_ns ? 0 : now < u->end_ns ? now : u->end_ns;
        metric_put(m, METRIC_sent, s->left->total - s->left->omitted);
        metric_put(m, METRIC_blocked_ns, s->blocked_ns);
        if (!pacing_is_free(&s->pacing)) {
            metric_put(m, METRIC_late, s->late);
            metric_put(m, METRIC_latest_ns, s->latest_ns);
            metric_put(m, METRIC_skipped, s->skipped);
        }
        if (mtu > 0)
            metric_put(m, METRIC_pmtu_bytes, (uint64_t)mtu);
        if (getsockopt(s->flow->fd, SOL_SOCKET, SO_SNDBUF, &buffer, &(socklen_t){sizeof buffer}) ==
            0)
            metric_put(m, METRIC_send_buffer_bytes, (uint64_t)buffer);
    }
}

void foreign_udp_ask(struct worker *worker)
{
    AUTO(free_p) struct foreign_send *u = calloc(1, sizeof *u);

    if (!u || foreign_send_init(u, worker) < 0) {
        worker_fail(worker, worker->flows[0], ENOMEM, "making buffers for sending");
    } else if (worker_sleep_until(worker, worker->trial->start_ns)) {
        foreign_send_loop(u);
        worker_window_end(worker);
        foreign_send_report(u);
    }
    if (u)
        foreign_send_done(u);
}
