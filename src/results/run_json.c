/* SPDX-License-Identifier: Apache-2.0 */
#include "results/run_json.h"

#include "base/clock.h"
#include "results/doc.h"
#include "results/facts_json.h"
#include "results/hops_json.h"
#include "results/measurement_json.h"
#include "results/node_cpu_json.h"
#include "results/repeats.h"

#include <errno.h>

/*
 * Inside, a value that could not be made is NULL, and json_object_set_new() of NULL fails: every step adds to `bad`, and
 * who called looks at it once.
 */
static json_t *run_json_time(uint64_t wall_ns)
{
    char text[CLOCK_RFC3339_SIZE];

    if (wall_ns == 0)
        return json_null();
    clock_rfc3339(wall_ns, text);
    return json_string(text);
}

static json_t *run_json_text_or_null(const char *text)
{
    return *text ? doc_string(text) : json_null();
}

/* How often, how long, in which order; absent when all was measured once and in the usual order. */
static json_t *run_json_repeat(const struct repeat_record *repeat)
{
    json_t *o = json_object();
    int bad = 0;

    bad |= json_object_set_new(o, "n", doc_whole(repeat->n));
    if (repeat->until_share > 0)
        bad |= json_object_set_new(o, "until_share", doc_real(repeat->until_share));
    bad |= json_object_set_new(o, "seed", doc_whole(repeat->seed));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *run_json_run(const struct run_result *run)
{
    json_t *o = json_object(), *command = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < run->n_command; i++)
        bad |= json_array_append_new(command, doc_string(run->command[i]));
    bad |= json_object_set_new(o, "id", doc_string(run->id));
    bad |= json_object_set_new(o, "started", run_json_time(run->started_wall_ns));
    bad |= json_object_set_new(o, "ended", run_json_time(run->ended_wall_ns));
    bad |= json_object_set_new(o, "version", doc_string(VNPERF_VERSION));
    bad |= json_object_set_new(o, "command", command);
    bad |= json_object_set_new(o, "description", doc_string(run->description));
    bad |= json_object_set_new(o, "driver", doc_string(run->driver));
    if (run->staging_ns)
        bad |= json_object_set_new(o, "staging_ns", json_integer((json_int_t)run->staging_ns));
    if (run->removal_ns)
        bad |= json_object_set_new(o, "removal_ns", json_integer((json_int_t)run->removal_ns));
    if (run->repeat.shuffled)
        bad |= json_object_set_new(o, "repeat", run_json_repeat(&run->repeat));
    if (run->error[0])
        bad |= json_object_set_new(o, "error", doc_string(run->error));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *run_json_end(const struct end_info *end)
{
    json_t *o = json_object();
    int bad = 0;

    bad |= json_object_set_new(o, "name", run_json_text_or_null(end->name));
    bad |= json_object_set_new(o, "node", run_json_text_or_null(end->node));
    bad |= json_object_set_new(o, "network", run_json_text_or_null(end->network));
    bad |= json_object_set_new(o, "address", run_json_text_or_null(end->address));
    bad |= json_object_set_new(o, "floating", run_json_text_or_null(end->floating));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *run_json_scenario(const struct scenario_result *scenario)
{
    json_t *o = json_object(), *measurements = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < scenario->n_measurements; i++)
        bad |= json_array_append_new(measurements, measurement_json(&scenario->measurements[i]));
    bad |= json_object_set_new(o, "id", doc_string(scenario->id));
    bad |= json_object_set_new(o, "name", doc_string(scenario->name));
    bad |= json_object_set_new(o, "protocol", doc_string(scenario->protocol));
    bad |= json_object_set_new(o, "status", json_string(scenario_status_name[scenario->status]));
    bad |= json_object_set_new(o, "reason",
                               scenario->status == SCENARIO_PASSED
                                   ? json_null()
                                   : run_json_text_or_null(scenario->reason));
    bad |= json_object_set_new(o, "chosen", json_boolean(scenario->chosen));
    bad |= json_object_set_new(o, "from", run_json_end(&scenario->from));
    bad |= json_object_set_new(o, "to", run_json_end(&scenario->to));
    bad |= json_object_set_new(o, "measurements", measurements);
    if (scenario->n_repeats)
        bad |= json_object_set_new(o, "repeats", repeats_json(scenario));
    if (scenario->hops)
        bad |= json_object_set_new(o, "hops", hops_json(scenario->hops));
    if (scenario->hops_reason[0])
        bad |= json_object_set_new(o, "hops_reason", doc_string(scenario->hops_reason));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *run_json_summary(const struct run_result *run)
{
    struct run_summary s = run_result_summary(run);

    return json_pack("{s:I, s:I, s:I, s:I}", "total", (json_int_t)s.total, "passed",
                     (json_int_t)s.passed, "failed", (json_int_t)s.failed, "skipped",
                     (json_int_t)s.skipped);
}

static json_t *run_json_cleanup(const struct run_result *run)
{
    json_t *o = json_object(), *left = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < run->n_left; i++)
        bad |= json_array_append_new(left, doc_string(run->left[i]));
    bad |= json_object_set_new(o, "left", left);
    bad |= json_object_set_new(o, "done", json_boolean(run->cleaned));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

int run_json(const struct run_result *run, json_t **ret_document, struct err *err)
{
    json_t *o = json_object(), *nodes = json_array(), *endpoints = json_array(),
           *scenarios = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < run->n_nodes; i++)
        bad |= json_array_append_new(run->nodes[i].role == NODE_ENDPOINT ? endpoints : nodes,
                                     facts_json_node(&run->nodes[i]));
    for (uint32_t i = 0; i < run->n_scenarios; i++)
        bad |= json_array_append_new(scenarios, run_json_scenario(&run->scenarios[i]));
    bad |= json_object_set_new(o, "schema", json_string(RUN_JSON_SCHEMA));
    bad |= json_object_set_new(o, "run", run_json_run(run));
    bad |= json_object_set_new(o, "nodes", nodes);
    bad |= json_object_set_new(o, "endpoints", endpoints);
    if (run->cpu_nodes.n)
        bad |= json_object_set_new(o, "cpu_nodes", node_cpu_json_run(&run->cpu_nodes));
    bad |= json_object_set_new(o, "scenarios", scenarios);
    bad |= json_object_set_new(o, "summary", run_json_summary(run));
    bad |= json_object_set_new(o, "cleanup", run_json_cleanup(run));
    if (bad) {
        json_decref(o);
        return err_set(err, ENOMEM, "writing the run as JSON");
    }
    *ret_document = o;
    return 0;
}
