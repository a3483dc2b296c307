/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/facts.h"

/*
 * Facts of the machine (and network namespace) this process runs in. What cannot be had is left out.
 *
 * source  named at each function
 */

/* model, count, governor, virtualisation, memory: /proc/cpuinfo, sched_getaffinity(2), /sys/devices/system/cpu, /proc/meminfo */
void cpu_facts(struct facts *facts);
/* kernel, distribution, clock source, TCP and socket settings: uname(2), /etc/os-release, /proc/sys */
void kernel_facts(struct facts *facts);
/* the interface that carries the default route, else the first that is up: name, driver, MTU, speed, offloads, MAC */
void nic_facts(struct facts *facts);

/* addresses and addresses_v6: "ADDRESS/PREFIX" of every interface that is up, blanks between; no loopback, no link-local */
void address_facts(struct facts *facts);

/* user_id and capabilities: "net_raw net_admin …" of this process, of those that measuring may need, or "none": capget(2) */
void privilege_facts(struct facts *facts);

/* All of the above. */
void host_facts(struct facts *facts);

/* First line of a small file without its newline; -errno. */
int host_read_line(const char *path, char *ret, int size);
