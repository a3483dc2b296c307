/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"

/*
 * Waiting of a worker for a moment: asleep while it is far, awake for the last stretch, because a
 * sleeper comes back 50 to 60 µs late on a virtual machine and a datagram's gap may be smaller than
 * that. (worker.c has set the thread's timer slack to 1 ns.)
 *
 * units   ns of CLOCK_MONOTONIC
 */
enum {
    WAKE_EARLY_NS = 80000,    /* sleep until so long before it, spin from there */
    WAKE_SPIN_NS = 150000,    /* nearer than that: not worth a sleep */
    WAKE_STOP_NS = 100000000, /* longest sleep without a look at engine->stop */
};

/*
 * Until due_ns, or WAKE_STOP_NS at the most, or until the engine is to stop. Returns the time now,
 * which is before due_ns in the latter cases.
 */
uint64_t wake_at(const struct engine *engine, uint64_t due_ns);

/*
 * The same, asleep as long as there is anything to sleep: later, and 50 µs at a time, but on a crowded machine a thread
 * that spins has used up its share when it is due, and is put aside for milliseconds.
 */
uint64_t wake_calmly_at(const struct engine *engine, uint64_t due_ns);

/*
 * This thread would rather have short turns soon than long ones later. Where the scheduler does not know that (before
 * Linux 6.12) nothing changes.
 */
void wake_take_short_turns(void);

static inline bool wake_stopped(const struct engine *engine)
{
    return atomic_load_explicit(&engine->stop, memory_order_relaxed);
}
