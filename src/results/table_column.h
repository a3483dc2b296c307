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
    const json_t *repeats;     /* the measurement stands for all of this entry's; else NULL */
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

/* "TCP 64 KiB", "UDP 40x1400 B", "ICMP 56 B", "TCP RR 64 B, spinning"; the scenario's protocol where there is no measurement. */
void table_column_test(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE]);
/* Throughput, transactions a second or the median of the round-trip time, as measurement_measured() says; "-". */
void table_column_result(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE]);
/* What the repetitions say together: "median of 10; 95 % interval 9.31 Gbit/s to 9.52 Gbit/s (2.2 %)"; "" when alone. */
enum { TABLE_REPEATS_SIZE = 400 };
void table_column_repeats(const struct table_row *row, char ret[TABLE_REPEATS_SIZE]);
/* How far a delay under load is above the idle one: "above idle: p50 +1.20 ms, p99 +3.41 ms"; "" when it is not. */
void table_column_rise(const struct table_row *row, char ret[TABLE_CELL_SIZE]);
/*
 * One target, 0 …, of a rate search for several: "PDR, loss up to 0.1 %: 1.32 Gbit/s, lost 0.080 %"; false when there is
 * none. NDR and PDR: no-drop and partial-drop rate.
 */
bool table_column_target(const struct table_row *row, unsigned number, char ret[TABLE_CELL_SIZE]);
/* What became of it, with the number of its note: "passed [1]". */
void table_column_status(const struct table_row *row, const char *path, char ret[TABLE_CELL_SIZE]);
