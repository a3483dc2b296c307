/* SPDX-License-Identifier: Apache-2.0 */
#include "model/hop.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The histogram of delays of that sign, made when it is not there; NULL without memory. */
static struct hist *delay_hist(struct delay *d, bool negative)
{
    struct hist *hist = negative ? d->negative : d->positive;

    if (hist)
        return hist;
    hist = calloc(1, sizeof *hist);
    if (negative)
        d->negative = hist;
    else
        d->positive = hist;
    return hist;
}

/* Exact where it can be. */
static double delay_apart(int64_t a, int64_t b)
{
    int64_t apart;

    return __builtin_sub_overflow(a, b, &apart) ? (double)a - (double)b : (double)apart;
}

int delay_add(struct delay *d, int64_t ns)
{
    struct hist *hist = delay_hist(d, ns < 0);
    double beyond;

    if (!hist)
        return -ENOMEM;
    hist_add(hist, ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns);
    if (d->count == 0 || ns < d->min)
        d->min = ns;
    if (d->count == 0 || ns > d->max)
        d->max = ns;
    if (d->count++ == 0)
        d->origin = ns;
    beyond = delay_apart(ns, d->origin);
    d->sum += beyond;
    d->sum_squares += beyond * beyond;
    return 0;
}

int delay_merge(struct delay *d, const struct delay *other)
{
    double shift, n = (double)other->count;

    if (other->count == 0)
        return 0;
    if ((other->positive && !delay_hist(d, false)) || (other->negative && !delay_hist(d, true)))
        return -ENOMEM;
    if (other->positive)
        hist_merge(d->positive, other->positive);
    if (other->negative)
        hist_merge(d->negative, other->negative);
    if (d->count == 0 || other->min < d->min)
        d->min = other->min;
    if (d->count == 0 || other->max > d->max)
        d->max = other->max;
    if (d->count == 0)
        d->origin = other->origin;
    shift = delay_apart(other->origin, d->origin);
    d->sum_squares += other->sum_squares + 2 * shift * other->sum + n * shift * shift;
    d->sum += other->sum + n * shift;
    d->count += other->count;
    return 0;
}

double delay_mean(const struct delay *d)
{
    return d->count ? (double)d->origin + d->sum / (double)d->count : 0;
}

double delay_stddev(const struct delay *d)
{
    double mean, variance;

    if (d->count == 0)
        return 0;
    mean = d->sum / (double)d->count;
    variance = d->sum_squares / (double)d->count - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
}

int64_t delay_percentile(const struct delay *d, double share)
{
    uint64_t below = d->negative ? d->negative->count : 0, rank;
    int64_t ns;

    if (d->count == 0)
        return 0;
    rank = (uint64_t)ceil(share * (double)d->count);
    rank = rank < 1 ? 1 : rank > d->count ? d->count : rank;
    if (rank <= below)
        /* The rank-th from below is the (below - rank + 1)-th of the magnitudes. */
        ns = (int64_t)(0 - hist_percentile(d->negative,
                                           ((double)(below - rank) + 0.5) / (double)below));
    else
        ns = (int64_t)hist_percentile(d->positive,
                                      ((double)(rank - below) - 0.5) / (double)(d->count - below));
    return ns < d->min ? d->min : ns > d->max ? d->max : ns;
}

void delay_done(struct delay *d)
{
    if (!d)
        return;
    free(d->positive);
    free(d->negative);
    *d = (struct delay){0};
}

void hop_done(struct hop *hop)
{
    if (!hop)
        return;
    delay_done(&hop->delay);
    delay_done(&hop->hold);
    delay_done(&hop->path);
    free(hop->intervals);
    for (uint32_t i = 0; i < hop->n_flows; i++)
        delay_done(&hop->flows[i].delay);
    free(hop->flows);
    *hop = (struct hop){0};
}

void hops_done(struct hops *hops)
{
    if (!hops)
        return;
    for (uint32_t i = 0; i < hops->n_hops; i++)
        hop_done(&hops->hops[i]);
    free(hops->hops);
    *hops = (struct hops){0};
}

void hops_late_bounds(struct hops *hops)
{
    size_t used = strlen(hops->warning);
    bool late = false;

    for (uint32_t i = 0; i < hops->n_hops; i++)
        if (hop_looks_late(&hops->hops[i]))
            late = hops->hops[i].lost_is_bound = true;
    if (late)
        snprintf(hops->warning + used, sizeof hops->warning - used,
                 "%sa packet that is longer on its way than --window counts as lost and as not "
                 "seen before: where both are there, losses are bounds, and a longer --window "
                 "tells",
                 used ? "; " : "");
}

uint64_t hops_paired(const struct hops *hops)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < hops->n_hops; i++)
        n += hops->hops[i].matched + hops->hops[i].ambiguous;
    return n;
}

struct hop *hops_find(const struct hops *hops, unsigned from, unsigned to, bool whole)
{
    for (uint32_t i = 0; i < hops->n_hops; i++)
        if (hops->hops[i].from == from && hops->hops[i].to == to && hops->hops[i].whole == whole)
            return &hops->hops[i];
    return NULL;
}

struct hop *hops_add(struct hops *hops)
{
    struct hop *grown = reallocarray(hops->hops, hops->n_hops + 1, sizeof *grown);

    if (!grown)
        return NULL;
    hops->hops = grown;
    grown[hops->n_hops] = (struct hop){0};
    return &grown[hops->n_hops++];
}
