/* SPDX-License-Identifier: Apache-2.0 */
/* vnperf.yaml(5): every key of a file of settings, from the rows of the options that they are. */
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/man.h"
#include "cmd/settings.h"

#include <inttypes.h>
#include <string.h>

/* "HOW: strict, accept-new, pinned"; a text has its name alone. */
static void man_settings_words(const struct option_row *row, char *ret, size_t size)
{
    size_t n;

    snprintf(ret, size, "%s%s", row->type == OPTION_TEXT ? "text: " : "", row->arg);
    for (const char *p = row->words; p && *p; p += n + (p[n] != 0)) {
        n = strcspn(p, " ");
        text_add(ret, size, "%s%.*s", p == row->words ? ": " : ", ", (int)n, p);
    }
}

static const char man_time[] = "time: 5 (seconds), 250ms, 2min";

/* "number, 1 to 128", "true or false", "list: 1,2 or [1, 2]". */
static void man_settings_kind(const struct option_row *row, char *ret, size_t size)
{
    bool list = row->arg && strstr(row->arg, "LIST");

    switch (row->type) {
    case OPTION_FLAG:
    case OPTION_OFF:
        text_copy(ret, size, "true or false");
        return;
    case OPTION_TIME:
        text_copy(ret, size, man_time);
        return;
    case OPTION_RATE:
        text_copy(ret, size, "rate: 100M, 2.5G (bit/s)");
        return;
    case OPTION_COUNT:
        snprintf(ret, size, "number, %" PRIu64 " to %" PRIu64, row->min, row->max);
        return;
    case OPTION_SHARE:
        text_copy(ret, size, "share: 0.02, 2%");
        return;
    case OPTION_EACH:
        snprintf(ret, size, "one %s, or a list of them", row->arg);
        return;
    case OPTION_TEXT:
    case OPTION_CALL:
        break;
    }
    if (list)
        text_copy(ret, size, "list: 1,2 or [1, 2]");
    else if (!row->arg)
        text_copy(ret, size, "true or false");
    else if (strcmp(row->arg, "SEC") == 0)
        snprintf(ret, size, "%s%s%s", man_time, row->words ? "; " : "",
                 row->words ? row->words : "");
    else
        man_settings_words(row, ret, size);
}

/* What VMTP's files call it. */
static void man_settings_older(const struct option_row *row, FILE *out)
{
    for (const struct config_vmtp_key *k = config_vmtp_table; k->key; k++)
        if (k->option && strcmp(k->option, row->name) == 0) {
            fprintf(out, " VMTP called it ");
            man_text(k->key, out);
            fprintf(out, ".");
        }
}

static void man_settings_key(const struct command *command, const struct command *other,
                             const struct option_row *row, FILE *out)
{
    char key[SETTINGS_KEY_SIZE], kind[128], text[SETTINGS_TEXT_SIZE], more[SETTINGS_TEXT_SIZE];
    bool differ = settings_defaults(command, other, row, text, more);

    man_settings_kind(row, kind, sizeof kind);
    fputc('*', out);
    man_text(settings_key(row, false, key), out);
    fprintf(out, "*\n\t");
    man_text(row->help, out);
    fprintf(out, ".++\nType: ");
    man_text(kind, out);
    fputc('.', out);
    /* One that only the help can tell is not told again. */
    if (text[0] || more[0])
        fprintf(out, " Default: ");
    if (differ)
        fprintf(out, "%s ", command->name);
    man_text(text[0] || !more[0] ? text : "none", out);
    if (differ) {
        fprintf(out, "; %s ", other->name);
        man_text(more[0] ? more : "none", out);
    }
    if (text[0] || more[0])
        fputc('.', out);
    man_settings_older(row, out);
    fprintf(out, "\n\n");
}

static void man_settings_vmtp(FILE *out)
{
    fprintf(out,
            "# KEYS OF VMTP\n\nFiles of VMTP are taken as they are. The keys that have another "
            "name here:\n\n");
    for (int pass = 0; pass < 2; pass++) {
        if (pass)
            fprintf(out, "Those that this version does nothing with; one that VMTP never heeded is "
                         "refused when it asks for more than VMTP's own file does:\n\n");
        for (const struct config_vmtp_key *k = config_vmtp_table; k->key; k++) {
            if ((k->kind == CONFIG_VMTP_OPTION) == (pass == 1))
                continue;
            fputc('*', out);
            man_text(k->key, out);
            fprintf(out, "*\n\t");
            man_text(k->kind == CONFIG_VMTP_OPTION ? k->option : settings_vmtp_means(k), out);
            if (k->reason)
                fprintf(out, ": ");
            man_text(k->reason ? k->reason : "", out);
            fprintf(out, "\n\n");
        }
    }
}

void man_settings_page(FILE *out)
{
    char key[SETTINGS_KEY_SIZE];

    fprintf(
        out,
        "vnperf.yaml(5)\n\n# NAME\n\nvnperf.yaml - settings of vnperf\n\n# DESCRIPTION\n\n"
        "*vnperf run*, *plan* and *test* read settings from files in YAML, one *key: value* a "
        "line. A "
        "key is an option's name with \\_ for \\-, and its value is read as the option's. A value "
        "that "
        "is ~ or empty is the default. A list may be written 1,2 or [1, 2].\n\n"
        "A flag beats *VNPERF\\_KEY* in the environment, that beats the file of *\\-c*, and that "
        "beats "
        "the user's own file. Of options that do not go together, as quick and time, only the "
        "strongest is heard.\n\n"
        "What is not understood is an error with file, line and column: an unknown key (with the "
        "nearest known one), a value of a wrong kind, a key that stands twice, a second document. "
        "Anchors, aliases and tags of YAML are not taken. A file is UTF\\-8, of at most 256 "
        "KiB.\n\n"
        "*vnperf init* writes a file with every key, commented out; *vnperf config \\-\\-origin* "
        "shows "
        "what is in force, and where each value comes from.\n\n# KEYS\n\n");
    for (const struct option_row *row = cmd_run.rows; row->name; row++)
        if (strcmp(row->name, "config") != 0)
            man_settings_key(&cmd_run, &cmd_test, row, out);
    fprintf(out, "# KEYS OF VNPERF TEST ALONE\n\n");
    for (const struct option_row *row = cmd_test.rows; row->name; row++)
        if (!settings_row(&cmd_run, settings_key(row, false, key)))
            man_settings_key(&cmd_test, &cmd_run, row, out);
    man_settings_vmtp(out);
    fprintf(out,
            "# CREDENTIALS OF OPENSTACK\n\nThey are no settings. *rc* names an openrc file, "
            "*os_cloud* (or OS\\_CLOUD) a cloud of _clouds.yaml_, which is looked for here, in "
            "_~/.config/openstack_ and in _/etc/openstack_, with _secure.yaml_ on top. "
            "OS\\_ variables fill what an openrc file leaves open; beside clouds.yaml only "
            "secrets come from them. No secret is shown.\n\n# FILES\n\n"
            "_~/.config/vnperf/config.yaml_\n\tread without being named; *XDG\\_CONFIG\\_HOME* "
            "moves it\n\n# EXAMPLES\n\n```\ntime: 10\nscenarios: [1.1, 2.*]\nudpbuf: [64, 1400]\n"
            "host:\n  - root@a\n  - root@b::eth5\n```\n\n# SEE ALSO\n\n*vnperf*(1), "
            "*vnperf-init*(1), *vnperf-config*(1), *vnperf-run*(1), *vnperf-test*(1)\n");
}
