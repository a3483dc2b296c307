/* SPDX-License-Identifier: Apache-2.0 */
#include "model/node_cpu.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void put(struct core_cpus *cpus, uint32_t id, uint64_t user, uint64_t steal, uint64_t idle)
{
    struct core_cpu *core = core_cpus_at(cpus, id);

    assert_non_null(core);
    cpus->has[CPU_USER] = cpus->has[CPU_STEAL] = cpus->has[CPU_IDLE] = true;
    core->ns[CPU_USER] = user;
    core->ns[CPU_STEAL] = steal;
    core->ns[CPU_IDLE] = idle;
}

static void test_what_passed_is_told_of_cores_that_were_there(void **state)
{
    struct core_cpus a = {0}, b = {0}, between;

    (void)state;
    put(&a, 0, 100, 0, 50);
    put(&a, 1, 10, 0, 10); /* unplugged */
    put(&a, 5, 7, 0, 7);
    put(&b, 5, 10, 1, 6); /* idle went back */
    put(&b, 0, 130, 0, 120);
    put(&b, 9, 1000, 0, 1000); /* new */
    b.has[CPU_STEAL] = false;
    assert_int_equal(core_cpus_between(&a, &b, &between), 0);
    assert_int_equal(between.n_cores, 2);
    assert_int_equal(between.cores[0].id, 5);
    assert_int_equal(between.cores[0].ns[CPU_USER], 3);
    assert_int_equal(between.cores[0].ns[CPU_IDLE], 0);
    assert_int_equal(between.cores[0].ns[CPU_STEAL], 0);
    assert_int_equal(between.cores[1].ns[CPU_USER], 30);
    assert_int_equal(between.cores[1].ns[CPU_IDLE], 70);
    assert_true(between.has[CPU_USER] && !between.has[CPU_STEAL] && !between.has[CPU_IRQ]);
    core_cpus_done(&a);
    core_cpus_done(&b);
    core_cpus_done(&between);
}

/* Steal is neither our work nor idle. */
static void test_shares_and_cost_of_a_machine(void **state)
{
    struct node_cpu node = {.has_baseline = true, .baseline_busy_share = 0.1};

    (void)state;
    put(&node.cores, 0, 1000000000, 0, 0);
    put(&node.cores, 1, 200000000, 300000000, 500000000);
    node_cpu_sum(&node);
    assert_true(node.has_busy && fabs(node.busy_share - 0.6) < 1e-9);
    assert_true(fabs(node.share[CPU_STEAL] - 0.15) < 1e-9);
    assert_int_equal(node.n_cpus, 2);
    assert_int_equal(node_cpu_busiest(&node)->id, 0);
    node_cpu_cost(&node, 1000000000, 500000000);
    assert_true(node.has_cost && fabs(node.cpu_s_per_gb - 2.4) < 1e-9);
    assert_true(fabs(node.added_cpu_s_per_gb - 2.0) < 1e-9);
    node_cpu_cost(&node, 1000000000, 0);
    assert_false(node.has_cost);
    node_cpu_done(&node);
}

static void test_nothing_is_told_from_nothing(void **state)
{
    struct node_cpu node = {0};
    struct core_cpus none = {0};

    (void)state;
    node_cpu_sum(&node);
    assert_false(node.has_busy);
    assert_null(node_cpu_busiest(&node));
    assert_true(core_cpus_busy_share(&none) < 0);
    /* A core without idle time told has no share. */
    put(&node.cores, 0, 5, 0, 0);
    node.cores.has[CPU_IDLE] = false;
    node_cpu_sum(&node);
    assert_false(node.has_busy);
    node_cpu_done(&node);
}

static void test_a_copy_is_its_own(void **state)
{
    struct node_cpus nodes = {0}, copy = {0};
    struct node_cpu *node = node_cpus_add(&nodes);

    (void)state;
    assert_non_null(node);
    strcpy(node->node, "a");
    put(&node->cores, 3, 5, 6, 7);
    assert_non_null(node_cpus_add(&nodes));
    assert_int_equal(node_cpus_copy(&nodes, &copy), 0);
    node_cpus_done(&nodes);
    assert_int_equal(copy.n, 2);
    assert_string_equal(copy.node[0].node, "a");
    assert_int_equal(copy.node[0].cores.cores[0].ns[CPU_IDLE], 7);
    /* It may grow. */
    for (uint32_t i = 0; i < 20; i++)
        assert_non_null(core_cpus_at(&copy.node[0].cores, i));
    assert_int_equal(copy.node[0].cores.n_cores, 20);
    node_cpus_done(&copy);
}

static void test_there_is_an_end_to_cores(void **state)
{
    struct core_cpus cpus = {0};

    (void)state;
    for (uint32_t i = 0; i < NODE_CPU_MAX_CORES; i++)
        assert_non_null(core_cpus_at(&cpus, i));
    assert_null(core_cpus_at(&cpus, NODE_CPU_MAX_CORES));
    assert_non_null(core_cpus_at(&cpus, 17));
    core_cpus_done(&cpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_passed_is_told_of_cores_that_were_there),
        cmocka_unit_test(test_shares_and_cost_of_a_machine),
        cmocka_unit_test(test_nothing_is_told_from_nothing),
        cmocka_unit_test(test_a_copy_is_its_own),
        cmocka_unit_test(test_there_is_an_end_to_cores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
