/* SPDX-License-Identifier: Apache-2.0 */
#include "results/store.h"

#include "sample.h"

#include "base/auto.h"
#include "results/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/vnperf-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int remove_dir(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static unsigned n_files(const char *path)
{
    AUTO(closedir_p) DIR *d = opendir(path);
    const struct dirent *e;
    unsigned n = 0;

    while (d && (e = readdir(d)))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    return n;
}

static char *in_dir(char ret[STORE_PATH_SIZE], const char *name)
{
    snprintf(ret, STORE_PATH_SIZE, "%s/%s", dir, name);
    return ret;
}

static void save(const char *state_dir, const char *id, struct run_result *run)
{
    struct store s = {0};
    struct err e = {0};

    if (store_open(&s, state_dir, id, &e) != 0 || store_save(&s, run, NULL, &e) != 0)
        fail_msg("%s", e.text);
    store_done(&s);
}

static void test_state_folder_follows_the_environment(void **state)
{
    static const struct {
        const char *state, *home, *path;
    } rows[] = {
        {"/s", "/h", "/s/vnperf"},
        {NULL, "/h", "/h/.local/state/vnperf"},
        {"", "/h", "/h/.local/state/vnperf"},
        {"relative", "/h", "/h/.local/state/vnperf"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[STORE_PATH_SIZE];

        unsetenv("XDG_STATE_HOME");
        if (rows[i].state)
            setenv("XDG_STATE_HOME", rows[i].state, 1);
        setenv("HOME", rows[i].home, 1);
        assert_int_equal(store_state_dir(path, NULL), 0);
        assert_string_equal(path, rows[i].path);
    }
}

static void test_a_saved_run_reads_back(void **state)
{
    struct run_result *run = sample_run();
    char state_dir[STORE_PATH_SIZE], path[STORE_PATH_SIZE + 64], again[STORE_PATH_SIZE + 64];
    struct store s = {0};
    struct stat st;
    json_t *document = NULL;

    (void)state;
    in_dir(state_dir, "a/b/vnperf");
    assert_int_equal(store_open(&s, state_dir, run->id, NULL), 0);
    assert_int_equal(store_save(&s, run, path, NULL), 0);
    run->scenarios[3].status = SCENARIO_PASSED;
    assert_int_equal(store_save(&s, run, path, NULL), 0);
    store_done(&s);
    store_done(&s);
    snprintf(again, sizeof again, "%s/runs/%s.json", state_dir, run->id);
    assert_string_equal(path, again);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    in_dir(again, "a/b/vnperf/runs");
    assert_int_equal(stat(again, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(n_files(again), 1);
    assert_int_equal(store_load(state_dir, "last", &document, NULL), 0);
    assert_int_equal(doc_count(document, "summary.passed"), 5);
    json_decref(document);
    assert_int_equal(store_load("/nowhere", path, &document, NULL), 0);
    json_decref(document);
    sample_done(run);
}

static void test_an_id_is_used_once(void **state)
{
    struct run_result *run = sample_run();
    struct store s = {0};
    struct err e = {0};

    (void)state;
    save(dir, "once", run);
    assert_int_equal(store_open(&s, dir, "once", &e), -EEXIST);
    assert_non_null(strstr(e.text, "once.json"));
    assert_int_equal(store_open(&s, dir, "../x", &e), -EINVAL);
    assert_int_equal(store_open(&s, dir, "", &e), -EINVAL);
    assert_int_equal(store_open(&s, dir, ".x", &e), -EINVAL);
    sample_done(run);
}

/* An age that the file system keeps exactly, whatever the clock does meanwhile. */
static void set_age(const char *id, time_t saved)
{
    const struct timespec times[2] = {{.tv_sec = saved}, {.tv_sec = saved}};
    char path[STORE_PATH_SIZE + 64];

    snprintf(path, sizeof path, "%s/runs/%s.json", dir, id);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_runs_are_listed_newest_first(void **state)
{
    struct run_result *run = sample_run();
    struct store_entry *entries = NULL;
    char path[STORE_PATH_SIZE];

    (void)state;
    assert_int_equal(store_list(dir, &entries, NULL), 0);
    free(entries);
    entries = NULL;
    save(dir, "abc-1", run);
    save(dir, "abd-2", run);
    save(dir, "b-3", run);
    set_age("abc-1", 2000);
    set_age("abd-2", 3000);
    set_age("b-3", 1000);
    close(open(in_dir(path, "runs/.hidden.json"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    close(open(in_dir(path, "runs/notes.txt"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(mkdir(in_dir(path, "runs/folder.json"), 0700), 0);
    assert_int_equal(store_list(dir, &entries, NULL), 3);
    assert_string_equal(entries[0].id, "abd-2");
    assert_string_equal(entries[1].id, "abc-1");
    assert_string_equal(entries[2].id, "b-3");
    free(entries);
    sample_done(run);
}

static void test_a_run_is_found_by_what_begins_no_other(void **state)
{
    struct run_result *run = sample_run();
    json_t *document = NULL;
    struct err e = {0};

    (void)state;
    assert_int_equal(store_load(dir, "last", &document, &e), -EINVAL);
    assert_non_null(strstr(e.text, "no run is saved"));
    save(dir, "abc-1", run);
    save(dir, "abd-2", run);
    save(dir, "abd", run);
    assert_int_equal(store_load(dir, "abc", &document, NULL), 0);
    json_decref(document);
    /* A whole id counts although it begins another. */
    assert_int_equal(store_load(dir, "abd", &document, NULL), 0);
    json_decref(document);
    assert_int_equal(store_load(dir, "ab", &document, &e), -EINVAL);
    assert_non_null(strstr(e.text, "'ab' begins"));
    assert_int_equal(store_load(dir, "x", &document, &e), -EINVAL);
    assert_non_null(strstr(e.text, "no run 'x'"));
    assert_int_equal(store_load(dir, "", &document, &e), -EINVAL);
    assert_int_equal(store_load(dir, "nowhere.json", &document, &e), -ENOENT);
    assert_non_null(strstr(e.text, "nowhere.json"));
    sample_done(run);
}

static void test_broken_files_are_explained(void **state)
{
    static const struct {
        const char *bytes, *said;
    } rows[] = {
        {"", "'f' line 1, column 0: "},
        {"{\"schema\":\"vnperf/1\",\n \"run\":}", "'f' line 2, column "},
        {"{\"schema\":\"vnperf/1\"", "'f' line 1, column "},
        {"{\"schema\":\"vnperf/1\"} x", "'f' line 1, column "},
        {"{\"schema\":\"vnperf/1\",\"schema\":\"vnperf/1\"}", "duplicate"},
        {"{\"a\":NaN}", "'f' line 1, column "},
        {"\xff\xfe{}", "'f' line 1, column "},
        {"[]", "is not a result file of vnperf"},
        {"{}", "is not a result file of vnperf"},
        {"{\"schema\":7}", "is not a result file of vnperf"},
        {"{\"schema\":\"vnperf\"}", "is not a result file of vnperf"},
        {"{\"schema\":\"vnperf/2\"}", "newer"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *document = NULL;
        struct err e = {0};

        if (store_parse("f", rows[i].bytes, strlen(rows[i].bytes), &document, &e) != -EINVAL ||
            !strstr(e.text, rows[i].said))
            fail_msg("'%s': %s", rows[i].bytes, e.text);
        assert_null(document);
    }
}

static void test_folders_and_deep_files_are_refused(void **state)
{
    AUTO(free_p) char *deep = malloc(100000);
    json_t *document = NULL;
    struct err e = {0};

    (void)state;
    assert_non_null(deep);
    memset(deep, '[', 100000);
    assert_int_equal(store_parse("f", deep, 100000, &document, &e), -EINVAL);
    assert_int_equal(store_load(dir, "/tmp/", &document, &e), -EISDIR);
}

/* Run in a child; its exit status is the answer: 0 good, 77 not possible here, else the line that failed. */
static void in_child(int (*body)(void))
{
    int status = 0;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("neither root nor user namespaces here, so no file system of our own\n");
        skip();
    }
    if (WEXITSTATUS(status) != 0)
        fail_msg("step %d failed", WEXITSTATUS(status));
}

static bool tell_kernel(const char *path, const char *text)
{
    AUTO(close_p) int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A small file system over `dir`, seen by this process only. */
static bool mount_small(const char *options)
{
    char uid[32], gid[32];

    snprintf(uid, sizeof uid, "0 %u 1", geteuid());
    snprintf(gid, sizeof gid, "0 %u 1", getegid());
    if (geteuid() == 0) {
        if (unshare(CLONE_NEWNS) < 0)
            return false;
    } else if (unshare(CLONE_NEWNS | CLONE_NEWUSER) < 0 ||
               !tell_kernel("/proc/self/setgroups", "deny") ||
               !tell_kernel("/proc/self/uid_map", uid) || !tell_kernel("/proc/self/gid_map", gid)) {
        return false;
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, options) == 0;
}

static int full_at_once(void)
{
    struct store s = {0};
    struct err e = {0};

    if (!mount_small("size=64k"))
        return 77;
    if (store_open(&s, dir, "r", &e) != -ENOSPC)
        return 1;
    if (!strstr(e.text, "No space left") || !strstr(e.text, dir))
        return 2;
    return 0;
}

static void test_a_full_disk_shows_at_the_start(void **state)
{
    (void)state;
    in_child(full_at_once);
}

static bool fill_up(const char *path)
{
    static const char block[65536];
    AUTO(close_p) int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0)
        return false;
    while (write(fd, block, sizeof block) > 0)
        ;
    return errno == ENOSPC;
}

static int full_on_the_way(void)
{
    struct run_result *run = sample_run();
    char path[STORE_PATH_SIZE + 64], filler[STORE_PATH_SIZE], filler2[STORE_PATH_SIZE];
    struct store s = {0};
    struct err e = {0};
    json_t *document = NULL;

    if (!mount_small("size=3m"))
        return 77;
    setenv("TMPDIR", "/dev/shm", 1);
    snprintf(run->id, sizeof run->id, "full-%d", (int)getpid());
    if (store_open(&s, dir, run->id, &e) != 0)
        return 1;
    if (!fill_up(in_dir(filler, "filler")))
        return 2;
    /* The room that was kept is enough for one. */
    if (store_save(&s, run, path, &e) != 0 || strncmp(path, dir, strlen(dir)) != 0)
        return 3;
    fill_up(filler);
    if (!fill_up(in_dir(filler2, "filler2")))
        return 4;
    if (store_save(&s, run, path, &e) != 1 || strncmp(path, "/dev/shm/vnperf-full-", 21) != 0)
        return 5;
    if (!strstr(e.text, "No space left") || !strstr(e.text, path))
        return 6;
    if (store_load(dir, path, &document, &e) != 0)
        return 7;
    json_decref(document);
    if (store_save(&s, run, path, &e) != 1)
        return 8;
    unlink(filler);
    if (store_save(&s, run, path, &e) != 0 || access(s.fallback, F_OK) == 0)
        return 9;
    store_done(&s);
    sample_done(run);
    return 0;
}

static void test_a_disk_that_fills_up_moves_the_results(void **state)
{
    (void)state;
    in_child(full_on_the_way);
}

static int nowhere(void)
{
    struct run_result *run = sample_run();
    char filler[STORE_PATH_SIZE];
    struct store s = {0};
    struct err e = {0};

    if (!mount_small("size=2m"))
        return 77;
    setenv("TMPDIR", dir, 1);
    if (store_open(&s, dir, run->id, &e) != 0)
        return 1;
    store_done(&s);
    if (store_open(&s, dir, run->id, &e) != 0 || symlink("/dev/null", s.fallback) < 0)
        return 2;
    fill_up(in_dir(filler, "filler"));
    if (store_save(&s, run, NULL, &e) != 0)
        return 3;
    fill_up(in_dir(filler, "filler2"));
    if (store_save(&s, run, NULL, &e) >= 0 || !strstr(e.text, "not saved"))
        return 4;
    store_done(&s);
    sample_done(run);
    return 0;
}

static void test_what_stands_in_the_other_place_is_not_touched(void **state)
{
    (void)state;
    in_child(nowhere);
}

static int unwritable(void)
{
    struct store s = {0};
    struct err e = {0};
    char below[STORE_PATH_SIZE];

    if (chmod(dir, 0555) < 0)
        return 1;
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        return 2;
    if (store_open(&s, in_dir(below, "state"), "r", &e) != -EACCES)
        return 3;
    return strstr(e.text, below) && strstr(e.text, "XDG_STATE_HOME") ? 0 : 4;
}

static void test_an_unwritable_folder_is_named(void **state)
{
    (void)state;
    in_child(unwritable);
    assert_int_equal(chmod(dir, 0700), 0);
}

static int killed(void)
{
    struct store s = {0};

    /* Ends without store_done(), as kill -9 would. */
    return store_open(&s, dir, "r", NULL) == 0 ? 0 : 1;
}

static void test_a_killed_run_leaves_no_file_without_a_name(void **state)
{
    char path[STORE_PATH_SIZE];

    (void)state;
    in_child(killed);
    assert_int_equal(n_files(in_dir(path, "runs")), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_folder_follows_the_environment),
        TEST(test_a_saved_run_reads_back),
        TEST(test_an_id_is_used_once),
        TEST(test_runs_are_listed_newest_first),
        TEST(test_a_run_is_found_by_what_begins_no_other),
        cmocka_unit_test(test_broken_files_are_explained),
        TEST(test_folders_and_deep_files_are_refused),
        TEST(test_a_full_disk_shows_at_the_start),
        TEST(test_a_disk_that_fills_up_moves_the_results),
        TEST(test_what_stands_in_the_other_place_is_not_touched),
        TEST(test_an_unwritable_folder_is_named),
        TEST(test_a_killed_run_leaves_no_file_without_a_name),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
