/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "interop/foreign_datagram.h"
#include "interop/foreign_udp.h"
#include "traffic/arrival.h"
#include "traffic/call.h"
#include "traffic/sequence.h"
#include "traffic/stamp.h"
#include "traffic/wake.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* By a timer and not by wake-ups, as udp_receive.c in traffic/ tells why. */
enum {
    FOREIGN_RECEIVE_BATCH = 128,
    FOREIGN_RECEIVE_CALLS = 64, /* of a drain, before a look at the time */
    FOREIGN_NAP_NS = 200 * CLOCK_US,
    FOREIGN_IDLE_NS = 20 * CLOCK_MS, /* silent for so long: wait in poll() */
    FOREIGN_POLL_MS = 20,
    FOREIGN_LATE_MOST = 1 << 20, /* datagrams; a peer that never ends does not hold us */
};

struct foreign_receiver {
    struct flow *flow;
    struct foreign_flow *left;
    struct stamp stamp;
    struct arrival arrival;
    union socket_address peer; /* iperf2: whose datagrams are taken; no family: everybody's */
    uint32_t n_taken;          /* up to FOREIGN_PROOF */
    bool begun;                /* something of the window came: */
    uint64_t first;            /* its first number */
    uint64_t last_ns;          /* when something was read last; 0 never */
    int64_t drops;
    struct sequence sequence;
};

struct foreign_receive {
    struct worker *worker;
    struct foreign_side *side;
    uint64_t start_ns, end_ns;
    uint64_t stop_ns; /* when the stop was seen; 0 not yet */
    bool begun;
    uint32_t head_bytes;
    struct foreign_receiver *receivers; /* owned */
    struct pollfd *polls;               /* owned */
    uint8_t head[FOREIGN_RECEIVE_BATCH][FOREIGN_HEAD_BYTES];
    struct iovec iov[FOREIGN_RECEIVE_BATCH];
    struct mmsghdr messages[FOREIGN_RECEIVE_BATCH];
    union socket_address from[FOREIGN_RECEIVE_BATCH]; /* iperf2 */
    _Alignas(struct cmsghdr) uint8_t control[FOREIGN_RECEIVE_BATCH][STAMP_CONTROL_BYTES];
};

static int foreign_receive_init(struct foreign_receive *u, struct worker *worker)
{
    u->worker = worker;
    u->side = foreign_side_of(worker);
    u->start_ns = trial_window_start(worker->trial);
    u->end_ns = trial_window_end(worker->trial);
    u->head_bytes = foreign_head_bytes(u->side->form);
    u->receivers = calloc(worker->n_flows, sizeof *u->receivers);
    u->polls = calloc(worker->n_flows + 1, sizeof *u->polls);
    if (!u->receivers || !u->polls)
        return -ENOMEM;
    for (uint32_t i = 0; i < FOREIGN_RECEIVE_BATCH; i++) {
        /* Only the header is copied; MSG_TRUNC tells the datagram's length all the same. */
        u->iov[i] = (struct iovec){u->head[i], FOREIGN_HEAD_BYTES};
        u->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &u->iov[i],
            .msg_iovlen = 1,
            .msg_control = u->control[i],
            .msg_controllen = STAMP_CONTROL_BYTES,
        };
        if (u->side->form == FOREIGN_IPERF2)
            u->messages[i].msg_hdr.msg_name = &u->from[i];
    }
    u->polls[worker->n_flows] = (struct pollfd){.fd = worker->engine->stop_fd, .events = POLLIN};
    for (uint32_t i = 0; i < worker->n_flows; i++) {
        struct foreign_receiver *r = &u->receivers[i];
        socklen_t len = sizeof r->peer;

        r->flow = worker->flows[i];
        r->left = &u->side->flows[r->flow->index];
        *r->left = (struct foreign_flow){0};
        arrival_init(&r->arrival, worker->trial->duration_ns);
        r->drops = socket_drops(r->flow->fd);
        if (u->side->form == FOREIGN_IPERF2)
            getpeername(r->flow->fd, &r->peer.any, &len);
        u->polls[i] = (struct pollfd){.fd = r->flow->fd, .events = POLLIN};
    }
    return 0;
}

static void foreign_receive_done(struct foreign_receive *u)
{
    free(u->receivers);
    free(u->polls);
}

/* An iperf2 socket was the listener before it was connected: others' datagrams may wait in it. */
static bool foreign_is_peer(const struct foreign_receiver *r, const union socket_address *from)
{
    if (r->peer.any.sa_family == AF_INET)
        return from->v4.sin_port == r->peer.v4.sin_port &&
               from->v4.sin_addr.s_addr == r->peer.v4.sin_addr.s_addr;
    return r->peer.any.sa_family != AF_INET6 ||
           (from->v6.sin6_port == r->peer.v6.sin6_port &&
            memcmp(&from->v6.sin6_addr, &r->peer.v6.sin6_addr, sizeof from->v6.sin6_addr) == 0);
}

