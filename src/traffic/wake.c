/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/wake.h"
#include "base/clock.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sched_setattr(2); the kernel's header and libc's do not go together. */
struct wake_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

enum { WAKE_TURN_NS = 100000, WAKE_CALM_NS = 5000 };

uint64_t wake_at(const struct engine *engine, uint64_t due_ns)
{
    uint64_t now = clock_mono_ns(), until = due_ns;

    if (until > now + WAKE_STOP_NS)
        until = now + WAKE_STOP_NS;
    if (until > now + WAKE_SPIN_NS) {
        clock_sleep_until(until - WAKE_EARLY_NS);
        now = clock_mono_ns();
    }
    while (now < until && !wake_stopped(engine))
        now = clock_mono_ns();
    return now;
}

uint64_t wake_calmly_at(const struct engine *engine, uint64_t due_ns)
{
    uint64_t now = clock_mono_ns();

    if (due_ns < now + WAKE_CALM_NS || due_ns > now + WAKE_STOP_NS)
        return wake_at(engine, due_ns);
    clock_sleep_until(due_ns);
    return clock_mono_ns();
}

void wake_take_short_turns(void)
{
    struct wake_attr attr = {.size = sizeof attr};

    /* Policy and niceness stay what they are. */
    if (syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) < 0 ||
        (attr.policy != SCHED_OTHER && attr.policy != SCHED_BATCH))
        return;
    attr.runtime = WAKE_TURN_NS;
    syscall(SYS_sched_setattr, 0, &attr, 0);
}
