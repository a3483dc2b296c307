/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/measure.h"
#include "base/clock.h"
#include "base/stat.h"
#include "plan/limit.h"
#include "plan/rate_search.h"
#include "plan/session_pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEASURE_TAIL_MS =
        20, /* the sender's after the window, so that the receiver's window is loaded to its end */
    MEASURE_PROBE_TAIL_MS = 2,
    SEARCH_BUDGET_MS = 950, /* all probes */
    SEARCH_CONFIRM_MS = 500,
    SEARCH_OVERHEAD_MS = 30, /* of a trial: lead, tail, drain, answers */
};

uint64_t measure_warmup(enum flow_kind kind, uint64_t duration_ns)
{
    uint64_t most = kind == FLOW_TCP_STREAM || kind == FLOW_UDP_STREAM ? CLOCK_S : CLOCK_S / 20;

    return duration_ns / 5 < most ? duration_ns / 5 : most;
}

static bool measure_asks(enum flow_kind kind)
{
    return kind == FLOW_ICMP_ECHO || kind == FLOW_TCP_RR || kind == FLOW_UDP_RR;
}

/* Metrics of the whole: each from the side that knows. */
static void measure_headline_stream(struct measurement *m)
{
    const struct metric_set *s = &m->sender.metrics, *r = &m->receiver.metrics;
    static const enum metric from_receiver[] = {
        METRIC_window_ns, METRIC_throughput_bps, METRIC_received_pps,
        METRIC_reordered, METRIC_duplicated,     METRIC_longest_loss,
        METRIC_jitter_ns, METRIC_delay_slope,    METRIC_delay_growth_ns};
    static const enum metric from_sender[] = {
        METRIC_requested_bps, METRIC_offered_bps,    METRIC_offered_pps, METRIC_retransmits,
        METRIC_cwnd_bytes,    METRIC_cwnd_max_bytes, METRIC_mss_bytes,   METRIC_pmtu_bytes,
        METRIC_connect_ns,    METRIC_late,           METRIC_latest_ns,   METRIC_skipped};

    for (size_t i = 0; i < sizeof from_receiver / sizeof *from_receiver; i++)
        if (r->has[from_receiver[i]])
            metric_put_real(&m->headline, from_receiver[i], metric_get_real(r, from_receiver[i]));
    for (size_t i = 0; i < sizeof from_sender / sizeof *from_sender; i++)
        if (s->has[from_sender[i]])
            metric_put_real(&m->headline, from_sender[i], metric_get_real(s, from_sender[i]));
}

/* Loss: the sender knows what it sent, the receiver what came, and only both together what is missing. */
static void measure_headline_loss(struct measurement *m)
{
    const struct metric_set *s = &m->sender.metrics, *r = &m->receiver.metrics;
    uint64_t sent = metric_get(s, METRIC_sent), received = metric_get(r, METRIC_received), lost,
             in_socket;
    struct stat_interval interval;

    if (!s->has[METRIC_sent] || !r->has[METRIC_received] || sent == 0)
        return;
    lost = sent > received ? sent - received : 0;
    in_socket = metric_get(r, METRIC_lost_in_socket);
    interval = stat_share_interval(lost, sent);
    metric_put(&m->headline, METRIC_sent, sent);
    metric_put(&m->headline, METRIC_received, received);
    metric_put(&m->headline, METRIC_lost, lost);
    if (r->has[METRIC_lost_in_socket]) {
        if (in_socket > lost)
            in_socket = lost; /* the socket also counts what was dropped of warm-up and tail */
        metric_put(&m->headline, METRIC_lost_in_socket, in_socket);
        metric_put(&m->headline, METRIC_lost_on_path, lost - in_socket);
    }
    metric_put_real(&m->headline, METRIC_loss_share, (double)lost / (double)sent);
    metric_put_real(&m->headline, METRIC_loss_low_share, interval.low);
    metric_put_real(&m->headline, METRIC_loss_high_share, interval.high);
}

