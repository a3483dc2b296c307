/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "traffic/pacing.h"

enum { STEPS = 10000000 };

/* The exact time of send k: no rounding adds up. */
static uint64_t exact(uint64_t start, uint64_t k, uint64_t num, uint64_t den)
{
    return start + (uint64_t)((__extension__(unsigned __int128) k * num) / den);
}

static void test_ten_million_steps_do_not_drift(void **state)
{
    static const struct {
        uint64_t num, den;
    } rates[] = {
        {UINT64_C(1400) * 8 * 1000000000, 100000000},     /* 1400 B at 100 Mbit/s: 112 us, even */
        {UINT64_C(1400) * 8 * 1000000000, 970873786},     /* 11.536 us, odd */
        {UINT64_C(64) * 8 * 1000000000, 333333333},       /* 1.536 us and a bit */
        {UINT64_C(32) * 8 * 1000000000, 999999999999},    /* 0.256 ns: less than a ns */
        {UINT64_C(65507) * 8 * 1000000000 * 256, 700001}, /* 191 s, 256 flows */
        {1000, 3},                                        /* gaps of 333 1/3 ns */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        const uint64_t start = 123456789;
        struct pacing p;

        pacing_init(&p, start, rates[i].num, rates[i].den);
        for (uint64_t k = 0; k < STEPS; k++) {
            uint64_t due = pacing_take(&p);

            if (k % 1000003 == 0 || k == STEPS - 1)
                assert_in_range(due, exact(start, k, rates[i].num, rates[i].den) - 1,
                                exact(start, k, rates[i].num, rates[i].den));
        }
        assert_int_equal(p.skipped, 0);
    }
}

static void test_what_is_due_is_counted_up_to_a_batch(void **state)
{
    struct pacing p;

    (void)state;
    pacing_init(&p, 1000, 100, 1);
    assert_int_equal(pacing_due(&p, 999, 32), 0);
    assert_int_equal(pacing_due(&p, 1000, 32), 1);
    assert_int_equal(pacing_due(&p, 1099, 32), 1);
    assert_int_equal(pacing_due(&p, 1100, 32), 2);
    assert_int_equal(pacing_due(&p, 5000, 32), 32);
    assert_int_equal(pacing_due(&p, 1950, 32), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pacing_take(&p), 1000 + i * 100);
    assert_int_equal(pacing_due(&p, 1950, 32), 0);
    assert_int_equal(p.skipped, 0);
}

static void test_a_late_send_does_not_move_the_next_ones(void **state)
{
    struct pacing p;

    (void)state;
    pacing_init(&p, 0, 1000000, 1);
    pacing_take(&p);
    assert_int_equal(pacing_due(&p, 1900000, 32), 1);
    assert_int_equal(pacing_take(&p), 1000000);
    assert_int_equal(pacing_due(&p, 1999999, 32), 0);
    assert_int_equal(pacing_due(&p, 2000000, 32), 1);
}

static void
test_after_a_stall_two_milliseconds_are_made_up_for_and_the_rest_is_given_up(void **state)
{
    const uint64_t gap = 2000, stall = 50000000;
    uint64_t sent = 0, first;
    struct pacing p;

    (void)state;
    pacing_init(&p, 0, gap, 1);
    while (pacing_due(&p, stall, 32)) {
        first = pacing_take(&p);
        assert_true(stall - first <= PACING_CATCH_UP_NS + gap);
        assert_int_equal(first % gap, 0); /* what remains keeps its place */
        sent++;
    }
    assert_in_range(sent, PACING_CATCH_UP_NS / gap, PACING_CATCH_UP_NS / gap + 2);
    assert_int_equal(sent + p.skipped, stall / gap + 1);
}

/* One at a time, half a gap after the one before, until the schedule is caught up with. */
static void test_made_up_for_at_twice_the_rate(void **state)
{
    const uint64_t gap = 11200, stall = 1500 * 1000;
    uint64_t now = stall, n = 0;
    struct pacing p;

    (void)state;
    pacing_init(&p, 0, gap, 1);
    for (;; n++) {
        uint64_t next;

        assert_int_equal(pacing_due(&p, now, 32), 1);
        pacing_take(&p);
        next = pacing_next_ns(&p);
        if (next - now > gap / 2)
            break;
        assert_int_equal(next - now, gap / 2);
        assert_int_equal(pacing_due(&p, next - 1, 32), 0);
        now = next;
    }
    /* As many as were due in the stall and while it was made up for. */
    assert_in_range(n, 2 * stall / gap - 2, 2 * stall / gap + 2);
    assert_int_equal(p.skipped, 0);
    assert_int_equal(p.due_ns % gap, 0);
}

/* Sizes 1, 5, 2 in turn, 10 us a byte. */
static void test_gaps_are_in_proportion_to_weights(void **state)
{
    static const uint16_t weights[] = {1, 5, 2};
    static const uint64_t due[] = {1000, 11000, 61000, 81000, 91000, 141000, 161000};
    struct pacing p;

    (void)state;
    pacing_init_weights(&p, 1000, 10000, 1, weights, 3);
    for (size_t i = 0; i < ARRAY_SIZE(due); i++) {
        assert_int_equal(pacing_weight(&p, 0), weights[i % 3]);
        assert_int_equal(pacing_weight(&p, 2), weights[(i + 2) % 3]);
        assert_int_equal(pacing_due(&p, due[i] - 1, 32), 0);
        assert_int_equal(pacing_due(&p, due[i], 32), 1);
        assert_int_equal(pacing_take(&p), due[i]);
    }
}

