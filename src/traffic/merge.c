/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/merge.h"
#include "base/stat.h"
#include "traffic/tcp_info.h"

#include <errno.h>
#include <stdlib.h>

/* How a metric of several flows becomes one; what is not named is a sum. */
enum merge_rule { MERGE_SUM, MERGE_MEAN, MERGE_MAX, MERGE_MIN };

static const uint8_t merge_rules[METRIC_COUNT_] = {
    [METRIC_loss_share] = MERGE_MEAN, /* these three are worked out again from the sums */
    [METRIC_loss_low_share] = MERGE_MIN,
    [METRIC_loss_high_share] = MERGE_MAX,
    [METRIC_longest_loss] = MERGE_MAX,
    [METRIC_jitter_ns] = MERGE_MEAN,
    [METRIC_delay_slope] = MERGE_MEAN,
    [METRIC_delay_growth_ns] = MERGE_MEAN,
    [METRIC_spread_ns] = MERGE_MAX,
    [METRIC_latest_ns] = MERGE_MAX,
    [METRIC_forward_min_ns] = MERGE_MIN,
    [METRIC_forward_p50_ns] = MERGE_MEAN,
    [METRIC_forward_p99_ns] = MERGE_MAX,
    [METRIC_forward_max_ns] = MERGE_MAX,
    [METRIC_backward_min_ns] = MERGE_MIN,
    [METRIC_backward_p50_ns] = MERGE_MEAN,
    [METRIC_backward_p99_ns] = MERGE_MAX,
    [METRIC_backward_max_ns] = MERGE_MAX,
    [METRIC_clock_error_ns] = MERGE_MAX,
    [METRIC_clock_ahead_ns] = MERGE_MEAN,
    [METRIC_clock_drift_share] = MERGE_MEAN,
    [METRIC_clock_at_ns] = MERGE_MEAN,
    [METRIC_reflector_ns] = MERGE_MEAN,
    [METRIC_blocked_ns] = MERGE_MEAN,
    [METRIC_paced_write_bytes] = MERGE_MIN,
    [METRIC_lean_refused] = MERGE_MAX,
    [METRIC_segments] = MERGE_MIN,
    [METRIC_mss_bytes] = MERGE_MIN,
    [METRIC_pmtu_bytes] = MERGE_MIN,
    [METRIC_receive_window_bytes] = MERGE_MEAN,
    [METRIC_connect_ns] = MERGE_MEAN,
    [METRIC_busy_ns] = MERGE_MEAN,
    [METRIC_peer_window_limited_ns] = MERGE_MEAN,
    [METRIC_send_buffer_limited_ns] = MERGE_MEAN,
    [METRIC_send_buffer_bytes] = MERGE_MEAN,
    [METRIC_receive_buffer_bytes] = MERGE_MEAN,
};

static void merge_metric(const struct engine *engine, enum flow_part part, enum metric m,
                         struct metric_set *out)
{
    bool real = metric_table[m].real;
    double sum = 0, low = 0, high = 0;
    uint64_t count = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < engine->n_flows; i++) {
        const struct flow *flow = &engine->flows[i];
        double v;

        if (!merge_is_of(flow, part) || !flow->metrics.has[m])
            continue;
        v = real ? metric_get_real(&flow->metrics, m) : (double)metric_get(&flow->metrics, m);
        low = n == 0 || v < low ? v : low;
        high = n == 0 || v > high ? v : high;
        sum += v;
        count += real ? 0 : metric_get(&flow->metrics, m);
        n++;
    }
    if (n == 0)
        return;
    if (merge_rules[m] == MERGE_SUM && !real)
        metric_put(out, m, count); /* exact: no way through a double */
    else
        metric_put_real(out, m,
                        merge_rules[m] == MERGE_SUM    ? sum
                        : merge_rules[m] == MERGE_MEAN ? sum / n
                        : merge_rules[m] == MERGE_MAX  ? high
                                                       : low);
}

