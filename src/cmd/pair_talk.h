/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/measure.h"
#include "plan/pair_run.h"

#include <stdint.h>

/* What commands that measure one pair say meanwhile, and the exit code that its end is. */

/* measure_watch.on_interval: arg is a struct progress */
void pair_talk_on_interval(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                           double per_s);
/* interrupt_fd tells which signal ended it. */
int pair_talk_code(enum pair_end end, int interrupt_fd);
