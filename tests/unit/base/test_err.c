/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_set_adds_the_words_of_the_errno(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(err_set(&e, ENOENT, "opening '%s'", "x"), -ENOENT);
    assert_int_equal(e.code, ENOENT);
    assert_string_equal(e.text, "opening 'x': No such file or directory");
}

static void test_code_may_have_either_sign(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(err_set(&e, -EPERM, "x"), -EPERM);
    assert_int_equal(e.code, EPERM);
}

static void test_say_has_no_words_of_an_errno(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(err_say(&e, "port %d is taken twice", 5001), -EINVAL);
    assert_int_equal(e.code, EINVAL);
    assert_string_equal(e.text, "port 5001 is taken twice");
}

static void test_wrap_puts_the_goal_in_front(void **state)
{
    struct err e = {0};

    (void)state;
    err_set(&e, ENODEV, "asking for its driver");
    assert_int_equal(err_wrap(&e, -ENODEV, "facts of %s", "eth7"), -ENODEV);
    assert_int_equal(e.code, ENODEV);
    assert_string_equal(e.text, "facts of eth7: asking for its driver: No such device");
}

static void test_wrap_of_nothing_is_the_goal_alone(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(err_wrap(&e, -EIO, "reading"), -EIO);
    assert_int_equal(e.code, EIO);
    assert_string_equal(e.text, "reading");
}

static void test_nobody_listens(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, EIO, "x"), -EIO);
    assert_int_equal(err_say(NULL, "x"), -EINVAL);
    assert_int_equal(err_wrap(NULL, -EIO, "x"), -EIO);
}

static void test_a_long_sentence_is_cut_and_ended(void **state)
{
    struct err e = {0};
    char much[2000];

    (void)state;
    memset(much, 'a', sizeof much - 1);
    much[sizeof much - 1] = 0;
    err_set(&e, EIO, "%s", much);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    err_wrap(&e, -EIO, "%s", much);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    err_say(&e, "%s", much);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_adds_the_words_of_the_errno),
        cmocka_unit_test(test_code_may_have_either_sign),
        cmocka_unit_test(test_say_has_no_words_of_an_errno),
        cmocka_unit_test(test_wrap_puts_the_goal_in_front),
        cmocka_unit_test(test_wrap_of_nothing_is_the_goal_alone),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_a_long_sentence_is_cut_and_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
