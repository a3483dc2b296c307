/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/facts.h"
#include "model/flow_spec.h"
#include "model/hop.h"
#include "model/node_cpu.h"
#include "model/result.h"

/*
 * What a run found: scenarios, their measurements, the nodes they ran on. Filled by plan/, kept and shown by results/.
 *
 * owns    each *_done() frees what the struct holds; zeroed structs are empty
 */
enum limit {
    LIMIT_UNKNOWN,
    LIMIT_SENDER,
    LIMIT_RECEIVER,
    LIMIT_PATH,
    LIMIT_REQUESTED_RATE,
    LIMIT_COUNT_,
};
/* "unknown", "sender", "receiver", "path", "requested_rate". */
extern const char *const limit_name[LIMIT_COUNT_];

/* One probe of a rate search. */
struct probe {
    uint64_t rate_bps;  /* asked */
    double offered_bps; /* what the sender managed */
    double received_bps;
    uint64_t sent;
    uint64_t lost;
    double loss_share;
    double delay_growth_ns;
    uint64_t duration_ns;
    char verdict[12]; /* "under", "over", "spoiled", "sender" */
};

/* What a search says of one target. */
struct search_target {
    double loss_target;
    uint64_t rate_bps;   /* asked of the trial that confirmed it */
    double received_bps; /* the answer */
    double loss_share, loss_low_share, loss_high_share;
    uint64_t duration_ns; /* of that trial */
    bool confirmed;
};

enum { SEARCH_MAX_TARGETS = 4 };

struct search {
    double loss_target; /* the first target, which the measurement is about */
    struct search_target target[SEARCH_MAX_TARGETS];
    uint32_t n_targets;
    uint64_t duration_ns; /* the whole search, confirming trial included */
    struct probe *probes; /* owned */
    uint32_t n_probes;
    bool confirmed; /* the last, full trial kept the target */
};

/* What else loads the path while a latency is measured; also of the stream that loads it. */
enum load { LOAD_NONE, LOAD_IDLE, LOAD_FORWARD, LOAD_REVERSE, LOAD_BOTH, LOAD_COUNT };
/* "", "idle", "forward", "reverse", "both". LOAD_NONE: the measurement is not about latency under load. */
extern const char *const load_name[LOAD_COUNT];

struct measurement {
    enum flow_kind kind;
    enum flow_peer peer;
    enum flow_io io;
    bool reverse;    /* payload went from server to client */
    bool spin;       /* both ends waited spinning */
    bool pinned;     /* threads stayed on CPUs that were chosen for them */
    bool imix;       /* payload_bytes is the largest of the mix */
    uint64_t gap_ns; /* requests left on a schedule; 0 when the last one was answered */
    enum load load;
    uint32_t repetition; /* 1 …; 0 it was measured once */
    uint32_t group;      /* 1 …: which of the scenario's repeats it belongs to; 0 none */
    bool outlier;        /* far from the other repetitions; it counts all the same */
    char to[48];         /* multicast: which receiver; else "" */
    char tool[16];       /* "" ours, else the program that measured */
    uint32_t payload_bytes;
    uint32_t n_flows;
    uint64_t warmup_ns;
    bool warmup_found;          /* by pilots: the rate rose no longer after so long */
    uint16_t port;              /* of the server; 0 when there is none */
    struct metric_set headline; /* of the whole: at the receiver where it can be */
    struct flow_result sender;
    struct flow_result receiver;
    enum limit limit;
    char limit_reason[160];
    char placement
        [12]; /* RR, and streams that are pinned, on one machine: "same" or "different" CPU; else "" */
    char warning[480]; /* what a reader must know about this number; "" nothing */
    bool searched;
    struct search search;
    struct node_cpus cpu; /* of the machines that are looked at, over the window */
    char error[300];      /* the measurement failed; "" it did not */
};

/* The number of a measurement that its repetitions are judged by. */
enum measured { MEASURED_THROUGHPUT, MEASURED_TRANSACTIONS, MEASURED_RTT, MEASURED_COUNT };
/* "throughput_bps", "transactions_per_s", "rtt_p50_ns". */
extern const char *const measured_name[MEASURED_COUNT];
/* Streams: throughput; closed loops: transactions; what leaves on a schedule: the median of the round-trip time. */
enum measured measurement_measured(const struct measurement *m);
/* That number; false when it has none, or failed. */
bool measurement_value(const struct measurement *m, double *ret_value);
/* The two measured the same thing, and may differ in what they found alone. */
bool measurement_same(const struct measurement *a, const struct measurement *b);

