/* SPDX-License-Identifier: Apache-2.0 */
/* The search by itself, asked trial by trial: one verdict each, and answers that no path would give. */
#include "base/clock.h"
#include "bottleneck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PAYLOAD = 1400, BUDGET_MS = 950, MOST_TRIALS = 30 };

static void test_disturbed_confirming_trial_is_repeated(void **state)
{
    struct rate_search s;
    struct rate_search_seen seen = {.sent = 1000, .offered_bps = 0.9e8, .received_bps = 0.9e8};

    (void)state;
    rate_search_init(&s, 0.001, PAYLOAD, CLOCK_S);
    s.answer_bps = 1e8;
    assert_int_equal(rate_search_confirm(&s, CLOCK_S, &seen), CONFIRM_DISTURBED);
    assert_true(s.answer_bps == 1e8);
    assert_true(rate_search_may_confirm(&s, CLOCK_S, CLOCK_S));
    assert_false(rate_search_may_confirm(&s, 2ULL * CLOCK_S, CLOCK_S));
    seen.offered_bps = 0.999e8;
    assert_int_equal(rate_search_confirm(&s, CLOCK_S, &seen), CONFIRM_HOLDS);
}

static void test_growing_queue_does_not_confirm(void **state)
{
    struct rate_search s;
    const struct rate_search_seen seen = {.sent = 100000,
                                          .offered_bps = 1e8,
                                          .received_bps = 0.99e8,
                                          .delay_growth_ns = 9e6,
                                          .delay_slope = 0.01};

    (void)state;
    rate_search_init(&s, 0.001, PAYLOAD, CLOCK_S);
    s.answer_bps = 1e8;
    assert_int_equal(rate_search_confirm(&s, CLOCK_S, &seen), CONFIRM_LOWER);
    assert_true(s.answer_bps < 0.99e8 && s.answer_bps > 0.98e8);
}

/* A sender that may put many datagrams into a call is asked to, when one by one it is the limit. */
static void test_sender_that_merges_is_blasted_so_too(void **state)
{
    struct rate_search s;
    struct rate_search_step step;
    struct rate_search_seen seen = {.sent = 1000, .offered_bps = 1e8, .received_bps = 1e8};

    (void)state;
    rate_search_init(&s, 0.001, PAYLOAD, CLOCK_S);
    s.merges = true;
    for (int i = 0; i < 4; i++) {
        assert_true(rate_search_next(&s, &step));
        assert_int_equal(step.rate_bps, 0);
        assert_int_equal(step.merged, i >= 2);
        seen.offered_bps = step.merged ? 1e9 : 1e8;
        assert_int_equal(rate_search_seen(&s, &step, &seen), PROBE_SENDER);
    }
    assert_false(rate_search_next(&s, &step));
    assert_int_equal(s.limit, RATE_SEARCH_SENDER);
    assert_true(s.answer_bps >= 0.99e9);
}

/* A mix has a mean payload that is no whole number, and probes long enough for it. */
static void test_payload_need_not_be_whole(void **state)
{
    struct rate_search s;
    struct rate_search_step step;
    const struct rate_search_seen seen = {
        .sent = 100, .lost = 90, .offered_bps = 1e8, .received_bps = 1e6};

    (void)state;
    rate_search_init(&s, 0, 339.5, CLOCK_S);
    assert_true(rate_search_next(&s, &step));
    rate_search_seen(&s, &step, &seen);
    assert_true(rate_search_next(&s, &step));
    assert_int_equal(step.duration_ns, 300 * (uint64_t)CLOCK_MS);
}

/* The same answer to every question. */
static struct rate_search ask_always(const struct rate_search_seen *seen, double target)
{
    struct rate_search s;
    struct rate_search_step step;
    uint64_t spent = 0;
    unsigned n = 0;

    rate_search_init(&s, target, PAYLOAD, (uint64_t)BUDGET_MS * CLOCK_MS);
    while (rate_search_next(&s, &step)) {
        assert_true(step.duration_ns > 0 && step.duration_ns <= CLOCK_S / 2);
        assert_true(step.rate_bps <= 10000000000000);
        rate_search_seen(&s, &step, seen);
        spent += step.duration_ns + step.warmup_ns;
        assert_true(++n <= MOST_TRIALS);
    }
    assert_true(spent <= 1250 * (uint64_t)CLOCK_MS);
    while (rate_search_may_confirm(&s, spent, CLOCK_S)) {
        if (rate_search_confirm(&s, CLOCK_S, seen) == CONFIRM_HOLDS)
            break;
        spent += CLOCK_S;
    }
    assert_true(isfinite(s.answer_bps) && s.answer_bps >= 8.0 * PAYLOAD && s.answer_bps <= 1e13);
    return s;
}

