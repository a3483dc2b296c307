/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/search_run.h"
#include "base/clock.h"
#include "base/stat.h"
#include "plan/rate_search.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SEARCH_TAIL_MS = 2,      /* of a probe */
    SEARCH_BUDGET_MS = 950,  /* all probes of the first target */
    SEARCH_FURTHER_MS = 200, /* all probes of a further one */
    SEARCH_CONFIRM_MS = 500,
    SEARCH_WARMUP_MS = 100,  /* of a confirming trial that is not the measurement */
    SEARCH_OVERHEAD_MS = 30, /* of a trial: lead, tail, drain, answers */
    SEARCH_ENOUGH = 3,       /* none of so many over the target lost: below it, at 95 % */
};

/* At this rate a sender that may choose puts as many datagrams into a call as it can. */
static const uint64_t all_bps = 1000000000000;

/* Rates that differ by less are one; an offered rate that is further below is a disturbance. */
static const double same_rate = 0.003, offered_share = 0.9925, busy_share = 0.97;

struct search_ctx {
    struct session_pair *pair;
    struct rate_search s;
    struct search *search;
    uint64_t began_ns;
    double carried_bps; /* what arrived of what was too much for the first target */
    bool reverse;
};

static const struct metric_set *search_sender(const struct trial_results *t, bool reverse)
{
    return reverse ? &t->server[0][FLOW_SENT].metrics : &t->client[FLOW_SENT].metrics;
}

static struct rate_search_seen search_seen(const struct trial_results *t, bool reverse)
{
    const struct metric_set *s = search_sender(t, reverse),
                            *r = reverse ? &t->client[FLOW_RECEIVED].metrics
                                         : &t->server[0][FLOW_RECEIVED].metrics;
    double cpu_ns = metric_get_real(s, METRIC_cpu_ns),
           busy = metric_get_real(s, METRIC_busiest_thread_share);
    struct rate_search_seen seen = {
        .sent = metric_get(s, METRIC_sent),
        .offered_bps = metric_get_real(s, METRIC_offered_bps),
        .received_bps = metric_get_real(r, r->has[METRIC_dispersion_bps] ? METRIC_dispersion_bps
                                                                         : METRIC_throughput_bps),
        .delay_slope = metric_get_real(r, METRIC_delay_slope),
        .delay_growth_ns = metric_get_real(r, METRIC_delay_growth_ns),
        .latest_ns = metric_get(s, METRIC_latest_ns),
        .blocked_ns = metric_get(s, METRIC_blocked_ns),
        .busy_share = busy,
        .spare_share = cpu_ns > 0 ? busy * metric_get_real(s, METRIC_cpu_user_ns) / cpu_ns : 0,
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
    struct flow_trial trial = {.rate_bps = step->merged ? all_bps : step->rate_bps,
                               .warmup_ns = step->warmup_ns,
                               .duration_ns = step->duration_ns,
                               .tail_ns = (uint64_t)SEARCH_TAIL_MS * CLOCK_MS};
    struct trial_results t;
    int r = session_pair_run(pair, &trial, 1, &t, err);

