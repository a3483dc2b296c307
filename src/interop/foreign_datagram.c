/* SPDX-License-Identifier: Apache-2.0 */
#include "interop/foreign_datagram.h"
#include "base/clock.h"

#include <endian.h>
#include <string.h>

static uint32_t foreign_get(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, 4);
    return be32toh(value);
}

static void foreign_put(uint8_t *bytes, uint32_t value)
{
    value = htobe32(value);
    memcpy(bytes, &value, 4);
}

uint32_t foreign_head_bytes(enum foreign_form form) { return form == FOREIGN_IPERF3 ? 12 : 16; }

void foreign_datagram_write(enum foreign_form form, const struct foreign_datagram *d,
                            uint8_t *ret_bytes)
{
    const uint32_t s = (uint32_t)(d->departed_ns / CLOCK_S),
                   us = (uint32_t)(d->departed_ns % CLOCK_S / CLOCK_US);
    const uint64_t number = (uint64_t)d->number;

    if (form == FOREIGN_IPERF2) {
        foreign_put(ret_bytes, (uint32_t)number);
        foreign_put(ret_bytes + 4, s);
        foreign_put(ret_bytes + 8, us);
        foreign_put(ret_bytes + 12, (uint32_t)(number >> 32));
        return;
    }
    foreign_put(ret_bytes, s);
    foreign_put(ret_bytes + 4, us);
    if (form == FOREIGN_IPERF3_WIDE)
        foreign_put(ret_bytes + 8, (uint32_t)(number >> 32));
    foreign_put(ret_bytes + (form == FOREIGN_IPERF3_WIDE ? 12 : 8), (uint32_t)number);
}

void foreign_datagram_read(enum foreign_form form, const uint8_t *bytes, uint32_t n,
                           struct foreign_datagram *ret_datagram)
{
    const uint8_t *time = form == FOREIGN_IPERF2 ? bytes + 4 : bytes;
    int64_t number;

    if (form == FOREIGN_IPERF3_WIDE) {
        number = (int64_t)((uint64_t)foreign_get(bytes + 8) << 32 | foreign_get(bytes + 12));
    } else if (form == FOREIGN_IPERF3) {
        number = foreign_get(bytes + 8);
    } else {
        number = (int32_t)foreign_get(bytes);
        if (n >= IPERF2_DATAGRAM_BYTES + 4 &&
            foreign_get(bytes + IPERF2_DATAGRAM_BYTES) & IPERF2_WIDE_NUMBERS)
            number = (int64_t)((uint64_t)foreign_get(bytes + 12) << 32 | (uint32_t)number);
    }
    *ret_datagram = (struct foreign_datagram){
        .number = number,
        .departed_ns =
            (uint64_t)foreign_get(time) * CLOCK_S + (uint64_t)foreign_get(time + 4) * CLOCK_US,
    };
}
