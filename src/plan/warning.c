/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/warning.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const double offered_share = 0.97, steal_share = 0.05;

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

    if (!m->search.confirmed)
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

    if (asked > 0 && offered < offered_share * asked)
        warning_note(m, "the sender offered only %.0f %% of %s", offered / asked * 100,
                     m->searched ? "the rate that was found" : "the requested rate");
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
    if (m->kind == FLOW_UDP_STREAM)
        warning_udp(m, v6);
    if (metric_get(&m->headline, METRIC_timeouts))
        warning_note(m, "%llu requests without an answer are in no percentile",
                     (unsigned long long)metric_get(&m->headline, METRIC_timeouts));
    warning_steal(m);
}
