/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/tick.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* glibc before 2.38 */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { TICK_SIGNAL = SIGURG, TICK_NS = 100 * CLOCK_MS };

static pthread_once_t tick_once = PTHREAD_ONCE_INIT;

/* That there is a handler is all that is wanted of it. */
static void tick_handle(int signal) { (void)signal; }

static void tick_prepare(void)
{
    struct sigaction action = {.sa_handler = tick_handle};

    sigemptyset(&action.sa_mask);
    sigaction(TICK_SIGNAL, &action, NULL);
}

static void tick_mask(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, TICK_SIGNAL);
    pthread_sigmask(how, &set, NULL);
}

int tick_start(struct tick *ret_tick)
{
    const struct itimerspec every = {.it_interval = {.tv_nsec = TICK_NS},
                                     .it_value = {.tv_nsec = TICK_NS}};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK_SIGNAL};
    timer_t timer;

    pthread_once(&tick_once, tick_prepare);
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return -errno;
    if (timer_settime(timer, 0, &every, NULL) < 0) {
        int code = errno;

        timer_delete(timer);
        return -code;
    }
    tick_mask(SIG_UNBLOCK);
    *ret_tick = (struct tick){.timer = timer, .runs = true};
    return 0;
}

void tick_stop(struct tick *tick)
{
    if (!tick->runs)
        return;
    timer_delete(tick->timer);
    tick_mask(SIG_BLOCK);
    *tick = (struct tick){0};
}
