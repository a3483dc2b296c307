/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deploy/driver.h"
#include "deploy/ledger.h"
#include "model/measurement.h"
#include "plan/hop_watch.h"
#include "plan/run_options.h"
#include "plan/steps.h"

/*
 * Do the steps; undo them in reverse, whatever happened. A resource or agent that fails takes the scenarios that need
 * it with it and no others.
 */
struct runner_hooks {
    void *arg;
    /* The k-th scenario (1 …) begins, each time that it is repeated; it should take about plan_ns. */
    void (*on_begin)(void *arg, unsigned k, const struct scenario_result *scenario,
                     uint64_t plan_ns);
    void (*on_interval)(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                        double per_s);
    /* It has ended: save. */
    void (*on_scenario)(void *arg, const struct scenario_result *scenario);
    void (*on_talk)(void *arg, const char *text);
    const struct hop_sink
        *hop_sink; /* lent; where packets go that no kernel pairs; needed with options->hops */
};

/* How a run ended; the scenarios' own results stand in the run_result. */
enum runner_end {
    RUNNER_DONE,        /* all steps were tried */
    RUNNER_ENVIRONMENT, /* the world could not be made */
    RUNNER_UNREACHABLE, /* none of the scenarios has hosts, or a data port, that are reached */
    RUNNER_STOPPED,     /* --stop-on-error */
    RUNNER_INTERRUPTED, /* interrupt_fd became readable */
};

/*
 * owns    run: its scenarios and nodes are filled in; ledger may be NULL (then nothing is written down)
 */
enum runner_end runner_run(const struct run_options *options, const struct driver *driver,
                           struct ledger *ledger, int interrupt_fd,
                           const struct runner_hooks *hooks, struct run_result *run);
