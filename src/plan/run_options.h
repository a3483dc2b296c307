/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/flow_spec.h"
#include "plan/fact_round.h"
#include "plan/measure.h"
#include "plan/node_cpu.h"
#include "plan/places.h"
#include "plan/repeat.h"
#include "plan/scenario.h"
#include "plan/tool_run.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a run is asked to do. Filled by cmd/ from flags over run_options_default().
 *
 * units   ns, bit/s, bytes
 */
enum { RUN_MAX_SIZES = 16 };

struct run_sizes {
    uint32_t size[RUN_MAX_SIZES];
    uint32_t n;
};

struct run_options {
    char driver[16];
    struct places
        places; /* what is there already, and is measured; its names are lent to steps. None: it is made */
    enum remote_host_keys host_keys; /* of SSH */
    char ssh_config[256];            /* read instead of the user's own; "" that */
    char known_hosts[256];           /* the only file of known hosts that counts; "" theirs */
    bool become;                     /* agents of hosts run as root, by sudo */
    char agent_there[256];           /* the agent as hosts have it; "" agent is put there */
    uint64_t time_ns;
    bool protocols[PROTOCOL_COUNT];
    struct run_sizes tcp, udp, icmp;
    uint32_t rr_bytes;      /* request and response; UDP at least FLOW_UDP_HEADER */
    uint64_t bandwidth_bps; /* 0: TCP as fast as it goes, UDP is searched */
    bool imix;              /* UDP: the mix instead of udp's sizes */
    double loss_target[MEASURE_MAX_TARGETS];
    uint32_t n_loss_targets;
    bool warmup_find;   /* of TCP streams: found by pilots */
    uint64_t warmup_ns; /* UINT64_MAX: what fits, measure_warmup() */
    uint32_t n_flows;
    enum flow_io io;
    uint32_t pin, pin_server; /* as in struct flow_spec */
    uint32_t mss_bytes, window_bytes, dscp;
    uint32_t gso; /* 0 as many as fit */
    bool nodelay, spin;
    struct repeat_options repeat;
    struct node_cpu_options cpu;
    bool under_load; /* TCP scenarios: latency beside streams, too */
    bool hops;       /* scenarios between VMs: where on the path the time goes, too */
    enum tool tool;  /* what measures TCP and UDP streams; TOOL_NONE we do */
    char cc[FLOW_CC_SIZE];
    uint16_t port, port_last;
    bool no_preflight; /* the ports are not tried before the tests */
    bool ipv6;
    char group[FLOW_ADDRESS_SIZE]; /* of multicast; "" scenario_group() */
    bool inter_node_only, same_network_only, stop_on_error;
    char scenarios[256]; /* patterns; "" all */
    char description[200];
    char agent[256];            /* path of the agent program */
    int32_t nice;               /* of the agents, where it is allowed; 0 as they are */
    struct fact_asks fact_asks; /* machines that only tell their facts */
};

void run_options_default(struct run_options *options);
/* Wipes the logins of places. */
void run_options_done(struct run_options *options);
/* --quick: tests of 1 s. */
void run_options_quick(struct run_options *options);
/* What the options say of a flow of that kind and size. */
struct flow_spec run_options_spec(const struct run_options *options, enum flow_kind kind,
                                  uint32_t payload_bytes);
/* What does not go together, or cannot be: -EINVAL with a sentence. */
int run_options_check(const struct run_options *options, struct err *err);
