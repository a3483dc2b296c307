/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "traffic/arrival.h"

/* Clocks that know nothing of each other: the receiver's machine has been up for much longer. */
static const uint64_t sender_ns = UINT64_C(5000000000), receiver_ns = UINT64_C(90000000000000000);

static void check_near(double value, double wanted, double within)
{
    if (value < wanted - within || value > wanted + within)
        fail_msg("%.9g is not within %.9g of %.9g", value, within, wanted);
}

static void test_constant_delay_has_no_jitter_and_no_slope(void **state)
{
    struct arrival a;

    (void)state;
    arrival_init(&a, 1000000000);
    for (uint64_t i = 0; i < 10000; i++)
        arrival_add(&a, sender_ns + i * 100000, receiver_ns + i * 100000, 1);
    check_near(a.estimate_ns, 0, 0);
    check_near(stat_slope(&a.slope), 0, 1e-12);
    check_near(arrival_growth_ns(&a), 0, 0);
    assert_int_equal(arrival_spread_ns(&a), 9999 * 100000);
}

static void test_a_filling_queue_shows_as_slope_and_growth(void **state)
{
    struct arrival a;

    (void)state;
    arrival_init(&a, 1000000000);
    for (uint64_t i = 0; i < 10000; i++) /* 3 % more comes in than goes out */
        arrival_add(&a, sender_ns + i * 100000, receiver_ns + i * 103000, 1);
    check_near(stat_slope(&a.slope), 0.03, 1e-9);
    /* The middles of the first and the last eighth lie 7/8 of a second apart. */
    check_near(arrival_growth_ns(&a), 0.03 * 875000000, 3000);
    check_near(a.estimate_ns, 3000, 1);
}

static void test_alternating_delay_settles_at_its_difference(void **state)
{
    struct arrival a;

    (void)state;
    arrival_init(&a, 1000000000);
    for (uint64_t i = 0; i < 10000; i++)
        arrival_add(&a, sender_ns + i * 100000, receiver_ns + i * 100000 + i % 2 * 5000, 1);
    check_near(a.estimate_ns, 5000, 1);
    check_near(stat_slope(&a.slope), 0, 1e-6);
    check_near(arrival_growth_ns(&a), 0, 10);
}

/* RFC 3550 section 6.4.1: J += (|D| - J) / 16, by hand for four packets. */
static void test_jitter_is_that_of_the_rfc(void **state)
{
    struct arrival a;

    (void)state;
    arrival_init(&a, 1000000000);
    arrival_add(&a, 1000, 50000, 1);
    check_near(a.estimate_ns, 0, 0);
    arrival_add(&a, 2000, 51160, 1); /* D = 160 */
    check_near(a.estimate_ns, 10, 1e-9);
    arrival_add(&a, 3000, 52000, 1); /* D = -160 */
    check_near(a.estimate_ns, 10 + 150 / 16.0, 1e-9);
    arrival_add(&a, 4000, 53000, 1); /* D = 0 */
    check_near(a.estimate_ns, (10 + 150 / 16.0) * 15 / 16, 1e-9);
    check_near(arrival_jitter_ns(&a), (10 + 10 + 150 / 16.0 + (10 + 150 / 16.0) * 15 / 16) / 3,
               1e-9);
}

/* A row that came as one is as good as its members one by one, but for the slope. */
static void test_a_row_counts_as_its_members(void **state)
{
    struct arrival rows, singles;

    (void)state;
    arrival_init(&rows, 100000);
    arrival_init(&singles, 100000);
    for (uint64_t i = 0; i < 100; i++) {
        uint64_t departed = 5000 + i * 1000, arrived = departed + 700 + i % 3 * 250;

        arrival_add(&rows, departed, arrived, 1 + i % 4);
        for (uint64_t k = 0; k < 1 + i % 4; k++)
            arrival_add(&singles, departed, arrived, 1);
    }
    assert_int_equal(rows.n, singles.n);
    check_near(arrival_jitter_ns(&rows), arrival_jitter_ns(&singles), 1e-9);
    check_near(arrival_growth_ns(&rows), arrival_growth_ns(&singles), 1e-9);
    assert_int_equal(arrival_spread_ns(&rows), arrival_spread_ns(&singles));
}

static void test_departures_out_of_order_are_taken(void **state)
{
    struct arrival a;

    (void)state;
    arrival_init(&a, 1000000);
    arrival_add(&a, 500000, 7000000, 1);
    arrival_add(&a, 400000, 7000100, 1); /* overtaken: 100.1 us later than the other */
    check_near(a.estimate_ns, 100100 / 16.0, 1e-9);
    assert_int_equal(arrival_spread_ns(&a), 100);
}

static void test_growth_of_an_empty_eighth_is_none(void **state)
{
    struct arrival a;

    (void)state;
    arrival_init(&a, 1000000000);
    check_near(arrival_growth_ns(&a), 0, 0);
    arrival_add(&a, 1000, 50000, 1);
    check_near(arrival_growth_ns(&a), 0, 0);
    assert_int_equal(arrival_spread_ns(&a), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_delay_has_no_jitter_and_no_slope),
        cmocka_unit_test(test_a_filling_queue_shows_as_slope_and_growth),
        cmocka_unit_test(test_alternating_delay_settles_at_its_difference),
        cmocka_unit_test(test_jitter_is_that_of_the_rfc),
        cmocka_unit_test(test_a_row_counts_as_its_members),
        cmocka_unit_test(test_departures_out_of_order_are_taken),
        cmocka_unit_test(test_growth_of_an_empty_eighth_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
