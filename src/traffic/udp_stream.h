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
