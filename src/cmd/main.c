/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "deploy/driver.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void main_usage(FILE *out)
{
    fprintf(out, "vnperf: how fast the paths of a virtual network are, and where the time goes\n\n"
                 "Usage: vnperf COMMAND [OPTION…]\n\n"
                 "  vnperf run --quick       build a lab on this machine, measure its 23 scenarios "
                 "in about a minute\n"
                 "  vnperf test local local  measure one pair of endpoints\n\n"
                 "Commands:\n");
    for (const struct command *const *c = command_table; *c; c++)
        if ((*c)->summary[0])
            fprintf(out, "  %-12s %s\n", (*c)->name, (*c)->summary);
    fprintf(out, "\nvnperf COMMAND --help tells more.\n"
                 "Exit codes: 0 good, 1 a scenario failed, 2 usage, 3 environment not ready, 4 "
                 "unreachable,\n"
                 "6 something was left behind, 129, 130 and 143 ended by a signal.\n");
}

static int main_unknown(const char *word)
{
    const char *names[32], *near;
    size_t n = 0;

    for (const struct command *const *c = command_table; *c && n < 32; c++)
        names[n++] = (*c)->name;
    near = text_nearest(word, names, n);
    if (near)
        log_say(LOG_ERROR, "there is no command '%.60s': did you mean %s?", word, near);
    else
        log_say(LOG_ERROR, "there is no command '%.60s' (vnperf help lists them)", word);
    return EXIT_USAGE;
}

/* What was printed has to arrive: a full disk behind a redirection is a failure. */
static int main_flush(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    log_say(LOG_ERROR, "writing to standard output failed");
    return code == EXIT_OK ? EXIT_ENVIRONMENT : code;
}

/* With a thread that hangs in a library, that is not taken down under it. */
static int main_end(int code)
{
    if (!spawn_ssh_done()) {
        fflush(stderr);
        _exit(code);
    }
    return code;
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    /* Numbers keep their point whatever the language. */
    setlocale(LC_NUMERIC, "C");
    spawn_take_password();
    if (argc < 2) {
        main_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2)) {
        main_usage(stdout);
        return main_flush(EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0)
        return main_flush(cmd_version.run(&cmd_version, 1, argv + 1));
    for (const struct command *const *c = command_table; *c; c++)
        if (strcmp((*c)->name, argv[1]) == 0)
            return main_end(main_flush((*c)->run(*c, argc - 1, argv + 1)));
    return main_unknown(argv[1]);
}
