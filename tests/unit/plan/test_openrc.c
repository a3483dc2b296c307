/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "plan/openrc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_values(void **state)
{
    static const struct {
        const char *text, *user; /* OS_USERNAME; NULL not set */
    } rows[] = {
        {"export OS_USERNAME=a", "a"},
        {"OS_USERNAME=a; export OS_USERNAME", "a"},
        {"  export OS_USERNAME='a b' # x", "a b"},
        {"OS_USERNAME=a#b", "a#b"},
        {"OS_USERNAME=\"a\\\"b\\x\"", "a\"b\\x"},
        {"OS_USERNAME='a'\\''b'\"c\"", "a'bc"},
        {"OS_USERNAME='$X`'", "$X`"},
        {"X=1\nOS_USERNAME=${X}2$X", "121"},
        {"OS_USERNAME=a\nOS_USERNAME=b\r\n", "b"},
        {"OS_USERNAME=a\nunset OS_USERNAME", NULL},
        {"OS_USERNAME=", NULL},
        {"OS_USERNAME=\nif [ -z \"$OS_USERNAME\" ]; then unset OS_USERNAME; fi", NULL},
        {"PS1='[\\u]\\$ '\nOS_USERNAME=a$", "a$"},
        {"echo $(rm x)\nOS_USERNAME=a", "a"},
        {"echo 'a;' ; export X=y;OS_USERNAME=b", "b"},
        {"\xef\xbb\xbfOS_USERNAME=a", "a"},
        {"read -s -p \"$USER: \" X\nOS_USERNAME=a", "a"},
        {"read -s X; export OS_USERNAME=a", "a"},
        {"OS_USERNAME=b\nunset X Y; export OS_USERNAME=a", "a"},
        {"OS_USERNAME=b; unset OS_USERNAME # OS_USERNAME=a", NULL},
        {"echo hi >&2; OS_USERNAME=a", "a"},
        {"OS_USERNAME=a\necho hi # it; export OS_USERNAME=evil", "a"},
        {"OS_USERNAME=a\nif [ -z \"$OS_X\" ]; then unset OS_X; fi; # x", "a"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct cloud_access rc = {0};
        struct err err = {0};

        if (openrc_parse("rc", rows[i].text, &rc, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        if (rows[i].user)
            assert_string_equal(rc.value[CLOUD_USERNAME], rows[i].user);
        else
            assert_null(rc.value[CLOUD_USERNAME]);
        cloud_access_done(&rc);
    }
}

static void test_what_is_refused_names_its_line_and_no_value(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"\nOS_PASSWORD=hush$(x)", "rc:2: a command stands here"},
        {"OS_PASSWORD=\"hush`x`\"", "rc:1: a command stands here"},
        {"OS_PASSWORD=hush$NOWHERE", "rc:1: $NOWHERE is not set before"},
        {"OS_PASSWORD=hush${X:-y}", "rc:1: only $NAME"},
        {"OS_PASSWORD='hush\n'", "rc:1: a quote is not closed"},
        {"OS_PASSWORD=hush|x", "rc:1: this is shell"},
        {"source hush", "rc:1: this is no NAME=value"},
        {"if true; then", "rc:1: this is no NAME=value"},
        {"read -p hush", "rc:1: read without a name"},
        {"export OS_PASSWORD=hush;hush", "rc:1: this is no NAME=value"},
        {"OS_PASSWORD=$'hush'", "rc:1: $'…' is not understood"},
        {"echo x && export OS_PASSWORD=hush", "rc:1: this is shell"},
        {"echo x | hush", "rc:1: this is shell"},
        {"read -s A </dev/tty && hush", "rc:1: this is no NAME=value"},
        {"if [ -z \"$A\" ]; then unset A; fi; export OS_PASSWORD=hush",
         "rc:1: this is no NAME=value"},
        {"1A=hush", "rc:1: this is no NAME=value"},
        {"A=\xff", "rc:1:3: this is no text in UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct cloud_access rc = {0};
        struct err err = {0};

        assert_int_equal(openrc_parse("rc", rows[i].text, &rc, &err), -EINVAL);
        if (strncmp(err.text, rows[i].said, strlen(rows[i].said)) != 0)
            fail_msg("%s: said %s", rows[i].text, err.text);
        assert_null(strstr(err.text, "hush"));
    }
}

static void test_a_password_that_is_typed_is_asked_for(void **state)
{
    struct cloud_access rc = {0};

    (void)state;
    assert_int_equal(openrc_parse("rc", "read -sr IN\nexport OS_PASSWORD=$IN\n", &rc, NULL), 0);
    assert_true(rc.ask_password);
    assert_null(rc.value[CLOUD_PASSWORD]);
    cloud_access_done(&rc);
    assert_int_equal(
        openrc_parse("rc", "read -s IN < /dev/tty; echo; OS_PASSWORD=$IN # typed\n", &rc, NULL), 0);
    assert_true(rc.ask_password);
    cloud_access_done(&rc);
}

static void test_the_environment_fills_what_the_file_leaves_open(void **state)
{
    struct cloud_access rc = {0};
    const char *format = getenv("CMOCKA_MESSAGE_OUTPUT");
    char output[16];

    (void)state;
    snprintf(output, sizeof output, "%s", format ? format : "");
    clearenv();
    /* cmocka looks at it again at the end. */
    if (output[0])
        setenv("CMOCKA_MESSAGE_OUTPUT", output, 1);
    setenv("OS_USERNAME", "env", 1);
    setenv("OS_TENANT_NAME", "tenant", 1);
    assert_int_equal(openrc_parse("rc", "OS_USERNAME=file", &rc, NULL), 0);
    assert_int_equal(cloud_access_environment(&rc, false, NULL), 0);
    assert_string_equal(rc.value[CLOUD_USERNAME], "file");
    assert_string_equal(rc.value[CLOUD_PROJECT_NAME], "tenant");
    assert_string_equal(rc.from[CLOUD_USERNAME], "rc:1");
    assert_string_equal(rc.from[CLOUD_PROJECT_NAME], "environment");
    cloud_access_done(&rc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_refused_names_its_line_and_no_value),
        cmocka_unit_test(test_a_password_that_is_typed_is_asked_for),
        cmocka_unit_test(test_the_environment_fills_what_the_file_leaves_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
