/* SPDX-License-Identifier: Apache-2.0 */
#include "model/metric.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_names_and_headings_are_unique(void **state)
{
    (void)state;
    for (int a = 0; a < METRIC_COUNT_; a++) {
        assert_int_equal(metric_find(metric_table[a].name), a);
        assert_true(metric_table[a].heading[0] && metric_table[a].source[0]);
    }
    assert_int_equal(metric_find("nothing"), -ENOENT);
}

/* A suffix that no reader knows would be a unit that no reader knows. */
static void test_a_last_word_that_looks_like_a_unit_is_one(void **state)
{
    static const char *const units[] = {"ns", "bps", "pps", "bytes", "share", "per_s", "per_gb"};
    static const char *const counts[] = {
        "transactions", "packets",        "sent",         "received",      "lost",
        "reordered",    "duplicated",     "late",         "skipped",       "timeouts",
        "refused",      "bytes",          "retransmits",  "lost_segments", "cpu",
        "node_cpus",    "lost_in_socket", "lost_on_path", "longest_loss",  "loss_bursts",
        "missed",       "segments",       "dscp",         "lean_refused",  "pinned_cpu"};
    /* ns per ns: a ratio, which has no unit. */
    static const char *const ratios[] = {"delay_slope"};

    (void)state;
    for (int m = 0; m < METRIC_COUNT_; m++) {
        const char *name = metric_table[m].name;
        size_t len = strlen(name);
        bool known = false;

        assert_true(len < 48);
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            size_t n = strlen(units[i]);

            known |= len > n && name[len - n - 1] == '_' && strcmp(name + len - n, units[i]) == 0;
        }
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            known |= strcmp(name, counts[i]) == 0 && !metric_table[m].real;
        for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++)
            known |= strcmp(name, ratios[i]) == 0 && metric_table[m].real;
        if (!known)
            fail_msg("%s has no unit", name);
    }
}

static void test_not_set_is_not_zero(void **state)
{
    struct metric_set s = {0};

    (void)state;
    assert_false(s.has[METRIC_bytes]);
    assert_int_equal(metric_get(&s, METRIC_bytes), 0);
    metric_put(&s, METRIC_bytes, 0);
    assert_true(s.has[METRIC_bytes]);
}

static void test_numbers_take_the_kind_of_the_metric(void **state)
{
    struct metric_set s = {0};

    (void)state;
    metric_put(&s, METRIC_bytes, UINT64_MAX);
    assert_true(metric_get(&s, METRIC_bytes) == UINT64_MAX);
    metric_put_real(&s, METRIC_bytes, 2.6);
    assert_int_equal(metric_get(&s, METRIC_bytes), 3);
    metric_put_real(&s, METRIC_bytes, -5);
    assert_int_equal(metric_get(&s, METRIC_bytes), 0);
    metric_put(&s, METRIC_throughput_bps, 7);
    assert_true(metric_get_real(&s, METRIC_throughput_bps) == 7.0);
    metric_put_real(&s, METRIC_throughput_bps, 7.5);
    assert_true(metric_get_real(&s, METRIC_throughput_bps) == 7.5);
    assert_int_equal(metric_get(&s, METRIC_throughput_bps), 7);
}

static void test_numbers_that_do_not_fit_are_held_at_the_ends(void **state)
{
    struct metric_set s = {0};

    (void)state;
    metric_put_real(&s, METRIC_bytes, 1e30);
    assert_true(metric_get(&s, METRIC_bytes) == UINT64_MAX);
    metric_put_real(&s, METRIC_throughput_bps, -3);
    assert_int_equal(metric_get(&s, METRIC_throughput_bps), 0);
    metric_put_real(&s, METRIC_throughput_bps, 1e30);
    assert_true(metric_get(&s, METRIC_throughput_bps) == UINT64_MAX);
}

static void test_what_is_not_finite_is_not_set(void **state)
{
    struct metric_set s = {0};

    (void)state;
    metric_put_real(&s, METRIC_jitter_ns, NAN);
    metric_put_real(&s, METRIC_jitter_ns, INFINITY);
    assert_false(s.has[METRIC_jitter_ns]);
}

static void test_adding_sums(void **state)
{
    struct metric_set s = {0};

    (void)state;
    metric_add(&s, METRIC_retransmits, 3);
    metric_add(&s, METRIC_retransmits, 4);
    assert_int_equal(metric_get(&s, METRIC_retransmits), 7);
    metric_add(&s, METRIC_connect_ns, 3);
    metric_add(&s, METRIC_connect_ns, 4);
    assert_true(metric_get_real(&s, METRIC_connect_ns) == 7.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_headings_are_unique),
        cmocka_unit_test(test_a_last_word_that_looks_like_a_unit_is_one),
        cmocka_unit_test(test_not_set_is_not_zero),
        cmocka_unit_test(test_numbers_take_the_kind_of_the_metric),
        cmocka_unit_test(test_numbers_that_do_not_fit_are_held_at_the_ends),
        cmocka_unit_test(test_what_is_not_finite_is_not_set),
        cmocka_unit_test(test_adding_sums),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
