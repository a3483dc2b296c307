/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/warmup.h"
#include "base/clock.h"

enum { WARMUP_PILOT_MS = 150, WARMUP_TAIL_MS = 2, WARMUP_BACK = 2 };

static const double warmup_rise = 1.03;

bool warmup_settled(struct warmup *w, double rate)
{
    double best = 0;

    if (w->n_pilots < WARMUP_MAX_PILOTS)
        w->rate[w->n_pilots++] = rate;
    if (w->n_pilots <= WARMUP_BACK)
        return false;
    for (unsigned i = 0; i < w->n_pilots - WARMUP_BACK; i++)
        best = w->rate[i] > best ? w->rate[i] : best;
    for (unsigned i = w->n_pilots - WARMUP_BACK; i < w->n_pilots; i++)
        if (w->rate[i] > warmup_rise * best)
            return false;
    return best > 0;
}

/* What arrived, both ways together. */
static double warmup_rate(const struct trial_results *t)
{
    return metric_get_real(&t->client[FLOW_RECEIVED].metrics, METRIC_throughput_bps) +
           metric_get_real(&t->server[0][FLOW_RECEIVED].metrics, METRIC_throughput_bps);
}

int warmup_find(struct session_pair *pair, uint64_t *ret_ns, bool *ret_settled, struct err *err)
{
    const struct flow_trial pilot = {.rate_bps = pair->ask->rate_bps,
                                     .duration_ns = (uint64_t)WARMUP_PILOT_MS * CLOCK_MS,
                                     .tail_ns = (uint64_t)WARMUP_TAIL_MS * CLOCK_MS};
    struct warmup w = {0};
    bool settled = false;
    int r = 0;

    while (r == 0 && !settled && w.n_pilots < WARMUP_MAX_PILOTS) {
        struct trial_results t;

        r = session_pair_run(pair, &pilot, 1, &t, err);
        if (r == 0)
            settled = warmup_settled(&w, warmup_rate(&t));
        trial_results_done(&t);
    }
    if (r < 0)
        return err_wrap(err, r, "pilot %u of the warm-up", w.n_pilots + 1);
    *ret_ns = w.n_pilots * pilot.duration_ns;
    *ret_settled = settled;
    return 0;
}
