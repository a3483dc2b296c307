/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cmd/options.h"
#include "cmd/output.h"
#include "cmd/settings.h"
#include "plan/pair_run.h"
#include "plan/run_options.h"

/*
 * The flags of `test`: over their defaults, from argv, to what is to be measured.
 *
 * units   ns, bit/s, bytes, shares
 */
struct test_flags {
    struct output_options output; /* first: OUTPUT_ROWS write there */
    struct settings settings;     /* ended by settings_done() */
    struct pair_options pair;
    bool tcp, udp, icmp, rr, udp_rr, crr, stamp, multicast, under_load;
    bool bidir, reverse, quick, no_save, nodelay, imix, spin, gap_set;
    bool loss_set;
    bool warmup_find; /* --warmup auto */
    uint64_t time_ns, bandwidth_bps, gap_ns, icmp_gap_ns, warmup_ns, interval_ns;
    double loss_target[MEASURE_MAX_TARGETS];
    uint32_t n_loss_targets;
    uint32_t n_flows, rr_bytes, mss_bytes, window_bytes, dscp, gso;
    enum flow_io io;
    uint32_t pin, pin_server; /* as in struct flow_spec */
    char bind[FLOW_ADDRESS_SIZE];
    uint16_t port, port_last;
    struct run_sizes tcp_sizes, udp_sizes, icmp_sizes;
    char cc[FLOW_CC_SIZE];
    char description[200];
};

extern const struct option_row test_flags_rows[];

void test_flags_default(struct test_flags *flags);
/* Defaults, argv, checks; fills pair with the endpoints and the asks. OPTIONS_GO_ON or the exit code. */
int test_flags_parse(const struct command *command, int argc, char **argv,
                     struct test_flags *ret_flags);
