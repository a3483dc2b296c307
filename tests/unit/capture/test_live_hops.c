/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel counted, as hops: order, directions, losses. */
#include "base/auto.h"
#include "base/hist.h"
#include "capture/live_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

__extension__ typedef unsigned __int128 wide;

struct box {
    struct latency_spot spots[2 * LATENCY_MAX_POINTS];
    struct latency_pair *pairs; /* owned; wholes behind them */
    uint64_t waiting[2 * LATENCY_MAX_POINTS];
    struct live_counts counts;
};

static void box_init(struct box *box, unsigned n)
{
    *box = (struct box){0};
    box->pairs = calloc((size_t)2 * n * n, sizeof *box->pairs);
    assert_non_null(box->pairs);
    box->counts = (struct live_counts){.n_points = n,
                                       .spots = box->spots,
                                       .pairs = box->pairs,
                                       .wholes = n > 2 ? box->pairs + (size_t)n * n : NULL,
                                       .waiting = box->waiting};
}

static void put(struct latency_pair *p, unsigned from_hook, unsigned to_hook, uint64_t n,
                uint64_t ns)
{
    p->count += n;
    p->from_first += n;
    p->from_hook[from_hook] += n;
    p->to_hook[to_hook] += n;
    p->min = p->max = ns;
    p->sum += n * ns;
    p->squares_low += n * ns * ns;
    p->bucket[ns] += n; /* below 128 a bucket is a value */
}

/* In at the first point, out at the last; between them by a hook that is the direction's. */
static unsigned hook_at(unsigned i, unsigned n_points, bool back)
{
    return i == 0 ? LATENCY_INGRESS : i + 1 == n_points ? LATENCY_EGRESS : back;
}

/* n packets by the chain of points, of which lost[i] end behind point i. */
static void chain(struct box *box, const unsigned *point, unsigned n_points, bool back, uint64_t n,
                  const uint64_t *lost, uint64_t ns)
{
    unsigned stride = box->counts.n_points;

    for (unsigned i = 0; i < n_points; i++) {
        struct latency_pair *pair;
        unsigned hook = hook_at(i, n_points, back);

        box->spots[2 * point[i] + hook].seen += n;
        if (i == 0)
            box->spots[2 * point[i] + hook].first += n;
        if (i + 1 == n_points)
            break;
        n -= lost[i];
        pair = &box->pairs[point[i] * stride + point[i + 1]];
        put(pair, hook, hook_at(i + 1, n_points, back), n, ns);
        if (i > 0)
            pair->from_first -= n;
    }
    if (n_points > 2)
        put(&box->pairs[(size_t)stride * stride + point[0] * stride + point[n_points - 1]], 0, 1, n,
            ns);
}

static void test_a_point_that_sees_nothing_stays_where_it_was_given(void **cookie)
{
    struct hops hops = {0};
    struct box box;

    (void)cookie;
    box_init(&box, 3);
    chain(&box, (const unsigned[]){0, 2}, 2, false, 100, (const uint64_t[]){0}, 50);
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_int_equal(hops_find(&hops, 0, 2, false)->matched, 100);
    assert_int_equal(hops_find(&hops, 0, 1, false)->lost, 0);
    assert_null(hops_find(&hops, 2, 1, false));
    hops_done(&hops);
    free(box.pairs);
}

static void test_both_directions_are_hops_with_their_own_losses(void **cookie)
{
    static const uint64_t lost_on[] = {10}, lost_back[] = {3};
    struct hops hops = {0};
    struct hop *hop;
    struct box box;

    (void)cookie;
    box_init(&box, 2);
    chain(&box, (const unsigned[]){0, 1}, 2, false, 100, lost_on, 50);
    chain(&box, (const unsigned[]){1, 0}, 2, true, 90, lost_back, 70);
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_int_equal(hops.n_hops, 2);
    hop = hops_find(&hops, 0, 1, false);
    assert_non_null(hop);
    assert_int_equal(hop->matched, 90);
    assert_int_equal(hop->lost, 10);
    assert_int_equal(delay_percentile(&hop->delay, 0.5), 50);
    assert_true(delay_mean(&hop->delay) == 50.0);
    assert_true(delay_stddev(&hop->delay) == 0.0);
    hop = hops_find(&hops, 1, 0, false);
    assert_non_null(hop);
    assert_int_equal(hop->matched, 87);
    assert_int_equal(hop->lost, 3);
    assert_int_equal(hops.points[0].unmatched, 10);
    assert_int_equal(hops.points[1].unmatched, 3);
    hops_done(&hops);
    free(box.pairs);
}

static void test_order_of_points_is_learnt(void **cookie)
{
    static const uint64_t lost[] = {0, 5};
    struct hops hops = {0};
    struct box box;

    (void)cookie;
    /* The user said 0 1 2, packets go 2 0 1. */
    box_init(&box, 3);
    chain(&box, (const unsigned[]){2, 0, 1}, 3, false, 40, lost, 20);
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_int_equal(hops.n_hops, 3);
    assert_int_equal(hops.hops[0].from, 2);
    assert_int_equal(hops.hops[0].to, 0);
    assert_int_equal(hops.hops[0].lost, 0);
    assert_int_equal(hops.hops[1].from, 0);
    assert_int_equal(hops.hops[1].to, 1);
    assert_int_equal(hops.hops[1].lost, 5);
    assert_true(hops.hops[2].whole);
    assert_int_equal(hops.hops[2].from, 2);
    assert_int_equal(hops.hops[2].to, 1);
    assert_int_equal(hops.hops[2].matched, 35);
    assert_int_equal(hops.hops[2].lost, 5);
    hops_done(&hops);
    free(box.pairs);
}

