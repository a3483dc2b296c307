/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/node_cpu.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * CPU of the machines, as JSON and, from that JSON, in words.
 *
 * shape   of a run "cpu_nodes": [{node, source, also, baseline_busy_share, …}], of a measurement the same with its numbers
 */
enum { NODE_CPU_JSON_CORES = 64, NODE_CPU_JSON_LINE = 400 };

/* NULL without memory. */
json_t *node_cpu_json(const struct node_cpus *nodes);
json_t *node_cpu_json_run(const struct cpu_nodes *nodes);

/* One machine of a measurement in a line: "node1: 83 % busy (user 5, system 60, softirq 18, steal 0), cpu1 100 %, …". */
void node_cpu_json_line(const json_t *node, char ret[NODE_CPU_JSON_LINE]);
/*
 * One machine of a run in a line, over all measurements of the document: how busy before, on average and at most. k is its
 * place among the run's; false when there is none.
 */
bool node_cpu_json_whole(const json_t *document, size_t k, char ret[NODE_CPU_JSON_LINE]);
