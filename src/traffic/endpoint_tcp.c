/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "traffic/call.h"
#include "traffic/tcp_info.h"
#include "traffic/tcp_lowat.h"
#include "traffic/tcp_open.h"
#include "traffic/tcp_pages.h"
#include "traffic/tcp_stall.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/*
 * TCP streams: send() of the payload size, recv() of what is there. A worker with one flow blocks in its calls, one with
 * several never does and waits with epoll.
 *
 * With FLOW_IO_LEAN the same loop sends pages that are there and drops what comes in the kernel (tcp_pages.h, MSG_TRUNC).
 * Such a receiver is woken for a megabyte at a time (tcp_lowat.h); so that the counts at an edge are those of the edge, it
 * takes what waits in its sockets then, before the edge is passed.
 *
 * The connections live through all trials of a session, so nothing on them says where a trial ends: the receiver counts
 * until its own clock is past the trial, and then reads on until nothing has come for 20 ms (at most 500 ms). What a slow
 * path still brings after that is read in the next trial; with a warm-up it falls into slot 0 there and never counts.
 */
enum {
    TCP_READ_BYTES = 128 << 10,
    TCP_DROP_BYTES = 4 << 20, /* never written: costs address space only */
    TCP_CALL_MS = 100,        /* a blocking call lasts no longer: it has to see stop */
    TCP_SHORT_MS =
        10, /* on a slow path one write, or many reads as one, take long: edges are due meanwhile */
    TCP_SAMPLE_NS = 10 * CLOCK_MS, /* from one look at TCP_INFO to the next */
    TCP_SLICE_BPS = 1000,          /* a paced write is worth 1/1000 s … */
    TCP_SLICE_MIN = 1024,          /* … but not below this */
    TCP_CATCH_UP_NS = 20 * CLOCK_MS,
    TCP_DRAIN_MS = 20,
    TCP_DRAIN_MAX_NS = 500 * CLOCK_MS,
    TCP_EVENTS = 64,
    TCP_TELL_NS =
        500 *
        CLOCK_MS, /* a receiver is silent that much longer: the sender may know why nothing comes */
};

struct tcp_stream {
    struct flow *flow;
    struct tcp_watch watch;
    struct tcp_lowat lowat; /* lean receiver */
    uint64_t paced_bytes;   /* since paced_from_ns */
    uint64_t paced_from_ns;
    uint64_t due_ns;
    bool full; /* its socket took nothing last time; epoll says when it does */
};

struct tcp_loop {
    struct worker *worker;
    struct tcp_stream *streams; /* owned */
    char *buffer;               /* owned */
    size_t n_buffer;            /* bytes a call, at most */
    bool lean;
    struct tcp_pages pages; /* lean sender; its size is 0 when the kernel refused */
    int epoll_fd;           /* owned; -1 with one flow */
    double bps;             /* of each flow; 0 no limit */
    uint64_t stall_ns;
    uint64_t moved_ns;  /* when the last byte moved, or the start */
    uint64_t looked_ns; /* the last tcp_pulse() */
    uint64_t pulse_ns;  /* when it has something to do again */
    uint64_t now_ns;
};

static void tcp_loop_done(struct tcp_loop *loop)
{
    free(loop->streams);
    free(loop->buffer);
    tcp_pages_done(&loop->pages);
    close_p(&loop->epoll_fd);
}

static int tcp_loop_events(struct tcp_loop *loop)
{
    const struct worker *w = loop->worker;

    if (w->n_flows < 2)
        return socket_timeouts(w->flows[0]->fd,
                               w->sends || loop->lean ? TCP_SHORT_MS : TCP_CALL_MS);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return -errno;
    for (uint32_t i = 0; i < w->n_flows; i++) {
        /* A sender hears only of sockets that were full and are not any more. */
        struct epoll_event e = {.events = w->sends ? EPOLLOUT | EPOLLET : EPOLLIN, .data.u32 = i};

        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, w->flows[i]->fd, &e) < 0)
            return -errno;
    }
    return 0;
}