static void merge_loss(struct metric_set *out)
{
    uint64_t sent = metric_get(out, METRIC_sent), lost = metric_get(out, METRIC_lost);
    struct stat_interval i;

    if (!out->has[METRIC_loss_share] || !out->has[METRIC_lost] || sent == 0 || lost > sent)
        return;
    i = stat_share_interval(lost, sent);
    metric_put_real(out, METRIC_loss_share, (double)lost / (double)sent);
    metric_put_real(out, METRIC_loss_low_share, i.low);
    metric_put_real(out, METRIC_loss_high_share, i.high);
}

struct flow_interval merge_interval(const struct engine *engine, enum flow_part part,
                                    uint32_t index)
{
    struct flow_interval sum = {0};
    bool first = true;

    for (uint32_t i = 0; i < engine->n_flows; i++) {
        const struct flow *flow = &engine->flows[i];
        const struct flow_interval *slot;

        if (!merge_is_of(flow, part) || !flow->tally.slots)
            continue;
        slot = &flow->tally.slots[index + 1];
        sum.bytes += __atomic_load_n(&slot->bytes, __ATOMIC_RELAXED);
        sum.packets += __atomic_load_n(&slot->packets, __ATOMIC_RELAXED);
        sum.retransmits += __atomic_load_n(&slot->retransmits, __ATOMIC_RELAXED);
        sum.cwnd_bytes += __atomic_load_n(&slot->cwnd_bytes, __ATOMIC_RELAXED);
        if (first)
            sum.rtt_ns = __atomic_load_n(&slot->rtt_ns, __ATOMIC_RELAXED);
        first = false;
    }
    return sum;
}

/* Series, bytes of each flow, histogram. */
static int merge_lists(const struct merge_input *in, enum flow_part part, struct flow_result *out)
{
    const struct engine *engine = in->engine;
    uint32_t n_intervals = 0, n = 0;

    if (in->trial->interval_ns)
        n_intervals =
            (uint32_t)((in->window_ns + in->trial->interval_ns - 1) / in->trial->interval_ns);
    out->interval_ns = in->trial->interval_ns;
    out->flow_bytes = calloc(engine->n_flows, sizeof *out->flow_bytes);
    out->intervals = n_intervals ? calloc(n_intervals, sizeof *out->intervals) : NULL;
    if (!out->flow_bytes || (n_intervals && !out->intervals))
        return -ENOMEM;
    for (uint32_t i = 0; i < n_intervals; i++)
        out->intervals[i] = merge_interval(engine, part, i);
    out->n_intervals = n_intervals;
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        const struct flow *flow = &engine->flows[i];

        if (!merge_is_of(flow, part))
            continue;
        out->flow_bytes[n++] = tally_window(&flow->tally).bytes;
        if (!flow->rtt || flow->rtt->count == 0)
            continue;
        if (!out->rtt)
            out->rtt = calloc(1, sizeof *out->rtt);
        if (!out->rtt)
            return -ENOMEM;
        hist_merge(out->rtt, flow->rtt);
    }
    out->n_flow_bytes = n;
    return 0;
}

static void merge_cpu(const struct merge_input *in, enum flow_part part, struct metric_set *out)
{
    uint64_t user = 0, system = 0, busiest = 0;
    bool first = true;

    for (uint32_t i = 0; i < in->n_workers; i++) {
        const struct worker *w = &in->workers[i];
        uint64_t both = w->cpu_user_ns + w->cpu_system_ns;

        if (w->sends != (part == FLOW_SENT) || !w->window_ended)
            continue;
        user += w->cpu_user_ns;
        system += w->cpu_system_ns;
        busiest = both > busiest ? both : busiest;
        if (first)
            metric_put(out, METRIC_cpu, w->cpu);
        first = false;
    }
    if (first)
        return;
    metric_put(out, METRIC_cpu_ns, user + system);
    metric_put(out, METRIC_cpu_user_ns, user);
    metric_put(out, METRIC_cpu_system_ns, system);
    metric_put_real(out, METRIC_busiest_thread_share, (double)busiest / (double)in->window_ns);
}

static void merge_machine(const struct merge_input *in, struct metric_set *out)
{
    const struct machine_cpu *a = &in->machine_begin, *b = &in->machine_end;

    if (!in->has_machine)
        return;
    metric_put(out, METRIC_node_cpus, b->n_cpus);
    metric_put(out, METRIC_node_user_ns, b->user_ns - a->user_ns);
    metric_put(out, METRIC_node_system_ns, b->system_ns - a->system_ns);
    metric_put(out, METRIC_node_softirq_ns, b->softirq_ns - a->softirq_ns);
    metric_put(out, METRIC_node_steal_ns, b->steal_ns - a->steal_ns);
    /* iowait may go back. */
    metric_put(out, METRIC_node_idle_ns, b->idle_ns > a->idle_ns ? b->idle_ns - a->idle_ns : 0);
}

