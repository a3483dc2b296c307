/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/hop.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * NetWeaver's way: two text logs of any traffic tool, one line a packet, compared by columns. A packet is what has the
 * same text in a column; its time stands in another.
 *
 * shape   columns are separated by blanks and counted from 0. The time column is HH:MM:SS.frac (of the day that stands as
 *         YYYY-MM-DD in the column before, where it does), YYYY-MM-DDTHH:MM:SS.frac with or without a Z, or seconds.frac.
 *         Without a day, midnight is where the time goes back by more than half a day. A text that comes again in one
 *         log is a retransmit: first goes with first, second with second. When the logs have it a different number of
 *         times, and the first has it more than once, nobody knows which goes with which: those pairs are ambiguous and
 *         in no delay. What the first log has more often is lost, the second duplicated, only the second only_later.
 *         One direction: a log of traffic both ways gives delays below 0
 * units   ns, exact; digits beyond the ninth are dropped
 * source  the columns and their names: NetWeaver's README
 */
enum { TEXT_MATCH_SPLIT_SIZE = 32, TEXT_MATCH_LINE = 64 << 10, TEXT_MATCH_MAX_INTERVALS = 1 << 20 };

struct text_match_options {
    uint32_t seq_col, time_col;
    char seq_split[TEXT_MATCH_SPLIT_SIZE]; /* "" the column is taken whole */
    uint32_t seq_index;                    /* of the pieces */
    int64_t offset_ns;                     /* the second log's times are so much too late */
    uint64_t interval_ns;                  /* of the series; 0 none */
};

/*
 * errors  -EINVAL the columns cannot be right: no line has them, or what should tell packets apart hardly differs; the
 *         sentence names a column that looks better. -ENODATA a log has no line. -EIO … reading failed: the
 *         result is what was read until then. -EFBIG more than 4 G lines, or intervals without end
 * owns    ret_hops: ended by the caller with hops_done(), also after an error; the streams stay the caller's
 */
int text_match(FILE *const logs[2], const char *const names[2],
               const struct text_match_options *options, struct hops *ret_hops, struct err *err);
