/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/measure.h"
#include "base/clock.h"
#include "base/stat.h"
#include "plan/limit.h"
#include "plan/search_run.h"
#include "plan/session_pair.h"
#include "plan/warning.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    static const enum metric from_client[] = {METRIC_window_ns,
                                              METRIC_sent,
                                              METRIC_received,
                                              METRIC_lost,
                                              METRIC_loss_share,
                                              METRIC_loss_low_share,
                                              METRIC_loss_high_share,
                                              METRIC_reordered,
                                              METRIC_duplicated,
                                              METRIC_transactions,
                                              METRIC_transactions_per_s,
                                              METRIC_timeouts,
                                              METRIC_retransmits,
                                              METRIC_connect_ns,
                                              METRIC_late,
                                              METRIC_latest_ns,
                                              METRIC_skipped,
                                              METRIC_mss_bytes,
                                              METRIC_pmtu_bytes};

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

static int measure_both(const struct measure_path *path, const struct measure_ask *ask,
                        const struct measure_watch *watch, struct measurement ret[2],
                        unsigned *ret_n, struct err *err)
{
    struct trial_results t = {0};
    struct session_pair pair;
    unsigned n = 0;
    int r;

    ret[0] = ret[1] = (struct measurement){0};
    r = session_pair_open(&pair, path, ask, watch, err);
    if (r == 0)
        r = ask->search ? search_run(&pair, &ret[0], &t, err)
                        : session_pair_measure(&pair, ask->rate_bps, ask->duration_ns, &t, err);
    session_pair_close(&pair);
    if (ask->direction & FLOW_FORWARD)
        measure_fill(&ret[n++], path, ask, false, pair.port, &t);
    if (ask->direction & FLOW_REVERSE)
        measure_fill(&ret[n++], path, ask, true, pair.port, &t);
    trial_results_done(&t);
    for (unsigned i = 0; i < n && r == 0; i++) {
        limit_judge(&ret[i]);
        warning_judge(&ret[i], strchr(path->address, ':'));
        r = measure_check(&ret[i], err);
    }
    if (r < 0 && err)
        for (unsigned i = 0; i < n; i++)
            snprintf(ret[i].error, sizeof ret[i].error, "%.*s", (int)sizeof ret[i].error - 1,
                     err->text);
    *ret_n = n;
    return r;
}

int measure(const struct measure_path *path, const struct measure_ask *ask,
            const struct measure_watch *watch, struct scenario_result *scenario, struct err *err)
{
    struct measurement found[2];
    unsigned n = 0;
    int r = measure_both(path, ask, watch, found, &n, err);

    for (unsigned i = 0; i < n; i++) {
        struct measurement *room = scenario_result_add(scenario);

        if (room) {
            *room = found[i];
        } else {
            measurement_done(&found[i]);
            r = r < 0 ? r : err_set(err, ENOMEM, "memory for a measurement");
        }
    }
    return r;
}
