/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "plan/peer.h"

/*
 * One measurement between two agents: prepare both, start both at one time, take both results, say what was the limit.
 *
 * errors  of peer.h; -ENODATA nothing arrived; a measurement that failed half way is returned too, its error set
 */
struct measure_path {
    struct peer_set *set;
    struct peer *client;             /* opens the connections */
    struct peer *server;             /* NULL for ICMP: the far end's kernel answers */
    char address[FLOW_ADDRESS_SIZE]; /* of the server, as the client reaches it */
    bool same_machine;               /* both ends share their CPUs */
};

struct measure_ask {
    enum flow_kind kind;
    enum flow_direction direction;
    uint32_t payload_bytes;
    uint32_t n_flows;
    uint64_t rate_bps; /* payload; 0 as fast as it goes */
    uint64_t duration_ns;
    uint64_t warmup_ns;
    uint64_t interval_ns;
    uint64_t gap_ns; /* ICMP */
    uint16_t port, port_last;
    char cc[FLOW_CC_SIZE];
    bool search; /* UDP: the highest rate at loss_target; rate_bps is not used */
    double loss_target;
};

/* Called with each interval of the receiving (or asking) side. */
struct measure_watch {
    void (*on_interval)(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                        double per_s);
    void *arg;
};

/* Adds one measurement to the scenario, or two with FLOW_BOTH, the reverse direction behind; also when it failed. */
int measure(const struct measure_path *path, const struct measure_ask *ask,
            const struct measure_watch *watch, struct scenario_result *scenario, struct err *err);

/* A warm-up that fits a duration: a fifth of it, at most 1 s; echo and request/response need less. */
uint64_t measure_warmup(enum flow_kind kind, uint64_t duration_ns);
