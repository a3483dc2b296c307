/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"

/*
 * The two halves of endpoint_udp.c: bodies of its workers, see struct endpoint_ops.
 *
 * A trial on a flow: datagrams with a header (datagram.h) on an absolute schedule, then END, which
 * the receiver returns.
 */
enum {
    UDP_SEND_BUFFER = 4 << 20,
    UDP_RECEIVE_BUFFER = 32 << 20, /* 10 ms aside lose nothing at 1 Mpps */
};

/* udp_send.c */
void udp_send_run(struct worker *worker);

/* udp_receive.c */
void udp_receive_run(struct worker *worker);

/*
 * A probe of a rate search has neither warm-up nor tail: all that is sent is measured, and the
 * receiver's rate is taken from the spread of the arrivals, because its window does not begin when
 * the first datagram comes.
 */
static inline bool udp_stream_is_probe(const struct flow_trial *trial)
{
    return trial->warmup_ns == 0 && trial->tail_ns == 0;
}
