/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/live_parts.h"

#include "base/auto.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { NO_HOOK = 2 };

/* Points in the order in which packets pass them. */
struct order {
    const struct live_counts *counts;
    unsigned point[LATENCY_MAX_POINTS];
    unsigned rank[LATENCY_MAX_POINTS];
    bool blind; /* no packet was seen at two points */
};

static const struct latency_pair *pair_of(const struct live_counts *c, unsigned from, unsigned to)
{
    return &c->pairs[from * c->n_points + to];
}

static uint64_t gone(const struct live_counts *c, unsigned from, unsigned to)
{
    return pair_of(c, from, to)->count + pair_of(c, from, to)->merged;
}

static uint64_t minus(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/* ---- order ---- */

/* Points at which a packet of another one was seen; the others may stand anywhere. */
static unsigned order_paired(const struct live_counts *c)
{
    unsigned paired = 0;

    for (unsigned i = 0; i < c->n_points; i++)
        for (unsigned k = 0; k < c->n_points; k++)
            if (gone(c, i, k) > 0)
                paired |= 1U << i | 1U << k;
    return paired;
}

static uint64_t order_score(const struct live_counts *c, const unsigned *point, unsigned paired,
                            bool backward)
{
    unsigned before = UINT_MAX;
    uint64_t sum = 0;

    for (unsigned i = 0; i < c->n_points; i++) {
        if (!(paired >> point[i] & 1))
            continue;
        if (before != UINT_MAX)
            sum += backward ? gone(c, point[i], before) : gone(c, before, point[i]);
        before = point[i];
    }
    return sum;
}

/* All of them in turn, the given one first; 8 points have 40320. */
static bool order_next(unsigned *point, unsigned n)
{
    unsigned i = n - 1, j = n - 1, last;

    if (n < 2)
        return false;
    while (i > 0 && point[i - 1] >= point[i])
        i--;
    if (i == 0)
        return false;
    while (point[j] <= point[i - 1])
        j--;
    last = point[i - 1];
    point[i - 1] = point[j];
    point[j] = last;
    for (j = n - 1; i < j; i++, j--) {
        last = point[i];
        point[i] = point[j];
        point[j] = last;
    }
    return true;
}

static void order_learn(const struct live_counts *c, struct order *ret)
{
    unsigned n = c->n_points, point[LATENCY_MAX_POINTS] = {0}, turned[LATENCY_MAX_POINTS] = {0};
    unsigned paired = order_paired(c);
    uint64_t best = 0;

    ret->counts = c;
    for (unsigned i = 0; i < n; i++)
        point[i] = ret->point[i] = i;
    do {
        uint64_t score = order_score(c, point, paired, false);

        if (score > best) {
            best = score;
            memcpy(ret->point, point, sizeof point);
        }
    } while (order_next(point, n));
    /* Where much goes either way, it is the user's order that counts and not which had a few packets more. */
    if (n > 1 && ret->point[0] > ret->point[n - 1] &&
        order_score(c, ret->point, paired, true) >= best / 10 + 1) {
        for (unsigned i = 0; i < n; i++)
            turned[i] = ret->point[n - 1 - i];
        memcpy(ret->point, turned, sizeof turned);
    }
    for (unsigned i = 0; i < n; i++)
        ret->rank[ret->point[i]] = i;
    ret->blind = true;
    for (unsigned i = 0; i < n * n; i++)
        ret->blind &= c->pairs[i].count + c->pairs[i].merged == 0;
}

static bool forward(const struct order *o, unsigned from, unsigned to, bool backward)
{
    return backward ? o->rank[from] > o->rank[to] : o->rank[from] < o->rank[to];
}

/* ---- which hook packets of a direction pass at a point ---- */

static unsigned hook_voted(const struct order *o, unsigned point, bool backward)
{
    const struct live_counts *c = o->counts;
    uint64_t votes[2] = {0};

    for (unsigned k = 0; k < c->n_points; k++)
        for (unsigned hook = 0; hook < 2; hook++) {
            if (forward(o, point, k, backward))
                votes[hook] += pair_of(c, point, k)->from_hook[hook];
            if (forward(o, k, point, backward))
                votes[hook] += pair_of(c, k, point)->to_hook[hook];
        }
    if (votes[0] == 0 && votes[1] == 0)
        return NO_HOOK;
    return votes[1] > votes[0];
}

/*
 * The hook of forward packets where no pair tells. The first one at the first point has most packets, or had one first: who asks comes
 * before who answers. What comes in at one end of a stretch goes out at the other.
 */
static unsigned hook_guessed(const struct order *o, unsigned point)
{
    const struct latency_spot *first = &o->counts->spots[2 * o->point[0]];
    const struct latency_spot *s = &o->counts->spots[2 * point];
    unsigned hook;

    if (point != o->point[0] && point != o->point[o->counts->n_points - 1])
        return s[1].seen > s[0].seen;
    if (first[0].seen > 2 * first[1].seen || first[1].seen > 2 * first[0].seen)
        hook = first[1].seen > first[0].seen;
    else
        hook = first[1].seen > 0 && first[1].first_ns < first[0].first_ns;
    return point == o->point[0] ? hook : 1 - hook;
}

static unsigned hook_of(const struct order *o, unsigned point, bool backward)
{
    const struct latency_spot *s = &o->counts->spots[2 * point];
    unsigned hook = hook_voted(o, point, backward), other;

    if (hook != NO_HOOK)
        return hook;
    /* Nothing was paired: then the one that is not the other way's. */
    other = hook_voted(o, point, !backward);
    if (other != NO_HOOK)
        return 1 - other;
    if (o->blind)
        return backward ? 1 - hook_guessed(o, point) : hook_guessed(o, point);
    return backward ? s[1].seen < s[0].seen ? 1 : 0 : s[1].seen > s[0].seen;
}

static uint64_t unique(const struct latency_spot *s)
{
    return minus(s->seen, s->duplicated + s->returned);
}

/* ---- hops ---- */

__extension__ typedef unsigned __int128 wide;

static int fill_delay(const struct latency_pair *p, struct delay *ret)
{
    wide squares = (wide)p->squares_high << 64 | p->squares_low, min = p->min, n = p->count;
    struct hist *h;

    if (p->count == 0)
        return 0;
    h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    h->count = p->count;
    h->min = p->min;
    h->max = p->max;
    h->sum = (double)p->sum;
    h->sum_squares = (double)squares;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        h->bucket[i] = p->bucket[i];
    *ret = (struct delay){.count = p->count,
                          .min = (int64_t)p->min,
                          .max = (int64_t)p->max,
                          .origin = (int64_t)p->min,
                          .sum = (double)(p->sum - p->count * p->min),
                          /* In whole numbers: what is left of large ones is exact. */
                          .sum_squares = (double)(squares + n * min * min - 2 * min * p->sum),
                          .positive = h};
    return 0;
}

static int add_hop(const struct order *o, unsigned from, unsigned to, bool backward,
                   struct hops *hops)
{
    const struct live_counts *c = o->counts;
    const struct latency_pair *p = pair_of(c, from, to);
    unsigned at_from = 2 * from + hook_of(o, from, backward);
    unsigned at_to = 2 * to + hook_of(o, to, backward);
    const struct latency_spot *s = &c->spots[at_to];
    bool next = backward ? o->rank[to] + 1 == o->rank[from] : o->rank[from] + 1 == o->rank[to];
    struct hop *hop = hops_add(hops);

    if (!hop)
        return -ENOMEM;
    hop->from = (uint8_t)from;
    hop->to = (uint8_t)to;
    hop->matched = p->count;
    hop->reordered = p->reordered;
    /* What passed a point unseen is no loss, and counted with the next point alone. */
    if (next) {
        uint64_t left = s->ambiguous + c->waiting[at_from];

        for (unsigned k = 0; k < c->n_points; k++)
            if (forward(o, from, k, backward))
                left += gone(c, from, k);
        hop->lost = minus(unique(&c->spots[at_from]), left);
        hop->duplicated = s->duplicated;
        hop->ambiguous = s->ambiguous;
        hop->only_later = minus(s->first, s->early);
    }
    for (unsigned k = 0; k < 2 * c->n_points; k++)
        hop->lost_is_bound |= c->spots[k].overflow != 0;
    /* What was longer on its way than the window is of both. */
    hop->lost_is_bound |= hop->lost && hop->only_later;
    return fill_delay(p, &hop->delay);
}

static int add_whole(const struct order *o, bool backward, struct hops *hops)
{
    const struct live_counts *c = o->counts;
    unsigned n = c->n_points, from = o->point[backward ? n - 1 : 0];
    unsigned to = o->point[backward ? 0 : n - 1];
    const struct latency_pair *p = &c->wholes[from * n + to];
    unsigned at_from = 2 * from + hook_of(o, from, backward);
    unsigned at_to = 2 * to + hook_of(o, to, backward);
    uint64_t on_way = 0, lost = 0;
    struct hop *hop;

    for (unsigned k = 0; k < 2 * n; k++)
        on_way += c->waiting[k];
    /* From the first point's packets, less those that came; ones on their way are of no hop yet. */
    lost = minus(unique(&c->spots[at_from]), p->count + c->spots[at_to].ambiguous + on_way);
    for (unsigned k = 0; k < n; k++)
        if (forward(o, k, to, backward))
            lost = minus(lost, pair_of(c, k, to)->merged);
    hop = hops_add(hops);
    if (!hop)
        return -ENOMEM;
    hop->from = (uint8_t)from;
    hop->to = (uint8_t)to;
    hop->whole = true;
    hop->matched = p->count;
    hop->reordered = p->reordered;
    hop->lost = lost;
    hop->duplicated = c->spots[at_to].duplicated;
    hop->ambiguous = c->spots[at_to].ambiguous;
    hop->only_later = minus(c->spots[at_to].first, c->spots[at_to].early);
    for (unsigned k = 0; k < 2 * n; k++)
        hop->lost_is_bound |= c->spots[k].overflow != 0;
    hop->lost_is_bound |= hop->lost && hop->only_later;
    return fill_delay(p, &hop->delay);
}

static int add_direction(const struct order *o, bool backward, struct hops *hops)
{
    const struct live_counts *c = o->counts;
    unsigned n = c->n_points;
    int r = 0;

    for (unsigned i = 0; r >= 0 && i < n; i++)
        for (unsigned k = i + 1; r >= 0 && k < n; k++) {
            unsigned from = o->point[backward ? n - 1 - i : i];
            unsigned to = o->point[backward ? n - 1 - k : k];

            if (k == i + 1 || gone(c, from, to) > 0)
                r = add_hop(o, from, to, backward, hops);
        }
    if (r >= 0 && n > 2 && c->wholes)
        r = add_whole(o, backward, hops);
    return r;
}

/* Something went this way, or set out and never came. */
static bool used(const struct order *o, bool backward)
{
    const struct live_counts *c = o->counts;
    unsigned n = c->n_points, start = o->point[backward ? n - 1 : 0],
             end = o->point[backward ? 0 : n - 1];

    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < n; k++)
            if (forward(o, i, k, backward) && gone(c, i, k) > 0)
                return true;
    if (o->blind)
        return c->spots[2 * start + hook_of(o, start, backward)].first > 0 ||
               c->spots[2 * end + hook_of(o, end, backward)].first > 0;
    /* Without a pair of the other way nobody knows which hook is whose. */
    if (hook_voted(o, start, !backward) == NO_HOOK)
        return false;
    return c->spots[2 * start + hook_of(o, start, backward)].first > 0;
}

