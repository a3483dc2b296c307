/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "traffic/stamp_delay.h"

#include <math.h>
#include <stdlib.h>

/* What happens on a path and to its clocks, and what was told of it. */
struct day {
    int64_t apart_ns;         /* at the begin */
    double drift;             /* ns per ns */
    int64_t step_ns;          /* of the reflector's clock, in the middle */
    int64_t forward_ns, back; /* the ways, when nothing waits */
    int64_t queue_ns;         /* forward, in a share of the trial */
    double queue_from, queue_to;
    int64_t gap_ns;
    int n;
    bool maybe_one_clock;
    /* told */
    struct stamp_delay_way forward, backward;
    struct stamp_delay_clock clock;
};

/* Every tenth packet waits for nothing, the others up to 90 us each way. */
static bool run(struct day *day)
{
    struct stamp_delay *d = calloc(1, sizeof *d);
    bool any;

    assert_non_null(d);
    d->maybe_one_clock = day->maybe_one_clock;
    for (int i = 0; i < day->n; i++) {
        double share = (double)i / day->n;
        int64_t at = i * day->gap_ns, forward = day->forward_ns + i % 10 * 10000,
                back = day->back + i / 10 % 10 * 10000 * (i % 10 != 0);
        int64_t apart =
            day->apart_ns + (int64_t)(day->drift * (double)at) + (share >= 0.5 ? day->step_ns : 0);

        if (share >= day->queue_from && share < day->queue_to)
            forward += day->queue_ns;
        stamp_delay_add(d, (struct stamp_delay_sample){forward + apart, back - apart,
                                                       5 * (int64_t)CLOCK_S + at});
    }
    any = stamp_delay_end(d, &day->forward, &day->backward, &day->clock);
    free(d);
    return any;
}

/* Within the error told, and 20 ns for what is rounded. */
static void assert_within(const struct day *day, double told, double truth)
{
    if (fabs(told - truth) > day->clock.error_ns + 20)
        fail_msg("told %g, true %g, error %g", told, truth, day->clock.error_ns);
}

static void assert_truth(const struct day *day)
{
    assert_within(day, day->forward.min_ns, (double)day->forward_ns);
    assert_within(day, day->backward.min_ns, (double)day->back);
    assert_within(day, day->forward.p50_ns, (double)day->forward_ns + 50000);
    if (day->n >= 100)
        assert_within(day, day->backward.max_ns, (double)day->back + 90000);
    assert_true(day->forward.min_ns >= 0 && day->backward.min_ns >= 0);
    assert_true(day->forward.min_ns <= day->forward.p50_ns);
    assert_true(day->forward.p50_ns <= day->forward.p99_ns);
    assert_true(day->forward.p99_ns <= day->forward.max_ns);
}

/* Half of the fastest round trip, and a third of that, as the fastest were not at the very edges of the trial. */
static void assert_error(const struct day *day, double half_ns)
{
    assert_true(day->clock.error_ns >= half_ns && day->clock.error_ns <= half_ns * 4 / 3);
}

static void test_delays_by_one_clock_are_told_as_they_are(void **state)
{
    struct day day = {
        .forward_ns = 30000, .back = 10000, .gap_ns = CLOCK_MS, .n = 300, .maybe_one_clock = true};

    (void)state;
    assert_true(run(&day));
    assert_true(day.clock.error_ns == 0 && day.clock.ahead_ns == 0 && day.clock.drift == 0);
    assert_true(day.forward.min_ns == 30000 && day.backward.min_ns == 10000);
    assert_true(day.forward.p50_ns == 80000 && day.forward.max_ns == 120000);
}

static void test_delays_by_two_clocks_are_right_within_the_error_told(void **state)
{
    static const int64_t apart[] = {0, 5, -3000000000, 3600000000000, -20000};
    static const int ns[] = {1, 40, 300, 3000};

    (void)state;
    for (size_t i = 0; i < sizeof apart / sizeof apart[0] * 4; i++) {
        struct day day = {.apart_ns = apart[i / 4],
                          .forward_ns = 30000,
                          .back = 10000,
                          .gap_ns = CLOCK_MS,
                          .n = ns[i % 4]};

        assert_true(run(&day));
        if (day.n > 1)
            assert_truth(&day);
        /* Of few the last ones need not be fast. */
        if (day.n != 40)
            assert_error(&day, 20000);
        assert_true(day.forward.min_ns + day.backward.min_ns == 40000);
        assert_true(fabs(day.clock.ahead_ns - (double)day.apart_ns) <= 20000);
    }
}

