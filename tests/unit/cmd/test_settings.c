/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/run_flags.h"
#include "cmd/settings.h"
#include "cmd/test_flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct command as_run = {.name = "run", .args = "", .rows = run_flags_rows},
                            as_test = {.name = "test", .args = "", .rows = test_flags_rows};

/* Each default's text through its parser: nothing may change, but that it was set. */
static void test_defaults_are_what_they_say(void **state)
{
    static struct run_flags run, run_set;
    static struct test_flags test, test_set;
    struct err err = {0};
    char text[SETTINGS_TEXT_SIZE];

    (void)state;
    run_flags_default(&run);
    run_flags_default(&run_set);
    test_flags_default(&test);
    test_flags_default(&test_set);
    for (const struct option_row *row = run_flags_rows; row->name; row++)
        if (row->arg && *settings_default(&as_run, row, text) &&
            options_store(row, &run_set, text, &err) < 0)
            fail_msg("run --%s %s: %s", row->name, text, err.text);
    for (const struct option_row *row = test_flags_rows; row->name; row++)
        if (row->arg && *settings_default(&as_test, row, text) &&
            options_store(row, &test_set, text, &err) < 0)
            fail_msg("test --%s %s: %s", row->name, text, err.text);
    assert_true(run_set.time_set);
    assert_true(run_set.driver_set);
    run_set.time_set = run_set.driver_set = false;
    test_set.loss_set = test.loss_set;
    assert_memory_equal(&run, &run_set, sizeof run);
    assert_memory_equal(&test, &test_set, sizeof test);
}

static void test_keys_and_rows(void **state)
{
    char key[SETTINGS_KEY_SIZE];

    (void)state;
    assert_string_equal(settings_row(&as_run, "icmp_sizes")->name, "icmp-sizes");
    assert_null(settings_row(&as_run, "icmp-sizes"));
    assert_null(settings_row(&as_run, "rr"));
    assert_non_null(settings_row(&as_test, "rr"));
    assert_string_equal(settings_key(settings_row(&as_run, "icmp_sizes"), true, key), "ICMP_SIZES");
}

static void test_values_print_as_yaml(void **state)
{
    static const struct {
        const char *text, *yaml;
    } rows[] = {{"", "~"},
                {"1,2", "1,2"},
                {"null", "\"null\""},
                {"~", "\"~\""},
                {"*", "\"*\""},
                {"a: b", "\"a: b\""},
                {"%a", "\"%a\""},
                {"-", "\"-\""},
                {"-10", "-10"},
                {"a\"b\\c\n", "\"a\\\"b\\\\c\\x0a\""}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64] = "";
        FILE *out = fmemopen(text, sizeof text, "w");

        settings_print(rows[i].text, out);
        fclose(out);
        assert_string_equal(text, rows[i].yaml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_what_they_say),
        cmocka_unit_test(test_keys_and_rows),
        cmocka_unit_test(test_values_print_as_yaml),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
