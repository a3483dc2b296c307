/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "traffic/schedule.h"
#include "traffic/tick.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A flow's schedule of one request each ms from 1 s on; the window is 1.010 … 1.110 s. */
static struct schedule schedule_of(uint64_t gap_ns, uint32_t index, uint32_t n_flows)
{
    const struct flow_trial trial = {
        .start_ns = CLOCK_S, .warmup_ns = 10 * CLOCK_MS, .duration_ns = 100 * CLOCK_MS};
    struct engine engine = {.spec = {.gap_ns = gap_ns}, .n_flows = n_flows};
    struct worker worker = {.engine = &engine, .trial = &trial};
    struct flow flow = {.index = index};
    struct schedule s;

    schedule_init(&s, &worker, &flow);
    return s;
}

static void test_requests_are_due_at_absolute_times(void **state)
{
    struct schedule s = schedule_of(CLOCK_MS, 0, 1);

    (void)state;
    assert_false(schedule_is_free(&s));
    assert_false(schedule_due(&s, CLOCK_S - 1));
    for (uint64_t i = 0; i < 5; i++) {
        uint64_t due = CLOCK_S + i * CLOCK_MS;

        /* Each leaves a little later, the next is due as before. */
        assert_true(schedule_due(&s, due + i * 10));
        assert_int_equal(due, schedule_take(&s, due + i * 10));
        assert_false(schedule_due(&s, due + i * 10));
    }
    /* Those were in the warm-up. */
    assert_int_equal(0, s.latest_ns);
}

static void test_flows_are_shifted_against_each_other(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct schedule s = schedule_of(CLOCK_MS, i, 4);

        assert_int_equal(CLOCK_S + i * 250 * CLOCK_US, s.pacing.due_ns);
    }
}

static void test_late_ones_are_counted_and_those_of_100_ms_missed(void **state)
{
    struct schedule s = schedule_of(CLOCK_MS, 0, 1);
    uint64_t now = CLOCK_S + 150 * CLOCK_MS, n = 0;

    (void)state;
    while (schedule_due(&s, now)) {
        uint64_t due = schedule_take(&s, now);

        assert_true(now - due <= SCHEDULE_LATE_NS);
        n++;
    }
    /* Due at 0 … 150 ms: 0 … 49 are older than 100 ms, of them 10 … 49 were in the window, as 50 … 109 are. */
    assert_int_equal(101, n);
    assert_int_equal(40, s.missed);
    assert_int_equal(60, s.late);
    assert_int_equal(SCHEDULE_LATE_NS, s.latest_ns);
}

static void test_a_free_one_reports_nothing(void **state)
{
    struct schedule s = schedule_of(0, 0, 1);
    struct metric_set metrics = {0};

    (void)state;
    assert_true(schedule_is_free(&s));
    schedule_report(&s, &metrics);
    assert_false(metrics.has[METRIC_missed] || metrics.has[METRIC_late]);
}

static void test_a_tick_ends_a_call_that_would_block_for_ever(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    struct tick tick = {0};
    uint64_t value;

    (void)state;
    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(0, tick_start(&tick));
        assert_int_equal(-1, read(fd, &value, sizeof value));
        assert_int_equal(EINTR, errno);
        assert_int_equal(-1, read(fd, &value, sizeof value));
        assert_int_equal(EINTR, errno);
        tick_stop(&tick);
        tick_stop(&tick);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_due_at_absolute_times),
        cmocka_unit_test(test_flows_are_shifted_against_each_other),
        cmocka_unit_test(test_late_ones_are_counted_and_those_of_100_ms_missed),
        cmocka_unit_test(test_a_free_one_reports_nothing),
        cmocka_unit_test(test_a_tick_ends_a_call_that_would_block_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
