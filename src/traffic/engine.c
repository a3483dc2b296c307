/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/engine.h"
#include "base/auto.h"
#include "base/clock.h"
#include "traffic/merge.h"
#include "traffic/worker.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct endpoint_ops *const engine_protocols[FLOW_KIND_COUNT] = {
    [FLOW_TCP_STREAM] = &endpoint_tcp, [FLOW_UDP_STREAM] = &endpoint_udp,
    [FLOW_ICMP_ECHO] = &endpoint_icmp, [FLOW_TCP_RR] = &endpoint_tcp_rr,
    [FLOW_UDP_RR] = &endpoint_udp_rr,  [FLOW_TCP_CRR] = &endpoint_tcp_crr,
    [FLOW_STAMP] = &endpoint_stamp,    [FLOW_MULTICAST] = &endpoint_multicast,
};

enum {
    ENGINE_GRACE_NS = 30 * CLOCK_MS, /* workers pass an edge a little later than the clock does */
    ENGINE_OVERRUN_S = 1 + ENDPOINT_STALL_S + 2, /* drain, stall, and some air */
};

/* One trial on its way. */
struct engine_trial {
    struct engine *engine;
    const struct flow_trial *trial;
    engine_interval_fn *on_interval;
    void *arg;
    struct worker *workers; /* owned */
    struct flow **lists;    /* owned; the workers' lists of flows, one after the other */
    struct hist *hists;     /* owned; one a flow, used when the protocol wants it */
    uint32_t n_workers, n_started, n_done;
    uint32_t n_intervals, next_interval;
    bool has_part[FLOW_PART_COUNT];
    bool machine_begun, machine_ended;
    bool whole; /* it ended by its time */
    struct machine_cpu machine_begin, machine_end;
};

int engine_wait(const struct engine *engine, int fd, short events, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = engine->stop_fd, .events = POLLIN},
                              {.fd = fd, .events = events}};
        int n = poll(p, 2, clock_ms_until(deadline_ns));

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && p[0].revents)
            return -ECANCELED;
        if (n > 0 && p[1].revents)
            return 0;
        if (clock_mono_ns() >= deadline_ns)
            return -ETIMEDOUT;
    }
}

static int engine_new(const struct flow_spec *spec, int stop_fd, struct engine **ret_engine)
{
    uint32_t forward = spec->direction & FLOW_FORWARD ? spec->n_flows : 0;
    uint32_t reverse = spec->direction & FLOW_REVERSE ? spec->n_flows : 0;
    struct engine *engine = calloc(1, sizeof *engine);

    if (!engine)
        return -ENOMEM;
    engine->spec = *spec;
    engine->ops = engine_protocols[spec->kind];
    engine->stop_fd = stop_fd;
    engine->listen_fd = -1;
    engine->tag = token_tag(spec);
    engine->n_flows = forward + reverse;
    assert(engine->n_flows > 0); /* flow_spec_check() has seen to it */
    engine->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    engine->flows = calloc(engine->n_flows, sizeof *engine->flows);
    if (engine->done_fd < 0 || !engine->flows) {
        engine->n_flows = 0;
        engine_close(engine);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        engine->flows[i].fd = -1;
        engine->flows[i].index = i;
        engine->flows[i].sends = (i < forward) == (spec->role == FLOW_CLIENT);
    }
    *ret_engine = engine;
    return 0;
}

int engine_open(const struct flow_spec *spec, int stop_fd, struct engine **ret_engine,
                struct err *err)
{
    struct engine *engine;
    int r;

    r = flow_spec_check(spec, err);
    if (r < 0)
        return r;
    if (!engine_protocols[spec->kind])
        return err_set(err, EPROTONOSUPPORT, "%s", flow_kind_name[spec->kind]);
    r = engine_new(spec, stop_fd, &engine);
    if (r < 0)
        return err_set(err, r, "preparing %s", flow_kind_name[spec->kind]);
    r = engine->ops->open(engine, err);
    if (r < 0) {
        engine_close(engine);
        return err_wrap(err, r, "opening %s", flow_kind_name[spec->kind]);
    }
    *ret_engine = engine;
    return 0;
}

int engine_adopt(const struct flow_spec *spec, const int *fds, int stop_fd,
                 struct engine **ret_engine, struct err *err)
{
    uint32_t n_flows = spec->direction == FLOW_BOTH ? 2 * spec->n_flows : spec->n_flows;
    struct engine *engine = NULL;
    int r = flow_spec_check(spec, err);

