/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "traffic/arrival.h"
#include "traffic/call.h"
#include "traffic/datagram.h"
#include "traffic/sequence.h"
#include "traffic/stamp.h"
#include "traffic/udp_stream.h"
#include "traffic/wake.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The receiver goes by a timer and not by wake-ups: while data flows it sleeps 200 µs and takes all
 * that has come. So the sender's kernel does not pay for waking it with every datagram, which at
 * high rates is more than the sending itself.
 */
#ifndef SO_INCOMING_NAPI_ID /* an old libc */
#define SO_INCOMING_NAPI_ID 56
#endif

enum {
    UDP_RECEIVE_BATCH = 256,
    UDP_MERGED_BATCH = 16, /* messages a call, of many datagrams each */
    UDP_MERGED_MOST = 128, /* datagrams of one message */
    UDP_WHOLE_FIRST = 64,  /* messages that came whole, before the next are taken for whole */
    UDP_CONTROL_BYTES = STAMP_CONTROL_BYTES + CMSG_SPACE(sizeof(int)),
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
    uint64_t n_messages, n_datagrams; /* read */
    uint64_t row_end;                 /* number after the last row of a message */
    uint16_t row_flags;               /* and its flags */
    uint32_t n_whole;                 /* messages in a row that were one send call each */
    bool whole;                       /* so many that the first header is taken for the others */
    int64_t drops;                    /* of the socket, when the window began */
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
    /*
     * Only headers are kept. Of single datagrams nothing else is copied (MSG_TRUNC tells their lengths all the same). Of a
     * message of many, headers and fillers come by turns: each header to its place, all fillers to the same one, which so
     * stays in the nearest cache. See udp_receive_trust() for when the first header is enough.
     */
    uint32_t batch;
    uint32_t n_heads;     /* of a message */
    uint32_t piece_bytes; /* from one header of a message to the next; 0: there is but one */
    uint8_t *heads;       /* owned; batch times n_heads */
    uint8_t *filler;      /* owned; NULL with single datagrams */
    uint32_t n_iov;       /* of a message that is read for all its headers */
    struct iovec *iov;    /* owned; batch times that */
    struct mmsghdr messages[UDP_RECEIVE_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[UDP_RECEIVE_BATCH][UDP_CONTROL_BYTES];
};

/* May a message hold many datagrams? The sender's rule, taken so that a doubt costs copying and not counts. */
static bool udp_receive_may_merge(const struct flow_spec *spec, const struct flow_trial *trial)
{
    return udp_send_segments(spec, trial, spec->n_flows) > 1;
}

static int udp_receive_buffers(struct udp_receive *u)
{
    const struct flow_spec *spec = &u->engine->spec;
    bool merged = udp_receive_may_merge(spec, u->trial);
    uint32_t fillers = merged && spec->payload_bytes > DATAGRAM_BYTES, k = 0;

    u->batch = merged ? UDP_MERGED_BATCH : UDP_RECEIVE_BATCH;
    u->n_heads = merged ? UDP_MERGED_MOST : 1;
    u->piece_bytes = merged ? spec->payload_bytes : 0;
    u->n_iov = u->n_heads * (1 + fillers);
    u->heads = malloc((size_t)u->batch * u->n_heads * DATAGRAM_BYTES);
    u->iov = calloc((size_t)u->batch * u->n_iov, sizeof *u->iov);
    u->filler = fillers ? malloc(spec->payload_bytes) : NULL;
    if (!u->heads || !u->iov || (fillers && !u->filler))
        return -ENOMEM;
    for (uint32_t i = 0; i < u->batch; i++) {
        u->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &u->iov[k],
            .msg_iovlen = u->n_iov,
            .msg_control = u->control[i],
            .msg_controllen = UDP_CONTROL_BYTES,
        };
        for (uint32_t h = 0; h < u->n_heads; h++) {
            uint8_t *head = u->heads + ((size_t)i * u->n_heads + h) * DATAGRAM_BYTES;

            u->iov[k++] = (struct iovec){head, DATAGRAM_BYTES};
            if (fillers)
                u->iov[k++] = (struct iovec){u->filler, spec->payload_bytes - DATAGRAM_BYTES};
        }
    }
    return 0;
}

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
    if (!u->receivers || !u->polls || udp_receive_buffers(u) < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < worker->n_flows; i++) {
        const int merge = u->piece_bytes > 0;

        /* A kernel that is too old to know this has cut them already. */
        setsockopt(worker->flows[i]->fd, IPPROTO_UDP, UDP_GRO, &merge, sizeof merge);
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
    free(u->heads);
    free(u->filler);
    free(u->iov);
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

/* n datagrams that arrived as one, whose numbers follow each other. */
static void udp_receive_count(struct udp_receiver *r, const struct datagram *d, uint64_t bytes,
                              uint64_t n, uint64_t arrived)
{
    uint64_t first;

    r->n_datagrams += n;
    tally_add(&r->flow->tally, arrived, bytes * n, n);
    if (d->flags != DATAGRAM_MEASURED)
        return;
    first = sequence_add_row(&r->sequence, d->sequence, n);
    if (first == 0)
        return;
    if (r->arrival.n == 0)
        r->first_bytes = bytes * first;
    r->measured_bytes += bytes * first;
    arrival_add(&r->arrival, d->departure_ns, arrived, first);
}

/*
 * Copying all of a message for its headers takes a third of the rate, and a message that is one send call as it left has the
 * numbers that follow the first. What puts together datagrams that left apart, lost their neighbours or overtook them is
 * GRO, and the kernel does that in drivers' NAPI contexts only. So the first header stands for its message as long as there
 * was no such context (over veth and lo, as a rule). Tunnels of user space may do the like without one. Hence also: each
 * message holds as many as the sender says that it handed over, none is missing between one and the next, and the first of
 * each read, of which all is looked at, is in order. At the first doubt all is read again. What is left: a tunnel in user
 * space on this machine that merges datagrams which overtook each other can be counted wrong inside the one read before.
 */
static void udp_receive_trust(struct udp_receive *u, struct udp_receiver *r)
{
    unsigned napi = 1;

    if (!u->piece_bytes)
        return;
    getsockopt(r->flow->fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &napi, &(socklen_t){sizeof napi});
    if (napi)
        r->n_whole = 0;
    r->whole = r->n_whole >= UDP_WHOLE_FIRST;
}

/* A row of so many of the n datagrams of a message: is it a whole call, right behind the one before? */
static void udp_receive_whole(struct udp_receiver *r, const struct datagram *d, uint32_t row,
                              uint32_t n)
{
    bool follows = d->flags == r->row_flags ? d->sequence == r->row_end : d->sequence == 0;

    r->n_whole = follows && row == n && n == d->segments ? r->n_whole + 1 : 0;
    r->row_flags = d->flags;
    r->row_end = d->sequence + row;
}

/*
 * Datagrams of one message from the header on, n of them at the most: how many were dealt with. Whole: there is no header
 * but this one.
 */
static uint32_t udp_receive_take(struct udp_receive *u, struct udp_receiver *r, const uint8_t *head,
                                 uint32_t bytes, uint32_t n, bool whole, uint64_t arrived)
{
    struct datagram d;
    uint32_t row = 1;

    if (bytes < DATAGRAM_BYTES)
        return 1;
    datagram_read(head, &d);
    if (d.tag != u->engine->tag) {
        udp_receive_refuse(u, head, bytes);
        return 1;
    }
    if (d.trial != u->trial->number || d.flow != r->flow->index)
        return 1;
    r->last_ns = r->stamp.now_ns;
    if (d.flags == DATAGRAM_END) {
        udp_receive_answer(r, &d);
        return 1;
    }
    if (d.flags != DATAGRAM_WARMUP && d.flags != DATAGRAM_MEASURED && d.flags != DATAGRAM_TAIL)
        return 1;
    if (whole)
        row = n;
    while (row < n && datagram_is_copy(head, d.sequence + row, head + (size_t)row * DATAGRAM_BYTES))
        row++;
    udp_receive_whole(r, &d, row, n);
    udp_receive_count(r, &d, bytes, row, arrived);
    return row;
}

/* Bytes of each datagram of a message but the last, which may be shorter. */
static uint32_t udp_receive_piece(const struct mmsghdr *message)
{
    const struct msghdr *m = &message->msg_hdr;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR((struct msghdr *)m, c)) {
        int bytes;

        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
            continue;
        memcpy(&bytes, CMSG_DATA(c), sizeof bytes);
        return bytes > 0 ? (uint32_t)bytes : message->msg_len;
    }
    return message->msg_len;
}

