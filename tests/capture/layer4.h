/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "simulate.h"

/*
 * Transport header and payload of a sight, with the checksum that the point sees.
 */
struct layer4 {
    uint8_t protocol;         /* IP's number */
    uint8_t family;           /* 4 or 6 */
    uint8_t from[16], to[16]; /* network order */
    unsigned len;
    uint8_t *data; /* lent by the caller: PACKET_MAX bytes */
};

void layer4_build(const struct simulation *sim, unsigned point, const struct sight *sight,
                  struct layer4 *l4);

/* ---- bytes in network order ---- */

static inline uint8_t *put8(uint8_t *at, unsigned v)
{
    *at = (uint8_t)v;
    return at + 1;
}

static inline uint8_t *put16(uint8_t *at, unsigned v) { return put8(put8(at, v >> 8), v); }

static inline uint8_t *put32(uint8_t *at, uint32_t v)
{
    return put16(put16(at, v >> 16), v & 0xffff);
}

/* Of RFC 1071, not yet complemented. */
uint32_t layer4_sum(uint32_t sum, const uint8_t *data, unsigned n);
static inline unsigned layer4_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}
