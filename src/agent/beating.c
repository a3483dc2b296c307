/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/beating.h"
#include "wire/message.h"

#include <time.h>

enum { BEATING_STACK_BYTES = 64 * 1024 };

int beating_beat(struct channel *channel, struct err *err)
{
    char buf[64];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, 0, "beat");
    return channel_send(channel, &out, NULL, 0, err);
}

static void *beating_thread(void *arg)
{
    struct beating *b = arg;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    pthread_mutex_lock(&b->lock);
    while (!b->stop) {
        until.tv_sec += MESSAGE_BEAT_S;
        while (!b->stop && pthread_cond_timedwait(&b->changed, &b->lock, &until) == 0)
            ;
        if (!b->stop)
            beating_beat(b->channel, NULL);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

void beating_begin(struct beating *beating, struct channel *channel)
{
    pthread_condattr_t monotonic;
    pthread_attr_t attr;

    *beating = (struct beating){.channel = channel};
    pthread_mutex_init(&beating->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&beating->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, BEATING_STACK_BYTES);
    beating->runs = pthread_create(&beating->thread, &attr, beating_thread, beating) == 0;
    pthread_attr_destroy(&attr);
}

void beating_end(struct beating *beating)
{
    pthread_mutex_lock(&beating->lock);
    beating->stop = true;
    pthread_cond_signal(&beating->changed);
    pthread_mutex_unlock(&beating->lock);
    if (beating->runs)
        pthread_join(beating->thread, NULL);
    pthread_cond_destroy(&beating->changed);
    pthread_mutex_destroy(&beating->lock);
}
