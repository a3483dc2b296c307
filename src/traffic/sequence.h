/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Loss, duplication and reordering from sequence numbers 0, 1, 2 … as they arrive, in constant
 * memory.
 *
 * A bitmap remembers the newest 65536 numbers. Within it everything is exact. A number that is
 * older than the bitmap could be a late original or a late copy: it is counted as received and
 * reordered, never as duplicated, and the loss run that it was part of has been counted by then.
 * Copies count as duplicated only, not as reordered: order is that of first arrivals.
 *
 * owns    nothing: the bitmap (8 KiB) is inside; a zeroed struct is ready; builds without a libc
 * source  reordering RFC 4737 section 3 (NextExp); duplication RFC 5560; loss RFC 7680
 */
enum { SEQUENCE_SPAN = 65536, SEQUENCE_WORDS = SEQUENCE_SPAN / 64 };

struct sequence {
    uint64_t next;         /* one more than the highest number so far: NextExp */
    uint64_t received;     /* different numbers */
    uint64_t reordered;    /* arrived with a lower number than one before */
    uint64_t duplicated;   /* second and later copies */
    uint64_t longest_loss; /* longest run of missing numbers among those that left the bitmap */
    uint64_t loss_bursts;  /* runs of missing numbers among those that left the bitmap */
    uint64_t run;          /* missing run that reaches up to the bitmap's lower end */
    uint64_t seen[SEQUENCE_WORDS];
};

/* True when it is the first of its number (or older than the bitmap), false for a copy. */
bool sequence_add(struct sequence *s, uint64_t number);

/* The same for n numbers from number on, at most SEQUENCE_SPAN: how many of them are the first. */
uint64_t sequence_add_row(struct sequence *s, uint64_t number, uint64_t n);

/*
 * No more will come: numbers 0 … sent - 1 were sent (sent smaller than next is raised to it: then
 * the sender's count is not known). Counts the runs that are still in the bitmap, and those at the
 * end. Returns how many are lost.
 */
uint64_t sequence_end(struct sequence *s, uint64_t sent);
