/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * bpf(2) as the agent needs it: maps, programs, tcx links. Numbers that older headers lack are here.
 *
 * errors  negative errno of the call; -EPERM has a sentence that names the capability
 * owns    descriptors are the caller's, close(2)
 * source  include/uapi/linux/bpf.h of Linux 6.6
 */
enum { BPF_SYS_TCX_INGRESS = 46, BPF_SYS_TCX_EGRESS = 47 };
enum bpf_sys_map_type { BPF_SYS_ARRAY = 2, BPF_SYS_PERCPU_ARRAY = 6 };

int bpf_sys_map(enum bpf_sys_map_type type, uint32_t value_size, uint32_t n, const char *name,
                struct err *err);
int bpf_sys_lookup(int map, uint32_t key, void *ret_value);
int bpf_sys_update(int map, uint32_t key, const void *value);
/* A program at the tc hooks, of n 8-byte instructions. -EACCES, -EINVAL: with the verifier's last words. */
int bpf_sys_load(const uint64_t *insns, size_t n, const char *name, struct err *err);
/* -EINVAL, -EBADF: this kernel has no tcx. */
int bpf_sys_link(int program, uint32_t ifindex, uint32_t attach_type);
/* Places that a per-CPU value has: as many as the machine may ever have CPUs. */
int bpf_sys_cpus(void);
