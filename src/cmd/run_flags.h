/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cmd/options.h"
#include "cmd/output.h"
#include "cmd/settings.h"
#include "plan/cloud_access.h"
#include "plan/run_options.h"

/*
 * The flags of `run` and `plan`, which take the same ones.
 */
struct run_flags {
    struct output_options output; /* first: OUTPUT_ROWS write there */
    struct settings settings;     /* ended by settings_done() */
    struct run_options run;
    struct cloud_options cloud;
    bool quick;
    bool time_set;
    bool driver_set;
};

extern const struct option_row run_flags_rows[];

void run_flags_default(struct run_flags *flags);
/* Defaults, argv, checks. OPTIONS_GO_ON or the exit code. */
int run_flags_parse(const struct command *command, int argc, char **argv,
                    struct run_flags *ret_flags);
