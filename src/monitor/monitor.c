/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/monitor.h"
#include "base/clock.h"
#include "base/text.h"
#include "monitor/curl_library.h"
#include "monitor/expat_library.h"
#include "monitor/exporter.h"
#include "monitor/gmond.h"
#include "monitor/gmond_window.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MONITOR_CLOSE_S = MONITOR_ANSWER_S + 1 };

/* What one monitor has seen of a window. */
struct monitor_seen {
    uint64_t window;              /* which */
    struct core_cpus first, last; /* owned; exporter */
    uint64_t first_ns, last_ns;   /* when */
    double max_busy;              /* of a stretch between two readings */
    uint32_t n_samples, n_readings;
    struct gmond_window gmond;    /* owned */
    bool over;                    /* the reading at its end has been tried */
    char why[NODE_CPU_NOTE_SIZE]; /* the last reading failed; "" it did not */
};

struct monitor {
    struct monitors *all;
    struct monitor_spec spec;
    struct exporter *exporter; /* owned by the thread */
    pthread_t thread;
    bool runs;                /* the thread does; under lock */
    struct monitor_seen seen; /* under lock */
    bool failing;             /* under lock: the last reading failed; it is not waited for */
};

struct monitors {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    uint64_t window; /* its number, from 1; 0 there was none */
    uint64_t start_ns, end_ns;
    bool baseline;
    unsigned n;
    struct monitor monitor[MONITOR_MAX];
};

static void monitor_seen_done(struct monitor_seen *seen)
{
    core_cpus_done(&seen->first);
    core_cpus_done(&seen->last);
    gmond_window_done(&seen->gmond);
    *seen = (struct monitor_seen){0};
}

/* A reading, of either kind. */
struct monitor_reading {
    struct core_cpus cpus;
    struct gmond_hosts hosts;
    uint64_t at_ns;
};

static int monitor_read(struct monitor *m, struct monitor_reading *ret, struct err *err)
{
    const uint64_t timeout_ns = (uint64_t)MONITOR_ANSWER_S * CLOCK_S;
    int r = 0;

    if (m->spec.source == NODE_CPU_GMOND)
        return gmond_read(m->spec.host, m->spec.port, timeout_ns, &ret->hosts, &ret->at_ns, err);
    if (!m->exporter)
        r = exporter_new(m->spec.url, &m->exporter, err);
    if (r == 0)
        r = exporter_read(m->exporter, timeout_ns, &ret->cpus, &ret->at_ns, err);
    return r;
}

/* Counters: the first stays, the last moves on, and the stretch between two is told by its share. */
static int monitor_keep_counters(struct monitor_seen *seen, struct monitor_reading *reading)
{
    const struct core_cpus *before = seen->last.n_cores ? &seen->last : &seen->first;
    struct core_cpus stretch;
    double busy;
    int r;

    if (seen->n_readings++ == 0) {
        seen->first = reading->cpus;
        seen->first_ns = reading->at_ns;
        reading->cpus = (struct core_cpus){0};
        return 0;
    }
    r = core_cpus_between(before, &reading->cpus, &stretch);
    if (r < 0)
        return r;
    busy = core_cpus_busy_share(&stretch);
    core_cpus_done(&stretch);
    seen->max_busy = busy > seen->max_busy ? busy : seen->max_busy;
    seen->n_samples++;
    core_cpus_done(&seen->last);
    seen->last = reading->cpus;
    seen->last_ns = reading->at_ns;
    reading->cpus = (struct core_cpus){0};
    return 0;
}

/* Under lock. */
static void monitor_keep(struct monitor *m, struct monitor_reading *reading, int r,
                         const struct err *err)
{
    struct monitor_seen *seen = &m->seen;

    if (r == 0 && m->spec.source == NODE_CPU_GMOND)
        r = gmond_window_add(&seen->gmond, &reading->hosts, reading->at_ns);
    else if (r == 0)
        r = monitor_keep_counters(seen, reading);
    m->failing = r < 0;
    seen->why[0] = '\0';
    if (r < 0)
        snprintf(seen->why, sizeof seen->why, "%.*s", (int)sizeof seen->why - 1,
                 err->text[0] ? err->text : "there was no memory for what it said");
    text_tame(seen->why);
}

