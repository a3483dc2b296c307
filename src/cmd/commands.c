/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"
#include "agent/agent.h"
#include "base/log.h"
#include "cmd/man.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int version_run(const struct command *command, int argc, char **argv)
{
    int n, code = options_parse(command, argc, argv, NULL, &argv, &n);

    if (code != OPTIONS_GO_ON)
        return code;
    printf("vnperf %s\n", VNPERF_VERSION);
    return EXIT_OK;
}

const struct command cmd_version = {
    .name = "version", .summary = "print the version", .args = "", .run = version_run};

struct help_flags {
    bool scdoc;
};

static const struct option_row help_rows[] = {
    {"scdoc", 0, NULL, "the manual page's source instead", OPTION_FLAG,
     offsetof(struct help_flags, scdoc), 0, 0, 0, NULL, NULL},
    {0},
};

static int help_run(const struct command *command, int argc, char **argv)
{
    struct help_flags flags = {0};
    int n, code = options_parse(command, argc, argv, &flags, &argv, &n);

    if (code != OPTIONS_GO_ON)
        return code;
    if (flags.scdoc && strcmp(argv[0], "vnperf.yaml") == 0) {
        man_settings_page(stdout);
        return EXIT_OK;
    }
    for (const struct command *const *c = command_table; *c; c++) {
        if (strcmp((*c)->name, argv[0]) != 0)
            continue;
        if (flags.scdoc)
            man_page(*c, stdout);
        else
            options_usage(*c, stdout);
        return EXIT_OK;
    }
    log_say(LOG_ERROR, "there is no command '%.60s' (vnperf help lists them)", argv[0]);
    return EXIT_USAGE;
}

const struct command cmd_help = {.name = "help",
                                 .summary = "tell about a command",
                                 .args = "COMMAND",
                                 .rows = help_rows,
                                 .min_args = 1,
                                 .max_args = 1,
                                 .run = help_run};

static int agent_run(const struct command *command, int argc, char **argv)
{
    int n, code = options_parse(command, argc, argv, NULL, &argv, &n);

    return code != OPTIONS_GO_ON ? code : agent_serve(STDIN_FILENO, STDOUT_FILENO);
}

/* Not in the list of commands: programs speak to it, people do not. */
const struct command cmd_agent = {.name = "agent", .summary = "", .args = "", .run = agent_run};

const struct command *const command_table[] = {
    &cmd_run,        &cmd_plan,   &cmd_test,  &cmd_hops,   &cmd_match,   &cmd_serve,
    &cmd_show,       &cmd_doctor, &cmd_init,  &cmd_config, &cmd_cleanup, &cmd_version,
    &cmd_completion, &cmd_help,   &cmd_agent, NULL,
};
