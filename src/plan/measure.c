/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/measure.h"
#include "base/clock.h"
#include "base/stat.h"
#include "base/text.h"
#include "plan/limit.h"
#include "plan/search_run.h"
#include "plan/session_pair.h"
#include "plan/warmup.h"
#include "plan/warning.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEASURE_WARM_MS = 20 }; /* before a trial whose connections are warm */

uint64_t measure_warmup(enum flow_kind kind, uint64_t duration_ns)
{
    uint64_t most = flow_kind_asks(kind) ? CLOCK_S / 20 : CLOCK_S;

    return duration_ns / 5 < most ? duration_ns / 5 : most;
}

/* Metrics of the whole: each from the side that knows. */
static void measure_headline_stream(struct measurement *m)
{
    const struct metric_set *s = &m->sender.metrics, *r = &m->receiver.metrics;
    static const enum metric from_receiver[] = {
        METRIC_window_ns,   METRIC_throughput_bps, METRIC_received_pps, METRIC_reordered,
        METRIC_duplicated,  METRIC_longest_loss,   METRIC_loss_bursts,  METRIC_jitter_ns,
        METRIC_delay_slope, METRIC_delay_growth_ns};
    static const enum metric from_sender[] = {
        METRIC_requested_bps, METRIC_offered_bps,         METRIC_offered_pps,
        METRIC_retransmits,   METRIC_cwnd_bytes,          METRIC_cwnd_max_bytes,
        METRIC_mss_bytes,     METRIC_pmtu_bytes,          METRIC_connect_ns,
        METRIC_late,          METRIC_latest_ns,           METRIC_skipped,
        METRIC_segments,      METRIC_requested_mss_bytes, METRIC_requested_window_bytes,
        METRIC_dscp};

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

/* Loss as a foreign receiver counts it, or ours of what it sent: all of it, warm-up and tail too. */
static void measure_headline_far_loss(struct measurement *m)
{
    static const enum metric loss[] = {METRIC_sent,           METRIC_received,
                                       METRIC_lost,           METRIC_loss_share,
                                       METRIC_loss_low_share, METRIC_loss_high_share};

    for (size_t i = 0; i < sizeof loss / sizeof *loss && m->kind == FLOW_UDP_STREAM; i++)
        if (m->receiver.metrics.has[loss[i]])
            metric_put_real(&m->headline, loss[i], metric_get_real(&m->receiver.metrics, loss[i]));
}

/* What our own sockets dropped of requests and answers. */
static void measure_headline_asks_in_socket(struct measurement *m)
{
    const struct metric_set *s = &m->sender.metrics, *r = &m->receiver.metrics;
    uint64_t lost = metric_get(s, METRIC_lost), in_socket;

    if (!s->has[METRIC_lost] || (!s->has[METRIC_lost_in_socket] && !r->has[METRIC_lost_in_socket]))
        return;
    in_socket = metric_get(s, METRIC_lost_in_socket) + metric_get(r, METRIC_lost_in_socket);
    if (in_socket > lost)
        in_socket = lost; /* warm-up, tail, and answers that came too late are counted there, too */
    metric_put(&m->headline, METRIC_lost_in_socket, in_socket);
    metric_put(&m->headline, METRIC_lost_on_path, lost - in_socket);
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
                                              METRIC_missed,
                                              METRIC_forward_min_ns,
                                              METRIC_forward_p50_ns,
                                              METRIC_forward_p99_ns,
                                              METRIC_forward_max_ns,
                                              METRIC_backward_min_ns,
                                              METRIC_backward_p50_ns,
                                              METRIC_backward_p99_ns,
                                              METRIC_backward_max_ns,
                                              METRIC_clock_error_ns,
                                              METRIC_clock_ahead_ns,
                                              METRIC_clock_drift_share,
                                              METRIC_clock_at_ns,
                                              METRIC_reflector_ns,
                                              METRIC_dscp,
                                              METRIC_mss_bytes,
                                              METRIC_pmtu_bytes};

    for (size_t i = 0; i < sizeof from_client / sizeof *from_client; i++)
        if (m->sender.metrics.has[from_client[i]])
            metric_put_real(&m->headline, from_client[i],
                            metric_get_real(&m->sender.metrics, from_client[i]));
    measure_headline_asks_in_socket(m);
}

