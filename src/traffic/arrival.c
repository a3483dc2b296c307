/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/arrival.h"

void arrival_init(struct arrival *a, uint64_t window_ns)
{
    *a = (struct arrival){.window_ns = window_ns};
}

static void arrival_jitter_add(struct arrival *a, double change)
{
    a->estimate_ns += (change - a->estimate_ns) / 16;
    a->estimates_ns += a->estimate_ns;
}

void arrival_add(struct arrival *a, uint64_t departed_ns, uint64_t arrived_ns, uint64_t n)
{
    int64_t since;
    double delay;

    if (a->n == 0) {
        a->first_ns = a->last_ns = arrived_ns;
        a->departed_ns = departed_ns;
    }
    /*
     * Small numbers before they become doubles: 53 bits do not hold the ns since boot of two
     * clocks.
     */
    since = (int64_t)(departed_ns - a->departed_ns);
    delay = (double)((int64_t)(arrived_ns - a->first_ns) - since);
    if (a->n > 0)
        arrival_jitter_add(a, delay > a->last_delay_ns ? delay - a->last_delay_ns
                                                       : a->last_delay_ns - delay);
    for (uint64_t i = 1; i < n; i++)
        arrival_jitter_add(a, 0);
    a->n += n;
    a->last_delay_ns = delay;
    if (arrived_ns > a->last_ns)
        a->last_ns = arrived_ns;
    stat_slope_add(&a->slope, (double)since, delay);
    if (since < (int64_t)(a->window_ns / 8)) {
        a->early.n += (double)n;
        a->early.sum_ns += delay * (double)n;
    } else if (since >= (int64_t)(a->window_ns - a->window_ns / 8)) {
        a->late.n += (double)n;
        a->late.sum_ns += delay * (double)n;
    }
}

double arrival_jitter_ns(const struct arrival *a)
{
    return a->n > 1 ? a->estimates_ns / (double)(a->n - 1) : 0;
}

double arrival_growth_ns(const struct arrival *a)
{
    if (a->early.n == 0 || a->late.n == 0)
        return 0;
    return a->late.sum_ns / a->late.n - a->early.sum_ns / a->early.n;
}
