/* SPDX-License-Identifier: Apache-2.0 */
#include "results/measurement_json.h"

#include "results/doc.h"
#include "results/node_cpu_json.h"

#define MEASUREMENT_JSON_DATAGRAMS                                                                 \
    {METRIC_window_ns,  METRIC_offered_pps, METRIC_received_pps, METRIC_throughput_bps,            \
     METRIC_loss_share, METRIC_reordered,   METRIC_duplicated,   METRIC_jitter_ns},                \
        8
#define MEASUREMENT_JSON_ANSWERS                                                                   \
    {METRIC_window_ns, METRIC_transactions, METRIC_transactions_per_s}, 3
#define MEASUREMENT_JSON_ECHOES {METRIC_sent, METRIC_received, METRIC_loss_share}, 3

/* What every measurement of a kind says, be it null. */
static const struct measurement_json_kind {
    const char *kind, *transport, *size_key;
    enum metric must[9];
    unsigned n_must;
    bool stream; /* payload is counted at the receiver, in both series */
    bool tcp;
} measurement_json_kinds[FLOW_KIND_COUNT] = {
    [FLOW_TCP_STREAM] = {"tcp_stream",
                         NULL,
                         "write_bytes",
                         {METRIC_window_ns, METRIC_throughput_bps, METRIC_retransmits},
                         3,
                         true,
                         true},
    [FLOW_UDP_STREAM] = {"udp_stream", NULL, "payload_bytes", MEASUREMENT_JSON_DATAGRAMS, true,
                         false},
    [FLOW_ICMP_ECHO] = {"icmp_echo", NULL, "payload_bytes", MEASUREMENT_JSON_ECHOES, false, false},
    [FLOW_TCP_RR] = {"rr", "tcp", "payload_bytes", MEASUREMENT_JSON_ANSWERS, false, true},
    [FLOW_UDP_RR] = {"rr", "udp", "payload_bytes", MEASUREMENT_JSON_ANSWERS, false, false},
    /* Its connections are many and short: no one congestion control is in force. */
    [FLOW_TCP_CRR] = {"crr", "tcp", "payload_bytes", MEASUREMENT_JSON_ANSWERS, false, false},
    [FLOW_STAMP] = {"stamp", NULL, "payload_bytes", MEASUREMENT_JSON_ECHOES, false, false},
    [FLOW_MULTICAST] = {"multicast", NULL, "payload_bytes", MEASUREMENT_JSON_DATAGRAMS, true,
                        false},
};

static json_t *measurement_json_metric(const struct metric_set *set, enum metric m)
{
    return metric_table[m].real ? doc_real(set->value[m].real) : doc_whole(set->value[m].count);
}

static int measurement_json_metrics(json_t *o, const struct metric_set *set)
{
    int bad = 0;

    for (int m = 0; m < METRIC_COUNT_; m++)
        if (set->has[m])
            bad |= json_object_set_new(o, metric_table[m].name,
                                       measurement_json_metric(set, (enum metric)m));
    return bad;
}

/* A key without a value: null here, and why in "missing". */
static int measurement_json_miss(json_t *o, json_t *missing, const char *key, const char *why)
{
    return json_object_set_new(o, key, json_null()) |
           json_object_set_new(missing, key, doc_string(why));
}

