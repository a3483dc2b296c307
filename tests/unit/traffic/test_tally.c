/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "traffic/tally.h"

#include <errno.h>

enum { MS = 1000000 };

/* Start at 1000 ms, warm-up 100 ms, window 250 ms in steps of 100: slots end at 1100, 1200, 1300, 1350. */
static const struct flow_trial trial = {
    .start_ns = 1000 * MS, .warmup_ns = 100 * MS, .duration_ns = 250 * MS, .interval_ns = 100 * MS};

static void test_bytes_fall_into_the_slot_of_their_time(void **state)
{
    static const struct {
        uint64_t at_ms;
        uint32_t slot;
    } rows[] = {{0, 0},    {999, 0},  {1099, 0}, {1100, 1}, {1199, 1}, {1200, 2},
                {1299, 2}, {1300, 3}, {1349, 3}, {1350, 4}, {9999, 4}};
    struct tally t;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(0, tally_init(&t, &trial));
        assert_int_equal(5, t.n_slots);
        tally_add(&t, rows[i].at_ms * MS, 7, 1);
        assert_int_equal(rows[i].slot, t.slot);
        for (uint32_t k = 0; k < t.n_slots; k++)
            assert_int_equal(k == rows[i].slot ? 7 : 0, t.slots[k].bytes);
        assert_int_equal(rows[i].slot > 0 && rows[i].slot < 4, tally_in_window(&t));
        assert_int_equal(tally_in_window(&t) ? 7 : 0, tally_window(&t).bytes);
        tally_done(&t);
    }
}

static void test_each_edge_is_told_once(void **state)
{
    unsigned edges = 0;
    struct tally t;

    (void)state;
    assert_int_equal(0, tally_init(&t, &trial));
    for (uint64_t ms = 1000; ms < 1500; ms++)
        edges += tally_add(&t, ms * MS, 1, 2);
    assert_int_equal(4, edges);
    assert_int_equal(100, t.slots[0].bytes);
    assert_int_equal(100, t.slots[1].bytes);
    assert_int_equal(100, t.slots[2].bytes);
    assert_int_equal(50, t.slots[3].bytes);
    assert_int_equal(150, t.slots[4].bytes);
    assert_int_equal(250, tally_window(&t).bytes);
    assert_int_equal(500, tally_window(&t).packets);
    assert_int_equal(1499 * (uint64_t)MS, t.last_ns);
    tally_done(&t);
}

static void test_without_a_series_the_window_is_one_slot(void **state)
{
    struct flow_trial one = trial;
    struct tally t;

    (void)state;
    one.interval_ns = 0;
    assert_int_equal(0, tally_init(&t, &one));
    assert_int_equal(3, t.n_slots);
    assert_false(tally_advance(&t, 1099 * (uint64_t)MS));
    assert_true(tally_advance(&t, 1100 * (uint64_t)MS));
    assert_false(tally_advance(&t, 1349 * (uint64_t)MS));
    assert_true(tally_advance(&t, 1350 * (uint64_t)MS));
    assert_false(tally_advance(&t, UINT64_MAX - 1));
    tally_done(&t);
    tally_done(&t);
    tally_done(NULL);
}

static void test_a_long_silence_skips_slots(void **state)
{
    struct tally t;

    (void)state;
    assert_int_equal(0, tally_init(&t, &trial));
    assert_true(tally_add(&t, 1310 * (uint64_t)MS, 9, 0));
    assert_int_equal(3, t.slot);
    assert_int_equal(0, t.slots[1].bytes + t.slots[2].bytes);
    assert_int_equal(1350 * (uint64_t)MS, t.edge_ns);
    tally_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_fall_into_the_slot_of_their_time),
        cmocka_unit_test(test_each_edge_is_told_once),
        cmocka_unit_test(test_without_a_series_the_window_is_one_slot),
        cmocka_unit_test(test_a_long_silence_skips_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
