/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/wake.h"
#include "base/clock.h"

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
