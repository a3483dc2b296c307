/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"

/* Threads of an engine: each runs a protocol's hook over its flows. */

/* Start it; 0 or a negative errno. Each one that was started has to be joined. */
int worker_start(struct worker *worker);
void worker_join(struct worker *worker);

/* CPUs that this process may run on. */
uint32_t worker_cpus(void);