/* What recvmmsg() has put into place i. */
static void udp_receive_message(struct udp_receive *u, struct udp_receiver *r, uint32_t i)
{
    const uint8_t *heads = u->heads + (size_t)i * u->n_heads * DATAGRAM_BYTES;
    uint32_t left = u->messages[i].msg_len, piece = left, n, last;
    uint64_t arrived = stamp_arrival_ns(&r->stamp, &u->messages[i].msg_hdr);

    if (u->piece_bytes)
        piece = udp_receive_piece(&u->messages[i]);
    r->n_messages++;
    /* Cut otherwise than our sender cuts: not all of the headers are in their places. */
    n = left <= piece ? 1 : (left + piece - 1) / piece;
    if (n > 1 && (piece != u->piece_bytes || n > u->n_heads)) {
        udp_receive_refuse(u, heads, left);
        return;
    }
    last = left - (n - 1) * piece;
    if (r->whole && i > 0 && n > 1) {
        if (last < piece) /* not as it left: more than the sender's datagrams are in it */
            r->n_whole = 0;
        udp_receive_take(u, r, heads, piece, last < piece ? n - 1 : n, true, arrived);
        return;
    }
    for (uint32_t k = 0; k < n;) {
        /* The last one is looked at by itself when it is shorter: it may be the END. */
        uint32_t row = last < piece && k < n - 1 ? n - 1 - k : n - k;

        k += udp_receive_take(u, r, heads + (size_t)k * DATAGRAM_BYTES, k < n - 1 ? piece : last,
                              row, false, arrived);
    }
}

