/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"

/*
 * Hooks open and accept of the protocols over UDP.
 *
 * The client says hello on each flow until it is welcomed, and sends the welcome back. The server has one port: each
 * flow it takes gets a socket of its own on that port, connected to the client (a port told in the welcome would not
 * come through a floating IP). Who does not prove the token is counted as refused and gets no answer.
 *
 * shape   the flows' sockets come out connected and blocking, with the kernel's default buffers and timeouts
 *         a late copy of a hello or a welcome may still arrive on them: ignore each datagram whose first 4 bytes are not
 *         engine->tag (network order)
 */
int udp_open(struct engine *engine, struct err *err);
int udp_accept(struct engine *engine, struct err *err);
