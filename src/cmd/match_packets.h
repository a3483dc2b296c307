/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/match.h"

#include <stdio.h>

/*
 * --packets: a line a packet as comma-separated values (RFC 4180).
 *
 * shape   first (point that saw it first), time_ns (there), direction (forward along the order of the points, or
 *         backward), protocol, from, to, bytes (payload), pos (TCP: the sequence number), id (IP's, 0 none), seen (a 1 or 0
 *         a point), then for each two points that follow each other how long it took, "a to b ns", in the direction in
 *         which it went, empty where one of them did not see it; flags (words with blanks between: reordered, merged,
 *         ambiguous, duplicated)
 */
struct match_packets {
    FILE *out; /* lent */
    unsigned n;
    const uint8_t *order;     /* lent: n points */
    const char *const *names; /* lent: n of them */
    int error; /* errno of the first write that failed; nothing is written after it */
};

void match_packets_head(const struct match_packets *p);
/* For struct match_options: arg is a struct match_packets. */
void match_packets_line(void *arg, const struct match_packet *packet);
