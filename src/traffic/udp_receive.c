/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "traffic/arrival.h"
#include "traffic/datagram.h"
#include "traffic/sequence.h"
#include "traffic/stamp.h"
#include "traffic/udp_stream.h"
#include "traffic/wake.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/*
 * The receiver goes by a timer and not by wake-ups: while data flows it sleeps 200 µs and takes all
 * that has come. So the sender's kernel does not pay for waking it with every datagram, which at
 * high rates is more than the sending itself.
 */
enum {
    UDP_RECEIVE_BATCH = 256,
    UDP_RECEIVE_CALLS = 64, /* of a drain, before a look at the time */
    UDP_NAP_NS = 200 * CLOCK_US,
    UDP_IDLE_NS = 20 * CLOCK_MS, /* silent for so long: wait in poll() */
    UDP_POLL_MS = 100,
    UDP_ANSWERS = 3, /* to the first END; one to each further copy */
    /* After END, when some are missing: silence before they are given up. A probe cannot wait as long as a test. */
    UDP_STRAGGLE_NS = 100 * CLOCK_MS,
    UDP_STRAGGLE_PROBE_NS = 5 * CLOCK_MS,
    UDP_PROBE_MOST_NS = 500 * CLOCK_MS, /* a shorter trial counts as a probe */
    UDP_SILENT_NS = 200 * CLOCK_MS,     /* without END: silence before the trial is over */
    UDP_OVERTIME_NS = CLOCK_S,          /* without END: at the most so long after the trial's end */
};

/* One flow of the worker. */
struct udp_receiver {
    struct flow *flow;
    struct stamp stamp;
    struct arrival arrival;
    uint64_t measured_bytes,
        first_bytes;  /* payload of different measured datagrams; of the first of them */
    uint64_t last_ns; /* when something of this trial was read last; 0 never */
    uint64_t sent;    /* measured ones, as END says */
    uint64_t n_ends;
    int64_t drops; /* of the socket, when the window began */
    bool done;
    struct sequence sequence;
};

struct udp_receive {
    struct worker *worker;
    struct engine *engine;
    const struct flow_trial *trial;
    uint64_t stall_ns;
    bool begun;                     /* the window has */
    struct udp_receiver *receivers; /* owned */
    struct pollfd *polls;           /* owned */
    uint8_t head[UDP_RECEIVE_BATCH][DATAGRAM_BYTES];
    struct iovec iov[UDP_RECEIVE_BATCH];
    struct mmsghdr messages[UDP_RECEIVE_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[UDP_RECEIVE_BATCH][STAMP_CONTROL_BYTES];
};

static int udp_receive_init(struct udp_receive *u, struct worker *worker)
{
    const struct flow_spec *spec = &worker->engine->spec;

    u->worker = worker;
    u->engine = worker->engine;
    u->trial = worker->trial;
    u->stall_ns = ENDPOINT_STALL_S * (uint64_t)CLOCK_S;
    if (u->trial->rate_bps) /* a slow flow may be silent for that long by design */
        u->stall_ns += 4 * (uint64_t)((double)spec->payload_bytes * 8 * CLOCK_S * spec->n_flows /
                                      (double)u->trial->rate_bps);
    u->receivers = calloc(worker->n_flows, sizeof *u->receivers);
    u->polls = calloc(worker->n_flows, sizeof *u->polls);
    if (!u->receivers || !u->polls)
        return -ENOMEM;
    for (uint32_t i = 0; i < UDP_RECEIVE_BATCH; i++) {
        /* Only the header is copied; MSG_TRUNC tells the datagram's length all the same. */
        u->iov[i] = (struct iovec){u->head[i], DATAGRAM_BYTES};
        u->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &u->iov[i],
            .msg_iovlen = 1,
            .msg_control = u->control[i],
            .msg_controllen = STAMP_CONTROL_BYTES,
        };
    }
    for (uint32_t i = 0; i < worker->n_flows; i++) {
        u->receivers[i].flow = worker->flows[i];
        u->receivers[i].drops = socket_drops(worker->flows[i]->fd);
        arrival_init(&u->receivers[i].arrival, u->trial->duration_ns);
        u->polls[i] = (struct pollfd){.fd = worker->flows[i]->fd, .events = POLLIN};
    }
    return 0;
}

static void udp_receive_done(struct udp_receive *u)
{
    free(u->receivers);
    free(u->polls);
}