/* A clock that is said to be ours, and gives times before they can be, is not. */
static void test_one_clock_that_cannot_be_is_two(void **state)
{
    struct day day = {.apart_ns = -1000000000,
                      .forward_ns = 30000,
                      .back = 10000,
                      .gap_ns = CLOCK_MS,
                      .n = 100,
                      .maybe_one_clock = true};

    (void)state;
    assert_true(run(&day));
    assert_error(&day, 20000);
    assert_true(day.forward.min_ns >= 0);
}

/* 50 ppm over 6 s are 300 us, ten times of what a packet needs. */
static void test_drift_is_taken_out(void **state)
{
    static const double drifts[] = {50e-6, -50e-6, 300e-6};

    (void)state;
    for (size_t i = 0; i < sizeof drifts / sizeof *drifts; i++) {
        struct day day = {.apart_ns = 3000000000,
                          .drift = drifts[i],
                          .forward_ns = 8000,
                          .back = 8000,
                          .gap_ns = CLOCK_MS,
                          .n = 6000};

        assert_true(run(&day));
        assert_truth(&day);
        assert_true(day.clock.error_ns < 20000);
        assert_true(fabs(day.clock.drift / drifts[i] - 1) < 0.01);
        assert_true(fabs(day.forward.p50_ns - 58000) < 1000);
        assert_true(fabs(day.backward.min_ns - 8000) < 1000);
    }
}

/* A queue at the end moves the offset as drift would: it is not taken for it, and the error holds for both. */
static void test_a_queue_is_no_drift(void **state)
{
    struct day queue = {.forward_ns = 30000,
                        .back = 10000,
                        .queue_ns = 20000000,
                        .queue_from = 0.7,
                        .queue_to = 1,
                        .gap_ns = CLOCK_MS,
                        .n = 2000},
               both = queue, burst = queue;

    (void)state;
    assert_true(run(&queue));
    assert_truth(&queue);
    assert_true(queue.clock.drift == 0 && queue.clock.error_ns >= 10000000);
    assert_true(fabs(queue.backward.max_ns - 100000) < 20000);
    both.drift = 50e-6;
    assert_true(run(&both));
    assert_truth(&both);
    /* In the middle it hides nothing. */
    burst.queue_from = 0.4;
    burst.queue_to = 0.6;
    assert_true(run(&burst));
    assert_truth(&burst);
    assert_error(&burst, 20000);
}

/* No line goes through that; the error says how much of it is left. */
static void test_a_step_is_within_the_error(void **state)
{
    static const int64_t steps[] = {400000, -5000000};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct day day = {
            .step_ns = steps[i], .forward_ns = 30000, .back = 10000, .gap_ns = CLOCK_MS, .n = 2000};

        assert_true(run(&day));
        assert_truth(&day);
        assert_true(day.clock.error_ns > 100000);
    }
}

/* More than are kept, and longer than the first slots are. */
static void test_of_many_samples_a_choice_is_kept_and_every_extreme(void **state)
{
    struct day day = {.forward_ns = 30000,
                      .back = 10000,
                      .queue_ns = 1000000,
                      .queue_from = 0.7,
                      .queue_to = 0.70001,
                      .gap_ns = 100000,
                      .n = 500000};

    (void)state;
    assert_true(run(&day));
    assert_error(&day, 20000);
    assert_true(day.forward.max_ns > 1020000 && day.forward.p99_ns < 200000);
    /* Each tenth of them has the same of ten delays: 40 or 50 us over the least. */
    assert_true(fabs(day.forward.p50_ns - day.forward.min_ns - 45000) <= 5000);
}

static void test_no_sample_is_no_delay(void **state)
{
    struct day day = {.n = 0};

    (void)state;
    assert_false(run(&day));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_by_one_clock_are_told_as_they_are),
        cmocka_unit_test(test_delays_by_two_clocks_are_right_within_the_error_told),
        cmocka_unit_test(test_one_clock_that_cannot_be_is_two),
        cmocka_unit_test(test_drift_is_taken_out),
        cmocka_unit_test(test_a_queue_is_no_drift),
        cmocka_unit_test(test_a_step_is_within_the_error),
        cmocka_unit_test(test_of_many_samples_a_choice_is_kept_and_every_extreme),
        cmocka_unit_test(test_no_sample_is_no_delay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
