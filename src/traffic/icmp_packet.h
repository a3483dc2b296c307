/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Echo requests and answers as bytes; no I/O. The payload of a request begins with a mark when
 * there is room for it:
 *
 *      0  u32 tag        from the session's token
 *      4  u32 trial
 *      8  u64 number     of the request, 0 …
 *     16  u64 departure  ns of CLOCK_MONOTONIC
 *
 * units   big-endian
 * source  RFC 792 (type 8, 0), RFC 4443 section 4 (type 128, 129): type, code, checksum, id,
 *         sequence
 */
enum {
    ICMP_PACKET_HEADER = 8,
    ICMP_PACKET_MARK = 24,
    ICMP_PACKET_HEAD = ICMP_PACKET_HEADER + ICMP_PACKET_MARK
};

struct icmp_mark {
    uint32_t tag;
    uint32_t trial;
    uint64_t number;
    uint64_t departure_ns;
};

struct icmp_packet {
    bool v6;
    uint8_t *bytes; /* owned; header and payload */
    size_t size;
    uint64_t filler_sum; /* of what comes after the mark and does not change */
};

/* A request with a payload of filler; 0 or -ENOMEM. */
int icmp_packet_init(struct icmp_packet *packet, bool v6, size_t payload_bytes);
void icmp_packet_done(struct icmp_packet *packet);

/*
 * Fill in what changes. The checksum of version 6 is left to the kernel, which knows the addresses.
 */
void icmp_packet_write(struct icmp_packet *packet, uint16_t id, uint16_t sequence,
                       const struct icmp_mark *mark);

struct icmp_answer {
    uint16_t id;
    uint16_t sequence;
    bool has_mark;
    struct icmp_mark mark;
};

/*
 * An answer from the first n bytes of a message. with_ip: it begins with an IPv4 header,
 * as raw sockets give it.
 *
 * errors  -EBADMSG no echo answer
 */
int icmp_packet_read(const uint8_t *bytes, size_t n, bool v6, bool with_ip,
                     struct icmp_answer *ret_answer);

/* RFC 1071: the sum of bytes as 16-bit words, not yet folded; n is even but for the last part. */
uint64_t icmp_packet_sum(const uint8_t *bytes, size_t n);