/* Where the two ends ran at the end; a stream's threads wander, unless they were bound. */
static void measure_placement(struct measurement *m)
{
    const struct metric_set *s = &m->sender.metrics, *r = &m->receiver.metrics;
    enum metric cpu = flow_kind_asks(m->kind) ? METRIC_cpu : METRIC_pinned_cpu;

    if (s->has[cpu] && r->has[cpu])
        snprintf(m->placement, sizeof m->placement, "%s",
                 metric_get(s, cpu) == metric_get(r, cpu) ? "same" : "different");
}

/* Where the parts of one direction are: of a foreign peer the client tells what it said. */
static void measure_parts(struct trial_results *t, const struct session_pair *pair, bool reverse,
                          unsigned server, struct flow_result **ret_sender,
                          struct flow_result **ret_receiver)
{
    bool foreign = pair->n_servers == 0;

    if (reverse) {
        *ret_sender = foreign ? &t->client[FLOW_FAR_SENT] : &t->server[server][FLOW_SENT];
        *ret_receiver = &t->client[FLOW_RECEIVED];
    } else {
        *ret_sender = &t->client[FLOW_SENT];
        *ret_receiver = foreign ? &t->client[FLOW_FAR_RECEIVED] : &t->server[server][FLOW_RECEIVED];
    }
}

static void measure_describe(struct measurement *m, const struct session_pair *pair, bool reverse)
{
    const struct measure_ask *ask = pair->ask;

    m->kind = ask->spec.kind;
    m->peer = ask->spec.peer;
    m->io = ask->spec.io;
    m->reverse = reverse;
    m->spin = ask->spec.spin;
    m->pinned = ask->spec.pin;
    m->imix = ask->spec.imix;
    m->gap_ns = ask->spec.gap_ns;
    m->payload_bytes = ask->spec.payload_bytes;
    m->n_flows = ask->spec.n_flows;
    m->warmup_ns = ask->warmup_ns;
    m->port = pair->n_servers ? pair->port : ask->spec.peer ? ask->spec.port : 0;
    m->load = ask->load;
}

/* Move one direction's parts into a measurement. The sender's part of a group is every receiver's, and is copied. */
static int measure_fill(struct measurement *m, const struct session_pair *pair, bool reverse,
                        unsigned server, struct trial_results *t)
{
    struct flow_result *sender, *receiver;
    int r = 0;

    measure_parts(t, pair, reverse, server, &sender, &receiver);
    measure_describe(m, pair, reverse);
    m->receiver = *receiver;
    *receiver = (struct flow_result){0};
    if (server + 1 < pair->n_servers) {
        r = flow_result_copy(sender, &m->sender);
    } else {
        m->sender = *sender;
        *sender = (struct flow_result){0};
    }
    if (r == 0)
        r = node_cpus_copy(&t->cpu, &m->cpu);
    if (pair->n_servers > 1)
        text_copy(m->to, sizeof m->to, pair->server[server]->name);
    if (pair->path->same_machine && pair->n_servers)
        measure_placement(m);
    if (flow_kind_asks(m->kind)) {
        measure_headline_asks(m);
    } else {
        measure_headline_stream(m);
        if (m->peer != FLOW_PEER_AGENT)
            measure_headline_far_loss(m);
        else if (m->kind != FLOW_TCP_STREAM)
            measure_headline_loss(m);
    }
    return r;
}

