/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/hop_message.h"
#include "base/auto.h"
#include "base/text.h"
#include "wire/bulk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOP_INSN_BYTES = 8,
    HOP_MAX_HOPS = 2 * HOP_MAX_POINTS * HOP_MAX_POINTS,
    HOP_MAX_INTERVALS = 1 << 20,
    HOP_WINDOW_MAX_S = 600,
};

/* ---- what is to be watched ---- */

static void options_put_indexed(struct line_out *out, const char *what, unsigned i,
                                const char *value)
{
    char key[24];

    snprintf(key, sizeof key, "%s%u", what, i);
    line_put(out, key, value);
}

void hop_message_put_options(struct line_out *out, const struct live_options *options)
{
    line_put_u64(out, "points", options->n_points);
    for (unsigned i = 0; i < options->n_points; i++) {
        options_put_indexed(out, "name", i, options->points[i].name);
        options_put_indexed(out, "netns", i, options->points[i].netns);
        options_put_indexed(out, "if", i, options->points[i].ifname);
    }
    line_put(out, "source", live_source_name[options->source]);
    line_put_u64(out, "keys_only", options->keys_only);
    line_put(out, "nat", options->nat < 0 ? "auto" : options->nat ? "yes" : "no");
    line_put_u64(out, "window_ns", options->window_ns);
    line_put_u64(out, "protocol", options->protocol);
    line_put_u64(out, "port", options->port);
}

int hop_message_pack_filter(const struct live_options *options, uint8_t **ret_blob, size_t *ret_n,
                            struct err *err)
{
    uint8_t *blob = options->n_filter ? malloc((size_t)options->n_filter * HOP_INSN_BYTES) : NULL;

    if (options->n_filter && !blob)
        return err_set(err, ENOMEM, "memory for a filter");
    for (unsigned i = 0; i < options->n_filter; i++) {
        const struct live_insn *insn = &options->filter[i];
        uint8_t *p = blob + (size_t)i * HOP_INSN_BYTES;

        p[0] = (uint8_t)insn->code;
        p[1] = (uint8_t)(insn->code >> 8);
        p[2] = insn->jt;
        p[3] = insn->jf;
        for (unsigned k = 0; k < 4; k++)
            p[4 + k] = (uint8_t)(insn->k >> 8 * k);
    }
    *ret_blob = blob;
    *ret_n = (size_t)options->n_filter * HOP_INSN_BYTES;
    return 0;
}

static int options_get_text(const struct line *line, const char *what, unsigned i, char *ret,
                            size_t size, struct err *err)
{
    char key[24];
    const char *v;

    snprintf(key, sizeof key, "%s%u", what, i);
    v = line_get(line, key);
    if (!v)
        return err_say(err, "%s lacks %s=", line->verb, key);
    if (!text_copy(ret, size, v))
        return err_say(err, "%s: %s= is longer than %zu", line->verb, key, size - 1);
    return 0;
}

static int options_get_number(const struct line *line, const char *key, uint64_t max, uint64_t *ret,
                              struct err *err)
{
    if (line_get_u64(line, key, ret) < 0 || *ret > max)
        return err_say(err, "%s: %s= is not a number up to %llu", line->verb, key,
                       (unsigned long long)max);
    return 0;
}

static int options_get_points(const struct line *line, struct live_options *o, struct err *err)
{
    uint64_t n = 0;
    int r = options_get_number(line, "points", HOP_MAX_POINTS, &n, err);

    if (r == 0 && n == 0)
        r = err_say(err, "%s: there are no points", line->verb);
    o->n_points = (unsigned)n;
    for (unsigned i = 0; i < o->n_points && r == 0; i++) {
        struct live_point *p = &o->points[i];

        r = options_get_text(line, "name", i, p->name, sizeof p->name, err);
        if (r == 0)
            r = options_get_text(line, "netns", i, p->netns, sizeof p->netns, err);
        if (r == 0)
            r = options_get_text(line, "if", i, p->ifname, sizeof p->ifname, err);
    }
    return r;
}