    *ret = search_seen(&t, pair->ask->spec.direction == FLOW_REVERSE);
    trial_results_done(&t);
    return r;
}

static int search_probes(struct search_ctx *c, struct err *err)
{
    struct rate_search_step step = {0};
    struct rate_search_seen seen = {0};

    while (rate_search_next(&c->s, &step)) {
        int r = search_probe(c->pair, &step, &seen, err);

        if (r < 0)
            return err_wrap(err, r, "probe %u of the rate search", c->s.n_probes + 1);
        r = search_note(c->search, &step, &seen,
                        rate_search_verdict_name[rate_search_seen(&c->s, &step, &seen)], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What a trial at an asked rate says of a target. */
static void search_answer(struct search_target *target, const struct rate_search_step *step,
                          const struct rate_search_seen *seen, bool confirmed)
{
    struct stat_interval loss = stat_share_interval(seen->lost, seen->sent);

    target->rate_bps = step->rate_bps;
    target->received_bps = seen->received_bps;
    target->loss_share = seen->sent ? (double)seen->lost / (double)seen->sent : 0;
    target->loss_low_share = loss.low;
    target->loss_high_share = loss.high;
    target->duration_ns = step->duration_ns;
    target->confirmed = confirmed;
}

/* A confirming trial of this target: the first one as asked for, the others short. */
static struct flow_trial search_trial(const struct search_ctx *c, uint64_t duration_ns)
{
    const uint64_t most = SEARCH_CONFIRM_MS * (uint64_t)CLOCK_MS,
                   warmup = SEARCH_WARMUP_MS * (uint64_t)CLOCK_MS;
    bool first = c->s.n_confirms == 0, measures = c->search->n_targets == 1;
    struct flow_trial trial = session_pair_trial(c->pair, (uint64_t)c->s.answer_bps,
                                                 first || duration_ns < most ? duration_ns : most);

    if (!measures)
        trial.interval_ns = 0;
    if ((!first || !measures) && trial.warmup_ns > warmup)
        trial.warmup_ns = warmup;
    return trial;
}

/*
 * Trials at the rate found until one holds, or the time is over. One that was disturbed is repeated, and the better
 * of the two is kept: t.
 */
static int search_confirm(struct search_ctx *c, struct search_target *target, uint64_t duration_ns,
                          struct trial_results *t, struct err *err)
{
    static const char *const words[] = {
        [CONFIRM_HOLDS] = "confirmed", [CONFIRM_LOWER] = "over", [CONFIRM_DISTURBED] = "spoiled"};
    enum rate_search_confirmed said = CONFIRM_LOWER;
    double best_bps = 0;

    while (said != CONFIRM_HOLDS) {
        struct flow_trial trial = search_trial(c, duration_ns);
        const struct rate_search_step step = {.rate_bps = trial.rate_bps,
                                              .duration_ns = trial.duration_ns};
        uint64_t cost_ns =
            trial.duration_ns + trial.warmup_ns + SEARCH_OVERHEAD_MS * (uint64_t)CLOCK_MS;
        enum rate_search_confirmed before = said;
        struct trial_results found = {0};
        struct rate_search_seen seen;
        int r;

        if (!rate_search_may_confirm(&c->s, clock_mono_ns() - c->began_ns, cost_ns))
            break;
        r = session_pair_run(c->pair, &trial, 1, &found, err);
        seen = search_seen(&found, c->reverse);
        if (r == 0) {
            said = rate_search_confirm(&c->s, step.duration_ns, &seen);
            r = search_note(c->search, &step, &seen, words[said], err);
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
        search_answer(target, &step, &seen, said == CONFIRM_HOLDS);
        if (r < 0)
            return r;
    }
    return 0;
}

/* How long a further target's confirming trial is. */
static uint64_t search_enough_ns(const struct search_ctx *c, uint64_t most_ns)
{
    const uint64_t least_ns = SEARCH_CONFIRM_MS * (uint64_t)CLOCK_MS;
    double ns = SEARCH_ENOUGH / c->s.loss_target * 8 * c->s.payload_bytes / c->s.answer_bps * 1e9;

    if (!(ns > (double)least_ns) || most_ns < least_ns)
        return least_ns;
    return ns < (double)most_ns ? (uint64_t)ns : most_ns;
}

/* The targets behind the first one, each from where the one before ended. */
static int search_further(struct search_ctx *c, uint64_t confirm_ns, struct err *err)
{
    const struct measure_ask *ask = c->pair->ask;
    const uint64_t more_ns = (SEARCH_CONFIRM_MS + SEARCH_WARMUP_MS) * (uint64_t)CLOCK_MS,
                   budget_ns = SEARCH_FURTHER_MS * (uint64_t)CLOCK_MS;

    for (uint32_t i = 1; i < ask->n_loss_targets && i < SEARCH_MAX_TARGETS; i++) {
        const struct search_target *before = &c->search->target[i - 1];
        struct search_target *target = &c->search->target[i];
        struct trial_results t = {0};
        int r;

        c->search->n_targets = i + 1;
        target->loss_target = ask->loss_target[i];
        rate_search_target(&c->s, target->loss_target, budget_ns, clock_mono_ns() - c->began_ns,
                           more_ns);
        r = search_probes(c, err);
        if (r < 0)
            return r;
        if (!before->confirmed || fabs(c->s.answer_bps / (double)before->rate_bps - 1) > same_rate)
            r = search_confirm(c, target, search_enough_ns(c, confirm_ns), &t, err);
        trial_results_done(&t);
        if (r < 0)
            return r;
        if (before->confirmed &&
            (!target->confirmed || target->received_bps < before->received_bps * (1 - same_rate))) {
            *target = *before;
            target->loss_target = ask->loss_target[i];
        }
    }
    return 0;
}

/* The last trial was not what it should have been: a reader must know. */
static void search_warn(const struct search_ctx *c, struct measurement *m,
                        const struct trial_results *t)
{
    struct rate_search_seen seen = search_seen(t, c->reverse);
    double asked = metric_get_real(search_sender(t, c->reverse), METRIC_requested_bps);
    bool sender = m->limit == LIMIT_SENDER;

    if (sender && seen.busy_share > 0 && seen.busy_share < busy_share)
        snprintf(m->warning, sizeof m->warning,
                 "disturbed: the sender had a CPU only %.0f %% of the time, it can do more",
                 seen.busy_share * 100);
    else if (!sender && seen.offered_bps < offered_share * asked)
        snprintf(m->warning, sizeof m->warning,
                 "disturbed: the sender was kept from %.1f %% of what it should have sent; of too "
                 "much the path carried %.1f Mbit/s",
                 (1 - seen.offered_bps / asked) * 100, c->carried_bps / 1e6);
}

/* A test that is longer than a confirming trial: at the first target's rate. */
static int search_measure(struct search_ctx *c, const struct measure_ask *ask,
                          struct trial_results *t, struct err *err)
{
    struct search_target *target = &c->search->target[0];
    const struct rate_search_step step = {.rate_bps = target->rate_bps,
                                          .duration_ns = ask->duration_ns};
    struct rate_search_seen seen;
    int r;

    trial_results_done(t);
    *t = (struct trial_results){0};
    r = session_pair_measure(c->pair, step.rate_bps, step.duration_ns, t, err);
    if (r < 0)
        return r;
    seen = search_seen(t, c->reverse);
    search_answer(target, &step, &seen,
                  seen.sent && (double)seen.lost <= target->loss_target * (double)seen.sent);
    return 0;
}

int search_run(struct session_pair *pair, struct measurement *m, struct trial_results *t,
               struct err *err)
{
    const struct measure_ask *ask = pair->ask;
    const uint64_t confirm_ns =
        ask->duration_ns <= CLOCK_S ? ask->duration_ns : SEARCH_CONFIRM_MS * (uint64_t)CLOCK_MS;
    struct search_ctx c = {.pair = pair,
                           .search = &m->search,
                           .began_ns = clock_mono_ns(),
                           .reverse = ask->spec.direction == FLOW_REVERSE};
    int r;

    m->searched = true;
    m->search.loss_target = m->search.target[0].loss_target = ask->loss_target[0];
    m->search.n_targets = 1;
    rate_search_init(&c.s, ask->loss_target[0], flow_spec_mean_payload(&ask->spec),
                     SEARCH_BUDGET_MS * (uint64_t)CLOCK_MS);
    c.s.merges = ask->spec.gso == 0 && !ask->spec.imix;
    r = search_probes(&c, err);
    if (r < 0)
        return r;
    r = search_confirm(&c, &m->search.target[0], confirm_ns, t, err);
    m->search.confirmed = m->search.target[0].confirmed;
    c.carried_bps = c.s.estimate_bps;
    m->limit = c.s.limit == RATE_SEARCH_SENDER ? LIMIT_SENDER : LIMIT_PATH;
    if (r == 0)
        r = search_further(&c, confirm_ns, err);
    m->search.duration_ns = clock_mono_ns() - c.began_ns;
    if (r == 0 && confirm_ns != ask->duration_ns)
        r = search_measure(&c, ask, t, err);
    if (r == 0)
        search_warn(&c, m, t);
    return r;
}