static void measure_headline_asks(struct measurement *m)
{
    static const enum metric from_client[] = {
        METRIC_window_ns,   METRIC_sent,           METRIC_received,           METRIC_lost,
        METRIC_loss_share,  METRIC_loss_low_share, METRIC_loss_high_share,    METRIC_reordered,
        METRIC_duplicated,  METRIC_transactions,   METRIC_transactions_per_s, METRIC_timeouts,
        METRIC_retransmits, METRIC_connect_ns,     METRIC_mss_bytes,          METRIC_pmtu_bytes};

    for (size_t i = 0; i < sizeof from_client / sizeof *from_client; i++)
        if (m->sender.metrics.has[from_client[i]])
            metric_put_real(&m->headline, from_client[i],
                            metric_get_real(&m->sender.metrics, from_client[i]));
}

static void measure_placement(struct measurement *m)
{
    const struct metric_set *s = &m->sender.metrics, *r = &m->receiver.metrics;

    if (s->has[METRIC_cpu] && r->has[METRIC_cpu])
        snprintf(m->placement, sizeof m->placement, "%s",
                 metric_get(s, METRIC_cpu) == metric_get(r, METRIC_cpu) ? "same" : "different");
}

static void measure_warn(struct measurement *m)
{
    double loss = metric_get_real(&m->headline, METRIC_loss_share),
           asked = metric_get_real(&m->headline, METRIC_requested_bps),
           offered = metric_get_real(&m->headline, METRIC_offered_bps);

    if (strcmp(m->sender.congestion_control, "bbr") == 0)
        snprintf(m->warning, sizeof m->warning,
                 "bbr paces itself below what the path can do; compare with --cc cubic");
    else if (m->searched && !m->search.confirmed)
        snprintf(m->warning, sizeof m->warning,
                 "loss stayed above the target of %.3g %% in every confirming trial: no rate was "
                 "confirmed",
                 m->search.loss_target * 100);
    else if (m->searched && loss > m->search.loss_target)
        snprintf(m->warning, sizeof m->warning,
                 "the final trial lost %.3g %%, more than the target of %.3g %%", loss * 100,
                 m->search.loss_target * 100);
    else if (m->searched && m->limit == LIMIT_PATH && offered < 0.97 * asked)
        snprintf(m->warning, sizeof m->warning,
                 "the sender was kept from its CPU: it offered %.0f %% of the rate that was found",
                 offered / asked * 100);
}

/* Move one direction's parts into a measurement. */
static void measure_fill(struct measurement *m, const struct measure_path *path,
                         const struct measure_ask *ask, bool reverse, uint16_t port,
                         struct trial_results *t)
{
    struct flow_result *sender = reverse ? &t->server[FLOW_SENT] : &t->client[FLOW_SENT];
    struct flow_result *receiver = reverse ? &t->client[FLOW_RECEIVED] : &t->server[FLOW_RECEIVED];

    m->kind = ask->kind;
    m->reverse = reverse;
    m->payload_bytes = ask->payload_bytes;
    m->n_flows = ask->n_flows;
    m->warmup_ns = ask->warmup_ns;
    m->port = port;
    m->sender = *sender;
    m->receiver = *receiver;
    *sender = *receiver = (struct flow_result){0};
    if (measure_asks(ask->kind)) {
        measure_headline_asks(m);
        if (path->same_machine && ask->kind != FLOW_ICMP_ECHO)
            measure_placement(m);
    } else {
        measure_headline_stream(m);
        if (ask->kind == FLOW_UDP_STREAM)
            measure_headline_loss(m);
    }
}

/* A trial that "worked" and brought nothing has failed. */
static int measure_check(const struct measurement *m, struct err *err)
{
    bool nothing = false;

    if (m->kind == FLOW_ICMP_ECHO)
        nothing = metric_get(&m->headline, METRIC_received) == 0;
    else if (measure_asks(m->kind))
        nothing = metric_get(&m->headline, METRIC_transactions) == 0;
    else
        nothing = metric_get(&m->receiver.metrics, METRIC_bytes) == 0;
    if (!nothing)
        return 0;
    err_say(err,
            m->kind == FLOW_ICMP_ECHO ? "none of %llu echo requests was answered"
                                      : "nothing arrived",
            (unsigned long long)metric_get(&m->headline, METRIC_sent));
    if (err)
        err->code = ENODATA;
    return -ENODATA;
}

