/* SPDX-License-Identifier: Apache-2.0 */
/* A server in a thread of the test, with its reports, and clients of ours as jobs. */
#pragma once

#include "foreign_spec.h"
#include "interop/serve.h"

#include <pthread.h>

enum { MANY = 10, MAX_REPORTS = 64 };

struct served {
    struct serve *serve;
    uint16_t port, iperf2_port;
    int stop_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct serve_report reports[MAX_REPORTS];
    uint32_t n_reports;
    bool held; /* on_report() does not come back */
};

static inline void on_report(void *arg, const struct serve_report *report)
{
    struct served *s = arg;

    pthread_mutex_lock(&s->lock);
    if (s->n_reports < MAX_REPORTS)
        s->reports[s->n_reports++] = *report;
    pthread_cond_broadcast(&s->changed);
    while (s->held)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static inline void *served_main(void *arg)
{
    struct served *s = arg;

    return serve_run(s->serve, s->stop_fd, NULL) < 0 ? s : NULL;
}

static inline void served_begin(struct served *s, struct serve_options options)
{
    *s = (struct served){.port = free_port(), .stop_fd = eventfd(0, EFD_CLOEXEC)};
    s->iperf2_port = free_port();
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    options.iperf3_port = s->port;
    options.iperf2_port = s->iperf2_port;
    options.max_clients = options.max_clients ? options.max_clients : MANY;
    options.idle_ns = options.idle_ns ? options.idle_ns : 20 * (uint64_t)CLOCK_S;
    text_copy(options.bind, sizeof options.bind, "127.0.0.1");
    assert_int_equal(0, serve_open(&options, on_report, s, &s->serve, NULL));
    assert_int_equal(0, pthread_create(&s->thread, NULL, served_main, s));
}

static inline void served_end(struct served *s)
{
    void *failed;

    eventfd_write(s->stop_fd, 1);
    pthread_join(s->thread, &failed);
    assert_null(failed);
    serve_close(s->serve);
    close(s->stop_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

/* Until there are so many reports; the last one. */
static inline struct serve_report served_report(struct served *s, uint32_t n)
{
    struct serve_report report;

    pthread_mutex_lock(&s->lock);
    while (s->n_reports < n)
        pthread_cond_wait(&s->changed, &s->lock);
    report = s->reports[n - 1];
    pthread_mutex_unlock(&s->lock);
    return report;
}

struct job {
    struct flow_spec spec;
    struct flow_trial trial;
    struct flow_result parts[FLOW_PART_COUNT];
    bool has[FLOW_PART_COUNT];
    struct err err;
    int r;
    uint32_t n_runs; /* each is a test of the server's */
};

static inline void job_done(struct job *j)
{
    for (int part = 0; part < FLOW_PART_COUNT; part++)
        flow_result_done(&j->parts[part]);
}

static inline void job_once(struct job *j)
{
    AUTO(close_p) int stop_fd = eventfd(0, EFD_CLOEXEC);

    j->n_runs++;
    j->r = foreign_run(&j->spec, &j->trial, stop_fd, NULL, NULL, j->parts, j->has, &j->err);
}

static inline bool job_has_counted(const struct job *j)
{
    for (int part = FLOW_SENT; part <= FLOW_RECEIVED; part++)
        if (j->has[part] && metric_get(&j->parts[part].metrics, METRIC_bytes) == 0)
            return false;
    return true;
}

/*
 * Clocks cut the window, and on a busy machine no thread of ours or of the server's may run in it: nothing to look at, so
 * once more and twice as long. Who counts nothing in all of 20 s does not work.
 */
static inline void *job_main(void *arg)
{
    struct job *j = arg;

    job_once(j);
    while (j->r == 0 && !job_has_counted(j) && j->trial.duration_ns < 20 * (uint64_t)CLOCK_S) {
        job_done(j);
        j->trial.duration_ns *= 2;
        job_once(j);
    }
    return NULL;
}

static inline uint64_t got(const struct job *j, enum flow_part part, enum metric m)
{
    assert_true(j->has[part]);
    assert_true(j->parts[part].metrics.has[m]);
    return metric_get(&j->parts[part].metrics, m);
}

/* Both sides count the same. */
static inline void job_agrees(const struct job *j, uint32_t payload)
{
    bool udp = j->spec.kind == FLOW_UDP_STREAM;

    if (j->r < 0)
        fail_msg("%s", j->err.text);
    if (j->spec.direction & FLOW_FORWARD) {
        uint64_t sent = got(j, FLOW_SENT, METRIC_bytes);

        assert_true(sent > 0);
        /* A write that the window's end fell into is the server's alone. */
        assert_in_range(got(j, FLOW_FAR_RECEIVED, METRIC_bytes), sent,
                        sent + (udp ? 0 : j->spec.n_flows * payload));
        if (udp)
            assert_int_equal(0, got(j, FLOW_FAR_RECEIVED, METRIC_lost));
    }
    if (j->spec.direction & FLOW_REVERSE) {
        assert_true(got(j, FLOW_RECEIVED, METRIC_bytes) > 0);
        assert_in_range(got(j, FLOW_RECEIVED, METRIC_bytes), 1,
                        got(j, FLOW_FAR_SENT, METRIC_bytes));
        if (udp)
            assert_int_equal(0, got(j, FLOW_RECEIVED, METRIC_lost));
    }
}
