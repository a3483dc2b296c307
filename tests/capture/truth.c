/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted, in words that src/capture/match.h and src/model/hop.h share. A hop leads from point p to point q: one after
 * the other in the direction of the packet's flow, or first and last (whole).
 *
 * unit        A packet that some point saw in pieces counts as its pieces: merged at q, each segment that p saw has the
 *             delay from its own sight at p to the merged one's at q; cut on the way, each piece that q saw has the delay
 *             from the whole's sight at p.
 * matched     seen at p and at q, and told apart. The delay is from first sight to first sight, by the points' own clocks
 *             and as exact as their files: as many delays as matched.
 * duplicated  each further sight at q of a packet that came from p. A second sight at its first point is none: nothing tells
 *             it from one that was sent again.
 * lost        seen at p, and neither at q nor at any point beyond, inside the time both saw: some packet of this hop that p
 *             saw no later, and some that p saw no earlier, came to q. Pieces next to each other that are missing of one
 *             packet of p are one loss where no point saw them apart: nobody can know how many they would have been.
 * only_later  seen at q, and neither at p nor at any point before it. A packet that p or q alone missed while it was seen
 *             before and behind counts on neither hop, but on the whole.
 * reordered   RFC 4737: packets have numbers in p's order, and one that comes to q with a number less than the largest so
 *             far is reordered. Over all flows of the direction, first sights, pieces of one packet by position.
 * ambiguous   equal in everything that may be compared (payload, no IP ID, addresses and ports), and on the way at the same
 *             time: from when two of them are between p and q until none is. Not in matched, not in delay; counted at q. With
 *             losses among them the number of losses is not compared ("lost": null).
 * hold, path  of packets that q saw merged from several of p: last less first sight of them at p; q's less the last's.
 *
 * Points: seen are frames with a key (a merged packet is one, a duplicate is one); unparsed all others, of which fragments
 * are second and later fragments of datagrams; of unmatched ones no part was seen at another point.
 */
#include "truth.h"

#include "packet.h"
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct numbers {
    int64_t *all; /* owned */
    size_t n, room;
};

struct truth_hop {
    const struct simulation *sim;
    unsigned p, q;
    bool reverse, whole;
    uint64_t matched, lost, duplicated, reordered, only_later, ambiguous;
    bool lost_unknown;
    struct numbers delay, hold, path;
};

static void numbers_add(struct numbers *numbers, int64_t value)
{
    if (numbers->n == numbers->room) {
        size_t room = numbers->room ? numbers->room * 2 : 4096;
        int64_t *all = realloc(numbers->all, room * sizeof *all);

        if (!all)
            abort();
        numbers->all = all;
        numbers->room = room;
    }
    numbers->all[numbers->n++] = value;
}

static int numbers_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static bool item_at_or_beyond(const struct truth_hop *h, const struct item *item, unsigned point)
{
    if (h->whole)
        return item->sights[point] > 0;
    for (unsigned i = 0; i < h->sim->n_points; i++) {
        if ((h->reverse ? i <= point : i >= point) && item->sights[i] > 0)
            return true;
    }
    return false;
}

static bool item_at_or_before(const struct truth_hop *h, const struct item *item, unsigned point)
{
    if (h->whole)
        return item->sights[point] > 0;
    for (unsigned i = 0; i < h->sim->n_points; i++) {
        if ((h->reverse ? i >= point : i <= point) && item->sights[i] > 0)
            return true;
    }
    return false;
}

static bool item_of(const struct truth_hop *h, const struct item *item)
{
    return !(item->flags & ITEM_REVERSE) == !h->reverse;
}

/* Some point saw the one without the other, or in another frame. */
static bool item_apart(const struct simulation *sim, const struct item *a, const struct item *b)
{
    for (unsigned i = 0; i < sim->n_points; i++) {
        if (!a->sights[i] != !b->sights[i] || a->seen_ns[i] != b->seen_ns[i])
            return true;
    }
    return false;
}

/*
 * Numbers in the file order of p from 1 on, 0 for what p did not see; and what was lost on the way, run by run. Times at p
 * of the first and last packet that came to q bound what counts as lost.
 */
static void truth_from(struct truth_hop *h, uint32_t *number)
{
    const struct simulation *sim = h->sim;
    const struct sights *at = &sim->at[h->p];
    int64_t first = INT64_MAX, last = INT64_MIN;
    uint32_t n = 0;

    for (uint32_t i = 0; i < sim->n_items; i++) {
        const struct item *item = &sim->items[i];

        if (item_of(h, item) && item->sights[h->p] && item->sights[h->q]) {
            first = item->seen_ns[h->p] < first ? item->seen_ns[h->p] : first;
            last = item->seen_ns[h->p] > last ? item->seen_ns[h->p] : last;
        }
    }
    for (size_t i = 0; i < at->n; i++) {
        uint32_t k = at->all[i].item;
        const struct item *missing = NULL;

        if (number[k] || !item_of(h, &sim->items[k]))
            continue;
        for (unsigned m = 0; m < at->all[i].n; m++, k = sim->items[k].next) {
            const struct item *item = &sim->items[k];
            bool lost = !item_at_or_beyond(h, item, h->q);

            number[k] = ++n;
            if (lost && (!missing || item_apart(sim, missing, item)) &&
                item->seen_ns[h->p] >= first && item->seen_ns[h->p] <= last)
                h->lost++;
            missing = lost ? item : NULL;
        }
    }
}

