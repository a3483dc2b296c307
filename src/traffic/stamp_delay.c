/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/stamp_delay.h"
#include "base/clock.h"

#include <stdlib.h>

static int64_t stamp_round_trip(const struct stamp_delay_sample *s)
{
    return s->forward_ns + s->backward_ns;
}

/* How far the reflector's clock is ahead of ours, were both ways of this round trip equal. */
static double stamp_offset(const struct stamp_delay_sample *s)
{
    return ((double)s->forward_ns - (double)s->backward_ns) / 2;
}

/* Most that the offset may be off. */
static double stamp_offset_error(const struct stamp_delay_sample *s)
{
    return stamp_round_trip(s) > 0 ? (double)stamp_round_trip(s) / 2 : 0;
}

static bool stamp_is_beyond(enum stamp_delay_extreme which, const struct stamp_delay_sample *s,
                            const struct stamp_delay_sample *so_far)
{
    switch (which) {
    case STAMP_DELAY_FASTEST:
        return stamp_round_trip(s) < stamp_round_trip(so_far);
    case STAMP_DELAY_FORWARD_MIN:
        return s->forward_ns < so_far->forward_ns;
    case STAMP_DELAY_FORWARD_MAX:
        return s->forward_ns > so_far->forward_ns;
    case STAMP_DELAY_BACKWARD_MIN:
        return s->backward_ns < so_far->backward_ns;
    default:
        return s->backward_ns > so_far->backward_ns;
    }
}

static void stamp_slot_add(struct stamp_delay_slot *slot, enum stamp_delay_extreme which,
                           const struct stamp_delay_sample *s)
{
    if (!slot->any || stamp_is_beyond(which, s, &slot->sample[which]))
        slot->sample[which] = *s;
}

static void stamp_slot_merge(struct stamp_delay_slot *to, const struct stamp_delay_slot *from)
{
    if (!from->any)
        return;
    for (int k = 0; k < STAMP_DELAY_EXTREMES; k++)
        stamp_slot_add(to, (enum stamp_delay_extreme)k, &from->sample[k]);
    to->any = true;
}

static struct stamp_delay_slot *stamp_slot_at(struct stamp_delay *d, int64_t at_ns)
{
    int64_t i;

    /* One that came before the first belongs to it. */
    while ((i = (at_ns - d->begin_ns) / d->slot_ns) >= STAMP_DELAY_SLOTS) {
        for (int k = 0; k < STAMP_DELAY_SLOTS / 2; k++) {
            struct stamp_delay_slot both = d->slots[2 * k];

            stamp_slot_merge(&both, &d->slots[2 * k + 1]);
            d->slots[k] = both;
        }
        for (int k = STAMP_DELAY_SLOTS / 2; k < STAMP_DELAY_SLOTS; k++)
            d->slots[k].any = false;
        d->slot_ns *= 2;
    }
    return &d->slots[i < 0 ? 0 : i];
}

/* Where the next sample is kept, or NULL: each of all so far has the same chance. */
static struct stamp_delay_sample *stamp_keep(struct stamp_delay *d)
{
    uint64_t i = d->n++;

    if (i < STAMP_DELAY_KEEP)
        return &d->kept[i];
    /* A multiplier and a step of full period; the high bits are the random ones. */
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    i = (d->random >> 11) % d->n;
    return i < STAMP_DELAY_KEEP ? &d->kept[i] : NULL;
}

void stamp_delay_add(struct stamp_delay *d, struct stamp_delay_sample s)
{
    struct stamp_delay_slot *slot;
    struct stamp_delay_sample *kept;

    if (d->n == 0) {
        d->begin_ns = d->end_ns = s.at_ns;
        d->slot_ns = CLOCK_MS;
    }
    d->end_ns = s.at_ns > d->end_ns ? s.at_ns : d->end_ns;
    slot = stamp_slot_at(d, s.at_ns);
    for (int k = 0; k < STAMP_DELAY_EXTREMES; k++)
        stamp_slot_add(slot, (enum stamp_delay_extreme)k, &s);
    slot->any = true;
    kept = stamp_keep(d);
    if (kept)
        *kept = s;
}

