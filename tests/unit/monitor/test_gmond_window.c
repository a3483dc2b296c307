/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "monitor/gmond_window.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t s = 1000000000;

/* A host with values of one age. */
static struct gmond_host host(const char *name, double user, double system, double idle,
                              uint32_t age_s)
{
    struct gmond_host h = {
        .has =
            {[GMOND_USER] = true, [GMOND_SYSTEM] = true, [GMOND_IDLE] = true, [GMOND_NUM] = true},
        .value = {
            [GMOND_USER] = user, [GMOND_SYSTEM] = system, [GMOND_IDLE] = idle, [GMOND_NUM] = 4}};

    text_copy(h.name, sizeof h.name, name);
    for (int m = 0; m < GMOND_NUM; m++)
        h.age_s[m] = age_s;
    return h;
}

static void add(struct gmond_window *w, struct gmond_host h, uint64_t read_ns)
{
    struct gmond_hosts hosts = {.host = &h, .n = 1};

    assert_int_equal(gmond_window_add(w, &hosts, read_ns), 0);
}

static bool near(double a, double b) { return fabs(a - b) < 1e-9; }

static void test_values_of_the_window_are_averaged(void **state)
{
    struct gmond_window w = {.start_ns = 1000 * s, .end_ns = 1060 * s};
    struct node_cpus nodes = {0};

    (void)state;
    add(&w, host("a", 90, 9, 1, 3), 1000 * s); /* of before */
    add(&w, host("a", 20, 10, 70, 5), 1020 * s);
    add(&w, host("a", 20, 10, 70, 10), 1025 * s); /* the same, older */
    add(&w, host("a", 40, 20, 40, 2), 1040 * s);
    add(&w, host("a", 40, 20, 40, 22), 1060 * s);
    assert_int_equal(gmond_window_nodes(&w, &nodes), 0);
    assert_int_equal(nodes.n, 1);
    assert_true(nodes.node[0].has_busy);
    assert_int_equal(nodes.node[0].n_samples, 2);
    assert_true(near(nodes.node[0].busy_share, 0.45));
    assert_true(near(nodes.node[0].max_busy_share, 0.60));
    assert_true(near(nodes.node[0].share[CPU_USER], 0.30));
    assert_false(nodes.node[0].has[CPU_SOFTIRQ]);
    assert_int_equal(nodes.node[0].n_cpus, 4);
    assert_true(near(nodes.node[0].age_s, 22));
    assert_non_null(strstr(nodes.node[0].note, "2 samples"));
    assert_non_null(strstr(nodes.node[0].note, "irq and softirq are in its system"));
    node_cpus_done(&nodes);
    gmond_window_done(&w);
}

static void test_an_old_value_is_told_and_not_taken(void **state)
{
    struct gmond_window w = {.start_ns = 1000 * s, .end_ns = 1005 * s};
    struct node_cpus nodes = {0};

    (void)state;
    add(&w, host("a", 90, 9, 1, 12), 1000 * s);
    add(&w, host("a", 90, 9, 1, 17), 1005 * s);
    assert_int_equal(gmond_window_nodes(&w, &nodes), 0);
    assert_false(nodes.node[0].has_busy);
    assert_int_equal(nodes.node[0].n_samples, 0);
    assert_non_null(strstr(nodes.node[0].note, "17 s old at the end of the window of 5 s"));
    node_cpus_done(&nodes);
    gmond_window_done(&w);
}

/* 5 s old may be 5.9: that may be before the window. */
static void test_a_value_that_may_be_older_is_old(void **state)
{
    struct gmond_window w = {.start_ns = 1000 * s, .end_ns = 1005 * s + s / 2};
    struct node_cpus nodes = {0};

    (void)state;
    add(&w, host("a", 90, 9, 1, 5), w.end_ns);
    add(&w, host("b", 90, 9, 1, 4), w.end_ns);
    assert_int_equal(gmond_window_nodes(&w, &nodes), 0);
    assert_false(nodes.node[0].has_busy);
    assert_true(nodes.node[1].has_busy);
    node_cpus_done(&nodes);
    gmond_window_done(&w);
}

