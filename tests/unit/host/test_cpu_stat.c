/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cpu_stat.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_columns_go_where_they_belong(void **state)
{
    static const char text[] = "cpu  30 6 9 12 15 18 21 24 27 30\n"
                               "cpu0 10 2 3 4 5 6 7 8 9 10\n"
                               "cpu2 20 4 6 8 10 12 14 16 18 20\n"
                               "intr 5 cpu3 1 1 1 1\n";
    struct core_cpus cpus;

    (void)state;
    assert_int_equal(cpu_stat_parse(text, 10, &cpus, NULL), 0);
    assert_int_equal(cpus.n_cores, 2);
    assert_int_equal(cpus.cores[0].id, 0);
    assert_int_equal(cpus.cores[1].id, 2);
    assert_int_equal(cpus.cores[0].ns[CPU_USER], 120);
    assert_int_equal(cpus.cores[0].ns[CPU_SYSTEM], 30);
    assert_int_equal(cpus.cores[0].ns[CPU_IDLE], 90);
    assert_int_equal(cpus.cores[0].ns[CPU_IRQ], 60);
    assert_int_equal(cpus.cores[0].ns[CPU_SOFTIRQ], 70);
    assert_int_equal(cpus.cores[0].ns[CPU_STEAL], 80);
    core_cpus_done(&cpus);
}

static void test_a_column_that_is_not_there_is_missing(void **state)
{
    struct core_cpus cpus;

    (void)state;
    assert_int_equal(cpu_stat_parse("cpu0 1 2 3 4 5\n", 1, &cpus, NULL), 0);
    assert_true(cpus.has[CPU_USER] && cpus.has[CPU_SYSTEM] && cpus.has[CPU_IDLE]);
    assert_false(cpus.has[CPU_IRQ] || cpus.has[CPU_SOFTIRQ] || cpus.has[CPU_STEAL]);
    core_cpus_done(&cpus);
}

static void test_a_text_without_cores_is_refused(void **state)
{
    static const char *const rows[] = {"",     "cpu  1 2 3 4\n", "cpu0 1 2 3\n", "cpux 1 2 3 4\n",
                                       "cpu0", "intr 1\n"};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct core_cpus cpus = {.n_cores = 77};

        assert_int_equal(cpu_stat_parse(rows[i], 1, &cpus, NULL), -EBADMSG);
        assert_int_equal(cpus.n_cores, 77);
    }
}

static void test_this_machine_is_read(void **state)
{
    struct core_cpus cpus;
    uint64_t a = 0, b = 0, all = 0;

    (void)state;
    assert_int_equal(cpu_stat_read(&cpus, NULL), 0);
    assert_int_equal(cpus.n_cores, sysconf(_SC_NPROCESSORS_ONLN));
    for (uint32_t i = 0; i < cpus.n_cores; i++)
        all += core_cpu_all_ns(&cpus.cores[i]);
    assert_true(all > 0);
    core_cpus_done(&cpus);
    assert_true(cpu_stat_machine(&a) && cpu_stat_machine(&b));
    assert_int_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_go_where_they_belong),
        cmocka_unit_test(test_a_column_that_is_not_there_is_missing),
        cmocka_unit_test(test_a_text_without_cores_is_refused),
        cmocka_unit_test(test_this_machine_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
