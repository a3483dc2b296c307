/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"

#include <jansson.h>

/*
 * One measurement as JSON: headline, both sides, series, search.
 *
 * units   by the suffix of the key, as in metrics.def
 * errors  NULL: no memory
 * owns    the answer: the caller ends it with json_decref()
 */
json_t *measurement_json(const struct measurement *m);
/* What was measured, without what was found: kind, direction, sizes and how. Not 0 without memory. */
int measurement_json_what(json_t *o, const struct measurement *m);
