/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "deploy/driver.h"
#include "deploy/ledger.h"
#include "results/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Remove what a ledger names, last first. Returns how many things stayed. */
static unsigned cleanup_content(const struct ledger_content *content, const struct driver *driver)
{
    unsigned left = 0;

    for (size_t i = content->n_entries; i-- > 0;) {
        const struct ledger_entry *entry = &content->entry[i];
        struct err err = {0};

        if (driver->clean(entry->text, &err) < 0) {
            log_say(LOG_ERROR, "run %s: %s %s stays: %s", content->run_id, entry->kind, entry->text,
                    err.text);
            left++;
        } else {
            printf("run %s: %s %s is gone\n", content->run_id, entry->kind, entry->text);
        }
    }
    return left;
}

static int cleanup_ledger(const char *dir, const struct ledger_row *row)
{
    struct ledger_content content = {0};
    const struct driver *driver = driver_find(row->driver);
    struct err err = {0};
    char path[STORE_PATH_SIZE + 128];
    unsigned left;

    if (row->live) {
        log_say(LOG_WARN, "run %s is still running (process %d): left alone", row->run_id,
                (int)row->pid);
        return EXIT_OK;
    }
    snprintf(path, sizeof path, "%s/%s", dir, row->run_id);
    if (!driver || ledger_read(path, &content, &err) < 0) {
        log_say(LOG_ERROR, "%s: %s", path,
                driver              ? err.text
                : row->complaint[0] ? row->complaint
                                    : "unknown driver");
        return EXIT_LEFT;
    }
    if (content.n_bad)
        log_say(LOG_WARN, "%s", err.text);
    left = cleanup_content(&content, driver);
    ledger_content_done(&content);
    if (left)
        return EXIT_LEFT;
    if (ledger_delete(dir, row->run_id, &err) < 0) {
        log_say(LOG_ERROR, "%s", err.text);
        return EXIT_LEFT;
    }
    return EXIT_OK;
}

static int cleanup_run(const struct command *command, int argc, char **argv)
{
    char state[STORE_PATH_SIZE], dir[STORE_PATH_SIZE + 16];
    AUTO(free_p) struct ledger_row *rows = NULL;
    struct err err = {0};
    char **args;
    unsigned n_found = 0;
    int n_args, n, code = options_parse(command, argc, argv, NULL, &args, &n_args);

    if (code != OPTIONS_GO_ON)
        return code;
    if (store_state_dir(state, &err) < 0) {
        log_say(LOG_ERROR, "cleanup: %s", err.text);
        return EXIT_ENVIRONMENT;
    }
    snprintf(dir, sizeof dir, "%s/ledger", state);
    n = ledger_list(dir, &rows, &err);
    if (n < 0) {
        log_say(LOG_ERROR, "cleanup: %s", err.text);
        return EXIT_ENVIRONMENT;
    }
    code = EXIT_OK;
    for (int i = 0; i < n; i++) {
        int one;

        if (n_args && strcmp(rows[i].run_id, args[0]) != 0)
            continue;
        n_found++;
        one = cleanup_ledger(dir, &rows[i]);
        code = one != EXIT_OK ? one : code;
    }
    if (n_args && !n_found) {
        log_say(LOG_ERROR, "cleanup: run '%.60s' has left nothing: there is no ledger of it in %s",
                args[0], dir);
        return EXIT_USAGE;
    }
    if (!n_found)
        printf("nothing to clean up: no run has left a ledger in %s\n", dir);
    return code;
}

const struct command cmd_cleanup = {
    .name = "cleanup",
    .summary = "remove what a broken run left, from its ledger",
    .args = "[RUN]   (an id; all runs without one)",
    .max_args = 1,
    .run = cleanup_run,
};
