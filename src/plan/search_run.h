/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "plan/session_pair.h"

/*
 * Run a rate search in a pair of sessions: rate_search.c says which rate comes next, this does the trials and writes
 * them down. A test of up to 1 s is its own confirming trial; longer ones are confirmed in half a second first, so
 * that a wrong guess does not cost the whole length. What is repeated takes half a second.
 *
 * Each further target is confirmed by a trial of half a second, or as long as it takes to send 3 / target datagrams
 * (none of so many lost: the share is below the target, at 95 %); by that of the target before when the rate is the
 * same. When none holds in time, it has the answer of the target before, whose loss is smaller still.
 *
 * The loss of an answer lies at or below its target, so a target of 5 % gives what VMTP's search for 2 to 5 % gives,
 * on a path that loses gradually, and on one that does not what it carries without.
 *
 * shape   m->search, m->limit (LIMIT_SENDER or LIMIT_PATH), m->warning when the sender was disturbed; t: the trial of
 *         the first target, whose numbers are reported
 * owns    t: ended by the caller, also after an error
 */
int search_run(struct session_pair *pair, struct measurement *m, struct trial_results *t,
               struct err *err);
