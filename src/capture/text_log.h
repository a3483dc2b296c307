/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * A text log, line by line, cut into columns by blanks. For text_match.c.
 *
 * shape   a line longer than the buffer has no columns: it is passed over and counted as one
 * owns    text_log_done() frees the buffer; the stream stays the caller's
 */
struct text_log {
    FILE *in;     /* lent */
    char *buffer; /* owned */
    size_t size, used, at;
    bool ended;
};

struct text_piece {
    const char *text; /* lent until the next line */
    size_t n;
};

int text_log_init(struct text_log *ret_log, FILE *in, size_t size, struct err *err);
void text_log_done(struct text_log *log);

/* The next line without its end: 1; 0 no more; -EIO … reading failed. */
int text_log_line(struct text_log *log, struct text_piece *ret_line, struct err *err);

/* Column number `col` of a line, from 0; false when it has not so many. */
bool text_log_column(struct text_piece line, uint32_t col, struct text_piece *ret_column);
/* Piece number `index` of a text that `split` cuts ("" does not). */
bool text_log_split(struct text_piece text, const char *split, uint32_t index,
                    struct text_piece *ret_piece);

/*
 * A time in the words of text_match.h; day may be empty. Returns 0, 1 when it is a time of day without the day, or
 * -EINVAL.
 */
int text_log_time(struct text_piece day, struct text_piece time, int64_t *ret_ns);
