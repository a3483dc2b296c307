/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/hist.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * One-way delays by two clocks; arithmetic only.
 *
 * A sample is T2 - T1 and T4 - T3. With one clock at both ends these are the delays. With two they hold the clocks'
 * offset, which the round trips bound: in the fastest one each way took at least 0 and at most all of it, so half of it
 * for each way is off by at most that half. All delays are told by the offset that this gives; how much they vary does
 * not depend on it. Clocks that drift apart during a trial spread them by the drift.
 *
 * The offset has to be known before values go into a histogram, as its buckets widen with the value: so the first
 * samples wait, and what a better one teaches later moves the percentiles as a whole.
 *
 * units   ns
 * owns    nothing; 60 KiB, so not for the stack; a zeroed one is ready
 */
enum { STAMP_DELAY_FIRST = 64 };

struct stamp_delay_sample {
    int64_t forward_ns, backward_ns;
};

struct stamp_delay {
    bool maybe_one_clock; /* set by the caller: the reflector says that its clock is ours */
    bool ready;           /* the first samples are in the histograms */
    uint32_t n_first;
    struct stamp_delay_sample first[STAMP_DELAY_FIRST];
    struct stamp_delay_sample best; /* of the fastest round trip */
    int64_t base_ns, bias_ns;       /* what is in the histograms is less base_ns and more bias_ns */
    int64_t forward_min_ns, forward_max_ns, backward_min_ns, backward_max_ns;
    bool one_clock;
    struct hist forward, backward;
};

struct stamp_delay_way {
    double min_ns, p50_ns, p99_ns, max_ns;
};

void stamp_delay_add(struct stamp_delay *d, struct stamp_delay_sample sample);

/* The answers; false when there was no sample. ret_error_ns: 0 with one clock. */
bool stamp_delay_end(struct stamp_delay *d, struct stamp_delay_way *ret_forward,
                     struct stamp_delay_way *ret_backward, double *ret_error_ns);