/* When the next reading of the window is due: at its end, or before that when it is long. */
static uint64_t monitor_due(const struct monitors *all, uint64_t last_due_ns)
{
    const uint64_t every = (uint64_t)MONITOR_EVERY_S * CLOCK_S;

    return last_due_ns + every + every / 2 < all->end_ns ? last_due_ns + every : all->end_ns;
}

/* Under lock: until something is due; false when the window is another one, or the end has come. */
static bool monitor_sleep(struct monitor *m, uint64_t window, uint64_t due_ns)
{
    struct monitors *all = m->all;
    struct timespec until = {.tv_sec = (time_t)(due_ns / CLOCK_S),
                             .tv_nsec = (long)(due_ns % CLOCK_S)};
    int r = 0;

    while (!all->stop && all->window == window && r == 0)
        r = pthread_cond_timedwait(&all->changed, &all->lock, &until);
    return !all->stop && all->window == window;
}

/* Under lock, which is given up while it reads. */
static bool monitor_look(struct monitor *m, uint64_t window)
{
    struct monitor_reading reading = {0};
    struct err err = {0};
    bool still;
    int r;

    pthread_mutex_unlock(&m->all->lock);
    r = monitor_read(m, &reading, &err);
    pthread_mutex_lock(&m->all->lock);
    still = !m->all->stop && m->all->window == window;
    if (still)
        monitor_keep(m, &reading, r, &err);
    core_cpus_done(&reading.cpus);
    gmond_hosts_done(&reading.hosts);
    return still;
}

/* One window, under lock. */
static void monitor_window(struct monitor *m)
{
    struct monitors *all = m->all;
    const uint64_t window = all->window;
    uint64_t due = all->start_ns;

    monitor_seen_done(&m->seen);
    m->seen.window = window;
    m->seen.gmond = (struct gmond_window){
        .start_ns = all->start_ns, .end_ns = all->end_ns, .any_age = all->baseline};
    if (!monitor_sleep(m, window, due) || !monitor_look(m, window))
        return;
    while (due < all->end_ns) {
        due = monitor_due(all, due);
        if (!monitor_sleep(m, window, due) || !monitor_look(m, window))
            return;
    }
    m->seen.over = true;
    pthread_cond_broadcast(&all->changed);
}

