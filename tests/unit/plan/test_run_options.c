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
    o.loss_target = 0.51;
    expect_refused(&o, "--loss");
    o.loss_target = 0;
    assert_int_equal(run_options_check(&o, NULL), 0);
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
        cmocka_unit_test(test_flows),
        cmocka_unit_test(test_scenarios),
    };

    return cmocka_run_group_tests_name("run_options", tests, NULL, NULL);
}
