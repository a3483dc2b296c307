/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

/*
 * The first 32 bytes of every datagram of a UDP stream (FLOW_UDP_HEADER); what follows is filler.
 *
 *      0  u32 tag        from the session's token: others' datagrams are not counted
 *      4  u32 trial      number of the trial, 1 …
 *      8  u64 sequence   WARMUP, MEASURED, TAIL: 0, 1, 2 … for each flag by itself, so that the
 *                        numbers of the measured ones have no holes but losses
 *                        END: how many MEASURED datagrams were sent on this flow
 *     16  u64 departure  ns of the sender's CLOCK_MONOTONIC just before its send call
 *     24  u16 flags      exactly one of enum datagram_flag, or END and ANSWER
 *     26  u16 flow       index
 *     28  u16 segments   how many datagrams the send call handed over as one; in all of them
 *     30  u16 reserved   0; not looked at
 *
 * END follows the tail, has no filler, and is repeated until the receiver returns it with ANSWER
 * added.
 *
 * units   big-endian
 */
enum { DATAGRAM_BYTES = 32 };

enum datagram_flag {
    DATAGRAM_WARMUP = 1,   /* left before the sender's window */
    DATAGRAM_MEASURED = 2, /* left inside it: these are what loss is about */
    DATAGRAM_TAIL = 4,     /* left after it: keeps the receiver's window loaded to its end */
    DATAGRAM_END = 8,
    DATAGRAM_ANSWER = 16, /* receiver to sender, with END */
};

struct datagram {
    uint32_t tag;
    uint32_t trial;
    uint64_t sequence;
    uint64_t departure_ns;
    uint16_t flags;
    uint16_t flow;
    uint16_t segments;
};

static inline void datagram_write(const struct datagram *d, uint8_t ret_bytes[DATAGRAM_BYTES])
{
    const uint32_t tag = htobe32(d->tag), trial = htobe32(d->trial);
    const uint64_t sequence = htobe64(d->sequence), departure = htobe64(d->departure_ns);
    const uint16_t flags = htobe16(d->flags), flow = htobe16(d->flow);
    const uint16_t segments = htobe16(d->segments), reserved = 0;

    memcpy(ret_bytes, &tag, 4);
    memcpy(ret_bytes + 4, &trial, 4);
    memcpy(ret_bytes + 8, &sequence, 8);
    memcpy(ret_bytes + 16, &departure, 8);
    memcpy(ret_bytes + 24, &flags, 2);
    memcpy(ret_bytes + 26, &flow, 2);
    memcpy(ret_bytes + 28, &segments, 2);
    memcpy(ret_bytes + 30, &reserved, 2);
}

/* One more like it, with another number. */
static inline void datagram_copy(const uint8_t bytes[DATAGRAM_BYTES], uint64_t sequence,
                                 uint8_t ret_bytes[DATAGRAM_BYTES])
{
    const uint64_t number = htobe64(sequence);

    memcpy(ret_bytes, bytes, 8);
    memcpy(ret_bytes + 8, &number, 8);
    memcpy(ret_bytes + 16, bytes + 16, 16);
}

/* Do they differ in nothing but the number, and is that the given one? */
static inline int datagram_is_copy(const uint8_t bytes[DATAGRAM_BYTES], uint64_t sequence,
                                   const uint8_t other[DATAGRAM_BYTES])
{
    const uint64_t number = htobe64(sequence);

    return memcmp(other, bytes, 8) == 0 && memcmp(other + 8, &number, 8) == 0 &&
           memcmp(other + 16, bytes + 16, 16) == 0;
}

static inline void datagram_read(const uint8_t bytes[DATAGRAM_BYTES], struct datagram *ret_datagram)
{
    uint32_t tag, trial;
    uint64_t sequence, departure;
    uint16_t flags, flow, segments;

    memcpy(&tag, bytes, 4);
    memcpy(&trial, bytes + 4, 4);
    memcpy(&sequence, bytes + 8, 8);
    memcpy(&departure, bytes + 16, 8);
    memcpy(&flags, bytes + 24, 2);
    memcpy(&flow, bytes + 26, 2);
    memcpy(&segments, bytes + 28, 2);
    *ret_datagram = (struct datagram){
        .tag = be32toh(tag),
        .trial = be32toh(trial),
        .sequence = be64toh(sequence),
        .departure_ns = be64toh(departure),
        .flags = be16toh(flags),
        .flow = be16toh(flow),
        .segments = be16toh(segments),
    };
}
