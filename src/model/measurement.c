/* SPDX-License-Identifier: Apache-2.0 */
#include "model/measurement.h"

#include <stdlib.h>

const char *const load_name[LOAD_COUNT] = {"", "idle", "forward", "reverse", "both"};
const char *const limit_name[LIMIT_COUNT_] = {"unknown", "sender", "receiver", "path",
                                              "requested_rate"};
const char *const scenario_status_name[SCENARIO_STATUS_COUNT] = {"passed", "failed", "skipped"};

void measurement_done(struct measurement *m)
{
    if (!m)
        return;
    flow_result_done(&m->sender);
    flow_result_done(&m->receiver);
    free(m->search.probes);
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
