/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * STAMP test packets and their answers as bytes, unauthenticated mode; no I/O.
 *
 *          test packet                       answer
 *      0   u32 sequence                      u32 sequence
 *      4   u64 T1, sent                      u64 T3, sent
 *     12   u16 error estimate                u16 error estimate, of T2 and T3
 *     14   u16 SSID                          u16 SSID
 *     16   28 zero bytes                     u64 T2, received
 *     24                                     u32 sequence      \
 *     28                                     u64 T1             | of the test packet
 *     36                                     u16 error estimate |
 *     40                                     u8  TTL           /
 *
 * The zeros are what tells a test packet from an answer, so two reflectors never answer each other.
 * Whatever follows byte 44 is padding.
 *
 * units   big-endian; a time is NTP's seconds since 1900 and 2^-32 s, or with bit Z of the error
 *         estimate PTP's seconds since 1970 and ns. As ns it is always of the Unix epoch.
 * source  RFC 8762 sections 4.2.1 and 4.3.1; RFC 8972 section 3 (SSID); RFC 5357 appendix I (TWAMP
 *         light, whose answers end with the TTL); RFC 4656 section 4.1.2 (error estimate)
 */
enum {
    STAMP_PACKET_BYTES = 44,
    STAMP_PACKET_ANSWER_MIN = 41,
    STAMP_PACKET_SYNCHRONISED = 0x8000, /* bit S of an error estimate */
    STAMP_PACKET_PTP = 0x4000,          /* bit Z */
};

struct stamp_test {
    uint32_t sequence;
    uint64_t time; /* T1 as it is on the wire */
    uint16_t error;
    uint16_t ssid;
};

struct stamp_answer {
    uint32_t sequence;
    uint64_t sent_ns;     /* T3 */
    uint64_t received_ns; /* T2 */
    uint16_t error;       /* with STAMP_PACKET_PTP the two are PTP's on the wire */
    uint16_t ssid;
    struct stamp_test test; /* what it answers, but for its SSID */
    uint8_t ttl;
};

void stamp_packet_write_test(const struct stamp_test *test, uint8_t ret_bytes[STAMP_PACKET_BYTES]);
/* errors  -EBADMSG too short, or no test packet */
int stamp_packet_read_test(const uint8_t *bytes, size_t n, struct stamp_test *ret_test);

void stamp_packet_write_answer(const struct stamp_answer *answer,
                               uint8_t ret_bytes[STAMP_PACKET_BYTES]);
/* errors  -EBADMSG too short, a test packet, or times that are none */
int stamp_packet_read_answer(const uint8_t *bytes, size_t n, struct stamp_answer *ret_answer);

/* Times on the wire; ns come back exactly. NTP's era is the one nearest to our days (1968 … 2104). */
uint64_t stamp_packet_time(uint64_t wall_ns, bool ptp);
uint64_t stamp_packet_wall(uint64_t time, bool ptp);

/* The error estimate for a clock that is at most error_ns off; never claims less than that. */
uint16_t stamp_packet_error(bool synchronised, uint64_t error_ns);