/* ---- the clocks ---- */

static double stamp_ahead_at(const struct stamp_delay_clock *c, int64_t at_ns)
{
    return c->ahead_ns + c->drift * ((double)at_ns - c->at_ns);
}

/* The fastest round trip of a share of the trial. */
static const struct stamp_delay_sample *stamp_fastest(const struct stamp_delay *d, double from,
                                                      double to)
{
    double span = (double)(d->end_ns - d->begin_ns);
    const struct stamp_delay_sample *best = NULL;

    for (int i = 0; i < STAMP_DELAY_SLOTS; i++) {
        const struct stamp_delay_sample *s = &d->slots[i].sample[STAMP_DELAY_FASTEST];
        double at = s->at_ns > d->begin_ns ? (double)(s->at_ns - d->begin_ns) : 0;

        if (!d->slots[i].any || at < from * span || at > to * span)
            continue;
        if (!best || stamp_is_beyond(STAMP_DELAY_FASTEST, s, best))
            best = s;
    }
    return best;
}

/* Most that the line may be off where a round trip bounds it. */
static double stamp_line_error(const struct stamp_delay_clock *c,
                               const struct stamp_delay_sample *s)
{
    double off = stamp_offset(s) - stamp_ahead_at(c, s->at_ns);

    return (off < 0 ? -off : off) + stamp_offset_error(s);
}

/* The same anywhere in the trial, from what it is at two places; it is linear between and beyond them. */
static double stamp_trial_error(const struct stamp_delay *d, const struct stamp_delay_clock *c,
                                const struct stamp_delay_sample *a,
                                const struct stamp_delay_sample *b)
{
    double at_a = stamp_line_error(c, a), at_b = stamp_line_error(c, b);
    double span = (double)(b->at_ns - a->at_ns), most = at_a > at_b ? at_a : at_b;
    double before, after;

    if (span <= 0)
        return most;
    before = at_a + (at_a + at_b) * (double)(a->at_ns - d->begin_ns) / span;
    after = at_b + (at_a + at_b) * (double)(d->end_ns - b->at_ns) / span;
    return before > after ? before : after;
}

/* The most that an offset lies off the line where no queue explains it: clocks that drift unevenly are off there. */
static double stamp_uneven(const struct stamp_delay *d, const struct stamp_delay_clock *c,
                           const struct stamp_delay_sample *best)
{
    double most = 0;

    for (int i = 0; i < STAMP_DELAY_SLOTS; i++) {
        const struct stamp_delay_sample *s = &d->slots[i].sample[STAMP_DELAY_FASTEST];
        double off;

        if (!d->slots[i].any)
            continue;
        off = stamp_offset(s) - stamp_ahead_at(c, s->at_ns);
        off = (off < 0 ? -off : off) - (double)(stamp_round_trip(s) - stamp_round_trip(best)) / 2;
        most = off > most ? off : most;
    }
    return most;
}

static void stamp_clocks(const struct stamp_delay *d, struct stamp_delay_clock *c)
{
    /* The last answers may come behind the end. */
    const struct stamp_delay_sample *best = stamp_fastest(d, 0, 2), *a = stamp_fastest(d, 0, 0.125),
                                    *b = stamp_fastest(d, 0.875, 2);
    double uneven;

    *c = (struct stamp_delay_clock){0};
    if (!best) /* there was no round trip at all */
        return;
    *c = (struct stamp_delay_clock){.ahead_ns = stamp_offset(best), .at_ns = (double)best->at_ns};
    if (a && b && b->at_ns > a->at_ns) {
        double apart = stamp_offset(b) - stamp_offset(a);
        double queue = (double)llabs((long long)(stamp_round_trip(b) - stamp_round_trip(a))) / 2;
        double drift = apart > queue ? apart - queue : apart < -queue ? apart + queue : 0;

        c->drift = drift / (double)(b->at_ns - a->at_ns);
    }
    c->error_ns = a && b ? stamp_trial_error(d, c, a, b) : stamp_offset_error(best);
    uneven = stamp_offset_error(best) + stamp_uneven(d, c, best);
    c->error_ns = uneven > c->error_ns ? uneven : c->error_ns;
}

