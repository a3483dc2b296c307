/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"

/*
 * Hooks open and accept of the protocols over TCP: connect or listen, prove the token both ways.
 *
 * shape   the flows' sockets come out blocking; flow->connect_ns is set at the client
 */
int tcp_open(struct engine *engine, struct err *err);
int tcp_accept(struct engine *engine, struct err *err);
