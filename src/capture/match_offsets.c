/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "capture/clock_line.h"
#include "capture/decode.h"
#include "capture/match_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/*
 * Packets of each point are sampled by a hash of their key, the same ones at all points, and paired without regard to time:
 * clocks may be as far apart as they like. The hulls want the fastest packets, so as many as memory allows are kept.
 */
enum { OFFSET_MOST = 1 << 18, OFFSET_LEAST = 4, ONE_WAY_DELAY_NS = 1000000000 };

struct sampling {
    struct sample *all; /* owned */
    size_t n, room;
    unsigned shift; /* of 2^shift keys one is kept */
    uint64_t first_ns, last_ns;
};

static bool sampling_wants(const struct sampling *s, uint64_t key)
{
    return (key * 0xd6e8feb86659fd93ULL >> 32 & ((1U << s->shift) - 1)) == 0;
}

/* Half of them go: those that the next finer choice leaves out. */
static void sampling_thin(struct sampling *s)
{
    size_t n = 0;

    s->shift++;
    for (size_t i = 0; i < s->n; i++)
        if (sampling_wants(s, s->all[i].key_nat))
            s->all[n++] = s->all[i];
    s->n = n;
}

static int sampling_add(struct sampling *s, const struct seen *seen)
{
    struct sample sample;

    sample_set(&sample, seen);
    if (!sampling_wants(s, sample.key_nat))
        return 0;
    while (s->n == OFFSET_MOST && s->shift < 30) {
        sampling_thin(s);
        if (!sampling_wants(s, sample.key_nat))
            return 0;
    }
    if (s->n == s->room) {
        size_t room = s->room ? s->room * 2 : 4096;
        struct sample *grown;

        if (s->n >= OFFSET_MOST)
            return 0;
        grown = reallocarray(s->all, room, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        s->all = grown;
        s->room = room;
    }
    s->all[s->n++] = sample;
    return 0;
}

static int sampling_read(match_next_fn *next, void *arg, unsigned point, struct sampling *s,
                         struct err *err)
{
    struct seen seen;

    while (next(arg, point, &seen)) {
        int r;

        if (s->first_ns == 0 || seen.ts_ns < s->first_ns)
            s->first_ns = seen.ts_ns;
        s->last_ns = seen.ts_ns > s->last_ns ? seen.ts_ns : s->last_ns;
        r = sampling_add(s, &seen);
        if (r < 0)
            return err_set(err, r, "estimating clock offsets");
    }
    return 0;
}

/* Of a file: the next packet that can be read. One that breaks is told of when it is matched; what came before is as good. */
static bool offset_next(void *arg, unsigned point, struct seen *ret_seen)
{
    struct source *const *sources = arg;
    struct err broken = {0};
    struct frame frame;

    while (source_next(sources[point], &frame, &broken) > 0)
        if (frame.ts_ns != 0 && decode_frame(&frame, ret_seen, NULL, NULL) == DECODE_OK)
            return true;
    return false;
}

/* Of both: as finely as the coarser one. */
static void sampling_level(struct sampling *a, struct sampling *b)
{
    while (a->shift < b->shift)
        sampling_thin(a);
    while (b->shift < a->shift)
        sampling_thin(b);
}

/* Without conversation both ways: what goes where is not known, and all is taken to go one way. */
static void offset_one_way(struct sample_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        pairs->all[i].way = 0;
}

static int offset_line(const struct sample_pairs *pairs, struct clock_line *ret_line)
{
    AUTO(free_p) struct clock_sample *samples = calloc(pairs->n + 1, sizeof *samples);
    struct clock_sample *back;
    size_t n_there = 0, n_back = 0;

    if (!samples)
        return -ENOMEM;
    back = samples + pairs->n;
    /* Both in order of x: one from the front, one from behind, turned round at the end. */
    for (size_t i = 0; i < pairs->n; i++)
        if (pairs->all[i].way == 0)
            samples[n_there++] = (struct clock_sample){pairs->all[i].x_ns, pairs->all[i].y_ns};
    for (size_t i = pairs->n; i-- > 0;)
        if (pairs->all[i].way == 1) {
            n_back++;
            *--back = (struct clock_sample){pairs->all[i].x_ns, pairs->all[i].y_ns};
        }
    return clock_line_fit(samples, n_there, back, n_back, ret_line);
}

/* Point p against point q, whose own line against the first one is known. */
static int offset_set(const struct sample_pairs *pairs, const struct hop_point *q,
                      const struct sampling *sampling, unsigned number, struct hop_point *p,
                      struct err *err)
{
    struct clock_line line;
    int r = offset_line(pairs, &line);
    double skew;

    if (r < 0)
        return err_set(err, r, "estimating the clock offset of point %u", number + 1);
    if (line.crossed) {
        err_say(err,
                "the clock of point %u steps against the others', or does not run evenly, about "
                "%" PRIu64 ".%03" PRIu64 " s after the first packet: no one offset fits",
                number + 1, (line.step_ns - line.x_ns) / 1000000000,
                (line.step_ns - line.x_ns) / 1000000 % 1000);
        if (err)
            err->code = ERANGE;
        return -ERANGE;
    }
    /* The line is over q's time; offsets are to be over p's own, from its first packet on. */
    skew = line.skew / (1 + line.skew);
    /* Not a ns over all of it is what is left of the arithmetic. */
    if (fabs(skew) * (double)(sampling->last_ns - sampling->first_ns) < 1)
        skew = 0;
    p->has_offset = true;
    p->first_ns = sampling->first_ns;
    p->offset_ns =
        line.offset_ns +
        (int64_t)(skew * (double)(int64_t)(p->first_ns - (line.x_ns + (uint64_t)line.offset_ns)));
    p->skew_share = skew;
    p->offset_bound_ns = line.bound_ns;
    p->n_offset_packets = pairs->n;
    /* One way only: what looks like an offset is the least delay, unless it is too long for one. */
    if (line.bound_ns == UINT64_MAX && llabs(p->offset_ns) < ONE_WAY_DELAY_NS)
        p->offset_ns = 0;
    if (q->has_offset) {
        double since = (double)(int64_t)(p->first_ns - (uint64_t)p->offset_ns - q->first_ns);

        p->offset_ns += q->offset_ns + (int64_t)(q->skew_share * since);
        p->skew_share += q->skew_share;
        p->offset_bound_ns = q->offset_bound_ns == UINT64_MAX || line.bound_ns == UINT64_MAX
                                 ? UINT64_MAX
                                 : line.bound_ns + q->offset_bound_ns;
    }
    return 0;
}

static void sample_pairs_done(struct sample_pairs *pairs) { free(pairs->all); }

/* Pairs of two points by the kind of key that finds more. */
static int offset_pairs(struct sampling *a, struct sampling *b, struct sample_pairs *ret_pairs)
{
    AUTO(sample_pairs_done) struct sample_pairs plain = {0}, nat = {0};
    struct sample_pairs *better;
    int r;

    sampling_level(a, b);
    r = trial_pairs(a->all, a->n, b->all, b->n, false, &plain);
    if (r == 0)
        r = trial_pairs(a->all, a->n, b->all, b->n, true, &nat);
    if (r < 0)
        return r;
    better = nat.n > plain.n + plain.n / 16 ? &nat : &plain;
    if (!trial_ways(better))
        offset_one_way(better);
    *ret_pairs = *better;
    better->all = NULL;
    return 0;
}

/* Against the first point, or against the one before that shares packets with it. */
static int offset_point(struct sampling *samplings, unsigned p, struct hop_point *points,
                        struct err *err)
{
    for (unsigned q = 0; q < p; q++) {
        AUTO(sample_pairs_done) struct sample_pairs pairs = {0};
        int r = offset_pairs(&samplings[q], &samplings[p], &pairs);

        if (r < 0)
            return err_set(err, r, "estimating clock offsets");
        if (pairs.n >= OFFSET_LEAST)
            return offset_set(&pairs, &points[q], &samplings[p], p, &points[p], err);
    }
    return err_set(
        err, ENODATA,
        "estimating the clock offset of point %u: hardly a packet was seen there and at another",
        p + 1);
}

int match_offsets_keys(match_next_fn *next, void *arg, unsigned n, struct hop_point ret_points[],
                       struct err *err)
{
    AUTO(free_p) struct sampling *samplings = calloc(n + 1, sizeof *samplings);
    struct hop_point points[HOP_MAX_POINTS];
    int r = 0;

    if (!samplings || n > HOP_MAX_POINTS)
        return err_set(err, samplings ? EINVAL : ENOMEM, "estimating clock offsets");
    memcpy(points, ret_points, n * sizeof *points);
    for (unsigned k = 0; k < n && r == 0; k++)
        r = sampling_read(next, arg, k, &samplings[k], err);
    for (unsigned k = 1; k < n && r == 0; k++)
        r = offset_point(samplings, k, points, err);
    if (r == 0)
        memcpy(ret_points, points, n * sizeof *points);
    for (unsigned k = 0; k < n; k++)
        free(samplings[k].all);
    return r;
}

int match_offsets(struct source *const sources[], unsigned n, struct hop_point ret_points[],
                  struct err *err)
{
    return match_offsets_keys(offset_next, (void *)sources, n, ret_points, err);
}
