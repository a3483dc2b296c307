/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <time.h>

/*
 * Blocking calls of the thread that started it return with EINTR every 100 ms, so that it sees that
 * the engine is to stop.
 *
 * A timeout of the socket does the same, but arms and disarms a timer of the kernel in each call:
 * 2 % of all requests that a CPU can answer.
 *
 * shape   a thread has at most one, between start and stop; a tick may come just before a call, so the
 *         call lasts up to 100 ms after it
 * source  timer_create(2): SIGEV_THREAD_ID; the signal is SIGURG, which nobody else here waits for
 */
struct tick {
    timer_t timer;
    bool runs;
};

/*
 * errors  what timer_create(2) said (-EAGAIN: no more signals may wait, ulimit -i): the caller goes on with
 *         socket_timeouts(), and takes EAGAIN like EINTR
 */
int tick_start(struct tick *ret_tick);
/* Takes a zeroed one. */
void tick_stop(struct tick *tick);
