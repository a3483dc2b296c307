/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/measure.h"

/*
 * Two sessions, one on each side of a path, that are prepared, run trials together, and stopped.
 *
 * owns    session_pair_close() ends what session_pair_open() began, also when that failed half way
 */
struct session_pair {
    const struct measure_path *path; /* lent */
    const struct measure_ask *ask;   /* lent */
    const struct measure_watch *watch;
    struct call server_session, client_session; /* kept: a session that ends by itself fails here */
    uint16_t port;
    uint32_t n_trials;
};

/* Results of one trial: what each side sent and received. */
struct trial_results {
    struct flow_result client[FLOW_PART_COUNT];
    struct flow_result server[FLOW_PART_COUNT];
    bool client_has[FLOW_PART_COUNT];
    bool server_has[FLOW_PART_COUNT];
};

int session_pair_open(struct session_pair *pair, const struct measure_path *path,
                      const struct measure_ask *ask, const struct measure_watch *watch,
                      struct err *err);
/* Run a trial (number and start_ns are filled in here). After an error ret_results holds what both sides had until then. */
int session_pair_run(struct session_pair *pair, struct flow_trial trial,
                     struct trial_results *ret_results, struct err *err);
/* A trial as the pair's ask wants it, at a rate and of a length: its warm-up, series and tail. */
int session_pair_measure(struct session_pair *pair, uint64_t rate_bps, uint64_t duration_ns,
                         struct trial_results *ret_results, struct err *err);
void session_pair_close(struct session_pair *pair);
void trial_results_done(struct trial_results *results);
