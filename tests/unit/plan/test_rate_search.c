/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "bottleneck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    PAYLOAD = 1400,
    BUDGET_MS = 950,
    FURTHER_MS = 200,
    MOST_MS = 3000,
    SHAPER_MOST_MS = 2500,
    MOST_TRIALS = 30
};

struct found {
    struct rate_search s;
    bool held; /* a confirming trial did */
    double received_bps, loss_share;
};

/* Probes and confirming trials of the current target. */
static void search_target(struct bottleneck *b, struct found *found, uint64_t confirm_ns)
{
    struct rate_search *s = &found->s;
    struct rate_search_step step;

    found->held = false;
    while (rate_search_next(s, &step)) {
        struct rate_search_seen seen = bottleneck_trial(b, &step);
        enum rate_search_verdict v = rate_search_seen(s, &step, &seen);

        assert_non_null(rate_search_verdict_name[v]);
        assert_in_range(b->n_trials, 1, MOST_TRIALS);
    }
    while (!found->held) {
        /* What is repeated is short. */
        uint64_t ns = s->n_confirms && confirm_ns > CLOCK_S / 2 ? CLOCK_S / 2 : confirm_ns;
        struct rate_search_seen seen;

        step = (struct rate_search_step){
            .rate_bps = (uint64_t)s->answer_bps, .warmup_ns = ns / 5, .duration_ns = ns};
        if (!rate_search_may_confirm(s, b->elapsed_ns, ns + ns / 5 + BOTTLENECK_OVERHEAD_NS))
            break;
        seen = bottleneck_trial(b, &step);
        found->held = rate_search_confirm(s, ns, &seen) == CONFIRM_HOLDS;
        found->received_bps = seen.received_bps;
        found->loss_share = seen.sent ? (double)seen.lost / (double)seen.sent : 1;
        assert_in_range(b->n_trials, 1, MOST_TRIALS);
    }
    assert_true(isfinite(s->answer_bps) && s->answer_bps > 0);
}

/* What search_run.c does with two agents, with a bottleneck. */
static struct found search(struct bottleneck *b, double target, uint64_t confirm_ns)
{
    struct found found = {0};

    b->payload_bytes = PAYLOAD;
    b->seed = b->seed ? b->seed : 88172645463325252;
    rate_search_init(&found.s, target, PAYLOAD, (uint64_t)BUDGET_MS * CLOCK_MS);
    search_target(b, &found, confirm_ns);
    assert_true(b->elapsed_ns <= (uint64_t)MOST_MS * CLOCK_MS);
    return found;
}

/* Several targets in one search; what each found. */
static void search_targets(struct bottleneck *b, const double *targets, size_t n_targets,
                           struct found *found)
{
    found[0] = search(b, targets[0], CLOCK_S);
    for (size_t i = 1; i < n_targets; i++) {
        found[i] = found[i - 1];
        rate_search_target(&found[i].s, targets[i], FURTHER_MS * (uint64_t)CLOCK_MS, b->elapsed_ns,
                           600 * (uint64_t)CLOCK_MS);
        search_target(b, &found[i], CLOCK_S / 2);
    }
}

static void expect_rate(const char *what, const struct found *found, double truth, double target,
                        double swallow, enum rate_search_limit limit)
{
    const double share = found->s.answer_bps / truth;

    if (!found->held || share < 0.98 || share * (1 - target) > 1.003 + swallow ||
        found->s.limit != limit)
        print_message("%s: %.4f of the truth, held %d, limit %d, %u probes, %u confirms\n", what,
                      share, found->held, (int)found->s.limit, found->s.n_probes,
                      found->s.n_confirms);
    assert_true(found->held);
    assert_true(share >= 0.98);
    /* Never above by more than the target allows, but for what queue and burst can swallow of a whole trial. */
    assert_true(share * (1 - target) <= 1.003 + swallow);
    assert_true(share * (1 - target) <= 1.02);
    assert_int_equal(found->s.limit, limit);
}

static const double shaped[] = {10e6 * 1400 / 1442, 100e6 * 1400 / 1442, 1e9 * 1400 / 1442,
                                10e9 * 1400 / 1442};
static const uint64_t confirms[] = {500 * (uint64_t)CLOCK_MS, CLOCK_S};

