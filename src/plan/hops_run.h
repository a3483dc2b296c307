/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "model/hop.h"
#include "plan/hop_watch.h"
#include "plan/pair_run.h"

/*
 * Hops of points that are there already: start an agent on each machine that has some, let traffic pass (ours from one
 * endpoint to another, that of a command, or whatever comes by), and tell what was seen.
 */
enum { HOPS_MAX_SOURCES = 16 };

struct hops_at {
    struct endpoint_text machine; /* ENDPOINT_LOCAL, ENDPOINT_SSH or ENDPOINT_EXEC */
    char machine_text[256];
    struct live_point point;
};

struct hops_options {
    struct hops_at at[HOP_MAX_POINTS]; /* in the order of the way, or learnt */
    unsigned n_at;
    bool path;     /* found between pair.from and pair.to instead */
    bool has_pair; /* FROM and TO are given */
    bool traffic;  /* of our own: pair.asks[0] */
    struct pair_options pair;
    char source_command[512]; /* run at the sources; "" none */
    struct endpoint_text sources[HOPS_MAX_SOURCES];
    const char *source_text[HOPS_MAX_SOURCES]; /* lent */
    unsigned n_sources;
    uint64_t for_ns; /* whatever passes meanwhile; of a command: the most that it may take */
    struct live_options live; /* what all machines are asked; without points */
    bool calibrate;
};

/*
 * ret_hops holds what was measured so far, also when it ended early. run gets nodes, and the traffic's measurement in its one
 * scenario; without FROM and TO it has none.
 *
 * owns    ret_hops: hops_done() by the caller
 * returns as pair_run(): PAIR_ENVIRONMENT an agent, a point or the instrument could not be had
 */
enum pair_end hops_run(const struct hops_options *options, const struct hop_sink *sink,
                       int interrupt_fd, const struct measure_watch *watch, struct run_result *run,
                       struct hops *ret_hops, struct err *err);