/* Clocks that are said to be one, and give delays that cannot be, are two. */
static bool stamp_one_clock(const struct stamp_delay *d)
{
    for (int i = 0; i < STAMP_DELAY_SLOTS && d->maybe_one_clock; i++)
        if (d->slots[i].any && (d->slots[i].sample[STAMP_DELAY_FORWARD_MIN].forward_ns < 0 ||
                                d->slots[i].sample[STAMP_DELAY_BACKWARD_MIN].backward_ns < 0))
            return false;
    return d->maybe_one_clock;
}

/* ---- the delays ---- */

static double stamp_forward(const struct stamp_delay_clock *c, const struct stamp_delay_sample *s)
{
    return (double)s->forward_ns - stamp_ahead_at(c, s->at_ns);
}

static double stamp_backward(const struct stamp_delay_clock *c, const struct stamp_delay_sample *s)
{
    return (double)s->backward_ns + stamp_ahead_at(c, s->at_ns);
}

static int stamp_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The share of them that lies below it; they are sorted. */
static double stamp_percentile(const double *ns, uint64_t n, double share)
{
    uint64_t i = (uint64_t)(share * (double)n);

    return ns[i < n ? i : n - 1];
}

typedef double stamp_delay_fn(const struct stamp_delay_clock *c,
                              const struct stamp_delay_sample *s);

static void stamp_way(struct stamp_delay *d, const struct stamp_delay_clock *c,
                      stamp_delay_fn *delay, struct stamp_delay_way *w)
{
    double *ns = d->sorted;
    uint64_t n = d->n < STAMP_DELAY_KEEP ? d->n : STAMP_DELAY_KEEP;

    for (uint64_t i = 0; i < n; i++)
        ns[i] = delay(c, &d->kept[i]);
    qsort(ns, n, sizeof *ns, stamp_compare);
    *w = (struct stamp_delay_way){.min_ns = ns[0],
                                  .p50_ns = stamp_percentile(ns, n, 0.5),
                                  .p99_ns = stamp_percentile(ns, n, 0.99),
                                  .max_ns = ns[n - 1]};
    /* What was not kept. */
    for (int i = 0; i < STAMP_DELAY_SLOTS; i++)
        for (int k = 0; k < STAMP_DELAY_EXTREMES && d->slots[i].any; k++) {
            double v = delay(c, &d->slots[i].sample[k]);

            w->min_ns = v < w->min_ns ? v : w->min_ns;
            w->max_ns = v > w->max_ns ? v : w->max_ns;
        }
}

static void stamp_not_negative(struct stamp_delay_way *w)
{
    w->min_ns = w->min_ns > 0 ? w->min_ns : 0;
    w->p50_ns = w->p50_ns > 0 ? w->p50_ns : 0;
    w->p99_ns = w->p99_ns > 0 ? w->p99_ns : 0;
    w->max_ns = w->max_ns > 0 ? w->max_ns : 0;
}

bool stamp_delay_end(struct stamp_delay *d, struct stamp_delay_way *ret_forward,
                     struct stamp_delay_way *ret_backward, struct stamp_delay_clock *ret_clock)
{
    struct stamp_delay_clock c = {.at_ns = (double)d->begin_ns};
    double below;

    if (d->n == 0)
        return false;
    if (!stamp_one_clock(d))
        stamp_clocks(d, &c);
    stamp_way(d, &c, stamp_forward, ret_forward);
    stamp_way(d, &c, stamp_backward, ret_backward);
    below = ret_forward->min_ns < ret_backward->min_ns ? ret_forward->min_ns : ret_backward->min_ns;
    c.error_ns += below < 0 ? -below : 0;
    stamp_not_negative(ret_forward);
    stamp_not_negative(ret_backward);
    *ret_clock = c;
    return true;
}
