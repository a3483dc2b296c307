/* SPDX-License-Identifier: Apache-2.0 */
#include "model/measurement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_measurements_are_added_and_freed(void **state)
{
    struct scenario_result s = {0};

    (void)state;
    for (uint32_t i = 0; i < 9; i++) {
        struct measurement *m = scenario_result_add(&s);

        assert_non_null(m);
        assert_true(m->payload_bytes == 0 && m->sender.rtt == NULL && !m->headline.has[0]);
        m->payload_bytes = i;
        m->sender.rtt = calloc(1, sizeof *m->sender.rtt);
        m->receiver.intervals = calloc(3, sizeof *m->receiver.intervals);
        m->receiver.flow_bytes = calloc(3, sizeof *m->receiver.flow_bytes);
        m->search.probes = calloc(3, sizeof *m->search.probes);
    }
    assert_int_equal(s.n_measurements, 9);
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(s.measurements[i].payload_bytes, i);
    scenario_result_done(&s);
    assert_null(s.measurements);
    assert_int_equal(s.n_measurements, 0);
}

static void test_enders_take_nothing(void **state)
{
    struct run_result *run = calloc(1, sizeof *run);

    (void)state;
    assert_non_null(run);
    run_result_done(run);
    run_result_done(run);
    run_result_done(NULL);
    scenario_result_done(NULL);
    measurement_done(NULL);
    flow_result_done(NULL);
    free(run);
}

static void test_a_run_frees_what_it_holds(void **state)
{
    struct run_result *run = calloc(1, sizeof *run);

    (void)state;
    assert_non_null(run);
    run->scenarios = calloc(2, sizeof *run->scenarios);
    assert_non_null(run->scenarios);
    run->n_scenarios = 2;
    assert_non_null(scenario_result_add(&run->scenarios[1]));
    run->command = calloc(1, sizeof *run->command);
    assert_non_null(run->command);
    run->command[0] = strdup("vnperf");
    run->n_command = 1;
    run_result_done(run);
    assert_null(run->command);
    free(run);
}

static void test_summary_counts_every_scenario_once(void **state)
{
    struct scenario_result s[6] = {{.status = SCENARIO_PASSED},  {.status = SCENARIO_FAILED},
                                   {.status = SCENARIO_SKIPPED}, {.status = SCENARIO_PASSED},
                                   {.status = SCENARIO_PASSED},  {.status = SCENARIO_SKIPPED}};
    struct run_result *run = calloc(1, sizeof *run);
    struct run_summary sum;

    (void)state;
    assert_non_null(run);
    run->scenarios = s;
    run->n_scenarios = 6;
    sum = run_result_summary(run);
    assert_true(sum.total == 6 && sum.passed == 3 && sum.failed == 1 && sum.skipped == 2);
    free(run);
}

/* What a measurement's repetitions are compared by. */
static void test_each_kind_has_its_number(void **state)
{
    static const struct {
        enum flow_kind kind;
        uint64_t gap_ns;
        enum measured measured;
    } rows[] = {
        {FLOW_TCP_STREAM, 0, MEASURED_THROUGHPUT}, {FLOW_UDP_STREAM, 0, MEASURED_THROUGHPUT},
        {FLOW_MULTICAST, 0, MEASURED_THROUGHPUT},  {FLOW_TCP_RR, 0, MEASURED_TRANSACTIONS},
        {FLOW_TCP_CRR, 0, MEASURED_TRANSACTIONS},  {FLOW_UDP_RR, 1000, MEASURED_RTT},
        {FLOW_ICMP_ECHO, 0, MEASURED_RTT},         {FLOW_STAMP, 1000, MEASURED_RTT}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct measurement m = {.kind = rows[i].kind, .gap_ns = rows[i].gap_ns};
        double value = -1;

        assert_int_equal(measurement_measured(&m), rows[i].measured);
        assert_false(measurement_value(&m, &value));
        metric_put_real(&m.headline, METRIC_throughput_bps, 5);
        metric_put_real(&m.headline, METRIC_transactions_per_s, 6);
        m.sender.rtt = calloc(1, sizeof *m.sender.rtt);
        assert_non_null(m.sender.rtt);
        hist_add(m.sender.rtt, 7);
        assert_true(measurement_value(&m, &value));
        assert_true(value == (rows[i].measured == MEASURED_THROUGHPUT     ? 5
                              : rows[i].measured == MEASURED_TRANSACTIONS ? 6
                                                                          : 7));
        m.error[0] = 'x';
        assert_false(measurement_value(&m, &value));
        measurement_done(&m);
    }
}

static void test_what_was_found_makes_no_other_thing(void **state)
{
    struct measurement a = {.kind = FLOW_TCP_RR, .payload_bytes = 64}, b = a;

    (void)state;
    b.repetition = 7;
    b.outlier = true;
    b.port = 5002;
    b.limit = LIMIT_PATH;
    b.error[0] = 'x';
    assert_true(measurement_same(&a, &b));
    b.spin = true;
    assert_false(measurement_same(&a, &b));
    b = a;
    b.to[0] = 'x';
    assert_false(measurement_same(&a, &b));
}

static void test_names_are_all_there(void **state)
{
    (void)state;
    for (int i = 0; i < MEASURED_COUNT; i++)
        assert_true(measured_name[i] && measured_name[i][0]);
    for (int i = 0; i < REPEAT_END_COUNT; i++)
        assert_true(repeat_end_name[i] && repeat_end_name[i][0]);
    for (int i = 0; i < LIMIT_COUNT_; i++)
        assert_true(limit_name[i] && limit_name[i][0]);
    for (int i = 0; i < SCENARIO_STATUS_COUNT; i++)
        assert_true(scenario_status_name[i] && scenario_status_name[i][0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measurements_are_added_and_freed),
        cmocka_unit_test(test_enders_take_nothing),
        cmocka_unit_test(test_a_run_frees_what_it_holds),
        cmocka_unit_test(test_summary_counts_every_scenario_once),
        cmocka_unit_test(test_each_kind_has_its_number),
        cmocka_unit_test(test_what_was_found_makes_no_other_thing),
        cmocka_unit_test(test_names_are_all_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
