/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "monitor/exposition.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t read_corpus(const char *name, char *buf, size_t size)
{
    AUTO(fclose_p) FILE *f = NULL;
    char path[512];

    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", getenv("VNPERF_SOURCE"), name);
    f = fopen(path, "re");
    assert_non_null(f);
    return fread(buf, 1, size, f);
}

/* What a real node exporter 1.5.0 said. */
static void test_a_node_exporter_is_read_core_by_core(void **state)
{
    static char text[65536];
    struct core_cpus cpus;
    size_t n = read_corpus("exposition/node_exporter_1.5.0.txt", text, sizeof text);

    (void)state;
    assert_int_equal(exposition_parse(text, n, &cpus, NULL), 0);
    assert_int_equal(cpus.n_cores, 2);
    for (int m = 0; m < CPU_MODE_COUNT; m++)
        assert_true(cpus.has[m]);
    assert_int_equal(cpus.cores[0].id, 0);
    assert_int_equal(cpus.cores[0].ns[CPU_SYSTEM], 3757380000000);
    assert_int_equal(cpus.cores[0].ns[CPU_SOFTIRQ], 477160000000);
    /* user and nice, idle and iowait */
    assert_in_range(cpus.cores[0].ns[CPU_USER], 6353099999999, 6353100000000);
    assert_in_range(cpus.cores[1].ns[CPU_IDLE], 5229829999999, 5229830000000);
    core_cpus_done(&cpus);
}

static void test_other_spellings_mean_the_same(void **state)
{
    static const char text[] =
        "node_cpu{cpu=\"cpu3\",mode=\"user\"} 1.5e+01\n"
        "node_cpu_seconds_total {\tmode = \"idle\" , cpu = \"3\" ,}\t2\r\n"
        "node_cpu_seconds_total{cpu=\"3\",mode=\"nap\"} 7\n"
        "node_cpu_seconds_total{x=\"\\\"\\n\",cpu=\"3\",mode=\"irq\"} 0 123\n"
        "node_cpu_seconds_totals{cpu=\"4\",mode=\"idle\"} 2\n";
    struct core_cpus cpus;

    (void)state;
    assert_int_equal(exposition_parse(text, sizeof text - 1, &cpus, NULL), 0);
    assert_int_equal(cpus.n_cores, 1);
    assert_int_equal(cpus.cores[0].id, 3);
    assert_int_equal(cpus.cores[0].ns[CPU_USER], 15000000000);
    assert_int_equal(cpus.cores[0].ns[CPU_IDLE], 2000000000);
    assert_true(cpus.has[CPU_IRQ]);
    /* Nobody said a word of it: that is not 0. */
    assert_false(cpus.has[CPU_STEAL]);
    core_cpus_done(&cpus);
}

static void test_what_is_no_counter_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text;
        int r;
        const char *words;
    } rows[] = {
        {"", -ENODATA, "no node_cpu_seconds_total"},
        {"<html>\n</html>\n", -ENODATA, "no node exporter"},
        {"# x\nnode_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} NaN\n", -EBADMSG, "line 2"},
        {"node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} -1\n", -EBADMSG, "line 1"},
        {"node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1e99\n", -EBADMSG, "line 1"},
        {"node_cpu_seconds_total{cpu=\"0\"} 1\n", -EBADMSG, "line 1"},
        {"node_cpu_seconds_total{cpu=\"0x\",mode=\"idle\"} 1\n", -EBADMSG, "line 1"},
        {"node_cpu_seconds_total 1\n", -EBADMSG, "line 1"},
        {"node_cpu_seconds_total{cpu=\"0\" mode=\"idle\"} 1\n", -EBADMSG, "line 1"},
        {"node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n"
         "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n",
         -EBADMSG, "line 2"},
        {"node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 12", -EBADMSG, "cut off in line 1"},
        {"node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\nnode_", -EBADMSG, "cut off in line 2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct core_cpus cpus = {.n_cores = 99};
        struct err err = {0};

        assert_int_equal(exposition_parse(rows[i].text, strlen(rows[i].text), &cpus, &err),
                         rows[i].r);
        assert_non_null(strstr(err.text, rows[i].words));
        assert_int_equal(cpus.n_cores, 99);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_exporter_is_read_core_by_core),
        cmocka_unit_test(test_other_spellings_mean_the_same),
        cmocka_unit_test(test_what_is_no_counter_is_refused_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
