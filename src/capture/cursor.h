/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Bytes of a packet or a file that anybody may have written: nothing is read that was not asked for first.
 *
 * owns    nothing; the bytes are the caller's
 */
struct cursor {
    const uint8_t *at, *end;
};

static inline size_t cursor_left(const struct cursor *c) { return (size_t)(c->end - c->at); }

/* The next n bytes, or NULL when there are not so many; the cursor stands behind them then. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t n)
{
    const uint8_t *bytes = c->at;

    if (cursor_left(c) < n)
        return NULL;
    c->at += n;
    return bytes;
}

/* Nothing behind the next n bytes counts. */
static inline void cursor_limit(struct cursor *c, size_t n)
{
    if (cursor_left(c) > n)
        c->end = c->at + n;
}

static inline uint16_t cursor_be16(const uint8_t *b) { return (uint16_t)(b[0] << 8 | b[1]); }

static inline uint32_t cursor_be32(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline uint16_t cursor_le16(const uint8_t *b) { return (uint16_t)(b[1] << 8 | b[0]); }

static inline uint32_t cursor_le32(const uint8_t *b)
{
    return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

static inline uint64_t cursor_le64(const uint8_t *b)
{
    return (uint64_t)cursor_le32(b + 4) << 32 | cursor_le32(b);
}

/* Eight bytes as a number, to be hashed: the same on every machine. */
static inline uint64_t cursor_word(const uint8_t *b) { return cursor_le64(b); }
