/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of a file from its beginning to its end, in pieces, unpacked on the way.
 *
 * errors  input_peek(): NULL, and input_failure() tells why; the end is no failure
 * owns    input_done() frees and closes; takes what is zeroed or half made
 */
struct input_unpack;

struct input {
    int fd;
    char *path; /* owned; how sentences call it */
    uint8_t *bytes;
    size_t room, at, n; /* bytes[at … n) are there and not taken yet */
    uint64_t offset;    /* of bytes[0], in the unpacked data */
    bool ended;
    int r; /* negative: reading or unpacking failed */
    struct err err;
    struct input_unpack *unpack; /* owned; NULL as it is */
};

/* Large, so that the kernel is called seldom; small, so that what it wrote is still in the second cache when it is read. */
enum { INPUT_PIECE = 256 << 10, INPUT_MAX = 32 << 20 };

/* "-" is stdin. */
int input_open(const char *path, struct input *ret_input, struct err *err);
void input_done(struct input *input);

/* What input_peek() does when the bytes are not there yet. */
const uint8_t *input_fill(struct input *input, size_t n);

/* The next n bytes, at most INPUT_MAX, or NULL. Good until the next peek. */
static inline const uint8_t *input_peek(struct input *input, size_t n)
{
    return input->n - input->at >= n ? input->bytes + input->at : input_fill(input, n);
}

/* They are done with; n at most what was peeked at. */
static inline void input_take(struct input *input, size_t n) { input->at += n; }

/* Pass over n bytes, however many; false when there are not so many. */
bool input_skip(struct input *input, uint64_t n);

static inline uint64_t input_offset(const struct input *input) { return input->offset + input->at; }
static inline size_t input_left(const struct input *input) { return input->n - input->at; }

/*
 * After a peek of n bytes failed: 0 the file ends here, between two of what it consists of; negative it ends or breaks
 * inside of one, with the sentence.
 */
int input_failure(const struct input *input, const char *what, struct err *err);
