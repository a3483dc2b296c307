/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * When the next send is due: an absolute time for each one, so that a late send moves none of those
 * after it.
 *
 * A sender that fell behind sends what is due back to back, but never more than 2 ms worth of it
 * (one at the least): what is older is given up and counted, because a burst of any length would
 * measure the burst and not the path. For the same reason it catches up at twice the rate and not at the line's, as long as
 * a gap is one that sends can keep; after 100 µs the next one may leave in any case.
 *
 * Sends of different sizes have gaps in proportion: each has a weight, and the gap is that of one unit of weight.
 *
 * units   ns of any monotonic clock; a gap is kept in ns and 2^-32 ns: after 10^12 sends the
 *         schedule is off by less than 1 µs
 * owns    nothing; arithmetic only, builds without a libc
 */
enum {
    PACING_CATCH_UP_NS = 2000000,
    PACING_LATE_NS = 50000,
    PACING_SPREAD_NS = 4000, /* smaller gaps no sender keeps one by one */
    PACING_APART_NS = 100000,
};

struct pacing {
    uint64_t due_ns;   /* when the next one is due … */
    uint64_t due_part; /* … and so many 2^-32 ns later; below 2^32 */
    uint64_t gap_ns;   /* from one to the next; with gap_part 0: as fast as it goes */
    uint64_t gap_part; /* 2^-32 ns; below 2^32 */
    uint64_t late_ns;  /* later than this after its time a send is late: a gap, at least 50 µs */
    uint64_t skipped;  /* sends given up */
    uint64_t apart_ns; /* not before, however late; 0: when gaps are below PACING_SPREAD_NS */
    const uint16_t *weights; /* lent; of the sends in turn; NULL: each is 1 */
    uint32_t n_weights, turn;
    uint64_t round_weight, round_ns; /* of all of them, rounded up */
};

/*
 * The gap is num/den ns, den below 2^63; num 0 is "as fast as it goes". The first send is due at
 * start_ns.
 */
void pacing_init(struct pacing *p, uint64_t start_ns, uint64_t num, uint64_t den);

/*
 * The same with a gap of num/den ns a unit of weight, and the sends' weights in turn; n below 2^16. With num 0 only the
 * turns are kept.
 */
void pacing_init_weights(struct pacing *p, uint64_t start_ns, uint64_t num, uint64_t den,
                         const uint16_t *weights, uint32_t n);

/* Weight of the send that is so many after the next one. */
static inline uint32_t pacing_weight(const struct pacing *p, uint32_t ahead)
{
    return p->weights ? p->weights[(p->turn + ahead) % p->n_weights] : 1;
}

/* No schedule at all. */
static inline int pacing_is_free(const struct pacing *p)
{
    return p->gap_ns == 0 && p->gap_part == 0;
}

/* From one send to the next; of different ones the mean. */
static inline uint64_t pacing_gap_ns(const struct pacing *p)
{
    return p->weights ? p->round_ns / p->n_weights : p->gap_ns;
}

/* When the next one may leave. */
static inline uint64_t pacing_next_ns(const struct pacing *p)
{
    return p->due_ns > p->apart_ns ? p->due_ns : p->apart_ns;
}

/* How many are due at a time, at most most; gives up what is too old first. */
uint32_t pacing_due(struct pacing *p, uint64_t now_ns, uint32_t most);

/* One of them leaves: when it was due. Without a schedule: 0. */
uint64_t pacing_take(struct pacing *p);
