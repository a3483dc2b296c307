/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cmd/options.h"
#include "cmd/output.h"
#include "plan/hops_run.h"

/*
 * What `vnperf hops` is asked.
 */
enum hops_traffic { HOPS_NO_TRAFFIC, HOPS_TCP, HOPS_UDP, HOPS_ICMP, HOPS_SYN };

struct hops_flags {
    struct output_options output; /* first: output's rows point into it */
    struct hops_options hops;
    enum hops_traffic traffic;
    uint64_t rate_bps, gap_ns, count;
    uint32_t size_bytes;
    bool gap_set;
    uint16_t port;
    char filter[1024];
    bool learn_order, no_calibration, per_flow;
    uint64_t interval_ns;
};

extern const struct option_row hops_flags_rows[];

/* "pif:eth0", "netns:vm1/eth0", "ssh://[user@]host[:port]/eth0", "exec:COMMAND/eth0" */
int hops_flags_point(const char *text, struct hops_at *ret_at, struct err *err);

/* Returns OPTIONS_GO_ON, or the exit code to end with: mistakes have been said on stderr. */
int hops_flags_parse(const struct command *command, int argc, char **argv,
                     struct hops_flags *ret_flags);
