/* SPDX-License-Identifier: Apache-2.0 */
#include "model/node_cpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const cpu_mode_name[CPU_MODE_COUNT] = {"user",    "system", "irq",
                                                   "softirq", "steal",  "idle"};
const char *const node_cpu_source_name[NODE_CPU_SOURCE_COUNT] = {"agent", "gmond", "node_exporter"};

static struct core_cpu *core_find(const struct core_cpus *cpus, uint32_t id, uint32_t guess)
{
    if (guess < cpus->n_cores && cpus->cores[guess].id == id)
        return &cpus->cores[guess];
    for (uint32_t i = 0; i < cpus->n_cores; i++)
        if (cpus->cores[i].id == id)
            return &cpus->cores[i];
    return NULL;
}

struct core_cpu *core_cpus_at(struct core_cpus *cpus, uint32_t id)
{
    /* Lines of one core follow each other, and cores follow each other. */
    struct core_cpu *core = core_find(cpus, id, cpus->n_cores ? cpus->n_cores - 1 : 0);

    if (core)
        return core;
    if (cpus->n_cores == NODE_CPU_MAX_CORES)
        return NULL;
    if (cpus->n_cores == cpus->room) {
        uint32_t room = cpus->room ? cpus->room * 2 : 8;
        struct core_cpu *grown = realloc(cpus->cores, room * sizeof *grown);

        if (!grown)
            return NULL;
        cpus->cores = grown;
        cpus->room = room;
    }
    core = &cpus->cores[cpus->n_cores++];
    *core = (struct core_cpu){.id = id};
    return core;
}

void core_cpus_done(struct core_cpus *cpus)
{
    if (!cpus)
        return;
    free(cpus->cores);
    *cpus = (struct core_cpus){0};
}

int core_cpus_between(const struct core_cpus *a, const struct core_cpus *b,
                      struct core_cpus *ret_between)
{
    struct core_cpus between = {0};

    for (int m = 0; m < CPU_MODE_COUNT; m++)
        between.has[m] = a->has[m] && b->has[m];
    for (uint32_t i = 0; i < b->n_cores; i++) {
        const struct core_cpu *now = &b->cores[i], *then = core_find(a, now->id, i);
        struct core_cpu *core = then ? core_cpus_at(&between, now->id) : NULL;

        if (then && !core) {
            core_cpus_done(&between);
            return -ENOMEM;
        }
        for (int m = 0; m < CPU_MODE_COUNT && core; m++)
            if (between.has[m] && now->ns[m] > then->ns[m])
                core->ns[m] = now->ns[m] - then->ns[m];
    }
    *ret_between = between;
    return 0;
}

uint64_t core_cpu_busy_ns(const struct core_cpu *core)
{
    return core->ns[CPU_USER] + core->ns[CPU_SYSTEM] + core->ns[CPU_IRQ] + core->ns[CPU_SOFTIRQ];
}

uint64_t core_cpu_all_ns(const struct core_cpu *core)
{
    return core_cpu_busy_ns(core) + core->ns[CPU_STEAL] + core->ns[CPU_IDLE];
}

double core_cpus_busy_share(const struct core_cpus *cpus)
{
    double busy = 0, all = 0;

    for (uint32_t i = 0; i < cpus->n_cores; i++) {
        busy += (double)core_cpu_busy_ns(&cpus->cores[i]);
        all += (double)core_cpu_all_ns(&cpus->cores[i]);
    }
    return cpus->has[CPU_IDLE] && all > 0 ? busy / all : -1;
}

void node_cpu_sum(struct node_cpu *node)
{
    double busy = core_cpus_busy_share(&node->cores), all = 0;
    double sum[CPU_MODE_COUNT] = {0};

    node->n_cpus = node->cores.n_cores;
    node->has_busy = busy >= 0;
    if (!node->has_busy)
        return;
    node->busy_share = busy;
    for (uint32_t i = 0; i < node->cores.n_cores; i++) {
        all += (double)core_cpu_all_ns(&node->cores.cores[i]);
        for (int m = 0; m < CPU_MODE_COUNT; m++)
            sum[m] += (double)node->cores.cores[i].ns[m];
    }
    for (int m = 0; m < CPU_MODE_COUNT; m++) {
        node->has[m] = node->cores.has[m];
        node->share[m] = sum[m] / all;
    }
}

void node_cpu_cost(struct node_cpu *node, uint64_t window_ns, uint64_t bytes)
{
    double seconds = (double)window_ns / 1e9 * node->n_cpus, gb = (double)bytes / 1e9;

    node->has_cost = node->has_busy && seconds > 0 && bytes > 0;
    if (!node->has_cost)
        return;
    node->cpu_s_per_gb = node->busy_share * seconds / gb;
    if (node->has_baseline)
        node->added_cpu_s_per_gb = (node->busy_share - node->baseline_busy_share) * seconds / gb;
}

const struct core_cpu *node_cpu_busiest(const struct node_cpu *node)
{
    const struct core_cpu *busiest = NULL;
    double most = -1;

    for (uint32_t i = 0; i < node->cores.n_cores; i++) {
        const struct core_cpu *core = &node->cores.cores[i];
        uint64_t all = core_cpu_all_ns(core);
        double share = all ? (double)core_cpu_busy_ns(core) / (double)all : -1;

        if (share > most) {
            most = share;
            busiest = core;
        }
    }
    return busiest;
}

struct node_cpu *node_cpus_add(struct node_cpus *nodes)
{
    struct node_cpu *grown = reallocarray(nodes->node, nodes->n + 1, sizeof *grown);

    if (!grown)
        return NULL;
    nodes->node = grown;
    memset(&grown[nodes->n], 0, sizeof *grown);
    return &grown[nodes->n++];
}

int node_cpus_copy(const struct node_cpus *nodes, struct node_cpus *ret_copy)
{
    struct node_cpus copy = {.node = calloc(nodes->n + 1, sizeof *copy.node)};

    if (!copy.node)
        return -ENOMEM;
    for (; copy.n < nodes->n; copy.n++) {
        const struct core_cpus *from = &nodes->node[copy.n].cores;
        struct core_cpu *cores = calloc(from->n_cores + 1, sizeof *cores);

        if (!cores) {
            node_cpus_done(&copy);
            return -ENOMEM;
        }
        if (from->n_cores)
            memcpy(cores, from->cores, from->n_cores * sizeof *cores);
        copy.node[copy.n] = nodes->node[copy.n];
        copy.node[copy.n].cores.cores = cores;
        copy.node[copy.n].cores.room = from->n_cores;
    }
    *ret_copy = copy;
    return 0;
}

void node_cpu_done(struct node_cpu *node)
{
    core_cpus_done(&node->cores);
    *node = (struct node_cpu){0};
}

void node_cpus_done(struct node_cpus *nodes)
{
    if (!nodes)
        return;
    for (uint32_t i = 0; i < nodes->n; i++)
        node_cpu_done(&nodes->node[i]);
    free(nodes->node);
    *nodes = (struct node_cpus){0};
}

struct cpu_node *cpu_nodes_add(struct cpu_nodes *nodes)
{
    struct cpu_node *grown = realloc(nodes->node, (nodes->n + 1) * sizeof *grown);

    if (!grown)
        return NULL;
    nodes->node = grown;
    grown[nodes->n] = (struct cpu_node){0};
    return &grown[nodes->n++];
}

void cpu_nodes_done(struct cpu_nodes *nodes)
{
    free(nodes->node);
    *nodes = (struct cpu_nodes){0};
}