/* END goes back as it came, so that the sender stops asking. */
static void udp_receive_answer(struct udp_receiver *r, const struct datagram *end)
{
    struct datagram answer = *end;
    uint8_t bytes[DATAGRAM_BYTES];

    answer.flags = DATAGRAM_END | DATAGRAM_ANSWER;
    datagram_write(&answer, bytes);
    for (uint64_t i = r->n_ends ? UDP_ANSWERS - 1 : 0; i < UDP_ANSWERS; i++)
        send(r->flow->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    r->sent = end->sequence;
    r->n_ends++;
}

/* Not of this session; a late copy of our own hello is no offence. */
static void udp_receive_refuse(struct udp_receive *u, const uint8_t *head, uint32_t bytes)
{
    struct token_hello hello;

    if (bytes == TOKEN_HELLO_BYTES && token_read_hello(&u->engine->spec, head, &hello) == 0)
        return;
    __atomic_fetch_add(&u->engine->refused, 1, __ATOMIC_RELAXED);
}

static void udp_receive_take(struct udp_receive *u, struct udp_receiver *r, uint32_t i)
{
    uint32_t bytes = u->messages[i].msg_len;
    struct datagram d;
    uint64_t arrived;

    if (bytes < DATAGRAM_BYTES)
        return;
    datagram_read(u->head[i], &d);
    if (d.tag != u->engine->tag) {
        udp_receive_refuse(u, u->head[i], bytes);
        return;
    }
    if (d.trial != u->trial->number || d.flow != r->flow->index)
        return;
    r->last_ns = r->stamp.now_ns;
    if (d.flags == DATAGRAM_END) {
        udp_receive_answer(r, &d);
        return;
    }
    if (d.flags != DATAGRAM_WARMUP && d.flags != DATAGRAM_MEASURED && d.flags != DATAGRAM_TAIL)
        return;
    arrived = stamp_arrival_ns(&r->stamp, &u->messages[i].msg_hdr);
    tally_add(&r->flow->tally, arrived, bytes, 1);
    if (d.flags != DATAGRAM_MEASURED || !sequence_add(&r->sequence, d.sequence))
        return;
    if (r->arrival.n == 0)
        r->first_bytes = bytes;
    r->measured_bytes += bytes;
    arrival_add(&r->arrival, d.departure_ns, arrived);
}

/* Take what has come; true when the socket was empty in the end. */
static bool udp_receive_drain(struct udp_receive *u, struct udp_receiver *r)
{
    for (int call = 0; call < UDP_RECEIVE_CALLS; call++) {
        uint64_t before = clock_mono_ns();
        int n =
            recvmmsg(r->flow->fd, u->messages, UDP_RECEIVE_BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            /*
             * Empty (or our END's answer met nobody, which the sender's side will tell). What comes
             * from now on is later.
             */
            if (before >= r->flow->tally.edge_ns)
                tally_advance(&r->flow->tally, before);
            return true;
        }
        stamp_sync(&r->stamp);
        for (int i = 0; i < n; i++) {
            udp_receive_take(u, r, (uint32_t)i);
            u->messages[i].msg_hdr.msg_controllen = STAMP_CONTROL_BYTES;
        }
        if (n < UDP_RECEIVE_BATCH)
            return true;
    }
    return false;
}

/* Is nothing more to be waited for? Called when the socket is empty. */
static bool udp_receive_over(const struct udp_receive *u, const struct udp_receiver *r,
                             uint64_t now)
{
    uint64_t end = trial_end(u->trial), quiet = r->last_ns > end ? r->last_ns : end;

    if (now < trial_window_end(u->trial))
        return false;
    if (r->n_ends)
        return r->sequence.received >= r->sent ||
               now - r->last_ns > (u->trial->duration_ns < UDP_PROBE_MOST_NS
                                       ? (uint64_t)UDP_STRAGGLE_PROBE_NS
                                       : (uint64_t)UDP_STRAGGLE_NS);
    /* With nothing at all there is no silence to measure from, the path may be long. */
    if (r->last_ns && now > quiet + UDP_SILENT_NS)
        return true;
    return now > end + UDP_OVERTIME_NS;
}

/* One round over the flows: how many are still open. */
static uint32_t udp_receive_round(struct udp_receive *u, uint64_t *ret_last_ns, bool *ret_busy)
{
    uint32_t n_open = 0;

    *ret_busy = false;
    for (uint32_t i = 0; i < u->worker->n_flows; i++) {
        struct udp_receiver *r = &u->receivers[i];

        if (!r->done) {
            if (!udp_receive_drain(u, r))
                *ret_busy = true;
            else
                r->done = udp_receive_over(u, r, clock_mono_ns());
        }
        if (r->done)
            u->polls[i].fd = -1;
        n_open += !r->done;
        if (r->last_ns > *ret_last_ns)
            *ret_last_ns = r->last_ns;
    }
    return n_open;
}

/* Sleep until there may be something to take. */
static void udp_receive_wait(struct udp_receive *u, uint64_t now, uint64_t last_ns,
                             uint64_t mark_ns)
{
    const struct timespec nap = {.tv_nsec = UDP_NAP_NS};
    int ms = UDP_POLL_MS;

    if (last_ns && now - last_ns < UDP_IDLE_NS) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        return;
    }
    if (mark_ns > now && clock_ms_until(mark_ns) < ms)
        ms = clock_ms_until(mark_ns);
    poll(u->polls, u->worker->n_flows, ms);
}

/* What overflowed during the warm-up is no loss of the window. */
static void udp_receive_drops(struct udp_receive *u)
{
    for (uint32_t i = 0; i < u->worker->n_flows; i++)
        u->receivers[i].drops = socket_drops(u->receivers[i].flow->fd);
}

