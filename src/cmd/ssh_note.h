/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "plan/pair_run.h"

/*
 * Say which agents of ssh:// hosts may not do what only root may, and what that takes away: when what was asked wants it, and
 * nobody asked for --become. wanted: what it is for; NULL nothing was.
 */
void ssh_note_say(const struct run_result *run, const struct pair_options *pair,
                  const char *wanted);
/* What of a test's flags wants it, or NULL. */
const char *ssh_note_wanted(const struct pair_options *pair);
