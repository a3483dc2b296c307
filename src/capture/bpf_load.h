/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "capture/latency_shared.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The maps and programs of latency.bpf.c in the kernel: one program a spot (hook of a point), all with the same maps.
 *
 * errors  -EPERM, -EINVAL … as bpf_sys.h; -EOPNOTSUPP built without clang, so there are no programs
 * owns    bpf_load_done() closes all; takes zeroed and half-made ones
 */
struct bpf_load_options {
    unsigned n_points;
    bool nat;
    bool raw[LATENCY_MAX_POINTS];      /* no Ethernet header */
    bool spots[LATENCY_MAX_POINTS][2]; /* which to load; calibration wants one hook */
    uint8_t protocol;
    uint16_t port;
    uint64_t window_ns;
    const uint64_t *filter; /* lent; eBPF, bpf_filter.h; NULL all */
    size_t n_filter;
};

struct bpf_load {
    bool ready;
    unsigned n_points, n_cpus;
    int maps[LATENCY_MAP_COUNT];
    int programs[LATENCY_MAX_POINTS][2]; /* -1 not asked for */
};

bool bpf_load_built(void);
int bpf_load(const struct bpf_load_options *options, struct bpf_load *ret_load, struct err *err);
void bpf_load_done(struct bpf_load *load);
/*
 * What is first seen between the two counts; ns of CLOCK_MONOTONIC. Programs remember what passes from when they are attached, so what was
 * on its way at the start is known; until early_until_ns that is not certain.
 */
int bpf_load_span(const struct bpf_load *load, uint64_t start_ns, uint64_t stop_ns,
                  uint64_t early_until_ns, struct err *err);
/* All CPUs together. */
int bpf_load_spot(const struct bpf_load *load, unsigned spot, struct latency_spot *ret_spot);
/* Of pair number i (from * n + to, and so many later the wholes); count 0 when there was none. */
int bpf_load_pair(const struct bpf_load *load, unsigned i, struct latency_pair *ret_pair);
/*
 * Packets of each spot that nobody has seen since and that are younger than so much: on their way, and not lost.
 *
 * shape   ret_waiting[spot] by the last point that saw them
 */
int bpf_load_waiting(const struct bpf_load *load, uint64_t younger_ns,
                     uint64_t ret_waiting[2 * LATENCY_MAX_POINTS]);
