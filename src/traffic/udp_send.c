/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "traffic/call.h"
#include "traffic/datagram.h"
#include "traffic/pacing.h"
#include "traffic/udp_stream.h"
#include "traffic/wake.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>

enum {
    UDP_SEND_BATCH =
        32, /* messages a call: more adds nothing, and all of a call carry one departure */
    UDP_SEND_BYTES = 256 << 10,  /* of a call: large datagrams go in smaller batches */
    UDP_SEND_WAIT_MS = 100,      /* for room in the socket, before the next look at engine->stop */
    UDP_SEND_SINGLE = 8,         /* calls of one datagram after a call was cut short */
    UDP_SEND_LATE_NS = CLOCK_MS, /* so late after a wait: it had lost its CPU */
    UDP_SEND_CALM_NS = 200 * CLOCK_MS,
    UDP_SEND_TICK_NS = 10 * CLOCK_MS, /* how often silent flows' intervals are closed */
    UDP_END_COPIES = 10,
    UDP_END_QUICK =
        3, /* the first ones, so soon after each other that one gets past a full queue */
    UDP_END_QUICK_NS = 2 * CLOCK_MS,
    UDP_END_NS = 50 * CLOCK_MS,
};

enum udp_class { UDP_WARMUP, UDP_MEASURED, UDP_TAIL, UDP_CLASS_COUNT };

static const uint16_t udp_class_flag[UDP_CLASS_COUNT] = {DATAGRAM_WARMUP, DATAGRAM_MEASURED,
                                                         DATAGRAM_TAIL};

/* One flow of the worker. */
struct udp_sender {
    struct flow *flow;
    struct pacing pacing;
    uint64_t next[UDP_CLASS_COUNT]; /* sequence numbers */
    uint64_t late, latest_ns, skipped, blocked_ns;
    uint32_t segments; /* datagrams a message */
    uint32_t single;   /* calls to come that take one message */
    uint32_t n_ends;   /* copies of END sent */
    bool ended;        /* the receiver returned END, or is gone */
};

struct udp_send {
    struct worker *worker;
    const struct engine *engine;
    uint64_t start_ns, end_ns; /* of the window */
    uint64_t stop_ns;          /* of the tail */
    uint64_t mark_ns;          /* the next of them */
    uint64_t tick_ns;
    uint64_t calm_ns;           /* until then it waits asleep */
    struct udp_sender *senders; /* owned */
    uint32_t turn;              /* whose turn it is when there is no schedule */
    uint8_t *payloads;          /* owned; of one call */
    struct pollfd *polls;       /* owned */
    uint32_t payload_bytes;     /* of a datagram; of a mix the largest */
    struct iovec iov[UDP_SEND_BATCH];
    struct mmsghdr messages[UDP_SEND_BATCH];
};

uint32_t udp_send_segments(const struct flow_spec *spec, const struct flow_trial *trial,
                           uint32_t n_flows)
{
    double pps = (double)trial->rate_bps / 8 / spec->payload_bytes * n_flows / spec->n_flows;
    uint32_t most = FLOW_MAX_DATAGRAM / spec->payload_bytes;
    double segments = pps / UDP_SINGLES_PPS;

    most = most < FLOW_MAX_GSO ? most : FLOW_MAX_GSO;
    if (spec->imix)
        return 1;
    if (spec->gso)
        return spec->gso;
    if (segments <= 1)
        return 1;
    return segments >= most ? most : (uint32_t)segments + (segments > (uint32_t)segments);
}

/*
 * Have the kernel cut what a call hands over. It cannot when it is too old, and when a datagram is more than the link takes
 * in one piece.
 */
