/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "plan/pair_run.h"
#include "plan/peer.h"

/*
 * The facts of a run's machines, asked of their agents all at once: before the measuring, when data addresses are known, and
 * after it. Facts are told beside results and never instead: an agent that does not answer keeps what it said before, and
 * nothing here is a run's error.
 *
 * A node of the run and its agent have one name; of several of one name the k-th is the k-th.
 */
enum { FACT_ROUND_MAX_ASKS = 8 };

/* Machines that are only asked: --controller-node, --node. */
struct fact_ask {
    struct resource_there there; /* its password is owned */
    char text[64];               /* what it is called, without its password */
    enum node_role role;
};

struct run_options;

struct fact_asks {
    struct fact_ask ask[FACT_ROUND_MAX_ASKS];
    uint32_t n;
};

/* Wipes the passwords. Takes a zeroed one. */
void fact_asks_done(struct fact_asks *asks);

typedef void fact_round_talk(void *arg, const char *text);

/* One more machine whose agent is in the set already: a node, or a VM of one. */
void fact_round_machine(struct run_result *run, const struct peer *peer, bool node_of_run,
                        const char *address);

/*
 * Start an agent on each machine that is to be asked, and ask all of the run. One that is not
 * reached is in the run with the reason, and told of. errors: -ECANCELED a signal came
 */
int fact_round_begin(const struct run_options *options, struct peer_set *set,
                     struct run_result *run, fact_round_talk *talk, void *arg);

/* The data address of the k-th machine of that name. */
void fact_round_address(struct run_result *run, const char *name, unsigned k, const char *address);

/* Ask all of them. errors: -ECANCELED a signal came */
int fact_round_before(struct peer_set *set, struct run_result *run);
/* Ask again, and note what is different. */
int fact_round_after(struct peer_set *set, struct run_result *run);
