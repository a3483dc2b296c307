/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "plan/run_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct run_options defaults(void)
{
    struct run_options o;

    run_options_default(&o);
    return o;
}

static void expect_refused(const struct run_options *o, const char *word)
{
    struct err err = {0};
    int r = run_options_check(o, &err);

    if (r == 0 || !strstr(err.text, word))
        print_message("expected '%s', came: %s\n", word, err.text);
    assert_true(r < 0);
    assert_non_null(strstr(err.text, word));
}

static void test_defaults_are_fine(void **state)
{
    struct run_options o = defaults();

    (void)state;
    assert_int_equal(run_options_check(&o, NULL), 0);
    run_options_quick(&o);
    assert_int_equal(run_options_check(&o, NULL), 0);
    assert_int_equal(o.port, 5001);
}

static void test_time(void **state)
{
    struct run_options o = defaults();

    (void)state;
    o.time_ns = CLOCK_S / 10;
    assert_int_equal(run_options_check(&o, NULL), 0);
    o.time_ns = CLOCK_S / 10 - 1;
    expect_refused(&o, "--time");
    o.time_ns = 86400ULL * CLOCK_S + 1;
    expect_refused(&o, "--time");
    o.time_ns = 0;
    expect_refused(&o, "--time");
}

static void test_sizes(void **state)
{
    struct run_options o = defaults();

    (void)state;
    o.tcp.size[0] = 0;
    expect_refused(&o, "--tcpbuf");
    o = defaults();
    o.tcp.size[0] = FLOW_MAX_WRITE + 1;
    expect_refused(&o, "--tcpbuf");
    o = defaults();
    o.udp.size[2] = FLOW_UDP_HEADER - 1;
    expect_refused(&o, "--udpbuf");
    o.udp.size[2] = FLOW_MAX_DATAGRAM + 1000;
    expect_refused(&o, "--udpbuf");
    o = defaults();
    o.icmp.size[0] = 100000;
    expect_refused(&o, "--icmp-sizes");
    o = defaults();
    o.rr_bytes = FLOW_UDP_HEADER - 1;
    expect_refused(&o, "--rr-size");
}

static void test_rates_and_shares(void **state)
{
    struct run_options o = defaults();

    (void)state;
    o.bandwidth_bps = 63999;
    o.n_flows = 64;
    expect_refused(&o, "--bandwidth");
    o.bandwidth_bps = 64000;
    assert_int_equal(run_options_check(&o, NULL), 0);
    o.loss_target[0] = 0.51;
    expect_refused(&o, "--loss");
    o.loss_target[0] = 0;
    assert_int_equal(run_options_check(&o, NULL), 0);
}

static void test_repetitions_have_room_for_an_interval(void **state)
{
    struct run_options o = defaults();

    (void)state;
    o.repeat.n = 3;
    assert_int_equal(run_options_check(&o, NULL), 0);
    o.repeat.until_share = 0.02;
    expect_refused(&o, "--until needs --repeat N");
    o.repeat.n = 5;
    expect_refused(&o, "at least 6");
    o.repeat.n = 6;
    assert_int_equal(run_options_check(&o, NULL), 0);
}

static void test_a_mix_takes_the_place_of_sizes(void **state)
{
    struct run_options o = defaults();
    struct flow_spec spec;

    (void)state;
    o.imix = true;
    o.gso = 8;
    o.udp.size[0] = 1; /* not used: not a mistake */
    assert_int_equal(run_options_check(&o, NULL), 0);
    spec = run_options_spec(&o, FLOW_UDP_STREAM, flow_imix_largest());
    assert_true(spec.imix && spec.gso == 1);
}

static void test_each_kind_takes_what_it_can_use(void **state)
{
    struct run_options o = defaults();
    struct flow_spec tcp, udp, rr, icmp;

    (void)state;
    o.io = FLOW_IO_LEAN;
    o.mss_bytes = 1000;
    o.gso = 0;
    o.dscp = 46;
    o.spin = o.nodelay = true;
    o.pin = 2;
    o.n_flows = 4;
    tcp = run_options_spec(&o, FLOW_TCP_STREAM, 65536);
    udp = run_options_spec(&o, FLOW_UDP_STREAM, 1400);
    rr = run_options_spec(&o, FLOW_TCP_RR, 64);
    icmp = run_options_spec(&o, FLOW_ICMP_ECHO, 56);
    assert_true(tcp.io == FLOW_IO_LEAN && tcp.mss_bytes == 1000 && tcp.nodelay && !tcp.spin);
    assert_true(udp.io == FLOW_IO_APP && udp.mss_bytes == 0 && udp.gso == 0 && !udp.nodelay);
    assert_true(rr.spin && rr.mss_bytes == 1000 && rr.io == FLOW_IO_APP && rr.n_flows == 1);
    assert_true(!icmp.spin && icmp.gap_ns > 0 && icmp.n_flows == 1);
    assert_true(tcp.dscp == 46 && udp.dscp == 46 && rr.dscp == 46 && icmp.dscp == 46);
    assert_true(tcp.pin == 2 && udp.pin == 2 && tcp.n_flows == 4);
}

static void test_flows(void **state)
{
    struct run_options o = defaults();

    (void)state;
    o.n_flows = FLOW_MAX_FLOWS;
    assert_int_equal(run_options_check(&o, NULL), 0);
    o.n_flows = FLOW_MAX_FLOWS + 1;
    expect_refused(&o, "flow");
    o.n_flows = 0;
    expect_refused(&o, "flow");
    o.bandwidth_bps = 1000000;
    expect_refused(&o, "flow");
}

static void test_scenarios(void **state)
{
    struct run_options o = defaults();

    (void)state;
    snprintf(o.scenarios, sizeof o.scenarios, "1.1,2.*");
    assert_int_equal(run_options_check(&o, NULL), 0);
    snprintf(o.scenarios, sizeof o.scenarios, "9.1");
    expect_refused(&o, "--scenarios: there is no scenario '9.1'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_fine),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_rates_and_shares),
        cmocka_unit_test(test_repetitions_have_room_for_an_interval),
        cmocka_unit_test(test_a_mix_takes_the_place_of_sizes),
        cmocka_unit_test(test_each_kind_takes_what_it_can_use),
        cmocka_unit_test(test_flows),
        cmocka_unit_test(test_scenarios),
    };

    return cmocka_run_group_tests_name("run_options", tests, NULL, NULL);
}
