/* SPDX-License-Identifier: Apache-2.0 */
#include "model/measurement.h"

#include <stdlib.h>
#include <string.h>

const char *const load_name[LOAD_COUNT] = {"", "idle", "forward", "reverse", "both"};
const char *const limit_name[LIMIT_COUNT_] = {"unknown", "sender", "receiver", "path",
                                              "requested_rate"};
const char *const scenario_status_name[SCENARIO_STATUS_COUNT] = {"passed", "failed", "skipped"};

const char *const measured_name[MEASURED_COUNT] = {"throughput_bps", "transactions_per_s",
                                                   "rtt_p50_ns"};
const char *const repeat_end_name[REPEAT_END_COUNT] = {"not yet", "all", "narrow", "failed",
                                                       "interrupted"};

enum measured measurement_measured(const struct measurement *m)
{
    if (!flow_kind_asks(m->kind))
        return MEASURED_THROUGHPUT;
    /* On a schedule the number of answers is the schedule's. */
    return m->kind == FLOW_ICMP_ECHO || m->kind == FLOW_STAMP || m->gap_ns ? MEASURED_RTT
                                                                           : MEASURED_TRANSACTIONS;
}

bool measurement_value(const struct measurement *m, double *ret_value)
{
    static const enum metric metrics[] = {[MEASURED_THROUGHPUT] = METRIC_throughput_bps,
                                          [MEASURED_TRANSACTIONS] = METRIC_transactions_per_s};
    enum measured measured = measurement_measured(m);

    if (m->error[0])
        return false;
    if (measured == MEASURED_RTT) {
        if (!m->sender.rtt || m->sender.rtt->count == 0)
            return false;
        *ret_value = (double)hist_percentile(m->sender.rtt, 0.5);
        return true;
    }
    if (!m->headline.has[metrics[measured]])
        return false;
    *ret_value = metric_get_real(&m->headline, metrics[measured]);
    return true;
}

bool measurement_same(const struct measurement *a, const struct measurement *b)
{
    return a->kind == b->kind && a->peer == b->peer && a->io == b->io && a->reverse == b->reverse &&
           a->spin == b->spin && a->pinned == b->pinned && a->imix == b->imix &&
           a->gap_ns == b->gap_ns && a->load == b->load && a->payload_bytes == b->payload_bytes &&
           a->n_flows == b->n_flows && a->searched == b->searched && strcmp(a->to, b->to) == 0 &&
           strcmp(a->tool, b->tool) == 0;
}

void measurement_done(struct measurement *m)
{
    if (!m)
        return;
    flow_result_done(&m->sender);
    flow_result_done(&m->receiver);
    free(m->search.probes);
    node_cpus_done(&m->cpu);
    *m = (struct measurement){0};
}

struct measurement *scenario_result_add(struct scenario_result *scenario)
{
    if (scenario->n_measurements == scenario->room) {
        uint32_t room = scenario->room ? scenario->room * 2 : 4;
        struct measurement *grown = realloc(scenario->measurements, room * sizeof *grown);

        if (!grown)
            return NULL;
        scenario->measurements = grown;
        scenario->room = room;
    }
    scenario->measurements[scenario->n_measurements] = (struct measurement){0};
    return &scenario->measurements[scenario->n_measurements++];
}

void scenario_result_done(struct scenario_result *scenario)
{
    if (!scenario)
        return;
    for (uint32_t i = 0; i < scenario->n_measurements; i++)
        measurement_done(&scenario->measurements[i]);
    free(scenario->measurements);
    free(scenario->repeats);
    hops_done(scenario->hops);
    free(scenario->hops);
    *scenario = (struct scenario_result){0};
}

void run_result_done(struct run_result *run)
{
    if (!run)
        return;
    for (uint32_t i = 0; i < run->n_scenarios; i++)
        scenario_result_done(&run->scenarios[i]);
    free(run->scenarios);
    for (uint32_t i = 0; i < run->n_command; i++)
        free(run->command[i]);
    free(run->command);
    cpu_nodes_done(&run->cpu_nodes);
    *run = (struct run_result){0};
}

struct run_summary run_result_summary(const struct run_result *run)
{
    struct run_summary s = {.total = run->n_scenarios};

    for (uint32_t i = 0; i < run->n_scenarios; i++) {
        enum scenario_status status = run->scenarios[i].status;

        if (status == SCENARIO_PASSED)
            s.passed++;
        else if (status == SCENARIO_FAILED)
            s.failed++;
        else
            s.skipped++;
    }
    return s;
}
