/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void near(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.12g is not %.12g", got, want);
}

static void test_mean_and_median(void **state)
{
    double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 100};

    (void)state;
    near(stat_mean(odd, 3), 3, 0);
    near(stat_median(odd, 3), 3, 0);
    near(stat_median(even, 4), 3.5, 0);
    near(stat_mean(even, 0), 0, 0);
    near(stat_median(even, 0), 0, 0);
}

/*
 * Wilson's score interval at z = 1.959963985, from its formula in exact arithmetic: (k, n) and both ends.
 */
static void test_share_interval_is_wilsons(void **state)
{
    static const struct {
        uint64_t k, n;
        double low, high;
    } rows[] = {
        {0, 10, 0, 0.27753279},
        {1, 10, 0.01787621, 0.40415003},
        {5, 10, 0.23659309, 0.76340691},
        {10, 10, 0.72246721, 1},
        {10, 1000, 0.00544075, 0.01830947},
        {0, 1000, 0, 0.00382676},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stat_interval got = stat_share_interval(rows[i].k, rows[i].n);

        near(got.low, rows[i].low, 1e-7);
        near(got.high, rows[i].high, 1e-7);
    }
}

static void test_share_interval_of_nothing_is_everything(void **state)
{
    struct stat_interval none = stat_share_interval(0, 0), much = stat_share_interval(20, 10);

    (void)state;
    near(none.low, 0, 0);
    near(none.high, 1, 0);
    near(much.high, 1, 0);
}

static void test_slope_of_a_line(void **state)
{
    struct stat_slope s = {0};

    (void)state;
    near(stat_slope(&s), 0, 0);
    stat_slope_add(&s, 1e15, 7);
    near(stat_slope(&s), 0, 0);
    /* Large offsets are what times have. */
    for (int i = 1; i <= 1000; i++)
        stat_slope_add(&s, 1e15 + i * 1e6, 7 + 0.25 * (i * 1e6));
    near(stat_slope(&s), 0.25, 1e-6);
}

static void test_slope_of_scattered_points(void **state)
{
    /* By hand: mean 2.5 and 5; sxy = 12, sxx = 5. */
    const double x[] = {1, 2, 3, 4}, y[] = {2, 3, 6, 9};
    struct stat_slope s = {0};

    (void)state;
    for (int i = 0; i < 4; i++)
        stat_slope_add(&s, x[i], y[i]);
    near(stat_slope(&s), 2.4, 1e-12);
}

/* Ranks of the printed tables of the 95 % sign-test interval of a median, and that n = 5 has none. */
static void test_median_interval_is_the_tables(void **state)
{
    static const struct {
        size_t n, k;
    } rows[] = {{0, 0},   {1, 0},   {5, 0},   {6, 1},    {8, 1},     {9, 2},   {11, 2},
                {12, 3},  {14, 3},  {15, 4},  {16, 4},   {17, 5},    {19, 5},  {20, 6},
                {22, 6},  {23, 7},  {25, 8},  {30, 10},  {40, 14},   {50, 18}, {60, 22},
                {70, 27}, {80, 31}, {90, 36}, {100, 40}, {1000, 469}};
    double v[] = {9, 1, 8, 2, 7, 3, 6, 4, 5};
    struct stat_interval interval = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (stat_median_rank(rows[i].n) != rows[i].k)
            fail_msg("of %zu the %zu-th, not the %zu-th", rows[i].n, stat_median_rank(rows[i].n),
                     rows[i].k);
    assert_true(stat_median_rank(STAT_MAX_RANKED) > 4800);
    assert_int_equal(stat_median_rank(STAT_MAX_RANKED + 1), 0);
    assert_false(stat_median_interval(v, 5, &interval));
    assert_true(stat_median_interval(v, 9, &interval));
    near(interval.low, 2, 0);
    near(interval.high, 8, 0);
}

/* As often as it says: of many samples of a known median at least 95 %, less chance, hold it. */
static void test_median_interval_covers_the_median(void **state)
{
    uint64_t random = 7;
    unsigned held = 0;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct stat_interval interval;
        double v[12];

        for (int i = 0; i < 12; i++) {
            random = random * 6364136223846793005 + 1442695040888963407;
            v[i] = pow((double)(random >> 40) / (1 << 24), 3); /* skewed; its median is 1/8 */
        }
        assert_true(stat_median_interval(v, 12, &interval));
        held += interval.low <= 0.125 && 0.125 <= interval.high;
    }
    assert_in_range(held, 1880, 1980);
}

static void test_median_distance(void **state)
{
    double v[] = {1, 2, 3, 4, 100};

    (void)state;
    near(stat_mad(v, 5, 3), 1, 0);
    near(stat_mad(v, 0, 3), 0, 0);
}

static void test_a_series_that_starts_low_is_cut_there(void **state)
{
    static const double low[] = {1, 5, 9, 10, 10.1, 9.9, 10, 10.1}, steady[] = {10, 10, 10, 10, 10},
                        late[] = {10, 10, 10, 10, 10, 10, 2, 2};

    (void)state;
    assert_int_equal(stat_truncation(low, 8), 3);
    assert_int_equal(stat_truncation(steady, 5), 0);
    assert_int_equal(stat_truncation(low, 3), 0);
    /* What falls off at the end is no start-up. */
    assert_int_equal(stat_truncation(late, 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_and_median),
        cmocka_unit_test(test_median_interval_is_the_tables),
        cmocka_unit_test(test_median_interval_covers_the_median),
        cmocka_unit_test(test_median_distance),
        cmocka_unit_test(test_a_series_that_starts_low_is_cut_there),
        cmocka_unit_test(test_share_interval_is_wilsons),
        cmocka_unit_test(test_share_interval_of_nothing_is_everything),
        cmocka_unit_test(test_slope_of_a_line),
        cmocka_unit_test(test_slope_of_scattered_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