static void test_ideal_shaper_is_found(void **state)
{
    static const double queues[] = {3e6, 12e6}, bursts[] = {16384, 65536}, targets[] = {0, 0.001};
    char what[96];

    (void)state;
    for (size_t i = 0; i < 4 * 2 * 2 * 2 * 2; i++) {
        double rate = shaped[i & 3], queue = queues[i >> 2 & 1], burst = bursts[i >> 3 & 1],
               target = targets[i >> 4 & 1];
        struct bottleneck b = {
            .rate_bps = rate, .queue_ns = queue, .burst_bytes = burst, .sender_bps = 40e9};
        struct found found = search(&b, target, confirms[i >> 5 & 1]);

        snprintf(what, sizeof what, "%.0f bit/s, %.0f ns of queue, burst %.0f, target %g", rate,
                 queue, burst, target);
        expect_rate(what, &found, rate, target,
                    (queue + burst * 8 / rate * 1e9) / (double)confirms[i >> 5 & 1],
                    RATE_SEARCH_PATH);
        assert_true(found.received_bps >= 0.99 * rate);
        assert_true(b.elapsed_ns <= SHAPER_MOST_MS * (uint64_t)CLOCK_MS);
    }
}

static void test_shaper_a_little_below_the_sender(void **state)
{
    (void)state;
    for (int i = 1; i <= 20; i++) {
        struct bottleneck b = {.rate_bps = 1e9,
                               .queue_ns = 3e6,
                               .burst_bytes = 16384,
                               .sender_bps = 1e9 * (1 + 0.05 * i)};
        struct found found = search(&b, 0.001, CLOCK_S);

        expect_rate("sender near the path", &found, 1e9, 0.001, 0, RATE_SEARCH_PATH);
    }
}

static void test_target_of_three_percent(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct bottleneck b = {
            .rate_bps = shaped[i], .queue_ns = 3e6, .burst_bytes = 16384, .sender_bps = 40e9};
        struct found found = search(&b, 0.03, CLOCK_S);

        expect_rate("3 %", &found, shaped[i], 0.03, 0.003, RATE_SEARCH_PATH);
    }
}

/* What it takes without loss is more than what passes of an overload: at worst next to nothing does. */
static void test_path_that_collapses_under_overload(void **state)
{
    static const struct {
        double collapse, least;
    } rows[] = {{0.01, 0.98}, {0.05, 0.98}, {0.3, 0.98}, {1, 0.95}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bottleneck b = {.lossless_bps = 3e9,
                               .collapse = rows[i].collapse,
                               .queue_ns = 1e6,
                               .burst_bytes = 16384,
                               .sender_bps = 9e9};
        struct found found = search(&b, 0.001, CLOCK_S);

        if (found.s.answer_bps / 3e9 < rows[i].least)
            print_message("collapse %.2f: %.3f\n", rows[i].collapse, found.s.answer_bps / 3e9);
        assert_true(found.held);
        assert_true(found.s.answer_bps / 3e9 >= rows[i].least);
        assert_true(found.s.answer_bps / 3e9 <= 1.003);
        assert_int_equal(found.s.limit, RATE_SEARCH_PATH);
    }
}

static void test_sender_is_the_limit(void **state)
{
    static const double senders[] = {5e7, 5e8, 4e9};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct bottleneck b = {.sender_bps = senders[i]};
        struct found found = search(&b, 0.001, CLOCK_S);

        expect_rate("sender", &found, senders[i], 0.001, 0, RATE_SEARCH_SENDER);
        assert_true(found.s.n_blasts >= 2);
    }
}

/* A sender that loses its CPU in one blast, or in two, is not the limit. */
static void test_disturbed_blast_is_repeated(void **state)
{
    static const uint32_t spoils[] = {1, 2, 3, 5, 6};

    (void)state;
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        struct bottleneck path = {.rate_bps = 7e8,
                                  .queue_ns = 3e6,
                                  .burst_bytes = 16384,
                                  .sender_bps = 1.3e9,
                                  .spoils = spoils[i]},
                          sender = {.sender_bps = 2e9, .spoils = spoils[i]};
        struct found found = search(&sender, 0.001, CLOCK_S);

        /* Two that agree are believed, for better or worse. */
        if (spoils[i] != 3)
            expect_rate("disturbed sender", &found, 2e9, 0.001, 0, RATE_SEARCH_SENDER);
        if (spoils[i] & 1 && spoils[i] != 3) {
            found = search(&path, 0.001, CLOCK_S);
            expect_rate("disturbed path", &found, 7e8, 0.001, 0, RATE_SEARCH_PATH);
        }
    }
}

