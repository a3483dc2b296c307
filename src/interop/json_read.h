/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Read JSON that a stranger sent, one token after the other, without a library: the agent has none.
 *
 *     for (t = json_next(&j); t == JSON_KEY; t = json_next(&j))
 *         if (json_is(&j, "bytes")) { json_next(&j); use(j.number); } else json_skip(&j);
 *
 * shape   bounded: no allocation, no recursion, at most JSON_DEPTH levels; a text that is wrong ends in JSON_BAD, and
 *         stays there
 * owns    nothing; the text is lent by the caller and need not end with a NUL
 * source  RFC 8259
 */
enum json_token {
    JSON_BAD,
    JSON_END, /* of the text, after the one value */
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

enum { JSON_DEPTH = 32, JSON_TEXT = 64 };

struct json_read {
    const char *text; /* lent by the caller */
    size_t n, at;
    uint64_t objects; /* bit d: level d is an object */
    uint32_t depth;
    bool need_comma, have_key;
    enum json_token token; /* the last one */
    double number;
    char string[JSON_TEXT]; /* of a key or string: cut, what is not ASCII is '?' */
};

void json_begin(struct json_read *j, const char *text, size_t n);
enum json_token json_next(struct json_read *j);
/* Pass over the next value, whatever it holds; false: the text is wrong. */
bool json_skip(struct json_read *j);
/* Is the last key or string this one? */
bool json_is(const struct json_read *j, const char *word);
/*
 * The next value as a number; false when it is none (then it was passed over). What is above 2^63 was a negative number
 * on its way through an unsigned one, as some builds of iperf3 print it: it reads as -1.
 */
bool json_number(struct json_read *j, double *ret_number);
/* A number as a count: what is negative or not a number is 0. */
uint64_t json_count(double number);