/* Bytes of a sender's call, and the rate of each flow. */
static void tcp_loop_pace(struct tcp_loop *loop)
{
    const struct worker *w = loop->worker;
    const struct flow_spec *spec = &w->engine->spec;
    double slice;

    loop->n_buffer = w->sends ? spec->payload_bytes : loop->lean ? TCP_DROP_BYTES : TCP_READ_BYTES;
    loop->stall_ns = ENDPOINT_STALL_S * (uint64_t)CLOCK_S + (w->sends ? 0 : TCP_TELL_NS);
    if (!w->trial->rate_bps)
        return;
    loop->bps = (double)w->trial->rate_bps / spec->n_flows;
    slice = loop->bps / 8 / TCP_SLICE_BPS;
    slice = slice < TCP_SLICE_MIN ? TCP_SLICE_MIN : slice;
    slice = slice > spec->payload_bytes ? spec->payload_bytes : slice;
    /* So rare are the writes that silence between them says nothing. */
    loop->stall_ns += (uint64_t)(2 * slice * 8e9 / loop->bps);
    if (w->sends)
        loop->n_buffer = (size_t)slice;
}

static void tcp_loop_stream(struct tcp_loop *loop, uint32_t i)
{
    const struct flow_spec *spec = &loop->worker->engine->spec;
    struct tcp_stream *s = &loop->streams[i];
    int on = loop->bps > 0 || spec->nodelay, user_ms = ENDPOINT_STALL_S * 1000, flags;

    s->flow = loop->worker->flows[i];
    s->due_ns = s->paced_from_ns = loop->worker->trial->start_ns;
    tcp_lowat_init(&s->lowat, s->flow->fd, spec->n_flows, spec->window_bytes);
    if (!loop->worker->sends)
        return;
    /* Small writes at their time, not gathered; without a rate the default stays. */
    setsockopt(s->flow->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s->flow->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof user_ms);
    flags = loop->lean ? fcntl(s->flow->fd, F_GETFL) : -1;
    if (flags >= 0)
        fcntl(s->flow->fd, F_SETFL,
              loop->worker->n_flows > 1 ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

static void tcp_loop_pages(struct tcp_loop *loop)
{
    struct tcp_sample sample = {0};
    int on = loop->bps == 0 && !loop->worker->engine->spec.nodelay, r;

    tcp_info_read(loop->streams[0].flow->fd, &sample);
    r = tcp_pages_init(&loop->pages, (uint32_t)sample.value[TCP_FIELD_SND_MSS_BYTES]);
    for (uint32_t i = 0; i < loop->worker->n_flows; i++) {
        struct flow *flow = loop->streams[i].flow;

        /* Copied then: the stream is worth more than its mode, and the metric tells. */
        if (r < 0)
            metric_put(&flow->metrics, METRIC_lean_refused, (uint64_t)-r);
        else /* The end of one call's pages waits for the next's, and does not leave as a small packet. */
            setsockopt(flow->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    }
}

/* All that needs memory or the kernel's help, before the start. */
static int tcp_loop_init(struct tcp_loop *loop, struct worker *worker)
{
    *loop = (struct tcp_loop){.worker = worker, .epoll_fd = -1};
    loop->lean = worker->engine->spec.io == FLOW_IO_LEAN;
    tcp_loop_pace(loop);
    loop->moved_ns = loop->now_ns = loop->looked_ns = worker->trial->start_ns;
    loop->buffer = malloc(loop->n_buffer);
    loop->streams = calloc(worker->n_flows, sizeof *loop->streams);
    if (!loop->buffer || !loop->streams)
        return -ENOMEM;
    /* Written, so that no page fault falls into the trial; not zeros, as a path may compress. */
    for (size_t i = 0; i < loop->n_buffer && (worker->sends || !loop->lean); i++)
        loop->buffer[i] = (char)((i * 2654435761u) >> 13);
    for (uint32_t i = 0; i < worker->n_flows; i++)
        tcp_loop_stream(loop, i);
    if (loop->lean && worker->sends)
        tcp_loop_pages(loop);
    return tcp_loop_events(loop);
}

/* Between trials nobody reads: a full receiver must not end the connection then. */
static void tcp_loop_rest(struct tcp_loop *loop)
{
    int never = 0;

    for (uint32_t i = 0; i < loop->worker->n_flows; i++) {
        struct tcp_stream *s = &loop->streams[i];

        tcp_watch_end(&s->watch, s->flow);
        tcp_lowat_end(&s->lowat, s->flow->fd);
        if (loop->worker->sends && loop->n_buffer < loop->worker->engine->spec.payload_bytes)
            metric_put(&s->flow->metrics, METRIC_paced_write_bytes, loop->n_buffer);
        if (loop->worker->sends)
            setsockopt(s->flow->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &never, sizeof never);
        if (loop->pages.size)
            setsockopt(s->flow->fd, IPPROTO_TCP, TCP_CORK, &never, sizeof never);
    }
}

static void tcp_count_dropped(struct tcp_stream *s, uint64_t now_ns, size_t n)
{
    const struct tally *tally = &s->flow->tally;

    /* What has been waiting belongs to the slot before the edge; tcp_pulse(), which is due, passes it. */
    s->lowat.come += n;
    tally_add(&s->flow->tally, now_ns < tally->edge_ns ? now_ns : tally->edge_ns - 1, n, 0);
}

/* A lean receiver's look: what waits is counted now, and how long it may wait next is set by what came. */
static void tcp_pulse_lean(struct tcp_loop *loop, struct tcp_stream *s)
{
    ssize_t n = call_recv(s->flow->fd, loop->buffer, loop->n_buffer, MSG_TRUNC | MSG_DONTWAIT);

    if (n > 0) {
        tcp_count_dropped(s, loop->now_ns, (size_t)n);
        loop->moved_ns = loop->now_ns;
    }
    if (loop->now_ns >= loop->looked_ns + TCP_SAMPLE_NS)
        tcp_lowat_adapt(&s->lowat, s->flow->fd, loop->now_ns - loop->looked_ns);
}

/* Edges and samples that are due. */
static void tcp_pulse(struct tcp_loop *loop)
{
    const struct tally *tally = &loop->worker->flows[0]->tally;
    uint32_t n = loop->worker->n_flows;
    uint64_t sample_ns;

    for (uint32_t i = 0; i < n; i++) {
        if (loop->lean && !loop->worker->sends)
            tcp_pulse_lean(loop, &loop->streams[i]);
        tally_advance(&loop->streams[i].flow->tally, loop->now_ns);
        tcp_watch_sample(&loop->streams[i].watch, loop->streams[i].flow);
    }
    if (tally->slot > 0)
        worker_window_begin(loop->worker);
    if (tally->slot == tally->n_slots - 1)
        worker_window_end(loop->worker);
    /* With many flows the looks cost time: fewer then. */
    sample_ns = loop->now_ns + TCP_SAMPLE_NS * (1 + n / 16);
    loop->pulse_ns = sample_ns < tally->edge_ns ? sample_ns : tally->edge_ns;
    if (loop->now_ns >= loop->looked_ns + TCP_SAMPLE_NS)
        loop->looked_ns = loop->now_ns;
}

static void tcp_fail(struct tcp_loop *loop, struct tcp_stream *s, int code)
{
    char words[TCP_STALL_WORDS];

    code = tcp_stall_words(&s->watch.last, loop->worker->sends, code, words);
    worker_fail(loop->worker, s->flow, code, words);
}

/* After a call, which has read the clock. False: the trial is over, or has failed. */
static bool tcp_goes_on(struct tcp_loop *loop)
{
    struct worker *w = loop->worker;

    if (loop->now_ns >= loop->pulse_ns)
        tcp_pulse(loop);
    if (loop->now_ns > loop->moved_ns + loop->stall_ns) {
        tcp_fail(loop, &loop->streams[0], ETIMEDOUT);
        return false;
    }
    return loop->now_ns < trial_end(w->trial) &&
           !atomic_load_explicit(&w->engine->stop, memory_order_relaxed);
}

static void tcp_count(struct tcp_loop *loop, struct tcp_stream *s, size_t n)
{
    loop->moved_ns = loop->now_ns;
    if (loop->lean && !loop->worker->sends)
        tcp_count_dropped(s, loop->now_ns, n);
    else if (tally_add(&s->flow->tally, loop->now_ns, n, 0))
        loop->pulse_ns = loop->now_ns; /* an edge: sample at once */
}

/* When the next write of a flow is due: a limit, so what was missed is made good for 20 ms only. */
static void tcp_pace(struct tcp_loop *loop, struct tcp_stream *s, size_t n)
{
    s->paced_bytes += n;
    s->due_ns = s->paced_from_ns + (uint64_t)((double)s->paced_bytes * 8e9 / loop->bps);
    if (s->due_ns + TCP_CATCH_UP_NS < loop->now_ns) {
        uint64_t given_up = loop->now_ns - s->due_ns - TCP_CATCH_UP_NS;

        s->paced_from_ns += given_up;
        s->due_ns += given_up;
    }
}

static bool tcp_is_pause(int code) { return code == EAGAIN || code == EINTR; }

/* One send; false when the flow has failed. */
static bool tcp_send(struct tcp_loop *loop, struct tcp_stream *s, int flags)
{
    bool lean = loop->pages.size > 0;
    ssize_t n = lean ? tcp_pages_send(&loop->pages, s->flow->fd, loop->n_buffer, !flags)
                     : call_send(s->flow->fd, loop->buffer, loop->n_buffer, MSG_NOSIGNAL | flags);
    int code = n < 0 ? errno : 0;

    loop->now_ns = clock_mono_ns();
    if (n < 0 && !tcp_is_pause(code)) {
        tcp_fail(loop, s, code);
        return false;
    }
    s->full = code == EAGAIN;
    if (n > 0)
        tcp_count(loop, s, (size_t)n);
    if (loop->bps > 0)
        tcp_pace(loop, s, n > 0 ? (size_t)n : 0);
    return true;
}

static void tcp_ask_one(struct tcp_loop *loop)
{
    struct tcp_stream *s = &loop->streams[0];
    uint64_t end = trial_end(loop->worker->trial);

    while (tcp_goes_on(loop)) {
        if (s->due_ns > loop->now_ns) {
            uint64_t until = s->due_ns < loop->pulse_ns ? s->due_ns : loop->pulse_ns;

            clock_sleep_until(until < end ? until : end);
            loop->now_ns = clock_mono_ns();
        } else if (!tcp_send(loop, s, 0)) {
            return;
        }
    }
}

/* Wait until a full socket is not full any more, or until a time; 0 only looks. */
static void tcp_wait_room(struct tcp_loop *loop, uint64_t until_ns)
{
    struct epoll_event events[TCP_EVENTS];
    uint64_t left = until_ns > loop->now_ns ? until_ns - loop->now_ns : 0;
    struct timespec ts = {.tv_sec = (time_t)(left / CLOCK_S), .tv_nsec = (long)(left % CLOCK_S)};
    struct pollfd p = {.fd = loop->epoll_fd, .events = POLLIN};
    int n;

    /* epoll's own wait counts in ms: too coarse for pacing. */
    if (left)
        ppoll(&p, 1, &ts, NULL);
    n = epoll_wait(loop->epoll_fd, events, TCP_EVENTS, 0);
    for (int i = 0; i < n; i++)
        loop->streams[events[i].data.u32].full = false;
    loop->now_ns = clock_mono_ns();
}

static void tcp_ask_many(struct tcp_loop *loop)
{
    uint32_t n = loop->worker->n_flows;
    uint64_t end = trial_end(loop->worker->trial);

    while (tcp_goes_on(loop)) {
        uint64_t next = loop->pulse_ns < end ? loop->pulse_ns : end;

        for (uint32_t i = 0; i < n; i++) {
            struct tcp_stream *s = &loop->streams[i];

            if (!s->full && s->due_ns <= loop->now_ns && !tcp_send(loop, s, MSG_DONTWAIT))
                return;
            if (!s->full && s->due_ns < next)
                next = s->due_ns;
        }
        tcp_wait_room(loop, next);
    }
}

/* One recv; false when the flow has failed or, in the drain, ended. ret_bytes is 0 when nothing was there. */
static bool tcp_receive(struct tcp_loop *loop, struct tcp_stream *s, int flags, size_t *ret_bytes)
{
    ssize_t n =
        call_recv(s->flow->fd, loop->buffer, loop->n_buffer, flags | (loop->lean ? MSG_TRUNC : 0));
    int code = n < 0 ? errno : 0;

    loop->now_ns = clock_mono_ns();
    *ret_bytes = n > 0 ? (size_t)n : 0;
    if (n > 0)
        tcp_count(loop, s, (size_t)n);
    if (n > 0 || (n < 0 && tcp_is_pause(code)))
        return true;
    if (n == 0)
        code = ECONNRESET;
    if (loop->now_ns < trial_end(loop->worker->trial))
        tcp_fail(loop, s, code);
    return false;
}

/* Read what is there on each readable flow; bytes, or -1 when a flow has failed. */
static ssize_t tcp_receive_ready(struct tcp_loop *loop, int timeout_ms)
{
    struct epoll_event events[TCP_EVENTS];
    int n = epoll_wait(loop->epoll_fd, events, TCP_EVENTS, timeout_ms);
    ssize_t sum = 0;

    loop->now_ns = clock_mono_ns();
    for (int i = 0; i < n; i++) {
        size_t bytes;

        if (!tcp_receive(loop, &loop->streams[events[i].data.u32], MSG_DONTWAIT, &bytes))
            return -1;
        sum += (ssize_t)bytes;
    }
    return sum;
}

/* See the file's head. Here an end of the connection is no failure: the client may be done and gone. */
static void tcp_drain(struct tcp_loop *loop)
{
    uint64_t cap = trial_end(loop->worker->trial) + TCP_DRAIN_MAX_NS;
    bool one = loop->epoll_fd < 0;

    if (one)
        socket_timeouts(loop->streams[0].flow->fd, TCP_DRAIN_MS);
    while (loop->now_ns < cap &&
           !atomic_load_explicit(&loop->worker->engine->stop, memory_order_relaxed)) {
        size_t bytes = 0;

        if (one && (!tcp_receive(loop, &loop->streams[0], 0, &bytes) || bytes == 0))
            return;
        if (!one && tcp_receive_ready(loop, TCP_DRAIN_MS) <= 0)
            return;
    }
}

static void tcp_answer_loop(struct tcp_loop *loop)
{
    size_t bytes;

    while (tcp_goes_on(loop)) {
        if (loop->epoll_fd < 0 ? !tcp_receive(loop, &loop->streams[0], 0, &bytes)
                               : tcp_receive_ready(loop, TCP_CALL_MS) < 0)
            break;
    }
    tcp_loop_rest(loop);
    if (loop->now_ns >= trial_end(loop->worker->trial))
        tcp_drain(loop);
}

static void tcp_ask_loop(struct tcp_loop *loop)
{
    if (loop->epoll_fd < 0)
        tcp_ask_one(loop);
    else
        tcp_ask_many(loop);
    tcp_loop_rest(loop);
}

static void tcp_run(struct worker *worker, void (*body)(struct tcp_loop *loop))
{
    struct tcp_loop loop;
    int r = tcp_loop_init(&loop, worker);

    if (r < 0)
        worker_fail(worker, worker->flows[0], -r, "preparing to move data");
    else if (worker_sleep_until(worker, worker->trial->start_ns))
        body(&loop);
    tcp_loop_done(&loop);
}

static void tcp_ask(struct worker *worker) { tcp_run(worker, tcp_ask_loop); }

static void tcp_answer(struct worker *worker) { tcp_run(worker, tcp_answer_loop); }

const struct endpoint_ops endpoint_tcp = {
    .kind = FLOW_TCP_STREAM,
    .want_rtt = true,
    .open = tcp_open,
    .accept = tcp_accept,
    .ask = tcp_ask,
    .answer = tcp_answer,
};
