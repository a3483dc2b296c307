/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/clock_line.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed;

static double next_share(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return ((double)((seed * 2685821657736338717ULL) >> 11) + 1) / 9007199254740993.0;
}

struct clock_case {
    double offset_ns, skew;
    unsigned n;
    double span_ns, back_share; /* of the packets that go the other way */
    double base_ns, mean_ns;    /* of a delay: at least, and exponential beyond */
    double queue_share, queue_ns;
    double offset_most_ns, skew_most; /* the errors that are right */
};

/* Those of the table in CAPTURE.md, section 4, with the errors that it gives and some room. */
static const struct clock_case cases[] = {
    {123e6, 12.5e-6, 20000, 10e9, 0.5, 3200, 5000, 0, 0, 400, 0.05e-6},
    {-5e6, -40e-6, 20000, 10e9, 0.5, 50000, 20000, 0.05, 2e6, 400, 0.05e-6},
    {1e6, 1e-6, 2000, 10e9, 0.3, 20000, 30000, 0, 0, 2000, 0.4e-6},
    {0, 0, 20000, 10e9, 0.1, 10000, 2000, 0.6, 500e3, 200, 0.05e-6},
    {777, 100e-6, 300, 10e9, 0.5, 32000, 20000, 0, 0, 3000, 1e-6},
    {86400e9, 30e-6, 5000, 10e9, 0.5, 5000, 3000, 0, 0, 400, 0.1e-6},
};

static const uint64_t start_ns = 1700000000000000000ULL;

static void make(const struct clock_case *c, struct clock_sample *there, size_t *n_there,
                 struct clock_sample *back, size_t *n_back)
{
    seed = 42;
    *n_there = *n_back = 0;
    for (unsigned i = 0; i < c->n; i++) {
        double x = c->span_ns * i / c->n;
        bool is_back = next_share() < c->back_share;
        double delay = c->base_ns - c->mean_ns * log(next_share());
        struct clock_sample sample;

        if (next_share() < c->queue_share)
            delay += c->queue_ns * next_share();
        sample.x_ns = start_ns + (uint64_t)x;
        sample.y_ns = (int64_t)(c->offset_ns + c->skew * x + (is_back ? -delay : delay));
        if (is_back)
            back[(*n_back)++] = sample;
        else
            there[(*n_there)++] = sample;
    }
}

static void test_offset_and_skew_are_within_the_bound(void **state)
{
    struct clock_sample *there = calloc(20000, sizeof *there), *back = calloc(20000, sizeof *back);

    (void)state;
    assert_true(there && back);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct clock_case *c = &cases[k];
        struct clock_line line;
        size_t n_there, n_back;

        make(c, there, &n_there, back, &n_back);
        assert_int_equal(clock_line_fit(there, n_there, back, n_back, &line), 0);
        assert_false(line.crossed);
        assert_true(fabs(line.skew - c->skew) <= c->skew_most);
        for (int end = 0; end <= 1; end++) {
            double x = end ? c->span_ns : 0;
            double truth = c->offset_ns + c->skew * x;
            double told =
                (double)line.offset_ns + line.skew * (x - (double)(int64_t)(line.x_ns - start_ns));

            assert_true(fabs(told - truth) <= c->offset_most_ns);
            /* Whatever else: what it says itself holds. */
            assert_true(fabs(told - truth) <= (double)line.bound_ns + 2);
        }
        assert_true((double)line.bound_ns >= c->base_ns - 2);
        assert_true((double)line.bound_ns <= c->base_ns + c->mean_ns * 0.5 + 500);
    }
    free(there);
    free(back);
}

static void test_one_way_tells_the_skew_and_no_offset(void **state)
{
    struct clock_sample *there = calloc(20000, sizeof *there), *back = calloc(20000, sizeof *back);
    struct clock_line line;
    size_t n_there, n_back;

    (void)state;
    assert_true(there && back);
    make(&cases[0], there, &n_there, back, &n_back);
    assert_int_equal(clock_line_fit(there, n_there, NULL, 0, &line), 0);
    assert_true(line.bound_ns == UINT64_MAX);
    assert_true(fabs(line.skew - 12.5e-6) < 0.1e-6);
    make(&cases[0], there, &n_there, back, &n_back);
    assert_int_equal(clock_line_fit(NULL, 0, back, n_back, &line), 0);
    assert_true(line.bound_ns == UINT64_MAX);
    assert_true(fabs(line.skew - 12.5e-6) < 0.1e-6);
    free(there);
    free(back);
}

static void test_a_step_is_found_where_it_is(void **state)
{
    struct clock_sample there[200], back[200];
    struct clock_line line;

    (void)state;
    /* 5 us each way; the clock jumps by 3 s after 1.2 s of 2: no quartz does that. */
    for (unsigned i = 0; i < 200; i++) {
        int64_t offset = i < 120 ? 0 : 3000000000;

        there[i] = (struct clock_sample){start_ns + i * 10000000ULL, offset + 5000};
        back[i] = (struct clock_sample){start_ns + i * 10000000ULL + 5000000, offset - 5000};
    }
    assert_int_equal(clock_line_fit(there, 200, back, 200, &line), 0);
    assert_true(line.crossed);
    assert_in_range(line.step_ns - start_ns, 1190000000, 1220000000);
}

static void test_few_samples_are_enough_and_none_are_not(void **state)
{
    struct clock_sample there = {start_ns, 900}, back = {start_ns + 10, -300};
    struct clock_line line;

    (void)state;
    assert_int_equal(clock_line_fit(&there, 1, &back, 1, &line), 0);
    assert_in_range(line.bound_ns, 599, 601);
    assert_true(llabs(line.offset_ns - 300) <= 1);
    assert_int_equal(clock_line_fit(NULL, 0, NULL, 0, &line), -ENODATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offset_and_skew_are_within_the_bound),
        cmocka_unit_test(test_one_way_tells_the_skew_and_no_offset),
        cmocka_unit_test(test_a_step_is_found_where_it_is),
        cmocka_unit_test(test_few_samples_are_enough_and_none_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
