/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * A run's document for people and for other programs, the same whether it was just measured or read from a file.
 *
 * shape   any JSON: what is missing or of another type is "-". The table has one row a measurement under the name of its
 *         path and fits 100 columns unless a test's name is long; wide has every column; both end with a summary
 * errors  the errno of the write that failed; -ENOMEM
 */
enum table_format {
    TABLE_TABLE,
    TABLE_WIDE,
    TABLE_JSON,
    TABLE_NDJSON, /* a scenario a line, each with "schema" and "run" */
    TABLE_CSV,
    TABLE_MARKDOWN,
    TABLE_FORMAT_COUNT,
};
/* "table", "wide", "json", "ndjson", "csv", "markdown". */
extern const char *const table_format_name[TABLE_FORMAT_COUNT];
/* The format of that name; -ENOENT. */
int table_format_find(const char *name);

int table_print(const json_t *document, enum table_format format, bool colour, FILE *out,
                struct err *err);
