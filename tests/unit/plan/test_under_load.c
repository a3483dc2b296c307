/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/hist.h"
#include "plan/under_load.h"

#include <math.h>
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

/* What two clocks say of a way: an offset that a queue forward has moved by half of itself. */
static void tell(struct measurement *m, double forward_ns, double backward_ns, double ahead_ns,
                 double at_ns)
{
    struct metric_set *h = &m->headline;
    double error = (forward_ns + backward_ns) / 2;

    metric_put(h, METRIC_window_ns, CLOCK_S);
    metric_put_real(h, METRIC_forward_min_ns, forward_ns);
    metric_put_real(h, METRIC_forward_p50_ns, forward_ns);
    metric_put_real(h, METRIC_forward_p99_ns, forward_ns);
    metric_put_real(h, METRIC_backward_min_ns, backward_ns);
    metric_put_real(h, METRIC_backward_p50_ns, backward_ns);
    metric_put_real(h, METRIC_backward_p99_ns, backward_ns);
    metric_put_real(h, METRIC_clock_error_ns, error);
    metric_put_real(h, METRIC_clock_ahead_ns, ahead_ns);
    metric_put_real(h, METRIC_clock_drift_share, 50e-6);
    metric_put_real(h, METRIC_clock_at_ns, at_ns);
}

/* 32 ms wait forward; the reflector is 3 s ahead and gains 50 us a second. */
static void test_a_queue_of_one_way_is_not_told_as_the_other_ways(void **state)
{
    const double at = 5e9;
    struct scenario_result s = {0};
    const struct metric_set *h;

    (void)state;
    tell(add(&s, FLOW_STAMP, LOAD_IDLE, 60000, 0), 30e3, 30e3, 3e9, at);
    tell(add(&s, FLOW_STAMP, LOAD_FORWARD, 32060000, 0), 16.03e6, 16.03e6, 3e9 + 16e6 + 100e3,
         at + 2e9);
    under_load_rise(&s);
    h = &s.measurements[1].headline;
    near(metric_get_real(h, METRIC_forward_rise_p50_ns), 32e6);
    near(metric_get_real(h, METRIC_forward_rise_p99_ns), 32e6);
    assert_true(fabs(metric_get_real(h, METRIC_backward_rise_p50_ns)) < 1);
    /* The delays are told alike, and by how much they may be off: 30 us a second before and after, and so on. */
    near(metric_get_real(h, METRIC_forward_p50_ns), 32.03e6);
    near(metric_get_real(h, METRIC_backward_min_ns), 30e3);
    near(metric_get_real(h, METRIC_clock_ahead_ns), 3e9 + 100e3);
    near(metric_get_real(h, METRIC_clock_error_ns), 150e3);
    scenario_result_done(&s);
}

/* The clock was set by 1 ms meanwhile: no delay is negative, and what is off by that is not told. */
static void test_a_rise_that_the_clocks_do_not_tell_is_left_out(void **state)
{
    struct scenario_result s = {0};
    struct measurement *m;

    (void)state;
    tell(add(&s, FLOW_STAMP, LOAD_IDLE, 60000, 0), 30e3, 30e3, 3e9, 5e9);
    tell(add(&s, FLOW_STAMP, LOAD_FORWARD, 32060000, 0), 16.03e6, 16.03e6, 3e9 + 16e6 + 1e6, 5e9);
    tell(add(&s, FLOW_STAMP, LOAD_REVERSE, 60000, 0), 30e3, 30e3, 3e9 + 1e6, 5e9);
    under_load_rise(&s);
    m = &s.measurements[1];
    near(metric_get_real(&m->headline, METRIC_forward_rise_p50_ns), 32e6);
    assert_false(m->headline.has[METRIC_backward_rise_p50_ns]);
    m = &s.measurements[2];
    assert_false(m->headline.has[METRIC_forward_rise_p50_ns]);
    assert_false(m->headline.has[METRIC_backward_rise_p99_ns]);
    assert_true(metric_get_real(&m->headline, METRIC_forward_min_ns) >= 0);
    assert_true(metric_get_real(&m->headline, METRIC_backward_min_ns) >= 0);
    assert_true(metric_get_real(&m->headline, METRIC_clock_error_ns) >= 30e3);
    assert_true(m->headline.has[METRIC_rise_p50_ns]);
    scenario_result_done(&s);
}

/* Who does not say by which offset it told: only what its error cannot have made. */
static void test_without_an_offset_a_rise_has_to_exceed_the_error(void **state)
{
    struct scenario_result s = {0};
    const struct metric_set *h;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct measurement *m =
            add(&s, FLOW_STAMP, i ? LOAD_FORWARD : LOAD_IDLE, i ? 5e6 : 60e3, i ? 5e6 : 30e3);

        metric_put_real(&m->headline, METRIC_clock_error_ns, i ? 300e3 : 30e3);
        metric_put_real(&m->headline, METRIC_backward_p50_ns, i ? 2e6 : 30e3);
    }
    under_load_rise(&s);
    h = &s.measurements[1].headline;
    assert_true(h->has[METRIC_forward_rise_p50_ns]);
    assert_false(h->has[METRIC_backward_rise_p50_ns]);
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
        cmocka_unit_test(test_a_queue_of_one_way_is_not_told_as_the_other_ways),
        cmocka_unit_test(test_a_rise_that_the_clocks_do_not_tell_is_left_out),
        cmocka_unit_test(test_without_an_offset_a_rise_has_to_exceed_the_error),
        cmocka_unit_test(test_warmup_fills_queues),
    };

    return cmocka_run_group_tests_name("under_load", tests, NULL, NULL);
}
