/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/limit.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * A thread this busy cannot do more; a rate this near is the one that was asked for. A thread that uses less than its
 * fair part of a full machine (crowded_share) has all that it wants of it: others' work is not our limit. In a closed
 * loop only one end works at a time: when both together work for loop_share of it, they are what takes the time.
 */
static const double busy_share = 0.95, reached_share = 0.97, held_share = 0.3, crowded_share = 0.25,
                    loop_share = 0.5, clearly = 1.1;

__attribute__((format(printf, 3, 4))) static void limit_say(struct measurement *m, enum limit limit,
                                                            const char *fmt, ...)
{
    va_list ap;

    m->limit = limit;
    va_start(ap, fmt);
    vsnprintf(m->limit_reason, sizeof m->limit_reason, fmt, ap);
    va_end(ap);
}

static double limit_share(const struct metric_set *set, enum metric part)
{
    double window = metric_get_real(set, METRIC_window_ns);

    return window > 0 ? metric_get_real(set, part) / window : 0;
}

static double limit_node_busy(const struct metric_set *set)
{
    double idle = metric_get_real(set, METRIC_node_idle_ns);
    double all = idle + metric_get_real(set, METRIC_node_user_ns) +
                 metric_get_real(set, METRIC_node_system_ns) +
                 metric_get_real(set, METRIC_node_softirq_ns) +
                 metric_get_real(set, METRIC_node_steal_ns);

    return set->has[METRIC_node_idle_ns] && all > 0 ? 1 - idle / all : 0;
}

static bool limit_crowded(const struct metric_set *set)
{
    return limit_node_busy(set) >= busy_share &&
           metric_get_real(set, METRIC_busiest_thread_share) >= crowded_share;
}

static bool limit_by_rate(struct measurement *m)
{
    double asked = metric_get_real(&m->headline, METRIC_requested_bps);
    double got = metric_get_real(&m->headline, METRIC_throughput_bps);

    if (asked <= 0 || m->searched || got < reached_share * asked)
        return false;
    limit_say(m, LIMIT_REQUESTED_RATE, "%.1f %% of the requested rate arrived", got / asked * 100);
    return true;
}

/* What kept a stream's bytes from the path, in shares of the window. */
struct limit_held {
    double window; /* the receiver's was full */
    double buffer; /* the sender's was */
    double idle;   /* nothing to send: the sender's thread was away */
};

static struct limit_held limit_held(const struct metric_set *s)
{
    return (struct limit_held){
        .window = limit_share(s, METRIC_peer_window_limited_ns),
        .buffer = limit_share(s, METRIC_send_buffer_limited_ns),
        .idle = s->has[METRIC_busy_ns] ? fmax(0, 1 - limit_share(s, METRIC_busy_ns)) : 0};
}

/* When the path had nothing to carry for held_share of the time, the larger part of that is to blame. */
static bool limit_by_held(struct measurement *m)
{
    struct limit_held held = limit_held(&m->sender.metrics);

    if (held.window + held.buffer + held.idle <= held_share)
        return false;
    if (held.window >= held.buffer && held.window >= held.idle)
        limit_say(m, LIMIT_RECEIVER, "the receiver's window held the sender %.0f %% of the time",
                  held.window * 100);
    else if (held.buffer >= held.idle)
        limit_say(m, LIMIT_SENDER, "the send buffer held the sender %.0f %% of the time",
                  held.buffer * 100);
    /* It was away because there was no CPU for it. */
    else if (limit_crowded(&m->sender.metrics))
        return false;
    else
        limit_say(m, LIMIT_SENDER, "the sender had nothing to send %.0f %% of the time",
                  held.idle * 100);
    return true;
}

static void limit_tcp(struct measurement *m)
{
    const struct metric_set *s = &m->sender.metrics, *r = &m->receiver.metrics;
    double s_busy = metric_get_real(s, METRIC_busiest_thread_share);
    double r_busy = metric_get_real(r, METRIC_busiest_thread_share);

    if (limit_by_rate(m))
        return;
    if (r_busy >= busy_share && r_busy > s_busy)
        limit_say(m, LIMIT_RECEIVER, "the receiver's thread used %.0f %% of its CPU", r_busy * 100);
    else if (s_busy >= busy_share)
        limit_say(m, LIMIT_SENDER, "the sender's thread used %.0f %% of its CPU", s_busy * 100);
    else if (strcmp(m->placement, "same") == 0 && s_busy + r_busy >= busy_share)
        limit_say(m, r_busy > s_busy ? LIMIT_RECEIVER : LIMIT_SENDER,
                  "the two ends' threads used %.0f %% and %.0f %% of the one CPU they were put on",
                  s_busy * 100, r_busy * 100);
    else if (limit_by_held(m))
        return;
    else if (limit_crowded(s))
        limit_say(m, LIMIT_SENDER, "the sender's machine was %.0f %% busy",
                  limit_node_busy(s) * 100);
    else if (limit_crowded(r))
        limit_say(m, LIMIT_RECEIVER, "the receiver's machine was %.0f %% busy",
                  limit_node_busy(r) * 100);
    else if (m->peer != FLOW_PEER_AGENT)
        limit_say(m, LIMIT_UNKNOWN,
                  "our end was neither busy nor held back; what the %s at the other end did is not "
                  "known",
                  flow_peer_name[m->peer]);
    else if (s->has[METRIC_busy_ns])
        limit_say(m, LIMIT_PATH, "neither end was busy or held back%s",
                  strcmp(m->sender.congestion_control, "bbr") == 0
                      ? ", unless bbr's own pacing did it"
                      : "");
    else
        limit_say(m, LIMIT_UNKNOWN, "the sender's TCP does not tell");
}