static void foreign_receive_take(struct foreign_receive *u, struct foreign_receiver *r, uint32_t i)
{
    uint32_t bytes = u->messages[i].msg_len;
    struct foreign_datagram d;
    uint64_t arrived;

    if (!foreign_is_peer(r, &u->from[i]))
        return;
    r->last_ns = r->stamp.now_ns;
    if (bytes < u->head_bytes) /* a repeated request for the stream */
        return;
    if (r->n_taken < FOREIGN_PROOF && ++r->n_taken == FOREIGN_PROOF && u->side->proven)
        atomic_store_explicit(u->side->proven, true, memory_order_relaxed);
    foreign_datagram_read(u->side->form, u->head[i], bytes, &d);
    if (d.number < 0) {
        if (u->side->form != FOREIGN_IPERF2 || r->left->finished || d.number == INT64_MIN)
            return;
        /* The last one, which counts like the others: so does iperf2's server. */
        r->left->finished = true;
        d.number = -d.number;
    }
    arrived = stamp_arrival_ns(&r->stamp, &u->messages[i].msg_hdr);
    tally_add(&r->flow->tally, arrived, bytes, 1);
    if (arrived < u->start_ns) {
        if ((uint64_t)d.number > r->left->total)
            r->left->total = r->left->omitted = (uint64_t)d.number;
        return;
    }
    if (!r->begun) /* iperf2 may begin with 0 */
        r->first = r->left->total || d.number ? r->left->total + 1 : 0;
    r->begun = true;
    if ((uint64_t)d.number > r->left->total)
        r->left->total = (uint64_t)d.number;
    /* What was sent in the warm-up and came late is no measured datagram. */
    if ((uint64_t)d.number < r->first || !sequence_add(&r->sequence, (uint64_t)d.number - r->first))
        return;
    arrival_add(&r->arrival, d.departed_ns, arrived, 1);
}

/* Take what has come; true when the socket was empty in the end. */
static bool foreign_receive_drain(struct foreign_receive *u, struct foreign_receiver *r)
{
    for (int call = 0; call < FOREIGN_RECEIVE_CALLS; call++) {
        uint64_t before = clock_mono_ns();
        int n;

        for (uint32_t i = 0; i < FOREIGN_RECEIVE_BATCH && u->side->form == FOREIGN_IPERF2; i++)
            u->messages[i].msg_hdr.msg_namelen = sizeof u->from[i];
        n = call_recvmmsg(r->flow->fd, u->messages, FOREIGN_RECEIVE_BATCH,
                          MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (before >= r->flow->tally.edge_ns)
                tally_advance(&r->flow->tally, before);
            return true;
        }
        stamp_sync(&r->stamp);
        for (int i = 0; i < n; i++) {
            foreign_receive_take(u, r, (uint32_t)i);
            u->messages[i].msg_hdr.msg_controllen = STAMP_CONTROL_BYTES;
        }
        if (n < FOREIGN_RECEIVE_BATCH)
            return true;
    }
    return false;
}

/* One round over the flows: when something was read last, and how many are not finished. */
static uint32_t foreign_receive_round(struct foreign_receive *u, uint64_t *ret_last_ns,
                                      bool *ret_busy)
{
    uint32_t n_open = 0;

    *ret_busy = false;
    for (uint32_t i = 0; i < u->worker->n_flows; i++) {
        struct foreign_receiver *r = &u->receivers[i];

        *ret_busy |= !foreign_receive_drain(u, r);
        n_open += !r->left->finished;
        *ret_last_ns = r->last_ns > *ret_last_ns ? r->last_ns : *ret_last_ns;
    }
    return n_open;
}

static void foreign_receive_wait(struct foreign_receive *u, uint64_t now, uint64_t last_ns)
{
    const struct timespec nap = {.tv_nsec = FOREIGN_NAP_NS};

    if (last_ns && now - last_ns < FOREIGN_IDLE_NS)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    else
        poll(u->polls, u->worker->n_flows + (u->stop_ns ? 0 : 1), FOREIGN_POLL_MS);
}

/* The window's edges: CPU time, and drops of the socket from its beginning on. */
static void foreign_receive_edges(struct foreign_receive *u, uint64_t now)
{
    if (now >= u->end_ns)
        worker_window_end(u->worker);
    if (now < u->start_ns || u->begun)
        return;
    u->begun = true;
    worker_window_begin(u->worker);
    for (uint32_t i = 0; i < u->worker->n_flows; i++)
        u->receivers[i].drops = socket_drops(u->receivers[i].flow->fd);
}

/* Is it over? After the stop, or after the window, once nothing has come for a while. */
static bool foreign_receive_over(const struct foreign_receive *u, uint64_t now, uint64_t last_ns)
{
    uint64_t end = u->stop_ns && u->stop_ns < u->end_ns ? u->stop_ns : u->end_ns;

    return now >= end && (now - (last_ns > end ? last_ns : end) >= FOREIGN_QUIET_NS ||
                          now - end >= FOREIGN_QUIET_MOST_NS);
}