void live_hops_point(const struct live_counts *c, unsigned point, struct hop_point *ret_point)
{
    uint64_t left = 0, first = 0;

    for (unsigned hook = 0; hook < 2; hook++) {
        const struct latency_spot *s = &c->spots[2 * point + hook];
        uint64_t first_ns = s->first_ns ? s->first_ns + (uint64_t)c->wall_offset_ns : 0;
        uint64_t last_ns = s->last_ns ? s->last_ns + (uint64_t)c->wall_offset_ns : 0;

        ret_point->seen += s->seen;
        ret_point->unparsed += s->unparsed;
        ret_point->fragments += s->fragments;
        ret_point->overflow += s->overflow;
        if (first_ns && (!ret_point->first_ns || first_ns < ret_point->first_ns))
            ret_point->first_ns = first_ns;
        if (last_ns > ret_point->last_ns)
            ret_point->last_ns = last_ns;
        first += s->first;
        left += c->waiting[2 * point + hook];
    }
    for (unsigned k = 0; k < c->n_points; k++)
        left += (c->n_points > 2 ? pair_of(c, point, k)->from_first : pair_of(c, point, k)->count) +
                pair_of(c, point, k)->merged;
    ret_point->unmatched = minus(first, left);
    ret_point->has_kernel_drops = true; /* programs run for every packet: there are none */
}

