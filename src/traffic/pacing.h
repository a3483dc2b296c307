/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * When the next send is due: an absolute time for each one, so that a late send moves none of those
 * after it.
 *
 * A sender that fell behind sends what is due back to back, but never more than 2 ms worth of it
 * (one at the least): what is older is given up and counted, because a burst of any length would
 * measure the burst and not the path.
 *
 * units   ns of any monotonic clock; a gap is kept in ns and 2^-32 ns: after 10^12 sends the
 *         schedule is off by less than 1 µs
 * owns    nothing; arithmetic only, builds without a libc
 */
enum { PACING_CATCH_UP_NS = 2000000, PACING_LATE_NS = 50000 };

struct pacing {
    uint64_t due_ns;   /* when the next one is due … */
    uint64_t due_part; /* … and so many 2^-32 ns later; below 2^32 */
    uint64_t gap_ns;   /* from one to the next; with gap_part 0: as fast as it goes */
    uint64_t gap_part; /* 2^-32 ns; below 2^32 */
    uint64_t late_ns;  /* later than this after its time a send is late: a gap, at least 50 µs */
    uint64_t skipped;  /* sends given up */
};

/*
 * The gap is num/den ns, den below 2^63; num 0 is "as fast as it goes". The first send is due at
 * start_ns.
 */
void pacing_init(struct pacing *p, uint64_t start_ns, uint64_t num, uint64_t den);

/* No schedule at all. */
static inline int pacing_is_free(const struct pacing *p)
{
    return p->gap_ns == 0 && p->gap_part == 0;
}

/* How many are due at a time, at most most; gives up what is too old first. */
uint32_t pacing_due(struct pacing *p, uint64_t now_ns, uint32_t most);

/* One of them leaves: when it was due. Without a schedule: 0. */
uint64_t pacing_take(struct pacing *p);
