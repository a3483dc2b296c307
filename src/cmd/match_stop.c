/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/match_stop.h"
#include "model/hop.h"

#include <signal.h>

static struct source *const *match_stop_sources; /* lent */
static unsigned match_stop_n;
static const struct source_ops *match_stop_ops[HOP_MAX_POINTS];
static struct sigaction match_stop_before[2];
static volatile sig_atomic_t match_stop_signal;
static bool match_stop_piped;

static const int match_stop_signals[] = {SIGINT, SIGTERM};

static int match_stop_next(struct source *source, struct frame *ret_frame, struct err *err)
{
    (void)source;
    (void)ret_frame;
    (void)err;
    return 0;
}

static const struct source_ops match_stop_ended = {.next = match_stop_next};

/* A reader looks at a source's hooks for each frame: it finds the end there. */
static void match_stop_now(int signal_number)
{
    match_stop_signal = signal_number;
    for (unsigned i = 0; i < match_stop_n && !match_stop_piped; i++)
        __atomic_store_n(&match_stop_sources[i]->ops, &match_stop_ended, __ATOMIC_RELAXED);
}

void match_stop_begin(struct source *const sources[], unsigned n, bool piped)
{
    /* A read that waits goes on waiting. */
    struct sigaction act = {.sa_handler = match_stop_now, .sa_flags = SA_RESTART | SA_RESETHAND};

    match_stop_sources = sources;
    match_stop_signal = 0;
    match_stop_piped = piped;
    match_stop_n = n;
    for (unsigned i = 0; i < n; i++)
        match_stop_ops[i] = sources[i]->ops;
    for (unsigned i = 0; i < 2; i++) {
        sigaction(match_stop_signals[i], NULL, &match_stop_before[i]);
        /* In a background job of a shell it is ignored, and stays so. */
        if (match_stop_before[i].sa_handler != SIG_IGN)
            sigaction(match_stop_signals[i], &act, NULL);
    }
}

int match_stop_end(void)
{
    for (unsigned i = 0; i < 2; i++)
        sigaction(match_stop_signals[i], &match_stop_before[i], NULL);
    for (unsigned i = 0; i < match_stop_n; i++)
        match_stop_sources[i]->ops = match_stop_ops[i];
    match_stop_n = 0;
    return match_stop_signal;
}