static void *monitor_thread(void *arg)
{
    struct monitor *m = arg;
    struct monitors *all = m->all;

    pthread_mutex_lock(&all->lock);
    while (!all->stop) {
        if (m->seen.window != all->window)
            monitor_window(m);
        else
            pthread_cond_wait(&all->changed, &all->lock);
    }
    monitor_seen_done(&m->seen);
    exporter_free(m->exporter);
    m->runs = false;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

static int monitors_start(struct monitors *all, struct err *err)
{
    for (unsigned i = 0; i < all->n; i++) {
        struct monitor *m = &all->monitor[i];
        int r;

        m->all = all;
        pthread_mutex_lock(&all->lock);
        r = pthread_create(&m->thread, NULL, monitor_thread, m);
        m->runs = r == 0;
        pthread_mutex_unlock(&all->lock);
        if (r != 0)
            return err_set(err, r, "a thread that reads %s", m->spec.name);
    }
    return 0;
}

int monitors_open(const struct monitor_spec *specs, unsigned n, struct monitors **ret_monitors,
                  struct err *err)
{
    struct monitors *all;
    pthread_condattr_t monotonic;
    int r = 0;

    for (unsigned i = 0; i < n && r == 0; i++)
        r = specs[i].source == NODE_CPU_GMOND ? expat_library_load(err) : curl_library_load(err);
    if (r < 0)
        return r;
    all = calloc(1, sizeof *all);
    if (!all)
        return err_set(err, ENOMEM, "memory for monitors");
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    all->n = n < MONITOR_MAX ? n : MONITOR_MAX;
    for (unsigned i = 0; i < all->n; i++)
        all->monitor[i].spec = specs[i];
    r = monitors_start(all, err);
    if (r < 0) {
        monitors_close(all);
        return r;
    }
    *ret_monitors = all;
    return 0;
}

void monitors_begin(struct monitors *all, uint64_t start_ns, uint64_t end_ns, bool baseline)
{
    pthread_mutex_lock(&all->lock);
    all->window++;
    all->start_ns = start_ns;
    all->end_ns = end_ns;
    all->baseline = baseline;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
}

static void monitor_say(struct node_cpus *nodes, const struct monitor *m, const char *why)
{
    struct node_cpu *node = node_cpus_add(nodes);

    if (!node)
        return;
    text_copy(node->node, sizeof node->node, m->spec.name);
    node->source = m->spec.source;
    text_copy(node->note, sizeof node->note, why);
}

static void monitor_counters(const struct monitor *m, struct node_cpus *nodes)
{
    const struct monitor_seen *seen = &m->seen;
    struct node_cpu *node = node_cpus_add(nodes);

    if (!node)
        return;
    text_copy(node->node, sizeof node->node, m->spec.name);
    node->source = m->spec.source;
    node->covers_ns = seen->last_ns - seen->first_ns;
    if (core_cpus_between(&seen->first, &seen->last, &node->cores) == 0)
        node_cpu_sum(node);
    node->n_samples = seen->n_samples;
    node->max_busy_share = seen->max_busy > node->busy_share ? seen->max_busy : node->busy_share;
    if (!node->has_busy)
        text_copy(node->note, sizeof node->note, "its counters did not move");
}

static void monitor_nodes(const struct monitor *m, uint64_t window, struct node_cpus *nodes)
{
    const struct monitor_seen *seen = &m->seen;

    if (seen->window != window || !seen->over)
        monitor_say(nodes, m, seen->why[0] ? seen->why : "it did not answer in time");
    else if (m->spec.source == NODE_CPU_GMOND && seen->gmond.n)
        gmond_window_nodes(&seen->gmond, nodes);
    else if (seen->why[0])
        monitor_say(nodes, m, seen->why);
    else if (m->spec.source == NODE_CPU_GMOND)
        monitor_say(nodes, m, "it knows no host");
    else if (!seen->last.n_cores)
        monitor_say(nodes, m, "it did not answer when the window began");
    else
        monitor_counters(m, nodes);
}

void monitors_end(struct monitors *all, uint64_t deadline_ns, struct node_cpus *nodes)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / CLOCK_S),
                             .tv_nsec = (long)(deadline_ns % CLOCK_S)};

    pthread_mutex_lock(&all->lock);
    for (unsigned i = 0; i < all->n; i++) {
        struct monitor *m = &all->monitor[i];
        int r = 0;

        while (!(m->seen.window == all->window && m->seen.over) && !m->failing && r == 0)
            r = pthread_cond_timedwait(&all->changed, &all->lock, &until);
        /* It had its time. */
        m->failing |= r != 0;
        monitor_nodes(m, all->window, nodes);
    }
    pthread_mutex_unlock(&all->lock);
}

void monitors_close(struct monitors *all)
{
    struct timespec until;
    unsigned left = 0;

    if (!all)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += MONITOR_CLOSE_S;
    pthread_mutex_lock(&all->lock);
    all->stop = true;
    pthread_cond_broadcast(&all->changed);
    for (unsigned i = 0; i < all->n; i++) {
        struct monitor *m = &all->monitor[i];
        int r = 0;

        if (!m->all)
            continue;
        while (m->runs && r == 0)
            r = pthread_cond_timedwait(&all->changed, &all->lock, &until);
        left += m->runs;
    }
    pthread_mutex_unlock(&all->lock);
    for (unsigned i = 0; i < all->n; i++) {
        if (!all->monitor[i].all)
            continue;
        if (left)
            pthread_detach(all->monitor[i].thread);
        else
            pthread_join(all->monitor[i].thread, NULL);
    }
    /* Who is left still uses it. */
    if (left)
        return;
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    free(all);
}
