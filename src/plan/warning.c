/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/warning.h"
#include "base/auto.h"
#include "base/stat.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A series that begins below start_share of the rest, and by start_deviations of it, was still rising. */
static const double offered_share = 0.97, steal_share = 0.05, start_share = 0.9,
                    start_deviations = 3;

enum { WARNING_SERIES = 5 }; /* shorter ones do not tell */

/* One more thing that a reader must know, behind those before it, as far as there is room. */
__attribute__((format(printf, 2, 3))) static void warning_note(struct measurement *m,
                                                               const char *fmt, ...)
{
    size_t used = strlen(m->warning);
    va_list ap;

    if (used)
        used += (size_t)snprintf(m->warning + used, sizeof m->warning - used, "; ");
    if (used >= sizeof m->warning)
        return;
    va_start(ap, fmt);
    vsnprintf(m->warning + used, sizeof m->warning - used, fmt, ap);
    va_end(ap);
}

static void warning_search(struct measurement *m)
{
    double loss = metric_get_real(&m->headline, METRIC_loss_share);

    if (!m->search.confirmed && m->search.n_targets &&
        m->search.target[0].loss_share <= m->search.loss_target)
        warning_note(m, "no rate was confirmed: all trials at it were disturbed");
    else if (!m->search.confirmed)
        warning_note(
            m, "no rate was confirmed: every confirming trial lost more than the target of %.3g %%",
            m->search.loss_target * 100);
    else if (loss > m->search.loss_target)
        warning_note(m, "the final trial lost %.3g %%, more than the target of %.3g %%", loss * 100,
                     m->search.loss_target * 100);
}

static void warning_udp(struct measurement *m, bool v6)
{
    double asked = metric_get_real(&m->headline, METRIC_requested_bps),
           offered = metric_get_real(&m->headline, METRIC_offered_bps);
    uint64_t mtu = metric_get(&m->sender.metrics, METRIC_pmtu_bytes);
    uint64_t headers = v6 ? 48 : 28, packet = m->payload_bytes + headers;

    /* Where the sender is the limit, less than its best short probe is what it can do, and the limit's reason says so. */
    if (asked > 0 && offered < offered_share * asked && !(m->searched && m->limit == LIMIT_SENDER))
        warning_note(m, "the sender offered only %.0f %% of %s", offered / asked * 100,
                     m->searched ? "the rate that was found" : "the requested rate");
    if (metric_get(&m->headline, METRIC_duplicated))
        warning_note(m, "%llu datagrams came more than once, and count each time",
                     (unsigned long long)metric_get(&m->headline, METRIC_duplicated));
    if (mtu > headers && packet > mtu)
        warning_note(
            m, "each datagram travels as %llu fragments",
            (unsigned long long)((packet - headers + mtu - headers) / (mtu - headers + 8)));
}

static void warning_steal(struct measurement *m)
{
    const struct metric_set *sides[] = {&m->sender.metrics, &m->receiver.metrics};

    for (unsigned i = 0; i < 2; i++) {
        double all = metric_get_real(sides[i], METRIC_window_ns) *
                     metric_get_real(sides[i], METRIC_node_cpus),
               steal = metric_get_real(sides[i], METRIC_node_steal_ns);

        if (all > 0 && steal > steal_share * all) {
            warning_note(m, "its hypervisor took %.0f %% of the %s's CPU away", steal / all * 100,
                         i ? "receiver" : "sender");
            return;
        }
    }
}

/* The intervals that lie in the window as a whole. */
static uint32_t warning_whole(const struct flow_result *side)
{
    uint64_t window_ns = metric_get(&side->metrics, METRIC_window_ns);
    uint64_t n = side->interval_ns ? window_ns / side->interval_ns : 0;

    return n < side->n_intervals ? (uint32_t)n : side->n_intervals;
}

