/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "capture/live.h"

#include <stddef.h>
#include <stdint.h>

/*
 * A classic BPF filter in eBPF, to stand in front of a program of the tc hooks: falls through with the context in r1
 * when the frame is taken, and ends the program with -1 ("go on") when it is not. A load beyond the frame means "not
 * taken", as for sockets.
 *
 * shape   ret_insns[BPF_FILTER_ROOM(n)]
 * errors  -EINVAL an instruction that a filter must not have, or an ancillary load other than protocol, packet length and
 *         VLAN; returns how many instructions it became
 * source  net/core/filter.c, bpf_check_classic(), bpf_convert_filter()
 */
enum { BPF_FILTER_AROUND = 16, BPF_FILTER_EACH = 14 };
#define BPF_FILTER_ROOM(n) (BPF_FILTER_AROUND + BPF_FILTER_EACH * (size_t)(n))

int bpf_filter_check(const struct live_insn *filter, unsigned n, struct err *err);
int bpf_filter_translate(const struct live_insn *filter, unsigned n, uint64_t *ret_insns,
                         size_t room, struct err *err);
