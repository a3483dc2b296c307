/* SPDX-License-Identifier: Apache-2.0 */
#include "results/store.h"

#include "base/auto.h"
#include "base/text.h"
#include "results/json_out.h"
#include "results/run_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir -p, 0700 for what is made. */
static int store_make_dir(const char *path, struct err *err)
{
    char part[STORE_PATH_SIZE];
    struct stat st;

    if (!text_copy(part, sizeof part, path))
        return err_set(err, ENAMETOOLONG, "folder for results '%.60s…'", path);
    for (char *p = part + 1;; p++) {
        char was = *p;

        if (was && was != '/')
            continue;
        *p = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST) {
            int r = -errno;

            /* A read-only parent may complain of itself before it says that the folder is there. */
            if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
                return err_set(
                    err, r, "making the folder '%s' for results (XDG_STATE_HOME chooses another)",
                    part);
        }
        *p = was;
        if (!was)
            return 0;
    }
}

/*
 * Room for one document. A file without a name vanishes by itself when the program is killed; where a file system has
 * none (NFS), it has one.
 */
static int store_keep_room(struct store *store, struct err *err)
{
    AUTO(close_p) int fd = -1;
    bool named = false;
    int r;

    fd = open(store->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        named = true;
        unlink(store->temp);
        fd = open(store->temp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    if (fd < 0)
        return err_set(err, errno, "making a file in '%s' (XDG_STATE_HOME chooses another folder)",
                       store->dir);
    r = posix_fallocate(fd, 0, STORE_ROOM_BYTES);
    if (r) {
        if (named)
            unlink(store->temp);
        return err_set(err, r,
                       "keeping room for results in '%s' (XDG_STATE_HOME chooses another folder)",
                       store->dir);
    }
    store->fd = TAKE_FD(fd);
    store->has_room = true;
    store->named = named;
    return 0;
}

static void store_drop_room(struct store *store)
{
    if (!store->has_room)
        return;
    close(store->fd);
    if (store->named)
        unlink(store->temp);
    store->has_room = false;
    store->named = false;
}

int store_open(struct store *ret_store, const char *state_dir, const char *run_id, struct err *err)
{
    struct store store = {0};
    int n, r;

    if (!*run_id || *run_id == '.' || strchr(run_id, '/') || strlen(run_id) >= RUN_ID_SIZE)
        return err_say(err, "'%s' is no run id", run_id);
    n = snprintf(store.dir, sizeof store.dir, "%s/runs", state_dir);
    if (n < 0 || (size_t)n >= sizeof store.dir)
        return err_set(err, ENAMETOOLONG, "folder for results '%.60s…'", state_dir);
    snprintf(store.path, sizeof store.path, "%s/%s.json", store.dir, run_id);
    snprintf(store.temp, sizeof store.temp, "%s/.%s.tmp", store.dir, run_id);
    r = store_make_dir(store.dir, err);
    if (r < 0)
        return r;
    if (access(store.path, F_OK) == 0)
        return err_set(err, EEXIST, "result file '%s'", store.path);
    r = store_keep_room(&store, err);
    if (r < 0)
        return r;
    {
        const char *tmp = getenv("TMPDIR");

        n = snprintf(store.fallback, sizeof store.fallback, "%s/vnperf-%s.json",
                     tmp && *tmp == '/' ? tmp : "/tmp", run_id);
        if (n < 0 || (size_t)n >= sizeof store.fallback)
            snprintf(store.fallback, sizeof store.fallback, "/tmp/vnperf-%s.json", run_id);
    }
    *ret_store = store;
    return 0;
}

static int store_write_all(int fd, const char *text, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = pwrite(fd, text + done, size - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    if (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

/* The new name is on the disk only when its folder is. */
static void store_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static int store_save_here(struct store *store, const char *text, size_t size, struct err *err)
{
    int r;

    if (!store->has_room) {
        r = store_keep_room(store, err);
        if (r < 0)
            return r;
    }
    r = store_write_all(store->fd, text, size);
    if (r < 0) {
        store_drop_room(store);
        return err_set(err, r, "writing '%s'", store->path);
    }
    if (!store->named) {
        char link_path[40];

        /* A kill between link and rename leaves the name; the next run of this id or the owner removes it. */
        snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", store->fd);
        unlink(store->temp);
        if (linkat(AT_FDCWD, link_path, AT_FDCWD, store->temp, AT_SYMLINK_FOLLOW) < 0) {
            r = -errno;
            store_drop_room(store);
            return err_set(err, r, "naming '%s'", store->temp);
        }
    }
    if (rename(store->temp, store->path) < 0) {
        r = -errno;
        unlink(store->temp);
        store_drop_room(store);
        return err_set(err, r, "renaming to '%s'", store->path);
    }
    store_sync_dir(store->dir);
    close(store->fd);
    store->has_room = false;
    /* Room for the next one; when there is none now, the next save says so. A named one would outlive a kill. */
    if (!store->named)
        (void)store_keep_room(store, NULL);
    return 0;
}

/* In a folder that everybody may write to: never follow or replace what is not ours. */
static int store_save_elsewhere(struct store *store, const char *text, size_t size, struct err *err)
{
    char temp[sizeof store->fallback + 8];
    AUTO(close_p) int fd = -1;
    int r;

    snprintf(temp, sizeof temp, "%s.new", store->fallback);
    fd = open(temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(err, errno, "making '%s'", temp);
    r = store_write_all(fd, text, size);
    if (r == 0 &&
        (store->elsewhere ? rename(temp, store->fallback) : link(temp, store->fallback)) < 0)
        r = -errno;
    if (r < 0 || !store->elsewhere)
        unlink(temp);
    if (r < 0)
        return err_set(err, r, "writing '%s'", store->fallback);
    store->elsewhere = true;
    return 0;
}

int store_save(struct store *store, const struct run_result *run,
               char ret_path[STORE_PATH_SIZE + 64], struct err *err)
{
    AUTO(free_p) char *text = NULL;
    struct err here = {0}, there = {0};
    json_t *document = NULL;
    const char *where;
    size_t size;
    int r = run_json(run, &document, err);

    if (r < 0)
        return r;
    text = json_dumps(document, JSON_INDENT(1) | JSON_OUT_FLAGS);
    json_decref(document);
    if (!text)
        return err_set(err, ENOMEM, "writing the run as JSON");
    /* With its end of line in the place of its end. */
    size = strlen(text);
    text[size++] = '\n';

    r = store_save_here(store, text, size, &here);
    if (r < 0) {
        if (store_save_elsewhere(store, text, size, &there) < 0)
            return err_set(err, here.code, "results are not saved: %s; and %s", here.text,
                           there.text);
        if (err) {
            err->code = here.code;
            snprintf(err->text, sizeof err->text, "results are in '%.200s' instead: %.240s",
                     store->fallback, here.text);
        }
        where = store->fallback;
        r = 1;
    } else {
        if (store->elsewhere)
            unlink(store->fallback);
        store->elsewhere = false;
        where = store->path;
        r = 0;
    }
    if (ret_path)
        text_copy(ret_path, STORE_PATH_SIZE + 64, where);
    return r;
}

void store_done(struct store *store)
{
    if (!store)
        return;
    store_drop_room(store);
    *store = (struct store){0};
}
