/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/hist.h"
#include "model/flow_spec.h"
#include "model/metric.h"

/*
 * What one side saw in one trial, in one direction: a sender's or a receiver's part.
 *
 * units   see metrics.def; intervals count from the start of the side's window
 * owns    hist, intervals, flow_bytes; ended by flow_result_done()
 */
struct flow_interval {
    uint64_t bytes;       /* payload, all flows */
    uint64_t packets;     /* datagrams or transactions; 0 for TCP streams */
    uint64_t retransmits; /* sender of TCP: in this interval, all flows */
    uint64_t rtt_ns;      /* sender of TCP: tcpi_rtt of the first flow at its end; 0 unknown */
    uint64_t cwnd_bytes;  /* sender of TCP: sum over flows at its end; 0 unknown */
};

struct flow_result {
    struct metric_set metrics;
    char congestion_control[FLOW_CC_SIZE]; /* in force; "" when there is none */
    struct hist *rtt; /* owned; NULL when not measured. TCP stream: samples of tcpi_rtt */
    uint64_t interval_ns;
    struct flow_interval *intervals; /* owned */
    uint32_t n_intervals;
    uint64_t *flow_bytes; /* owned; payload of each flow inside the window */
    uint32_t n_flow_bytes;
};

void flow_result_done(struct flow_result *result);
/* A copy of its own; -ENOMEM, then ret_copy is empty. */
int flow_result_copy(const struct flow_result *result, struct flow_result *ret_copy);

/* Parts of a session's result: what this side sent, what it received. RR and echo clients have a sent part only. */
enum flow_part {
    FLOW_SENT,
    FLOW_RECEIVED,
    FLOW_FAR_SENT,     /* of a foreign peer (spec.peer): what it says that it sent, reverse */
    FLOW_FAR_RECEIVED, /* … and received, forward */
    FLOW_PART_COUNT
};
/* "sent", "received", "far_sent", "far_received". */
extern const char *const flow_part_name[FLOW_PART_COUNT];
