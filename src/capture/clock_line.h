/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How one clock stands to another, from packets that were seen by both: y = the other's time less the first one's, at x
 * by the first one's. A packet to the other has y of at least the offset, one from there at most; between the two hulls lies
 * the line with the widest gap to both. So does the true one, without symmetry being assumed: ours is off by about half the
 * gap, and by more where packets of one way are few and the slope is hardly known. bound_ns says the most, over all the time.
 *
 * shape   there[], back[]: in order of x; made smaller (the hulls stay in front)
 * units   ns
 * source  Moon, Skelly, Towsley, "Estimation and removal of clock skew from network delay measurements", 1999; Zhang, Liu, Xia,
 *         "Clock synchronization algorithms for network measurements", 2002; both sides at once
 */
struct clock_sample {
    uint64_t x_ns;
    int64_t y_ns;
};

struct clock_line {
    uint64_t x_ns;     /* where offset_ns is meant */
    int64_t offset_ns; /* there */
    double skew;       /* and so much more a ns */
    uint64_t
        bound_ns; /* at most so far off; UINT64_MAX one way only: the offset is no more than a guess */
    bool crossed;     /* no line lies between: the clock has stepped */
    uint64_t step_ns; /* about where, by x */
};

/* The skew is at most that: no quartz is worse by far. */
#define CLOCK_LINE_MAX_SKEW 1e-3

/* errors: -ENODATA nothing either way */
int clock_line_fit(struct clock_sample *there, size_t n_there, struct clock_sample *back,
                   size_t n_back, struct clock_line *ret_line);
