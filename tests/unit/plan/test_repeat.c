/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/repeat.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_a_seed_gives_the_same_rounds(void **state)
{
    uint64_t a = 42, b = 42, c = 43;
    unsigned differ = 0;

    (void)state;
    for (int round = 0; round < 20; round++) {
        unsigned x[23], y[23], z[23];

        repeat_shuffle(&a, x, 23);
        repeat_shuffle(&b, y, 23);
        repeat_shuffle(&c, z, 23);
        assert_memory_equal(x, y, sizeof x);
        differ += memcmp(x, z, sizeof x) != 0;
    }
    assert_int_equal(differ, 20);
}

/* The values that every implementation of splitmix64 gives for seed 1234567, by way of the order that they make. */
static void test_the_order_is_splitmix64s(void **state)
{
    static const uint64_t outputs[] = {6457827717110365317, 3203168211198807973,
                                       9817491932198370423u};
    uint64_t seed = 1234567;
    unsigned order[4], want[4] = {0, 1, 2, 3};

    (void)state;
    for (unsigned i = 4; i > 1; i--) {
        unsigned k = (unsigned)(outputs[4 - i] % i), moved = want[i - 1];

        want[i - 1] = want[k];
        want[k] = moved;
    }
    repeat_shuffle(&seed, order, 4);
    assert_memory_equal(order, want, sizeof want);
}

static void test_every_order_is_as_likely(void **state)
{
    uint64_t seed = 1;
    unsigned seen[3][3] = {{0}};

    (void)state;
    for (int i = 0; i < 3000; i++) {
        unsigned order[3];

        repeat_shuffle(&seed, order, 3);
        assert_int_equal(order[0] + order[1] + order[2], 3);
        for (int k = 0; k < 3; k++)
            seen[k][order[k]]++;
    }
    for (int k = 0; k < 3; k++)
        for (int j = 0; j < 3; j++)
            assert_in_range(seen[k][j], 880, 1120);
}

static void test_the_seed_is_kept(void **state)
{
    struct repeat_record once = repeat_begin(&(struct repeat_options){0}),
                         given =
                             repeat_begin(&(struct repeat_options){.seed_set = true, .seed = 7}),
                         drawn = repeat_begin(&(struct repeat_options){.n = 10});

    (void)state;
    assert_true(once.n == 1 && !once.shuffled);
    assert_true(given.n == 1 && given.shuffled && given.seed == 7);
    assert_true(drawn.n == 10 && drawn.shuffled && drawn.seed <= UINT32_MAX);
}

/* A repetition of a TCP stream of that throughput; 0 failed. */
static void add_round(struct scenario_result *s, uint32_t round, double bps)
{
    uint32_t first = s->n_measurements;
    struct measurement *m = scenario_result_add(s);

    assert_non_null(m);
    m->payload_bytes = 65536;
    if (bps > 0)
        metric_put_real(&m->headline, METRIC_throughput_bps, bps);
    else
        snprintf(m->error, sizeof m->error, "broken");
    m = scenario_result_add(s);
    assert_non_null(m);
    m->kind = FLOW_TCP_RR;
    metric_put_real(&m->headline, METRIC_transactions_per_s, 1000 + round);
    assert_int_equal(repeat_add(s, first, round, NULL), 0);
}

