/* SPDX-License-Identifier: Apache-2.0 */
#include "results/hops_json.h"

#include "results/doc.h"
#include "results/run_json.h"

static const struct {
    const char *key;
    double share;
} hops_json_shares[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};

enum { HOPS_JSON_SHARES = sizeof hops_json_shares / sizeof *hops_json_shares };

/* What was built, or NULL when a part of it did not find memory. */
static json_t *hops_json_done(json_t *o, int bad)
{
    if (!bad)
        return o;
    json_decref(o);
    return NULL;
}

/* Null, and why. */
static int hops_json_miss(json_t *o, json_t *missing, const char *key, const char *why)
{
    return json_object_set_new(o, key, json_null()) |
           json_object_set_new(missing, key, doc_string(why));
}

/* "missing", where something is. */
static int hops_json_missing(json_t *o, json_t *missing)
{
    if (json_object_size(missing) > 0)
        return json_object_set_new(o, "missing", missing);
    json_decref(missing);
    return 0;
}

static json_t *hops_json_delay(const struct delay *d)
{
    json_t *o = json_object();
    bool some = d->count > 0;
    int bad = 0;

    bad |= json_object_set_new(o, "min", some ? json_integer(d->min) : json_null());
    bad |= json_object_set_new(o, "mean", some ? doc_real(delay_mean(d)) : json_null());
    bad |= json_object_set_new(o, "stddev", some ? doc_real(delay_stddev(d)) : json_null());
    for (unsigned i = 0; i < HOPS_JSON_SHARES; i++)
        bad |= json_object_set_new(
            o, hops_json_shares[i].key,
            some ? json_integer(delay_percentile(d, hops_json_shares[i].share)) : json_null());
    bad |= json_object_set_new(o, "max", some ? json_integer(d->max) : json_null());
    bad |= json_object_set_new(o, "count", doc_whole(d->count));
    return hops_json_done(o, bad);
}

static json_t *hops_json_series(const struct hop *hop)
{
    json_t *list = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < hop->n_intervals; i++) {
        const struct hop_interval *v = &hop->intervals[i];
        json_t *o = json_object();
        bool some = v->matched > 0;

        bad |= json_object_set_new(o, "start_ns", doc_whole(i * hop->interval_ns));
        bad |= json_object_set_new(o, "matched", doc_whole(v->matched));
        bad |= json_object_set_new(o, "lost", doc_whole(v->lost));
        bad |= json_object_set_new(o, "min_ns", some ? json_integer(v->min_ns) : json_null());
        bad |= json_object_set_new(o, "mean_ns",
                                   some ? doc_real(v->sum_ns / (double)v->matched) : json_null());
        bad |= json_object_set_new(o, "max_ns", some ? json_integer(v->max_ns) : json_null());
        bad |= json_array_append_new(list, o);
    }
    return hops_json_done(list, bad);
}

/* IP's number by the name that it goes by. */
static json_t *hops_json_protocol(uint8_t protocol)
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {{1, "icmp"}, {6, "tcp"}, {17, "udp"}, {58, "icmp6"}, {132, "sctp"}};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == protocol)
            return json_string(names[i].name);
    return json_integer(protocol);
}

static json_t *hops_json_flows(const struct hop *hop)
{
    json_t *list = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < hop->n_flows; i++) {
        const struct hop_flow *f = &hop->flows[i];
        json_t *o = json_object();

        bad |= json_object_set_new(o, "protocol", hops_json_protocol(f->protocol));
        bad |= json_object_set_new(o, "from", doc_string(f->from));
        bad |= json_object_set_new(o, "to", doc_string(f->to));
        bad |= json_object_set_new(o, "matched", doc_whole(f->matched));
        bad |= json_object_set_new(o, "lost", doc_whole(f->lost));
        bad |= json_object_set_new(o, "duplicated", doc_whole(f->duplicated));
        bad |= json_object_set_new(o, "reordered", doc_whole(f->reordered));
        bad |= json_object_set_new(o, "ambiguous", doc_whole(f->ambiguous));
        bad |= json_object_set_new(o, "delay_ns", hops_json_delay(&f->delay));
        bad |= json_array_append_new(list, o);
    }
    return hops_json_done(list, bad);
}

