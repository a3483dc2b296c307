/* SPDX-License-Identifier: Apache-2.0 */
/* With no timer to be had (ulimit -i 0) blocking calls have timeouts instead, and the same is measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "pair.h"
#include "traffic/tick.h"

#include <sys/resource.h>

static struct rlimit limit_before;

static int no_signals(void **state)
{
    struct rlimit none;

    (void)state;
    assert_int_equal(0, getrlimit(RLIMIT_SIGPENDING, &limit_before));
    none = limit_before;
    none.rlim_cur = 0;
    return setrlimit(RLIMIT_SIGPENDING, &none);
}

static int signals_again(void **state)
{
    (void)state;
    return setrlimit(RLIMIT_SIGPENDING, &limit_before);
}

static void test_there_is_no_tick(void **state)
{
    struct tick tick = {0};

    (void)state;
    assert_int_equal(-EAGAIN, tick_start(&tick));
    tick_stop(&tick);
}

static void test_all_kinds_that_block_go_on(void **state)
{
    static const struct {
        enum flow_kind kind;
        uint32_t n_flows, payload_bytes;
        uint64_t gap_ns;
    } rows[] = {
        {FLOW_TCP_RR, 2, 64, 0},
        {FLOW_TCP_CRR, 1, 64, 0},
        {FLOW_TCP_CRR, 3, FLOW_MAX_RR, 150 * CLOCK_MS}, /* longer than a call */
        {FLOW_STAMP, 1, 44, 150 * CLOCK_MS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec = pair_spec(rows[i].kind, "127.0.0.1", FLOW_FORWARD, rows[i].n_flows,
                                          rows[i].payload_bytes);
        struct flow_trial trial = {.number = 1, .duration_ns = 400 * CLOCK_MS};
        struct pair pair;

        spec.gap_ns = rows[i].gap_ns;
        pair_open(&pair, spec);
        for (; trial.number <= 2; trial.number++) {
            pair_run(&pair, &trial);
            assert_true(pair.client.has[FLOW_SENT]);
            assert_true(pair_rtt_count(&pair.client, FLOW_SENT) > 0);
        }
        pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_is_no_tick),
        cmocka_unit_test(test_all_kinds_that_block_go_on),
    };

    return cmocka_run_group_tests(tests, no_signals, signals_again);
}