/* Which of the equal packets were between p and q with another one. */
static void truth_ambiguous(struct truth_hop *h, uint8_t *ambiguous)
{
    const struct simulation *sim = h->sim;
    int64_t *until = calloc(sim->scenario->n_flows, sizeof *until);
    uint32_t *before = malloc(sim->scenario->n_flows * sizeof *before);

    if (!until || !before)
        abort();
    for (uint32_t f = 0; f < sim->scenario->n_flows; f++)
        before[f] = ITEM_NONE;
    for (size_t i = 0; i < sim->at[h->p].n; i++) {
        uint32_t k = sim->at[h->p].all[i].item;
        const struct item *item = &sim->items[k];
        uint32_t f = item->flow;

        if (!(item->flags & ITEM_SAME) || item->id || !item_of(h, item))
            continue;
        /* At one time the earlier file comes first: when that is p, they met. */
        if (before[f] != ITEM_NONE && item->seen_ns[h->p] < until[f] + (h->p < h->q)) {
            ambiguous[k] = 1;
            ambiguous[before[f]] = 1;
        }
        /* A lost one is awaited, and taken for each that comes. */
        if (!item->sights[h->q]) {
            until[f] = INT64_MAX - 1;
            h->lost_unknown = true;
        } else if (item->seen_ns[h->q] > until[f]) {
            until[f] = item->seen_ns[h->q];
        }
        before[f] = k;
    }
    free(until);
    free(before);
}

static void truth_merged(struct truth_hop *h, const struct sight *sight)
{
    const struct simulation *sim = h->sim;
    const struct item *first = &sim->items[sight->item];
    const struct item *last = &sim->items[simulate_member(sim, sight->item, sight->n - 1u)];

    if (!first->sights[h->p] || first->seen_ns[h->p] == last->seen_ns[h->p])
        return;
    numbers_add(&h->hold, last->seen_ns[h->p] - first->seen_ns[h->p]);
    numbers_add(&h->path, last->seen_ns[h->q] - last->seen_ns[h->p]);
}

static void truth_to(struct truth_hop *h, const uint32_t *number, const uint8_t *ambiguous)
{
    const struct simulation *sim = h->sim;
    const struct sights *at = &sim->at[h->q];
    uint8_t *seen = calloc(sim->n_items + 1u, 1);
    uint32_t largest = 0;

    if (!seen)
        abort();
    for (size_t i = 0; i < at->n; i++) {
        const struct sight *sight = &at->all[i];
        uint32_t k = sight->item;

        if (!item_of(h, &sim->items[k]))
            continue;
        if (sight->n > 1 && !seen[k])
            truth_merged(h, sight);
        for (unsigned m = 0; m < sight->n; m++, k = sim->items[k].next) {
            const struct item *item = &sim->items[k];

            if (seen[k]) {
                h->duplicated += number[k] > 0;
                continue;
            }
            seen[k] = 1;
            h->only_later += !item_at_or_before(h, item, h->p);
            if (!number[k])
                continue;
            if (number[k] < largest)
                h->reordered++;
            else
                largest = number[k];
            if (ambiguous[k]) {
                h->ambiguous++;
                continue;
            }
            h->matched++;
            numbers_add(&h->delay, item->seen_ns[h->q] - item->seen_ns[h->p]);
        }
    }
    free(seen);
}

static void write_share(FILE *out, const char *name, const struct numbers *numbers, double share)
{
    size_t rank = (size_t)(share * (double)numbers->n);

    if ((double)rank < share * (double)numbers->n)
        rank++;
    fprintf(out, ",\"%s\":%lld", name, (long long)numbers->all[rank > 0 ? rank - 1 : 0]);
}

static void write_numbers(FILE *out, struct numbers *numbers)
{
    long double sum = 0, squares = 0, mean;

    if (numbers->n == 0) {
        fputs("{\"count\":0}", out);
        return;
    }
    qsort(numbers->all, numbers->n, sizeof *numbers->all, numbers_compare);
    for (size_t i = 0; i < numbers->n; i++)
        sum += numbers->all[i];
    mean = sum / (long double)numbers->n;
    for (size_t i = 0; i < numbers->n; i++)
        squares += (numbers->all[i] - mean) * (numbers->all[i] - mean);
    fprintf(out, "{\"count\":%zu,\"min\":%lld,\"mean\":%.6Lf,\"stddev\":%.6Lf", numbers->n,
            (long long)numbers->all[0], mean, sqrtl(squares / (long double)numbers->n));
    write_share(out, "p50", numbers, 0.5);
    write_share(out, "p90", numbers, 0.9);
    write_share(out, "p99", numbers, 0.99);
    write_share(out, "p999", numbers, 0.999);
    write_share(out, "p9999", numbers, 0.9999);
    fprintf(out, ",\"max\":%lld}", (long long)numbers->all[numbers->n - 1]);
}