/* Too few datagrams, and for too long. */
static bool foreign_unproven(const struct foreign_receive *u, uint64_t age_ns)
{
    uint32_t n = 0;

    for (uint32_t i = 0; u->side->proof_ns && age_ns > u->side->proof_ns && i < u->worker->n_flows;
         i++)
        n += u->receivers[i].n_taken < FOREIGN_PROOF;
    return n > 0;
}

/* 0, or -ETIMEDOUT: nothing came for too long. */
static int foreign_receive_loop(struct foreign_receive *u)
{
    uint64_t last = 0, begin = clock_mono_ns(), now;
    bool busy;

    for (;;) {
        uint32_t n_open = foreign_receive_round(u, &last, &busy);

        now = clock_mono_ns();
        foreign_receive_edges(u, now);
        if (!u->stop_ns &&
            (wake_stopped(u->worker->engine) || u->polls[u->worker->n_flows].revents))
            u->stop_ns = now;
        if ((u->side->until_finished && n_open == 0) || foreign_receive_over(u, now, last))
            return 0;
        if (u->side->idle_ns &&
            now > u->side->idle_ns +
                      (last > u->worker->trial->start_ns ? last : u->worker->trial->start_ns))
            return -ETIMEDOUT;
        if (foreign_unproven(u, now - begin))
            return -ETIMEDOUT;
        if (!busy)
            foreign_receive_wait(u, now, last);
    }
}

static void foreign_receive_report(struct foreign_receive *u)
{
    uint64_t now = u->stop_ns ? u->stop_ns : clock_mono_ns();

    for (uint32_t i = 0; i < u->worker->n_flows; i++) {
        struct foreign_receiver *r = &u->receivers[i];
        struct metric_set *m = &r->flow->metrics;
        int64_t drops = socket_drops(r->flow->fd);
        int buffer = 0;

        r->left->bytes = tally_window(&r->flow->tally).bytes;
        r->left->begin_ns = u->start_ns;
        r->left->end_ns = now < u->start_ns ? 0 : now;
        if (r->last_ns > r->left->end_ns)
            r->left->end_ns = r->last_ns;
        if (u->end_ns < r->left->end_ns)
            r->left->end_ns = u->end_ns;
        if (u->side->until_finished) {
            r->left->begin_ns = r->arrival.first_ns;
            r->left->end_ns = r->arrival.last_ns;
        }
        r->left->lost = sequence_end(&r->sequence, 0);
        r->left->received = r->sequence.received;
        r->left->reordered = r->sequence.reordered;
        r->left->jitter_ns = r->arrival.n >= 2 ? arrival_jitter_ns(&r->arrival) : 0;
        metric_put(m, METRIC_received, r->sequence.received);
        metric_put(m, METRIC_reordered, r->sequence.reordered);
        metric_put(m, METRIC_duplicated, r->sequence.duplicated);
        metric_put(m, METRIC_longest_loss, r->sequence.longest_loss);
        if (drops >= 0 && r->drops >= 0)
            metric_put(m, METRIC_lost_in_socket, (uint32_t)((uint64_t)drops - (uint64_t)r->drops));
        if (r->arrival.n >= 2) {
            metric_put_real(m, METRIC_jitter_ns, r->left->jitter_ns);
            metric_put(m, METRIC_spread_ns, arrival_spread_ns(&r->arrival));
        }
        if (getsockopt(r->flow->fd, SOL_SOCKET, SO_RCVBUF, &buffer, &(socklen_t){sizeof buffer}) ==
            0)
            metric_put(m, METRIC_receive_buffer_bytes, (uint64_t)buffer);
    }
}

void foreign_udp_answer(struct worker *worker)
{
    AUTO(free_p) struct foreign_receive *u = calloc(1, sizeof *u);

    if (!u || foreign_receive_init(u, worker) < 0) {
        worker_fail(worker, worker->flows[0], ENOMEM, "making buffers for receiving");
    } else {
        if (foreign_receive_loop(u) < 0)
            worker_fail(worker, worker->flows[0], ETIMEDOUT, "nothing arrived any more");
        foreign_receive_report(u);
    }
    if (u)
        foreign_receive_done(u);
}

void foreign_udp_take_late(enum foreign_form form, int fd, struct foreign_flow *flow)
{
    uint32_t head_bytes = foreign_head_bytes(form);

    for (int i = 0; i < FOREIGN_LATE_MOST; i++) {
        uint8_t head[FOREIGN_HEAD_BYTES] = {0};
        struct foreign_datagram d;
        ssize_t n = recv(fd, head, sizeof head, MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0 && errno != EINTR)
            return;
        if (n < (ssize_t)head_bytes)
            continue;
        foreign_datagram_read(form, head, (uint32_t)n, &d);
        if (d.number <= 0 || (uint64_t)d.number <= flow->total)
            continue;
        flow->lost += (uint64_t)d.number - flow->total - 1;
        flow->total = (uint64_t)d.number;
        flow->received++;
    }
}

const struct endpoint_ops foreign_udp = {
    .kind = FLOW_UDP_STREAM, .ask = foreign_udp_ask, .answer = foreign_udp_answer};
