/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_WORDS = 6 };

static void test_secrets_are_masked(void **state)
{
    static const struct {
        const char *words[MAX_WORDS], *kept[MAX_WORDS];
    } rows[] = {
        {{"run", "--quick"}, {"run", "--quick"}},
        {{"run", "-p", "hunter2", "x"}, {"run", "-p", "***", "x"}},
        {{"run", "--password", "a:b@c"}, {"run", "--password", "***"}},
        {{"run", "--password=hunter2"}, {"run", "--password=***"}},
        {{"run", "-p"}, {"run", "-p"}},
        {{"run", "user:secret@host"}, {"run", "user:***@host"}},
        {{"run", "user:s@c:r@t@host:22"}, {"run", "user:***@host:22"}},
        {{"run", "--mongo=mongodb://me:secret@db/x"}, {"run", "--mongo=mongodb://me:***@db/x"}},
        {{"test", "ssh://me:secret@host:22?if=eth5"}, {"test", "ssh://me:***@host:22?if=eth5"}},
        {{"test", "ssh://me@host"}, {"test", "ssh://me@host"}},
        {{"test", "netns:a", "netns:b"}, {"test", "netns:a", "netns:b"}},
        {{"test", "", "@", ":@"}, {"test", "", "@", ":***@"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_result run = {0};
        char words[MAX_WORDS][64], *argv[MAX_WORDS];
        int argc = 0;

        for (; argc < MAX_WORDS && rows[i].words[argc]; argc++) {
            snprintf(words[argc], sizeof words[argc], "%s", rows[i].words[argc]);
            argv[argc] = words[argc];
        }
        assert_int_equal(record_begin(&run, "lab", "", argc, argv, NULL), 0);
        assert_int_equal(run.n_command, argc + 1);
        assert_string_equal(run.command[0], "vnperf");
        for (int k = 0; k < argc; k++)
            assert_string_equal(run.command[k + 1], rows[i].kept[k]);
        run_result_done(&run);
    }
}

static void test_ids_differ_and_are_file_names(void **state)
{
    struct run_result a = {0}, b = {0};
    char word[] = "run", *argv[] = {word};

    (void)state;
    assert_int_equal(record_begin(&a, "lab", "a description", 1, argv, NULL), 0);
    do {
        run_result_done(&b);
        assert_int_equal(record_begin(&b, "lab", "", 1, argv, NULL), 0);
    } while (strcmp(a.id, b.id) == 0); /* 1 of 65536 in the same second */
    assert_int_equal(strlen(a.id), strlen("20261121-083023-26f4"));
    assert_int_equal(strspn(a.id, "0123456789abcdef-"), strlen(a.id));
    assert_string_equal(a.driver, "lab");
    assert_string_equal(a.description, "a description");
    assert_true(a.started_wall_ns > 0);
    assert_int_equal(a.ended_wall_ns, 0);
    run_result_done(&a);
    run_result_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_are_masked),
        cmocka_unit_test(test_ids_differ_and_are_file_names),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
