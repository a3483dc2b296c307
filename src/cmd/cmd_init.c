/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INIT_WIDTH = 96 };

/* Lines of a comment. */
static void init_comment(const char *text, FILE *out)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column && column + 1 + word > INIT_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        fprintf(out, "%s%.*s", column ? " " : "# ", (int)word, text);
        column += word + 2;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void init_key(const struct command *command, const struct command *other,
                     const struct option_row *row, FILE *out)
{
    char key[SETTINGS_KEY_SIZE], text[SETTINGS_TEXT_SIZE], more[SETTINGS_TEXT_SIZE], line[1024];
    bool differ = settings_defaults(command, other, row, text, more);

    fputc('\n', out);
    init_comment(row->help, out);
    if (differ) {
        snprintf(line, sizeof line, "default: %s %s; %s %s", command->name, text[0] ? text : "none",
                 other->name, more[0] ? more : "none");
        init_comment(line, out);
    }
    fprintf(out, "#%s: ", settings_key(row, false, key));
    settings_print(differ ? "" : text, out);
    fputc('\n', out);
}

static void init_write(FILE *out)
{
    char key[SETTINGS_KEY_SIZE];

    fprintf(
        out,
        "# Settings of vnperf: its defaults. Take the # off a line that begins with #key: to "
        "change it.\n"
        "# A flag beats VNPERF_KEY in the environment, that beats the file of -c, and that beats\n"
        "# ~/.config/vnperf/config.yaml. ~ is the default. A list may be written 1,2 or [1, 2].\n"
        "# vnperf config --origin shows what is in force.\n");
    fprintf(out,
            "\n# == vnperf run, vnperf plan; what vnperf test has too counts there as well ==\n");
    for (const struct option_row *row = cmd_run.rows; row->name; row++)
        if (strcmp(row->name, "config") != 0)
            init_key(&cmd_run, &cmd_test, row, out);
    fprintf(out, "\n# == vnperf test alone ==\n");
    for (const struct option_row *row = cmd_test.rows; row->name; row++)
        if (!settings_row(&cmd_run, settings_key(row, false, key)))
            init_key(&cmd_test, &cmd_run, row, out);
    fprintf(out, "\n# == VMTP's names, which are taken too ==\n#\n");
    for (const struct config_vmtp_key *k = config_vmtp_table; k->key; k++)
        if (k->kind == CONFIG_VMTP_OPTION)
            fprintf(out, "# %-20s is --%s\n", k->key, k->option);
}

/* The file that is read without being named; its folder is made. */
static int init_own(char *ret_path, size_t size, struct err *err)
{
    int r = settings_user_path(ret_path, size, err);

    for (char *slash = ret_path; r == 0 && (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        if (mkdir(ret_path, 0700) < 0 && errno != EEXIST)
            r = err_set(err, errno, "making the folder %s", ret_path);
        *slash = '/';
    }
    return r;
}

static int init_file(const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *out;
    bool bad;

    if (fd < 0 && errno == EEXIST)
        return err_say(err, "%s is there already: it is not written over (vnperf init - prints)",
                       path);
    out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out)
        return err_set(err, errno, "%s", path);
    init_write(out);
    bad = ferror(out) != 0;
    if (fclose(out) == 0 && !bad)
        return 0;
    err_set(err, errno ? errno : EIO, "writing %s", path);
    unlink(path);
    return -EIO;
}

static int init_run(const struct command *command, int argc, char **argv)
{
    char **args, path[1024] = "";
    struct err err = {0};
    int n, code = options_parse(command, argc, argv, NULL, &args, &n);

    if (code != OPTIONS_GO_ON)
        return code;
    if (n && strcmp(args[0], "-") == 0) {
        init_write(stdout);
        return EXIT_OK;
    }
    if (n && !text_copy(path, sizeof path, args[0]))
        err_say(&err, "'%.60s…' is too long a name", args[0]);
    else if (!n)
        init_own(path, sizeof path, &err);
    if (err.code || init_file(path, &err) < 0) {
        log_say(LOG_ERROR, "init: %s", err.text);
        return err.code == EINVAL ? EXIT_USAGE : EXIT_ENVIRONMENT;
    }
    log_say(LOG_INFO, "wrote %s", path);
    return EXIT_OK;
}

const struct command cmd_init = {
    .name = "init",
    .summary = "write a file of settings with every key, its default and its meaning",
    .args = "[FILE]   (- is stdout; none is ~/.config/vnperf/config.yaml)",
    .examples = "  vnperf init\n  vnperf init cloud.yaml\n",
    .max_args = 1,
    .run = init_run,
};