static void test_stalls_of_50_ms(void **state)
{
    (void)state;
    for (uint32_t stalls = 1; stalls < 32; stalls++) {
        struct bottleneck b = {.rate_bps = 97e6,
                               .queue_ns = 3e6,
                               .burst_bytes = 16384,
                               .sender_bps = 4e9,
                               .stall_ns = 50e6,
                               .stalls = stalls};
        struct found found = search(&b, 0.001, CLOCK_S / 2);

        if (stalls == 1)
            expect_rate("blast with a stall", &found, 97e6, 0.001, 0, RATE_SEARCH_PATH);
        assert_true(found.s.answer_bps <= 97e6 * 1.003);
        assert_true(found.s.answer_bps >= 97e6 * 0.3);
        assert_int_equal(found.s.limit, RATE_SEARCH_PATH);
    }
}

static void test_random_loss(void **state)
{
    static const double losses[] = {0.0001, 0.005, 0.02}, targets[] = {0, 0.001, 0.03};

    (void)state;
    for (size_t i = 0; i < 9; i++)
        for (uint64_t seed = 1; seed <= 40; seed++) {
            double loss = losses[i / 3], target = targets[i % 3];
            struct bottleneck b = {.rate_bps = 97e6,
                                   .queue_ns = 3e6,
                                   .burst_bytes = 16384,
                                   .sender_bps = 4e9,
                                   .random_loss = loss,
                                   .seed = seed * 2654435761};
            struct found found = search(&b, target, CLOCK_S);

            /* What arrives is less than what is sent: the truth of one probe is between the two. */
            if (loss < target / 1.4)
                expect_rate("random loss", &found, 97e6 * (1 - loss / 2), target, 0,
                            RATE_SEARCH_PATH);
            /* No rate keeps the target: it is not confirmed, and nothing is made up. */
            if (loss > target * 2 && loss > 0.001)
                assert_false(found.held);
            assert_true(found.s.answer_bps < 97e6 * 1.04);
        }
}

/* Zero loss, next to none, and the shares that VMTP looks for: one search, and only the confirming trials are added. */
static void test_targets_of_a_shaper_share_one_search(void **state)
{
    static const double targets[] = {0, 0.001, 0.03, 0.05}, queues[] = {3e6, 12e6};

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        struct bottleneck b = {.rate_bps = shaped[i % 4],
                               .queue_ns = queues[i / 4],
                               .burst_bytes = 16384,
                               .sender_bps = 40e9};
        struct found found[4];

        search_targets(&b, targets, 4, found);
        for (size_t k = 0; k < 4; k++) {
            double rate = found[k].s.answer_bps * (1 - targets[k]) / b.rate_bps;

            if (!found[k].held || rate < 0.98 || rate > 1.003)
                print_message("%g bit/s, target %g: %.4f of the truth, loss %.4f, held %d\n",
                              b.rate_bps, targets[k], rate, found[k].loss_share, found[k].held);
            assert_true(found[k].held);
            assert_true(rate >= 0.98 && rate <= 1.003);
            assert_true(found[k].loss_share <= targets[k]);
            assert_true(found[k].received_bps >= 0.98 * b.rate_bps);
            assert_int_equal(found[k].s.limit, RATE_SEARCH_PATH);
        }
        assert_true(b.elapsed_ns <= (uint64_t)(SHAPER_MOST_MS + 3 * 850) * CLOCK_MS);
    }
}

/* Of a path that loses 1 % of everything the first target gets no answer, the others do. */
static void test_targets_on_both_sides_of_loss_by_chance(void **state)
{
    static const double targets[] = {0, 0.001, 0.03};

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct bottleneck b = {.rate_bps = 97e6,
                               .queue_ns = 3e6,
                               .burst_bytes = 16384,
                               .sender_bps = 4e9,
                               .random_loss = 0.01,
                               .seed = seed * 2654435761};
        struct found found[3];

        search_targets(&b, targets, 3, found);
        assert_false(found[0].held);
        assert_false(found[1].held);
        assert_true(found[2].held);
        assert_true(found[2].loss_share <= 0.03);
        assert_true(found[2].s.answer_bps >= 0.97 * b.rate_bps);
        assert_true(found[2].s.answer_bps <= 1.025 * b.rate_bps);
    }
}

/* A path that only loses by chance is too much for a target of 0, and as wide as the sender for a larger one. */
static void test_sender_is_the_limit_of_the_larger_target_only(void **state)
{
    static const double targets[] = {0, 0.05};
    struct bottleneck b = {.sender_bps = 1e9, .random_loss = 0.01};
    struct found found[2];

    (void)state;
    search_targets(&b, targets, 2, found);
    assert_false(found[0].held);
    assert_int_equal(found[0].s.limit, RATE_SEARCH_PATH);
    assert_true(found[1].held);
    assert_int_equal(found[1].s.limit, RATE_SEARCH_SENDER);
    assert_true(found[1].s.answer_bps >= 0.98e9);
}

