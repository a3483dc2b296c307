/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "interop/foreign_flow.h"
#include "traffic/tcp_info.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

/*
 * TCP streams of a server for foreign clients. Not endpoint_tcp.c, which takes 3 s of silence for a peer that has
 * vanished: here the client alone knows how long it pauses, and its control connection tells when it is gone.
 */
enum {
    FOREIGN_READ_BYTES = 256 << 10,
    FOREIGN_READS = 16,   /* of one flow, before the others have their turn */
    FOREIGN_WAIT_MS = 10, /* before the next look at the engine's stop */
    FOREIGN_CATCH_UP_NS = 20 * CLOCK_MS,
    FOREIGN_SLICE = 1000, /* a paced write is worth 1/1000 s */
    FOREIGN_SLICE_MIN = 1024,
    FOREIGN_EVENTS = 64,
    FOREIGN_STOP = INT_MAX, /* in place of a stream's index */
};

struct foreign_stream {
    struct flow *flow;
    struct foreign_flow *left;
    uint64_t first_ns, last_ns; /* when something moved; 0 never */
    uint64_t paced_bytes, paced_from_ns, due_ns;
    uint64_t retransmits; /* at the window's begin */
    bool full, closed;
};

struct foreign_loop {
    struct worker *worker;
    struct foreign_side *side;
    struct foreign_stream *streams; /* owned */
    char *buffer;                   /* owned */
    size_t n_buffer;
    int epoll_fd; /* owned */
    uint32_t n_streams, n_closed;
    bool begun; /* the window has */
    double bps; /* of each flow; 0 no limit */
    uint64_t start_ns, end_ns, stop_ns, now_ns, moved_ns;
};

static void foreign_loop_done(struct foreign_loop *l)
{
    free(l->streams);
    free(l->buffer);
    close_p(&l->epoll_fd);
}

/* False: not enough memory or descriptors. */
static bool foreign_loop_init(struct foreign_loop *l, struct worker *worker)
{
    const struct flow_spec *spec = &worker->engine->spec;
    struct epoll_event stop = {.events = EPOLLIN, .data.u32 = FOREIGN_STOP};

    *l = (struct foreign_loop){.worker = worker,
                               .side = foreign_side_of(worker),
                               .n_buffer = worker->sends ? spec->payload_bytes : FOREIGN_READ_BYTES,
                               .start_ns = trial_window_start(worker->trial),
                               .end_ns = trial_window_end(worker->trial),
                               .now_ns = worker->trial->start_ns,
                               .moved_ns = worker->trial->start_ns};
    if (worker->sends && worker->trial->rate_bps) {
        double slice = (double)worker->trial->rate_bps / spec->n_flows / 8 / FOREIGN_SLICE;

        l->bps = (double)worker->trial->rate_bps / spec->n_flows;
        slice = slice < FOREIGN_SLICE_MIN ? FOREIGN_SLICE_MIN : slice;
        l->n_buffer = slice < (double)l->n_buffer ? (size_t)slice : l->n_buffer;
    }
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    /* Seen at once, so that an idle side's time ends when it was ended. */
    if (l->epoll_fd < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, worker->engine->stop_fd, &stop) < 0)
        return false;
    l->n_streams = worker->n_flows;
    l->streams = calloc(l->n_streams, sizeof *l->streams);
    l->buffer = malloc(l->n_buffer);
    if (!l->streams || !l->buffer)
        return false;
    for (size_t i = 0; i < l->n_buffer; i++)
        l->buffer[i] = (char)((i * 2654435761u) >> 13);
    for (uint32_t i = 0; i < l->n_streams; i++) {
        struct epoll_event e = {.events = worker->sends ? EPOLLOUT | EPOLLET : EPOLLIN,
                                .data.u32 = i};
        struct foreign_stream *s = &l->streams[i];

        s->flow = worker->flows[i];
        s->left = &l->side->flows[s->flow->index];
        *s->left = (struct foreign_flow){0};
        s->due_ns = s->paced_from_ns = worker->trial->start_ns;
        if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->flow->fd, &e) < 0)
            return false;
    }
    return true;
}

