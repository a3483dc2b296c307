/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/under_load.h"
#include "base/clock.h"
#include "base/hist.h"
#include "plan/session_pair.h"

#include <errno.h>
#include <math.h>

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

/* ---- what both clocks are ---- */

/*
 * Each phase told its delays by its own fastest round trip, of which a standing queue is a part: half of the queue would
 * count for the way that has none. The idle phase knows the clocks best, and how they drift: so all phases are told by
 * its offset.
 */
static const enum metric forward_ways[] = {METRIC_forward_min_ns, METRIC_forward_p50_ns,
                                           METRIC_forward_p99_ns, METRIC_forward_max_ns},
                         backward_ways[] = {METRIC_backward_min_ns, METRIC_backward_p50_ns,
                                            METRIC_backward_p99_ns, METRIC_backward_max_ns};

enum { UNDER_LOAD_WAYS = sizeof forward_ways / sizeof *forward_ways };

static bool under_load_has_clock(const struct metric_set *h)
{
    static const enum metric needed[] = {METRIC_clock_error_ns,    METRIC_clock_ahead_ns,
                                         METRIC_clock_drift_share, METRIC_clock_at_ns,
                                         METRIC_forward_min_ns,    METRIC_backward_min_ns};
    bool all = true;

    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        all = all && h->has[needed[i]];
    return all;
}

static void under_load_shift(struct metric_set *h, double ns)
{
    for (int i = 0; i < UNDER_LOAD_WAYS; i++) {
        if (h->has[forward_ways[i]])
            metric_put_real(h, forward_ways[i], metric_get_real(h, forward_ways[i]) + ns);
        if (h->has[backward_ways[i]])
            metric_put_real(h, backward_ways[i], metric_get_real(h, backward_ways[i]) - ns);
    }
}

/* Tell a phase's delays by the idle phase's clocks. Returns how far these are off at least: no delay is negative. */
static double under_load_use_clock(struct metric_set *h, const struct metric_set *idle)
{
    double error = metric_get_real(h, METRIC_clock_error_ns),
           idle_error = metric_get_real(idle, METRIC_clock_error_ns),
           ahead = metric_get_real(h, METRIC_clock_ahead_ns),
           later =
               metric_get_real(h, METRIC_clock_at_ns) - metric_get_real(idle, METRIC_clock_at_ns),
           drift = metric_get_real(idle, METRIC_clock_drift_share),
           window = metric_get_real(idle, METRIC_window_ns);
    double shift = ahead - (metric_get_real(idle, METRIC_clock_ahead_ns) + drift * later);
    double low = -metric_get_real(h, METRIC_forward_min_ns),
           high = metric_get_real(h, METRIC_backward_min_ns);
    double off = shift < low ? low - shift : shift > high ? shift - high : 0;

    shift = shift < low ? low : shift > high ? high : shift;
    under_load_shift(h, shift);
    /* A line that is off by so much at both ends of the window is off by more, later; and what the phase knew still holds. */
    idle_error *= 1 + (window > 0 && later > 0 ? 2 * later / window : 0);
    error += shift < 0 ? -shift : shift;
    metric_put_real(h, METRIC_clock_error_ns, error < idle_error + off ? error : idle_error + off);
    metric_put_real(h, METRIC_clock_ahead_ns, ahead - shift);
    return off;
}

/* Most that a rise of one way may be off, were the way's own share of the round trip the same. */
static double under_load_way_error(struct measurement *m, const struct measurement *idle)
{
    struct metric_set *h = &m->headline;
    const struct metric_set *i = &idle->headline;
    double error = metric_get_real(h, METRIC_clock_error_ns),
           idle_error = metric_get_real(i, METRIC_clock_error_ns);

    if (error == 0 && idle_error == 0) /* one clock, or nothing that has to do with clocks */
        return 0;
    if (under_load_has_clock(h) && under_load_has_clock(i))
        return under_load_use_clock(h, i);
    return error > idle_error ? error : idle_error;
}

/* ---- how far it rose ---- */

enum { UNDER_LOAD_PART = 10 }; /* a rise is told when its error is at most a tenth of it */

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

static void under_load_rise_of(struct measurement *m, const struct measurement *idle)
{
    double error = under_load_way_error(m, idle);

    for (size_t k = 0; k < sizeof rises / sizeof *rises; k++) {
        double before, now;

        if (!under_load_value(idle, k, &before) || !under_load_value(m, k, &now))
            continue;
        if (rises[k].of == METRIC_COUNT_ || error * UNDER_LOAD_PART <= fabs(now - before))
            metric_put_real(&m->headline, rises[k].rise, now - before);
    }
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
        else if (idle)
            under_load_rise_of(m, idle);
    }
}