static void write_hop(FILE *out, struct truth_hop *h, const char *comma)
{
    char from[16], to[16];

    trace_name(h->sim, h->p, from, sizeof from);
    trace_name(h->sim, h->q, to, sizeof to);
    fprintf(out, "%s\n  {\"from\":\"%s\",\"to\":\"%s\",\"whole\":%s,\"matched\":%llu", comma, from,
            to, h->whole ? "true" : "false", (unsigned long long)h->matched);
    if (h->lost_unknown)
        fputs(",\"lost\":null", out);
    else
        fprintf(out, ",\"lost\":%llu", (unsigned long long)h->lost);
    fprintf(out, ",\"duplicated\":%llu", (unsigned long long)h->duplicated);
    if (h->ambiguous)
        fputs(",\"reordered\":null", out);
    else
        fprintf(out, ",\"reordered\":%llu", (unsigned long long)h->reordered);
    fprintf(out, ",\"only_later\":%llu,\"ambiguous\":%llu,\n   \"delay_ns\":",
            (unsigned long long)h->only_later, (unsigned long long)h->ambiguous);
    write_numbers(out, &h->delay);
    if (h->hold.n > 0) {
        fputs(",\n   \"hold_ns\":", out);
        write_numbers(out, &h->hold);
        fputs(",\n   \"path_ns\":", out);
        write_numbers(out, &h->path);
    }
    fputs("}", out);
}

static void truth_hop(FILE *out, const struct simulation *sim, bool reverse, unsigned p, unsigned q,
                      bool whole, const char *comma)
{
    struct truth_hop h = {.sim = sim, .p = p, .q = q, .reverse = reverse, .whole = whole};
    uint32_t *number = calloc(sim->n_items + 1u, sizeof *number);
    uint8_t *ambiguous = calloc(sim->n_items + 1u, 1);

    if (!number || !ambiguous)
        abort();
    truth_from(&h, number);
    if (sim->scenario->same_payload)
        truth_ambiguous(&h, ambiguous);
    truth_to(&h, number, ambiguous);
    write_hop(out, &h, comma);
    free(number);
    free(ambiguous);
    free(h.delay.all);
    free(h.hold.all);
    free(h.path.all);
}

static void truth_point(FILE *out, const struct simulation *sim, unsigned point)
{
    unsigned long long seen = 0, unparsed = 0, fragments = 0, unmatched = 0;
    char name[16];

    for (size_t i = 0; i < sim->at[point].n; i++) {
        const struct sight *sight = &sim->at[point].all[i];
        unsigned elsewhere = 0, later = packet_frames(sim, sight) - 1;

        for (unsigned m = 0; m < sight->n; m++) {
            const struct item *item = &sim->items[simulate_member(sim, sight->item, m)];

            for (unsigned k = 0; k < sim->n_points; k++)
                elsewhere += k != point && item->sights[k] > 0;
        }
        seen++;
        unmatched += !elsewhere;
        fragments += later;
        unparsed += later + (sight->foreign != FOREIGN_NONE);
    }
    trace_name(sim, point, name, sizeof name);
    fprintf(out,
            "%s\n  {\"name\":\"%s\",\"seen\":%llu,\"unparsed\":%llu,\"fragments\":%llu,"
            "\"unmatched\":%llu,\"offset_ns\":%lld,\"skew\":%.9f}",
            point ? "," : "", name, seen, unparsed, fragments, unmatched,
            (long long)sim->scenario->point[point].offset_ns, sim->scenario->point[point].skew);
}

void truth_write(const struct simulation *sim, uint64_t seed, const char *dir)
{
    unsigned n = sim->n_points;
    char path[4096];
    FILE *out;

    snprintf(path, sizeof path, "%s/truth.json", dir);
    out = fopen(path, "we");
    if (!out) {
        fprintf(stderr, "generate: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    fprintf(out, "{\"scenario\":\"%s\",\"seed\":%llu,\n \"hops\":[", sim->scenario->name,
            (unsigned long long)seed);
    for (int reverse = 0; reverse < 2; reverse++) {
        bool any = !reverse;

        for (uint32_t i = 0; i < sim->n_items && !any; i++)
            any = sim->items[i].flags & ITEM_REVERSE;
        for (unsigned i = 0; i + 1 < n && any; i++)
            truth_hop(out, sim, reverse, reverse ? n - 1 - i : i, reverse ? n - 2 - i : i + 1,
                      false, i || reverse ? "," : "");
        if (n > 2 && any)
            truth_hop(out, sim, reverse, reverse ? n - 1 : 0, reverse ? 0 : n - 1, true, ",");
    }
    fputs("],\n \"points\":[", out);
    for (unsigned i = 0; i < n; i++)
        truth_point(out, sim, i);
    fputs("]}\n", out);
    if (fclose(out) != 0) {
        fprintf(stderr, "generate: %s: %s\n", path, strerror(errno));
        exit(1);
    }
}
