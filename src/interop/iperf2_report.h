/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A server's answer to the last datagram of an iperf2 UDP stream.
 *
 * source  iperf2 include/payloads.h, struct server_hdr_v1 behind struct UDP_datagram
 */
enum {
    IPERF2_PORT = 5001,
    IPERF2_REPORT_BYTES = 128,
    IPERF2_REPORT_MIN = 56,      /* datagram's header and ten words */
    IPERF2_TCP_HEADER_BYTES = 4, /* flags; 0: there is no more of a header */
};

struct iperf2_report {
    uint64_t bytes;
    double seconds, jitter_ns;
    uint64_t lost, reordered, packets; /* packets: the highest number */
};

/* True: it is one. */
bool iperf2_report_read(const uint8_t *bytes, size_t n, struct iperf2_report *ret_report);
/* datagram: the first 16 bytes of the one that is answered. */
void iperf2_report_write(const struct iperf2_report *report, const uint8_t datagram[16],
                         uint8_t ret_bytes[IPERF2_REPORT_BYTES]);
