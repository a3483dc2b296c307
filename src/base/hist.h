/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Log-linear histogram of durations: values below 128 are exact, above that each octave has 64 equal buckets.
 * A percentile is the middle of its bucket, so it is off by at most 1/128 of the value (0.8 %); min, max, mean and
 * count are exact. Worked example: 1000 has its highest bit at 9, so buckets are 2^(9-6) = 8 wide; 1000 falls into
 * [1000, 1008) and reads 1003.
 *
 * units   any whole number; vnperf keeps nanoseconds
 * owns    nothing: the buckets are inside; a zeroed struct is an empty histogram
 * source  the layout is that of HdrHistogram with 7 bits of precision; builds without a libc
 */
enum {
    HIST_SUB_BITS = 6,
    HIST_SUB = 1 << HIST_SUB_BITS,
    HIST_BUCKETS = (64 - HIST_SUB_BITS + 1) * HIST_SUB
};

struct hist {
    uint64_t count;
    uint64_t min;
    uint64_t max;
    double sum;
    double sum_squares;
    uint64_t bucket[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t value)
{
    unsigned shift;

    if (value < 2 * HIST_SUB)
        return (unsigned)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
    return (shift + 1) * HIST_SUB + (unsigned)(value >> shift) - HIST_SUB;
}

/* Here, because it is asked for every packet. */
static inline void hist_add(struct hist *h, uint64_t value)
{
    double d = (double)value;

    if (h->count == 0 || value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
    h->count++;
    h->sum += d;
    h->sum_squares += d * d;
    h->bucket[hist_index(value)]++;
}

void hist_merge(struct hist *h, const struct hist *other);

/* The value below or at which the share (0…1) of the samples lies; 0 when empty. */
uint64_t hist_percentile(const struct hist *h, double share);
double hist_mean(const struct hist *h);
/* Standard deviation of the population; 0 when empty. */
double hist_stddev(const struct hist *h);

/*
 * Bytes of a histogram, the same on every machine: LEB128 varints (count, min, max, sum and sum of squares as their
 * IEEE 754 bits, then pairs of bucket step and bucket count).
 *
 * errors  hist_pack: -ENOSPC when it does not fit into size; hist_unpack: -EBADMSG
 */
enum { HIST_PACKED_MAX = 50 + HIST_BUCKETS * 12 };
int hist_pack(const struct hist *h, uint8_t *buf, size_t size);
int hist_unpack(const uint8_t *buf, size_t size, struct hist *ret_hist);