/* More loss is never less rate. */
static void test_targets_rise_with_a_path_that_collapses(void **state)
{
    static const double targets[] = {0, 0.01, 0.05};

    (void)state;
    for (int i = 1; i <= 10; i++) {
        struct bottleneck b = {.lossless_bps = 3e9,
                               .collapse = 0.1 * i,
                               .queue_ns = 1e6,
                               .burst_bytes = 16384,
                               .sender_bps = 9e9};
        struct found found[3];

        search_targets(&b, targets, 3, found);
        for (size_t k = 0; k < 3; k++) {
            assert_true(found[k].held);
            assert_true(found[k].loss_share <= targets[k]);
            assert_true(found[k].s.answer_bps >= 0.9 * 3e9);
            if (k)
                assert_true(found[k].s.answer_bps >= 0.995 * found[k - 1].s.answer_bps);
        }
    }
}

/* A sender that cannot offer more, but has time left just below that, was held by the path. */
static void test_spare_time_tells_the_path_from_the_sender(void **state)
{
    struct bottleneck held = {.takes_bps = 1e9, .sender_bps = 3e9}, bound = {.sender_bps = 1e9};
    struct found found = search(&held, 0.001, CLOCK_S);

    (void)state;
    expect_rate("taken by the path", &found, 1e9, 0.001, 0, RATE_SEARCH_PATH);
    found = search(&bound, 0.001, CLOCK_S);
    expect_rate("sender", &found, 1e9, 0.001, 0, RATE_SEARCH_SENDER);
}

/* Half of the CPU in every trial: what is found is no limit to rely on, and no trial says that it holds. */
static void test_sender_without_a_cpu_is_never_confirmed(void **state)
{
    struct bottleneck b = {.sender_bps = 2e9, .spoils = UINT32_MAX};
    struct found found = search(&b, 0.001, CLOCK_S);

    (void)state;
    assert_true(found.s.disturbed);
    assert_int_equal(found.s.limit, RATE_SEARCH_SENDER);
    assert_false(found.held);
    assert_int_equal(found.s.n_blasts, 3);
}

static void test_full_socket_means_the_path(void **state)
{
    struct bottleneck b = {.sender_bps = 5e9, .held_share = 0.6};
    struct found found = search(&b, 0.001, CLOCK_S);

    (void)state;
    expect_rate("held", &found, 5e9, 0.001, 0, RATE_SEARCH_PATH);
}

static void test_spoiled_probes_end(void **state)
{
    (void)state;
    for (uint32_t spoils = 0; spoils < 128; spoils++) {
        struct bottleneck b = {.rate_bps = 1e9,
                               .queue_ns = 3e6,
                               .burst_bytes = 16384,
                               .sender_bps = 4e9,
                               .spoils = spoils << 1};
        struct found found = search(&b, 0.001, CLOCK_S / 2);

        assert_int_equal(found.s.limit, RATE_SEARCH_PATH);
        assert_true(found.s.answer_bps <= 1.003e9);
        assert_true(found.s.answer_bps >= 0.98e9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ideal_shaper_is_found),
        cmocka_unit_test(test_shaper_a_little_below_the_sender),
        cmocka_unit_test(test_target_of_three_percent),
        cmocka_unit_test(test_path_that_collapses_under_overload),
        cmocka_unit_test(test_sender_is_the_limit),
        cmocka_unit_test(test_disturbed_blast_is_repeated),
        cmocka_unit_test(test_stalls_of_50_ms),
        cmocka_unit_test(test_random_loss),
        cmocka_unit_test(test_targets_of_a_shaper_share_one_search),
        cmocka_unit_test(test_targets_on_both_sides_of_loss_by_chance),
        cmocka_unit_test(test_sender_is_the_limit_of_the_larger_target_only),
        cmocka_unit_test(test_targets_rise_with_a_path_that_collapses),
        cmocka_unit_test(test_spare_time_tells_the_path_from_the_sender),
        cmocka_unit_test(test_sender_without_a_cpu_is_never_confirmed),
        cmocka_unit_test(test_full_socket_means_the_path),
        cmocka_unit_test(test_spoiled_probes_end),
    };

    return cmocka_run_group_tests_name("rate_search", tests, NULL, NULL);
}
