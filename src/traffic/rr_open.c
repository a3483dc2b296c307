/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/call.h"
#include "traffic/datagram.h"
#include "traffic/rr.h"
#include "traffic/schedule.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>

/*
 * Requests by a schedule that does not wait for answers, as users come, who do not know of each other. An answer's
 * latency counts from when its request was due: a peer that stands still for 50 ms shows in the latency of all who came
 * meanwhile, and not as one sample.
 *
 * What was asked and not answered yet is a ring of due times. Over TCP answers come in order, so it is a queue; over UDP
 * a slot is found by sequence number.
 */
enum {
    RR_OPEN_LEAST = 64,
    RR_OPEN_MOST = 65536,
    RR_OPEN_SPAN_NS = CLOCK_S,  /* so long a silence does not fill the ring, below RR_OPEN_MOST */
    RR_OPEN_READ = 16384,       /* TCP: many small answers come with one call */
    RR_OPEN_READS = 32,         /* reads before the next look at the schedule */
    RR_OPEN_DRAIN_NS = CLOCK_S, /* UDP: an answer that comes later than this is lost */
};

struct rr_open {
    struct rr *rr;
    struct schedule schedule;
    uint64_t *due; /* owned; due times of requests, by number; UDP: 0 when it is answered */
    uint64_t mask;
    uint64_t asked,
        answered; /* all; also number of the next request, and over TCP of the next answer */
    uint64_t n_asked, n_answered; /* of those that were due in the window */
    uint64_t since_ns;            /* the oldest request since the last answer; 0 none */
    uint64_t last_ns;             /* when the last request left */
    uint8_t *inbox;               /* owned */
    size_t n_inbox;
    size_t n_left; /* TCP: bytes of the newest request that have not left */
    size_t n_have; /* TCP: bytes of the next answer that are here */
    bool over;
};

static int rr_open_init(struct rr_open *o, struct rr *rr)
{
    uint64_t gap = rr->worker->engine->spec.gap_ns, room = RR_OPEN_LEAST;

    while (room < RR_OPEN_MOST && room * gap < RR_OPEN_SPAN_NS)
        room *= 2;
    *o = (struct rr_open){.rr = rr, .mask = room - 1};
    o->n_inbox = rr->n_buffer > RR_OPEN_READ ? rr->n_buffer : RR_OPEN_READ;
    o->due = calloc(room, sizeof *o->due);
    o->inbox = malloc(o->n_inbox);
    schedule_init(&o->schedule, rr->worker, rr->flow);
    return o->due && o->inbox ? 0 : -ENOMEM;
}

static void rr_open_end(struct rr_open *o, int code)
{
    rr_look(o->rr);
    rr_broken(o->rr, code);
    o->over = true;
}

/* An answer to a request that was due then has come at now_ns. */
static void rr_open_answered(struct rr_open *o, uint64_t due_ns)
{
    struct rr *rr = o->rr;

    o->answered++;
    o->since_ns = 0;
    rr_done_one(rr);
    if (!schedule_measures(&o->schedule, due_ns))
        return;
    o->n_answered++;
    hist_add(rr->flow->rtt, rr->now_ns > due_ns ? rr->now_ns - due_ns : 0);
}

/* What is left of the newest request. */
static void rr_open_flush(struct rr_open *o)
{
    struct rr *rr = o->rr;

    while (o->n_left) {
        ssize_t n = call_send(rr->flow->fd, rr->buffer + rr->n_buffer - o->n_left, o->n_left,
                              MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            rr_open_end(o, errno);
            return;
        }
        o->n_left -= (size_t)n;
    }
}

/* Is there room for one more? A UDP request that has waited for long is given up for the new one. */
static bool rr_open_has_room(const struct rr_open *o, uint64_t now)
{
    uint64_t oldest = o->due[o->asked & o->mask];

    if (o->rr->tcp)
        return o->asked - o->answered <= o->mask;
    return oldest == 0 || now - oldest > RR_TIMEOUT_NS;
}

static void rr_open_send(struct rr_open *o, uint64_t now)
{
    struct rr *rr = o->rr;
    uint64_t due;

    if (!rr_open_has_room(o, now)) {
        schedule_miss(&o->schedule);
        return;
    }
    due = schedule_take(&o->schedule, now);
    o->due[o->asked++ & o->mask] = due;
    o->n_asked += schedule_measures(&o->schedule, due);
    o->since_ns = o->since_ns ? o->since_ns : now;
    o->last_ns = now;
    if (rr->tcp) {
        o->n_left = rr->n_buffer;
        rr_open_flush(o);
    } else {
        rr_udp_number(rr);
        o->over = !rr_udp_send(rr);
    }
}

