/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cpu_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void cut(struct line_out *out, struct line *ret)
{
    size_t n = line_end(out);

    assert_true(n > 0);
    out->buf[n - 1] = '\0';
    assert_int_equal(line_cut(out->buf, n - 1, ret), LINE_OK);
}

static void test_an_answer_comes_out_as_it_went_in(void **state)
{
    struct node_cpu in = {.covers_ns = 5000000000, .n_samples = 10}, got;
    uint8_t *blob = NULL;
    size_t n_blob = 0;
    char buf[256];
    struct line_out out;
    struct line line;

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct core_cpu *core = core_cpus_at(&in.cores, i * 7);

        assert_non_null(core);
        for (int m = 0; m < CPU_MODE_COUNT; m++)
            core->ns[m] = 1000000007ULL * (uint64_t)m * (i + 1);
    }
    in.cores.has[CPU_USER] = in.cores.has[CPU_IDLE] = true;
    node_cpu_sum(&in);
    in.max_busy_share = 0.987654;
    line_begin(&out, buf, sizeof buf, 3, "cpu");
    cpu_message_put(&out, &in);
    assert_int_equal(cpu_message_pack(&in.cores, &blob, &n_blob, NULL), 0);
    cut(&out, &line);
    assert_int_equal(cpu_message_get(&line, blob, n_blob, &got, NULL), 0);
    assert_int_equal(got.covers_ns, in.covers_ns);
    assert_int_equal(got.n_samples, 10);
    assert_int_equal(got.cores.n_cores, 3);
    assert_memory_equal(got.cores.cores, in.cores.cores, 3 * sizeof *in.cores.cores);
    assert_memory_equal(got.cores.has, in.cores.has, sizeof in.cores.has);
    assert_true(got.busy_share == in.busy_share);
    assert_true(got.max_busy_share > 0.98765 && got.max_busy_share < 0.98766);
    node_cpu_done(&got);
    /* Every shorter blob is none. */
    for (size_t n = 0; n < n_blob; n++)
        assert_true(cpu_message_get(&line, blob, n, &got, NULL) < 0);
    free(blob);
    node_cpu_done(&in);
}

static void test_an_ask_is_bounded(void **state)
{
    static const struct {
        struct cpu_ask ask;
        int r;
    } rows[] = {{{1, 0, 0}, 0},
                {{1, 1000000000, 500000000}, 0},
                {{1, 86400ULL * 1000000000, 0}, 0},
                {{1, 86401ULL * 1000000000, 0}, -EINVAL},
                {{UINT64_MAX, 1, 0}, -EINVAL},
                {{1, 86400ULL * 1000000000, 1}, -EINVAL}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cpu_ask ask = {0};
        char buf[256];
        struct line_out out;
        struct line line;

        line_begin(&out, buf, sizeof buf, 1, "cpu");
        cpu_message_put_ask(&out, &rows[i].ask);
        cut(&out, &line);
        assert_int_equal(cpu_message_get_ask(&line, &ask, NULL), rows[i].r);
        if (rows[i].r == 0)
            assert_memory_equal(&ask, &rows[i].ask, sizeof ask);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_comes_out_as_it_went_in),
        cmocka_unit_test(test_an_ask_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
