/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* One row for all: said is a part of the sentence when the text is refused, else NULL. */
struct row {
    const char *text;
    uint64_t value;
    const char *said;
};

static void check(int (*parse)(const char *, uint64_t *, struct err *), const struct row *rows,
                  size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        uint64_t v = 4711;
        int r = parse(rows[i].text, &v, &e);

        if (!rows[i].said) {
            if (r != 0 || v != rows[i].value)
                fail_msg("'%s': %d, %llu is not %llu (%s)", rows[i].text, r, (unsigned long long)v,
                         (unsigned long long)rows[i].value, e.text);
            continue;
        }
        if (r != -EINVAL || v != 4711 || e.code != EINVAL)
            fail_msg("'%s' gave %d, %llu", rows[i].text, r, (unsigned long long)v);
        if (!strstr(e.text, rows[i].said) || !strstr(e.text, rows[i].text))
            fail_msg("'%s' is refused with '%s'", rows[i].text, e.text);
    }
}

static void test_times(void **state)
{
    static const struct row rows[] = {
        {"10", 10000000000, NULL},
        {"0.8", 800000000, NULL},
        {"0", 0, NULL},
        {"10s", 10000000000, NULL},
        {"250ms", 250000000, NULL},
        {"5us", 5000, NULL},
        {"20ns", 20, NULL},
        {"2min", 120000000000, NULL},
        {"0.000000001", 1, NULL},
        {"9223372036.854775807", INT64_MAX, NULL},
        {"0.0000000001", 0, "finer"},
        {"1.5ns", 0, "finer"},
        {"9223372036.854775808", 0, "too large"},
        {"-1", 0, "negative"},
        {"1e400", 0, "not a unit"},
        {"1e3", 0, "not a unit"},
        {"", 0, "empty"},
        {"  5", 0, "digit"},
        {"5 ", 0, "not a unit"},
        {"+5", 0, "digit"},
        {".5", 0, "digit"},
        {"5.", 0, "after its point"},
        {"1.2.3", 0, "not a unit"},
        {"0x10", 0, "not a unit"},
        {"nan", 0, "digit"},
        {"inf", 0, "digit"},
        {"5 s", 0, "not a unit"},
        {"5S", 0, "not a unit"},
        {"99999999999999999999", 0, "too large"},
        {"\xd9\xa3", 0, "digit"},
    };

    (void)state;
    check(text_time, rows, sizeof rows / sizeof *rows);
}

static void test_rates(void **state)
{
    static const struct row rows[] = {
        {"250k", 250000, NULL},
        {"250K", 250000, NULL},
        {"1.5G", 1500000000, NULL},
        {"0.3G", 300000000, NULL},
        {"0.1G", 100000000, NULL},
        {"10Gbit", 10000000000, NULL},
        {"1T", 1000000000000, NULL},
        {"100", 100, NULL},
        {"7bit", 7, NULL},
        {"9223372.036854775807T", INT64_MAX, NULL},
        {"0.0000000000001T", 0, "finer"},
        {"9223372.036854775T", 9223372036854775000, NULL},
        {"9223373T", 0, "too large"},
        {"10Gb", 0, "not a unit"},
        {"10GB", 0, "not a unit"},
        {"10g", 0, "not a unit"},
        {"-1", 0, "negative"},
        {"1e400", 0, "not a unit"},
        {"", 0, "empty"},
        {"0.0001k", 0, "finer"},
        {"  5", 0, "digit"},
        {"5 ", 0, "not a unit"},
    };

    (void)state;
    check(text_rate, rows, sizeof rows / sizeof *rows);
}

