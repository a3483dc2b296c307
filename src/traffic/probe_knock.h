/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/probe.h"

/*
 * Knock at doors (probe_doors.h), all at once, and say what came of each: at the latest when knocks->wait_ns is over. A
 * blocking call. What is refused is known at once; a hello or a SYN that got lost is repeated several times.
 *
 * errors  -ENOMEM; what goes wrong with a knock is that knock's answer
 */
int probe_knock_all(const struct probe_knocks *knocks,
                    struct probe_answer ret_answers[PROBE_MAX_KNOCKS], struct err *err);
