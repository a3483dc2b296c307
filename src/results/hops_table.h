/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "results/table.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * Hops for people and for other programs, the same whether they were just measured or stand in a saved run.
 *
 * shape   hops as hops_json() makes them, or a document with the same keys; any JSON: what is missing or of another type is
 *         "-". A row a hop and direction, the waterfall, a row a point, then what a reader must know
 * errors  the errno of the write that failed; -ENOMEM
 */
int hops_table_print(const json_t *hops, enum table_format format, bool colour, FILE *out,
                     struct err *err);

/*
 * The part of it that stands under a scenario of a run: hops, waterfall and notes, each line behind the indent. ndjson
 * has a hop a line, each with "schema".
 */
int hops_table_inset(const json_t *hops, bool wide, bool colour, const char *indent, FILE *out);
