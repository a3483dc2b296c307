/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/record.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* "user:secret@host" anywhere in a word, as VMTP wrote it or in an address: the secret becomes ***. */
static char *record_mask(const char *word)
{
    const char *at = strrchr(word, '@'), *start = word, *slash = strstr(word, "://"), *colon;
    char *masked;

    if (slash && at && slash < at)
        start = slash + 3;
    colon = at ? memchr(start, ':', (size_t)(at - start)) : NULL;
    if (!colon)
        return strdup(word);
    return asprintf(&masked, "%.*s:***%s", (int)(colon - word), word, at) < 0 ? NULL : masked;
}

static bool record_is_secret(const char *flag)
{
    return strcmp(flag, "-p") == 0 || strcmp(flag, "--password") == 0;
}

/* A word of the command line as it may be kept; before is the one in front of it. */
static char *record_word(const char *before, const char *word)
{
    static const char password[] = "--password=";

    if (before && record_is_secret(before))
        return strdup("***");
    if (strncmp(word, password, sizeof password - 1) == 0)
        return strdup("--password=***");
    return record_mask(word);
}

/* Fill words[0 … argc]; false without memory. */
static bool record_command(char **words, int argc, char **argv)
{
    words[0] = strdup("vnperf");
    for (int i = 0; i < argc && words[i]; i++)
        words[i + 1] = record_word(i > 0 ? argv[i - 1] : NULL, argv[i]);
    return words[argc];
}

int record_begin(struct run_result *ret_run, const char *driver, const char *description, int argc,
                 char **argv, struct err *err)
{
    struct run_result run = {.started_wall_ns = clock_wall_ns()};
    time_t now = (time_t)(run.started_wall_ns / CLOCK_S);
    uint16_t salt = 0;
    struct tm tm = {0};
    char stamp[20];

    if (getrandom(&salt, sizeof salt, 0) != sizeof salt)
        return err_set(err, errno, "making a run id");
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
    snprintf(run.id, sizeof run.id, "%s-%04x", stamp, salt);
    text_copy(run.driver, sizeof run.driver, driver);
    text_copy(run.description, sizeof run.description, description);
    run.command = calloc((size_t)argc + 1, sizeof *run.command);
    run.n_command = run.command ? (uint32_t)argc + 1 : 0;
    if (!run.command || !record_command(run.command, argc, argv)) {
        run_result_done(&run);
        return err_set(err, ENOMEM, "memory for the command line");
    }
    *ret_run = run;
    return 0;
}
