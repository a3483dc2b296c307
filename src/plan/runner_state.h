/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/peer.h"
#include "plan/runner.h"

/*
 * A run as runner.c and runner_way.c have it between them.
 */

/* A resource as it stands. */
struct staged {
    const struct resource *resource;
    struct placed placed;
    bool tried;       /* create was called: destroy it */
    bool unreachable; /* a host that is not reached, or not entered */
    char broken[320]; /* why it cannot be used; "" it can */
    char text[LEDGER_TEXT_SIZE];
};

struct runner {
    const struct run_options *options;
    const struct driver *driver;
    const struct runner_hooks *hooks;
    struct driver_state *state; /* owned */
    struct ledger *ledger;      /* lent */
    struct run_result *run;     /* lent */
    struct peer_set peers;
    struct staged staged[STEPS_RESOURCES]; /* in the order of making */
    unsigned n_staged;
    struct steps steps;
    unsigned n_begun;
    unsigned n_measured;        /* times that a scenario's path stood */
    bool done[SCENARIO_COUNT];  /* needs no further round */
    bool begun[SCENARIO_COUNT]; /* was tried in a round */
    struct err
        *blocked; /* owned; of each scenario: which port is not reached; NULL not looked for */
    bool interrupted;
};

/* The resource of that name, or NULL. */
struct staged *runner_staged(struct runner *r, const char *name);
/* The path of a scenario; a broken thing on it is the error. */
int runner_path(struct runner *r, const struct scenario *scenario, struct scenario_result *result,
                struct measure_path *ret_path, struct err *err);

/*
 * Where the time goes on a scenario's path. In the lab all namespaces are on this machine; of what is there already only
 * the namespaces of this machine are known, and else the two ends. The scenario's own numbers stand also without: only an
 * interruption ends it.
 */
int runner_hops(struct runner *r, const struct scenario *scenario, const struct measure_path *path,
                const struct measure_ask *ask, struct scenario_result *result, struct err *err);
/* Who reaches which port, all together before the first test; the scenarios of what is not reached will fail with it. */
int runner_preflight(struct runner *r, struct err *err);
