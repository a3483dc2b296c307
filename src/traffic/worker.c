/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/worker.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    WORKER_STACK = 256 << 10, /* the hooks keep their buffers on the heap */
    WORKER_NAP_NS = 100 * CLOCK_MS,
    WORKER_HEARD_NS = 100 * CLOCK_MS,
};

static void worker_cpu(uint64_t *ret_user_ns, uint64_t *ret_system_ns)
{
    struct rusage u = {0};

    getrusage(RUSAGE_THREAD, &u);
    *ret_user_ns = (uint64_t)u.ru_utime.tv_sec * CLOCK_S + (uint64_t)u.ru_utime.tv_usec * CLOCK_US;
    *ret_system_ns =
        (uint64_t)u.ru_stime.tv_sec * CLOCK_S + (uint64_t)u.ru_stime.tv_usec * CLOCK_US;
}

void worker_window_begin(struct worker *worker)
{
    if (worker->window_begun)
        return;
    worker->window_begun = true;
    worker_cpu(&worker->user_before_ns, &worker->system_before_ns);
}

void worker_window_end(struct worker *worker)
{
    uint64_t user, system;
    int cpu = sched_getcpu();

    if (!worker->window_begun || worker->window_ended)
        return;
    worker->window_ended = true;
    worker_cpu(&user, &system);
    /* The kernel splits an exact total by a tick's share: one of the two may go back a little. */
    worker->cpu_user_ns = user > worker->user_before_ns ? user - worker->user_before_ns : 0;
    worker->cpu_system_ns =
        system > worker->system_before_ns ? system - worker->system_before_ns : 0;
    worker->cpu = cpu < 0 ? 0 : (uint32_t)cpu;
}

bool worker_sleep_until(const struct worker *worker, uint64_t mono_ns)
{
    for (;;) {
        uint64_t now = clock_mono_ns();

        if (atomic_load_explicit(&worker->engine->stop, memory_order_relaxed))
            return false;
        if (now >= mono_ns)
            return true;
        clock_sleep_until(mono_ns - now > WORKER_NAP_NS ? now + WORKER_NAP_NS : mono_ns);
    }
}

void worker_fail(struct worker *worker, struct flow *flow, int error, const char *what)
{
    if (!flow->error)
        flow->error = error;
    if (!worker->what[0])
        text_copy(worker->what, sizeof worker->what, what);
}

void worker_heard(struct worker *worker, uint64_t now_ns)
{
    _Atomic uint64_t *heard_ns = &worker->engine->heard_ns;

    if (now_ns > atomic_load_explicit(heard_ns, memory_order_relaxed) + WORKER_HEARD_NS)
        atomic_store_explicit(heard_ns, now_ns, memory_order_relaxed);
}

bool worker_deaf(const struct worker *worker, uint64_t since_ns, uint64_t now_ns,
                 uint64_t patience_ns)
{
    uint64_t heard_ns = atomic_load_explicit(&worker->engine->heard_ns, memory_order_relaxed);

    return now_ns > since_ns + patience_ns &&
           (now_ns > heard_ns + patience_ns || now_ns > trial_end(worker->trial) + patience_ns);
}

static bool worker_failed(const struct worker *worker)
{
    if (worker->error)
        return true;
    for (uint32_t i = 0; i < worker->n_flows; i++)
        if (worker->flows[i]->error)
            return true;
    return false;
}

/* Onto exactly that CPU, or not at all: who names a CPU means it. */
static bool worker_pin_exact(struct worker *worker, uint32_t cpu)
{
    uint32_t first = worker->flows[0]->index;
    cpu_set_t one;

    CPU_ZERO(&one);
    if (cpu < CPU_SETSIZE)
        CPU_SET(cpu, &one);
    if (cpu >= CPU_SETSIZE || sched_setaffinity(0, sizeof one, &one) < 0) {
        worker->error = EINVAL;
        snprintf(worker->what, sizeof worker->what, "CPU %u is none that this process may use",
                 cpu);
        return false;
    }
    if (first % worker->engine->spec.n_flows == 0)
        metric_put(&worker->flows[0]->metrics, METRIC_pinned_cpu, cpu);
    return true;
}

/*
 * Onto a CPU counted among those that are allowed: flow k of the part on the (pin - 1 + k)-th. When it is refused the
 * thread stays free, and the metric is missing.
 */
static void worker_pin(const struct worker *worker)
{
    const struct flow_spec *spec = &worker->engine->spec;
    uint32_t first = worker->flows[0]->index, left;
    cpu_set_t allowed, one;
    int cpu = 0;

    if (spec->pin == 0 || sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return;
    left = (spec->pin - 1 + first) % (uint32_t)CPU_COUNT(&allowed);
    while (!CPU_ISSET(cpu, &allowed) || left-- > 0)
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0 && first % spec->n_flows == 0)
        metric_put(&worker->flows[0]->metrics, METRIC_pinned_cpu, (uint64_t)cpu);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    const struct endpoint_ops *ops = worker->engine->ops;
    const uint64_t one = 1;
    uint32_t pin = worker->engine->spec.pin;
    bool pinned = true;

    if (pin & FLOW_PIN_EXACT)
        pinned = worker_pin_exact(worker, (pin & ~(uint32_t)FLOW_PIN_EXACT) - 1);
    else
        worker_pin(worker);
    prctl(PR_SET_TIMERSLACK, 1UL); /* a paced send leaves when it is due, not up to 50 us later */
    if (!pinned)
        ; /* its error says why */
    else if (worker->sends)
        ops->ask(worker);
    else
        ops->answer(worker);
    worker_window_end(worker);
    worker->ended_ns = clock_mono_ns();
    /* With one flow gone the sum means little: the others stop too, what was counted is kept. */
    if (worker_failed(worker))
        atomic_store(&worker->engine->stop, true);
    while (write(worker->engine->done_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    return NULL;
}

int worker_start(struct worker *worker)
{
    size_t stack = WORKER_STACK < PTHREAD_STACK_MIN ? (size_t)PTHREAD_STACK_MIN : WORKER_STACK;
    pthread_attr_t attr;
    int r;

    r = pthread_attr_init(&attr);
    if (r)
        return -r;
    pthread_attr_setstacksize(&attr, stack);
    r = pthread_create(&worker->thread, &attr, worker_main, worker);
    pthread_attr_destroy(&attr);
    return -r;
}

void worker_join(struct worker *worker) { pthread_join(worker->thread, NULL); }

uint32_t worker_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (uint32_t)CPU_COUNT(&set);
    /* More CPUs than the set has room for. */
    return errno == EINVAL ? (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) : 1;
}
