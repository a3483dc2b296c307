/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/measure.h"

/*
 * Two sessions, one on each side of a path (with multicast one at each receiver), that are prepared, run trials together,
 * and stopped.
 *
 * owns    session_pair_close() ends what session_pair_open() began, also when that failed half way
 */
enum { PAIR_MAX_PAIRS = 4 }; /* that run trials together */

struct session_pair {
    const struct measure_path *path; /* lent */
    const struct measure_ask *ask;   /* lent */
    const struct measure_watch *watch;
    struct call client_session; /* kept: a session that ends by itself fails here */
    struct call server_session[MEASURE_MAX_RECEIVERS];
    struct peer *server[MEASURE_MAX_RECEIVERS]; /* lent by the path */
    uint32_t n_servers;                         /* 0 none of ours; more than 1 with multicast */
    uint8_t token[FLOW_TOKEN_BYTES];
    uint16_t port;
    uint32_t n_trials;
};

/* Results of one trial: what each side sent and received. */
struct trial_results {
    struct flow_result client[FLOW_PART_COUNT];
    struct flow_result server[MEASURE_MAX_RECEIVERS][FLOW_PART_COUNT];
    bool client_has[FLOW_PART_COUNT];
    bool server_has[MEASURE_MAX_RECEIVERS][FLOW_PART_COUNT];
    struct node_cpus cpu; /* of trials as long as the ask: the machines over the window */
};

int session_pair_open(struct session_pair *pair, const struct measure_path *path,
                      const struct measure_ask *ask, const struct measure_watch *watch,
                      struct err *err);
/*
 * Run a trial of each of n pairs, all from the same start (number and start_ns are filled in here). After an error
 * ret_results holds what all sides had until then, and all have been stopped.
 */
int session_pair_run(struct session_pair *pairs, const struct flow_trial *trials, unsigned n_pairs,
                     struct trial_results *ret_results, struct err *err);
/* A trial as a pair's ask wants it, at a rate and of a length: its warm-up, series and tail. */
struct flow_trial session_pair_trial(const struct session_pair *pair, uint64_t rate_bps,
                                     uint64_t duration_ns);
/* That trial, of one pair. */
int session_pair_measure(struct session_pair *pair, uint64_t rate_bps, uint64_t duration_ns,
                         struct trial_results *ret_results, struct err *err);
/*
 * Add what a trial of a pair brought to the scenario, one measurement a direction and receiver, judged; r is how the trial
 * went, and what is returned unless a measurement brought nothing. searched: what the search found, moved; else NULL.
 * (measure.c)
 */
int measure_add(const struct session_pair *pair, struct trial_results *t,
                const struct measurement *searched, int r, struct scenario_result *scenario,
                struct err *err);
void session_pair_close(struct session_pair *pair);
void trial_results_done(struct trial_results *results);
