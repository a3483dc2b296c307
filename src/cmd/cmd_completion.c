/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cmd/commands.h"

#include <stdio.h>
#include <string.h>

static void completion_words(const struct command *c)
{
    for (size_t i = 0; i < options_count(c); i++)
        printf(" --%s", c->rows[i].name);
    printf(" --debug --help");
}

static void completion_bash(void)
{
    printf("_vnperf() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
           "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
           "        words='");
    for (const struct command *const *c = command_table; *c; c++)
        if ((*c)->summary[0])
            printf("%s ", (*c)->name);
    printf("'\n    else\n        case ${COMP_WORDS[1]}:$prev in\n");
    for (const struct command *const *c = command_table; *c; c++)
        for (size_t i = 0; i < options_count(*c); i++)
            if ((*c)->rows[i].words)
                printf("        %s:--%s) words='%s' ;;\n", (*c)->name, (*c)->rows[i].name,
                       (*c)->rows[i].words);
    printf("        completion:completion) words='bash zsh fish' ;;\n");
    for (const struct command *const *c = command_table; *c; c++) {
        if (!(*c)->summary[0])
            continue;
        printf("        %s:*) words='", (*c)->name);
        completion_words(*c);
        printf("' ;;\n");
    }
    printf("        esac\n    fi\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "}\n"
           "complete -o default -F _vnperf vnperf\n");
}

/* zsh speaks bash's completion through bashcompinit. */
static void completion_zsh(void)
{
    printf("autoload -U +X bashcompinit && bashcompinit\n");
    completion_bash();
}

/* In single quotes for fish. */
static void completion_quoted(const char *text)
{
    for (; *text; text++)
        printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void completion_fish(void)
{
    for (const struct command *const *c = command_table; *c; c++) {
        if (!(*c)->summary[0])
            continue;
        printf("complete -c vnperf -n __fish_use_subcommand -f -a %s -d '", (*c)->name);
        completion_quoted((*c)->summary);
        printf("'\n");
        for (size_t i = 0; i < options_count(*c); i++) {
            const struct option_row *row = &(*c)->rows[i];

            printf("complete -c vnperf -n '__fish_seen_subcommand_from %s' -l %s", (*c)->name,
                   row->name);
            if (row->letter)
                printf(" -s %c", row->letter);
            if (row->arg)
                printf(" -r");
            if (row->words)
                printf(" -f -a '%s'", row->words);
            printf(" -d '");
            completion_quoted(row->help);
            printf("'\n");
        }
    }
}

static const struct {
    const char *name;
    void (*print)(void);
} completion_shells[] = {
    {"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

static int completion_run(const struct command *command, int argc, char **argv)
{
    char **args;
    int n_args, code = options_parse(command, argc, argv, NULL, &args, &n_args);

    if (code != OPTIONS_GO_ON)
        return code;
    for (size_t i = 0; i < sizeof completion_shells / sizeof *completion_shells; i++) {
        if (strcmp(args[0], completion_shells[i].name) == 0) {
            completion_shells[i].print();
            return EXIT_OK;
        }
    }
    log_say(LOG_ERROR, "completion: '%.20s' is none of bash, zsh, fish", args[0]);
    return EXIT_USAGE;
}

const struct command cmd_completion = {
    .name = "completion",
    .summary = "print a completion script",
    .args = "bash|zsh|fish",
    .examples = "  source <(vnperf completion bash)\n",
    .min_args = 1,
    .max_args = 1,
    .run = completion_run,
};
