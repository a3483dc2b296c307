/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/measure.h"

/*
 * Latency under load: a probe alone, then beside streams forward, reverse and both ways.
 *
 * Each phase runs probe and stream from one start with windows that are the same; the stream begins with the warm-up before
 * the window and goes on until every request of the window has been answered or given up. The stream's direction is the
 * phase's.
 *
 * errors  as measure(); the phases after one that failed are not run, what it brought is kept
 */
enum { UNDER_LOAD_PHASES = 4 };

int under_load_measure(const struct measure_path *path, const struct measure_ask *probe,
                       const struct measure_ask *stream, const struct measure_watch *watch,
                       struct scenario_result *scenario, struct err *err);

/* A warm-up in which queues fill: half the duration, at most 1 s. */
uint64_t under_load_warmup(uint64_t duration_ns);

/* About how long all phases take. */
uint64_t under_load_plan_ns(const struct measure_ask *probe);

/*
 * Write how far the percentiles of each loaded phase lie above the idle phase's (METRIC_rise_p50_ns and its sisters) into
 * its probe's headline; what the idle phase lacks has no rise.
 *
 * With two clocks the headline's one-way delays of each loaded phase are told anew by the idle phase's clock_ahead_ns and
 * clock_drift_share, as its round trips had no queue to wait in. A one-way rise that this does not tell within a tenth is left
 * out: where the clocks went another way meanwhile (a delay would be negative), or a phase does not say what its offset
 * was and has a clock_error_ns as large.
 */
void under_load_rise(struct scenario_result *scenario);
