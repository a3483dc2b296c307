/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What a run has made and not yet removed: one file a run, written before each thing is made, so that a later
 * `vnperf cleanup` finds all that a run which broke has left, and only that.
 *
 * shape   first line   vnperf-ledger/1 run=ID driver=NAME pid=N start=TICKS      (the controller of the run)
 *         then         + KIND TEXT        about to be made; TEXT is the driver's (describe)
 *                      - TEXT             is gone
 *         A line that a crash cut in its middle is bad like any other: a resource is made only after its whole line is
 *         on the disk.
 * units   start as in deploy/process.h
 */
enum { LEDGER_ID_SIZE = 64, LEDGER_KIND_SIZE = 16, LEDGER_TEXT_SIZE = 240 };

struct ledger;

/*
 * A new ledger DIR/RUN_ID of this process; DIR is made when it is not there. A run_id is letters, digits, '-', '_', '.'.
 *
 * errors  -EEXIST that run has a ledger; -ENOSPC, -EACCES … with the path
 * owns    ret_ledger: ended by ledger_close()
 */
int ledger_open(const char *dir, const char *run_id, const char *driver, struct ledger **ret_ledger,
                struct err *err);

/* The file, absolute; lent until ledger_close(). */
const char *ledger_path(const struct ledger *ledger);

/*
 * Say that something is about to be made; on the disk when this returns 0. After a failure it must not be made.
 *
 * errors  -EINVAL a text that is no single line of at most LEDGER_TEXT_SIZE - 1 bytes; -EEXIST it is named already;
 *         -ENOSPC, -EIO … with the path
 */
int ledger_add(struct ledger *ledger, const char *kind, const char *text, struct err *err);
/* Say that it is gone. errors: -ENOENT it is not named; as above */
int ledger_remove(struct ledger *ledger, const char *text, struct err *err);

/* How many things are named and not removed. */
size_t ledger_count(const struct ledger *ledger);

/* End it; removes the file when nothing is left, or returns how many things are, and leaves it. Takes NULL. */
int ledger_close(struct ledger *ledger, struct err *err);

struct ledger_entry {
    char kind[LEDGER_KIND_SIZE];
    char text[LEDGER_TEXT_SIZE];
};

struct ledger_content {
    char run_id[LEDGER_ID_SIZE];
    char driver[LEDGER_ID_SIZE];
    pid_t pid;
    uint64_t start;
    struct ledger_entry *
        entry; /* owned; what is not removed, in the order it was made: clean from the last to the first */
    size_t n_entries;
    unsigned n_bad; /* lines that could not be understood */
};

/*
 * Read a ledger of any run. Bad lines behind the first are left out and counted; err then names the first of them with
 * file and line, and 0 is returned all the same: what can be read can be cleaned.
 *
 * errors  -ENOENT; -EBADMSG the first line is no ledger's
 * owns    ret_content: ended by ledger_content_done()
 */
int ledger_read(const char *path, struct ledger_content *ret_content, struct err *err);
/* The same of a text; name is for the complaints. */
int ledger_parse(const char *name, const char *text, size_t size,
                 struct ledger_content *ret_content, struct err *err);
void ledger_content_done(struct ledger_content *content);

/* Is the controller of that run still there? Its things are not to be cleaned then. */
bool ledger_is_live(const struct ledger_content *content);

struct ledger_row {
    char run_id[LEDGER_ID_SIZE];
    char driver[LEDGER_ID_SIZE];
    pid_t pid;
    uint64_t start;
    bool live;
    size_t n_entries;
    char complaint[200]; /* "" none; else what is bad in it */
};

/*
 * All ledgers of a folder, by name; a folder that is not there has none. One that cannot be read at all has a complaint
 * and no driver. Returns how many.
 *
 * owns  ret_rows: the caller frees it
 */
int ledger_list(const char *dir, struct ledger_row **ret_rows, struct err *err);

/* Remove the file of a run that was cleaned. 0 also when it was gone. */
int ledger_delete(const char *dir, const char *run_id, struct err *err);