static int options_get_filter(const uint8_t *blob, size_t n_blob, struct live_options *o,
                              struct err *err)
{
    if (n_blob % HOP_INSN_BYTES || n_blob / HOP_INSN_BYTES > LIVE_MAX_FILTER)
        return err_say(err, "a filter of %zu bytes is none", n_blob);
    o->n_filter = (unsigned)(n_blob / HOP_INSN_BYTES);
    for (unsigned i = 0; i < o->n_filter; i++) {
        const uint8_t *p = blob + (size_t)i * HOP_INSN_BYTES;

        o->filter[i] = (struct live_insn){.code = (uint16_t)(p[0] | p[1] << 8),
                                          .jt = p[2],
                                          .jf = p[3],
                                          .k = p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 |
                                               (uint32_t)p[7] << 24};
    }
    return 0;
}

static int options_get_words(const struct line *line, struct live_options *o, struct err *err)
{
    const char *source = line_get(line, "source"), *nat = line_get(line, "nat");
    int i = 0;

    while (i < LIVE_SOURCE_COUNT && (!source || strcmp(source, live_source_name[i]) != 0))
        i++;
    if (i == LIVE_SOURCE_COUNT)
        return err_say(err, "%s: source=%s is unknown", line->verb, source ? source : "");
    o->source = (enum live_source)i;
    if (!nat || (strcmp(nat, "auto") != 0 && strcmp(nat, "no") != 0 && strcmp(nat, "yes") != 0))
        return err_say(err, "%s: nat= is none of auto, no, yes", line->verb);
    o->nat = strcmp(nat, "auto") == 0 ? -1 : strcmp(nat, "yes") == 0;
    return 0;
}

int hop_message_get_options(const struct line *line, const uint8_t *blob, size_t n_blob,
                            struct live_options *ret_options, struct err *err)
{
    struct live_options *o = ret_options;
    uint64_t keys_only = 0, protocol = 0, port = 0;
    int r;

    *o = (struct live_options){0};
    r = options_get_points(line, o, err);
    if (r == 0)
        r = options_get_words(line, o, err);
    if (r == 0)
        r = options_get_number(line, "keys_only", 1, &keys_only, err);
    if (r == 0)
        r = options_get_number(line, "window_ns", (uint64_t)HOP_WINDOW_MAX_S * 1000000000,
                               &o->window_ns, err);
    if (r == 0)
        r = options_get_number(line, "protocol", UINT8_MAX, &protocol, err);
    if (r == 0)
        r = options_get_number(line, "port", UINT16_MAX, &port, err);
    o->keys_only = keys_only;
    o->protocol = (uint8_t)protocol;
    o->port = (uint16_t)port;
    return r == 0 ? options_get_filter(blob, n_blob, o, err) : r;
}

/* ---- what was seen ---- */

static void pack_delay(struct bulk_out *out, const struct delay *d)
{
    bulk_put(out, d->count);
    if (!d->count)
        return;
    bulk_put_signed(out, d->min);
    bulk_put_signed(out, d->max);
    bulk_put_signed(out, d->origin);
    bulk_put_real(out, d->sum);
    bulk_put_real(out, d->sum_squares);
    bulk_put_hist(out, d->positive);
    bulk_put_hist(out, d->negative);
}

static void pack_point(struct bulk_out *out, const struct hop_point *p)
{
    bulk_put_text(out, p->name);
    bulk_put_text(out, p->source);
    bulk_put(out, p->seen);
    bulk_put(out, p->unparsed);
    bulk_put(out, p->fragments);
    bulk_put(out, p->unmatched);
    bulk_put(out, p->kernel_drops);
    bulk_put(out, p->has_kernel_drops);
    bulk_put(out, p->vanished);
    bulk_put(out, p->overflow);
    bulk_put(out, p->backward);
    bulk_put(out, p->first_ns);
    bulk_put(out, p->last_ns);
}

static void pack_flow(struct bulk_out *out, const struct hop_flow *f)
{
    bulk_put(out, f->protocol);
    bulk_put_text(out, f->from);
    bulk_put_text(out, f->to);
    bulk_put(out, f->matched);
    bulk_put(out, f->lost);
    bulk_put(out, f->duplicated);
    bulk_put(out, f->reordered);
    bulk_put(out, f->ambiguous);
    pack_delay(out, &f->delay);
}

