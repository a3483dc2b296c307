/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * One-way delays by two clocks; arithmetic only.
 *
 * A sample is T2 - T1 and T4 - T3. With one clock at both ends these are the delays. With two they hold the clocks'
 * offset, which each round trip bounds: each way took at least 0 and at most all of it, so half of it for each way is off
 * by at most that half.
 *
 * Clocks also drift apart. The fastest round trips of the first and of the last eighth of a trial give two offsets. What
 * of their difference a queue cannot explain (one that delays a single way by what the round trips differ moves the offset
 * by half of that) is drift, and is taken out; what is left counts as error. Worked example: 5 ms at first and 5.3 ms at
 * the end, round trips 30 and 40 us: 295 us of drift, and at most 15 us at one end, 25 at the other, are not known.
 *
 * So the error told holds for any queues, if the clocks drift evenly. Where they did not, an offset is further off than a
 * queue explains, or a delay would come out negative: the worst of these adds to the error, and 0 stands for a negative
 * delay.
 *
 * shape   a trial is cut into slots of time that double in length; each keeps its fastest round trip and its extremes.
 *         Percentiles are those of a random choice of STAMP_DELAY_KEEP samples, so of all up to that many.
 * units   ns
 * owns    nothing; 1 MiB, so not for the stack; a zeroed one is ready
 * source  the choice is Vitter's algorithm R, 1985
 */
enum { STAMP_DELAY_SLOTS = 64, STAMP_DELAY_KEEP = 32768 };

struct stamp_delay_sample {
    int64_t forward_ns, backward_ns;
    int64_t
        at_ns; /* when it came, by a clock of ours that is not set; they may come in any order */
};

enum stamp_delay_extreme {
    STAMP_DELAY_FASTEST, /* round trip */
    STAMP_DELAY_FORWARD_MIN,
    STAMP_DELAY_FORWARD_MAX,
    STAMP_DELAY_BACKWARD_MIN,
    STAMP_DELAY_BACKWARD_MAX,
    STAMP_DELAY_EXTREMES
};

struct stamp_delay_slot {
    bool any;
    struct stamp_delay_sample sample[STAMP_DELAY_EXTREMES];
};

struct stamp_delay {
    bool maybe_one_clock; /* set by the caller: the reflector says that its clock is ours */
    int64_t begin_ns, end_ns, slot_ns;
    uint64_t n, random;
    struct stamp_delay_slot slots[STAMP_DELAY_SLOTS];
    struct stamp_delay_sample kept[STAMP_DELAY_KEEP];
    double sorted[STAMP_DELAY_KEEP]; /* at the end */
};

struct stamp_delay_way {
    double min_ns, p50_ns, p99_ns, max_ns;
};

/* By what the delays were told. */
struct stamp_delay_clock {
    double error_ns; /* most that a delay may be off; 0 with one clock */
    double ahead_ns; /* the reflector's clock is ahead by so much, at at_ns; 0 with one clock */
    double drift;    /* ns that it gets ahead in a ns */
    double at_ns;
};

void stamp_delay_add(struct stamp_delay *d, struct stamp_delay_sample sample);

/* The answers, once; false when there was no sample. */
bool stamp_delay_end(struct stamp_delay *d, struct stamp_delay_way *ret_forward,
                     struct stamp_delay_way *ret_backward, struct stamp_delay_clock *ret_clock);
