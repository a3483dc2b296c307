/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "cmd/run_flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"

static const struct command command = {
    .name = "run", .summary = "", .args = "", .rows = run_flags_rows};

enum { MAX_WORDS = 20 };

static int parse(const char *words, struct run_flags *ret_flags, const char **ret_said)
{
    static struct capture capture;
    static char line[600];
    char *argv[MAX_WORDS + 2] = {(char[]){"run"}}, *rest = line;
    int argc = 1, code;

    snprintf(line, sizeof line, "%s", words);
    while (rest && *words && argc < MAX_WORDS)
        argv[argc++] = strsep(&rest, " ");
    capture_begin(&capture, 2);
    code = run_flags_parse(&command, argc, argv, ret_flags);
    *ret_said = capture_end(&capture);
    return code;
}

static void test_defaults(void **state)
{
    const char *said;
    struct run_flags f;

    (void)state;
    assert_int_equal(parse("", &f, &said), OPTIONS_GO_ON);
    assert_string_equal(f.run.driver, "lab");
    assert_int_equal(f.run.time_ns, 5ULL * CLOCK_S);
    assert_string_equal(f.output.colour, "auto");
    assert_false(f.run.ipv6);
}

static void test_vmtps_flags(void **state)
{
    const char *said;
    struct run_flags f;

    (void)state;
    assert_int_equal(parse("-t 0.8 --protocols TI --tcpbuf 1024,64K --udpbuf 64 --bandwidth 10M "
                           "--test-description x",
                           &f, &said),
                     OPTIONS_GO_ON);
    assert_int_equal(f.run.time_ns, 800000000);
    assert_true(f.run.protocols[PROTOCOL_TCP]);
    assert_false(f.run.protocols[PROTOCOL_UDP]);
    assert_true(f.run.protocols[PROTOCOL_ICMP]);
    assert_int_equal(f.run.tcp.n, 2);
    assert_int_equal(f.run.tcp.size[1], 65536);
    assert_int_equal(f.run.udp.n, 1);
    assert_int_equal(f.run.bandwidth_bps, 10000000);
    assert_string_equal(f.run.description, "x");
    assert_int_equal(
        parse("--stop-on-error --inter-node-only --same-network-only -6 --quick", &f, &said),
        OPTIONS_GO_ON);
    assert_true(f.run.stop_on_error && f.run.inter_node_only && f.run.same_network_only &&
                f.run.ipv6);
    assert_int_equal(f.run.time_ns, CLOCK_S);
    assert_int_equal(parse("--output csv --json out.json -q --color never", &f, &said),
                     OPTIONS_GO_ON);
    assert_int_equal(f.output.format, TABLE_CSV);
    assert_string_equal(f.output.json, "out.json");
    assert_true(f.output.quiet);
    assert_string_equal(f.output.colour, "never");
}

static void test_mistakes_are_said(void **state)
{
    static const struct {
        const char *words, *said;
    } rows[] = {
        {"-t -1", "--time: time '-1'"},
        {"-t 1e400", "--time: time '1e400'"},
        {"-t 0", "--time: "},
        {"-t 0.05", "--time: a test lasts 0.1 s to 24 h"},
        {"--quick -t 2", "--quick sets the time"},
        {"-t 2 --quick", "--quick sets the time"},
        {"--tcpbuf 0", "--tcpbuf"},
        {"--tcpbuf 1,,2", "--tcpbuf"},
        {"--tcpbuf 17M", "--tcpbuf"},
        {"--udpbuf 10", "--udpbuf"},
        {"--udpbuf 70000", "--udpbuf"},
        {"--udpbuf 64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64", "--udpbuf"},
        {"--protocols X", "'X' is none of T (TCP), U (UDP), I (ICMP)"},
        {"--protocols tcp", "'t' is none of"},
        {"--scenarios 9", "there is no scenario '9'"},
        {"--scenarios 1.1,", "there is no scenario ''"},
        {"--flows 0", "--flows: number '0'"},
        {"--flows 257", "--flows: number '257'"},
        {"--rr-size 16", "--rr-size"},
        {"--loss 0.6", "--loss"},
        {"--loss -1", "--loss: share '-1'"},
        {"--bandwidth 999", "--bandwidth: less than 1 kbit/s a flow"},
        {"--driver cloud", "'cloud' is no driver"},
        {"--port 0", "--port: number '0'"},
        {"--output xml", "'xml' is none of"},
        {"--color sometimes", "'sometimes' is none of"},
        {"--cc aaaaaaaaaaaaaaaa", "--cc: is longer than 15"},
        {"--scenario=", "--scenarios: is empty"},
        {"extra", "'extra' is one argument too many"},
        {"--tcpbfu 1", "did you mean --tcpbuf?"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct run_flags f;
        const char *said;
        int code = parse(rows[i].words, &f, &said);

        if (code != EXIT_USAGE || !strstr(said, rows[i].said))
            print_message("%s: %d %s\n", rows[i].words, code, said);
        assert_int_equal(code, EXIT_USAGE);
        assert_non_null(strstr(said, rows[i].said));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_vmtps_flags),
        cmocka_unit_test(test_mistakes_are_said),
    };

    return cmocka_run_group_tests_name("run_flags", tests, NULL, NULL);
}
