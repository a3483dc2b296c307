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

enum { MAX_WORDS = 24 };

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
    if (code == OPTIONS_GO_ON)
        settings_done(&ret_flags->settings);
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

static void test_how_it_is_measured(void **state)
{
    const char *said;
    struct run_flags f;

    (void)state;
    assert_int_equal(
        parse("--io lean --cpu spread --mss 1400 --window 1M --dscp 46 --nodelay --gso "
              "auto --sizes imix --spin --warmup 2",
              &f, &said),
        OPTIONS_GO_ON);
    assert_int_equal(f.run.io, FLOW_IO_LEAN);
    assert_true(f.run.pin == 1 && f.run.pin_server == 2);
    assert_true(f.run.mss_bytes == 1400 && f.run.window_bytes == 1 << 20 && f.run.dscp == 46);
    assert_true(f.run.nodelay && f.run.spin && f.run.imix && f.run.gso == 0);
    assert_int_equal(f.run.warmup_ns, 2ULL * CLOCK_S);
    assert_int_equal(parse("--sizes 64,1400 --loss 0,0.1%", &f, &said), OPTIONS_GO_ON);
    assert_true(!f.run.imix && f.run.udp.n == 2 && f.run.udp.size[1] == 1400);
    assert_true(f.run.n_loss_targets == 2 && f.run.loss_target[1] == 0.001);
}

static void test_repetitions(void **state)
{
    const char *said;
    struct run_flags f;

    (void)state;
    assert_int_equal(parse("", &f, &said), OPTIONS_GO_ON);
    assert_true(repeat_rounds(&f.run.repeat) == 1 && !f.run.repeat.seed_set);
    assert_int_equal(parse("--repeat 20 --until 2% --seed 9223372036854775807", &f, &said),
                     OPTIONS_GO_ON);
    assert_int_equal(f.run.repeat.n, 20);
    assert_true(f.run.repeat.until_share == 0.02 && f.run.repeat.seed_set);
    assert_int_equal(f.run.repeat.seed, INT64_MAX);
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
        {"--flows 4097", "--flows: number '4097'"},
        {"--repeat 0", "--repeat: number '0'"},
        {"--repeat 1001", "--repeat: number '1001'"},
        {"--repeat 20 --until 2", "--until: share '2'"},
        {"--until 2%", "--until needs --repeat N"},
        {"--repeat 5 --until 2%", "at least 6"},
        {"--seed -1", "--seed: number '-1'"},
        {"--io direct", "'direct' is neither app nor lean"},
        {"--gso 0", "'0' is neither auto nor 1 to"},
        {"--gso 129", "'129' is neither auto nor 1 to"},
        {"--cpu 1", "'1' is neither same, spread nor two CPUs"},
        {"--window 10", "'10' is not between 1 KiB and 1 GiB"},
        {"--mss 12", "--mss: number '12'"},
        {"--dscp 64", "--dscp: number '64'"},
        {"--loss 1%,0.1%", "does not rise"},
        {"--loss 0,0.1%,1%,2%,3%", "more than 4 shares"},
        {"--sizes mix", "--sizes"},
        {"--warmup 2h", "--warmup"},
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
        cmocka_unit_test(test_defaults),           cmocka_unit_test(test_vmtps_flags),
        cmocka_unit_test(test_how_it_is_measured), cmocka_unit_test(test_repetitions),
        cmocka_unit_test(test_mistakes_are_said),
    };

    return cmocka_run_group_tests_name("run_flags", tests, NULL, NULL);
}
