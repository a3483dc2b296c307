/* SPDX-License-Identifier: Apache-2.0 */
#include "results/store.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "results/doc.h"
#include "results/run_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int store_state_dir(char ret_path[STORE_PATH_SIZE], struct err *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char path[STORE_PATH_SIZE];
    int n;

    if (state && *state == '/') {
        n = snprintf(path, sizeof path, "%s/vnperf", state);
    } else {
        if (!home || *home != '/')
            return err_say(err, "no folder for results: neither XDG_STATE_HOME nor HOME names one");
        n = snprintf(path, sizeof path, "%s/.local/state/vnperf", home);
    }
    if (n < 0 || (size_t)n >= sizeof path)
        return err_say(err, "the folder for results has a name of more than %d bytes",
                       STORE_PATH_SIZE - 1);
    memcpy(ret_path, path, sizeof path);
    return 0;
}

static int store_newest_first(const void *a, const void *b)
{
    const struct store_entry *x = (const struct store_entry *)a, *y = (const struct store_entry *)b;

    if (x->saved_wall_ns != y->saved_wall_ns)
        return x->saved_wall_ns < y->saved_wall_ns ? 1 : -1;
    return strcmp(y->id, x->id);
}

int store_list(const char *state_dir, struct store_entry **ret_entries, struct err *err)
{
    AUTO(free_p) struct store_entry *entries = NULL;
    AUTO(closedir_p) DIR *dir = NULL;
    size_t n = 0, room = 0;
    char path[STORE_PATH_SIZE];
    const struct dirent *d;

    if ((size_t)snprintf(path, sizeof path, "%s/runs", state_dir) >= sizeof path)
        return err_set(err, ENAMETOOLONG, "folder for results '%.60s…'", state_dir);
    dir = opendir(path);
    if (!dir && errno != ENOENT)
        return err_set(err, errno, "reading the folder '%s'", path);
    /* cppcheck-suppress readdirCalled ; this stream is ours alone */
    while (dir && (errno = 0, d = readdir(dir))) {
        size_t len = strlen(d->d_name);
        struct stat st;

        if (d->d_name[0] == '.' || len < 6 || len - 5 >= RUN_ID_SIZE ||
            strcmp(d->d_name + len - 5, ".json") != 0 ||
            fstatat(dirfd(dir), d->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (n == room) {
            size_t more = room ? room * 2 : 32;
            struct store_entry *grown = realloc(entries, more * sizeof *grown);

            if (!grown)
                return err_set(err, ENOMEM, "listing '%s'", path);
            entries = grown;
            room = more;
        }
        entries[n] = (struct store_entry){.saved_wall_ns = (uint64_t)st.st_mtim.tv_sec * CLOCK_S +
                                                           (uint64_t)st.st_mtim.tv_nsec};
        memcpy(entries[n].id, d->d_name, len - 5);
        n++;
    }
    if (dir && errno)
        return err_set(err, errno, "reading the folder '%s'", path);
    if (n)
        qsort(entries, n, sizeof *entries, store_newest_first);
    *ret_entries = TAKE(entries);
    return (int)n;
}

/* The one run that a word means. */
static int store_find(const char *state_dir, const char *what, char ret_id[RUN_ID_SIZE],
                      struct err *err)
{
    AUTO(free_p) struct store_entry *entries = NULL;
    const struct store_entry *found = NULL, *another = NULL;
    int n = store_list(state_dir, &entries, err);

    if (n < 0)
        return n;
    if (strcmp(what, "last") == 0) {
        if (n == 0)
            return err_say(err, "no run is saved in '%s/runs' yet", state_dir);
        text_copy(ret_id, RUN_ID_SIZE, entries[0].id);
        return 0;
    }
    for (int i = 0; *what && entries && i < n; i++) {
        if (strcmp(entries[i].id, what) == 0) {
            text_copy(ret_id, RUN_ID_SIZE, what);
            return 0;
        }
        if (strncmp(entries[i].id, what, strlen(what)) == 0) {
            if (!found)
                found = &entries[i];
            else
                another = &entries[i];
        }
    }
    if (!found)
        return err_say(err, "no run '%s' in '%s/runs'", what, state_dir);
    if (another)
        return err_say(err, "which run is meant: '%s' begins %s and %s", what, found->id,
                       another->id);
    text_copy(ret_id, RUN_ID_SIZE, found->id);
    return 0;
}

/* All of a file; it may be a pipe, so its size is only known at its end. */
static int store_read(int fd, const char *name, char **ret_bytes, size_t *ret_size, struct err *err)
{
    AUTO(free_p) char *bytes = NULL;
    size_t used = 0, room = 0;

    for (;;) {
        ssize_t n;

        if (used == room) {
            size_t more = room ? room * 2 : 64 << 10;
            char *grown;

            if (used >= STORE_FILE_MAX_BYTES)
                return err_say(err, "'%s' is larger than %d MiB", name, STORE_FILE_MAX_BYTES >> 20);
            grown = realloc(bytes, more);
            if (!grown)
                return err_set(err, ENOMEM, "reading '%s'", name);
            bytes = grown;
            room = more;
        }
        n = read(fd, bytes + used, room - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "reading '%s'", name);
        if (n == 0)
            break;
        used += (size_t)n;
    }
    *ret_bytes = TAKE(bytes);
    *ret_size = used;
    return 0;
}

int store_parse(const char *name, const char *bytes, size_t size, json_t **ret_document,
                struct err *err)
{
    static const char family[] = "vnperf/";
    json_error_t e;
    json_t *document = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &e);
    char schema[24], text[JSON_ERROR_TEXT_LENGTH];
    int r = 0;

    if (!document) {
        doc_clean(text, sizeof text, e.text);
        return err_say(err, "'%s' line %d, column %d: %s", name, e.line, e.column, text);
    }
    doc_clean(schema, sizeof schema, doc_text(document, "schema"));
    if (strncmp(schema, family, sizeof family - 1) != 0)
        r = err_say(err, "'%s' is not a result file of vnperf: it has no \"schema\": \"%s\"", name,
                    RUN_JSON_SCHEMA);
    else if (strcmp(schema, RUN_JSON_SCHEMA) != 0)
        r = err_say(err,
                    "'%s' has schema %s, and this vnperf reads %s: it was written by a newer one",
                    name, schema, RUN_JSON_SCHEMA);
    if (r < 0) {
        json_decref(document);
        return r;
    }
    *ret_document = document;
    return 0;
}

enum { STORE_NAME_SIZE = STORE_PATH_SIZE + RUN_ID_SIZE };

/* The file that a word means, open; its name is for sentences. Returns the descriptor. */
static int store_open_named(const char *state_dir, const char *what, char ret_name[STORE_NAME_SIZE],
                            struct err *err)
{
    size_t len = strlen(what);
    char id[RUN_ID_SIZE];
    int fd, r;

    if (strcmp(what, "-") == 0) {
        text_copy(ret_name, STORE_NAME_SIZE, "standard input");
        fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? err_set(err, errno, "reading standard input") : fd;
    }
    if (strchr(what, '/') || (len > 5 && strcmp(what + len - 5, ".json") == 0)) {
        if (!text_copy(ret_name, STORE_NAME_SIZE, what))
            return err_set(err, ENAMETOOLONG, "'%.60s…'", what);
    } else {
        r = store_find(state_dir, what, id, err);
        if (r < 0)
            return r;
        if ((size_t)snprintf(ret_name, STORE_NAME_SIZE, "%s/runs/%s.json", state_dir, id) >=
            STORE_NAME_SIZE)
            return err_set(err, ENAMETOOLONG, "'%.60s…'", state_dir);
    }
    fd = open(ret_name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "opening '%s'", ret_name);
    return fd;
}

int store_load(const char *state_dir, const char *what, json_t **ret_document, struct err *err)
{
    char name[STORE_NAME_SIZE], *bytes = NULL;
    size_t size = 0;
    int fd = store_open_named(state_dir, what, name, err), r;

    if (fd < 0)
        return fd;
    r = store_read(fd, name, &bytes, &size, err);
    close(fd);
    if (r == 0)
        r = store_parse(name, bytes, size, ret_document, err);
    free(bytes);
    return r;
}