/* Until all flows are over. 0; -ECANCELED; -ETIMEDOUT when the peer has vanished. */
static int udp_receive_data(struct udp_receive *u)
{
    uint64_t begin = trial_window_start(u->trial), end = trial_window_end(u->trial), last = 0, now;
    bool busy;

    while (!wake_stopped(u->engine)) {
        uint32_t n_open = udp_receive_round(u, &last, &busy);
        uint64_t since = last > u->trial->start_ns ? last : u->trial->start_ns;

        now = clock_mono_ns();
        if (now >= begin && !u->begun) {
            worker_window_begin(u->worker);
            udp_receive_drops(u);
            u->begun = true;
        }
        if (now >= end)
            worker_window_end(u->worker);
        if (n_open == 0)
            return last ? 0 : -ETIMEDOUT;
        if (now > since + u->stall_ns)
            return -ETIMEDOUT;
        if (!busy)
            udp_receive_wait(u, now, last, now < begin ? begin : end);
    }
    return -ECANCELED;
}

static void udp_receive_report_loss(struct udp_receiver *r, struct metric_set *m)
{
    int64_t drops = socket_drops(r->flow->fd);
    uint64_t lost = sequence_end(&r->sequence, r->n_ends ? r->sent : 0), in_socket = 0;

    metric_put(m, METRIC_received, r->sequence.received);
    metric_put(m, METRIC_reordered, r->sequence.reordered);
    metric_put(m, METRIC_duplicated, r->sequence.duplicated);
    metric_put(m, METRIC_longest_loss, r->sequence.longest_loss);
    if (drops >= 0 && r->drops >= 0) /* the kernel's counter has 32 bits */
        in_socket = (uint32_t)((uint64_t)drops - (uint64_t)r->drops);
    if (!r->n_ends) {
        /* How many were sent is the sender's to say. */
        metric_put(m, METRIC_lost_in_socket, in_socket);
        return;
    }
    /*
     * Tail and strangers are dropped there too: of the lost it can be all of them at most.
     */
    if (in_socket > lost)
        in_socket = lost;
    metric_put(m, METRIC_sent, r->sent);
    metric_put(m, METRIC_lost, lost);
    metric_put(m, METRIC_lost_in_socket, in_socket);
    metric_put(m, METRIC_lost_on_path, lost - in_socket);
    if (r->sent) {
        struct stat_interval likely = stat_share_interval(lost, r->sent);

        metric_put_real(m, METRIC_loss_share, (double)lost / (double)r->sent);
        metric_put_real(m, METRIC_loss_low_share, likely.low);
        metric_put_real(m, METRIC_loss_high_share, likely.high);
    }
}

/*
 * The rate by the spread of the arrivals, whatever the path's delay: the first one starts the clock, and is left out. A
 * search goes by it, since the window of a short probe begins before the first datagram can be here.
 */
static void udp_receive_report_dispersion(const struct udp_receiver *r, struct metric_set *m)
{
    double seconds = (double)arrival_spread_ns(&r->arrival) / CLOCK_S;

    if (seconds > 0)
        metric_put_real(m, METRIC_dispersion_bps,
                        (double)(r->measured_bytes - r->first_bytes) * 8 / seconds);
}

static void udp_receive_report(struct udp_receive *u)
{
    for (uint32_t i = 0; i < u->worker->n_flows; i++) {
        struct udp_receiver *r = &u->receivers[i];
        struct metric_set *m = &r->flow->metrics;
        int buffer = 0, mtu = socket_path_mtu(r->flow->fd);

        udp_receive_report_loss(r, m);
        if (r->arrival.n >= 2) {
            udp_receive_report_dispersion(r, m);
            metric_put_real(m, METRIC_jitter_ns, arrival_jitter_ns(&r->arrival));
            metric_put_real(m, METRIC_delay_slope, stat_slope(&r->arrival.slope));
            metric_put_real(m, METRIC_delay_growth_ns, arrival_growth_ns(&r->arrival));
            metric_put(m, METRIC_spread_ns, arrival_spread_ns(&r->arrival));
        }
        if (mtu > 0)
            metric_put(m, METRIC_pmtu_bytes, (uint64_t)mtu);
        if (getsockopt(r->flow->fd, SOL_SOCKET, SO_RCVBUF, &buffer, &(socklen_t){sizeof buffer}) ==
            0)
            metric_put(m, METRIC_receive_buffer_bytes, (uint64_t)buffer);
    }
}

/* It does not sleep until the start: a sender whose clock starts earlier is read at once. */
void udp_receive_run(struct worker *worker)
{
    AUTO(free_p) struct udp_receive *u = calloc(1, sizeof *u);

    if (!u || udp_receive_init(u, worker) < 0) {
        worker->error = ENOMEM;
        text_copy(worker->what, sizeof worker->what, "making buffers for receiving");
    } else {
        if (udp_receive_data(u) == -ETIMEDOUT)
            for (uint32_t i = 0; i < worker->n_flows; i++)
                worker_fail(worker, worker->flows[i], ETIMEDOUT,
                            u->receivers[i].last_ns ? "nothing arrived any more"
                                                    : "no datagram arrived");
        udp_receive_report(u);
    }
    if (u)
        udp_receive_done(u);
}
