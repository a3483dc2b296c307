/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "deploy/vmtp_login.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_a_login_is_taken_apart_and_its_password_wiped_in_place(void **state)
{
    static const struct {
        const char *text, *left, *user, *host, *interface, *password;
    } rows[] = {
        {"10.0.0.1", "10.0.0.1", "", "10.0.0.1", "", NULL},
        {"root@node-1.example", "root@node-1.example", "root", "node-1.example", "", NULL},
        {"root@10.0.0.1:secret", "root@10.0.0.1:xxxxxx", "root", "10.0.0.1", "", "secret"},
        {"u@10.0.0.1:secret:eth5", "u@10.0.0.1:xxxxxx:eth5", "u", "10.0.0.1", "eth5", "secret"},
        {"u@10.0.0.1::eth5", "u@10.0.0.1::eth5", "u", "10.0.0.1", "eth5", NULL},
        {"10.0.0.1::eth5", "10.0.0.1::eth5", "", "10.0.0.1", "eth5", NULL},
        {"u@h:", "u@h:", "u", "h", "", NULL},
        {"u@h::", "u@h::", "u", "h", "", NULL},
        {"u@h:p@ss", "u@h:xxxx", "u", "h", "", "p@ss"},
        {"u@h:a:b:bond0.12", "u@h:xxx:bond0.12", "u", "h", "bond0.12", "a:b"},
        {"u@h:a:b:", "u@h:xxx:", "u", "h", "", "a:b"},
        {"u@h: pw/?&=%", "u@h:xxxxxxxx", "u", "h", "", " pw/?&=%"},
        {"u@[fd00::1]", "u@[fd00::1]", "u", "fd00::1", "", NULL},
        {"u@[fd00::1]:pw:eth1", "u@[fd00::1]:xx:eth1", "u", "fd00::1", "eth1", "pw"},
        {"u@[fe80::1%eth0]::eth1", "u@[fe80::1%eth0]::eth1", "u", "fe80::1%eth0", "eth1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vmtp_login login;
        struct endpoint_text at;
        struct err err = {0};
        char text[64];

        text_copy(text, sizeof text, rows[i].text);
        assert_int_equal(vmtp_login_parse(text, &login, &err), 0);
        assert_string_equal(text, rows[i].left);
        assert_string_equal(login.user, rows[i].user);
        assert_string_equal(login.host, rows[i].host);
        assert_string_equal(login.interface, rows[i].interface);
        if (rows[i].password)
            assert_string_equal(login.password, rows[i].password);
        else
            assert_null(login.password);
        vmtp_login_endpoint(&login, &at);
        assert_int_equal(at.kind, ENDPOINT_SSH);
        assert_string_equal(at.arg, rows[i].host);
        assert_string_equal(at.user, rows[i].user);
        assert_string_equal(at.ifname, rows[i].interface);
        assert_int_equal(at.port, 0);
        vmtp_login_done(&login);
        assert_null(login.password);
    }
}

static void test_what_is_refused_is_wiped_too_and_not_said(void **state)
{
    static const char *const rows[] = {
        "u@:sesame",
        "@h:sesame",
        "root:sesame@10.0.0.1",
        "h:sesame",
        "u@[fd00::1:sesame",
        "u@[fd00::1]sesame",
        "u@[sesame",
        "u@h:pw:sesame!a_long_interface",
        "u@h:pw:ses/ame:sesame sesame",
        "u@h/x:sesame",
        "u@-h:sesame:eth0",
        "u@h?if=a:sesame",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vmtp_login login = {.user = "untouched"};
        struct err err = {0};
        char text[64];

        text_copy(text, sizeof text, rows[i]);
        assert_int_equal(vmtp_login_parse(text, &login, &err), -EINVAL);
        assert_string_equal(login.user, "untouched");
        assert_true(err.text[0]);
        assert_int_equal(strlen(text), strlen(rows[i]));
        assert_null(strstr(text, "sesame"));
        assert_null(strstr(err.text, "sesame"));
    }
}

static void
test_an_ipv6_address_without_brackets_is_not_taken_for_a_host_and_a_password(void **state)
{
    static const char *const rows[] = {"fd00::1", "u@fd00::1", "u@::1", "u@fd00:0:0:0:0:0:0:1"};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vmtp_login login;
        struct err err = {0};
        char text[64];

        text_copy(text, sizeof text, rows[i]);
        assert_int_equal(vmtp_login_parse(text, &login, &err), -EINVAL);
        assert_non_null(strstr(err.text, "brackets"));
    }
}

static void test_done_takes_nothing(void **state)
{
    struct vmtp_login login = {0};

    (void)state;
    vmtp_login_done(NULL);
    vmtp_login_done(&login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_login_is_taken_apart_and_its_password_wiped_in_place),
        cmocka_unit_test(test_what_is_refused_is_wiped_too_and_not_said),
        cmocka_unit_test(
            test_an_ipv6_address_without_brackets_is_not_taken_for_a_host_and_a_password),
        cmocka_unit_test(test_done_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