static void pack_hop(struct bulk_out *out, const struct hop *h)
{
    bulk_put(out, h->from);
    bulk_put(out, h->to);
    bulk_put(out, h->whole);
    bulk_put(out, h->matched);
    bulk_put(out, h->lost);
    bulk_put(out, h->duplicated);
    bulk_put(out, h->reordered);
    bulk_put(out, h->only_later);
    bulk_put(out, h->ambiguous);
    bulk_put(out, h->lost_is_bound);
    pack_delay(out, &h->delay);
    pack_delay(out, &h->hold);
    pack_delay(out, &h->path);
    bulk_put(out, h->interval_ns);
    bulk_put(out, h->series_start_ns);
    bulk_put(out, h->n_intervals);
    for (uint32_t i = 0; i < h->n_intervals; i++) {
        bulk_put(out, h->intervals[i].matched);
        bulk_put(out, h->intervals[i].lost);
        bulk_put_signed(out, h->intervals[i].min_ns);
        bulk_put_signed(out, h->intervals[i].max_ns);
        bulk_put_real(out, h->intervals[i].sum_ns);
    }
    bulk_put(out, h->more_flows);
    bulk_put(out, h->n_flows);
    for (uint32_t i = 0; i < h->n_flows; i++)
        pack_flow(out, &h->flows[i]);
}

int hop_message_pack(const struct hops *hops, uint8_t **ret_blob, size_t *ret_n, struct err *err)
{
    const struct hop_instrument *i = &hops->instrument;
    struct bulk_out out = {0};

    bulk_put(&out, hops->n_points);
    for (uint32_t k = 0; k < hops->n_points; k++)
        pack_point(&out, &hops->points[k]);
    bulk_put(&out, hops->n_hops);
    for (uint32_t k = 0; k < hops->n_hops; k++)
        pack_hop(&out, &hops->hops[k]);
    bulk_put(&out, hops->nat);
    bulk_put(&out, hops->window_ns);
    bulk_put(&out, i->measured);
    bulk_put_real(&out, i->cost_ns);
    bulk_put_signed(&out, i->bias_ns);
    bulk_put(&out, i->bias_spread_ns);
    bulk_put(&out, i->n_packets);
    bulk_put_text(&out, i->stamp);
    bulk_put_text(&out, hops->source);
    bulk_put_text(&out, hops->warning);
    if (out.failed) {
        bulk_done(&out);
        return err_set(err, ENOMEM, "memory for hops");
    }
    *ret_n = out.used;
    *ret_blob = TAKE(out.buf);
    return 0;
}

static void unpack_delay(struct bulk_in *in, struct delay *d)
{
    d->count = bulk_get(in);
    if (!d->count)
        return;
    d->min = bulk_get_signed(in);
    d->max = bulk_get_signed(in);
    d->origin = bulk_get_signed(in);
    d->sum = bulk_get_real(in);
    d->sum_squares = bulk_get_real(in);
    d->positive = bulk_get_hist(in);
    d->negative = bulk_get_hist(in);
    /* Percentiles count on the sum of both. */
    if (d->sum_squares < 0)
        in->bad = true;
    if ((d->positive ? d->positive->count : 0) + (d->negative ? d->negative->count : 0) != d->count)
        in->bad = true;
}

static void unpack_point(struct bulk_in *in, struct hop_point *p)
{
    bulk_get_text(in, p->name, sizeof p->name);
    bulk_get_text(in, p->source, sizeof p->source);
    p->seen = bulk_get(in);
    p->unparsed = bulk_get(in);
    p->fragments = bulk_get(in);
    p->unmatched = bulk_get(in);
    p->kernel_drops = bulk_get(in);
    p->has_kernel_drops = bulk_get(in);
    p->vanished = bulk_get(in);
    p->overflow = bulk_get(in);
    p->backward = bulk_get(in);
    p->first_ns = bulk_get(in);
    p->last_ns = bulk_get(in);
}

