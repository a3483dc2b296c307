/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/man.h"

#include <string.h>

/* scdoc takes these for markup. */
void man_text(const char *text, FILE *out)
{
    for (; *text; text++)
        fprintf(out, strchr("\\*_<>#[]-", *text) ? "\\%c" : "%c", *text);
}

static void man_option(const struct option_row *row, FILE *out)
{
    if (row->letter)
        fprintf(out, "*-%c*, ", row->letter);
    fprintf(out, "*--%s*", row->name);
    if (row->arg) {
        fprintf(out, " _");
        for (const char *p = row->arg; *p; p++)
            if (*p != '_')
                fputc(*p, out);
        fputc('_', out);
    }
    fprintf(out, "\n\t");
    man_text(row->help, out);
    fprintf(out, "\n\n");
}

void man_page(const struct command *command, FILE *out)
{
    fprintf(out, "vnperf-%s(1)\n\n# NAME\n\nvnperf-%s - ", command->name, command->name);
    man_text(command->summary, out);
    fprintf(out, "\n\n# SYNOPSIS\n\n*vnperf %s*%s ", command->name,
            command->rows ? " \\[OPTION…\\]" : "");
    man_text(command->args, out);
    fprintf(out, "\n\n# OPTIONS\n\n");
    for (size_t i = 0; i < options_count(command); i++)
        man_option(&command->rows[i], out);
    fprintf(out, "*-d*, *--debug*\n\tsay what is done\n\n*-h*, *--help*\n\tprint the usage\n\n");
    for (const char *const *section = command->man; section && *section; section++)
        fputs(*section, out);
    if (command->examples) {
        fprintf(out, "# EXAMPLES\n\n```\n%s```\n\n", command->examples);
    }
    fprintf(out, "# EXIT STATUS\n\n%sSee *vnperf*(1).\n\n# SEE ALSO\n\n*vnperf*(1)\n",
            command->man_exit ? command->man_exit : "");
}
