/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A program at a hook of an interface by the older way: a clsact qdisc and a filter of kind bpf, over netlink. Both
 * calls are made in the interface's namespace.
 *
 * errors  -EPERM needs CAP_NET_ADMIN; -EOPNOTSUPP, -ENOENT the kernel has neither clsact nor cls_bpf
 * source  linux/pkt_sched.h, linux/pkt_cls.h; net/sched/cls_bpf.c
 */
struct bpf_tc {
    uint32_t ifindex;
    uint32_t parent, info, handle; /* as the kernel gave them */
    bool made_qdisc;               /* by us: it goes with the filter */
};

int bpf_tc_attach(uint32_t ifindex, bool egress, int program, struct bpf_tc *ret_tc,
                  struct err *err);
/* What is gone already is no error. The qdisc is taken away when it was ours and holds no filter of others. */
int bpf_tc_detach(const struct bpf_tc *tc, struct err *err);
