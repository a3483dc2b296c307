/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/match.h"
#include "capture/text_match.h"
#include "cmd/options.h"
#include "cmd/output.h"

/*
 * What `vnperf match` is asked.
 */
struct match_flags {
    struct output_options output; /* first: output's rows point into it */
    char order[1024];             /* --order as it was given; "" learnt */
    enum match_nat nat;
    uint64_t window_ns;
    bool window_set, offset_auto;
    int64_t offset_ns[HOP_MAX_POINTS]; /* of the second file and later ones */
    unsigned n_offsets;
    bool per_flow;
    uint64_t interval_ns;
    bool interval_set;
    char packets[256]; /* "-" stdout, "" none */
    bool text;
    struct text_match_options columns;
    bool columns_set; /* something of them was given */

    unsigned n_files;
    char *files[HOP_MAX_POINTS];               /* lent by argv */
    char names[HOP_MAX_POINTS][HOP_NAME_SIZE]; /* distinct */
    uint8_t order_of[HOP_MAX_POINTS];          /* of --order: files by their place */
};

extern const struct option_row match_flags_rows[];

/* Returns OPTIONS_GO_ON, or the exit code to end with: mistakes have been said on stderr. */
int match_flags_parse(const struct command *command, int argc, char **argv,
                      struct match_flags *ret_flags);