/* Why there are no more repetitions. */
enum repeat_end {
    REPEAT_GOES_ON,
    REPEAT_ALL,         /* as many as were asked for */
    REPEAT_NARROW,      /* the interval was as narrow as asked for */
    REPEAT_FAILED,      /* one failed */
    REPEAT_INTERRUPTED, /* the run was */
    REPEAT_END_COUNT,
};
/* "not yet", "all", "narrow", "failed", "interrupted". */
extern const char *const repeat_end_name[REPEAT_END_COUNT];

/* What the repetitions of one thing say together; they are the measurements of its group. */
struct repeats {
    enum measured measured;
    uint32_t n; /* values: repetitions that brought one */
    double median;
    bool has_interval;  /* fewer than 6 values have none */
    double low, high;   /* 95 % interval of the median */
    double width_share; /* high less low, over the median */
    uint32_t n_outliers;
    enum repeat_end end;
};

/* What was asked about repetitions, for the record. */
struct repeat_record {
    uint32_t n;         /* at most; 0 or 1 once */
    double until_share; /* 0 none */
    bool shuffled;      /* in an order by the seed */
    uint64_t seed;
};

enum scenario_status { SCENARIO_PASSED, SCENARIO_FAILED, SCENARIO_SKIPPED, SCENARIO_STATUS_COUNT };
/* "passed", "failed", "skipped". */
extern const char *const scenario_status_name[SCENARIO_STATUS_COUNT];

/* One end of a scenario, for the record. */
struct end_info {
    char name[48];
    char node[32];
    char network[32];
    char address[FLOW_ADDRESS_SIZE];  /* own address */
    char floating[FLOW_ADDRESS_SIZE]; /* the address it is reached at through NAT; "" none */
};

struct scenario_result {
    char id[8];
    char name[64];
    char protocol[12]; /* "tcp", "udp", "icmp", "multicast" */
    enum scenario_status status;
    char reason[320]; /* why failed or skipped; "" when passed */
    bool chosen;      /* false: left out by the user's own choice of scenarios */
    struct end_info from, to;
    struct measurement *measurements; /* owned */
    uint32_t n_measurements;
    uint32_t room;           /* of measurements */
    struct repeats *repeats; /* owned; of measurements that were repeated */
    uint32_t n_repeats;
    struct hops *hops;     /* owned; NULL: not asked for, or not measured: */
    char hops_reason[320]; /* why; "" not asked for */
};

/* Why a machine is in the run. */
enum node_role {
    NODE_MEASURED,   /* it carries endpoints, or is one */
    NODE_ENDPOINT,   /* a VM of a node */
    NODE_CONTROLLER, /* --controller-node */
    NODE_ASKED,      /* --node */
};

/* A machine and its facts, before the measuring and what of them was different after it. */
struct node_result {
    char name[64];
    enum node_role role;
    char address[FLOW_ADDRESS_SIZE]; /* data address, own or one it sends to; "" unknown */
    char error[320];                 /* why facts are missing; "" they are there */
    struct facts facts;
    bool compared; /* they were asked for again */
    struct fact_change changes[FACT_CHANGES_MAX];
    uint32_t n_changes;
};

enum { RUN_ID_SIZE = 32, RUN_MAX_NODES = 24, RUN_MAX_LEFT = 32 };

struct run_result {
    char id[RUN_ID_SIZE];
    uint64_t started_wall_ns;
    uint64_t ended_wall_ns; /* 0 while it runs, or when it was cut off */
    uint64_t
        staging_ns; /* from the first resource's making to the last one's; 0 nothing was made */
    uint64_t removal_ns; /* of ending agents and removing all; 0 not done */
    char **command;      /* owned; masked */
    uint32_t n_command;
    char description[200];
    char driver[16];
    struct repeat_record repeat;
    char error[400]; /* what ended the run early; "" nothing */
    struct node_result nodes[RUN_MAX_NODES];
    uint32_t n_nodes;
    struct cpu_nodes cpu_nodes;        /* whose CPU is looked at */
    struct scenario_result *scenarios; /* owned */
    uint32_t n_scenarios;
    char left[RUN_MAX_LEFT][96]; /* what cleanup could not remove */
    uint32_t n_left;
    bool cleaned; /* cleanup has run */
};

void measurement_done(struct measurement *m);
/* Room for one more, zeroed; NULL without memory. Valid until the next call. */
struct measurement *scenario_result_add(struct scenario_result *scenario);
void scenario_result_done(struct scenario_result *scenario);
void run_result_done(struct run_result *run);

struct run_summary {
    uint32_t total, passed, failed, skipped;
};
struct run_summary run_result_summary(const struct run_result *run);
