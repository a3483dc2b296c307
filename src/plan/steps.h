/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/measure.h"
#include "plan/run_options.h"
#include "plan/scenario.h"

/*
 * A run's options to what is to be done, in order. No I/O: `vnperf plan` prints it, runner.c does it.
 */
enum step_kind { STEP_CREATE, STEP_AGENT, STEP_SCENARIO };

struct step {
    enum step_kind kind;
    const struct resource *resource; /* create; agent: where it runs */
    unsigned scenario;               /* index into steps.scenario */
};

/* At most so many resources; there are fewer to make than there may be places. */
enum { STEPS_RESOURCES = PLACES_MAX };

struct steps {
    struct step step[2 * STEPS_RESOURCES + SCENARIO_COUNT];
    unsigned n_steps;
    bool there; /* the ends are places of the options: nothing has to be made */
    struct scenario scenario[SCENARIO_COUNT]; /* rows of the table with their ends in this run */
    const char *skip[SCENARIO_COUNT];         /* why a scenario is left out; NULL: it is done */
    unsigned n_scenarios;                     /* rows that the run is about */
    bool chosen[SCENARIO_COUNT]; /* false: left out because the user did not choose it */
};

/* Names in it are lent by options. */
void steps_make(const struct run_options *options, struct steps *ret_steps);

/*
 * Of places between which nothing can be measured: -EINVAL, with the reasons of what was asked for. Where things are made there
 * is always something, or the user has chosen nothing.
 */
int steps_check(const struct steps *steps, struct err *err);

/* Does a scenario of these steps need the resource? */
bool steps_needs(const struct steps *steps, const struct scenario *scenario,
                 const struct resource *resource);

/* The measurements of a scenario, at most max. Returns how many. */
enum { STEPS_MAX_ASKS = RUN_MAX_SIZES + 1 };
unsigned steps_asks(const struct run_options *options, const struct scenario *scenario,
                    struct measure_ask ret_asks[STEPS_MAX_ASKS]);

/*
 * Does the scenario measure latency under load? Then ret_asks is the probe, by STAMP, and the stream, which is the first of
 * its asks.
 */
bool steps_under_load(const struct run_options *options, const struct scenario *scenario,
                      struct measure_ask ret_asks[2]);

/* Does the scenario say where on its path the time goes? Then ret_ask is the requests that are followed there. */
bool steps_hops(const struct run_options *options, const struct scenario *scenario,
                struct measure_ask *ret_ask);

/* About how long a scenario takes. */
uint64_t steps_scenario_ns(const struct run_options *options, const struct scenario *scenario);