static void foreign_close(struct foreign_loop *l, struct foreign_stream *s)
{
    if (s->closed)
        return;
    s->closed = s->left->finished = true;
    l->n_closed++;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->flow->fd, NULL);
}

static void foreign_count(struct foreign_loop *l, struct foreign_stream *s, size_t n)
{
    l->moved_ns = s->last_ns = l->now_ns;
    s->first_ns = s->first_ns ? s->first_ns : l->now_ns;
    tally_add(&s->flow->tally, l->now_ns, n, 0);
}

/* Retransmits of a sender from the window's begin on, and CPU time. */
static void foreign_begin(struct foreign_loop *l)
{
    l->begun = true;
    worker_window_begin(l->worker);
    for (uint32_t i = 0; l->worker->sends && i < l->n_streams; i++) {
        struct foreign_stream *s = &l->streams[i];
        struct tcp_sample sample;

        if (tcp_info_read(s->flow->fd, &sample) == 0)
            s->retransmits = sample.value[TCP_FIELD_TOTAL_RETRANS];
    }
}

/* False: the side is over, or has waited too long. */
static bool foreign_goes_on(struct foreign_loop *l)
{
    if (l->now_ns >= l->start_ns && !l->begun)
        foreign_begin(l);
    if (!l->stop_ns && atomic_load_explicit(&l->worker->engine->stop, memory_order_relaxed))
        l->stop_ns = l->now_ns;
    if (l->stop_ns || l->now_ns >= l->end_ns)
        return false;
    if (l->side->until_finished && l->n_closed == l->n_streams)
        return false;
    if (l->side->idle_ns && l->now_ns > l->moved_ns + l->side->idle_ns) {
        worker_fail(l->worker, l->worker->flows[0], ETIMEDOUT,
                    l->worker->sends ? "nothing could be sent any more"
                                     : "nothing arrived any more");
        return false;
    }
    return true;
}

static void foreign_read(struct foreign_loop *l, struct foreign_stream *s)
{
    int flags = MSG_DONTWAIT | (l->side->skip_copy ? MSG_TRUNC : 0);

    assert(s->flow); /* an event of a stream: foreign_loop_init() has set it */
    for (int i = 0; i < FOREIGN_READS; i++) {
        ssize_t n = recv(s->flow->fd, l->buffer, l->n_buffer, flags);
        int code = n < 0 ? errno : 0;

        l->now_ns = clock_mono_ns();
        if (n > 0)
            foreign_count(l, s, (size_t)n);
        else if (n == 0 || (code != EAGAIN && code != EINTR))
            foreign_close(l, s);
        if (n < (ssize_t)l->n_buffer) /* there was no more */
            return;
    }
}

static void foreign_read_ready(struct foreign_loop *l, int timeout_ms)
{
    struct epoll_event events[FOREIGN_EVENTS];
    int n = epoll_wait(l->epoll_fd, events, FOREIGN_EVENTS, timeout_ms);

    l->now_ns = clock_mono_ns();
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 != FOREIGN_STOP)
            foreign_read(l, &l->streams[events[i].data.u32]);
        else if (!l->stop_ns)
            l->stop_ns = l->now_ns;
    }
}

static void foreign_answer_loop(struct foreign_loop *l)
{
    uint64_t quiet;

    while (foreign_goes_on(l))
        foreign_read_ready(l, FOREIGN_WAIT_MS);
    /* What was on its way when the client said that it had ended. */
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->worker->engine->stop_fd, NULL);
    quiet = l->now_ns;
    while (l->stop_ns && l->n_closed < l->n_streams &&
           l->now_ns < l->stop_ns + FOREIGN_QUIET_MOST_NS && l->now_ns < quiet + FOREIGN_QUIET_NS) {
        foreign_read_ready(l, FOREIGN_WAIT_MS);
        quiet = l->moved_ns > quiet ? l->moved_ns : quiet;
    }
}

