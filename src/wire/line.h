/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One line of the protocol between controller and agent: "<id> <verb> key=value key=value". Values are percent-encoded,
 * so a line has no other blanks; no key comes twice. docs/protocol.md lists the verbs. No libc: the guest builds it too.
 *
 * owns    line_cut() cuts the caller's text in place; the line points into it
 */
enum { LINE_MAX_PAIRS = 128, LINE_MAX_BYTES = 16384 };

struct line {
    uint32_t id; /* of the request that this asks or answers; 0 nobody asked */
    const char *verb;
    unsigned n_pairs;
    struct {
        const char *key;
        const char *value; /* decoded */
    } pair[LINE_MAX_PAIRS];
};

/* Why a line is none. */
enum line_fault {
    LINE_OK,
    LINE_NO_ID,
    LINE_NO_VERB,
    LINE_BAD_KEY,
    LINE_BAD_VALUE,
    LINE_TWICE,
    LINE_TOO_MANY,
    LINE_FAULT_COUNT,
};
extern const char *const line_fault_words[LINE_FAULT_COUNT];

/* Cut text (without its newline, ended by 0, len characters before that). */
enum line_fault line_cut(char *text, size_t len, struct line *ret_line);

/* The value of a key, or NULL. */
const char *line_get(const struct line *line, const char *key);
bool line_is(const struct line *line, const char *verb);
/* A whole decimal number as value: 0 and *ret on success, -1 not there, -2 not a number. */
int line_get_u64(const struct line *line, const char *key, uint64_t *ret);

/* Writing: what does not fit sets full and the line is not to be sent. */
struct line_out {
    char *buf;
    size_t size, used;
    bool full;
};

void line_begin(struct line_out *out, char *buf, size_t size, uint32_t id, const char *verb);
void line_put(struct line_out *out, const char *key, const char *value);
void line_put_u64(struct line_out *out, const char *key, uint64_t value);
/* The newline; returns the length, or 0 when the line did not fit. */
size_t line_end(struct line_out *out);
