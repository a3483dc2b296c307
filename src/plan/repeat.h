/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/measurement.h"

/*
 * Measure again and again, in rounds: the order of a round, what the repetitions of one thing say together, and whether
 * that is enough. No I/O but for drawing a seed.
 */
enum { REPEAT_MAX = 1000, REPEAT_MAX_ORDER = 64 };

struct repeat_options {
    uint32_t n; /* rounds at most; 0 or 1 one */
    double
        until_share; /* stop when the interval of the median is this narrow, relative to it; 0 does not */
    bool seed_set;
    uint64_t seed;
};

/* What does not go together: -EINVAL with a sentence. */
int repeat_check(const struct repeat_options *options, struct err *err);
/* At least 1. */
uint32_t repeat_rounds(const struct repeat_options *options);
/* What goes into the result: shuffled when repeated or when a seed is given, which is drawn when it is not. */
struct repeat_record repeat_begin(const struct repeat_options *options);

/*
 * The next round's order of n things (at most REPEAT_MAX_ORDER): order[] is 0 … n - 1, shuffled. The same seed gives the
 * same rounds on every machine; things that are left out of a round keep their place in it.
 *
 * shape   state begins as the seed and goes on from round to round
 * source  Fisher and Yates' shuffle, fed by splitmix64 (Steele, Lea, Flood, OOPSLA 2014): state += 0x9e3779b97f4a7c15, then
 *         two xor-shift-multiply steps; a number below k is the output modulo k, outputs past the last whole multiple of k
 *         thrown away
 */
void repeat_shuffle(uint64_t *state, unsigned *ret_order, unsigned n);

/*
 * Say of the measurements from `first` on which repetition they are, then look at all the scenario's repetitions: sort them
 * into groups of one thing each, summarise each group, flag outliers.
 *
 * An outlier lies farther from the median of its group than 3 x 1.4826 x the median distance to it (for normal values: three
 * standard deviations) and than a hundredth of the median, which is as fine as percentiles are kept; among at least 5.
 *
 * errors  -ENOMEM
 */
int repeat_add(struct scenario_result *scenario, uint32_t first, uint32_t repetition,
               struct err *err);
/* The groups of these n measurements are all as narrow as share; false when one of them has no interval. */
bool repeat_is_narrow(const struct scenario_result *scenario, uint32_t first, uint32_t n,
                      double share);
/* Say why there are no more, of the groups of these n measurements that go on. */
void repeat_end(struct scenario_result *scenario, uint32_t first, uint32_t n, enum repeat_end end);