static void test_sizes_are_of_1024(void **state)
{
    static const struct row rows[] = {
        {"64", 64, NULL},         {"8KiB", 8192, NULL},
        {"1MiB", 1048576, NULL},  {"128K", 131072, NULL},
        {"0.5K", 512, NULL},      {"2G", 2147483648, NULL},
        {"0", 0, NULL},           {"0.3K", 0, "finer"},
        {"8kB", 0, "not a unit"}, {"8Kib", 0, "not a unit"},
        {"-8", 0, "negative"},    {"", 0, "empty"},
    };

    (void)state;
    check(text_size, rows, sizeof rows / sizeof *rows);
}

static void test_digits_without_end_are_refused(void **state)
{
    char many[400];
    struct err e = {0};
    uint64_t v = 4711;

    (void)state;
    memset(many, '9', sizeof many - 1);
    many[sizeof many - 1] = 0;
    assert_int_equal(text_rate(many, &v, &e), -EINVAL);
    assert_non_null(strstr(e.text, "too many digits"));
    memset(many, '0', sizeof many - 1);
    many[1] = '.';
    assert_int_equal(text_time(many, &v, &e), -EINVAL);
    assert_int_equal(v, 4711);
}

static void test_counts(void **state)
{
    static const struct {
        const char *text;
        uint64_t min, max, value;
        int r;
    } rows[] = {
        {"1", 1, 64, 1, 0},
        {"64", 1, 64, 64, 0},
        {"007", 0, 10, 7, 0},
        {"9223372036854775807", 0, UINT64_MAX, INT64_MAX, 0},
        {"0", 1, 64, 0, -EINVAL},
        {"65", 1, 64, 0, -EINVAL},
        {"1.5", 1, 64, 0, -EINVAL},
        {"1.0", 1, 64, 0, -EINVAL},
        {"-1", 0, 64, 0, -EINVAL},
        {"", 0, 64, 0, -EINVAL},
        {"5x", 0, 64, 0, -EINVAL},
        {" 5", 0, 64, 0, -EINVAL},
        {"18446744073709551617", 0, UINT64_MAX, 0, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = {0};
        uint64_t v = 4711;

        if (text_count(rows[i].text, rows[i].min, rows[i].max, &v, &e) != rows[i].r)
            fail_msg("'%s': %s", rows[i].text, e.text);
        assert_true(v == (rows[i].r ? 4711 : rows[i].value));
        assert_true(!rows[i].r == !e.text[0]);
    }
}

static void test_shares(void **state)
{
    static const struct {
        const char *text;
        double value; /* negative: refused */
    } rows[] = {
        {"0", 0},        {"1", 1},     {"0.001", 0.001},
        {"0.1%", 0.001}, {"100%", 1},  {"0.0000001%", 1e-9},
        {"1.1", -1},     {"101%", -1}, {"-1", -1},
        {"", -1},        {"%", -1},    {"nan", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v = 4711;
        int r = text_share(rows[i].text, &v, NULL);

        if (rows[i].value < 0)
            assert_true(r == -EINVAL && v == 4711);
        else if (r != 0 || fabs(v - rows[i].value) > 1e-15)
            fail_msg("'%s' is %g", rows[i].text, v);
    }
}

static void test_lists_of_sizes(void **state)
{
    static const char *const bad[] = {"",     ",",  "128,",      ",128", "128,,1024", "0",
                                      "64,0", "5G", "1,2,3,4,5", "1 ,2", "-1"};
    uint32_t sizes[4] = {0};
    struct err e = {0};

    (void)state;
    assert_int_equal(text_sizes("128,1024,8K", sizes, 4, NULL), 3);
    assert_true(sizes[0] == 128 && sizes[1] == 1024 && sizes[2] == 8192);
    assert_int_equal(text_sizes("1,2,3,4", sizes, 4, NULL), 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sizes[0] = 4711;
        if (text_sizes(bad[i], sizes, 4, &e) != -EINVAL || sizes[0] != 4711 || !e.text[0])
            fail_msg("'%s' is taken", bad[i]);
    }
    assert_int_equal(text_sizes("11111111111111111111111111111111111111111111111", sizes, 4, NULL),
                     -EINVAL);
}

static void test_quantities_for_people(void **state)
{
    char buf[TEXT_SHORT];

    (void)state;
    assert_string_equal(text_show_rate(9412345678.0, buf), "9.41 Gbit/s");
    assert_string_equal(text_show_rate(941e6, buf), "941 Mbit/s");
    assert_string_equal(text_show_rate(0, buf), "0 bit/s");
    assert_string_equal(text_show_rate(999.6e6, buf), "1.00 Gbit/s");
    assert_string_equal(text_show_rate(512, buf), "512 bit/s");
    assert_string_equal(text_show_time(12345, buf), "12.3 us");
    assert_string_equal(text_show_time(800, buf), "800 ns");
    assert_string_equal(text_show_time(-1500000, buf), "-1.50 ms");
    assert_string_equal(text_show_time(75e9, buf), "75.0 s");
    assert_string_equal(text_show_span(75e9, buf), "75.0 s");
    assert_string_equal(text_show_span(-150e9, buf), "-2 min 30 s");
    assert_string_equal(text_show_span(3599.6e9, buf), "1 h");
    assert_string_equal(text_show_span(86400e9 + 20e3, buf), "1 d");
    assert_string_equal(text_show_span(26 * 3600e9, buf), "1 d 2 h");
    assert_string_equal(text_show_span(1.7e18, buf), "19675 d 22 h");
    assert_string_equal(text_show_size(65536, buf), "64 KiB");
    assert_string_equal(text_show_size(1536, buf), "1.50 KiB");
    assert_string_equal(text_show_size(128, buf), "128 B");
    assert_string_equal(text_show_size(1 << 20, buf), "1 MiB");
    assert_string_equal(text_show_size(UINT64_MAX, buf), "16777216 TiB");
    assert_string_equal(text_show_count(1200000, buf), "1.20 M");
    assert_string_equal(text_show_count(7, buf), "7");
    assert_string_equal(text_show_count(0.5, buf), "0.50");
}

static void test_any_number_is_shown_inside_the_buffer(void **state)
{
    static const double rows[] = {1e308, -1e308, 1e19, 1e-300, INFINITY, -INFINITY, NAN};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char buf[TEXT_SHORT];

        assert_true(strlen(text_show_rate(rows[i], buf)) < TEXT_SHORT);
        assert_true(strlen(text_show_time(rows[i], buf)) < TEXT_SHORT);
        assert_true(strlen(text_show_count(rows[i], buf)) < TEXT_SHORT);
    }
}

static void test_endpoints(void **state)
{
    static const char *const bad[] = {"",         "netns:",  "exec:",  "Local", "netns:a/b",
                                      "netns:..", "netns:.", "ssh:/a", "local "};
    struct endpoint_text e = {0};
    struct err err = {0};
    char longer[400] = "exec:";

    (void)state;
    assert_int_equal(text_endpoint("local", &e, NULL), 0);
    assert_int_equal(e.kind, ENDPOINT_LOCAL);
    assert_int_equal(text_endpoint("netns:blue", &e, NULL), 0);
    assert_int_equal(e.kind, ENDPOINT_NETNS);
    assert_string_equal(e.arg, "blue");
    assert_int_equal(text_endpoint("exec:podman exec -i c", &e, NULL), 0);
    assert_int_equal(e.kind, ENDPOINT_EXEC);
    assert_string_equal(e.arg, "podman exec -i c");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (text_endpoint(bad[i], &e, &err) != -EINVAL || !strstr(err.text, bad[i]))
            fail_msg("'%s': %s", bad[i], err.text);
    memset(longer + 5, 'a', sizeof longer - 6);
    assert_int_equal(text_endpoint(longer, &e, &err), -EINVAL);
    assert_string_equal(e.arg, "podman exec -i c");
}

static void test_servers_as_endpoints(void **state)
{
    static const struct {
        const char *text, *host;
        enum endpoint_kind kind;
        uint16_t port;
    } good[] = {
        {"iperf3://10.0.0.1", "10.0.0.1", ENDPOINT_IPERF3, 5201},
        {"iperf3://10.0.0.1:99", "10.0.0.1", ENDPOINT_IPERF3, 99},
        {"iperf3://fd00::1", "fd00::1", ENDPOINT_IPERF3, 5201},
        {"iperf3://[fd00::1]", "fd00::1", ENDPOINT_IPERF3, 5201},
        {"iperf3://[fd00::1]:7", "fd00::1", ENDPOINT_IPERF3, 7},
        {"iperf2://host.example", "host.example", ENDPOINT_IPERF2, 5001},
        {"stamp://router:65535", "router", ENDPOINT_STAMP, 65535},
    };
    static const char *const bad[] = {
        "iperf3://",        "iperf3://:5201", "iperf3://a:",       "iperf3://a:0",
        "iperf3://a:65536", "iperf3://a:1x",  "iperf3://[fd00::1", "iperf3://[fd00::1]7",
        "iperf3://a/b",     "iperf3://u@a",   "stamp://a b",       "iperf4://a"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct endpoint_text e = {0};
        struct err err = {0};

        if (text_endpoint(good[i].text, &e, &err) != 0)
            fail_msg("%s: %s", good[i].text, err.text);
        assert_string_equal(e.arg, good[i].host);
        assert_int_equal(e.kind, good[i].kind);
        assert_int_equal(e.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct endpoint_text e = {0};
        struct err err = {0};

        if (text_endpoint(bad[i], &e, &err) != -EINVAL || !strstr(err.text, bad[i]))
            fail_msg("'%s': %s", bad[i], err.text);
    }
}

static void test_ssh_endpoints(void **state)
{
    static const struct {
        const char *text, *user, *host, *ifname, *address;
        uint16_t port;
    } good[] = {
        {"ssh://hv1", "", "hv1", "", "", 0},
        {"ssh://root@10.0.0.1:2222", "root", "10.0.0.1", "", "", 2222},
        {"ssh://a.b-c_d@h.example?if=eth5", "a.b-c_d", "h.example", "eth5", "", 0},
        {"ssh://h:7?addr=10.1.2.3", "", "h", "", "10.1.2.3", 7},
        {"ssh://[fd00::1]", "", "fd00::1", "", "", 0},
        {"ssh://u@[fe80::1%eth0]:22?if=vif3.0&addr=fd00::9", "u", "fe80::1%eth0", "vif3.0",
         "fd00::9", 22},
        {"ssh://h?addr=fd00::9&if=br-ex", "", "h", "br-ex", "fd00::9", 0},
        {"ssh://h?key=SHA256:uNiVztksCsDhcc0u9e8BrDXbAbbYeyX/vfdmqH+HIIU&if=eth5", "", "h", "eth5",
         "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct endpoint_text e = {0};
        struct err err = {0};

        if (text_endpoint(good[i].text, &e, &err) != 0)
            fail_msg("%s: %s", good[i].text, err.text);
        assert_int_equal(e.kind, ENDPOINT_SSH);
        assert_false(text_endpoint_foreign(&e));
        assert_string_equal(e.user, good[i].user);
        assert_string_equal(e.arg, good[i].host);
        assert_string_equal(e.ifname, good[i].ifname);
        assert_string_equal(e.address, good[i].address);
        assert_int_equal(e.port, good[i].port);
    }
}

static void test_what_is_no_ssh_endpoint(void **state)
{
    static const char *const bad[] = {
        "ssh://h?key=SHA256:",
        "ssh://h?key=uNiVztksCsDhcc0u9e8BrDXbAbbYeyX/vfdmqH+HIIU",
        "ssh://h?key=SHA256:uNiVztksCsDhcc0u9e8BrDXbAbbYeyX/vfdmqH+HII",
        "ssh://h?key=SHA256:uNiVztksCsDhcc0u9e8BrDXbAbbYeyX/vfdmqH+HIIU=",
        "ssh://",
        "ssh://@h",
        "ssh://u@",
        "ssh://u@:22",
        "ssh://h:",
        "ssh://h:0",
        "ssh://h:65536",
        "ssh://h:22x",
        "ssh://fd00::1",
        "ssh://[fd00::1",
        "ssh://[fd00::1]22",
        "ssh://[host]",
        "ssh://-oProxyCommand=x",
        "ssh://-l@h",
        "ssh://u v@h",
        "ssh://h;x",
        "ssh://h$(x)",
        "ssh://h/eth0",
        "ssh://h?",
        "ssh://h?if",
        "ssh://h?if=",
        "ssh://h?if=a/b",
        "ssh://h?if=..",
        "ssh://h?if=a&if=b",
        "ssh://h?if=sixteen-letters-",
        "ssh://h?addr=host",
        "ssh://h?addr=10.0.0.1&",
        "ssh://h?iff=a",
        "ssh://h?if=a?addr=10.0.0.1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct endpoint_text e = {0};
        struct err err = {0};

        if (text_endpoint(bad[i], &e, &err) != -EINVAL || !strstr(err.text, bad[i]))
            fail_msg("'%s': %s", bad[i], err.text);
        assert_string_equal(e.arg, "");
    }
}

static void test_a_password_in_an_endpoint_is_refused_and_not_repeated(void **state)
{
    struct endpoint_text e = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(text_endpoint("ssh://root:sesame@h", &e, &err), -EINVAL);
    assert_null(strstr(err.text, "sesame"));
    assert_non_null(strstr(err.text, "password"));
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {"",     "10.0.0",   "10.0.0.256", "::g", "fe80::1%eth0",
                                      "host", "10.0.0.1 "};

    (void)state;
    assert_int_equal(text_address("10.0.0.1", NULL), AF_INET);
    assert_int_equal(text_address("fd00::1", NULL), AF_INET6);
    assert_int_equal(text_address("::", NULL), AF_INET6);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {0};

        assert_int_equal(text_address(bad[i], &e), -EINVAL);
        assert_non_null(strstr(e.text, bad[i]));
    }
}

static void test_nearest_word(void **state)
{
    static const char *const words[] = {"table", "wide", "json", "ndjson", "csv", "markdown"};

    (void)state;
    assert_string_equal(text_nearest("tabel", words, 6), "table");
    assert_string_equal(text_nearest("jsn", words, 6), "json");
    assert_string_equal(text_nearest("csv", words, 6), "csv");
    assert_null(text_nearest("prometheus", words, 6));
    assert_null(text_nearest("", words + 5, 1));
    assert_null(text_nearest("a word that is longer than any other here", words, 6));
}

static void test_copy_says_whether_it_fits(void **state)
{
    char buf[4];

    (void)state;
    assert_true(text_copy(buf, sizeof buf, "abc"));
    assert_string_equal(buf, "abc");
    assert_false(text_copy(buf, sizeof buf, "abcd"));
    assert_string_equal(buf, "abc");
    assert_true(text_copy(buf, sizeof buf, ""));
    assert_string_equal(buf, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_sizes_are_of_1024),
        cmocka_unit_test(test_digits_without_end_are_refused),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_lists_of_sizes),
        cmocka_unit_test(test_quantities_for_people),
        cmocka_unit_test(test_any_number_is_shown_inside_the_buffer),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_servers_as_endpoints),
        cmocka_unit_test(test_ssh_endpoints),
        cmocka_unit_test(test_what_is_no_ssh_endpoint),
        cmocka_unit_test(test_a_password_in_an_endpoint_is_refused_and_not_repeated),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_nearest_word),
        cmocka_unit_test(test_copy_says_whether_it_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
