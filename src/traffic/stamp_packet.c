/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/stamp_packet.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum { STAMP_S = 1000000000 };

#define STAMP_NTP_EPOCH UINT64_C(2208988800) /* seconds from 1900 to 1970 */

static uint16_t stamp_get16(const uint8_t *at)
{
    uint16_t v;

    memcpy(&v, at, sizeof v);
    return be16toh(v);
}

static uint32_t stamp_get32(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof v);
    return be32toh(v);
}

static uint64_t stamp_get64(const uint8_t *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof v);
    return be64toh(v);
}

static void stamp_put16(uint8_t *at, uint16_t v)
{
    v = htobe16(v);
    memcpy(at, &v, sizeof v);
}

static void stamp_put32(uint8_t *at, uint32_t v)
{
    v = htobe32(v);
    memcpy(at, &v, sizeof v);
}

static void stamp_put64(uint8_t *at, uint64_t v)
{
    v = htobe64(v);
    memcpy(at, &v, sizeof v);
}

uint64_t stamp_packet_time(uint64_t wall_ns, bool ptp)
{
    uint64_t s = wall_ns / STAMP_S, ns = wall_ns % STAMP_S;

    if (ptp)
        return s << 32 | ns;
    /* Rounded up, and down when read: a 2^-32 s is less than a ns. */
    return (s + STAMP_NTP_EPOCH) << 32 | ((ns << 32) + STAMP_S - 1) / STAMP_S;
}

uint64_t stamp_packet_wall(uint64_t time, bool ptp)
{
    uint64_t s = time >> 32, part = time & UINT32_MAX;

    if (ptp)
        return s * STAMP_S + part;
    /* NTP's seconds began anew in 2036: what is before 1968 is after that. */
    if (s < UINT64_C(1) << 31)
        s += UINT64_C(1) << 32;
    s = s > STAMP_NTP_EPOCH ? s - STAMP_NTP_EPOCH : 0;
    return s * STAMP_S + (part * STAMP_S >> 32);
}

uint16_t stamp_packet_error(bool synchronised, uint64_t error_ns)
{
    /* multiplier * 2^scale * 2^-32 s, the multiplier of 8 bits and not 0 */
    uint64_t s = error_ns / STAMP_S, ns = error_ns % STAMP_S;
    uint64_t units = s >= UINT32_MAX ? UINT64_MAX : s << 32 | ((ns << 32) + STAMP_S - 1) / STAMP_S;
    unsigned scale = 0;

    while (units > 255) {
        units = units / 2 + (units & 1);
        scale++;
    }
    return (uint16_t)((synchronised ? STAMP_PACKET_SYNCHRONISED : 0) | scale << 8 |
                      (units ? units : 1));
}

void stamp_packet_write_test(const struct stamp_test *test, uint8_t ret_bytes[STAMP_PACKET_BYTES])
{
    memset(ret_bytes, 0, STAMP_PACKET_BYTES);
    stamp_put32(ret_bytes, test->sequence);
    stamp_put64(ret_bytes + 4, test->time);
    stamp_put16(ret_bytes + 12, test->error);
    stamp_put16(ret_bytes + 14, test->ssid);
}

static bool stamp_is_test(const uint8_t bytes[STAMP_PACKET_BYTES])
{
    uint8_t any = 0;

    for (int i = 16; i < STAMP_PACKET_BYTES; i++)
        any |= bytes[i];
    return any == 0;
}

int stamp_packet_read_test(const uint8_t *bytes, size_t n, struct stamp_test *ret_test)
{
    if (n < STAMP_PACKET_BYTES || !stamp_is_test(bytes))
        return -EBADMSG;
    *ret_test = (struct stamp_test){
        .sequence = stamp_get32(bytes),
        .time = stamp_get64(bytes + 4),
        .error = stamp_get16(bytes + 12),
        .ssid = stamp_get16(bytes + 14),
    };
    return 0;
}

void stamp_packet_write_answer(const struct stamp_answer *answer,
                               uint8_t ret_bytes[STAMP_PACKET_BYTES])
{
    bool ptp = answer->error & STAMP_PACKET_PTP;

    memset(ret_bytes, 0, STAMP_PACKET_BYTES);
    stamp_put32(ret_bytes, answer->sequence);
    stamp_put64(ret_bytes + 4, stamp_packet_time(answer->sent_ns, ptp));
    stamp_put16(ret_bytes + 12, answer->error);
    stamp_put16(ret_bytes + 14, answer->ssid);
    stamp_put64(ret_bytes + 16, stamp_packet_time(answer->received_ns, ptp));
    stamp_put32(ret_bytes + 24, answer->test.sequence);
    stamp_put64(ret_bytes + 28, answer->test.time);
    stamp_put16(ret_bytes + 36, answer->test.error);
    ret_bytes[40] = answer->ttl;
}

int stamp_packet_read_answer(const uint8_t *bytes, size_t n, struct stamp_answer *ret_answer)
{
    struct stamp_answer a = {0};
    uint64_t sent, received;
    bool ptp;

    if (n < STAMP_PACKET_ANSWER_MIN)
        return -EBADMSG;
    a.sequence = stamp_get32(bytes);
    sent = stamp_get64(bytes + 4);
    a.error = stamp_get16(bytes + 12);
    a.ssid = stamp_get16(bytes + 14);
    received = stamp_get64(bytes + 16);
    ptp = a.error & STAMP_PACKET_PTP;
    if (received == 0 || sent == 0 ||
        (ptp && ((sent & UINT32_MAX) >= STAMP_S || (received & UINT32_MAX) >= STAMP_S)))
        return -EBADMSG;
    a.sent_ns = stamp_packet_wall(sent, ptp);
    a.received_ns = stamp_packet_wall(received, ptp);
    a.test.sequence = stamp_get32(bytes + 24);
    a.test.time = stamp_get64(bytes + 28);
    a.test.error = stamp_get16(bytes + 36);
    a.ttl = bytes[40];
    *ret_answer = a;
    return 0;
}
