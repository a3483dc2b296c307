/* SPDX-License-Identifier: Apache-2.0 */
#include "results/node_cpu_json.h"

#include "base/auto.h"
#include "base/text.h"
#include "results/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- to JSON; a value that could not be made is NULL, and setting it fails ---- */

static json_t *core_json(const struct core_cpus *cpus, const struct core_cpu *core)
{
    uint64_t all = core_cpu_all_ns(core);
    json_t *o = json_object();
    int bad = json_object_set_new(o, "cpu", doc_whole(core->id));

    bad |= json_object_set_new(o, "busy_share",
                               all ? doc_real((double)core_cpu_busy_ns(core) / (double)all)
                                   : json_null());
    for (int m = 0; m < CPU_MODE_COUNT; m++) {
        char key[24];

        snprintf(key, sizeof key, "%s_ns", cpu_mode_name[m]);
        if (cpus->has[m])
            bad |= json_object_set_new(o, key, doc_whole(core->ns[m]));
    }
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static int core_json_more(const void *a, const void *b)
{
    uint64_t x = core_cpu_busy_ns(*(const struct core_cpu *const *)a),
             y = core_cpu_busy_ns(*(const struct core_cpu *const *)b);

    return x < y ? 1 : x > y ? -1 : 0;
}

/* All cores in their order; of a machine with very many those that worked most. */
static int node_cpu_json_cores(json_t *o, const struct core_cpus *cpus)
{
    AUTO(free_p) const struct core_cpu **order = calloc(cpus->n_cores + 1, sizeof(void *));
    uint32_t n = cpus->n_cores < NODE_CPU_JSON_CORES ? cpus->n_cores : NODE_CPU_JSON_CORES;
    json_t *list = json_array();
    int bad = order ? 0 : -1;

    for (uint32_t i = 0; i < cpus->n_cores && order; i++)
        order[i] = &cpus->cores[i];
    if (order && n < cpus->n_cores)
        qsort(order, cpus->n_cores, sizeof(void *), core_json_more);
    for (uint32_t i = 0; i < n && order; i++)
        bad |= json_array_append_new(list, core_json(cpus, order[i]));
    bad |= json_object_set_new(o, "cores", list);
    if (n < cpus->n_cores)
        bad |= json_object_set_new(o, "cores_left_out", doc_whole(cpus->n_cores - n));
    return bad;
}

static int node_cpu_json_numbers(json_t *o, const struct node_cpu *node)
{
    const struct core_cpu *busiest = node_cpu_busiest(node);
    int bad = 0;

    if (node->n_cpus)
        bad |= json_object_set_new(o, "cpus", doc_whole(node->n_cpus));
    bad |= json_object_set_new(o, "busy_share", doc_real(node->busy_share));
    bad |= json_object_set_new(o, "max_busy_share", doc_real(node->max_busy_share));
    bad |= json_object_set_new(o, "samples", doc_whole(node->n_samples));
    for (int m = 0; m < CPU_MODE_COUNT; m++) {
        char key[24];

        snprintf(key, sizeof key, "%s_share", cpu_mode_name[m]);
        if (node->has[m])
            bad |= json_object_set_new(o, key, doc_real(node->share[m]));
    }
    if (node->has_baseline)
        bad |= json_object_set_new(o, "baseline_busy_share", doc_real(node->baseline_busy_share));
    if (node->has_cost) {
        bad |= json_object_set_new(o, "cpu_s_per_gb", doc_real(node->cpu_s_per_gb));
        if (node->has_baseline)
            bad |= json_object_set_new(o, "added_cpu_s_per_gb", doc_real(node->added_cpu_s_per_gb));
    }
    if (busiest)
        bad |= json_object_set_new(o, "busiest_core", core_json(&node->cores, busiest));
    if (node->cores.n_cores)
        bad |= node_cpu_json_cores(o, &node->cores);
    return bad;
}

/* A list of what one() makes of each of items[n], which are size bytes apart. */
static json_t *node_cpu_json_list(const void *items, uint32_t n, size_t size,
                                  json_t *(*one)(const void *item))
{
    json_t *list = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < n; i++)
        bad |= json_array_append_new(list, one((const char *)items + i * size));
    if (bad) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *node_cpu_json_one(const void *item)
{
    const struct node_cpu *node = item;
    json_t *o = json_object();
    int bad = json_object_set_new(o, "node", doc_string(node->node));

    bad |= json_object_set_new(o, "source", json_string(node_cpu_source_name[node->source]));
    if (node->covers_ns)
        bad |= json_object_set_new(o, "covers_ns", doc_whole(node->covers_ns));
    if (node->has_age)
        bad |= json_object_set_new(o, "newest_age_s", doc_real(node->age_s));
    if (node->has_busy)
        bad |= node_cpu_json_numbers(o, node);
    else
        bad |= json_object_set_new(o, "busy_share", json_null());
    if (node->note[0])
        bad |= json_object_set_new(o, "note", doc_string(node->note));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *node_cpu_json(const struct node_cpus *nodes)
{
    return node_cpu_json_list(nodes->node, nodes->n, sizeof *nodes->node, node_cpu_json_one);
}

static json_t *node_cpu_json_known(const void *item)
{
    const struct cpu_node *node = item;
    json_t *o = json_object();
    int bad = json_object_set_new(o, "node", doc_string(node->node));

    bad |= json_object_set_new(o, "source", json_string(node_cpu_source_name[node->source]));
    if (node->also[0])
        bad |= json_object_set_new(o, "also", doc_string(node->also));
    if (node->has_baseline) {
        bad |= json_object_set_new(o, "baseline_busy_share", doc_real(node->baseline_busy_share));
        bad |= json_object_set_new(
            o, node->source == NODE_CPU_GMOND ? "baseline_age_ns" : "baseline_ns",
            doc_whole(node->baseline_ns));
    }
    if (node->note[0])
        bad |= json_object_set_new(o, "note", doc_string(node->note));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *node_cpu_json_run(const struct cpu_nodes *nodes)
{
    return node_cpu_json_list(nodes->node, nodes->n, sizeof *nodes->node, node_cpu_json_known);
}

/* ---- in words ---- */

static void node_cpu_json_name(const json_t *node, char ret[NODE_CPU_JSON_LINE])
{
    char name[NODE_CPU_NAME_SIZE];
    const char *source = doc_text(node, "source");

    doc_clean(name, sizeof name, doc_text(node, "node"));
    snprintf(ret, NODE_CPU_JSON_LINE, "CPU of %s", name);
    if (strcmp(source, node_cpu_source_name[NODE_CPU_GMOND]) == 0)
        text_add(ret, NODE_CPU_JSON_LINE, " (gmond)");
    else if (strcmp(source, node_cpu_source_name[NODE_CPU_EXPORTER]) == 0)
        text_add(ret, NODE_CPU_JSON_LINE, " (node exporter)");
    text_add(ret, NODE_CPU_JSON_LINE, ": ");
}

static void node_cpu_json_modes(const json_t *node, char ret[NODE_CPU_JSON_LINE])
{
    const char *before = " (";

    for (int m = 0; m < CPU_IDLE; m++) {
        char key[24];
        double share;

        snprintf(key, sizeof key, "%s_share", cpu_mode_name[m]);
        if (!doc_number(node, key, &share))
            continue;
        text_add(ret, NODE_CPU_JSON_LINE, "%s%s %.0f", before, cpu_mode_name[m], share * 100);
        before = ", ";
    }
    if (before[0] == ',')
        text_add(ret, NODE_CPU_JSON_LINE, ")");
}

void node_cpu_json_line(const json_t *node, char ret[NODE_CPU_JSON_LINE])
{
    double v;
    char note[NODE_CPU_NOTE_SIZE];

    doc_clean(note, sizeof note, doc_text(node, "note"));
    node_cpu_json_name(node, ret);
    if (!doc_number(node, "busy_share", &v)) {
        text_add(ret, NODE_CPU_JSON_LINE, "not known: %s", *note ? note : "it was not told");
        return;
    }
    text_add(ret, NODE_CPU_JSON_LINE, "%.0f %% busy", v * 100);
    node_cpu_json_modes(node, ret);
    if (doc_count(node, "samples") > 1 && doc_number(node, "max_busy_share", &v))
        text_add(ret, NODE_CPU_JSON_LINE, ", at most %.0f %%", v * 100);
    if (doc_number(node, "busiest_core.busy_share", &v))
        text_add(ret, NODE_CPU_JSON_LINE, ", cpu%llu %.0f %%",
                 (unsigned long long)doc_count(node, "busiest_core.cpu"), v * 100);
    if (doc_number(node, "baseline_busy_share", &v))
        text_add(ret, NODE_CPU_JSON_LINE, ", before %.0f %%", v * 100);
    if (doc_number(node, "cpu_s_per_gb", &v))
        text_add(ret, NODE_CPU_JSON_LINE, ", %.3g CPU s/GB", v);
    if (*note)
        text_add(ret, NODE_CPU_JSON_LINE, "; %s", note);
}

/* Over all measurements that one machine is part of. */
struct node_cpu_json_sum {
    double busy, max_busy, core;
    unsigned n;
    unsigned long long core_id;
};

static void node_cpu_json_add(const json_t *measurement, const json_t *known,
                              struct node_cpu_json_sum *sum)
{
    const json_t *list = doc_at(measurement, "cpu_nodes");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *node = json_array_get(list, i);
        double v;

        if (strcmp(doc_text(node, "node"), doc_text(known, "node")) != 0 ||
            strcmp(doc_text(node, "source"), doc_text(known, "source")) != 0 ||
            !doc_number(node, "busy_share", &v))
            continue;
        sum->n++;
        sum->busy += v;
        if (doc_number(node, "max_busy_share", &v) && v > sum->max_busy)
            sum->max_busy = v;
        if (doc_number(node, "busiest_core.busy_share", &v) && v > sum->core) {
            sum->core = v;
            sum->core_id = doc_count(node, "busiest_core.cpu");
        }
    }
}

bool node_cpu_json_whole(const json_t *document, size_t k, char ret[NODE_CPU_JSON_LINE])
{
    const json_t *known = json_array_get(doc_at(document, "cpu_nodes"), k),
                 *scenarios = doc_at(document, "scenarios");
    struct node_cpu_json_sum sum = {0};
    char words[NODE_CPU_ALSO_SIZE];
    double v;

    if (!json_is_object(known))
        return false;
    for (size_t i = 0; i < json_array_size(scenarios); i++) {
        const json_t *list = doc_at(json_array_get(scenarios, i), "measurements");

        for (size_t m = 0; m < json_array_size(list); m++)
            node_cpu_json_add(json_array_get(list, m), known, &sum);
    }
    node_cpu_json_name(known, ret);
    if (sum.n) {
        text_add(ret, NODE_CPU_JSON_LINE, "mean %.0f %% busy, at most %.0f %%",
                 sum.busy / sum.n * 100, sum.max_busy * 100);
        if (sum.core > 0)
            text_add(ret, NODE_CPU_JSON_LINE, ", cpu%llu %.0f %%", sum.core_id, sum.core * 100);
        if (doc_number(known, "baseline_busy_share", &v))
            text_add(ret, NODE_CPU_JSON_LINE, ", before %.0f %%", v * 100);
    } else {
        doc_clean(words, NODE_CPU_NOTE_SIZE, doc_text(known, "note"));
        text_add(ret, NODE_CPU_JSON_LINE, "not known%s%s", *words ? ": " : "", words);
    }
    doc_clean(words, sizeof words, doc_text(known, "also"));
    if (*words)
        text_add(ret, NODE_CPU_JSON_LINE, "; the same machine: %s", words);
    return true;
}
