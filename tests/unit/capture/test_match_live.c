/* SPDX-License-Identifier: Apache-2.0 */
/* The matcher of a watch: keys handed in, each point by itself. */
#include "capture/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t start_ns = 1700000000000000000ULL;

static void test_points_that_are_handed_in_wait_for_each_other(void **state)
{
    struct match_options options = {0};
    struct match *m = NULL;
    struct hops hops = {0};

    (void)state;
    assert_int_equal(match_new(2, &options, &m, NULL), 0);
    for (unsigned point = 0; point < 2; point++)
        for (uint32_t i = 0; i < 30000; i++) {
            struct seen seen = {.ts_ns = start_ns + i * 1000ULL + point * 700,
                                .base = 5,
                                .base_nat = 6,
                                .pos = i,
                                .flow = 8,
                                .len = 10};

            assert_int_equal(match_add(m, point, &seen, NULL, 0, NULL), 0);
            assert_int_equal(match_heard(m, point, seen.ts_ns, NULL), 0);
        }
    assert_int_equal(match_end(m, NULL, &hops, NULL), 0);
    assert_int_equal(hops.hops[0].matched, 30000);
    assert_int_equal(hops.hops[0].delay.min, 700);
    assert_int_equal(hops.hops[0].delay.max, 700);
    hops_done(&hops);
    match_free(m);
}

/* Flow 9 is that of the answers to 8. */
static void add_of(struct match *m, unsigned point, uint64_t ns, uint32_t pos, uint32_t flow)
{
    struct seen seen = {.ts_ns = start_ns + ns,
                        .base = flow + 5,
                        .base_nat = flow + 5,
                        .pos = pos,
                        .flow = flow,
                        .len = 10};

    assert_int_equal(match_add(m, point, &seen, NULL, 0, NULL), 0);
}

static void add(struct match *m, unsigned point, uint64_t ns, uint32_t pos)
{
    add_of(m, point, ns, pos, 8);
}

/* Stamps of whole microseconds: half of the answers have one and the same at both points. */
static void test_coarse_stamps_do_not_turn_packets_about(void **state)
{
    struct match_options options = {0};
    struct match *m = NULL;
    struct hops hops = {0};

    (void)state;
    assert_int_equal(match_new(2, &options, &m, NULL), 0);
    for (uint32_t i = 0; i < 100; i++) {
        uint64_t ns = i * 100000ULL;

        add(m, 0, ns, i);
        add(m, 1, ns + 2000, i);
        add_of(m, 1, ns + 10000, i, 9);
        add_of(m, 0, ns + 10000 + (i % 2) * 1000ULL, i, 9);
    }
    assert_int_equal(match_end(m, NULL, &hops, NULL), 0);
    assert_int_equal(hops.n_hops, 2);
    assert_int_equal(hops.hops[0].matched, 100);
    assert_int_equal(hops.hops[0].delay.min, 2000);
    assert_int_equal(hops.hops[1].matched, 100);
    assert_int_equal(hops.hops[1].delay.min, 0);
    assert_int_equal(hops.hops[1].delay.max, 1000);
    hops_done(&hops);
    match_free(m);
}

/* Both watch for 10 ms. Stamps of two CPUs come in turn, and the last packet of the first point has not come yet. */
static void live_end(uint64_t backward_ns, struct hops *ret_hops)
{
    struct match_options options = {.backward_ns = backward_ns};
    struct match *m = NULL;

    assert_int_equal(match_new(2, &options, &m, NULL), 0);
    for (unsigned point = 0; point < 2; point++)
        assert_int_equal(match_heard(m, point, start_ns, NULL), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        add(m, 0, 1000 + (i ^ 1) * 9000, i);
        add(m, 1, 2000 + (i ^ 1) * 9000, i);
    }
    add(m, 0, 9999500, 1000);
    for (unsigned point = 0; point < 2; point++)
        assert_int_equal(match_heard(m, point, start_ns + 10000000, NULL), 0);
    assert_int_equal(match_end(m, NULL, ret_hops, NULL), 0);
    assert_int_equal(ret_hops->hops[0].matched, 1000);
    assert_int_equal(ret_hops->hops[0].lost, 0);
    match_free(m);
}

static void test_what_is_on_its_way_when_a_watch_ends_is_no_warning(void **state)
{
    struct hops hops = {0};

    (void)state;
    live_end(1000000, &hops);
    assert_string_equal(hops.warning, "");
    assert_int_equal(hops.points[0].backward, 0);
    hops_done(&hops);
    /* By more than that somebody set the clock. */
    live_end(1000, &hops);
    assert_non_null(strstr(hops.warning, "times of point 1 go back 500 times, by up to 9.00 us"));
    assert_null(strstr(hops.warning, "may not have been watching"));
    assert_int_equal(hops.points[0].backward, 500);
    hops_done(&hops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points_that_are_handed_in_wait_for_each_other),
        cmocka_unit_test(test_coarse_stamps_do_not_turn_packets_about),
        cmocka_unit_test(test_what_is_on_its_way_when_a_watch_ends_is_no_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
