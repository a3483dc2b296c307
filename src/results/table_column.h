/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Columns of the table, and what each says of one measurement.
 *
 * owns    nothing: the rows are lent by the document
 */
struct table_row {
    const json_t *scenario;
    const json_t *measurement; /* NULL: a scenario without one */
    unsigned note;             /* number of the note that belongs to it; 0 none */
};

enum { TABLE_CELL_SIZE = 128 };

struct table_column {
    const char *heading;
    const char *path; /* of the measurement, else of the scenario */
    void (*show)(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE]);
    bool right;
    bool narrow; /* in the table of 100 letters; the wide one has all */
};

/* The columns in order; ret_n says how many. */
const struct table_column *table_column_list(size_t *ret_n);

/* "TCP 64 KiB", "UDP 1024 B", "ICMP 56 B", "TCP RR 64 B"; the scenario's protocol where there is no measurement. */
void table_column_test(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE]);
/* Throughput, transactions a second or the median of the round-trip time, by kind; "-". */
void table_column_result(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE]);
/* What became of it, with the number of its note: "passed [1]". */
void table_column_status(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE]);
