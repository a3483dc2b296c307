/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "deploy/ledger.h"
#include "deploy/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FIRST "vnperf-ledger/1 run=r1 driver=lab pid=7 start=9\n"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/vnperf-ledger-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[256];

    (void)state;
    snprintf(command, sizeof command, "chmod -R u+rwx %s && rm -rf %s", dir, dir);
    return system(command);
}

static void test_what_is_added_and_not_removed_is_read_back(void **state)
{
    struct ledger_content c = {0};
    struct ledger *l = NULL;
    struct err err = {0};
    char sub[100], path[200];

    (void)state;
    snprintf(sub, sizeof sub, "%s/state/ledger", dir);
    assert_int_equal(ledger_open(sub, "run-1.a_B", "lab", &l, &err), 0);
    assert_int_equal(ledger_add(l, "node", "keeper pid=12 start=34", &err), 0);
    assert_int_equal(ledger_add(l, "vm", "vm server", &err), 0);
    assert_int_equal(ledger_add(l, "vm", "vm client", &err), 0);
    assert_int_equal(ledger_remove(l, "vm server", &err), 0);
    assert_int_equal(ledger_count(l), 2);
    snprintf(path, sizeof path, "%s/run-1.a_B", sub);
    assert_string_equal(ledger_path(l), path);

    assert_int_equal(ledger_read(path, &c, &err), 0);
    assert_string_equal(err.text, "");
    assert_string_equal(c.run_id, "run-1.a_B");
    assert_string_equal(c.driver, "lab");
    assert_int_equal(c.pid, getpid());
    assert_true(ledger_is_live(&c));
    assert_int_equal(c.n_entries, 2);
    assert_string_equal(c.entry[0].kind, "node");
    assert_string_equal(c.entry[0].text, "keeper pid=12 start=34");
    assert_string_equal(c.entry[1].text, "vm client");
    c.start++;
    assert_false(ledger_is_live(&c));
    ledger_content_done(&c);

    assert_int_equal(ledger_remove(l, "vm client", &err), 0);
    assert_int_equal(ledger_remove(l, "keeper pid=12 start=34", &err), 0);
    assert_int_equal(ledger_close(l, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_a_ledger_with_something_in_it_stays(void **state)
{
    static const char cut[] = FIRST "+ vm vm a\n+ vm vm b";
    struct ledger_row *rows = NULL;
    struct ledger *l = NULL;
    struct err err = {0};
    char path[200];
    int n;

    (void)state;
    assert_int_equal(ledger_list("/nowhere/at/all", &rows, &err), 0);
    free(rows);
    assert_int_equal(ledger_open(dir, "left", "lab", &l, &err), 0);
    assert_int_equal(ledger_add(l, "vm", "vm server", &err), 0);
    assert_int_equal(ledger_add(l, "vm", "vm server", &err), -EEXIST);
    assert_int_equal(ledger_remove(l, "vm other", &err), -ENOENT);
    assert_int_equal(ledger_close(l, &err), 1);
    assert_int_equal(ledger_open(dir, "left", "lab", &l, &err), -EEXIST);
    assert_non_null(strstr(err.text, "/left: File exists"));

    snprintf(path, sizeof path, "%s/dead", dir);
    n = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(n, cut, strlen(cut)), (ssize_t)strlen(cut));
    close(n);
    snprintf(path, sizeof path, "%s/empty", dir);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

    n = ledger_list(dir, &rows, &err);
    assert_int_equal(n, 3);
    assert_string_equal(rows[0].run_id, "dead");
    assert_false(rows[0].live);
    assert_int_equal(rows[0].n_entries, 1);
    assert_non_null(strstr(rows[0].complaint, "is the ledger of run r1"));
    assert_string_equal(rows[1].run_id, "empty");
    assert_non_null(strstr(rows[1].complaint, "line 1 is not the first line of a ledger"));
    assert_string_equal(rows[2].run_id, "left");
    assert_true(rows[2].live);
    assert_int_equal(rows[2].n_entries, 1);
    assert_string_equal(rows[2].complaint, "");
    free(rows);
    assert_int_equal(ledger_delete(dir, "left", &err), 0);
    assert_int_equal(ledger_delete(dir, "left", &err), 0);
    assert_int_equal(ledger_delete(dir, "../left", &err), -EINVAL);
}

static void test_bad_lines_are_named_and_the_others_are_read(void **state)
{
    static const struct {
        const char *text;
        const char *says;
        size_t n_entries;
        unsigned n_bad;
    } rows[] = {
        {FIRST, "", 0, 0},
        {FIRST "+ vm vm a\n- vm a\n", "", 0, 0},
        {FIRST "+ vm vm a", "L line 2 was cut off", 0, 1},
        {FIRST "\n+ vm vm a\n", "L line 2 begins neither", 1, 1},
        {FIRST "+ vm vm a\n* vm vm b\n? x y\n", "L line 3 begins neither", 1, 2},
        {FIRST "+ vm vm a\n+ vm vm a\n", "L line 3 names what is there already", 1, 1},
        {FIRST "- vm a\n", "L line 2 removes what is not there", 0, 1},
        {FIRST "+ vm\n", "L line 2 has no kind", 0, 1},
        {FIRST "+ a-kind-that-is-too-long x\n", "L line 2 has no kind", 0, 1},
        {FIRST "+ v/m x\n", "L line 2 has no kind", 0, 1},
        {FIRST "+ vm \n", "L line 2 has no text", 0, 1},
        {FIRST "+ vm a\tb\n", "L line 2 has no text", 0, 1},
        {FIRST "+ vm  a\n", "L line 2 has no text", 0, 1},
    };
    static const char *const first[] = {
        "",
        "\n",
        "vnperf-ledger/1 run=r1 driver=lab pid=7 start=9",
        "vnperf-ledger/2 run=r1 driver=lab pid=7 start=9\n",
        "vnperf-ledger/1 run=../r1 driver=lab pid=7 start=9\n",
        "vnperf-ledger/1 run=.r driver=lab pid=7 start=9\n",
        "vnperf-ledger/1 run= driver=lab pid=7 start=9\n",
        "vnperf-ledger/1 run=r1 driver=lab pid=0 start=9\n",
        "vnperf-ledger/1 run=r1 driver=lab pid=-7 start=9\n",
        "vnperf-ledger/1 run=r1 driver=lab pid=99999999999 start=9\n",
        "vnperf-ledger/1 run=r1 driver=lab pid=7 start=9 \n",
        "vnperf-ledger/1 run=r1 driver=lab pid=7 start=9 more=1\n",
        "vnperf-ledger/1 driver=lab run=r1 pid=7 start=9\n",
        "vnperf-ledger/1  run=r1 driver=lab pid=7 start=9\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ledger_content c = {0};
        struct err err = {0};

        assert_int_equal(ledger_parse("L", rows[i].text, strlen(rows[i].text), &c, &err), 0);
        if (strncmp(err.text, rows[i].says, strlen(rows[i].says)) != 0 ||
            (!rows[i].says[0] && err.text[0]))
            fail_msg("row %zu: %s", i, err.text);
        assert_int_equal(c.n_entries, rows[i].n_entries);
        assert_int_equal(c.n_bad, rows[i].n_bad);
        ledger_content_done(&c);
    }
    for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
        struct ledger_content c = {.n_entries = 77};
        struct err err = {0};

        if (ledger_parse("L", first[i], strlen(first[i]), &c, &err) != -EBADMSG)
            fail_msg("taken: %s", first[i]);
        assert_non_null(strstr(err.text, "L line 1 is not the first line of a ledger"));
        assert_int_equal(c.n_entries, 77);
    }
}

static void test_texts_that_are_no_line_are_refused(void **state)
{
    static const char *const bad[] = {"", "a\nb", " a", "a ", "a\x1b[0m"};
    char longest[LEDGER_TEXT_SIZE + 1];
    struct ledger *l = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(ledger_open(dir, "a/b", "lab", &l, &err), -EINVAL);
    assert_int_equal(ledger_open(dir, "..", "lab", &l, &err), -EINVAL);
    assert_int_equal(ledger_open(dir, "", "lab", &l, &err), -EINVAL);
    assert_int_equal(ledger_open(dir, "texts", "lab", &l, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(ledger_add(l, "vm", bad[i], &err), -EINVAL);
    assert_int_equal(ledger_add(l, "v m", "a", &err), -EINVAL);
    memset(longest, 'x', sizeof longest);
    longest[LEDGER_TEXT_SIZE] = 0;
    assert_int_equal(ledger_add(l, "vm", longest, &err), -EINVAL);
    longest[LEDGER_TEXT_SIZE - 1] = 0;
    assert_int_equal(ledger_add(l, "vm", longest, &err), 0);
    assert_int_equal(ledger_remove(l, longest, &err), 0);
    assert_int_equal(ledger_close(l, &err), 0);
}

static void test_an_unwritable_folder_is_named(void **state)
{
    struct ledger *l = NULL;
    struct err err = {0};
    char sub[100], file[100];

    (void)state;
    assert_int_equal(ledger_open("/proc/no/ledger", "r", "lab", &l, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/proc/no"));
    snprintf(sub, sizeof sub, "%s/file/ledger", dir);
    snprintf(file, sizeof file, "%s/file", dir);
    close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(ledger_open(sub, "r", "lab", &l, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, "/file"));
    if (geteuid() == 0)
        return; /* root may write everywhere */
    assert_int_equal(chmod(dir, 0500), 0);
    assert_int_equal(ledger_open(dir, "r", "lab", &l, &err), -EACCES);
    assert_non_null(strstr(err.text, dir));
}

/* In a child with mounts of its own: a disk of two pages. Its exit code says how far it came. */
static int full_disk(void)
{
    struct ledger *l = NULL;
    struct err err = {0};
    struct ledger_content c = {0};
    char text[64], path[200];
    int r = 0, n;

    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
        mount("", "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
        mount("tmpfs", dir, "tmpfs", 0, "size=8k,nr_inodes=4") < 0)
        return 77;
    if (ledger_open(dir, "full", "lab", &l, &err) < 0)
        return 1;
    for (n = 0; n < 10000; n++) {
        snprintf(text, sizeof text, "vm number %d", n);
        r = ledger_add(l, "vm", text, &err);
        if (r < 0)
            break;
    }
    snprintf(path, sizeof path, "%s/full: No space left on device", dir);
    if (r != -ENOSPC || !strstr(err.text, path))
        return 2;
    /* The line that did not fit is not there by half, and what was written before can be read. */
    if (ledger_read(ledger_path(l), &c, NULL) < 0 || c.n_bad || c.n_entries != (size_t)n ||
        ledger_count(l) != (size_t)n)
        return 3;
    ledger_content_done(&c);
    if (ledger_close(l, &err) != n)
        return 4;
    return 0;
}

static void test_a_full_disk_is_named_and_leaves_no_half_line(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(full_disk());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_added_and_not_removed_is_read_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_ledger_with_something_in_it_stays, setup, teardown),
        cmocka_unit_test(test_bad_lines_are_named_and_the_others_are_read),
        cmocka_unit_test_setup_teardown(test_texts_that_are_no_line_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unwritable_folder_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_is_named_and_leaves_no_half_line, setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