static void unpack_flow(struct bulk_in *in, struct hop_flow *f)
{
    f->protocol = (uint8_t)bulk_get(in);
    bulk_get_text(in, f->from, sizeof f->from);
    bulk_get_text(in, f->to, sizeof f->to);
    f->matched = bulk_get(in);
    f->lost = bulk_get(in);
    f->duplicated = bulk_get(in);
    f->reordered = bulk_get(in);
    f->ambiguous = bulk_get(in);
    unpack_delay(in, &f->delay);
}

static void unpack_series(struct bulk_in *in, struct hop *h)
{
    uint32_t n;

    h->interval_ns = bulk_get(in);
    h->series_start_ns = bulk_get(in);
    n = bulk_get_count(in, HOP_MAX_INTERVALS);
    if (n == 0)
        return;
    h->intervals = calloc(n, sizeof *h->intervals);
    in->bad |= !h->intervals;
    h->n_intervals = h->intervals ? n : 0;
    for (uint32_t i = 0; i < h->n_intervals && !in->bad; i++) {
        h->intervals[i].matched = bulk_get(in);
        h->intervals[i].lost = bulk_get(in);
        h->intervals[i].min_ns = bulk_get_signed(in);
        h->intervals[i].max_ns = bulk_get_signed(in);
        h->intervals[i].sum_ns = bulk_get_real(in);
    }
}

static void unpack_hop(struct bulk_in *in, uint32_t n_points, struct hop *h)
{
    uint64_t from = bulk_get(in), to = bulk_get(in);
    uint32_t n;

    if (from >= n_points || to >= n_points) {
        in->bad = true;
        return;
    }
    h->from = (uint8_t)from;
    h->to = (uint8_t)to;
    h->whole = bulk_get(in);
    h->matched = bulk_get(in);
    h->lost = bulk_get(in);
    h->duplicated = bulk_get(in);
    h->reordered = bulk_get(in);
    h->only_later = bulk_get(in);
    h->ambiguous = bulk_get(in);
    h->lost_is_bound = bulk_get(in);
    unpack_delay(in, &h->delay);
    unpack_delay(in, &h->hold);
    unpack_delay(in, &h->path);
    unpack_series(in, h);
    h->more_flows = bulk_get(in);
    n = bulk_get_count(in, HOP_MAX_FLOWS);
    if (n == 0)
        return;
    h->flows = calloc(n, sizeof *h->flows);
    in->bad |= !h->flows;
    h->n_flows = h->room_flows = h->flows ? n : 0;
    for (uint32_t i = 0; i < h->n_flows && !in->bad; i++)
        unpack_flow(in, &h->flows[i]);
}

int hop_message_unpack(const uint8_t *blob, size_t n_blob, struct hops *ret_hops, struct err *err)
{
    struct hop_instrument *i = &ret_hops->instrument;
    struct bulk_in in = bulk_in(blob, n_blob);
    uint32_t n_hops;

    *ret_hops = (struct hops){0};
    ret_hops->n_points = bulk_get_count(&in, HOP_MAX_POINTS);
    for (uint32_t k = 0; k < ret_hops->n_points; k++)
        unpack_point(&in, &ret_hops->points[k]);
    n_hops = bulk_get_count(&in, HOP_MAX_HOPS);
    for (uint32_t k = 0; k < n_hops && !in.bad; k++) {
        struct hop *h = hops_add(ret_hops);

        if (!h)
            return err_set(err, ENOMEM, "memory for hops");
        unpack_hop(&in, ret_hops->n_points, h);
    }
    ret_hops->nat = bulk_get(&in);
    ret_hops->window_ns = bulk_get(&in);
    i->measured = bulk_get(&in);
    i->cost_ns = bulk_get_real(&in);
    i->bias_ns = bulk_get_signed(&in);
    i->bias_spread_ns = bulk_get(&in);
    i->n_packets = bulk_get(&in);
    bulk_get_text(&in, i->stamp, sizeof i->stamp);
    bulk_get_text(&in, ret_hops->source, sizeof ret_hops->source);
    bulk_get_text(&in, ret_hops->warning, sizeof ret_hops->warning);
    if (in.bad || in.p != in.end)
        return err_set(err, EBADMSG, "hops of %zu bytes", n_blob);
    return 0;
}
