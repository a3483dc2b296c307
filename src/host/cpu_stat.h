/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/node_cpu.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * CPU time of each core since the machine started. A container sees its host's, unless something like lxcfs shows it another.
 *
 * units   ns, in steps of USER_HZ (10 ms)
 * errors  -EBADMSG there is no line of a core; -ENOMEM
 * owns    ret_cpus: ended with core_cpus_done()
 * source  /proc/stat, proc(5): user nice system idle iowait irq softirq steal; the last three came one by one
 */
int cpu_stat_read(struct core_cpus *ret_cpus, struct err *err);
/* The same from the file's text; a tick is so many ns. */
int cpu_stat_parse(const char *text, uint64_t tick_ns, struct core_cpus *ret_cpus, struct err *err);

/* A number that all processes of one machine share, and no other machine but by chance; false when it is not known. */
bool cpu_stat_machine(uint64_t *ret_machine);