static void test_packets_on_their_way_are_not_lost(void **cookie)
{
    static const uint64_t lost[] = {10};
    struct hops hops = {0};
    struct box box;

    (void)cookie;
    box_init(&box, 2);
    chain(&box, (const unsigned[]){0, 1}, 2, false, 100, lost, 50);
    box.waiting[0] = 4;
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_int_equal(hops.hops[0].lost, 6);
    assert_false(hops.hops[0].lost_is_bound);
    hops_done(&hops);
    box.spots[0].overflow = 1;
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_true(hops.hops[0].lost_is_bound);
    assert_non_null(strstr(hops.warning, "forgotten"));
    hops_done(&hops);
    free(box.pairs);
}

static void test_merged_segments_and_ambiguous_packets_are_not_lost(void **cookie)
{
    static const uint64_t lost[] = {30};
    struct hops hops = {0};
    struct box box;

    (void)cookie;
    box_init(&box, 2);
    chain(&box, (const unsigned[]){0, 1}, 2, false, 100, lost, 50);
    box.pairs[0 * 2 + 1].merged = 20;
    box.spots[2 * 1 + 1].ambiguous = 7;
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_int_equal(hops.hops[0].lost, 3);
    assert_int_equal(hops.hops[0].ambiguous, 7);
    assert_non_null(strstr(hops.warning, "merged"));
    hops_done(&hops);
    free(box.pairs);
}

static void test_all_lost_is_one_hop_without_delay(void **cookie)
{
    struct hops hops = {0};
    struct box box;

    (void)cookie;
    box_init(&box, 2);
    box.spots[0].seen = box.spots[0].first = 12;
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_int_equal(hops.n_hops, 1);
    assert_int_equal(hops.hops[0].matched, 0);
    assert_int_equal(hops.hops[0].lost, 12);
    assert_int_equal(hops.hops[0].delay.count, 0);
    hops_done(&hops);
    free(box.pairs);
}

static void test_what_sets_out_from_both_ends_is_lost_both_ways(void **cookie)
{
    struct hops hops = {0};
    const struct hop *hop;
    struct box box;

    (void)cookie;
    /* Each end is asked something, and answers by its other hook. */
    box_init(&box, 2);
    for (unsigned i = 0; i < 4; i++) {
        box.spots[i].seen = box.spots[i].first = i < 2 ? 12 : 7;
        box.spots[i].first_ns = 1000 + i % 2;
    }
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_int_equal(hops.n_hops, 2);
    hop = hops_find(&hops, 0, 1, false);
    assert_int_equal(hop->lost, 12);
    assert_int_equal(hop->only_later, 7);
    /* It could have been late. */
    assert_true(hop->lost_is_bound);
    assert_non_null(strstr(hops.warning, "--window"));
    hop = hops_find(&hops, 1, 0, false);
    assert_int_equal(hop->lost, 7);
    assert_int_equal(hop->only_later, 12);
    hops_done(&hops);
    free(box.pairs);
}

static void test_squares_beyond_64_bits_give_the_right_deviation(void **cookie)
{
    struct latency_pair *p;
    struct hops hops = {0};
    struct box box;
    wide squares;

    (void)cookie;
    box_init(&box, 2);
    /* A million at 3 s, a million at 3 s and 1 us: the deviation is 500 ns. */
    p = &box.pairs[1];
    squares = (wide)3000000000ULL * 3000000000ULL * 1000000 +
              (wide)3000001000ULL * 3000001000ULL * 1000000;
    p->count = p->from_first = p->from_hook[0] = p->to_hook[1] = 2000000;
    p->min = 3000000000ULL;
    p->max = 3000001000ULL;
    p->sum = 1000000 * (p->min + p->max);
    p->squares_low = (unsigned long long)squares;
    p->squares_high = (unsigned long long)(squares >> 64);
    assert_int_equal(live_hops_build(&box.counts, &hops, NULL), 0);
    assert_true(delay_stddev(&hops.hops[0].delay) > 499.999 &&
                delay_stddev(&hops.hops[0].delay) < 500.001);
    hops_done(&hops);
    free(box.pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_point_that_sees_nothing_stays_where_it_was_given),
        cmocka_unit_test(test_both_directions_are_hops_with_their_own_losses),
        cmocka_unit_test(test_order_of_points_is_learnt),
        cmocka_unit_test(test_packets_on_their_way_are_not_lost),
        cmocka_unit_test(test_merged_segments_and_ambiguous_packets_are_not_lost),
        cmocka_unit_test(test_all_lost_is_one_hop_without_delay),
        cmocka_unit_test(test_what_sets_out_from_both_ends_is_lost_both_ways),
        cmocka_unit_test(test_squares_beyond_64_bits_give_the_right_deviation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
