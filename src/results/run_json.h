/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/measurement.h"

#include <jansson.h>

/*
 * A run as the JSON document that is saved, printed and read back. Keys are fixed: more may come, none goes or changes.
 *
 * shape   {"schema", "run", "nodes", "scenarios", "summary", "cleanup"}; a key that every measurement of its kind has is
 *         null where there is no value, and "missing" says why
 * units   by the suffix of the key; no number is NaN or infinite
 * errors  -ENOMEM
 * owns    ret_document: the caller ends it with json_decref()
 */
#define RUN_JSON_SCHEMA "vnperf/1"

int run_json(const struct run_result *run, json_t **ret_document, struct err *err);
