/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"
#include "traffic/pacing.h"

/*
 * When requests leave that do not wait for answers: every spec.gap_ns, by absolute times, the flows
 * of a side evenly shifted against each other. A request that is late keeps its time, and its
 * latency counts from there; one that is 100 ms late is given up and counted as missed.
 *
 * units   ns of CLOCK_MONOTONIC
 */
enum { SCHEDULE_LATE_NS = 100000000 };

struct schedule {
    struct pacing pacing;
    uint64_t window_start_ns, window_end_ns;
    uint64_t late, latest_ns, missed; /* of those that were due in the window */
};

void schedule_init(struct schedule *s, const struct worker *worker, const struct flow *flow);

static inline bool schedule_is_free(const struct schedule *s) { return pacing_is_free(&s->pacing); }

static inline bool schedule_measures(const struct schedule *s, uint64_t due_ns)
{
    return due_ns >= s->window_start_ns && due_ns < s->window_end_ns;
}

/* Is one due? Gives up those that are too late first. Not for a free one. */
bool schedule_due(struct schedule *s, uint64_t now_ns);
/* The due one leaves now. Returns when it was due. */
uint64_t schedule_take(struct schedule *s, uint64_t now_ns);
/* The due one cannot leave. */
void schedule_miss(struct schedule *s);

/*
 * Until fd has what events asks for, or until shortly before a time, 100 ms at the most. Does not wait when the time is
 * near, because a sleeper comes back late: returns false then.
 */
bool schedule_wait(int fd, short events, uint64_t until_ns);

/* missed, late, latest_ns; nothing for a free one. */
void schedule_report(const struct schedule *s, struct metric_set *metrics);
