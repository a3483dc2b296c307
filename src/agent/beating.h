/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/channel.h"

#include <pthread.h>
#include <stdbool.h>

/*
 * Beats from a thread of its own while the agent's one thread is busy with something that may take seconds: attaching to
 * interfaces, measuring the instrument. Without a thread to be had there are none, and the controller may lose patience.
 */
struct beating {
    struct channel *channel; /* lent */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop; /* under lock */
    bool runs;
};

void beating_begin(struct beating *beating, struct channel *channel);
void beating_end(struct beating *beating);
/* One beat. errors: of channel_send() */
int beating_beat(struct channel *channel, struct err *err);