static uint32_t udp_send_cut(const struct udp_send *u, struct flow *flow, uint32_t segments)
{
    int bytes = segments > 1 ? (int)u->payload_bytes : 0, mtu = socket_path_mtu(flow->fd);
    int domain = AF_INET, headers;

    getsockopt(flow->fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
    headers = domain == AF_INET6 ? 48 : 28;
    if (mtu > 0 && bytes > 0 && bytes + headers > mtu)
        segments = 1, bytes = 0;
    /* One that was set for an earlier trial is in force still. */
    return setsockopt(flow->fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, sizeof bytes) < 0 ? 1 : segments;
}

/* From when on, by the schedule of the flow's segments. */
static void udp_send_schedule(const struct udp_send *u, struct udp_sender *s, uint64_t from_ns)
{
    const struct flow_spec *spec = &u->engine->spec;
    uint64_t rate = u->worker->trial->rate_bps;
    uint64_t gap_num = rate ? (uint64_t)8 * CLOCK_S * spec->n_flows : 0;

    if (spec->imix)
        pacing_init_weights(&s->pacing, from_ns, gap_num, rate, flow_imix, FLOW_IMIX_ROUND);
    else
        pacing_init(&s->pacing, from_ns, gap_num * u->payload_bytes * s->segments, rate);
}

/* Buffers for the largest call of any flow. */
static int udp_send_buffers(struct udp_send *u, uint32_t segments)
{
    size_t message = (size_t)segments * u->payload_bytes;
    size_t n = UDP_SEND_BYTES > message * UDP_SEND_BATCH ? message * UDP_SEND_BATCH
               : UDP_SEND_BYTES > message                ? (size_t)UDP_SEND_BYTES
                                                         : message;
    uint32_t filler = 2463534242;

    u->payloads = malloc(n);
    if (!u->payloads)
        return -ENOMEM;
    /* Noise (xorshift), so that a path that compresses gains nothing. */
    for (size_t i = 0; i < n; i++) {
        filler ^= filler << 13;
        filler ^= filler >> 17;
        filler ^= filler << 5;
        u->payloads[i] = (uint8_t)(filler >> 24);
    }
    for (uint32_t i = 0; i < UDP_SEND_BATCH; i++) {
        u->messages[i].msg_hdr.msg_iov = &u->iov[i];
        u->messages[i].msg_hdr.msg_iovlen = 1;
    }
    return 0;
}

static int udp_send_init(struct udp_send *u, struct worker *worker)
{
    const struct flow_trial *trial = worker->trial;
    const struct flow_spec *spec = &worker->engine->spec;
    uint32_t segments = udp_send_segments(spec, trial, worker->n_flows);

    u->worker = worker;
    u->engine = worker->engine;
    u->start_ns = trial_window_start(trial);
    u->end_ns = trial_window_end(trial);
    u->stop_ns = trial_end(trial);
    u->mark_ns = u->start_ns;
    u->payload_bytes = spec->payload_bytes;
    for (int i = 0; spec->imix && i < FLOW_IMIX_ROUND; i++)
        u->payload_bytes = flow_imix[i] > u->payload_bytes ? flow_imix[i] : u->payload_bytes;
    u->senders = calloc(worker->n_flows, sizeof *u->senders);
    u->polls = calloc(worker->n_flows, sizeof *u->polls);
    if (!u->senders || !u->polls || udp_send_buffers(u, segments) < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < worker->n_flows; i++) {
        struct flow *flow = worker->flows[i];
        struct udp_sender *s = &u->senders[i];
        int error;

        s->flow = flow;
        s->segments = udp_send_cut(u, flow, segments);
        u->polls[i] = (struct pollfd){.fd = flow->fd, .events = POLLIN};
        udp_send_schedule(u, s, trial->start_ns);
        /* Flows take turns instead of sending all at once. */
        s->pacing.due_ns +=
            pacing_gap_ns(&s->pacing) / spec->n_flows * (flow->index % spec->n_flows);
        /* What an earlier trial left behind is not this one's error. */
        getsockopt(flow->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    }
    return 0;
}

static void udp_send_done(struct udp_send *u)
{
    free(u->senders);
    free(u->polls);
    free(u->payloads);
}

static enum udp_class udp_send_class(const struct udp_send *u, uint64_t now)
{
    return now < u->start_ns ? UDP_WARMUP : now < u->end_ns ? UDP_MEASURED : UDP_TAIL;
}

/* Edges of the window that now has passed; false when the tail is over. */
static bool udp_send_edges(struct udp_send *u, uint64_t now)
{
    if (now >= u->mark_ns && u->mark_ns == u->start_ns) {
        worker_window_begin(u->worker);
        u->mark_ns = u->end_ns;
    }
    if (now >= u->mark_ns && u->mark_ns == u->end_ns) {
        worker_window_end(u->worker);
        u->mark_ns = u->stop_ns > u->end_ns ? u->stop_ns : UINT64_MAX;
    }
    if (now >= u->tick_ns) {
        for (uint32_t i = 0; i < u->worker->n_flows; i++)
            if (now >= u->senders[i].flow->tally.edge_ns)
                tally_advance(&u->senders[i].flow->tally, now);
        u->tick_ns = now + UDP_SEND_TICK_NS;
    }
    return now < u->stop_ns;
}

/* Wait for room in the socket. */
static void udp_send_block(const struct udp_send *u, struct udp_sender *s, uint64_t now)
{
    struct pollfd poll_fd = {.fd = s->flow->fd, .events = POLLOUT};
    uint64_t after;

    poll(&poll_fd, 1, UDP_SEND_WAIT_MS);
    after = clock_mono_ns();
    if (udp_send_class(u, now) == UDP_MEASURED)
        s->blocked_ns += after - now;
}

/* The path does not take several as one (any more: its MTU fell, or it encrypts): one by one, from here on. */
static bool udp_send_fall_back(const struct udp_send *u, struct udp_sender *s, int error)
{
    if (s->segments == 1 || (error != EINVAL && error != EMSGSIZE && error != EIO))
        return false;
    s->segments = udp_send_cut(u, s->flow, 1);
    udp_send_schedule(u, s, s->pacing.due_ns);
    return true;
}

/*
 * How many of n messages have left, given what sendmmsg() said. What a local queue or firewall
 * dropped has left: it is lost on the path. Negative errno when the flow is over.
 */
static int udp_send_outcome(const struct udp_send *u, struct udp_sender *s, uint64_t now, int said,
                            uint32_t n)
{
    struct pollfd poll_fd = {.fd = s->flow->fd, .events = POLLOUT};

    if (said == (int)n)
        return said;
    if (said < 0) {
        switch (errno) {
        case EAGAIN:
            udp_send_block(u, s, now);
            return 0;
        case EINTR:
            return 0;
        case ENOBUFS:
        case ENOMEM:
        case EPERM:
            return 1;
        default:
            return udp_send_fall_back(u, s, errno) ? 0 : -errno;
        }
    }
    /*
     * The one after those was refused, and why is not told. Without room it was not sent. With room
     * it was dropped here, or an ICMP error was taken: then calls of one datagram let the next such
     * error be the call's own.
     */
    if (poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & POLLOUT) {
        s->single = UDP_SEND_SINGLE;
        return said + 1;
    }
    udp_send_block(u, s, now);
    return said;
}

/* How many messages a call may take. */
static uint32_t udp_send_most(const struct udp_send *u, const struct udp_sender *s)
{
    uint32_t n = UDP_SEND_BYTES / (s->segments * u->payload_bytes);

    if (s->single)
        return 1;
    return n < 1 ? 1 : n < UDP_SEND_BATCH ? n : UDP_SEND_BATCH;
}

/* Headers and lengths of n messages, the first datagram of which is d. */
static void udp_send_lay_out(struct udp_send *u, const struct udp_sender *s,
                             const struct datagram *d, uint32_t n)
{
    size_t message = (size_t)s->segments * u->payload_bytes;
    uint64_t n_datagrams = (uint64_t)n * s->segments;

    datagram_write(d, u->payloads);
    for (uint64_t k = 1; k < n_datagrams; k++)
        datagram_copy(u->payloads, d->sequence + k, u->payloads + k * u->payload_bytes);
    for (uint32_t i = 0; i < n; i++)
        u->iov[i] = (struct iovec){u->payloads + i * message,
                                   s->pacing.weights ? pacing_weight(&s->pacing, i) : message};
}

/* Send n messages that are due; 0 or the negative errno that ends the flow. */
static int udp_send_batch(struct udp_send *u, struct udp_sender *s, uint64_t now, uint32_t n)
{
    enum udp_class class = udp_send_class(u, now);
    uint32_t segments = s->segments;
    struct datagram d = {
        .tag = u->engine->tag,
        .trial = u->worker->trial->number,
        .sequence = s->next[class],
        .departure_ns = now,
        .flags = udp_class_flag[class],
        .flow = (uint16_t)s->flow->index,
        .segments = (uint16_t)segments,
    };
    uint64_t bytes = 0;
    int r;

    udp_send_lay_out(u, s, &d, n);
    s->single -= s->single > 0;
    r = call_sendmmsg(s->flow->fd, u->messages, n, MSG_DONTWAIT);
    r = udp_send_outcome(u, s, now, r, n);
    if (r <= 0)
        return r;

    for (int i = 0; i < r; i++) {
        uint64_t behind = now - pacing_take(&s->pacing);

        bytes += u->iov[i].iov_len;
        if (class != UDP_MEASURED || pacing_is_free(&s->pacing))
            continue;
        if (behind > s->pacing.late_ns)
            s->late += segments;
        if (behind > s->latest_ns)
            s->latest_ns = behind;
    }
    s->next[class] += (uint64_t)(uint32_t)r * segments;
    tally_add(&s->flow->tally, now, bytes, (uint64_t)(uint32_t)r * segments);
    return 0;
}

/* The flow whose turn it is: the one that is due first, or the next one. */
static struct udp_sender *udp_send_next(struct udp_send *u)
{
    struct udp_sender *first = &u->senders[0];

    if (pacing_is_free(&first->pacing)) {
        u->turn = u->turn + 1 < u->worker->n_flows ? u->turn + 1 : 0;
        return &u->senders[u->turn];
    }
    for (uint32_t i = 1; i < u->worker->n_flows; i++)
        if (pacing_next_ns(&u->senders[i].pacing) < pacing_next_ns(&first->pacing))
            first = &u->senders[i];
    return first;
}

/* Until the next send. Who comes late has lost its CPU to others, and sleeps for a while instead of spinning. */
static uint64_t udp_send_wait(struct udp_send *u, uint64_t until)
{
    uint64_t before = clock_mono_ns();
    uint64_t now =
        before < u->calm_ns ? wake_calmly_at(u->engine, until) : wake_at(u->engine, until);

    if (now > until + UDP_SEND_LATE_NS && before < until + UDP_SEND_LATE_NS)
        u->calm_ns = now + UDP_SEND_CALM_NS;
    return now;
}

/* Warm-up, window and tail. 0, -ECANCELED, or the negative errno that ended a flow. */
static int udp_send_data(struct udp_send *u)
{
    while (!wake_stopped(u->engine)) {
        struct udp_sender *s = udp_send_next(u);
        bool is_free = pacing_is_free(&s->pacing);
        uint64_t next = pacing_next_ns(&s->pacing), until = next < u->mark_ns ? next : u->mark_ns;
        uint64_t now = is_free ? clock_mono_ns() : udp_send_wait(u, until);
        uint64_t skipped = s->pacing.skipped;
        uint32_t n;
        int r;

        if (!udp_send_edges(u, now))
            return 0;
        n = pacing_due(&s->pacing, now, udp_send_most(u, s));
        if (udp_send_class(u, now) == UDP_MEASURED)
            s->skipped += (s->pacing.skipped - skipped) * s->segments;
        if (n == 0)
            continue;
        r = udp_send_batch(u, s, now, n);
        if (r < 0) {
            worker_fail(u->worker, s->flow, -r,
                        r == -EMSGSIZE ? "sending a datagram of this size" : "sending a datagram");
            return r;
        }
    }
    return -ECANCELED;
}

static void udp_send_read_answers(struct udp_send *u, struct udp_sender *s)
{
    uint8_t bytes[DATAGRAM_BYTES];
    struct datagram d;

    for (;;) {
        ssize_t n = recv(s->flow->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == ECONNREFUSED)
            s->ended = true; /* the receiver has closed: there is nobody to wait for */
        if (n < 0)
            return;
        if (n < DATAGRAM_BYTES)
            continue;
        datagram_read(bytes, &d);
        if (d.tag == u->engine->tag && d.trial == u->worker->trial->number &&
            d.flags == (DATAGRAM_END | DATAGRAM_ANSWER))
            s->ended = true;
    }
}

/* A copy of END on each flow that has not been answered; how many flows those are. */
static uint32_t udp_send_ends(struct udp_send *u)
{
    uint32_t n_waiting = 0;

    for (uint32_t i = 0; i < u->worker->n_flows; i++) {
        struct udp_sender *s = &u->senders[i];
        uint8_t bytes[DATAGRAM_BYTES];
        struct datagram d = {
            .tag = u->engine->tag,
            .trial = u->worker->trial->number,
            .sequence = s->next[UDP_MEASURED],
            .departure_ns = clock_mono_ns(),
            .flags = DATAGRAM_END,
            .flow = (uint16_t)s->flow->index,
        };

        if (s->ended || s->n_ends >= UDP_END_COPIES)
            continue;
        datagram_write(&d, bytes);
        /*
         * A full socket did not take it: that copy does not count. Any other failure is as good as
         * a loss.
         */
        if (send(s->flow->fd, bytes, sizeof bytes, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
            s->n_ends++;
        n_waiting++;
    }
    return n_waiting;
}

/* Tell the receiver how many there were, until it says it knows. */
static void udp_send_finish(struct udp_send *u)
{
    uint64_t give_up = clock_mono_ns() + CLOCK_S;

    for (uint32_t round = 1; !wake_stopped(u->engine) && udp_send_ends(u) > 0; round++) {
        uint64_t now = clock_mono_ns();
        uint64_t until =
            now + (round < UDP_END_QUICK ? (uint64_t)UDP_END_QUICK_NS : (uint64_t)UDP_END_NS);

        if (now > give_up)
            return;
        for (; now < until; now = clock_mono_ns()) {
            uint32_t n_ended = 0;

            poll(u->polls, u->worker->n_flows, clock_ms_until(until));
            for (uint32_t i = 0; i < u->worker->n_flows; i++) {
                if (u->polls[i].revents && !u->senders[i].ended)
                    udp_send_read_answers(u, &u->senders[i]);
                if (u->senders[i].ended)
                    u->polls[i].fd = -1;
                n_ended += u->senders[i].ended;
            }
            if (n_ended == u->worker->n_flows || wake_stopped(u->engine))
                return;
        }
    }
}

/* Bytes, packets and rates of the window follow from the tally: merge.c adds them. */
static void udp_send_report(const struct udp_send *u)
{
    for (uint32_t i = 0; i < u->worker->n_flows; i++) {
        struct udp_sender *s = &u->senders[i];
        struct metric_set *m = &s->flow->metrics;
        int buffer = 0, mtu = socket_path_mtu(s->flow->fd);

        metric_put(m, METRIC_sent, s->next[UDP_MEASURED]);
        metric_put(m, METRIC_blocked_ns, s->blocked_ns);
        metric_put(m, METRIC_segments, s->segments);
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

void udp_send_run(struct worker *worker)
{
    AUTO(free_p) struct udp_send *u = calloc(1, sizeof *u);
    int r;

    if (!u || udp_send_init(u, worker) < 0) {
        worker->error = ENOMEM;
        text_copy(worker->what, sizeof worker->what, "making buffers for sending");
    } else if (worker_sleep_until(worker, worker->trial->start_ns)) {
        wake_take_short_turns();
        r = udp_send_data(u);
        worker_window_end(worker);
        if (r == 0)
            udp_send_finish(u);
        udp_send_report(u);
    }
    if (u)
        udp_send_done(u);
}
