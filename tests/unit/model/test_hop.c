/* SPDX-License-Identifier: Apache-2.0 */
#include "model/hop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t day_ns = 86400000000000;

static void test_delays_of_either_sign_are_exact_but_for_percentiles(void **state)
{
    struct delay d = {0};

    (void)state;
    for (int64_t ns = -1000; ns <= 1000; ns++)
        assert_int_equal(delay_add(&d, ns), 0);
    assert_int_equal(d.count, 2001);
    assert_int_equal(d.min, -1000);
    assert_int_equal(d.max, 1000);
    assert_true(fabs(delay_mean(&d)) < 1e-9);
    assert_true(fabs(delay_stddev(&d) - sqrt(2001.0 * 2001 - 1) / sqrt(12)) < 1e-6);
    for (int percent = 1; percent < 100; percent++) {
        double share = percent / 100.0;
        double truth = ceil(share * 2001) - 1001;

        assert_true(fabs((double)delay_percentile(&d, share) - truth) <= fabs(truth) * 0.008 + 1);
    }
    assert_int_equal(delay_percentile(&d, 0), -1000);
    assert_int_equal(delay_percentile(&d, 1), 1000);
    delay_done(&d);
}

static void test_a_day_of_offset_costs_no_digits(void **state)
{
    struct delay d = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(delay_add(&d, day_ns + i % 10), 0);
    assert_true(delay_mean(&d) - ((double)day_ns + 4.5) == 0);
    assert_true(fabs(delay_stddev(&d) - sqrt(8.25)) < 1e-9);
    delay_done(&d);
}

static void test_merged_delays_are_as_if_they_were_one(void **state)
{
    struct delay whole = {0}, a = {0}, b = {0}, none = {0};

    (void)state;
    for (int i = 0; i < 5000; i++) {
        int64_t ns = i % 3 ? i * 37 : -i;

        assert_int_equal(delay_add(&whole, ns), 0);
        assert_int_equal(delay_add(i < 2000 ? &a : &b, ns), 0);
    }
    assert_int_equal(delay_merge(&a, &none), 0);
    assert_int_equal(delay_merge(&none, &a), 0);
    assert_int_equal(delay_merge(&none, &b), 0);
    assert_int_equal(none.count, whole.count);
    assert_int_equal(none.min, whole.min);
    assert_int_equal(none.max, whole.max);
    assert_true(fabs(delay_mean(&none) - delay_mean(&whole)) < 1e-6);
    assert_true(fabs(delay_stddev(&none) - delay_stddev(&whole)) < 1e-6);
    assert_int_equal(delay_percentile(&none, 0.5), delay_percentile(&whole, 0.5));
    delay_done(&whole);
    delay_done(&a);
    delay_done(&b);
    delay_done(&none);
}

static void test_the_largest_delays_do_not_overflow(void **state)
{
    struct delay d = {0};

    (void)state;
    assert_int_equal(delay_add(&d, INT64_MIN), 0);
    assert_int_equal(delay_add(&d, INT64_MAX), 0);
    assert_true(d.min == INT64_MIN && d.max == INT64_MAX);
    assert_true(delay_percentile(&d, 0.5) <= 0);
    delay_done(&d);
}

static void test_hops_are_found_by_their_ends(void **state)
{
    struct hops hops = {0};

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct hop *hop = hops_add(&hops);

        assert_non_null(hop);
        hop->from = (uint8_t)i;
        hop->to = (uint8_t)(i + 1);
        hop->whole = i == 19;
        assert_int_equal(delay_add(&hop->delay, i), 0);
    }
    assert_int_equal(hops.n_hops, 20);
    assert_int_equal(hops_find(&hops, 7, 8, false)->delay.max, 7);
    assert_null(hops_find(&hops, 8, 7, false));
    assert_null(hops_find(&hops, 19, 20, false));
    assert_non_null(hops_find(&hops, 19, 20, true));
    hops_done(&hops);
    assert_int_equal(hops.n_hops, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_of_either_sign_are_exact_but_for_percentiles),
        cmocka_unit_test(test_a_day_of_offset_costs_no_digits),
        cmocka_unit_test(test_merged_delays_are_as_if_they_were_one),
        cmocka_unit_test(test_the_largest_delays_do_not_overflow),
        cmocka_unit_test(test_hops_are_found_by_their_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
