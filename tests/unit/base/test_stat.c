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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean_and_median),
        cmocka_unit_test(test_share_interval_is_wilsons),
        cmocka_unit_test(test_share_interval_of_nothing_is_everything),
        cmocka_unit_test(test_slope_of_a_line),
        cmocka_unit_test(test_slope_of_scattered_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
