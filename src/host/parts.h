/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/host.h"
#include "host/netlink.h"

/*
 * What host_facts_asked() is made of: one question each, which may hang. facts has what earlier ones told.
 */
typedef void host_step_fn(const struct host_ask *ask, struct facts *facts);

host_step_fn kernel_step_names, kernel_step_distribution, kernel_step_virtual;
host_step_fn privilege_step;
host_step_fn cpu_step_info, cpu_step_governor, cpu_step_numa, cpu_step_memory;
host_step_fn address_step;
/* nic_step_choose comes before the others of the interface. */
host_step_fn nic_step_choose, nic_step_link, nic_step_qdisc;
host_step_fn nic_step_driver, nic_step_speed, nic_step_channels, nic_step_rings, nic_step_coalesce,
    nic_step_offloads;
host_step_fn nic_step_device, nic_step_queues, nic_step_irqs, nic_step_lower;
host_step_fn timekeeping_step_kernel, timekeeping_step_daemons, timekeeping_step_chrony;
/* All of a table of this namespace. type is RTM_GETLINK and its like, head its fixed part. */
int nic_dump(unsigned type, const void *head, size_t size, netlink_each *each, void *arg);
/* Of host_ask.node alone. */
host_step_fn node_step_packages, node_step_agent, node_step_ovs, node_step_chronyc;

/* The fact of a row that is a file; nothing of another. */
void kernel_row(const struct fact_row *row, struct facts *facts);

/* ---- gathering ---- */

struct host_step {
    host_step_fn *call; /* NULL: kernel_row() of the key's row */
    const char *key;    /* what is missing when there was no answer */
    unsigned wait_ms;   /* without an answer it is given up */
};

/*
 * Take the steps one after the other in a child. One that hangs, or that the child dies of, costs its own facts: another
 * child goes on behind it. What has no time any more is missing too.
 */
void host_gather(const struct host_step *steps, unsigned n_steps, const struct host_ask *ask,
                 unsigned all_ms, struct facts *facts);
