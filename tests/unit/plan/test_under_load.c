/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/hist.h"
#include "plan/under_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A measurement of that phase; a probe's round trips are all rtt_ns, its way there forward_ns (0: not known). */
static struct measurement *add(struct scenario_result *s, enum flow_kind kind, enum load load,
                               uint64_t rtt_ns, uint64_t forward_ns)
{
    struct measurement *m = scenario_result_add(s);

    assert_non_null(m);
    m->kind = kind;
    m->load = load;
    if (!rtt_ns)
        return m;
    m->sender.rtt = calloc(1, sizeof *m->sender.rtt);
    assert_non_null(m->sender.rtt);
    for (int i = 0; i < 100; i++)
        hist_add(m->sender.rtt, rtt_ns);
    if (forward_ns) {
        metric_put(&m->headline, METRIC_forward_p50_ns, forward_ns);
        metric_put(&m->headline, METRIC_forward_p99_ns, forward_ns);
    }
    return m;
}

static void near(double value, double truth)
{
    assert_true(value > truth - 0.02 * truth && value < truth + 0.02 * truth);
}

static void test_rise_is_against_the_idle_phase(void **state)
{
    struct scenario_result s = {0};
    const struct measurement *m;

    (void)state;
    add(&s, FLOW_STAMP, LOAD_IDLE, 100000, 60000);
    add(&s, FLOW_STAMP, LOAD_FORWARD, 10100000, 10060000);
    add(&s, FLOW_TCP_STREAM, LOAD_FORWARD, 5000000, 0);
    add(&s, FLOW_STAMP, LOAD_REVERSE, 50000, 60000);
    under_load_rise(&s);
    m = &s.measurements[0];
    assert_false(m->headline.has[METRIC_rise_p50_ns]);
    m = &s.measurements[1];
    near(metric_get_real(&m->headline, METRIC_rise_p50_ns), 10e6);
    near(metric_get_real(&m->headline, METRIC_rise_p99_ns), 10e6);
    assert_true(metric_get_real(&m->headline, METRIC_forward_rise_p50_ns) == 10e6);
    /* Nothing was said of the way back. */
    assert_false(m->headline.has[METRIC_backward_rise_p50_ns]);
    /* A stream's own round trips are no probe. */
    assert_false(s.measurements[2].headline.has[METRIC_rise_p50_ns]);
    /* It may fall, too. */
    m = &s.measurements[3];
    assert_true(metric_get_real(&m->headline, METRIC_rise_p50_ns) < -40000);
    assert_true(metric_get_real(&m->headline, METRIC_forward_rise_p50_ns) == 0);
    scenario_result_done(&s);
}

/* Of several rounds each has its own idle phase. */
static void test_rise_is_against_the_idle_phase_of_the_round(void **state)
{
    struct scenario_result s = {0};

    (void)state;
    add(&s, FLOW_UDP_RR, LOAD_IDLE, 100000, 0);
    add(&s, FLOW_UDP_RR, LOAD_BOTH, 1100000, 0);
    add(&s, FLOW_UDP_RR, LOAD_IDLE, 1000000, 0);
    add(&s, FLOW_UDP_RR, LOAD_BOTH, 3000000, 0);
    under_load_rise(&s);
    near(metric_get_real(&s.measurements[1].headline, METRIC_rise_p50_ns), 1e6);
    near(metric_get_real(&s.measurements[3].headline, METRIC_rise_p50_ns), 2e6);
    scenario_result_done(&s);
}

static void test_without_an_idle_phase_there_is_no_rise(void **state)
{
    struct scenario_result s = {0};

    (void)state;
    add(&s, FLOW_STAMP, LOAD_IDLE, 0, 0);
    add(&s, FLOW_STAMP, LOAD_FORWARD, 100000, 60000);
    under_load_rise(&s);
    assert_false(s.measurements[1].headline.has[METRIC_rise_p50_ns]);
    assert_false(s.measurements[1].headline.has[METRIC_forward_rise_p50_ns]);
    scenario_result_done(&s);
}

static void test_warmup_fills_queues(void **state)
{
    (void)state;
    assert_int_equal(under_load_warmup(CLOCK_S), CLOCK_S / 2);
    assert_int_equal(under_load_warmup(60ULL * CLOCK_S), CLOCK_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rise_is_against_the_idle_phase),
        cmocka_unit_test(test_rise_is_against_the_idle_phase_of_the_round),
        cmocka_unit_test(test_without_an_idle_phase_there_is_no_rise),
        cmocka_unit_test(test_warmup_fills_queues),
    };

    return cmocka_run_group_tests_name("under_load", tests, NULL, NULL);
}