/* What some hops have: parts that were merged, a series, flows. */
static int hops_json_more(json_t *o, const struct hop *hop)
{
    int bad = 0;

    if (hop->hold.count)
        bad |= json_object_set_new(o, "hold_ns", hops_json_delay(&hop->hold));
    if (hop->path.count)
        bad |= json_object_set_new(o, "path_ns", hops_json_delay(&hop->path));
    if (hop->interval_ns) {
        bad |= json_object_set_new(o, "interval_ns", doc_whole(hop->interval_ns));
        bad |= json_object_set_new(o, "series_start_ns", doc_whole(hop->series_start_ns));
        bad |= json_object_set_new(o, "series", hops_json_series(hop));
    }
    if (hop->n_flows || hop->more_flows) {
        bad |= json_object_set_new(o, "flows", hops_json_flows(hop));
        bad |= json_object_set_new(o, "more_flows", doc_whole(hop->more_flows));
    }
    return bad;
}

/* How far a delay may be off as a whole, by what is known of the two clocks; 0 they are one. */
static uint64_t hops_json_bound(const struct hop_point *from, const struct hop_point *to)
{
    int64_t from_ns = from->has_offset ? from->offset_ns : 0,
            to_ns = to->has_offset ? to->offset_ns : 0;
    uint64_t from_bound_ns = from->has_offset ? from->offset_bound_ns : 0,
             to_bound_ns = to->has_offset ? to->offset_bound_ns : 0;

    if (from_bound_ns == UINT64_MAX || to_bound_ns == UINT64_MAX)
        return 0;
    return from->has_offset == to->has_offset && from_ns == to_ns ? 0 : from_bound_ns + to_bound_ns;
}

static json_t *hops_json_hop(const struct hops *hops, const struct hop *hop)
{
    uint64_t bound_ns = hops_json_bound(&hops->points[hop->from], &hops->points[hop->to]);
    uint64_t sent = hop->matched + hop->ambiguous + hop->lost;
    json_t *o = json_object(), *missing = json_object();
    int bad = 0;

    bad |= json_object_set_new(o, "from", doc_string(hops->points[hop->from].name));
    bad |= json_object_set_new(o, "to", doc_string(hops->points[hop->to].name));
    if (hop->whole)
        bad |= json_object_set_new(o, "whole", json_true());
    bad |= json_object_set_new(o, "matched", doc_whole(hop->matched));
    bad |= json_object_set_new(o, "lost", doc_whole(hop->lost));
    if (sent)
        bad |= json_object_set_new(o, "loss_share", doc_real((double)hop->lost / (double)sent));
    else
        bad |= hops_json_miss(o, missing, "loss_share", "no packet was matched or lost");
    if (hop->lost_is_bound)
        bad |= json_object_set_new(o, "lost_is_bound", json_true());
    bad |= json_object_set_new(o, "duplicated", doc_whole(hop->duplicated));
    bad |= json_object_set_new(o, "reordered", doc_whole(hop->reordered));
    bad |= json_object_set_new(o, "only_later", doc_whole(hop->only_later));
    bad |= json_object_set_new(o, "ambiguous", doc_whole(hop->ambiguous));
    bad |= json_object_set_new(o, "delay_ns", hops_json_delay(&hop->delay));
    if (hop->delay.count == 0)
        bad |= json_object_set_new(missing, "delay_ns", json_string("no packet was matched"));
    if (bound_ns)
        bad |= json_object_set_new(o, "delay_bound_ns", doc_whole(bound_ns));
    bad |= hops_json_more(o, hop);
    bad |= hops_json_missing(o, missing);
    return hops_json_done(o, bad);
}

static int hops_json_offset(json_t *o, json_t *missing, const struct hop_point *p)
{
    static const char *const keys[] = {"offset_ns", "skew_share", "offset_bound_ns"};
    int bad = 0;

    if (!p->has_offset) {
        for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
            bad |= hops_json_miss(o, missing, keys[i],
                                  "not estimated: its times were taken as they are");
        return bad;
    }
    bad |= json_object_set_new(o, keys[0], json_integer(p->offset_ns));
    bad |= json_object_set_new(o, keys[1], doc_real(p->skew_share));
    if (p->offset_bound_ns != UINT64_MAX)
        bad |= json_object_set_new(o, keys[2], doc_whole(p->offset_bound_ns));
    else
        bad |= hops_json_miss(o, missing, keys[2],
                              p->n_offset_packets
                                  ? "packets went one way only: nothing bounds the offset"
                                  : "the offset was given, not estimated");
    return bad | json_object_set_new(o, "offset_packets", doc_whole(p->n_offset_packets));
}

