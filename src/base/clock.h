/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Monotonic and wall time.
 *
 * units   nanoseconds; monotonic time is only comparable on one machine, wall time may step
 * source  clock_gettime(2): CLOCK_MONOTONIC, CLOCK_REALTIME
 */
enum { CLOCK_US = 1000, CLOCK_MS = 1000000, CLOCK_S = 1000000000 };

uint64_t clock_mono_ns(void);
uint64_t clock_wall_ns(void);

/* Sleep until a monotonic time; returns 0, or -EINTR when a signal came first. */
int clock_sleep_until(uint64_t mono_ns);

/* Milliseconds from now to a monotonic deadline for poll(2): rounded up, 0 when past, at most INT_MAX. */
int clock_ms_until(uint64_t mono_ns);

/* Wall time as RFC 3339 in UTC with milliseconds, "2026-11-21T07:30:08.123Z". */
enum { CLOCK_RFC3339_SIZE = 32 };
void clock_rfc3339(uint64_t wall_ns, char ret_text[CLOCK_RFC3339_SIZE]);
