/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/node_cpu.h"
#include "base/clock.h"
#include "base/text.h"
#include "wire/cpu_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODE_CPU_ANSWER_S = 2,
    NODE_CPU_SAMPLE_MS = 500, /* of the busiest stretch: fifty ticks of /proc/stat */
    NODE_CPU_BASELINE_MS = 500,
};

/* One machine, as the agent sees it that speaks for it. */
struct node_cpu_machine {
    struct peer *peer; /* lent by the set */
    struct call call;
    struct node_cpu found; /* owned */
    uint64_t number;
    bool has_number, has_found;
};

struct node_cpu_watch {
    struct monitors *monitors; /* owned; NULL none */
    struct node_cpu_machine machines[PEER_MAX];
    unsigned n_machines;
    uint64_t start_ns, duration_ns; /* of the window; 0 there is none */
    struct run_result *run;         /* lent */
    void (*on_talk)(void *arg, const char *text);
    void *arg;
};

static void node_cpu_answer(void *arg, const struct message *message)
{
    struct node_cpu_machine *m = arg;

    if (!line_is(&message->line, "cpu") || m->has_found)
        return;
    m->has_number = line_get_u64(&message->line, "machine", &m->number) == 0;
    m->has_found =
        cpu_message_get(&message->line, message->blob, message->n_blob, &m->found, NULL) == 0;
}

static void node_cpu_ask(struct node_cpu_machine *m, uint64_t start_ns, uint64_t duration_ns)
{
    struct cpu_ask ask = {.start_ns =
                              start_ns ? (uint64_t)((int64_t)start_ns + m->peer->offset_ns) : 0,
                          .duration_ns = duration_ns,
                          .sample_ns = (uint64_t)NODE_CPU_SAMPLE_MS * CLOCK_MS};
    char buf[256];
    struct line_out out;

    if (ask.duration_ns / ask.sample_ns > CPU_ASK_MAX_SAMPLES)
        ask.sample_ns = 0;
    node_cpu_done(&m->found);
    m->has_found = false;
    m->call = (struct call){.on_message = node_cpu_answer, .arg = m};
    peer_begin(m->peer, &out, buf, sizeof buf, "cpu");
    cpu_message_put_ask(&out, &ask);
    /* One that cannot be asked has failed, which node_cpu_wait() sees. */
    peer_send(m->peer, &out, &m->call, NULL);
}

/* Until all have answered, as far as they do. Calls are over then. */
static void node_cpu_wait(struct peer_set *set, struct node_cpu_watch *w, uint64_t deadline_ns)
{
    bool waiting = true;

    while (waiting && clock_mono_ns() < deadline_ns) {
        waiting = false;
        for (unsigned i = 0; i < w->n_machines; i++)
            waiting |= w->machines[i].call.state == CALL_WAITING;
        if (waiting && peer_pump(set, deadline_ns, NULL) < 0)
            break;
    }
    for (unsigned i = 0; i < w->n_machines; i++)
        call_done(&w->machines[i].call);
}

/* ---- machines ---- */

static void node_cpu_also(struct cpu_node *node, const char *name)
{
    size_t used = strlen(node->also);

    /* "local" and "local" are one name. */
    if (strcmp(node->node, name) == 0)
        return;
    if (used + strlen(name) + 3 < sizeof node->also)
        snprintf(node->also + used, sizeof node->also - used, "%s%s", used ? ", " : "", name);
}

/* Each agent is asked which machine it is on; of those on the same one the first speaks for it. */
static void node_cpu_find(struct peer_set *set, struct node_cpu_watch *w)
{
    unsigned n = 0;

    for (unsigned i = 0; i < set->n_peers; i++) {
        w->machines[i] = (struct node_cpu_machine){.peer = set->peers[i]};
        node_cpu_ask(&w->machines[i], 0, 0);
    }
    w->n_machines = set->n_peers;
    node_cpu_wait(set, w, clock_mono_ns() + (uint64_t)NODE_CPU_ANSWER_S * CLOCK_S);
    for (unsigned i = 0; i < w->n_machines; i++) {
        struct node_cpu_machine m;
        struct cpu_node *node;
        unsigned same = 0;

        node_cpu_done(&w->machines[i].found);
        m = w->machines[i];
        if (!m.has_found)
            continue;
        while (same < n && !(m.has_number && w->machines[same].has_number &&
                             w->machines[same].number == m.number))
            same++;
        if (same < n) {
            node_cpu_also(&w->run->cpu_nodes.node[same], m.peer->name);
            continue;
        }
        node = cpu_nodes_add(&w->run->cpu_nodes);
        if (!node)
            break;
        text_copy(node->node, sizeof node->node, m.peer->name);
        m.has_found = false;
        w->machines[n++] = m;
    }
    w->n_machines = n;
}

/* ---- windows ---- */

static struct cpu_node *node_cpu_known(struct node_cpu_watch *w, const struct node_cpu *node)
{
    struct cpu_nodes *known = &w->run->cpu_nodes;

    for (uint32_t i = 0; i < known->n; i++)
        if (known->node[i].source == node->source && strcmp(known->node[i].node, node->node) == 0)
            return &known->node[i];
    return NULL;
}

static void node_cpu_collect(struct node_cpu_watch *w, struct node_cpus *nodes)
{
    for (unsigned i = 0; i < w->n_machines; i++) {
        struct node_cpu_machine *m = &w->machines[i];
        struct node_cpu *node = node_cpus_add(nodes);

        if (!node)
            return;
        if (m->has_found)
            *node = m->found;
        else
            text_copy(node->note, sizeof node->note, "its agent did not tell");
        m->found = (struct node_cpu){0};
        m->has_found = false;
        text_copy(node->node, sizeof node->node, m->peer->name);
    }
    if (w->monitors)
        monitors_end(w->monitors,
                     w->start_ns + w->duration_ns + (uint64_t)MONITOR_ANSWER_S * CLOCK_S, nodes);
}

