/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/schedule.h"
#include "base/clock.h"
#include "traffic/wake.h"

#include <poll.h>
#include <time.h>

void schedule_init(struct schedule *s, const struct worker *worker, const struct flow *flow)
{
    const struct engine *engine = worker->engine;
    const struct flow_trial *trial = worker->trial;
    uint64_t shift = engine->spec.gap_ns / engine->n_flows * flow->index;

    *s = (struct schedule){.window_start_ns = trial_window_start(trial),
                           .window_end_ns = trial_window_end(trial)};
    pacing_init(&s->pacing, trial->start_ns + shift, engine->spec.gap_ns, 1);
}

void schedule_miss(struct schedule *s)
{
    s->missed += schedule_measures(s, pacing_take(&s->pacing));
}

bool schedule_due(struct schedule *s, uint64_t now_ns)
{
    while (s->pacing.due_ns + SCHEDULE_LATE_NS < now_ns)
        schedule_miss(s);
    return s->pacing.due_ns <= now_ns;
}

uint64_t schedule_take(struct schedule *s, uint64_t now_ns)
{
    uint64_t due = pacing_take(&s->pacing);

    if (schedule_measures(s, due)) {
        s->late += now_ns - due > s->pacing.late_ns;
        s->latest_ns = now_ns - due > s->latest_ns ? now_ns - due : s->latest_ns;
    }
    return due;
}

bool schedule_wait(int fd, short events, uint64_t until_ns)
{
    struct pollfd p = {.fd = fd, .events = events};
    uint64_t now = clock_mono_ns(), ns;
    struct timespec timeout;

    if (until_ns > now + WAKE_STOP_NS)
        until_ns = now + WAKE_STOP_NS;
    if (until_ns < now + WAKE_SPIN_NS)
        return false;
    ns = until_ns - WAKE_EARLY_NS - now;
    timeout = (struct timespec){.tv_sec = (time_t)(ns / CLOCK_S), .tv_nsec = (long)(ns % CLOCK_S)};
    ppoll(&p, 1, &timeout, NULL);
    return true;
}

void schedule_report(const struct schedule *s, struct metric_set *metrics)
{
    if (schedule_is_free(s))
        return;
    metric_put(metrics, METRIC_late, s->late);
    metric_put(metrics, METRIC_latest_ns, s->latest_ns);
    metric_put(metrics, METRIC_missed, s->missed);
}
