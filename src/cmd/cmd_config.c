/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/run_flags.h"
#include "cmd/test_flags.h"

#include <stdio.h>
#include <string.h>

/* Words of argv that are config's own; the others are run's. Returns how many stay. */
static int config_own(int argc, char **argv, char **ret_rest, bool *ret_origin, bool *ret_help)
{
    int n = 0;

    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--origin") == 0)
            *ret_origin = true;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            *ret_help = true;
        else
            ret_rest[n++] = argv[i];
    }
    ret_rest[n] = NULL;
    return n;
}

/* A password in "user:secret@host" or VMTP's "user@host:secret:if" is not shown. */
static void config_print(const char *text, FILE *out)
{
    char masked[SETTINGS_TEXT_SIZE + 8];
    const char *at = strchr(text, '@'), *colon, *end;

    if (!at || strstr(text, "://")) {
        at = at ? strrchr(text, '@') : NULL;
        colon =
            at ? memchr(strstr(text, "://") + 3, ':',
                        (size_t)(at > strstr(text, "://") + 3 ? at - strstr(text, "://") - 3 : 0))
               : NULL;
        if (colon)
            snprintf(masked, sizeof masked, "%.*s:***%s", (int)(colon - text), text, at);
        settings_print(colon ? masked : text, out);
        return;
    }
    colon = memchr(text, ':', (size_t)(at - text));
    end = strchr(at, ']');
    if (!colon)
        colon = strchr(end ? end : at, ':');
    if (colon)
        snprintf(masked, sizeof masked, "%.*s:***", (int)(colon - text), text);
    settings_print(colon ? masked : text, out);
}

static void config_line(const struct settings *s, size_t i, bool origin)
{
    const struct setting *setting = &s->of[i];
    char key[SETTINGS_KEY_SIZE], text[SETTINGS_TEXT_SIZE], where[1200];

    printf("%s: ", settings_key(&s->command->rows[i], false, key));
    if (setting->n_text > 1)
        fputc('[', stdout);
    for (size_t k = 0; k < setting->n_text; k++) {
        fputs(k ? ", " : "", stdout);
        config_print(setting->text[k], stdout);
    }
    if (setting->n_text > 1)
        fputc(']', stdout);
    if (setting->n_text == 0)
        settings_print(settings_default(s->command, &s->command->rows[i], text), stdout);
    settings_where(s, i, where, sizeof where);
    if (origin)
        printf("  # %s", text_tame(where));
    fputc('\n', stdout);
}

static void config_kept(const struct settings *s)
{
    for (size_t i = 0; i < s->n_kept; i++)
        printf("# %s (%s:%u:%u): %s\n", s->kept[i].key->key, s->kept[i].tree->name,
               s->kept[i].value->line, s->kept[i].value->column,
               settings_vmtp_means(s->kept[i].key));
}

/* Credentials as a comment: they are no settings. Secrets are not shown. */
static int config_credentials(const struct cloud_options *options)
{
    struct cloud_access access = {0};
    struct err err = {0};

    if (cloud_access_find(options, &access, &err) < 0) {
        log_say(LOG_ERROR, "config: %s", err.text);
        return EXIT_USAGE;
    }
    for (int f = 0; f < CLOUD_FIELDS; f++)
        if (access.value[f])
            printf("# %s: %s (%s): for the openstack driver, which this version has not\n",
                   cloud_fields[f].variable,
                   cloud_fields[f].secret ? "***" : text_tame(access.value[f]), access.from[f]);
    if (access.ask_password)
        printf("# OS_PASSWORD: asked for on the terminal\n");
    cloud_access_done(&access);
    return EXIT_OK;
}

static void config_lines(const struct settings *s, bool origin)
{
    for (size_t i = 0; i < options_count(s->command); i++)
        if (strcmp(s->command->rows[i].name, "config") != 0)
            config_line(s, i, origin);
    config_kept(s);
}

/* What run would take: its rows under our name. */
static int config_of_run(const struct command *command, int argc, char **argv, bool origin)
{
    const struct command as_run = {
        .name = command->name, .args = "", .rows = run_flags_rows, .run = command->run};
    struct run_flags flags;
    int code = run_flags_parse(&as_run, argc, argv, &flags);

    if (code != OPTIONS_GO_ON)
        return code;
    config_lines(&flags.settings, origin);
    code = config_credentials(&flags.cloud);
    settings_done(&flags.settings);
    run_options_done(&flags.run);
    return code;
}

/* What test would take; its endpoints are not needed. */
static int config_of_test(const struct command *command, int argc, char **argv, bool origin)
{
    const struct command as_test = {.name = command->name,
                                    .args = "",
                                    .rows = test_flags_rows,
                                    .max_args = cmd_test.max_args,
                                    .run = command->run};
    struct test_flags flags;
    char **args;
    int n, code;

    test_flags_default(&flags);
    code = options_parse_settings(&as_test, argc, argv, &flags, &flags.settings, &args, &n);
    if (code != OPTIONS_GO_ON)
        return code;
    config_lines(&flags.settings, origin);
    settings_done(&flags.settings);
    return EXIT_OK;
}

static int config_run(const struct command *command, int argc, char **argv)
{
    AUTO(free_p) char **rest = calloc((size_t)argc + 1, sizeof *rest);
    bool origin = false, help = false, of_test, named;
    int n;

    if (!rest) {
        log_say(LOG_ERROR, "config: no memory");
        return EXIT_ENVIRONMENT;
    }
    n = config_own(argc, argv, rest, &origin, &help);
    if (help) {
        options_usage(command, stdout);
        return EXIT_OK;
    }
    of_test = n > 1 && strcmp(rest[1], cmd_test.name) == 0;
    named = of_test ||
            (n > 1 && (strcmp(rest[1], cmd_run.name) == 0 || strcmp(rest[1], cmd_plan.name) == 0));
    return of_test ? config_of_test(command, n - 1, rest + 1, origin)
                   : config_of_run(command, n - named, rest + named, origin);
}

static const struct option_row config_rows[] = {
    {"origin", 0, NULL, "say where each value comes from: flag, VNPERF_NAME, file, default",
     OPTION_FLAG, 0, 0, 0, 0, NULL, NULL},
    SETTINGS_ROWS,
    {0},
};

const struct command cmd_config = {
    .name = "config",
    .summary = "print the settings in force, as a file of settings",
    .args = "[run|test] [OPTION of that command…]   (run)",
    .examples = "  vnperf config test --origin\n"
                "  vnperf config --origin -c cloud.yaml\n"
                "  VNPERF_TIME=10 vnperf config --origin --quick\n",
    .rows = config_rows,
    .run = config_run,
};