static json_t *hops_json_point(const struct hop_point *p)
{
    json_t *o = json_object(), *missing = json_object();
    int bad = 0;

    bad |= json_object_set_new(o, "name", doc_string(p->name));
    bad |= json_object_set_new(o, "source", doc_string(p->source));
    bad |= json_object_set_new(o, "seen", doc_whole(p->seen));
    bad |= json_object_set_new(o, "unparsed", doc_whole(p->unparsed));
    bad |= json_object_set_new(o, "fragments", doc_whole(p->fragments));
    bad |= json_object_set_new(o, "unmatched", doc_whole(p->unmatched));
    if (p->has_kernel_drops)
        bad |= json_object_set_new(o, "kernel_drops", doc_whole(p->kernel_drops));
    else
        bad |= hops_json_miss(o, missing, "kernel_drops", "the source does not tell");
    if (p->vanished)
        bad |= json_object_set_new(o, "vanished", json_true());
    bad |= json_object_set_new(o, "overflow", doc_whole(p->overflow));
    bad |= json_object_set_new(o, "backward", doc_whole(p->backward));
    if (p->seen || p->first_ns || p->last_ns) {
        bad |= json_object_set_new(o, "first_ns", doc_whole(p->first_ns));
        bad |= json_object_set_new(o, "last_ns", doc_whole(p->last_ns));
    } else {
        bad |= hops_json_miss(o, missing, "first_ns", "no packet was seen");
        bad |= hops_json_miss(o, missing, "last_ns", "no packet was seen");
    }
    bad |= hops_json_offset(o, missing, p);
    bad |= hops_json_missing(o, missing);
    return hops_json_done(o, bad);
}

static json_t *hops_json_instrument(const struct hop_instrument *i)
{
    json_t *o;
    int bad = 0;

    if (!i->measured && !i->stamp[0])
        return json_null();
    o = json_object();
    if (!i->measured) {
        bad |= json_object_set_new(o, "stamp", doc_string(i->stamp));
        return hops_json_done(o, bad);
    }
    bad |= json_object_set_new(o, "cost_ns", doc_real(i->cost_ns));
    bad |= json_object_set_new(o, "bias_ns", json_integer(i->bias_ns));
    bad |= json_object_set_new(o, "bias_spread_ns", doc_whole(i->bias_spread_ns));
    bad |= json_object_set_new(o, "packets", doc_whole(i->n_packets));
    bad |= json_object_set_new(o, "stamp", doc_string(i->stamp));
    return hops_json_done(o, bad);
}

static json_t *hops_json_text(const char *text) { return text[0] ? doc_string(text) : json_null(); }

static int hops_json_into(json_t *o, const struct hops *hops)
{
    json_t *list = json_array(), *points = json_array(), *missing = json_object();
    int bad = 0;

    for (uint32_t i = 0; i < hops->n_hops; i++)
        bad |= json_array_append_new(list, hops_json_hop(hops, &hops->hops[i]));
    for (uint32_t i = 0; i < hops->n_points; i++)
        bad |= json_array_append_new(points, hops_json_point(&hops->points[i]));
    bad |= json_object_set_new(o, "hops", list);
    bad |= json_object_set_new(o, "points", points);
    bad |= json_object_set_new(o, "source", hops_json_text(hops->source));
    bad |= json_object_set_new(o, "instrument", hops_json_instrument(&hops->instrument));
    if (!hops->instrument.measured)
        bad |= json_object_set_new(missing, "instrument",
                                   json_string("captured elsewhere, or not calibrated"));
    bad |= json_object_set_new(o, "nat", json_boolean(hops->nat));
    bad |= json_object_set_new(o, "window_ns", doc_whole(hops->window_ns));
    bad |= json_object_set_new(o, "warning", hops_json_text(hops->warning));
    return bad | hops_json_missing(o, missing);
}

json_t *hops_json(const struct hops *hops)
{
    json_t *o = json_object();

    return hops_json_done(o, hops_json_into(o, hops));
}

json_t *hops_json_document(const struct hops *hops)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "schema", json_string(RUN_JSON_SCHEMA));

    return hops_json_done(o, bad | hops_json_into(o, hops));
}
