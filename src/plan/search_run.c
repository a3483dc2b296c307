/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/search_run.h"
#include "base/clock.h"
#include "plan/rate_search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SEARCH_TAIL_MS = 2,     /* of a probe */
    SEARCH_BUDGET_MS = 950, /* all probes */
    SEARCH_CONFIRM_MS = 500,
    SEARCH_OVERHEAD_MS = 30, /* of a trial: lead, tail, drain, answers */
};

static struct rate_search_seen search_seen(const struct trial_results *t, bool reverse)
{
    const struct metric_set *s = reverse ? &t->server[0][FLOW_SENT].metrics
                                         : &t->client[FLOW_SENT].metrics,
                            *r = reverse ? &t->client[FLOW_RECEIVED].metrics
                                         : &t->server[0][FLOW_RECEIVED].metrics;
    struct rate_search_seen seen = {
        .sent = metric_get(s, METRIC_sent),
        .offered_bps = metric_get_real(s, METRIC_offered_bps),
        .received_bps = metric_get_real(r, r->has[METRIC_dispersion_bps] ? METRIC_dispersion_bps
                                                                         : METRIC_throughput_bps),
        .delay_slope = metric_get_real(r, METRIC_delay_slope),
        .delay_growth_ns = metric_get_real(r, METRIC_delay_growth_ns),
        .latest_ns = metric_get(s, METRIC_latest_ns),
        .blocked_ns = metric_get(s, METRIC_blocked_ns),
    };
    uint64_t received = metric_get(r, METRIC_received);

    seen.lost = seen.sent > received ? seen.sent - received : 0;
    return seen;
}

static int search_note(struct search *search, const struct rate_search_step *step,
                       const struct rate_search_seen *seen, const char *verdict, struct err *err)
{
    struct probe *grown = realloc(search->probes, (search->n_probes + 1) * sizeof *grown);

    if (!grown)
        return err_set(err, ENOMEM, "memory for a probe");
    search->probes = grown;
    grown[search->n_probes++] =
        (struct probe){.rate_bps = step->rate_bps,
                       .offered_bps = seen->offered_bps,
                       .received_bps = seen->received_bps,
                       .sent = seen->sent,
                       .lost = seen->lost,
                       .loss_share = seen->sent ? (double)seen->lost / (double)seen->sent : 0,
                       .delay_growth_ns = seen->delay_growth_ns,
                       .duration_ns = step->duration_ns};
    snprintf(grown[search->n_probes - 1].verdict, sizeof grown->verdict, "%s", verdict);
    return 0;
}

static int search_probe(struct session_pair *pair, const struct rate_search_step *step,
                        struct rate_search_seen *ret, struct err *err)
{
    struct flow_trial trial = {.rate_bps = step->rate_bps,
                               .warmup_ns = step->warmup_ns,
                               .duration_ns = step->duration_ns,
                               .tail_ns = (uint64_t)SEARCH_TAIL_MS * CLOCK_MS};
    struct trial_results t;
    int r = session_pair_run(pair, &trial, 1, &t, err);

    *ret = search_seen(&t, pair->ask->spec.direction == FLOW_REVERSE);
    trial_results_done(&t);
    return r;
}

static int search_probes(struct session_pair *pair, struct rate_search *s, struct search *search,
                         struct err *err)
{
    struct rate_search_step step = {0};
    struct rate_search_seen seen = {0};

    while (rate_search_next(s, &step)) {
        int r = search_probe(pair, &step, &seen, err);

        if (r < 0)
            return err_wrap(err, r, "probe %u of the rate search", s->n_probes + 1);
        r = search_note(search, &step, &seen,
                        rate_search_verdict_name[rate_search_seen(s, &step, &seen)], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * Trials at the rate found until one holds, or the time is over. One that was disturbed is repeated, and the better of
 * the two is kept: t.
 */
static int search_confirm(struct session_pair *pair, struct rate_search *s, struct search *search,
                          uint64_t began_ns, uint64_t duration_ns, struct trial_results *t,
                          struct err *err)
{
    static const char *const words[] = {
        [CONFIRM_HOLDS] = "confirmed", [CONFIRM_LOWER] = "over", [CONFIRM_DISTURBED] = "spoiled"};
    const struct measure_ask *ask = pair->ask;
    uint64_t cost_ns = duration_ns + (ask->warmup_ns < duration_ns ? ask->warmup_ns : 0) +
                       (uint64_t)SEARCH_OVERHEAD_MS * CLOCK_MS;
    enum rate_search_confirmed said = CONFIRM_LOWER;
    double best_bps = 0;

    while (said != CONFIRM_HOLDS &&
           rate_search_may_confirm(s, clock_mono_ns() - began_ns, cost_ns)) {
        const struct rate_search_step step = {.rate_bps = (uint64_t)s->answer_bps,
                                              .duration_ns = duration_ns};
        enum rate_search_confirmed before = said;
        struct trial_results found = {0};
        int r = session_pair_measure(pair, step.rate_bps, duration_ns, &found, err);
        struct rate_search_seen seen = search_seen(&found, ask->spec.direction == FLOW_REVERSE);

        if (r == 0) {
            said = rate_search_confirm(s, duration_ns, &seen);
            r = search_note(search, &step, &seen, words[said], err);
        } else {
            err_wrap(err, r, "confirming trial of the rate search");
        }
        if (r == 0 && before == CONFIRM_DISTURBED &&
            (said == CONFIRM_LOWER || seen.received_bps < best_bps)) {
            trial_results_done(&found);
            continue;
        }
        trial_results_done(t);
        *t = found;
        best_bps = seen.received_bps;
        search->confirmed = said != CONFIRM_LOWER;
        if (r < 0)
            return r;
    }
    return 0;
}

int search_run(struct session_pair *pair, struct measurement *m, struct trial_results *t,
               struct err *err)
{
    const struct measure_ask *ask = pair->ask;
    uint64_t began = clock_mono_ns(), confirm_ns = ask->duration_ns <= CLOCK_S
                                                       ? ask->duration_ns
                                                       : SEARCH_CONFIRM_MS * (uint64_t)CLOCK_MS;
    struct rate_search s;
    int r;

    m->searched = true;
    m->search.loss_target = ask->loss_target[0];
    rate_search_init(&s, ask->loss_target[0], ask->spec.payload_bytes,
                     SEARCH_BUDGET_MS * (uint64_t)CLOCK_MS);
    r = search_probes(pair, &s, &m->search, err);
    if (r < 0)
        return r;
    m->limit = s.limit == RATE_SEARCH_SENDER ? LIMIT_SENDER : LIMIT_PATH;
    r = search_confirm(pair, &s, &m->search, began, confirm_ns, t, err);
    m->search.duration_ns = clock_mono_ns() - began;
    if (r < 0 || confirm_ns == ask->duration_ns)
        return r;
    trial_results_done(t);
    *t = (struct trial_results){0};
    return session_pair_measure(pair, (uint64_t)s.answer_bps, ask->duration_ns, t, err);
}