static double warning_deviation(const double *v, size_t n)
{
    double mean = stat_mean(v, n), sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (v[i] - mean) * (v[i] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : 0;
}

/* The warm-up that was set, against the one that the receiver's series tells of. */
static void warning_warmup(struct measurement *m)
{
    const struct flow_result *side = &m->receiver;
    uint32_t n = warning_whole(side);
    AUTO(free_p) double *v = n >= WARNING_SERIES ? calloc(n, sizeof *v) : NULL;
    char start[TEXT_SHORT], rate[TEXT_SHORT], better[TEXT_SHORT];
    double first, rest;
    size_t cut;

    if (!v)
        return;
    for (uint32_t i = 0; i < n; i++)
        v[i] = (double)side->intervals[i].bytes;
    cut = stat_truncation(v, n);
    first = stat_mean(v, cut);
    rest = stat_mean(v + cut, n - cut);
    if (cut == 0 || first > start_share * rest ||
        rest - first < start_deviations * warning_deviation(v + cut, n - cut))
        return;
    text_show_time((double)(cut * side->interval_ns), start);
    text_show_time((double)(m->warmup_ns + cut * side->interval_ns), better);
    text_show_rate(rest * 8e9 / (double)side->interval_ns, rate);
    warning_note(m,
                 "the warm-up was too short: the first %s of the window brought %.0f %% of the %s "
                 "of the rest (a --warmup of %s leaves them out)",
                 start, first / rest * 100, rate, better);
}

/* A latency without a word on where its two ends ran says little: waking another CPU costs more than many a path. */
static void warning_placement(struct measurement *m)
{
    if (!m->placement[0] || m->pinned)
        return;
    if (strcmp(m->placement, "different") != 0)
        warning_note(m,
                     "not pinned: at the end its two ends ran on the same CPU (--cpu pins them)");
    else if (m->spin)
        warning_note(m,
                     "not pinned: at the end its two ends ran on different CPUs (--cpu pins them)");
    else
        warning_note(m, "not pinned: at the end its two ends ran on different CPUs and slept while "
                        "they waited, so that each answer wakes a CPU (--cpu pins, --spin does not "
                        "sleep)");
}

static void warning_asks(struct measurement *m)
{
    uint64_t timeouts = metric_get(&m->headline, METRIC_timeouts),
             missed = metric_get(&m->headline, METRIC_missed);

    if (timeouts)
        warning_note(m, "%llu requests without an answer are in no percentile",
                     (unsigned long long)timeouts);
    if (missed)
        warning_note(m, "%llu requests of the schedule were not sent, and are in no percentile",
                     (unsigned long long)missed);
    warning_placement(m);
}

/* Who measures at the far end is not us. */
static void warning_foreign(struct measurement *m)
{
    int lean = (int)metric_get(&m->sender.metrics, METRIC_lean_refused);

    if (m->peer == FLOW_PEER_IPERF3 || m->peer == FLOW_PEER_IPERF2)
        warning_note(m,
                     "counted with %s at the far end: its CPU and its socket's losses are not "
                     "known",
                     flow_peer_name[m->peer]);
    if (lean)
        warning_note(m, "the kernel did not let the sender go without copying (%s): it copied",
                     strerror(lean));
}

void warning_judge(struct measurement *m, bool v6)
{
    uint64_t paced = metric_get(&m->sender.metrics, METRIC_paced_write_bytes);

    if (m->kind == FLOW_TCP_STREAM && m->limit != LIMIT_REQUESTED_RATE &&
        strcmp(m->sender.congestion_control, "bbr") == 0)
        warning_note(m, "bbr may pace itself below what the path can do: compare with --cc cubic");
    if (paced)
        warning_note(m, "writes were cut to %llu bytes to keep the rate even",
                     (unsigned long long)paced);
    if (m->searched)
        warning_search(m);
    if (m->kind == FLOW_UDP_STREAM || m->kind == FLOW_MULTICAST)
        warning_udp(m, v6);
    if (m->kind == FLOW_TCP_STREAM && m->limit != LIMIT_REQUESTED_RATE)
        warning_warmup(m);
    if (flow_kind_asks(m->kind))
        warning_asks(m);
    warning_foreign(m);
    warning_steal(m);
}
