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
    /* What one thread hands to the kernel one by one, a second, and still on time: from here on several at once. */
    UDP_SINGLES_PPS = 200000,
};

/*
 * How many datagrams a send call of a worker with so many of the flows hands over as one; 1: each by itself. What the
 * spec leaves open (gso 0) is the least that keeps the worker below UDP_SINGLES_PPS, and 1 as fast as it goes.
 */
uint32_t udp_send_segments(const struct flow_spec *spec, const struct flow_trial *trial,
                           uint32_t n_flows);

/* endpoint_udp.c: buffers and options of a flow's socket. Smaller buffers than asked are no error: the result tells. */
int udp_set_up(struct flow *flow, const struct flow_spec *spec, struct err *err);

/* udp_send.c */
void udp_send_run(struct worker *worker);

/* udp_receive.c */
void udp_receive_run(struct worker *worker);