    if (r == 0 && spec->kind != FLOW_TCP_STREAM)
        r = err_set(err, EINVAL, "%s cannot take connections over", flow_kind_name[spec->kind]);
    if (r == 0 && (r = engine_new(spec, stop_fd, &engine)) < 0)
        err_set(err, r, "preparing %s", flow_kind_name[spec->kind]);
    if (!engine) {
        for (uint32_t i = 0; i < n_flows; i++)
            close(fds[i]);
        return r;
    }
    for (uint32_t i = 0; i < n_flows; i++)
        engine->flows[i].fd = fds[i];
    *ret_engine = engine;
    return 0;
}

int engine_adopt_as(const struct flow_spec *spec, const struct endpoint_ops *ops, void *arg,
                    const int *fds, int stop_fd, struct engine **ret_engine, struct err *err)
{
    uint32_t n_flows = spec->direction == FLOW_BOTH ? 2 * spec->n_flows : spec->n_flows;
    struct engine *engine = NULL;
    int r = engine_new(spec, stop_fd, &engine);

    if (r < 0) {
        for (uint32_t i = 0; i < n_flows; i++)
            close(fds[i]);
        return err_set(err, r, "preparing %s", flow_kind_name[spec->kind]);
    }
    engine->ops = ops;
    engine->arg = arg;
    for (uint32_t i = 0; i < n_flows; i++)
        engine->flows[i].fd = fds[i];
    *ret_engine = engine;
    return 0;
}

int engine_accept(struct engine *engine, struct err *err)
{
    int r;

    if (engine->spec.role != FLOW_SERVER || !engine->ops->accept)
        return 0;
    r = engine->ops->accept(engine, err);
    return r < 0 ? err_wrap(err, r, "taking the flows of %s", flow_kind_name[engine->spec.kind])
                 : 0;
}

uint16_t engine_port(const struct engine *engine)
{
    return engine->spec.role == FLOW_SERVER ? engine->port : 0;
}

/* What only this trial needs of the flows. */
static void engine_trial_done(struct engine_trial *t)
{
    for (uint32_t i = 0; i < t->engine->n_flows; i++) {
        struct flow *flow = &t->engine->flows[i];

        tally_done(&flow->tally);
        flow->rtt = NULL;
        free(flow->state);
        flow->state = NULL;
    }
    free(t->workers);
    free(t->lists);
    free(t->hists);
}

/* The flows of one part, shared out evenly over workers. */
static void engine_share_out(struct engine_trial *t, bool sends, uint32_t cpus, uint32_t *n_listed)
{
    struct engine *engine = t->engine;
    uint32_t n_flows = 0, n_workers;

    for (uint32_t i = 0; i < engine->n_flows; i++)
        n_flows += engine->flows[i].sends == sends;
    if (n_flows == 0 || (!sends && !engine->ops->answer))
        return;
    t->has_part[sends ? FLOW_SENT : FLOW_RECEIVED] = true;
    n_workers = engine->ops->thread_per_flow || n_flows < cpus ? n_flows : cpus;
    for (uint32_t k = 0; k < n_workers; k++) {
        struct worker *w = &t->workers[t->n_workers++];
        uint32_t seen = 0;

        *w = (struct worker){
            .engine = engine, .trial = t->trial, .flows = &t->lists[*n_listed], .sends = sends};
        for (uint32_t i = 0; i < engine->n_flows; i++) {
            if (engine->flows[i].sends == sends && seen++ % n_workers == k)
                t->lists[(*n_listed)++] = &engine->flows[i];
        }
        w->n_flows = (uint32_t)(&t->lists[*n_listed] - w->flows);
    }
}

