/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "plan/session_pair.h"

/*
 * Run a rate search in a pair of sessions: rate_search.c says which rate comes next, this does the trials and writes them
 * down. A test of up to 1 s is its own confirming trial; longer ones are confirmed in half a second first, so that a wrong
 * guess does not cost the whole length.
 *
 * shape   m->search, m->limit (LIMIT_SENDER or LIMIT_PATH); t: the trial whose numbers are reported
 * owns    t: ended by the caller, also after an error
 */
int search_run(struct session_pair *pair, struct measurement *m, struct trial_results *t,
               struct err *err);