static void limit_udp(struct measurement *m)
{
    const struct metric_set *h = &m->headline;
    double loss = metric_get_real(h, METRIC_loss_share);
    double target = m->searched ? m->search.loss_target : 0.001;
    double lost = metric_get_real(h, METRIC_lost),
           in_socket = metric_get_real(h, METRIC_lost_in_socket);
    double asked = metric_get_real(h, METRIC_requested_bps),
           offered = metric_get_real(h, METRIC_offered_bps);
    double blocked = limit_share(&m->sender.metrics, METRIC_blocked_ns);

    if (loss > target && m->peer != FLOW_PEER_AGENT)
        limit_say(
            m, LIMIT_UNKNOWN,
            "%.3g %% did not arrive: on the path, or at the socket of the %s at the other end, "
            "which does not tell",
            loss * 100, flow_peer_name[m->peer]);
    else if (loss > target && in_socket >= lost / 2)
        limit_say(m, LIMIT_RECEIVER, "%.0f %% of what was lost overflowed the receiver's socket",
                  lost > 0 ? in_socket / lost * 100 : 0);
    else if (loss > target)
        limit_say(m, LIMIT_PATH, "the path lost %.3g %%", loss * 100);
    else if (m->searched && m->limit == LIMIT_SENDER && offered < reached_share * asked)
        limit_say(m, LIMIT_SENDER,
                  "the path took all that the sender could offer, %.0f %% of its best short probe",
                  offered / asked * 100);
    else if (m->searched && m->limit == LIMIT_SENDER)
        limit_say(m, LIMIT_SENDER, "the path took all that the sender could offer");
    else if (m->searched)
        limit_say(m, LIMIT_PATH,
                  "above this rate the path loses more than %.3g %%, or delays ever more",
                  target * 100);
    else if (asked > 0 && offered >= reached_share * asked)
        limit_say(m, LIMIT_REQUESTED_RATE, "%.1f %% of the requested rate was offered",
                  offered / asked * 100);
    else if (blocked > held_share)
        /* It could have offered more: what leaves its socket was taken no faster. */
        limit_say(m, LIMIT_PATH, "a full queue on the way out held the sender %.0f %% of the time",
                  blocked * 100);
    else if (asked > 0)
        limit_say(m, LIMIT_SENDER, "the sender offered all it could, %.1f %% of the requested rate",
                  offered / asked * 100);
    else
        limit_say(m, LIMIT_SENDER, "the sender offered all it could");
}

/* Whatever the path can do, there is one request in each slot. */
static bool limit_by_schedule(struct measurement *m)
{
    uint64_t missed = metric_get(&m->headline, METRIC_missed),
             sent = metric_get(&m->headline, METRIC_sent);

    /* Only a sender with a schedule can be late. */
    if (m->gap_ns == 0 && !m->sender.metrics.has[METRIC_late])
        return false;
    if (missed)
        limit_say(m, LIMIT_SENDER, "requests leave on a schedule, of which %.3g %% was missed",
                  (double)missed / (double)(missed + sent) * 100);
    else
        limit_say(m, LIMIT_REQUESTED_RATE, "requests leave on a schedule");
    return true;
}

static void limit_echo(struct measurement *m)
{
    if (!limit_by_schedule(m))
        limit_say(m, LIMIT_PATH, "closed loop: a request leaves when the last one is answered");
}

static void limit_rr(struct measurement *m)
{
    double timeouts = metric_get_real(&m->headline, METRIC_timeouts),
           asked = timeouts + metric_get_real(&m->headline, METRIC_transactions);
    double s_busy = metric_get_real(&m->sender.metrics, METRIC_busiest_thread_share),
           r_busy = metric_get_real(&m->receiver.metrics, METRIC_busiest_thread_share);

    if (limit_by_schedule(m))
        return;
    if (timeouts > 0)
        limit_say(m, LIMIT_PATH,
                  "closed loop: %.3g %% of the requests had no answer in time, and their flows "
                  "waited for it",
                  timeouts / asked * 100);
    else if (m->spin)
        /* Who spins is busy, whether there is work or not. */
        limit_say(m, LIMIT_UNKNOWN,
                  "closed loop: both ends wait spinning, so their CPU tells nothing");
    else if (s_busy + r_busy >= loop_share)
        limit_say(m, r_busy > clearly * s_busy ? LIMIT_RECEIVER : LIMIT_SENDER,
                  "closed loop: the two ends' threads worked %.0f %% and %.0f %% of the time",
                  s_busy * 100, r_busy * 100);
    else
        limit_say(m, LIMIT_PATH, "closed loop: each flow waits for an answer before it asks again");
}

void limit_judge(struct measurement *m)
{
    switch (m->kind) {
    case FLOW_TCP_STREAM:
        limit_tcp(m);
        break;
    case FLOW_UDP_STREAM:
    case FLOW_MULTICAST:
        limit_udp(m);
        break;
    case FLOW_ICMP_ECHO:
    case FLOW_STAMP:
        limit_echo(m);
        break;
    case FLOW_TCP_RR:
    case FLOW_UDP_RR:
    case FLOW_TCP_CRR:
        limit_rr(m);
        break;
    case FLOW_KIND_COUNT:
        break;
    }
}
