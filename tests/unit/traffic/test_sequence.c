/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "traffic/sequence.h"

static struct sequence s;

static int fresh(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    return 0;
}

static void add_range(uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n < to; n++)
        assert_true(sequence_add(&s, n));
}

static void test_a_clean_stream_has_nothing(void **state)
{
    (void)state;
    add_range(0, 200000);
    assert_int_equal(sequence_end(&s, 200000), 0);
    assert_int_equal(s.received, 200000);
    assert_int_equal(s.reordered + s.duplicated + s.longest_loss + s.loss_bursts, 0);
}

static void test_nothing_at_all_is_one_run(void **state)
{
    (void)state;
    assert_int_equal(sequence_end(&s, 77), 77);
    assert_int_equal(s.longest_loss, 77);
    assert_int_equal(s.loss_bursts, 1);
}

static void test_losses_at_both_ends_and_in_the_middle_count(void **state)
{
    (void)state;
    add_range(5, 100);
    add_range(112, 1000);
    assert_int_equal(sequence_end(&s, 1009), 5 + 12 + 9);
    assert_int_equal(s.longest_loss, 12);
    assert_int_equal(s.loss_bursts, 3);
    assert_int_equal(s.received, 1009 - 26);
}

static void test_the_run_at_the_end_can_be_the_longest(void **state)
{
    (void)state;
    add_range(0, 100000);
    assert_int_equal(sequence_end(&s, 100500), 500);
    assert_int_equal(s.longest_loss, 500);
}

static void test_an_unknown_count_leaves_the_end_out(void **state)
{
    (void)state;
    add_range(0, 10);
    add_range(13, 20);
    assert_int_equal(sequence_end(&s, 0), 3);
    assert_int_equal(s.longest_loss, 3);
}

static void test_a_late_number_is_reordered_and_not_lost(void **state)
{
    (void)state;
    add_range(0, 10);
    add_range(11, 20);
    assert_true(sequence_add(&s, 10));
    add_range(20, 30);
    assert_int_equal(sequence_end(&s, 30), 0);
    assert_int_equal(s.reordered, 1);
    assert_int_equal(s.longest_loss, 0);
}

/* RFC 4737 section 3: all that come after a higher one are reordered, not the early one. */
static void test_one_early_number_makes_those_it_overtook_reordered(void **state)
{
    (void)state;
    add_range(0, 10);
    assert_true(sequence_add(&s, 15));
    add_range(10, 15);
    add_range(16, 20);
    assert_int_equal(sequence_end(&s, 20), 0);
    assert_int_equal(s.reordered, 5);
}

static void test_copies_are_not_reordered(void **state)
{
    (void)state;
    add_range(0, 10);
    assert_false(sequence_add(&s, 9));
    assert_false(sequence_add(&s, 3));
    assert_false(sequence_add(&s, 3));
    assert_int_equal(sequence_end(&s, 10), 0);
    assert_int_equal(s.duplicated, 3);
    assert_int_equal(s.reordered, 0);
    assert_int_equal(s.received, 10);
}

static void test_the_oldest_number_of_the_bitmap_is_exact_and_one_older_is_not(void **state)
{
    (void)state;
    add_range(0, SEQUENCE_SPAN);
    assert_false(sequence_add(&s, 0)); /* still known */
    add_range(SEQUENCE_SPAN, SEQUENCE_SPAN + 1);
    assert_true(sequence_add(&s, 0)); /* forgotten: taken for a late original */
    assert_int_equal(s.duplicated, 1);
    assert_int_equal(s.reordered, 1);
}

static void test_a_hole_larger_than_the_bitmap_is_one_run(void **state)
{
    (void)state;
    add_range(0, 1000);
    add_range(1000 + 3 * SEQUENCE_SPAN, 2000 + 3 * SEQUENCE_SPAN);
    assert_int_equal(sequence_end(&s, 2000 + 3 * SEQUENCE_SPAN), 3 * SEQUENCE_SPAN);
    assert_int_equal(s.longest_loss, 3 * SEQUENCE_SPAN);
    assert_int_equal(s.loss_bursts, 1);
    assert_int_equal(s.received, 2000);
}

static void test_a_hole_as_large_as_the_bitmap_is_one_run(void **state)
{
    (void)state;
    for (uint64_t hole = SEQUENCE_SPAN - 2; hole <= SEQUENCE_SPAN + 2; hole++) {
        fresh(NULL);
        add_range(0, 3);
        add_range(3 + hole, 70000 + hole);
        assert_int_equal(sequence_end(&s, 70000 + hole), hole);
        assert_int_equal(s.longest_loss, hole);
        assert_int_equal(s.loss_bursts, 1);
    }
}

static void test_a_jump_of_2_to_the_60_takes_no_time(void **state)
{
    (void)state;
    add_range(0, 1);
    add_range(UINT64_C(1) << 60, (UINT64_C(1) << 60) + 1);
    assert_int_equal(sequence_end(&s, 0), (UINT64_C(1) << 60) - 1);
    assert_int_equal(s.longest_loss, (UINT64_C(1) << 60) - 1);
}

/* What is filled in while it is in the bitmap was no burst, and may leave two where there was one. */
static void test_a_burst_is_what_is_missing_in_the_end(void **state)
{
    (void)state;
    add_range(0, 10);
    add_range(20, 30);
    assert_true(sequence_add(&s, 15));
    add_range(31, 40);
    assert_true(sequence_add(&s, 30));
    assert_int_equal(sequence_end(&s, 40), 9);
    assert_int_equal(s.loss_bursts, 2);
    assert_int_equal(s.longest_loss, 5);
}

