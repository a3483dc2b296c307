/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/bpf_load.h"
#include "capture/live.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The two halves of live.h: programs in the kernel, and rings. Everything means what it means there.
 */
struct live_bpf;
/* source is LIVE_TCX or LIVE_CLSACT. */
int live_bpf_open(const struct live_options *options, enum live_source source,
                  struct live_bpf **ret_bpf, struct err *err);
/* For calibration: spots[point][hook] only. */
int live_bpf_open_spots(const struct live_options *options, enum live_source source,
                        bool (*spots)[2], struct live_bpf **ret_bpf, struct err *err);
int live_bpf_detach(struct live_bpf *bpf, struct err *err);
void live_bpf_close(struct live_bpf *bpf);
int live_bpf_stop(struct live_bpf *bpf, struct err *err);
int live_bpf_hops(struct live_bpf *bpf, struct hops *ret_hops, struct err *err);
void live_bpf_points(struct live_bpf *bpf, struct hop_point ret_points[]);

struct live_ring;
/* settle: there may be traffic already; what has passed only some points when all are watched is then of none. */
int live_ring_open(const struct live_options *options, bool settle, struct live_ring **ret_ring,
                   struct err *err);
void live_ring_close(struct live_ring *ring);
int live_ring_read(struct live_ring *ring, uint64_t timeout_ns, unsigned *ret_point,
                   struct seen *ret_seen, unsigned n, uint64_t *ret_heard_ns, struct err *err);
int live_ring_flow(struct live_ring *ring, uint32_t *ret_flow, struct seen_flow *ret_words);
void live_ring_stop(struct live_ring *ring);
void live_ring_points(struct live_ring *ring, struct hop_point ret_points[]);

/*
 * What the maps hold, as hops. Arithmetic only.
 *
 * shape   spots[2 n], pairs[n n] by from * n + to, wholes[n n] the same from the first point on, NULL for two points;
 *         waiting[2 n] packets on their way
 * units   ns of CLOCK_MONOTONIC; wall_offset_ns makes wall clock of them
 * errors  -ENOMEM
 */
struct live_counts {
    unsigned n_points;
    const struct latency_spot *spots;
    const struct latency_pair *pairs, *wholes;
    const uint64_t *waiting;
    int64_t wall_offset_ns;
};
int live_hops_build(const struct live_counts *counts, struct hops *ret_hops, struct err *err);
/* Everything but name and source of a point. */
void live_hops_point(const struct live_counts *counts, unsigned point, struct hop_point *ret_point);
