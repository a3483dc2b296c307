/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_monotonic_time_does_not_go_back(void **state)
{
    uint64_t last = clock_mono_ns();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_mono_ns();

        assert_true(now >= last);
        last = now;
    }
}

static void test_wall_time_is_shown_as_rfc3339(void **state)
{
    static const struct {
        uint64_t wall_ns;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951827696123456789, "2000-02-29T12:34:56.123Z"},
        {1795246208999999999, "2026-11-21T07:30:08.999Z"},
        {4102444800000000000, "2100-01-01T00:00:00.000Z"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[CLOCK_RFC3339_SIZE];

        clock_rfc3339(rows[i].wall_ns, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_a_past_deadline_leaves_no_wait(void **state)
{
    (void)state;
    assert_int_equal(clock_ms_until(0), 0);
    assert_int_equal(clock_ms_until(clock_mono_ns()), 0);
}

static void test_a_far_deadline_is_the_largest_wait(void **state)
{
    (void)state;
    assert_int_equal(clock_ms_until(UINT64_MAX), INT_MAX);
}

static void test_a_wait_is_rounded_up(void **state)
{
    uint64_t now = clock_mono_ns();
    int ms = clock_ms_until(now + 3600ULL * CLOCK_S);

    (void)state;
    /* The test may be held up between the two readings, so only the upper end is sure. */
    assert_true(ms > 0 && ms <= 3600 * 1000);
}

static void test_sleep_ends_after_its_time(void **state)
{
    uint64_t until = clock_mono_ns() + 2 * CLOCK_MS;

    (void)state;
    assert_int_equal(clock_sleep_until(until), 0);
    assert_true(clock_mono_ns() >= until);
    assert_int_equal(clock_sleep_until(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic_time_does_not_go_back),
        cmocka_unit_test(test_wall_time_is_shown_as_rfc3339),
        cmocka_unit_test(test_a_past_deadline_leaves_no_wait),
        cmocka_unit_test(test_a_far_deadline_is_the_largest_wait),
        cmocka_unit_test(test_a_wait_is_rounded_up),
        cmocka_unit_test(test_sleep_ends_after_its_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
