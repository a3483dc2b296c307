/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/flow_spec.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Data ports: which of a range is taken, and how many a test uses. No I/O: the trying is the caller's.
 */

/* What try says of a port: -EADDRINUSE it is somebody else's, anything else is the answer. */
typedef int ports_try_fn(void *arg, uint16_t port);

/*
 * The first port from first to last (0: first alone) that is not taken. first 0 leaves the choice to try, which is asked once.
 *
 * errors  -EADDRINUSE all are taken; else what try answered
 */
int ports_choose(uint16_t first, uint16_t last, ports_try_fn *try, void *arg);

enum { PORTS_TEXT_SIZE = 32 };
/* "port 5001", "ports 5001 to 5031" */
void ports_say(uint16_t first, uint16_t last, char ret[PORTS_TEXT_SIZE]);

enum ports_protocol { PORTS_NONE, PORTS_TCP, PORTS_UDP, PORTS_PROTOCOL_COUNT };
/* Which port a kind's client connects to; PORTS_NONE: ICMP has none, a group answers nobody. */
enum ports_protocol ports_of(enum flow_kind kind);