static void rr_open_take_stream(struct rr_open *o, size_t n)
{
    struct rr *rr = o->rr;

    for (o->n_have += n; o->n_have >= rr->n_buffer && !o->over; o->n_have -= rr->n_buffer) {
        if (o->answered == o->asked) {
            rr_open_end(o, EPROTO);
            return;
        }
        rr_open_answered(o, o->due[o->answered & o->mask]);
    }
}

static void rr_open_take_datagram(struct rr_open *o, size_t n)
{
    struct rr *rr = o->rr;
    struct datagram d;
    uint64_t *due;

    if (n != rr->n_buffer)
        return;
    datagram_read(o->inbox, &d);
    /* The first has number 1, as the newest has rr->sequence. */
    if (d.tag != rr->worker->engine->tag || d.trial != rr->worker->trial->number ||
        d.sequence - 1 >= o->asked || o->asked - d.sequence > o->mask)
        return;
    due = &o->due[(d.sequence - 1) & o->mask];
    if (*due)
        rr_open_answered(o, *due);
    *due = 0;
}

/* Read what has come. False: nothing. */
static bool rr_open_read(struct rr_open *o)
{
    struct rr *rr = o->rr;
    bool any = false;

    for (int i = 0; i < RR_OPEN_READS && !o->over; i++) {
        ssize_t n =
            call_recv(rr->flow->fd, o->inbox, o->n_inbox, MSG_DONTWAIT | (rr->tcp ? 0 : MSG_TRUNC));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return any;
        if (n < 0 || (n == 0 && rr->tcp)) {
            rr_open_end(o, n < 0 ? errno : ECONNRESET);
            return any;
        }
        any = true;
        rr->now_ns = clock_mono_ns();
        if (rr->tcp)
            rr_open_take_stream(o, (size_t)n);
        else
            rr_open_take_datagram(o, (size_t)n);
    }
    return any;
}

/* Nothing is due before a time: wait for an answer. */
static void rr_open_wait(struct rr_open *o, uint64_t until_ns)
{
    struct rr *rr = o->rr;
    short events = o->n_left ? POLLIN | POLLOUT : POLLIN;

    if (!rr->flags && schedule_wait(rr->flow->fd, events, until_ns))
        return;
    if (o->answered < o->asked && (!rr->flags || ++rr->spins % RR_SPINS == 0))
        sched_yield(); /* who has to answer may be waiting for this CPU */
}

static bool rr_open_is_over(struct rr_open *o)
{
    return o->over || rr_stopped(o->rr) || (o->since_ns && rr_stalled(o->rr, o->since_ns));
}

/* Warm-up, window and tail. */
static void rr_open_loop(struct rr_open *o)
{
    struct rr *rr = o->rr;
    uint64_t end = trial_end(rr->worker->trial);

    rr_look(rr);
    /* What is due before the end leaves, if only a little after it. */
    while (o->schedule.pacing.due_ns < end && o->n_asked < rr->count && !rr_open_is_over(o)) {
        bool due = schedule_due(&o->schedule, rr->now_ns), got;

        if (o->n_left)
            rr_open_flush(o);
        else if (due)
            rr_open_send(o, rr->now_ns);
        got = rr_open_read(o);
        if (!got && (!due || o->n_left) && !o->over) {
            uint64_t next = o->n_left ? rr->now_ns + RR_QUIET_NS : o->schedule.pacing.due_ns;

            rr_open_wait(o, next);
        }
        rr_look(rr);
    }
}

/* Answers that are still on their way. A stream has to be in step for the next trial. */
static void rr_open_drain(struct rr_open *o)
{
    struct rr *rr = o->rr;

    while (!rr_open_is_over(o)) {
        uint64_t until = rr->tcp ? rr->now_ns + RR_QUIET_NS : o->last_ns + RR_OPEN_DRAIN_NS;

        if (o->n_left)
            rr_open_flush(o);
        else if (rr->tcp ? o->answered == o->asked
                         : o->n_answered == o->n_asked || rr->now_ns >= until)
            return;
        if (!rr_open_read(o))
            rr_open_wait(o, until);
        rr_look(rr);
    }
}

void rr_open_ask(struct rr *rr)
{
    struct rr_open o;

    if (rr_open_init(&o, rr) < 0) {
        rr_fail(rr, ENOMEM, "preparing to ask by a schedule");
    } else {
        rr_open_loop(&o);
        rr_open_drain(&o);
        rr_report_loss(rr, o.n_asked, o.n_answered);
        schedule_report(&o.schedule, &rr->flow->metrics);
    }
    free(o.due);
    free(o.inbox);
}
