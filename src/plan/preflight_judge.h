/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/preflight.h"

/*
 * What both sides saw of a knock, to a sentence that names who, whom, the port and where it fails. No I/O.
 *
 * heard   what came to the door; NULL unknown
 * alone   no other knock at that door was silent, so that a half connection there is this one's
 */
void preflight_judge_knock(struct preflight_knock *knock, uint16_t port,
                           const struct probe_answer *answer, const struct probe_heard *heard,
                           uint32_t number, bool alone);

/* The door could not be opened, with a positive errno. */
void preflight_judge_door(struct preflight_knock *knock, int error);