static json_t *measurement_json_rtt(const struct hist *rtt)
{
    static const struct {
        const char *key;
        double share;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};
    json_t *o = json_object();
    int bad = 0;

    bad |= json_object_set_new(o, "min", doc_whole(rtt->min));
    bad |= json_object_set_new(o, "mean", doc_real(hist_mean(rtt)));
    bad |= json_object_set_new(o, "stddev", doc_real(hist_stddev(rtt)));
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        bad |= json_object_set_new(o, rows[i].key, doc_whole(hist_percentile(rtt, rows[i].share)));
    bad |= json_object_set_new(o, "max", doc_whole(rtt->max));
    bad |= json_object_set_new(o, "count", doc_whole(rtt->count));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/*
 * The series of one side, with the TCP samples of `tcp` (the same or the other side) where they are of the same length.
 * The last interval is as long as the window left it.
 */
static json_t *measurement_json_series(const struct flow_result *side,
                                       const struct flow_result *tcp, bool packets)
{
    uint64_t window_ns = metric_get(&side->metrics, METRIC_window_ns);
    json_t *list = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < side->n_intervals; i++) {
        const struct flow_interval *v = &side->intervals[i], *t = NULL;
        uint64_t start_ns = i * side->interval_ns, length_ns = side->interval_ns;
        json_t *o = json_object();

        if (tcp && i < tcp->n_intervals && tcp->interval_ns == side->interval_ns)
            t = &tcp->intervals[i];
        if (window_ns > start_ns && window_ns - start_ns < length_ns)
            length_ns = window_ns - start_ns;
        bad |= json_object_set_new(o, "start_ns", doc_whole(start_ns));
        bad |= json_object_set_new(o, "length_ns", doc_whole(length_ns));
        bad |= json_object_set_new(o, "bytes", doc_whole(v->bytes));
        bad |= json_object_set_new(o, "throughput_bps",
                                   length_ns ? doc_real((double)v->bytes * 8e9 / (double)length_ns)
                                             : json_null());
        if (packets)
            bad |= json_object_set_new(o, "packets", doc_whole(v->packets));
        if (t) {
            bad |= json_object_set_new(
                o, "retransmits",
                tcp->metrics.has[METRIC_retransmits] ? doc_whole(t->retransmits) : json_null());
            bad |= json_object_set_new(o, "rtt_ns", t->rtt_ns ? doc_whole(t->rtt_ns) : json_null());
            bad |= json_object_set_new(o, "cwnd_bytes",
                                       t->cwnd_bytes ? doc_whole(t->cwnd_bytes) : json_null());
        }
        bad |= json_array_append_new(list, o);
    }
    if (bad) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *measurement_json_side(const struct flow_result *side, const struct flow_result *tcp,
                                     bool packets)
{
    json_t *o = json_object();
    int bad = measurement_json_metrics(o, &side->metrics);

    if (side->congestion_control[0])
        bad |= json_object_set_new(o, "congestion_control", doc_string(side->congestion_control));
    if (side->n_flow_bytes > 1) {
        json_t *list = json_array();

        for (uint32_t i = 0; i < side->n_flow_bytes; i++)
            bad |= json_array_append_new(list, doc_whole(side->flow_bytes[i]));
        bad |= json_object_set_new(o, "flow_bytes", list);
    }
    if (side->n_intervals)
        bad |= json_object_set_new(o, "intervals", measurement_json_series(side, tcp, packets));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *measurement_json_targets(const struct search *search)
{
    json_t *list = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < search->n_targets; i++) {
        const struct search_target *t = &search->target[i];
        json_t *o = json_object();

        bad |= json_object_set_new(o, "loss_target", doc_real(t->loss_target));
        bad |= json_object_set_new(o, "rate_bps", doc_whole(t->rate_bps));
        bad |= json_object_set_new(o, "received_bps", doc_real(t->received_bps));
        bad |= json_object_set_new(o, "loss_share", doc_real(t->loss_share));
        bad |= json_object_set_new(o, "loss_low_share", doc_real(t->loss_low_share));
        bad |= json_object_set_new(o, "loss_high_share", doc_real(t->loss_high_share));
        bad |= json_object_set_new(o, "duration_ns", doc_whole(t->duration_ns));
        bad |= json_object_set_new(o, "confirmed", json_boolean(t->confirmed));
        bad |= json_array_append_new(list, o);
    }
    if (bad) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *measurement_json_search(const struct search *search)
{
    json_t *o = json_object(), *probes = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < search->n_probes; i++) {
        const struct probe *p = &search->probes[i];
        json_t *q = json_object();

        bad |= json_object_set_new(q, "rate_bps", doc_whole(p->rate_bps));
        bad |= json_object_set_new(q, "offered_bps", doc_real(p->offered_bps));
        bad |= json_object_set_new(q, "received_bps", doc_real(p->received_bps));
        bad |= json_object_set_new(q, "sent", doc_whole(p->sent));
        bad |= json_object_set_new(q, "lost", doc_whole(p->lost));
        bad |= json_object_set_new(q, "loss_share", doc_real(p->loss_share));
        bad |= json_object_set_new(q, "delay_growth_ns", doc_real(p->delay_growth_ns));
        bad |= json_object_set_new(q, "duration_ns", doc_whole(p->duration_ns));
        bad |= json_object_set_new(q, "verdict", doc_string(p->verdict));
        bad |= json_array_append_new(probes, q);
    }
    bad |= json_object_set_new(o, "loss_target", doc_real(search->loss_target));
    bad |= json_object_set_new(o, "duration_ns", doc_whole(search->duration_ns));
    bad |= json_object_set_new(o, "confirmed", json_boolean(search->confirmed));
    if (search->n_targets)
        bad |= json_object_set_new(o, "targets", measurement_json_targets(search));
    bad |= json_object_set_new(o, "probes", probes);
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* The keys that a kind must have and that have no value, round-trip time and congestion control among them. */
static int measurement_json_missing(json_t *o, const struct measurement *m)
{
    const struct measurement_json_kind *kind = &measurement_json_kinds[m->kind];
    const char *why = m->error[0] ? "the measurement failed"
                      : m->peer   ? "the far end's program does not tell"
                                  : "not measured";
    json_t *missing = json_object();
    int bad = 0;

    for (unsigned i = 0; i < kind->n_must; i++)
        if (!m->headline.has[kind->must[i]])
            bad |= measurement_json_miss(o, missing, metric_table[kind->must[i]].name, why);
    if (!kind->stream || m->kind == FLOW_TCP_STREAM) {
        if (m->sender.rtt && m->sender.rtt->count)
            bad |= json_object_set_new(o, "rtt_ns", measurement_json_rtt(m->sender.rtt));
        else
            bad |=
                measurement_json_miss(o, missing, "rtt_ns", m->error[0] ? why : "no sample came");
        /* Looks at the smoothed RTT, not round trips one by one. */
        if (m->kind == FLOW_TCP_STREAM)
            bad |= json_object_set_new(o, "rtt_source", json_string("tcpi_rtt, every 10 ms"));
    }
    if (kind->tcp) {
        /* The sender's alone: the receiver's is in force for nothing but its own few bytes. */
        if (m->sender.congestion_control[0])
            bad |= json_object_set_new(o, "congestion_control",
                                       doc_string(m->sender.congestion_control));
        else
            bad |= measurement_json_miss(o, missing, "congestion_control",
                                         m->error[0] ? why : "the sender did not say which");
    }
    if (json_object_size(missing) > 0)
        return bad | json_object_set_new(o, "missing", missing);
    json_decref(missing);
    return bad;
}

static int measurement_json_words(json_t *o, const struct measurement *m)
{
    const struct {
        const char *key, *text;
    } words[] = {{"limit_reason", m->limit_reason},
                 {"placement", m->placement},
                 {"warning", m->warning},
                 {"error", m->error}};
    int bad = json_object_set_new(o, "limit", json_string(limit_name[m->limit]));

    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].text[0])
            bad |= json_object_set_new(o, words[i].key, doc_string(words[i].text));
    return bad;
}

