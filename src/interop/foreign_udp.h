/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "interop/foreign_flow.h"

/* The two halves of foreign_udp: bodies of its workers, see struct endpoint_ops. */
void foreign_udp_ask(struct worker *worker);
void foreign_udp_answer(struct worker *worker);
