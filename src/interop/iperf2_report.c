/* SPDX-License-Identifier: Apache-2.0 */
#include "interop/iperf2_report.h"

#include <endian.h>
#include <string.h>

enum { IPERF2_AT = 16, IPERF2_VERSION1 = 0x8 };

/* Words after the datagram's header. */
enum iperf2_word {
    IPERF2_FLAGS,
    IPERF2_BYTES_HIGH,
    IPERF2_BYTES_LOW,
    IPERF2_SECONDS,
    IPERF2_MICROSECONDS,
    IPERF2_LOST,
    IPERF2_REORDERED,
    IPERF2_PACKETS,
    IPERF2_JITTER_SECONDS,
    IPERF2_JITTER_MICROSECONDS,
    IPERF2_WORDS
};

bool iperf2_report_read(const uint8_t *bytes, size_t n, struct iperf2_report *ret_report)
{
    uint32_t w[IPERF2_WORDS];

    if (n < IPERF2_REPORT_MIN)
        return false;
    memcpy(w, bytes + IPERF2_AT, sizeof w);
    for (int i = 0; i < IPERF2_WORDS; i++)
        w[i] = be32toh(w[i]);
    if (w[IPERF2_FLAGS] >> 28 != IPERF2_VERSION1)
        return false;
    *ret_report = (struct iperf2_report){
        .bytes = (uint64_t)w[IPERF2_BYTES_HIGH] << 32 | w[IPERF2_BYTES_LOW],
        .seconds = w[IPERF2_SECONDS] + w[IPERF2_MICROSECONDS] / 1e6,
        .lost = w[IPERF2_LOST],
        .reordered = w[IPERF2_REORDERED],
        .packets = w[IPERF2_PACKETS],
        .jitter_ns = w[IPERF2_JITTER_SECONDS] * 1e9 + w[IPERF2_JITTER_MICROSECONDS] * 1e3,
    };
    return true;
}

void iperf2_report_write(const struct iperf2_report *report, const uint8_t datagram[16],
                         uint8_t ret_bytes[IPERF2_REPORT_BYTES])
{
    uint32_t us = (uint32_t)((report->seconds - (uint32_t)report->seconds) * 1e6);
    uint32_t w[IPERF2_WORDS] = {
        [IPERF2_FLAGS] = (uint32_t)IPERF2_VERSION1 << 28,
        [IPERF2_BYTES_HIGH] = (uint32_t)(report->bytes >> 32),
        [IPERF2_BYTES_LOW] = (uint32_t)report->bytes,
        [IPERF2_SECONDS] = (uint32_t)report->seconds,
        [IPERF2_MICROSECONDS] = us,
        [IPERF2_LOST] = (uint32_t)report->lost,
        [IPERF2_REORDERED] = (uint32_t)report->reordered,
        [IPERF2_PACKETS] = (uint32_t)report->packets,
        [IPERF2_JITTER_SECONDS] = (uint32_t)(report->jitter_ns / 1e9),
        [IPERF2_JITTER_MICROSECONDS] = (uint32_t)((uint64_t)(report->jitter_ns / 1e3) % 1000000),
    };

    memset(ret_bytes, 0, IPERF2_REPORT_BYTES);
    memcpy(ret_bytes, datagram, IPERF2_AT);
    for (int i = 0; i < IPERF2_WORDS; i++)
        w[i] = htobe32(w[i]);
    memcpy(ret_bytes + IPERF2_AT, w, sizeof w);
}
