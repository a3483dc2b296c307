/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/session_pair.h"

/*
 * How long a stream's warm-up has to be, found by running one: short trials over the very connections that will be measured, until
 * the rate rises no longer.
 *
 * units   ns; rates of any unit, as long as it is the same one
 */
enum { WARMUP_MAX_PILOTS = 32 };

struct warmup {
    double rate[WARMUP_MAX_PILOTS]; /* of the pilots so far */
    unsigned n_pilots;
};

/* The rate of one more pilot: true when the last two were no more than 3 % above the best before them. */
bool warmup_settled(struct warmup *w, double rate);

/*
 * Run pilots on a pair that is open. ret_ns: how long they lasted together; ret_settled: false, the rate still rose after
 * WARMUP_MAX_PILOTS of them.
 *
 * errors  of session_pair_run(); nothing of a pilot is kept
 */
int warmup_find(struct session_pair *pair, uint64_t *ret_ns, bool *ret_settled, struct err *err);