static void test_before_the_run_any_age_counts(void **state)
{
    struct gmond_window w = {.start_ns = 1000 * s, .end_ns = 1001 * s, .any_age = true};
    struct node_cpus nodes = {0};

    (void)state;
    add(&w, host("a", 10, 5, 85, 55), 1000 * s);
    assert_int_equal(gmond_window_nodes(&w, &nodes), 0);
    assert_true(nodes.node[0].has_busy && near(nodes.node[0].busy_share, 0.15));
    assert_true(near(nodes.node[0].age_s, 56));
    node_cpus_done(&nodes);
    gmond_window_done(&w);
}

static void test_interrupts_are_taken_out_of_system(void **state)
{
    struct gmond_window w = {.start_ns = 1000 * s, .end_ns = 1030 * s};
    struct node_cpus nodes = {0};
    struct gmond_host h = host("a", 20, 40, 35, 0);

    (void)state;
    h.has[GMOND_INTR] = h.has[GMOND_SINTR] = h.has[GMOND_WIO] = true;
    h.value[GMOND_INTR] = 5;
    h.value[GMOND_SINTR] = 25;
    h.value[GMOND_WIO] = 5;
    add(&w, h, 1030 * s);
    assert_int_equal(gmond_window_nodes(&w, &nodes), 0);
    assert_true(near(nodes.node[0].share[CPU_SYSTEM], 0.10));
    assert_true(near(nodes.node[0].share[CPU_SOFTIRQ], 0.25));
    assert_true(near(nodes.node[0].share[CPU_IRQ], 0.05));
    assert_true(near(nodes.node[0].share[CPU_IDLE], 0.40));
    assert_true(near(nodes.node[0].busy_share, 0.60));
    assert_null(strstr(nodes.node[0].note, "are in its system"));
    node_cpus_done(&nodes);
    gmond_window_done(&w);
}

/* Values that were not measured together do not add up. */
static void test_parts_of_different_times_are_not_taken(void **state)
{
    struct gmond_window w = {.start_ns = 1000 * s, .end_ns = 1030 * s};
    struct node_cpus nodes = {0};

    (void)state;
    add(&w, host("a", 95, 60, 2, 0), 1030 * s);
    assert_int_equal(gmond_window_nodes(&w, &nodes), 0);
    assert_true(near(nodes.node[0].busy_share, 0.98));
    assert_false(nodes.node[0].has[CPU_USER]);
    assert_false(nodes.node[0].has[CPU_SYSTEM]);
    assert_true(nodes.node[0].has[CPU_IDLE]);
    node_cpus_done(&nodes);
    gmond_window_done(&w);
}

static void test_a_host_without_cpu_values_says_so(void **state)
{
    struct gmond_window w = {.start_ns = 1000 * s, .end_ns = 1030 * s};
    struct node_cpus nodes = {0};
    struct gmond_host h = {.name = "a"};

    (void)state;
    add(&w, h, 1030 * s);
    assert_int_equal(gmond_window_nodes(&w, &nodes), 0);
    assert_false(nodes.node[0].has_busy || nodes.node[0].has_age);
    assert_string_equal(nodes.node[0].note, "gmond tells nothing of its CPU");
    node_cpus_done(&nodes);
    gmond_window_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_the_window_are_averaged),
        cmocka_unit_test(test_an_old_value_is_told_and_not_taken),
        cmocka_unit_test(test_a_value_that_may_be_older_is_old),
        cmocka_unit_test(test_before_the_run_any_age_counts),
        cmocka_unit_test(test_interrupts_are_taken_out_of_system),
        cmocka_unit_test(test_parts_of_different_times_are_not_taken),
        cmocka_unit_test(test_a_host_without_cpu_values_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