/* A value that follows from the counters, unless the protocol has measured it itself. */
static void merge_derive(struct metric_set *out, enum metric m, double value)
{
    if (!out->has[m])
        metric_put_real(out, m, value);
}

static void merge_rates(const struct merge_input *in, enum flow_part part, struct metric_set *out)
{
    enum flow_kind kind = in->engine->spec.kind;
    struct flow_interval sum = {0};
    double window_s = (double)in->window_ns / 1e9;

    for (uint32_t i = 0; i < in->engine->n_flows; i++) {
        struct flow_interval one;

        if (!merge_is_of(&in->engine->flows[i], part))
            continue;
        one = tally_window(&in->engine->flows[i].tally);
        sum.bytes += one.bytes;
        sum.packets += one.packets;
    }
    metric_put(out, METRIC_window_ns, in->window_ns);
    metric_put(out, METRIC_bytes, sum.bytes);
    if (kind != FLOW_TCP_STREAM)
        merge_derive(out, METRIC_packets, (double)sum.packets);
    if (kind == FLOW_TCP_STREAM || kind == FLOW_UDP_STREAM || kind == FLOW_MULTICAST) {
        merge_derive(out, part == FLOW_SENT ? METRIC_offered_bps : METRIC_throughput_bps,
                     (double)sum.bytes * 8 / window_s);
        if (in->trial->rate_bps)
            metric_put(out, METRIC_requested_bps, in->trial->rate_bps);
    }
    if (kind == FLOW_UDP_STREAM || kind == FLOW_MULTICAST)
        merge_derive(out, part == FLOW_SENT ? METRIC_offered_pps : METRIC_received_pps,
                     (double)sum.packets / window_s);
    if (kind == FLOW_TCP_RR || kind == FLOW_UDP_RR || kind == FLOW_TCP_CRR) {
        merge_derive(out, METRIC_transactions, (double)sum.packets);
        merge_derive(out, METRIC_transactions_per_s, (double)sum.packets / window_s);
    }
    if (sum.bytes && out->has[METRIC_cpu_ns])
        metric_put_real(out, METRIC_cpu_s_per_gb,
                        (double)metric_get(out, METRIC_cpu_ns) / (double)sum.bytes);
    if (in->engine->spec.role == FLOW_SERVER)
        metric_put(out, METRIC_refused, in->engine->refused);
}

/* What was asked for stands beside what was had. */
static void merge_asked(const struct flow_spec *spec, struct metric_set *out)
{
    if (spec->mss_bytes)
        metric_put(out, METRIC_requested_mss_bytes, spec->mss_bytes);
    if (spec->window_bytes)
        metric_put(out, METRIC_requested_window_bytes, spec->window_bytes);
    if (spec->dscp)
        metric_put(out, METRIC_dscp, spec->dscp);
}

int merge_part(const struct merge_input *in, enum flow_part part, struct flow_result *ret_result)
{
    const struct engine *engine = in->engine;
    struct flow_result out = {0};
    int r;

    for (int m = 0; m < METRIC_COUNT_; m++)
        merge_metric(engine, part, (enum metric)m, &out.metrics);
    merge_loss(&out.metrics);
    merge_cpu(in, part, &out.metrics);
    merge_machine(in, &out.metrics);
    merge_rates(in, part, &out.metrics);
    merge_asked(&engine->spec, &out.metrics);
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        if (!merge_is_of(&engine->flows[i], part))
            continue;
        if (engine->spec.kind == FLOW_TCP_STREAM || engine->spec.kind == FLOW_TCP_RR)
            tcp_info_congestion(engine->flows[i].fd, out.congestion_control);
        break;
    }
    r = merge_lists(in, part, &out);
    if (r < 0) {
        flow_result_done(&out);
        return r;
    }
    *ret_result = out;
    return 0;
}
