/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/output.h"
#include "results/facts_table.h"
#include "results/json_out.h"
#include "results/store.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct show_flags {
    struct output_options output; /* first, as its rows want it */
    bool facts;
};

static const struct option_row show_rows[] = {
    {"facts", 0, NULL, "the machines instead: kernel, CPU, NIC, sysctls, clock, and what changed",
     OPTION_FLAG, offsetof(struct show_flags, facts), 0, 0, 0, NULL, NULL},
    OUTPUT_ROWS,
    {0},
};

static int show_facts(const json_t *document, struct err *err)
{
    errno = 0;
    facts_table_print(document, stdout);
    if (fflush(stdout) == EOF || ferror(stdout))
        return err_set(err, errno ? errno : EIO, "writing the facts");
    return 0;
}

static int show_run(const struct command *command, int argc, char **argv)
{
    struct show_flags flags = {.output = {.colour = "auto"}};
    const struct output_options *output = &flags.output;
    char state[STORE_PATH_SIZE];
    json_t *document = NULL;
    struct err err = {0};
    char **args;
    int n_args, r, code = options_parse(command, argc, argv, &flags, &args, &n_args);

    if (code != OPTIONS_GO_ON)
        return code;
    r = store_state_dir(state, &err);
    if (r == 0)
        r = store_load(state, n_args ? args[0] : "last", &document, &err);
    if (r < 0) {
        log_say(LOG_ERROR, "show: %s", err.text);
        return EXIT_USAGE;
    }
    if (output->json[0])
        r = json_out_file(document, output->json, &err);
    if (r == 0 && flags.facts && strcmp(output->json, "-") != 0)
        r = show_facts(document, &err);
    else if (r == 0 && strcmp(output->json, "-") != 0)
        r = table_print(document, output->format, output_colour(output), stdout, &err);
    json_decref(document);
    if (r < 0) {
        log_say(LOG_ERROR, "show: %s", err.text);
        return EXIT_ENVIRONMENT;
    }
    return EXIT_OK;
}

const struct command cmd_show = {
    .name = "show",
    .summary = "show a saved run again",
    .args = "[RUN]   (an id, its beginning, a file, or last)",
    .examples = "  vnperf show\n  vnperf show last -o wide\n  vnperf show --facts\n  vnperf show "
                "20261121 --json -\n",
    .rows = show_rows,
    .max_args = 1,
    .run = show_run,
};
