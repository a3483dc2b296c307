/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "results/table.h"

#include <stdbool.h>

/*
 * How a command that measures shows what it found: a format on stdout, a JSON file beside it.
 */
struct output_options {
    enum table_format format;
    char json[256]; /* --json: a file, "-" stdout; "" none */
    char colour[8]; /* --color: auto, always, never */
    bool quiet;
};

/* --output of option_row's call: target begins with a struct output_options. */
int output_set_format(void *target, const char *value, struct err *err);
int output_set_colour(void *target, const char *value, struct err *err);

/* Can --json be written there? Asked before the measuring. errors: a sentence with the path */
int output_check(const struct output_options *options, struct err *err);

/* Print a run. errors: a sentence; what could be written was written */
int output_run(const struct output_options *options, const struct run_result *run, struct err *err);
/* Colour on stdout? */
bool output_colour(const struct output_options *options);

/* Rows that every command that measures has; the target begins with a struct output_options. */
#define OUTPUT_ROWS                                                                                \
    {"output",                                                                                     \
     'o',                                                                                          \
     "FORMAT",                                                                                     \
     "table, wide, json, ndjson, csv, markdown",                                                   \
     OPTION_CALL,                                                                                  \
     0,                                                                                            \
     0,                                                                                            \
     0,                                                                                            \
     0,                                                                                            \
     output_set_format,                                                                            \
     "table wide json ndjson csv markdown"},                                                       \
        {"json",                                                                                   \
         0,                                                                                        \
         "FILE",                                                                                   \
         "write the JSON document too; - is stdout, and nothing else goes there",                  \
         OPTION_TEXT,                                                                              \
         offsetof(struct output_options, json),                                                    \
         sizeof(((struct output_options *)0)->json),                                               \
         1,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"quiet",     'q',                                                                         \
         NULL,        "no progress, no talk",                                                      \
         OPTION_FLAG, offsetof(struct output_options, quiet),                                      \
         0,           0,                                                                           \
         0,           NULL,                                                                        \
         NULL},                                                                                    \
    {                                                                                              \
        "color", 0, "WHEN", "auto, always, never (NO_COLOR is heard)", OPTION_CALL, 0, 0, 0, 0,    \
            output_set_colour, "auto always never"                                                 \
    }
