/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cpu_watch.h"
#include "agent/agent.h"
#include "base/auto.h"
#include "base/clock.h"
#include "host/cpu_stat.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { CPU_WATCH_STACK_BYTES = 64 * 1024 };

struct cpu_watch {
    struct channel *channel; /* lent by the agent */
    uint32_t id;
    struct cpu_ask ask;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop; /* under lock */
};

/* A reading and when it was made. */
struct cpu_watch_reading {
    struct core_cpus cpus;
    uint64_t at_ns;
};

static int cpu_watch_read(struct cpu_watch_reading *ret, struct err *err)
{
    uint64_t before = clock_mono_ns();
    int r = cpu_stat_read(&ret->cpus, err);

    ret->at_ns = before + (clock_mono_ns() - before) / 2;
    return r;
}

/* False: it is to end. */
static bool cpu_watch_sleep(struct cpu_watch *w, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / CLOCK_S),
                             .tv_nsec = (long)(until_ns % CLOCK_S)};
    int r = 0;
    bool stop;

    pthread_mutex_lock(&w->lock);
    while (!w->stop && r == 0)
        r = pthread_cond_timedwait(&w->changed, &w->lock, &until);
    stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return !stop;
}

static int cpu_watch_send(struct channel *channel, uint32_t id, const struct node_cpu *node,
                          bool number, struct err *err)
{
    AUTO(free_p) uint8_t *blob = NULL;
    size_t n_blob = 0;
    uint64_t machine;
    char buf[256];
    struct line_out out;
    int r = cpu_message_pack(&node->cores, &blob, &n_blob, err);

    if (r < 0)
        return r;
    line_begin(&out, buf, sizeof buf, id, "cpu");
    cpu_message_put(&out, node);
    if (number && cpu_stat_machine(&machine))
        line_put_u64(&out, "machine", machine);
    r = channel_send(channel, &out, blob, n_blob, err);
    if (r >= 0)
        agent_ok(channel, id);
    return r;
}

/* One stretch more: its share, when it is the busiest so far. */
static int cpu_watch_stretch(const struct cpu_watch_reading *a, const struct cpu_watch_reading *b,
                             struct node_cpu *node)
{
    struct core_cpus between;
    double share;
    int r = core_cpus_between(&a->cpus, &b->cpus, &between);

    if (r < 0)
        return r;
    share = core_cpus_busy_share(&between);
    core_cpus_done(&between);
    node->n_samples++;
    if (share > node->max_busy_share)
        node->max_busy_share = share;
    return 0;
}

/* All of the window; 1 when it was told to end. */
static int cpu_watch_window(struct cpu_watch *w, struct node_cpu *node, struct err *err)
{
    const uint64_t end = w->ask.start_ns + w->ask.duration_ns, sample = w->ask.sample_ns;
    struct cpu_watch_reading first = {0}, last = {0}, now = {0};
    int r = cpu_watch_sleep(w, w->ask.start_ns) ? cpu_watch_read(&first, err) : 1;

    for (uint64_t due = w->ask.start_ns; r == 0 && due < end;) {
        /* What would be left at the end as a short stretch belongs to the one before it. */
        due = sample && due + sample + sample / 2 < end ? due + sample : end;
        r = cpu_watch_sleep(w, due) ? cpu_watch_read(&now, err) : 1;
        if (r == 0)
            r = cpu_watch_stretch(last.at_ns ? &last : &first, &now, node);
        core_cpus_done(&last.cpus);
        last = now;
        now = (struct cpu_watch_reading){0};
    }
    if (r == 0)
        r = core_cpus_between(&first.cpus, &last.cpus, &node->cores);
    node->covers_ns = last.at_ns - first.at_ns;
    core_cpus_done(&first.cpus);
    core_cpus_done(&last.cpus);
    return r;
}

static void *cpu_watch_thread(void *arg)
{
    struct cpu_watch *w = arg;
    struct node_cpu node = {0};
    struct err err = {0};
    int r = cpu_watch_window(w, &node, &err);

    if (r == 0) {
        node_cpu_sum(&node);
        r = cpu_watch_send(w->channel, w->id, &node, false, &err);
    } else if (r > 0) {
        r = err_set(&err, ECANCELED, "looking at the CPU was stopped");
    }
    if (r < 0)
        agent_tell(w->channel, w->id, "error", r, &err);
    node_cpu_done(&node);
    return NULL;
}

int cpu_watch_new(struct channel *channel, uint32_t id, const struct cpu_ask *ask,
                  struct cpu_watch **ret_watch, struct err *err)
{
    struct cpu_watch *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;
    pthread_attr_t attr;
    int r;

    if (!w)
        return err_set(err, ENOMEM, "memory for looking at the CPU");
    *w = (struct cpu_watch){.channel = channel, .id = id, .ask = *ask};
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, CPU_WATCH_STACK_BYTES);
    r = pthread_create(&w->thread, &attr, cpu_watch_thread, w);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        pthread_cond_destroy(&w->changed);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return err_set(err, r, "a thread that looks at the CPU");
    }
    *ret_watch = w;
    return 0;
}

void cpu_watch_free(struct cpu_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->stop = true;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

int cpu_watch_answer(struct channel *channel, uint32_t id, struct err *err)
{
    struct node_cpu node = {.covers_ns = 0};
    int r = cpu_stat_read(&node.cores, err);

    if (r == 0) {
        node_cpu_sum(&node);
        r = cpu_watch_send(channel, id, &node, true, err);
    }
    node_cpu_done(&node);
    return r;
}