/* Take what has come; true when the socket was empty in the end. */
static bool udp_receive_drain(struct udp_receive *u, struct udp_receiver *r)
{
    for (int call = 0; call < UDP_RECEIVE_CALLS; call++) {
        uint64_t before = clock_mono_ns();
        int n;

        for (uint32_t i = 0; u->piece_bytes && i < u->batch; i++)
            u->messages[i].msg_hdr.msg_iovlen = r->whole && i > 0 ? 1 : u->n_iov;
        n = call_recvmmsg(r->flow->fd, u->messages, u->batch, MSG_DONTWAIT | MSG_TRUNC);

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
            udp_receive_message(u, r, (uint32_t)i);
            u->messages[i].msg_hdr.msg_controllen = UDP_CONTROL_BYTES;
        }
        udp_receive_trust(u, r);
        if ((uint32_t)n < u->batch)
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
    metric_put(m, METRIC_loss_bursts, r->sequence.loss_bursts);
    /*
     * The counter is the one that SO_RXQ_OVFL would put beside each next datagram. Asked for at the end it costs nothing,
     * and knows of drops after the last datagram too. It has 32 bits.
     */
    if (drops >= 0 && r->drops >= 0)
        in_socket = (uint32_t)((uint64_t)drops - (uint64_t)r->drops);
    /* It counts messages: those that were dropped held as many datagrams as those that were read. */
    if (r->n_messages)
        in_socket = (in_socket * r->n_datagrams + r->n_messages / 2) / r->n_messages;
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

/* The peer has vanished, or it was never there. */
static void udp_receive_blame_silence(struct udp_receive *u)
{
    uint64_t refused = __atomic_load_n(&u->engine->refused, __ATOMIC_RELAXED);
    bool greeted = u->engine->spec.kind != FLOW_MULTICAST;

    for (uint32_t i = 0; i < u->worker->n_flows; i++)
        worker_fail(u->worker, u->worker->flows[i], ETIMEDOUT,
                    u->receivers[i].last_ns ? "nothing arrived any more"
                    : refused               ? "no datagram arrived but some of a strange token"
                    : greeted ? "no datagram arrived, though the small ones of the handshake did"
                              : "no datagram arrived");
}

/*
 * What ended the stream is small and came, what was to be measured is large and did not: no loss is like that, but a path
 * that drops what is too large for it, and tells nobody. Not of a probe: a search may well lose one.
 */
static void udp_receive_blame_size(struct udp_receive *u)
{
    const struct flow_spec *spec = &u->engine->spec;

    if (u->trial->duration_ns < UDP_PROBE_MOST_NS || spec->payload_bytes <= DATAGRAM_BYTES)
        return;
    for (uint32_t i = 0; i < u->worker->n_flows; i++)
        if (u->receivers[i].n_datagrams)
            return; /* one flow's fate is not its datagrams' size */
    for (uint32_t i = 0; i < u->worker->n_flows; i++) {
        const struct udp_receiver *r = &u->receivers[i];
        char what[sizeof u->worker->what];

        if (!r->n_ends || !r->sent || r->n_datagrams)
            continue;
        snprintf(what, sizeof what, "small datagrams arrive, of %u bytes not one of %llu",
                 spec->payload_bytes, (unsigned long long)r->sent);
        worker_fail(u->worker, r->flow, EMSGSIZE, what);
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
        int r;

        wake_take_short_turns();
        r = udp_receive_data(u);
        if (r == -ETIMEDOUT)
            udp_receive_blame_silence(u);
        else if (r == 0)
            udp_receive_blame_size(u);
        udp_receive_report(u);
    }
    if (u)
        udp_receive_done(u);
}
