/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/node_cpu.h"
#include "wire/line.h"

#include <stddef.h>

/*
 * Lines and blobs ↔ what an agent is asked about its machine's CPU, and what it says.
 *
 * units   start_ns is the agent's CLOCK_MONOTONIC
 */
struct cpu_ask {
    uint64_t start_ns;
    uint64_t duration_ns; /* 0: what passed since the machine started */
    uint64_t sample_ns;   /* of the stretches of which the busiest is told; 0 one, all of it */
};
enum { CPU_ASK_MAX_SAMPLES = 100000 };

void cpu_message_put_ask(struct line_out *out, const struct cpu_ask *ask);
int cpu_message_get_ask(const struct line *line, struct cpu_ask *ret_ask, struct err *err);

/*
 * The answer: cores, busiest stretch, number of stretches, time covered.
 *
 * owns    ret_blob: freed by the caller; ret_node: ended by the caller on success
 */
void cpu_message_put(struct line_out *out, const struct node_cpu *node);
int cpu_message_pack(const struct core_cpus *cpus, uint8_t **ret_blob, size_t *ret_n,
                     struct err *err);
int cpu_message_get(const struct line *line, const uint8_t *blob, size_t n_blob,
                    struct node_cpu *ret_node, struct err *err);
