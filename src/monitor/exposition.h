/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/node_cpu.h"

#include <stddef.h>

/*
 * CPU counters out of what a Prometheus node exporter says: node_cpu_seconds_total{cpu="0",mode="user"}, of exporters before
 * 0.16 node_cpu{cpu="cpu0",…}. All else of the text is passed over.
 *
 * errors  -EBADMSG a line of these that is none, twice the same, or the text is cut off; -ENODATA there is none of them
 * owns    ret_cpus: ended with core_cpus_done()
 * source  Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats); modes as in /proc/stat
 */
int exposition_parse(const char *text, size_t n, struct core_cpus *ret_cpus, struct err *err);