static void node_cpu_window(struct node_cpu_watch *w, uint64_t start_ns, uint64_t duration_ns,
                            bool baseline)
{
    w->start_ns = start_ns;
    w->duration_ns = duration_ns;
    for (unsigned i = 0; i < w->n_machines; i++)
        node_cpu_ask(&w->machines[i], start_ns, duration_ns);
    if (w->monitors)
        monitors_begin(w->monitors, start_ns, start_ns + duration_ns, baseline);
}

void node_cpu_begin(struct peer_set *set, uint64_t start_ns, uint64_t duration_ns)
{
    if (set->cpu)
        node_cpu_window(set->cpu, start_ns, duration_ns, false);
}

/* The first word of a monitor that does not answer, or of a machine that a monitor only tells of now. */
static void node_cpu_meet(struct node_cpu_watch *w, const struct node_cpu *node)
{
    struct cpu_node *known = node_cpu_known(w, node);
    bool silent = !node->has_busy && node->source != NODE_CPU_AGENT && node->note[0];
    char text[NODE_CPU_NAME_SIZE + NODE_CPU_NOTE_SIZE + 32];

    if (!known && node->source != NODE_CPU_AGENT) {
        known = cpu_nodes_add(&w->run->cpu_nodes);
        if (!known)
            return;
        text_copy(known->node, sizeof known->node, node->node);
        known->source = node->source;
    }
    if (!known || !silent || known->note[0])
        return;
    text_copy(known->note, sizeof known->note, node->note);
    snprintf(text, sizeof text, "CPU of %s: %s", node->node, node->note);
    if (w->on_talk)
        w->on_talk(w->arg, text);
}

void node_cpu_end(struct peer_set *set, uint64_t bytes, struct node_cpus *ret_nodes)
{
    struct node_cpu_watch *w = set->cpu;

    *ret_nodes = (struct node_cpus){0};
    if (!w || !w->duration_ns)
        return;
    node_cpu_wait(set, w, w->start_ns + w->duration_ns + (uint64_t)NODE_CPU_ANSWER_S * CLOCK_S);
    node_cpu_collect(w, ret_nodes);
    for (uint32_t i = 0; i < ret_nodes->n; i++) {
        struct node_cpu *node = &ret_nodes->node[i];
        const struct cpu_node *known;

        node_cpu_meet(w, node);
        known = node_cpu_known(w, node);
        if (known && known->has_baseline) {
            node->has_baseline = true;
            node->baseline_busy_share = known->baseline_busy_share;
        }
        node_cpu_cost(node, w->duration_ns, bytes);
    }
    w->duration_ns = 0;
}

void node_cpu_drop(struct peer_set *set)
{
    struct node_cpu_watch *w = set->cpu;

    if (!w)
        return;
    for (unsigned i = 0; i < w->n_machines; i++)
        call_done(&w->machines[i].call);
    w->duration_ns = 0;
}

uint64_t node_cpu_baseline(uint64_t duration_ns)
{
    const uint64_t most = (uint64_t)NODE_CPU_BASELINE_MS * CLOCK_MS;

    return duration_ns / 10 < most ? duration_ns / 10 : most;
}

static void node_cpu_look_before(struct peer_set *set, uint64_t baseline_ns)
{
    struct node_cpu_watch *w = set->cpu;
    struct node_cpus nodes = {0};
    uint64_t start = clock_mono_ns();

    node_cpu_window(w, start, baseline_ns, true);
    node_cpu_wait(set, w, start + baseline_ns + (uint64_t)NODE_CPU_ANSWER_S * CLOCK_S);
    node_cpu_collect(w, &nodes);
    w->duration_ns = 0;
    for (uint32_t i = 0; i < nodes.n; i++) {
        const struct node_cpu *node = &nodes.node[i];
        struct cpu_node *known;

        node_cpu_meet(w, node);
        known = node_cpu_known(w, node);
        if (!known || !node->has_busy)
            continue;
        known->has_baseline = true;
        known->baseline_busy_share = node->busy_share;
        known->baseline_ns =
            node->source == NODE_CPU_GMOND ? (uint64_t)(node->age_s * CLOCK_S) : node->covers_ns;
    }
    node_cpus_done(&nodes);
}

void node_cpu_open(struct peer_set *set, const struct node_cpu_options *options,
                   uint64_t baseline_ns, struct run_result *run,
                   void (*on_talk)(void *arg, const char *text), void *arg)
{
    struct node_cpu_watch *w = calloc(1, sizeof *w);
    struct err err = {0};

    if (!w)
        return;
    w->run = run;
    w->on_talk = on_talk;
    w->arg = arg;
    set->cpu = w;
    node_cpu_find(set, w);
    if (options->n_monitors &&
        monitors_open(options->monitors, options->n_monitors, &w->monitors, &err) < 0 && on_talk)
        on_talk(arg, err.text);
    if (baseline_ns)
        node_cpu_look_before(set, baseline_ns);
}

void node_cpu_close(struct peer_set *set)
{
    struct node_cpu_watch *w = set->cpu;

    if (!w)
        return;
    node_cpu_drop(set);
    for (unsigned i = 0; i < w->n_machines; i++)
        node_cpu_done(&w->machines[i].found);
    monitors_close(w->monitors);
    free(w);
    set->cpu = NULL;
}
