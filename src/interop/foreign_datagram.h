/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "interop/foreign_flow.h"

#include <stdint.h>

/*
 * The first bytes of a foreign tool's datagram. Numbers start at 1 (iperf3; iperf2 from 0 or 1); the time is the
 * sender's clock, in microseconds.
 *
 * source  esnet/iperf src/iperf_udp.c; iperf2 include/payloads.h
 */
enum { FOREIGN_HEAD_BYTES = 40 };

struct foreign_datagram {
    int64_t number; /* iperf2: negative is the last one */
    uint64_t departed_ns;
};

/* How many bytes of a datagram are read: less than these is none. */
uint32_t foreign_head_bytes(enum foreign_form form);
void foreign_datagram_write(enum foreign_form form, const struct foreign_datagram *datagram,
                            uint8_t *ret_bytes);
void foreign_datagram_read(enum foreign_form form, const uint8_t *bytes, uint32_t n,
                           struct foreign_datagram *ret_datagram);
