/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * CPU time of a machine: counters core by core at two times, and what lies between.
 *
 * units   ns of CPU time; shares of all CPU time that was there, 0…1
 * source  modes as in proc(5), /proc/stat: user holds nice (and guests), idle holds iowait
 */
enum cpu_mode { CPU_USER, CPU_SYSTEM, CPU_IRQ, CPU_SOFTIRQ, CPU_STEAL, CPU_IDLE, CPU_MODE_COUNT };
/* "user", "system", "irq", "softirq", "steal", "idle". */
extern const char *const cpu_mode_name[CPU_MODE_COUNT];

enum { NODE_CPU_MAX_CORES = 4096, NODE_CPU_NAME_SIZE = 80, NODE_CPU_NOTE_SIZE = 240 };

struct core_cpu {
    uint32_t id;
    uint64_t ns[CPU_MODE_COUNT];
};

/* owns  cores; ended by core_cpus_done(); a zeroed one is empty */
struct core_cpus {
    bool has[CPU_MODE_COUNT];
    struct core_cpu *cores; /* owned */
    uint32_t n_cores, room;
};

/* One more, zeroed, or the one of that id when it is there; NULL without memory or above NODE_CPU_MAX_CORES. */
struct core_cpu *core_cpus_at(struct core_cpus *cpus, uint32_t id);
void core_cpus_done(struct core_cpus *cpus);
/*
 * What passed from a to b, of cores that are in both (one that was plugged or unplugged meanwhile is in neither). A counter that
 * went back, as idle and iowait may, counts 0.
 *
 * errors  -ENOMEM
 */
int core_cpus_between(const struct core_cpus *a, const struct core_cpus *b,
                      struct core_cpus *ret_between);
/* Of one core: time that it worked (all but steal and idle), and all of it. */
uint64_t core_cpu_busy_ns(const struct core_cpu *core);
uint64_t core_cpu_all_ns(const struct core_cpu *core);
/* Of all cores: worked over all; negative when there is nothing to tell from. */
double core_cpus_busy_share(const struct core_cpus *cpus);

/* Who says so. */
enum node_cpu_source {
    NODE_CPU_AGENT,    /* our agent there, /proc/stat */
    NODE_CPU_GMOND,    /* Ganglia's, over the last of its own intervals */
    NODE_CPU_EXPORTER, /* Prometheus node exporter's counters */
    NODE_CPU_SOURCE_COUNT
};
/* "agent", "gmond", "node_exporter". */
extern const char *const node_cpu_source_name[NODE_CPU_SOURCE_COUNT];

/* One machine over one window. Without has_busy there is no number, and note says why. */
struct node_cpu {
    char node[NODE_CPU_NAME_SIZE];
    enum node_cpu_source source;
    struct core_cpus cores; /* agent and exporter; gmond tells of no core */
    bool has[CPU_MODE_COUNT];
    double share[CPU_MODE_COUNT]; /* mean over cores and window */
    bool has_busy;
    double busy_share;     /* mean */
    double max_busy_share; /* of the busiest of n_samples stretches */
    uint32_t n_samples;
    uint32_t n_cpus;
    uint64_t covers_ns; /* counters: from the first to the last reading */
    bool has_age;
    double age_s; /* gmond: how old the newest of its values was at the window's end */
    bool has_baseline;
    double baseline_busy_share;
    bool has_cost;
    double cpu_s_per_gb;       /* worked over the window's payload of streams */
    double added_cpu_s_per_gb; /* the same less the baseline; only with has_baseline */
    char note[NODE_CPU_NOTE_SIZE];
};

struct node_cpus {
    struct node_cpu *node; /* owned */
    uint32_t n;
};

/* Shares, n_cpus and busy_share from the cores. */
void node_cpu_sum(struct node_cpu *node);
/* From what the machine did in the window and the bytes that streams brought in it; nothing without either. */
void node_cpu_cost(struct node_cpu *node, uint64_t window_ns, uint64_t bytes);
/* The core that worked most; NULL when there is none. */
const struct core_cpu *node_cpu_busiest(const struct node_cpu *node);
/* One more, zeroed; NULL without memory. Valid until the next call. */
struct node_cpu *node_cpus_add(struct node_cpus *nodes);
/* A copy of its own; -ENOMEM, then ret_copy is empty. */
int node_cpus_copy(const struct node_cpus *nodes, struct node_cpus *ret_copy);
void node_cpu_done(struct node_cpu *node);
void node_cpus_done(struct node_cpus *nodes);

/* For the run: a machine that is looked at, once, whatever measurements there are. */
enum { NODE_CPU_ALSO_SIZE = 400 };
struct cpu_node {
    char node[NODE_CPU_NAME_SIZE];
    enum node_cpu_source source;
    char also[NODE_CPU_ALSO_SIZE]; /* other agents on the same machine, ", " between */
    bool has_baseline;
    double baseline_busy_share;
    uint64_t baseline_ns; /* how long it was looked at; of gmond how old its newest value was */
    char note[NODE_CPU_NOTE_SIZE];
};
struct cpu_nodes {
    struct cpu_node *node; /* owned */
    uint32_t n;
};
struct cpu_node *cpu_nodes_add(struct cpu_nodes *nodes);
void cpu_nodes_done(struct cpu_nodes *nodes);
