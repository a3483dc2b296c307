/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * CPU time of the whole machine since it started, sum of its CPUs.
 *
 * units   ns, in steps of USER_HZ (10 ms)
 * source  /proc/stat, proc(5); guest time is part of user there
 */
struct machine_cpu {
    uint64_t user_ns, system_ns, softirq_ns, steal_ns, idle_ns;
    uint32_t n_cpus;
};

/* 0 or -errno. */
int machine_cpu_read(struct machine_cpu *ret_cpu);
