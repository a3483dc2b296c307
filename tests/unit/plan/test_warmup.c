/* SPDX-License-Identifier: Apache-2.0 */
/* When a warm-up is over. */
#include "plan/warmup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* How many pilots a series takes; -1 it never settles. */
static int pilots(const double *rates, int n)
{
    struct warmup w = {0};

    for (int i = 0; i < n; i++)
        if (warmup_settled(&w, rates[i]))
            return i + 1;
    return -1;
}

static void test_steady_from_the_start(void **state)
{
    const double rates[] = {10, 10.1, 9.9, 10};

    (void)state;
    assert_int_equal(pilots(rates, 4), 3);
}

static void test_slow_start_is_waited_for(void **state)
{
    const double rates[] = {1, 2, 4, 8, 9.8, 10, 10.05, 9.95, 10};

    (void)state;
    /* 9.8 is the best before the two that rise by less than 3 %. */
    assert_int_equal(pilots(rates, 9), 7);
}

static void test_one_weak_pilot_is_not_the_end(void **state)
{
    const double rates[] = {1, 2, 1.9, 4, 8, 8, 8, 8};

    (void)state;
    assert_int_equal(pilots(rates, 8), 7);
}

static void test_what_rises_for_ever_never_settles(void **state)
{
    struct warmup w = {0};
    double rate = 1;

    (void)state;
    for (int i = 0; i < WARMUP_MAX_PILOTS; i++, rate *= 1.1)
        assert_false(warmup_settled(&w, rate));
    assert_int_equal(w.n_pilots, WARMUP_MAX_PILOTS);
}

static void test_nothing_at_all_is_not_steady(void **state)
{
    const double rates[] = {0, 0, 0, 0};

    (void)state;
    assert_int_equal(pilots(rates, 4), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steady_from_the_start),
        cmocka_unit_test(test_slow_start_is_waited_for),
        cmocka_unit_test(test_one_weak_pilot_is_not_the_end),
        cmocka_unit_test(test_what_rises_for_ever_never_settles),
        cmocka_unit_test(test_nothing_at_all_is_not_steady),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
