/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "monitor/monitor.h"
#include "plan/peer.h"

#include <stdint.h>

/*
 * CPU of the machines while something is measured: by an agent on each machine, where several agents may share one (they are
 * asked for its number, and one of them speaks for all), and by monitors. It never fails a measurement, and does not change
 * how long one takes.
 */
struct node_cpu_options {
    struct monitor_spec monitors[MONITOR_MAX];
    uint32_t n_monitors;
};

struct node_cpu_watch;

/*
 * Look for the machines of a set's agents, and at how busy they are while nothing is measured, for baseline_ns. The set
 * refers to it from then on, until node_cpu_close(). on_talk (may be NULL) hears once of each monitor that does not answer.
 *
 * owns    run->cpu_nodes is filled in; run and options are lent until the close
 */
void node_cpu_open(struct peer_set *set, const struct node_cpu_options *options,
                   uint64_t baseline_ns, struct run_result *run,
                   void (*on_talk)(void *arg, const char *text), void *arg);
/* How long to look before tests of that length: a tenth of them, at most half a second. */
uint64_t node_cpu_baseline(uint64_t duration_ns);
/* A window is to come, by our CLOCK_MONOTONIC. Without an open one nothing happens, here and below. */
void node_cpu_begin(struct peer_set *set, uint64_t start_ns, uint64_t duration_ns);
/* The window is over: what was seen. bytes: payload that streams brought in it. */
void node_cpu_end(struct peer_set *set, uint64_t bytes, struct node_cpus *ret_nodes);
/* The window was cut short: nothing is asked for. */
void node_cpu_drop(struct peer_set *set);
void node_cpu_close(struct peer_set *set);