static int engine_trial_init(struct engine_trial *t, struct err *err)
{
    struct engine *engine = t->engine;
    uint32_t n_listed = 0, cpus = worker_cpus();
    eventfd_t old;

    eventfd_read(engine->done_fd, &old);
    atomic_store(&engine->stop, false);
    if (t->trial->interval_ns)
        t->n_intervals =
            (uint32_t)((t->trial->duration_ns + t->trial->interval_ns - 1) / t->trial->interval_ns);
    t->workers = calloc(engine->n_flows, sizeof *t->workers);
    t->lists = calloc(engine->n_flows, sizeof(struct flow *));
    t->hists = calloc(engine->n_flows, sizeof *t->hists);
    if (!t->workers || !t->lists || !t->hists)
        return err_set(err, ENOMEM, "preparing a trial");
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        struct flow *flow = &engine->flows[i];

        flow->error = 0;
        flow->metrics = (struct metric_set){0};
        if (flow->connect_ns)
            metric_put_real(&flow->metrics, METRIC_connect_ns, (double)flow->connect_ns);
        if (engine->ops->want_rtt && flow->sends)
            flow->rtt = &t->hists[i];
        if (tally_init(&flow->tally, t->trial) < 0)
            return err_set(err, ENOMEM, "preparing the counters of a trial");
    }
    engine_share_out(t, true, cpus, &n_listed);
    engine_share_out(t, false, cpus, &n_listed);
    return 0;
}

