/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "plan/peer.h"

/*
 * One measurement between two agents: prepare both, start both at one time, take both results, say what was the limit.
 *
 * errors  of peer.h; -ENODATA nothing arrived; a measurement that failed half way is returned too, its error set
 */
enum {
    MEASURE_MAX_RECEIVERS = 8,
    MEASURE_MAX_TARGETS = 4,
    MEASURE_MULTICAST_BPS = 10000000, /* a group's rate when none is given */
};

struct measure_path {
    struct peer_set *set;
    struct peer *client; /* opens the connections */
    struct peer *server; /* NULL: no agent of ours is there (ICMP's kernel, an iperf3 server …) */
    struct peer *more[MEASURE_MAX_RECEIVERS - 1]; /* multicast: receivers besides server */
    uint32_t n_more;
    char address[FLOW_ADDRESS_SIZE]; /* of the server, as the client reaches it; or the group */
    /* Multicast: own addresses of client, server and more[], which name the interface; "" what the route says. */
    char own_client[FLOW_ADDRESS_SIZE], own[MEASURE_MAX_RECEIVERS][FLOW_ADDRESS_SIZE];
    bool same_machine; /* both ends share their CPUs */
};

struct measure_ask {
    /* role, address and token are filled in; port and port_last are the server's, or of a foreign one its port */
    struct flow_spec spec;
    uint32_t pin_server; /* spec.pin is the client's */
    uint64_t rate_bps;   /* payload; 0 as fast as it goes */
    uint64_t duration_ns;
    uint64_t warmup_ns;
    bool warmup_find; /* TCP streams: found by pilots instead (warmup.h); others go by warmup_ns */
    uint64_t interval_ns;
    bool
        search; /* UDP: the highest rate at each of the targets, the first one's in full; rate_bps is not used */
    double loss_target[MEASURE_MAX_TARGETS];
    uint32_t n_loss_targets;
    enum load load; /* the session runs together with others, see under_load_measure() */
};

/* Called with each interval of the receiving (or asking) side. */
struct measure_watch {
    void (*on_interval)(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                        double per_s);
    void *arg;
};

/*
 * Adds one measurement to the scenario, or two with FLOW_BOTH, the reverse direction behind, or one a receiver with
 * multicast; also when it failed.
 */
int measure(const struct measure_path *path, const struct measure_ask *asked,
            const struct measure_watch *watch, struct scenario_result *scenario, struct err *err);

/* A warm-up that fits a duration: a fifth of it, at most 1 s; echo and request/response need less. */
uint64_t measure_warmup(enum flow_kind kind, uint64_t duration_ns);
