/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/match_internal.h"

#include <stdlib.h>

enum { INTERVALS_MAX = 1 << 20 };

/* For so many intervals: it need not be kept. */
static uint32_t series_room(uint32_t n)
{
    uint32_t room = 16;

    while (room < n)
        room *= 2;
    return room;
}

struct hop_interval *series_interval(struct match *m, struct side *side, uint64_t ns)
{
    struct hop *hop = &side->hop;
    uint64_t at = ns > m->start_ns ? (ns - m->start_ns) / m->options.interval_ns : 0;

    if (at >= INTERVALS_MAX)
        return NULL;
    if (at >= hop->n_intervals) {
        uint32_t n = (uint32_t)at + 1, room = series_room(n);

        /* What is not in use yet is zeroed already. */
        if (!hop->intervals || room != series_room(hop->n_intervals)) {
            struct hop_interval *more = calloc(room, sizeof *more);

            if (!more)
                return NULL;
            if (hop->intervals)
                memcpy(more, hop->intervals, hop->n_intervals * sizeof *more);
            free(hop->intervals);
            hop->intervals = more;
        }
        hop->n_intervals = n;
    }
    return &hop->intervals[at];
}
