/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/seen.h"

/*
 * Since the contract: link types NULL, LOOP, RAW_OLD, RAW_BSD; decode_step_id().
 *
 * A frame to the key that it has at every point of its way: Ethernet, 802.1Q and 802.1ad, Linux cooked v1 and v2, raw
 * IP; VXLAN, Geneve, GRE and NVGRE, IP in IP down to the innermost packet; IPv4 and IPv6 with extension headers;
 * TCP, UDP, SCTP, ICMP and ICMPv6. Every read is checked against what was captured.
 *
 * owns    nothing; frame's bytes are lent for the call
 * source  LINKTYPE_ values: tcpdump.org/linktypes.html; RFC 791, 8200, 9293, 768, 792, 4443, 9260, 7348, 8926, 2784,
 *         7637, 2003; IEEE 802.1Q
 */
enum decode_link {
    DECODE_NULL = 0, /* BSD's loopback; LOOP is OpenBSD's */
    DECODE_ETHERNET = 1,
    DECODE_RAW_OLD = 12, /* what RAW is called in old files, and on OpenBSD */
    DECODE_RAW_BSD = 14,
    DECODE_RAW = 101, /* IPv4 or IPv6 by the version */
    DECODE_LOOP = 108,
    DECODE_COOKED = 113, /* LINUX_SLL */
    DECODE_IPV4 = 228,
    DECODE_IPV6 = 229,
    DECODE_COOKED2 = 276, /* LINUX_SLL2 */
};

enum decode_result {
    DECODE_OK,
    DECODE_NOT_IP,   /* ARP, LLDP … */
    DECODE_SHORT,    /* cut off before the key was complete: by the capture or by a liar */
    DECODE_BAD,      /* a length or version that cannot be */
    DECODE_FRAGMENT, /* not the first fragment of a datagram: it has no ports */
    DECODE_LINK,     /* a link type that is not known */
    DECODE_RESULT_COUNT,
};

/*
 * ret_seen's point is not set; ret_payload (NULL: not wanted) is what was captured of the innermost payload, of which
 * there are ret_seen->len on the wire. A first fragment has the ports and is keyed like a whole packet.
 */
enum decode_result decode_frame(const struct frame *frame, struct seen *ret_seen,
                                const uint8_t **ret_payload, uint32_t *ret_n_payload);

/* Who talks to whom, of a frame that decode_frame() took; for the first packet of a flow. */
enum decode_result decode_flow(const struct frame *frame, struct seen_flow *ret_flow);

/*
 * The pos that a datagram has whose payload begins with these bytes: for pieces of one that several were merged into
 * (UDP GRO). n captured bytes of the piece; those beyond DECODE_POS_BYTES do not count.
 */
enum { DECODE_POS_BYTES = 32 };
uint32_t decode_payload_pos(const uint8_t *payload, uint32_t n);

/* A base with IP ID from in it, as it is with to (0: with none): datagrams that are merged, or were one, have IDs that count up. */
uint64_t decode_step_id(uint64_t base, uint16_t from, uint16_t to);