/* The bytes of ten million datagrams leave at the rate: no part of a ns is lost between sizes. */
static void test_a_mix_does_not_drift(void **state)
{
    static const uint16_t weights[] = {32, 548, 1472};
    const uint64_t rate = 970873786;
    uint64_t bytes = 0;
    struct pacing p;

    (void)state;
    pacing_init_weights(&p, 1000, UINT64_C(8000000000), rate, weights, 3);
    for (int i = 0; i < STEPS; i++) {
        uint64_t due;

        bytes += i ? weights[(i - 1) % 3] : 0;
        due = pacing_take(&p);
        if (i % 1000003 == 0 || i == STEPS - 1)
            assert_in_range(due, exact(1000, bytes, UINT64_C(8000000000), rate) - 10,
                            exact(1000, bytes, UINT64_C(8000000000), rate) + 10);
    }
}

/* Whole rounds and the rest: what is given up is what the schedule had, and the turns stay with it. */
static void test_a_stalled_mix_gives_up_in_its_turns(void **state)
{
    static const uint16_t weights[] = {1, 5, 2};
    const uint64_t round = 8 * 1000;
    struct pacing p;

    (void)state;
    for (uint64_t stall = 3000000; stall < 3000000 + round; stall += 777) {
        uint64_t n, turn;

        pacing_init_weights(&p, 0, 1000, 1, weights, 3);
        assert_true(pacing_due(&p, stall, 32) > 0);
        assert_true(p.due_ns + 5000 >= stall - PACING_CATCH_UP_NS);
        assert_true(p.due_ns <= stall - PACING_CATCH_UP_NS);
        turn = p.due_ns % round;
        n = p.due_ns / round * 3 + (turn >= 1000) + (turn >= 6000);
        assert_int_equal(p.skipped, n);
        assert_int_equal(p.turn, n % 3);
    }
    /* An hour of it takes no time. */
    pacing_init_weights(&p, 0, 1000, 1, weights, 3);
    assert_true(pacing_due(&p, UINT64_C(3600000000000), 32) > 0);
    assert_in_range(p.skipped, UINT64_C(3) * 449999000, UINT64_C(3) * 450000000);
}

static void test_turns_go_on_without_a_rate(void **state)
{
    static const uint16_t weights[] = {1, 5};
    struct pacing p;

    (void)state;
    pacing_init_weights(&p, 0, 0, 0, weights, 2);
    assert_true(pacing_is_free(&p));
    assert_int_equal(pacing_due(&p, 7, 32), 32);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pacing_weight(&p, 0), weights[i % 2]);
        assert_int_equal(pacing_take(&p), 0);
    }
}

static void test_a_slow_schedule_is_late_but_gives_up_only_what_has_a_successor(void **state)
{
    struct pacing p;

    (void)state;
    pacing_init(&p, 0, 10000000, 1);
    /* 5 ms late with a gap of 10 ms: still worth sending. */
    assert_int_equal(pacing_due(&p, 5000000, 32), 1);
    assert_int_equal(pacing_take(&p), 0);
    /* 15 ms late: the one after it is due too, and takes its place. */
    assert_int_equal(pacing_due(&p, 25000000, 32), 1);
    assert_int_equal(pacing_take(&p), 20000000);
    assert_int_equal(p.skipped, 1);
}

static void test_an_hours_stall_costs_no_time(void **state)
{
    struct pacing p;

    (void)state;
    pacing_init(&p, 0, 1, 3); /* 3 sends a ns */
    assert_int_equal(pacing_due(&p, UINT64_C(3600000000000), 32), 32);
    assert_in_range(p.skipped, UINT64_C(3) * 3599990000000, UINT64_C(3) * 3600000000000);
}

static void test_without_a_rate_everything_is_due(void **state)
{
    struct pacing p;

    (void)state;
    pacing_init(&p, 5000, 0, 0);
    assert_true(pacing_is_free(&p));
    assert_int_equal(pacing_due(&p, 0, 32), 32);
    assert_int_equal(pacing_take(&p), 0);
    assert_int_equal(pacing_due(&p, UINT64_MAX, 32), 32);
    assert_int_equal(p.skipped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_million_steps_do_not_drift),
        cmocka_unit_test(test_what_is_due_is_counted_up_to_a_batch),
        cmocka_unit_test(test_a_late_send_does_not_move_the_next_ones),
        cmocka_unit_test(
            test_after_a_stall_two_milliseconds_are_made_up_for_and_the_rest_is_given_up),
        cmocka_unit_test(test_made_up_for_at_twice_the_rate),
        cmocka_unit_test(test_gaps_are_in_proportion_to_weights),
        cmocka_unit_test(test_a_mix_does_not_drift),
        cmocka_unit_test(test_a_stalled_mix_gives_up_in_its_turns),
        cmocka_unit_test(test_turns_go_on_without_a_rate),
        cmocka_unit_test(test_a_slow_schedule_is_late_but_gives_up_only_what_has_a_successor),
        cmocka_unit_test(test_an_hours_stall_costs_no_time),
        cmocka_unit_test(test_without_a_rate_everything_is_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
