/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/under_load.h"
#include "base/clock.h"
#include "base/hist.h"
#include "plan/session_pair.h"

#include <errno.h>

enum {
    /* After the window: the last requests' way through a queue that the stream keeps full. */
    UNDER_LOAD_TAIL_MS = 250,
    UNDER_LOAD_OVERHEAD_MS = 400,
    UNDER_LOAD_PAIRS = 2,
};

static const struct {
    enum load load;
    enum flow_direction direction;
} phases[UNDER_LOAD_PHASES] = {{LOAD_IDLE, FLOW_FORWARD},
                               {LOAD_FORWARD, FLOW_FORWARD},
                               {LOAD_REVERSE, FLOW_REVERSE},
                               {LOAD_BOTH, FLOW_BOTH}};

uint64_t under_load_warmup(uint64_t duration_ns)
{
    return duration_ns / 2 < (uint64_t)CLOCK_S ? duration_ns / 2 : (uint64_t)CLOCK_S;
}

uint64_t under_load_plan_ns(const struct measure_ask *probe)
{
    return UNDER_LOAD_PHASES *
           (probe->warmup_ns + probe->duration_ns + (uint64_t)UNDER_LOAD_OVERHEAD_MS * CLOCK_MS);
}

/* One phase: the probe is pairs[0], the stream pairs[1]; without a stream n_pairs is 1. */
static int under_load_trials(struct session_pair *pairs, unsigned n_pairs,
                             struct trial_results *ret_results, struct err *err)
{
    struct flow_trial trials[UNDER_LOAD_PAIRS];

    for (unsigned i = 0; i < n_pairs; i++) {
        const struct measure_ask *ask = pairs[i].ask;

        trials[i] = session_pair_trial(&pairs[i], ask->rate_bps, ask->duration_ns);
        if (i > 0)
            trials[i].tail_ns = (uint64_t)UNDER_LOAD_TAIL_MS * CLOCK_MS;
    }
    return session_pair_run(pairs, trials, n_pairs, ret_results, err);
}

static int under_load_phase(const struct measure_path *path, const struct measure_ask asks[],
                            unsigned n_pairs, const struct measure_watch *watch,
                            struct scenario_result *scenario, struct err *err)
{
    struct session_pair pairs[UNDER_LOAD_PAIRS] = {0};
    struct trial_results t[UNDER_LOAD_PAIRS] = {0};
    unsigned opened = 0;
    int r = 0, went;

    /* Only the probe is watched: two series on one progress line would say nothing. */
    while (opened < n_pairs && r == 0) {
        r = session_pair_open(&pairs[opened], path, &asks[opened], opened ? NULL : watch, err);
        opened++;
    }
    if (r == 0)
        r = under_load_trials(pairs, n_pairs, t, err);
    for (unsigned i = 0; i < opened; i++)
        session_pair_close(&pairs[i]);
    went = r;
    for (unsigned i = 0; i < opened; i++) {
        int added = measure_add(&pairs[i], &t[i], NULL, went, scenario, err);

        r = r < 0 ? r : added;
    }
    for (unsigned i = 0; i < opened; i++)
        trial_results_done(&t[i]);
    return r;
}

int under_load_measure(const struct measure_path *path, const struct measure_ask *probe,
                       const struct measure_ask *stream, const struct measure_watch *watch,
                       struct scenario_result *scenario, struct err *err)
{
    int r = 0;

    for (unsigned k = 0; k < UNDER_LOAD_PHASES && r == 0; k++) {
        struct measure_ask asks[UNDER_LOAD_PAIRS] = {*probe, *stream};

        asks[0].load = asks[1].load = phases[k].load;
        asks[1].spec.direction = phases[k].direction;
        asks[1].warmup_ns = probe->warmup_ns;
        asks[1].duration_ns = probe->duration_ns;
        r = under_load_phase(path, asks, phases[k].load == LOAD_IDLE ? 1 : UNDER_LOAD_PAIRS, watch,
                             scenario, err);
        if (r < 0)
            err_wrap(err, r, "load %s", load_name[phases[k].load]);
    }
    under_load_rise(scenario);
    return r;
}

/* ---- how far it rose ---- */

static const struct {
    enum metric rise, of; /* of: METRIC_COUNT_ is a percentile of the round trips */
    double share;
} rises[] = {{METRIC_rise_p50_ns, METRIC_COUNT_, 0.5},
             {METRIC_rise_p99_ns, METRIC_COUNT_, 0.99},
             {METRIC_forward_rise_p50_ns, METRIC_forward_p50_ns, 0},
             {METRIC_forward_rise_p99_ns, METRIC_forward_p99_ns, 0},
             {METRIC_backward_rise_p50_ns, METRIC_backward_p50_ns, 0},
             {METRIC_backward_rise_p99_ns, METRIC_backward_p99_ns, 0}};

static bool under_load_value(const struct measurement *m, size_t row, double *ret_ns)
{
    const struct hist *rtt = m->sender.rtt;

    if (rises[row].of == METRIC_COUNT_) {
        if (!rtt || !rtt->count)
            return false;
        *ret_ns = (double)hist_percentile(rtt, rises[row].share);
        return true;
    }
    *ret_ns = metric_get_real(&m->headline, rises[row].of);
    return m->headline.has[rises[row].of];
}

static bool under_load_is_probe(const struct measurement *m)
{
    return m->load != LOAD_NONE && flow_kind_asks(m->kind);
}

void under_load_rise(struct scenario_result *scenario)
{
    const struct measurement *idle = NULL;

    for (uint32_t i = 0; i < scenario->n_measurements; i++) {
        struct measurement *m = &scenario->measurements[i];

        if (!under_load_is_probe(m))
            continue;
        if (m->load == LOAD_IDLE)
            idle = m;
        for (size_t k = 0; idle && m != idle && k < sizeof rises / sizeof *rises; k++) {
            double before, now;

            if (under_load_value(idle, k, &before) && under_load_value(m, k, &now))
                metric_put_real(&m->headline, rises[k].rise, now - before);
        }
    }
}