static struct rate_search_seen measure_seen(const struct trial_results *t, bool reverse)
{
    const struct metric_set *s = reverse ? &t->server[FLOW_SENT].metrics
                                         : &t->client[FLOW_SENT].metrics,
                            *r = reverse ? &t->client[FLOW_RECEIVED].metrics
                                         : &t->server[FLOW_RECEIVED].metrics;
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
                               .tail_ns = (uint64_t)MEASURE_PROBE_TAIL_MS * CLOCK_MS};
    struct trial_results t;
    int r = session_pair_run(pair, trial, &t, err);

    *ret = measure_seen(&t, pair->ask->direction == FLOW_REVERSE);
    trial_results_done(&t);
    return r;
}

/* The trial whose numbers are reported: at the rate found, of the length that was asked for. */
static int measure_final(struct session_pair *pair, const struct measure_ask *ask,
                         uint64_t rate_bps, uint64_t duration_ns, struct trial_results *t,
                         struct err *err)
{
    struct flow_trial trial = {
        .rate_bps = rate_bps,
        .warmup_ns = ask->warmup_ns < duration_ns ? ask->warmup_ns : duration_ns / 5,
        .duration_ns = duration_ns,
        .tail_ns = measure_asks(ask->kind) ? 0 : (uint64_t)MEASURE_TAIL_MS * CLOCK_MS,
        .interval_ns = ask->interval_ns};

    return session_pair_run(pair, trial, t, err);
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
        int r = measure_final(pair, ask, step.rate_bps, duration_ns, &found, err);
        struct rate_search_seen seen = measure_seen(&found, ask->direction == FLOW_REVERSE);

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

/*
 * Probes, then confirming trials. A test of up to 1 s is its own confirming trial; longer ones are confirmed in half a
 * second first, so that a wrong guess does not cost the whole length.
 */
static int measure_search(struct session_pair *pair, struct measurement *m, struct trial_results *t,
                          struct err *err)
{
    const struct measure_ask *ask = pair->ask;
    uint64_t began = clock_mono_ns(), confirm_ns = ask->duration_ns <= CLOCK_S
                                                       ? ask->duration_ns
                                                       : SEARCH_CONFIRM_MS * (uint64_t)CLOCK_MS;
    struct rate_search s;
    int r;

    m->searched = true;
    m->search.loss_target = ask->loss_target;
    rate_search_init(&s, ask->loss_target, ask->payload_bytes,
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
    return measure_final(pair, ask, (uint64_t)s.answer_bps, ask->duration_ns, t, err);
}

int measure(const struct measure_path *path, const struct measure_ask *ask,
            const struct measure_watch *watch, struct measurement ret[2], unsigned *ret_n,
            struct err *err)
{
    struct trial_results t = {0};
    struct session_pair pair;
    unsigned n = 0;
    int r;

    ret[0] = ret[1] = (struct measurement){0};
    r = session_pair_open(&pair, path, ask, watch, err);
    if (r == 0)
        r = ask->search ? measure_search(&pair, &ret[0], &t, err)
                        : measure_final(&pair, ask, ask->rate_bps, ask->duration_ns, &t, err);
    session_pair_close(&pair);
    if (ask->direction & FLOW_FORWARD)
        measure_fill(&ret[n++], path, ask, false, pair.port, &t);
    if (ask->direction & FLOW_REVERSE)
        measure_fill(&ret[n++], path, ask, true, pair.port, &t);
    trial_results_done(&t);
    for (unsigned i = 0; i < n && r == 0; i++) {
        limit_judge(&ret[i]);
        measure_warn(&ret[i]);
        r = measure_check(&ret[i], err);
    }
    if (r < 0 && err)
        for (unsigned i = 0; i < n; i++)
            snprintf(ret[i].error, sizeof ret[i].error, "%.*s", (int)sizeof ret[i].error - 1,
                     err->text);
    *ret_n = n;
    return r;
}
