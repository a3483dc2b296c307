/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "interop/foreign_flow.h"

/*
 * The two halves of foreign_udp: bodies of its workers, see struct endpoint_ops.
 *
 * shape   engine->arg is a struct foreign_side; each worker has several flows
 * errors  by worker_fail()
 * owns    their buffers, until they return
 */
void foreign_udp_ask(struct worker *worker);
void foreign_udp_answer(struct worker *worker);

/*
 * A receiver's trial is over, and the peer's results are here: it sends no more. What it sent after our worker had stopped
 * reading, as it was slow to hear of the end, waits in the socket: no bytes of the window, and not lost either.
 */
void foreign_udp_take_late(enum foreign_form form, int fd, struct foreign_flow *flow);