/* A trial that "worked" and brought nothing has failed. */
static int measure_check(const struct measurement *m, struct err *err)
{
    bool nothing = false;

    if (m->kind == FLOW_ICMP_ECHO || m->kind == FLOW_STAMP)
        nothing = metric_get(&m->headline, METRIC_received) == 0;
    else if (flow_kind_asks(m->kind))
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

/* Judge what was found; r is how the trial went. */
static int measure_judge(struct measurement *m, const struct measure_path *path, int r,
                         struct err *err)
{
    if (r == 0) {
        limit_judge(m);
        warning_judge(m, strchr(path->address, ':'));
        r = measure_check(m, err);
    }
    if (r < 0 && err)
        snprintf(m->error, sizeof m->error, "%.*s", (int)sizeof m->error - 1, err->text);
    return r;
}

/* Of several receivers each for itself: one that heard nothing does not spoil what the others heard. */
static int measure_judge_one(struct measurement *m, const struct session_pair *pair, bool has,
                             int r, struct err *err)
{
    struct err own = {0};
    int judged;

    if (pair->n_servers < 2 || !has || r == -ECANCELED)
        return measure_judge(m, pair->path, r, err);
    judged = measure_judge(m, pair->path, 0, &own);
    if (judged < 0 && r == 0) {
        r = err_wrap(&own, judged, "%s", m->to);
        if (err)
            *err = own;
    }
    return r;
}

int measure_add(const struct session_pair *pair, struct trial_results *t,
                const struct measurement *searched, int r, struct scenario_result *scenario,
                struct err *err)
{
    const enum flow_direction direction = pair->ask->spec.direction;
    unsigned n_servers = pair->n_servers ? pair->n_servers : 1;

    for (int reverse = 0; reverse < 2; reverse++) {
        if (!(direction & (reverse ? FLOW_REVERSE : FLOW_FORWARD)))
            continue;
        for (unsigned server = 0; server < n_servers; server++) {
            struct measurement *m = scenario_result_add(scenario);
            int filled;

            if (!m)
                return err_set(err, ENOMEM, "memory for a measurement");
            if (searched)
                *m = *searched;
            filled = measure_fill(m, pair, reverse, server, t);
            if (filled < 0)
                return err_set(err, filled, "memory for a measurement");
            r = measure_judge_one(m, pair, t->server_has[server][FLOW_RECEIVED], r, err);
        }
    }
    return r;
}

/* Pilots over the pair's connections, then the trial; what both warmed up is in known and the ask. */
static int measure_warmed(struct session_pair *pair, struct measure_ask *ask,
                          struct measurement *known, struct trial_results *t, struct err *err)
{
    uint64_t pilots_ns = 0;
    int r = warmup_find(pair, &pilots_ns, &known->warmup_found, err);

    if (r < 0)
        return r;
    ask->warmup_ns = MEASURE_WARM_MS * (uint64_t)CLOCK_MS;
    r = session_pair_measure(pair, ask->rate_bps, ask->duration_ns, t, err);
    ask->warmup_ns += pilots_ns;
    if (!known->warmup_found)
        snprintf(known->warning, sizeof known->warning,
                 "the rate still rose after %.1f s of warm-up", (double)ask->warmup_ns / CLOCK_S);
    return r;
}

/*
 * Where nobody chose CPUs and both ends share them, the scheduler would choose between two quite different numbers from one
 * run to the next: on one CPU an answer is a switch of threads, on two it wakes a sleeping CPU. So sleeping ends are put on
 * one, spinning ends on two, and the result says so. One lean flow one way is as two-faced: its receiver has so little to do
 * that a second CPU costs more than it gives.
 */
static void measure_pin(const struct measure_path *path, struct measure_ask *ask)
{
    const struct flow_spec *spec = &ask->spec;
    bool lean = spec->kind == FLOW_TCP_STREAM && spec->io == FLOW_IO_LEAN && spec->n_flows == 1 &&
                spec->direction != FLOW_BOTH;

    if (!path->same_machine || !path->server || spec->pin || ask->pin_server ||
        (!lean && !flow_kind_asks(spec->kind)))
        return;
    ask->spec.pin = 1;
    ask->pin_server = ask->spec.spin ? 2 : 1;
}

int measure(const struct measure_path *path, const struct measure_ask *asked,
            const struct measure_watch *watch, struct scenario_result *scenario, struct err *err)
{
    struct measurement known = {0};
    struct measure_ask ask = *asked;
    struct trial_results t = {0};
    struct session_pair pair;
    int r;

    measure_pin(path, &ask);
    r = session_pair_open(&pair, path, &ask, watch, err);
    if (r < 0)
        ; /* what there is of it is added all the same */
    else if (ask.search)
        r = search_run(&pair, &known, &t, err);
    else if (ask.warmup_find && ask.spec.kind == FLOW_TCP_STREAM && pair.n_servers)
        r = measure_warmed(&pair, &ask, &known, &t, err);
    else
        r = session_pair_measure(&pair, ask.rate_bps, ask.duration_ns, &t, err);
    session_pair_close(&pair);
    r = measure_add(&pair, &t, &known, r, scenario, err);
    trial_results_done(&t);
    return r;
}
