/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "results/doc.h"

/*
 * Repetitions of one thing in the document: each a measurement of its own, and an entry in the scenario's "repeats" that
 * says what they say together.
 */

/* The "repeats" of a scenario. NULL without memory. */
json_t *repeats_json(const struct scenario_result *scenario);

/*
 * A measurement as its repetitions were in the middle: every number the median of theirs, every word the most frequent of
 * theirs (one that most do not have is left out), intervals left out, those that failed left out.
 *
 * errors  NULL without memory, or when no repetition of that entry is in the scenario
 * owns    the caller ends it with json_decref()
 */
json_t *repeats_typical(const json_t *scenario, const json_t *entry);

/* The measurement belongs to that entry. */
bool repeats_has(const json_t *entry, size_t index);
