/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

static uint64_t clock_read(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * CLOCK_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ns(void) { return clock_read(CLOCK_MONOTONIC); }

uint64_t clock_wall_ns(void) { return clock_read(CLOCK_REALTIME); }

int clock_sleep_until(uint64_t mono_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(mono_ns / CLOCK_S),
                          .tv_nsec = (long)(mono_ns % CLOCK_S)};

    return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

int clock_ms_until(uint64_t mono_ns)
{
    uint64_t now = clock_mono_ns(), ms;

    if (now >= mono_ns)
        return 0;
    ms = (mono_ns - now + CLOCK_MS - 1) / CLOCK_MS;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void clock_rfc3339(uint64_t wall_ns, char ret_text[CLOCK_RFC3339_SIZE])
{
    time_t s = (time_t)(wall_ns / CLOCK_S);
    struct tm tm = {0};
    char date[24];

    gmtime_r(&s, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret_text, CLOCK_RFC3339_SIZE, "%s.%03uZ", date,
             (unsigned)(wall_ns % CLOCK_S / CLOCK_MS));
}