static void test_nothing_arrives(void **state)
{
    const struct rate_search_seen seen = {.sent = 9000, .lost = 9000, .offered_bps = 1e9};
    struct rate_search s = ask_always(&seen, 0.001);

    (void)state;
    assert_int_equal(s.limit, RATE_SEARCH_PATH);
}

static void test_one_packet_and_absurd_numbers_end(void **state)
{
    const struct rate_search_seen rows[] = {
        {0},
        {.sent = 1, .offered_bps = 1e5, .received_bps = 1e5},
        {.sent = 1, .lost = 1, .offered_bps = 1e5},
        {.sent = 1, .lost = 7, .offered_bps = 1e5},
        {.sent = 1000, .lost = 5, .offered_bps = 1e8, .received_bps = 1e8},
        {.sent = UINT64_MAX, .lost = UINT64_MAX, .offered_bps = 1e300, .received_bps = 1e300},
        {.sent = 1000, .offered_bps = NAN, .received_bps = NAN},
        {.sent = 1000, .lost = 900, .offered_bps = 1e9, .received_bps = NAN},
        {.sent = 1000, .offered_bps = -1, .received_bps = -1},
        {.sent = 1000, .offered_bps = INFINITY, .received_bps = INFINITY},
        {.sent = 1000, .lost = 500, .offered_bps = INFINITY, .received_bps = -INFINITY},
        {.sent = 1000,
         .offered_bps = 1e9,
         .received_bps = 1e9,
         .delay_slope = NAN,
         .delay_growth_ns = NAN},
        {.sent = 1000,
         .offered_bps = 1e9,
         .received_bps = 1e9,
         .delay_slope = INFINITY,
         .delay_growth_ns = INFINITY},
        {.sent = 1000,
         .offered_bps = 1e9,
         .received_bps = 1e9,
         .delay_slope = -5,
         .delay_growth_ns = -1e18},
        {.sent = 1000,
         .offered_bps = 1e9,
         .received_bps = 1e9,
         .delay_slope = 5,
         .delay_growth_ns = 1e18},
        {.sent = 1000, .offered_bps = 0, .latest_ns = UINT64_MAX, .blocked_ns = UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int target = 0; target < 3; target++)
            ask_always(&rows[i], target == 0 ? 0 : target == 1 ? 0.001 : 0.5);
}

/* Whatever comes: it ends in time with a number. */
static void test_noise_ends(void **state)
{
    struct bottleneck chance = {.seed = 4101842887655102017};

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct rate_search s;
        struct rate_search_step step;
        uint64_t spent = 0;
        unsigned n = 0;

        rate_search_init(&s, bottleneck_chance(&chance) * 0.01, PAYLOAD,
                         (uint64_t)BUDGET_MS * CLOCK_MS);
        while (rate_search_next(&s, &step)) {
            double rate = step.rate_bps ? (double)step.rate_bps : 1e9 * bottleneck_chance(&chance);
            struct rate_search_seen seen = {
                .sent = (uint64_t)(2000 * bottleneck_chance(&chance)),
                .offered_bps = rate * (0.5 + bottleneck_chance(&chance)),
                .received_bps = rate * bottleneck_chance(&chance),
                .delay_slope = bottleneck_chance(&chance) * 0.1 - 0.05,
                .delay_growth_ns = bottleneck_chance(&chance) * 8e6 - 4e6,
                .latest_ns = (uint64_t)(bottleneck_chance(&chance) * 1e7),
            };

            seen.lost = (uint64_t)((double)seen.sent * bottleneck_chance(&chance) * 0.1);
            rate_search_seen(&s, &step, &seen);
            spent += step.duration_ns + step.warmup_ns;
            assert_true(++n <= MOST_TRIALS);
        }
        assert_true(spent <= 1250 * (uint64_t)CLOCK_MS);
        assert_true(isfinite(s.answer_bps) && s.answer_bps > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disturbed_confirming_trial_is_repeated),
        cmocka_unit_test(test_growing_queue_does_not_confirm),
        cmocka_unit_test(test_sender_that_merges_is_blasted_so_too),
        cmocka_unit_test(test_payload_need_not_be_whole),
        cmocka_unit_test(test_nothing_arrives),
        cmocka_unit_test(test_one_packet_and_absurd_numbers_end),
        cmocka_unit_test(test_noise_ends),
    };

    return cmocka_run_group_tests_name("rate_search_trial", tests, NULL, NULL);
}
