/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/measurement.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Saved runs: one JSON file a run, <state>/runs/<run id>.json, readable by its owner only.
 *
 * A run saves after every scenario. Each save is a whole document under a name of its own, synced and then renamed, so a
 * reader sees the old or the new one, and after a crash there is one of the two.
 */
enum { STORE_PATH_SIZE = 1024, STORE_ROOM_BYTES = 1 << 20, STORE_FILE_MAX_BYTES = 256 << 20 };

/* $XDG_STATE_HOME/vnperf, else ~/.local/state/vnperf; a relative XDG_STATE_HOME does not count (XDG base directory
 * specification). errors: a sentence when there is no home. */
int store_state_dir(char ret_path[STORE_PATH_SIZE], struct err *err);

/* One run's place; a zeroed struct is closed. */
struct store {
    bool has_room;  /* fd is room kept for the next save */
    bool named;     /* and has the name `temp`: the file system has no files without a name */
    int fd;         /* owned when has_room */
    bool elsewhere; /* `fallback` is ours, made by this run */
    char dir[STORE_PATH_SIZE];
    char path[STORE_PATH_SIZE + 64];
    char temp[STORE_PATH_SIZE + 64];
    char fallback[STORE_PATH_SIZE + 64];
};

/*
 * Make the folder (0700) and keep STORE_ROOM_BYTES for the first save, so that a full or read-only disk shows before
 * anything is measured.
 *
 * errors  a sentence with the path: -ENOSPC, -EACCES, -EROFS…; -EEXIST a run of that id is there
 */
int store_open(struct store *ret_store, const char *state_dir, const char *run_id, struct err *err);

/*
 * Save what there is of the run. When its own place fails, it is saved as vnperf-<id>.json in $TMPDIR or /tmp instead.
 *
 * errors  1: saved there, and err says why; negative: saved nowhere, err says both reasons
 * owns    ret_path (may be NULL): where the document is now
 */
int store_save(struct store *store, const struct run_result *run,
               char ret_path[STORE_PATH_SIZE + 64], struct err *err);

/* Give back what was kept; the saved file stays. Takes a zeroed one. */
void store_done(struct store *store);

/* A saved run. */
struct store_entry {
    char id[RUN_ID_SIZE];
    uint64_t saved_wall_ns;
};

/* Every saved run, newest first. Returns how many, 0 when there is no folder yet. owns ret_entries: free(). */
int store_list(const char *state_dir, struct store_entry **ret_entries, struct err *err);

/*
 * Read a saved run: "last", a run id, the beginning of one that no other has, or a path (it has a '/' or ends in
 * ".json"); "-" is stdin.
 *
 * errors  a sentence: no such run, several begin so, not JSON (file, line, column), not vnperf's, of a newer vnperf
 * owns    ret_document: the caller ends it with json_decref()
 */
int store_load(const char *state_dir, const char *what, json_t **ret_document, struct err *err);

/* The same from bytes; name is for the sentence. */
int store_parse(const char *name, const char *bytes, size_t size, json_t **ret_document,
                struct err *err);
