/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * One packet seen at one point, cut down to what tells it from others and is the same at every point that it passes:
 * no TTL, no checksum, no MAC, no outer header, and no length, which segmentation offload changes on the way.
 *
 * shape   TCP: base of acknowledgement, options (and flags, window and IP ID without payload), addresses and ports;
 *         pos the sequence number. Others: base of addresses, ports and IP ID where it is not 0; pos a hash of the
 *         first bytes of payload. flow of the other direction is flow ^ 1.
 * units   ts_ns of the point's own clock; len bytes of payload
 * source  the key is what measurements against known truth gave: matching by position with length as a value
 */
enum seen_flags {
    SEEN_TCP = 1,    /* pos counts bytes: pieces of one packet can be found by it */
    SEEN_HAS_ID = 2, /* id is an IP ID that the sender set */
    SEEN_CUT =
        4, /* the capture has less of it than the key wants: equal only to what was cut alike */
    SEEN_OUTGOING =
        8, /* the point is an interface that sent it; else it received it, or nobody knows */
    SEEN_UDP = 16,      /* several may have been merged: see match_add() */
    SEEN_FRAGMENT = 32, /* the first fragment: len is its own, not that of the whole packet */
};

struct seen {
    uint64_t ts_ns;
    uint64_t base;     /* with addresses and ports */
    uint64_t base_nat; /* without: what NAT leaves equal */
    uint32_t pos;
    uint32_t len;
    uint32_t flow; /* hash of protocol, addresses and ports, this direction */
    uint16_t id;
    uint8_t point;
    uint8_t flags; /* enum seen_flags */
};

/* Who talks to whom: the words of a struct seen's flow. */
struct seen_flow {
    uint8_t protocol; /* IP's number */
    uint8_t family;   /* 4 or 6 */
    uint16_t from_port, to_port;
    uint8_t from[16], to[16]; /* network order; IPv4 in the first four */
};

/* A frame as a file or an interface gave it. */
struct frame {
    uint64_t ts_ns;
    const uint8_t *data; /* lent until the next frame is asked for */
    uint32_t n;          /* bytes that were captured */
    uint32_t wire_len;   /* bytes that it had */
    uint16_t link;       /* LINKTYPE_…, decode.h */
    uint8_t outgoing;    /* 1 sent by the interface, 0 received, 2 not known */
};