/* Signals stay with the session's thread. */
static int engine_start(struct engine_trial *t, struct err *err)
{
    sigset_t all, was;
    int r = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    while (r == 0 && t->n_started < t->n_workers) {
        r = worker_start(&t->workers[t->n_started]);
        if (r == 0)
            t->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return r < 0 ? err_set(err, r, "starting thread %u of %u", t->n_started + 1, t->n_workers) : 0;
}

/* When an interval is over and may be told. */
static uint64_t engine_interval_due(const struct engine_trial *t, uint32_t index)
{
    uint64_t edge = trial_window_start(t->trial) + (index + 1) * t->trial->interval_ns;

    return (edge < trial_window_end(t->trial) ? edge : trial_window_end(t->trial)) +
           ENGINE_GRACE_NS;
}

static void engine_tell_interval(struct engine_trial *t)
{
    uint32_t index = t->next_interval++;

    for (int part = 0; part < FLOW_PART_COUNT; part++) {
        struct flow_interval interval;

        if (!t->has_part[part] || !t->on_interval)
            continue;
        interval = merge_interval(t->engine, (enum flow_part)part, index);
        t->on_interval(t->arg, (enum flow_part)part, index, &interval);
    }
}

/* Do what is due now; returns when something is due next. */
static uint64_t engine_tick(struct engine_trial *t, uint64_t now)
{
    uint64_t next = UINT64_MAX;

    if (!t->machine_begun && now >= trial_window_start(t->trial))
        t->machine_begun = machine_cpu_read(&t->machine_begin) == 0;
    if (!t->machine_ended && now >= trial_window_end(t->trial))
        t->machine_ended = machine_cpu_read(&t->machine_end) == 0;
    while (t->next_interval < t->n_intervals && now >= engine_interval_due(t, t->next_interval))
        engine_tell_interval(t);
    if (now < trial_window_end(t->trial))
        next = trial_window_end(t->trial);
    if (now < trial_window_start(t->trial))
        next = trial_window_start(t->trial);
    if (t->next_interval < t->n_intervals && engine_interval_due(t, t->next_interval) < next)
        next = engine_interval_due(t, t->next_interval);
    return next;
}

/* Until all workers are done, stop_fd says so, or the time is up. */
static int engine_watch(struct engine_trial *t, struct err *err)
{
    uint64_t deadline = trial_end(t->trial) + ENGINE_OVERRUN_S * (uint64_t)CLOCK_S;

    while (t->n_done < t->n_workers) {
        struct pollfd p[2] = {{.fd = t->engine->stop_fd, .events = POLLIN},
                              {.fd = t->engine->done_fd, .events = POLLIN}};
        uint64_t now = clock_mono_ns(), next = engine_tick(t, now);
        eventfd_t done = 0;

        if (now >= deadline)
            return err_set(err, ETIMEDOUT, "the trial did not end in time");
        if (poll(p, 2, clock_ms_until(next < deadline ? next : deadline)) < 0 && errno != EINTR)
            return err_set(err, errno, "waiting for a trial");
        if (p[1].revents && eventfd_read(t->engine->done_fd, &done) == 0)
            t->n_done += (uint32_t)done;
        if (p[0].revents && t->n_done < t->n_workers)
            return err_set(err, ECANCELED, "the trial was stopped");
    }
    return 0;
}

/* The first worker that failed, in words. A send that fails because the peer reset says less than why it did. */
static int engine_blame(const struct engine_trial *t, struct err *err)
{
    for (uint32_t i = 0; i < t->n_started; i++) {
        const struct worker *w = &t->workers[i];
        const char *doing = w->sends ? "sending" : "receiving";

        if (w->error)
            return err_set(err, w->error, "%s: %s", doing,
                           w->what[0] ? w->what : "its thread failed");
        for (uint32_t k = 0; k < w->n_flows; k++) {
            if (w->flows[k]->error)
                return err_set(err, w->flows[k]->error, "%s on flow %u%s%s", doing,
                               w->flows[k]->index, w->what[0] ? ": " : "", w->what);
        }
    }
    return 0;
}

/*
 * How much of the window was counted: less than all when it was cut short, or when a count was reached. A schedule whose
 * last request left early was not cut short.
 */
static uint64_t engine_window(const struct engine_trial *t)
{
    uint64_t start = trial_window_start(t->trial), end = trial_window_end(t->trial), ended = 0;

    if (t->whole)
        return t->trial->duration_ns;
    for (uint32_t i = 0; i < t->n_started; i++)
        ended = t->workers[i].ended_ns > ended ? t->workers[i].ended_ns : ended;
    if (ended < end)
        end = ended;
    return end > start ? end - start : 0;
}

static int engine_merge(struct engine_trial *t, struct flow_result ret_result[FLOW_PART_COUNT],
                        bool ret_has[FLOW_PART_COUNT], struct err *err)
{
    struct merge_input in = {
        .engine = t->engine,
        .trial = t->trial,
        .workers = t->workers,
        .n_workers = t->n_started,
        .window_ns = engine_window(t),
        .has_machine = t->machine_begun,
        .machine_begin = t->machine_begin,
        .machine_end = t->machine_end,
    };

    for (int part = 0; part < FLOW_PART_COUNT; part++) {
        int r;

        if (!t->has_part[part])
            continue;
        r = merge_part(&in, (enum flow_part)part, &ret_result[part]);
        if (r < 0)
            return err_set(err, r, "adding up a trial");
        ret_has[part] = true;
    }
    return 0;
}

/* Threads up, watched, joined. */
static int engine_do(struct engine_trial *t, struct err *err)
{
    struct err words = {0};
    int r, failed;

    r = engine_start(t, &words);
    if (r == 0)
        r = engine_watch(t, &words);
    if (r < 0)
        atomic_store(&t->engine->stop, true);
    for (uint32_t i = 0; i < t->n_started; i++)
        worker_join(&t->workers[i]);
    if (t->machine_begun && !t->machine_ended)
        t->machine_begun = machine_cpu_read(&t->machine_end) == 0;
    if (r == 0) {
        r = failed = engine_blame(t, &words);
        t->whole = failed == 0 && t->trial->count == 0;
        while (failed == 0 && t->next_interval < t->n_intervals &&
               t->next_interval * t->trial->interval_ns < engine_window(t))
            engine_tell_interval(t);
    }
    if (r < 0 && err)
        *err = words;
    return r;
}

int engine_run(struct engine *engine, const struct flow_trial *trial,
               engine_interval_fn *on_interval, void *arg,
               struct flow_result ret_result[FLOW_PART_COUNT], bool ret_has[FLOW_PART_COUNT],
               struct err *err)
{
    struct engine_trial t = {
        .engine = engine, .trial = trial, .on_interval = on_interval, .arg = arg};
    int r, merged;

    for (int part = 0; part < FLOW_PART_COUNT; part++)
        ret_has[part] = false;
    r = flow_trial_check(&engine->spec, trial, err);
    if (r < 0)
        return r;
    r = engine_trial_init(&t, err);
    if (r == 0) {
        r = engine_do(&t, err);
        merged = engine_merge(&t, ret_result, ret_has, r < 0 ? NULL : err);
        r = r < 0 ? r : merged;
    }
    engine_trial_done(&t);
    return r;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        struct flow *flow = &engine->flows[i];

        if (flow->fd < 0)
            continue;
        /* A stream's megabytes that nobody counts any more must not be in the way of the next test: reset, not end. */
        setsockopt(flow->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(flow->fd);
    }
    if (engine->listen_fd >= 0)
        close(engine->listen_fd);
    if (engine->done_fd >= 0)
        close(engine->done_fd);
    free(engine->flows);
    explicit_bzero(engine->spec.token, sizeof engine->spec.token);
    free(engine);
}
