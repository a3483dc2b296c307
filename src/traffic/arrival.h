/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/stat.h"

#include <stdint.h>

/*
 * Jitter, trend of one-way delay and spread, from departures by the sender's clock and arrivals by
 * the receiver's. The clocks need not agree: only differences of the same clock and changes of
 * (arrival - departure) are used.
 *
 * units   ns; the slope is ns of delay a ns of departure (0.02: the queue takes in 2 % more than it
 *         lets out)
 * owns    nothing; arithmetic only
 * source  jitter: RFC 3550 section 6.4.1; growth: mean delay of the last eighth of the window less
 *         that of the first
 */
struct arrival {
    uint64_t n;
    uint64_t first_ns, last_ns; /* arrivals */
    uint64_t
        departed_ns; /* of the first to arrive: the origin of time, and of delay with first_ns */
    uint64_t window_ns;
    double last_delay_ns;
    double estimate_ns;  /* of jitter, after the last arrival */
    double estimates_ns; /* sum of it after each arrival */
    struct stat_slope slope;
    struct arrival_eighth {
        double n, sum_ns;
    } early, late;
};

/*
 * window_ns: over how much of the sender's time departures lie; its eighths are those of the
 * growth.
 */
void arrival_init(struct arrival *a, uint64_t window_ns);

/*
 * In the order of arrival; copies left out. The n that departed and arrived together count as n, but for the slope, where
 * they are one point.
 */
void arrival_add(struct arrival *a, uint64_t departed_ns, uint64_t arrived_ns, uint64_t n);

/*
 * Mean of the estimate of jitter over all arrivals: the estimate itself forgets all but the last sixteen or so. 0 with
 * fewer than two.
 */
double arrival_jitter_ns(const struct arrival *a);

/* Growth of delay; 0 when one of the two eighths is empty. */
double arrival_growth_ns(const struct arrival *a);

static inline uint64_t arrival_spread_ns(const struct arrival *a)
{
    return a->last_ns - a->first_ns;
}