/* How it was measured, where that is not as ever. */
static int measurement_json_how(json_t *o, const struct measurement *m)
{
    bool asks = flow_kind_asks(m->kind);
    int bad = 0;

    if (m->kind == FLOW_TCP_STREAM)
        bad |= json_object_set_new(o, "io", json_string(flow_io_name[m->io]));
    if (m->peer)
        bad |= json_object_set_new(o, "peer", json_string(flow_peer_name[m->peer]));
    if (m->tool[0])
        bad |= json_object_set_new(o, "tool", doc_string(m->tool));
    if (m->to[0])
        bad |= json_object_set_new(o, "to", doc_string(m->to));
    if (m->load)
        bad |= json_object_set_new(o, "load", json_string(load_name[m->load]));
    if (m->imix)
        bad |= json_object_set_new(o, "imix", json_true());
    if (asks && m->gap_ns)
        bad |= json_object_set_new(o, "gap_ns", doc_whole(m->gap_ns));
    if (asks && m->kind != FLOW_ICMP_ECHO)
        bad |= json_object_set_new(o, "spin", json_boolean(m->spin));
    if (m->pinned)
        bad |= json_object_set_new(o, "pinned", json_true());
    return bad;
}

int measurement_json_what(json_t *o, const struct measurement *m)
{
    const struct measurement_json_kind *kind = &measurement_json_kinds[m->kind];
    int bad = json_object_set_new(o, "kind", json_string(kind->kind));

    if (kind->transport)
        bad |= json_object_set_new(o, "transport", json_string(kind->transport));
    bad |= json_object_set_new(o, "direction", json_string(m->reverse ? "reverse" : "forward"));
    bad |= json_object_set_new(o, kind->size_key, doc_whole(m->payload_bytes));
    bad |= json_object_set_new(o, "flows", doc_whole(m->n_flows));
    return bad | measurement_json_how(o, m);
}

json_t *measurement_json(const struct measurement *m)
{
    const struct measurement_json_kind *kind = &measurement_json_kinds[m->kind];
    const struct flow_result *tcp = m->kind == FLOW_TCP_STREAM ? &m->sender : NULL;
    /* Answers of RR and echo come back to who sent, so only the sender has a series. */
    const struct flow_result *counts = kind->stream ? &m->receiver : &m->sender;
    bool packets = m->kind != FLOW_TCP_STREAM;
    json_t *o = json_object();
    int bad = 0;

    bad |= measurement_json_what(o, m);
    if (m->repetition) {
        bad |= json_object_set_new(o, "repetition", doc_whole(m->repetition));
        bad |= json_object_set_new(o, "outlier", json_boolean(m->outlier));
    }
    bad |= json_object_set_new(o, "warmup_ns", doc_whole(m->warmup_ns));
    if (m->warmup_found)
        bad |= json_object_set_new(o, "warmup_found", json_true());
    if (m->port)
        bad |= json_object_set_new(o, "port", doc_whole(m->port));
    bad |= measurement_json_metrics(o, &m->headline);
    bad |= measurement_json_missing(o, m);
    bad |= measurement_json_words(o, m);
    bad |= json_object_set_new(o, "sender", measurement_json_side(&m->sender, tcp, packets));
    bad |= json_object_set_new(o, "receiver", measurement_json_side(&m->receiver, NULL, packets));
    bad |= json_object_set_new(o, "intervals", measurement_json_series(counts, tcp, packets));
    if (m->cpu.n)
        bad |= json_object_set_new(o, "cpu_nodes", node_cpu_json(&m->cpu));
    if (m->searched)
        bad |= json_object_set_new(o, "search", measurement_json_search(&m->search));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}
