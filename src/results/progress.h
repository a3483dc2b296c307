/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What runs, how much of it is done and how long it may take yet: one line on a terminal, redrawn in place; elsewhere a
 * plain line as each scenario ends. One at a time (log lines clear it through base/log.h).
 *
 * units   ns of CLOCK_MONOTONIC; the plan is what each scenario should take
 * owns    nothing; fd and texts are lent for the call
 */
enum { PROGRESS_NAME_SIZE = 96, PROGRESS_LINE_SIZE = 512 };

struct progress {
    int fd;
    bool terminal, quiet, shown;
    unsigned n_scenarios, number; /* the running one, 1 … */
    uint64_t plan_ns;             /* of all scenarios */
    uint64_t plan_ended_ns;       /* of those that ended */
    uint64_t plan_running_ns;
    uint64_t spent_ns;   /* by those that ended */
    uint64_t started_ns; /* when the running one did */
    char name[PROGRESS_NAME_SIZE];
    char result[64];
    char line[PROGRESS_LINE_SIZE]; /* as it stands on the terminal */
};

/* Quiet says nothing at all. Lasts until progress_done(). */
void progress_init(struct progress *p, int fd, bool quiet, unsigned n_scenarios, uint64_t plan_ns);
void progress_start(struct progress *p, unsigned number, const char *id, const char *name,
                    uint64_t plan_ns);
/* Draw again, now and then; result (may be NULL) is what the running scenario measured last. */
void progress_update(struct progress *p, const char *result);
/* The running scenario ended; text is its result or its reason, may be "". */
void progress_end(struct progress *p, enum scenario_status status, const char *text);
/* Take the line away and let go of the log; takes one that is done. */
void progress_done(struct progress *p);

/* What a measurement found in a few letters, "1.02 Gbit/s", "23.4 k/s", "41.2 us"; "" nothing. */
enum { PROGRESS_HEADLINE_SIZE = 48 };
const char *progress_headline(const struct measurement *m, char ret[PROGRESS_HEADLINE_SIZE]);

/*
 * Time left: what is planned yet, times how the ended ones kept to their plan. The first ones weigh little against a
 * twentieth of the whole plan, so that one slow start does not double the guess.
 */
uint64_t progress_left_ns(const struct progress *p, uint64_t now_ns);

/* The line, cut to the columns of the terminal between letters; left_ns 0 is not shown. */
void progress_line(const struct progress *p, unsigned columns, uint64_t left_ns,
                   char ret[PROGRESS_LINE_SIZE]);