/* A hole that the bitmap's lower end passes in the middle is one burst. */
static void test_a_burst_at_the_lower_end_counts_once(void **state)
{
    (void)state;
    add_range(0, 100);
    add_range(300, 200 + SEQUENCE_SPAN);
    assert_int_equal(s.loss_bursts, 1);
    assert_int_equal(sequence_end(&s, 200 + SEQUENCE_SPAN), 200);
    assert_int_equal(s.loss_bursts, 1);
    assert_int_equal(s.longest_loss, 200);
}

/* Rows and single numbers are the same, whatever is missing, comes twice or late. */
static void test_a_row_is_its_numbers(void **state)
{
    enum { ROWS = 20000, MOST = 128 };
    static struct sequence one;
    uint64_t next = 0;
    uint32_t x = 99;

    (void)state;
    memset(&one, 0, sizeof one);
    for (int i = 0; i < ROWS; i++) {
        uint64_t from, n, first = 0;

        x = x * 1664525 + 1013904223;
        n = 1 + (x >> 8) % MOST;
        from = next;
        if ((x >> 24) % 8 == 0)
            from += (x >> 16) % 200; /* a hole */
        else if ((x >> 24) % 8 == 1)
            from -= from > 300 ? (x >> 16) % 300 : 0; /* late, or copies, or both and new ones */
        for (uint64_t k = 0; k < n; k++)
            first += sequence_add(&one, from + k);
        assert_int_equal(sequence_add_row(&s, from, n), first);
        next = from + n > next ? from + n : next;
    }
    assert_int_equal(sequence_end(&s, next), sequence_end(&one, next));
    assert_memory_equal(&s, &one, sizeof s);
    assert_true(s.duplicated > 1000 && s.reordered > 1000 && s.loss_bursts > 1000);
}

/*
 * A stream of a million numbers with losses, copies and late arrivals drawn by a fixed generator;
 * what has to come out is counted while it is made.
 */
static void test_a_generated_stream_gives_its_own_counts(void **state)
{
    enum { N = 1000000, LATE = 500 };
    uint64_t lost = 0, copies = 0, late = 0, run = 0, longest = 0, bursts = 0, held[LATE] = {0},
             out[LATE] = {0};
    size_t n_held = 0;
    uint32_t x = 12345;

    (void)state;
    for (uint64_t n = 0; n < N; n++) {
        unsigned draw;

        x = x * 1664525 + 1013904223;
        draw = x >> 16 & 1023;
        /* The last ones come whole and in order, so that each late one is overtaken. */
        if (n > N - 2000)
            draw = 1023;
        if (draw < 100) {
            lost++;
            bursts += run == 0;
            longest = ++run > longest ? run : longest;
        } else if (draw < 120 && n_held < LATE) {
            held[n_held] = n;
            out[n_held++] = n + 1 + (x >> 8 & 1023);
            run = 0;
        } else {
            run = 0;
            assert_true(sequence_add(&s, n));
            for (unsigned c = 0; draw >= 200 && draw < 230 && c < 1 + draw % 2; c++, copies++)
                assert_false(sequence_add(&s, n));
            /* Those held back come behind one that is higher. */
            for (size_t i = 0; i < n_held;) {
                if (out[i] > n) {
                    i++;
                    continue;
                }
                late++;
                assert_true(sequence_add(&s, held[i]));
                held[i] = held[--n_held];
                out[i] = out[n_held];
            }
        }
    }
    assert_int_equal(n_held, 0);
    assert_int_equal(sequence_end(&s, N), lost);
    assert_int_equal(s.received, N - lost);
    assert_int_equal(s.duplicated, copies);
    assert_int_equal(s.reordered, late);
    assert_int_equal(s.longest_loss, longest);
    assert_int_equal(s.loss_bursts, bursts);
    assert_true(lost > 50000 && copies > 10000 && late > 5000 && longest > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_clean_stream_has_nothing, fresh),
        cmocka_unit_test_setup(test_nothing_at_all_is_one_run, fresh),
        cmocka_unit_test_setup(test_losses_at_both_ends_and_in_the_middle_count, fresh),
        cmocka_unit_test_setup(test_the_run_at_the_end_can_be_the_longest, fresh),
        cmocka_unit_test_setup(test_an_unknown_count_leaves_the_end_out, fresh),
        cmocka_unit_test_setup(test_a_late_number_is_reordered_and_not_lost, fresh),
        cmocka_unit_test_setup(test_one_early_number_makes_those_it_overtook_reordered, fresh),
        cmocka_unit_test_setup(test_copies_are_not_reordered, fresh),
        cmocka_unit_test_setup(test_the_oldest_number_of_the_bitmap_is_exact_and_one_older_is_not,
                               fresh),
        cmocka_unit_test_setup(test_a_hole_larger_than_the_bitmap_is_one_run, fresh),
        cmocka_unit_test_setup(test_a_hole_as_large_as_the_bitmap_is_one_run, fresh),
        cmocka_unit_test_setup(test_a_jump_of_2_to_the_60_takes_no_time, fresh),
        cmocka_unit_test_setup(test_a_burst_is_what_is_missing_in_the_end, fresh),
        cmocka_unit_test_setup(test_a_burst_at_the_lower_end_counts_once, fresh),
        cmocka_unit_test_setup(test_a_row_is_its_numbers, fresh),
        cmocka_unit_test_setup(test_a_generated_stream_gives_its_own_counts, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
