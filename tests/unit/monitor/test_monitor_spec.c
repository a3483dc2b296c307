/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/monitor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_monitors_are_read_as_people_write_them(void **state)
{
    static const struct {
        const char *text;
        enum node_cpu_source source;
        const char *host;
        uint16_t port;
        const char *url, *name;
    } rows[] = {
        {"10.1.2.3", NODE_CPU_GMOND, "10.1.2.3", 8649, "", "10.1.2.3:8649"},
        {"10.1.2.3:8660", NODE_CPU_GMOND, "10.1.2.3", 8660, "", "10.1.2.3:8660"},
        {"gate1.lan", NODE_CPU_GMOND, "gate1.lan", 8649, "", "gate1.lan:8649"},
        {"fd00::1", NODE_CPU_GMOND, "fd00::1", 8649, "", "[fd00::1]:8649"},
        {"[fd00::1]", NODE_CPU_GMOND, "fd00::1", 8649, "", "[fd00::1]:8649"},
        {"[fd00::1]:1", NODE_CPU_GMOND, "fd00::1", 1, "", "[fd00::1]:1"},
        {"http://h:9100/metrics", NODE_CPU_EXPORTER, "", 0, "http://h:9100/metrics", "h:9100"},
        {"http://h:9100", NODE_CPU_EXPORTER, "", 0, "http://h:9100/metrics", "h:9100"},
        {"https://[fd00::1]:9100/", NODE_CPU_EXPORTER, "", 0, "https://[fd00::1]:9100/metrics",
         "[fd00::1]:9100"},
        {"http://h/metrics?collect[]=cpu&collect[]=stat", NODE_CPU_EXPORTER, "", 0,
         "http://h/metrics?collect[]=cpu&collect[]=stat", "h"},
        /* An empty port is the scheme's own (RFC 3986). */
        {"http://h:/metrics", NODE_CPU_EXPORTER, "", 0, "http://h/metrics", "h"},
        {"http://h:", NODE_CPU_EXPORTER, "", 0, "http://h/metrics", "h"},
        {"https://[fd00::1]:/", NODE_CPU_EXPORTER, "", 0, "https://[fd00::1]/metrics", "[fd00::1]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct monitor_spec spec;

        assert_int_equal(monitor_spec_parse(rows[i].text, &spec, NULL), 0);
        assert_int_equal(spec.source, rows[i].source);
        assert_string_equal(spec.host, rows[i].host);
        assert_int_equal(spec.port, rows[i].port);
        assert_string_equal(spec.url, rows[i].url);
        assert_string_equal(spec.name, rows[i].name);
    }
}

static void test_what_is_no_monitor_is_refused(void **state)
{
    static const char *const rows[] = {"",
                                       ":8649",
                                       "h:",
                                       "h:0",
                                       "h:65536",
                                       "h:x",
                                       "fd00::zz",
                                       "[fd00::1",
                                       "[fd00::1]8649",
                                       "[h]:1",
                                       "h h",
                                       "ftp://h/x",
                                       "file:///x",
                                       "http://",
                                       "http:///metrics",
                                       "http://:80/metrics",
                                       "http://h:x/metrics",
                                       "http://h:0/metrics",
                                       "http://h:65536/metrics",
                                       "http://h:123456789/metrics",
                                       "http://h:80:/metrics",
                                       "http://fd00::1/metrics",
                                       "http://[fd00::1/metrics",
                                       "http://[fd00::1]x:9100/metrics",
                                       "http://h/a b",
                                       "http://h/#x",
                                       "http://h/?token=1",
                                       "http://h/?collect[]=",
                                       "h/metrics"};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct monitor_spec spec = {.port = 7};
        struct err err = {0};

        assert_int_equal(monitor_spec_parse(rows[i], &spec, &err), -EINVAL);
        assert_true(err.text[0]);
        assert_int_equal(spec.port, 7);
    }
}

/* The sentence goes to logs. */
static void test_a_password_is_refused_and_not_repeated(void **state)
{
    static const char *const rows[] = {"http://me:hunter2@h:9100/metrics",
                                       "https://hunter2@h/metrics", "ftp://me:hunter2@h/",
                                       "http://me:hun/hunter2@h/"};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct monitor_spec spec;
        struct err err = {0};

        assert_int_equal(monitor_spec_parse(rows[i], &spec, &err), -EINVAL);
        assert_non_null(strstr(err.text, "~/.netrc"));
        assert_null(strstr(err.text, "hunter2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monitors_are_read_as_people_write_them),
        cmocka_unit_test(test_what_is_no_monitor_is_refused),
        cmocka_unit_test(test_a_password_is_refused_and_not_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