static void test_repetitions_are_summarised_and_outliers_flagged(void **state)
{
    static const double bps[] = {100e6, 101e6, 99e6, 100.5e6, 99.5e6, 40e6, 100e6};
    struct scenario_result s = {0};

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        add_round(&s, i + 1, bps[i]);
        assert_false(s.repeats[0].has_interval);
        assert_false(repeat_is_narrow(&s, 0, 2, 1));
    }
    for (uint32_t i = 5; i < 7; i++)
        add_round(&s, i + 1, bps[i]);
    assert_int_equal(s.n_repeats, 2);
    assert_int_equal(s.repeats[0].measured, MEASURED_THROUGHPUT);
    assert_int_equal(s.repeats[1].measured, MEASURED_TRANSACTIONS);
    assert_int_equal(s.repeats[0].n, 7);
    assert_true(s.repeats[0].median == 100e6 && s.repeats[0].has_interval);
    /* Of 7 values the interval is from the smallest to the largest: the outlier is flagged and counts. */
    assert_true(s.repeats[0].low == 40e6 && s.repeats[0].high == 101e6);
    assert_true(s.repeats[0].width_share > 0.609 && s.repeats[0].width_share < 0.611);
    assert_int_equal(s.repeats[0].n_outliers, 1);
    for (uint32_t i = 0; i < s.n_measurements; i++) {
        assert_int_equal(s.measurements[i].repetition, i / 2 + 1);
        assert_int_equal(s.measurements[i].group, i % 2 + 1);
        assert_int_equal(s.measurements[i].outlier, i == 10);
    }
    assert_false(repeat_is_narrow(&s, 0, 2, 0.02));
    assert_true(repeat_is_narrow(&s, 1, 1, 0.02));
    repeat_end(&s, 1, 1, REPEAT_NARROW);
    repeat_end(&s, 0, s.n_measurements, REPEAT_ALL);
    assert_int_equal(s.repeats[0].end, REPEAT_ALL);
    assert_int_equal(s.repeats[1].end, REPEAT_NARROW);
    scenario_result_done(&s);
}

static void test_what_failed_has_no_value(void **state)
{
    struct scenario_result s = {0};

    (void)state;
    add_round(&s, 1, 5e6);
    add_round(&s, 2, 0);
    assert_int_equal(s.repeats[0].n, 1);
    assert_true(s.repeats[0].median == 5e6);
    assert_int_equal(s.repeats[1].n, 2);
    assert_int_equal(s.repeats[0].n_outliers, 0);
    scenario_result_done(&s);
}

/* What cannot be told apart is no outlier: a percentile is kept to a hundredth. */
static void test_equal_values_make_no_outlier_of_their_neighbour(void **state)
{
    static const double bps[] = {100e6, 100e6, 100e6, 100e6, 100.9e6, 103e6};
    struct scenario_result s = {0};

    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        add_round(&s, i + 1, bps[i]);
    assert_false(s.measurements[8].outlier);
    assert_true(s.measurements[10].outlier);
    scenario_result_done(&s);
}

static void test_other_things_are_other_groups(void **state)
{
    struct scenario_result s = {0};

    (void)state;
    for (uint32_t round = 1; round <= 2; round++) {
        uint32_t first = s.n_measurements;

        scenario_result_add(&s)->kind = FLOW_UDP_STREAM;
        scenario_result_add(&s)->reverse = true;
        scenario_result_add(&s)->io = FLOW_IO_LEAN;
        scenario_result_add(&s)->load = LOAD_IDLE;
        scenario_result_add(&s)->load = LOAD_BOTH;
        snprintf(scenario_result_add(&s)->to, 8, "vm2");
        scenario_result_add(&s)->gap_ns = 5;
        scenario_result_add(&s)->payload_bytes = 5;
        assert_int_equal(repeat_add(&s, first, round, NULL), 0);
    }
    assert_int_equal(s.n_repeats, 8);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(s.measurements[i].group, i % 8 + 1);
    scenario_result_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_seed_gives_the_same_rounds),
        cmocka_unit_test(test_the_order_is_splitmix64s),
        cmocka_unit_test(test_every_order_is_as_likely),
        cmocka_unit_test(test_the_seed_is_kept),
        cmocka_unit_test(test_repetitions_are_summarised_and_outliers_flagged),
        cmocka_unit_test(test_what_failed_has_no_value),
        cmocka_unit_test(test_equal_values_make_no_outlier_of_their_neighbour),
        cmocka_unit_test(test_other_things_are_other_groups),
    };

    return cmocka_run_group_tests_name("repeat", tests, NULL, NULL);
}
