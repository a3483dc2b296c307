/* SPDX-License-Identifier: Apache-2.0 */
/* More packets than the matcher puts off deciding about. */
#include "capture/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint64_t start_ns = 1700000000000000000ULL;

enum { MANY = 1300000, EACH_NS = 1000 };

/* The i-th packet of one flow, as the first point sees it. */
static struct seen packet(uint32_t i)
{
    return (struct seen){.ts_ns = start_ns + (uint64_t)i * EACH_NS,
                         .base = 5,
                         .base_nat = 6,
                         .pos = i,
                         .flow = 8,
                         .len = 10};
}

/* MANY at the first point alone, from the n-th microsecond on. */
static void add_many(struct match *m, uint32_t n)
{
    for (uint32_t i = n; i < n + MANY; i++) {
        struct seen seen = packet(i);

        assert_int_equal(match_add(m, 0, &seen, NULL, 0, NULL), 0);
        if (i % 1024 == 0) {
            assert_int_equal(match_heard(m, 0, seen.ts_ns, NULL), 0);
            assert_int_equal(match_heard(m, 1, seen.ts_ns, NULL), 0);
        }
    }
}

/* More than are put off until it is known whether they count. */
static void test_of_more_than_a_million_lost_all_count(void **state)
{
    struct match_options options = {.window_ns = 1000000, .order = {0, 1}, .order_given = true};
    struct match *m = NULL;
    struct hops hops = {0};

    (void)state;
    assert_int_equal(match_new(2, &options, &m, NULL), 0);
    add_many(m, 0);
    assert_int_equal(match_heard(m, 1, start_ns + 2ULL * MANY * EACH_NS, NULL), 0);
    assert_int_equal(match_end(m, NULL, &hops, NULL), 0);
    assert_int_equal(hops.hops[0].lost, MANY);
    assert_string_equal(hops.warning, "");
    hops_done(&hops);
    match_free(m);
}

/* The first point's before anything is matched; of files, whose points say nothing of when they watched. */
static void test_of_more_than_a_million_lost_at_first_all_count(void **state)
{
    struct match_options options = {.window_ns = 1000000, .order = {0, 1}, .order_given = true};
    struct seen seen = {.base = 15, .base_nat = 16, .flow = 18, .len = 10};
    struct match *m = NULL;
    struct hops hops = {0};

    (void)state;
    assert_int_equal(match_new(2, &options, &m, NULL), 0);
    /* Something else, that the second point alone sees before and behind. */
    for (uint32_t i = 0; i <= MANY + 2; i += 1000) {
        seen.ts_ns = start_ns + (uint64_t)i * EACH_NS - 10;
        seen.pos = i;
        assert_int_equal(match_add(m, 1, &seen, NULL, 0, NULL), 0);
    }
    for (uint32_t i = 0; i <= MANY; i++) {
        seen = packet(i);
        assert_int_equal(match_add(m, 0, &seen, NULL, 0, NULL), 0);
    }
    seen.ts_ns += 500;
    assert_int_equal(match_add(m, 1, &seen, NULL, 0, NULL), 0);
    assert_int_equal(match_end(m, NULL, &hops, NULL), 0);
    assert_int_equal(hops.hops[0].matched, 1);
    assert_int_equal(hops.hops[0].lost, MANY);
    hops_done(&hops);
    match_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_more_than_a_million_lost_all_count),
        cmocka_unit_test(test_of_more_than_a_million_lost_at_first_all_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