static void warn(const struct live_counts *c, struct hops *hops)
{
    uint64_t cut = 0, merged = 0, overflow = 0;
    int used_chars = 0;

    for (unsigned i = 0; i < 2 * c->n_points; i++) {
        cut += c->spots[i].cut;
        overflow += c->spots[i].overflow;
    }
    for (unsigned i = 0; i < c->n_points * c->n_points; i++)
        merged += c->pairs[i].merged;
    if (overflow)
        used_chars +=
            snprintf(hops->warning, sizeof hops->warning,
                     "%llu packet%s forgotten before the next point, as too many were awaited at "
                     "once: losses are bounds",
                     (unsigned long long)overflow, overflow == 1 ? " was" : "s were");
    if (cut || merged)
        snprintf(
            hops->warning + used_chars, sizeof hops->warning - (size_t)used_chars,
            "%sSegments were cut (%llu pieces) and merged (%llu) on the way: only the first of "
            "each was timed, and how many of the others were lost is not exact (--capture "
            "af_packet counts them)",
            used_chars ? "; " : "", (unsigned long long)cut, (unsigned long long)merged);
}

int live_hops_build(const struct live_counts *counts, struct hops *ret_hops, struct err *err)
{
    struct hops hops = {.n_points = counts->n_points};
    struct order order = {0};
    int r = 0;

    for (unsigned p = 0; p < counts->n_points; p++)
        live_hops_point(counts, p, &hops.points[p]);
    order_learn(counts, &order);
    if (counts->n_points > 1) {
        bool back = used(&order, true);

        if (used(&order, false) || !back)
            r = add_direction(&order, false, &hops);
        if (r >= 0 && back)
            r = add_direction(&order, true, &hops);
    }
    if (r < 0) {
        hops_done(&hops);
        return err_set(err, r, "hops");
    }
    warn(counts, &hops);
    hops_late_bounds(&hops);
    *ret_hops = hops;
    return 0;
}