static void foreign_write(struct foreign_loop *l, struct foreign_stream *s)
{
    ssize_t n = send(s->flow->fd, l->buffer, l->n_buffer, MSG_NOSIGNAL | MSG_DONTWAIT);
    int code = n < 0 ? errno : 0;

    l->now_ns = clock_mono_ns();
    if (n > 0)
        foreign_count(l, s, (size_t)n);
    else if (code == EAGAIN)
        s->full = true;
    else if (code != EINTR)
        foreign_close(l, s);
    if (n <= 0 || l->bps <= 0)
        return;
    s->paced_bytes += (uint64_t)n;
    s->due_ns = s->paced_from_ns + (uint64_t)((double)s->paced_bytes * 8e9 / l->bps);
    if (s->due_ns + FOREIGN_CATCH_UP_NS < l->now_ns) {
        uint64_t given_up = l->now_ns - s->due_ns - FOREIGN_CATCH_UP_NS;

        s->paced_from_ns += given_up;
        s->due_ns += given_up;
    }
}

/* Until a socket has room or a write is due. */
static void foreign_wait_room(struct foreign_loop *l, uint64_t until_ns)
{
    struct epoll_event events[FOREIGN_EVENTS];
    uint64_t left = until_ns > l->now_ns ? until_ns - l->now_ns : 0;
    struct timespec ts = {.tv_nsec = (long)(left < CLOCK_S ? left : CLOCK_S - 1)};
    struct pollfd p = {.fd = l->epoll_fd, .events = POLLIN};
    int n;

    ppoll(&p, 1, &ts, NULL);
    n = epoll_wait(l->epoll_fd, events, FOREIGN_EVENTS, 0);
    l->now_ns = clock_mono_ns();
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 != FOREIGN_STOP)
            l->streams[events[i].data.u32].full = false;
        else
            l->stop_ns = l->now_ns;
    }
}

static void foreign_ask_loop(struct foreign_loop *l)
{
    while (foreign_goes_on(l)) {
        uint64_t next = l->now_ns + FOREIGN_WAIT_MS * (uint64_t)CLOCK_MS;
        bool wrote = false;

        for (uint32_t i = 0; i < l->n_streams; i++) {
            struct foreign_stream *s = &l->streams[i];

            if (!s->closed && !s->full && s->due_ns <= l->now_ns) {
                foreign_write(l, s);
                wrote = true;
            }
            if (!s->closed && !s->full && s->due_ns < next)
                next = s->due_ns;
        }
        if (!wrote || next > l->now_ns)
            foreign_wait_room(l, next);
    }
}

static void foreign_report(struct foreign_loop *l)
{
    uint64_t end = l->stop_ns ? l->stop_ns : l->now_ns;

    for (uint32_t i = 0; i < l->n_streams; i++) {
        struct foreign_stream *s = &l->streams[i];
        struct tcp_sample sample;

        s->left->bytes = tally_window(&s->flow->tally).bytes;
        s->left->begin_ns = l->start_ns;
        s->left->end_ns = s->last_ns > end ? s->last_ns : end;
        if (s->left->end_ns < l->start_ns)
            s->left->end_ns = 0;
        if (l->side->until_finished) {
            s->left->begin_ns = s->first_ns;
            s->left->end_ns = s->last_ns;
        }
        if (l->worker->sends && tcp_info_read(s->flow->fd, &sample) == 0 &&
            sample.value[TCP_FIELD_TOTAL_RETRANS] >= s->retransmits)
            s->left->retransmits = sample.value[TCP_FIELD_TOTAL_RETRANS] - s->retransmits;
    }
}

static void foreign_tcp_run(struct worker *worker, void (*body)(struct foreign_loop *l))
{
    struct foreign_loop l;

    if (!foreign_loop_init(&l, worker)) {
        worker_fail(worker, worker->flows[0], ENOMEM, "preparing to move data");
    } else {
        l.now_ns = clock_mono_ns();
        body(&l);
        worker_window_end(worker);
        foreign_report(&l);
    }
    foreign_loop_done(&l);
}

static void foreign_tcp_ask(struct worker *worker) { foreign_tcp_run(worker, foreign_ask_loop); }

static void foreign_tcp_answer(struct worker *worker)
{
    foreign_tcp_run(worker, foreign_answer_loop);
}

const struct endpoint_ops foreign_tcp = {
    .kind = FLOW_TCP_STREAM, .ask = foreign_tcp_ask, .answer = foreign_tcp_answer};
