/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/warning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void says(const struct measurement *m, const char *words)
{
    if (words ? !strstr(m->warning, words) : m->warning[0] != 0)
        fail_msg("'%s' is said, not '%s'", m->warning, words ? words : "");
}

/* A TCP stream whose receiver saw these megabytes in intervals of 100 ms. */
static void warm(const double *mbytes, uint32_t n, enum limit limit, const char *words)
{
    struct measurement m = {.limit = limit, .warmup_ns = 200000000};

    m.receiver.interval_ns = 100000000;
    m.receiver.n_intervals = n;
    m.receiver.intervals = calloc(n, sizeof *m.receiver.intervals);
    assert_non_null(m.receiver.intervals);
    metric_put(&m.receiver.metrics, METRIC_window_ns, n * 100000000ULL);
    for (uint32_t i = 0; i < n; i++)
        m.receiver.intervals[i].bytes = (uint64_t)(mbytes[i] * 1e6);
    warning_judge(&m, false);
    says(&m, words);
    measurement_done(&m);
}

static void test_a_warm_up_that_was_too_short_is_told(void **state)
{
    static const double rising[] = {20, 50, 90, 100, 101, 99, 100, 100, 101, 99},
                        steady[] = {100, 98, 101, 99, 100, 100, 97, 103, 100, 100},
                        noisy[] = {80, 140, 60, 120, 90, 150, 70, 110, 100, 60};

    (void)state;
    warm(rising, 10, LIMIT_PATH,
         "the warm-up was too short: the first 300 ms of the window brought");
    warm(rising, 10, LIMIT_PATH, "a --warmup of 500 ms leaves them out");
    warm(rising, 10, LIMIT_PATH, "8.00 Gbit/s of the rest");
    warm(rising, 10, LIMIT_REQUESTED_RATE, NULL);
    warm(rising, 4, LIMIT_PATH, NULL);
    warm(steady, 10, LIMIT_PATH, NULL);
    warm(noisy, 10, LIMIT_PATH, NULL);
}

static void test_a_latency_says_where_its_ends_ran(void **state)
{
    static const struct {
        const char *placement;
        bool pinned, spin;
        const char *words;
    } rows[] = {
        {"different", false, false, "different CPUs and slept"},
        {"different", false, true, "ran on different CPUs (--cpu"},
        {"same", false, false, "ran on the same CPU"},
        {"different", true, false, NULL},
        {"", false, false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct measurement m = {
            .kind = FLOW_TCP_RR, .pinned = rows[i].pinned, .spin = rows[i].spin};

        snprintf(m.placement, sizeof m.placement, "%s", rows[i].placement);
        warning_judge(&m, false);
        says(&m, rows[i].words);
    }
}

static void test_missed_slots_and_unanswered_requests_are_told(void **state)
{
    struct measurement m = {.kind = FLOW_UDP_RR, .gap_ns = 1000};

    (void)state;
    metric_put(&m.headline, METRIC_missed, 7);
    metric_put(&m.headline, METRIC_timeouts, 3);
    warning_judge(&m, false);
    says(&m, "3 requests without an answer are in no percentile; 7 requests of the schedule were "
             "not sent");
}

static void test_foreign_peers_are_named(void **state)
{
    struct measurement m = {.kind = FLOW_UDP_STREAM, .peer = FLOW_PEER_IPERF3};

    (void)state;
    warning_judge(&m, false);
    says(&m, "counted with iperf3 at the far end");
}

/* A sender that is the limit itself offers what it can: no rate of the path's was missed. */
static void test_a_rate_that_was_not_offered_is_told_unless_the_sender_is_the_limit(void **state)
{
    static const struct {
        bool searched;
        enum limit limit;
        const char *words;
    } rows[] = {
        {false, LIMIT_SENDER, "the sender offered only 70 % of the requested rate"},
        {true, LIMIT_PATH, "the sender offered only 70 % of the rate that was found"},
        {true, LIMIT_SENDER, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct measurement m = {
            .kind = FLOW_UDP_STREAM, .searched = rows[i].searched, .limit = rows[i].limit};

        m.search.confirmed = true;
        metric_put_real(&m.headline, METRIC_requested_bps, 1e8);
        metric_put_real(&m.headline, METRIC_offered_bps, 0.7e8);
        warning_judge(&m, false);
        says(&m, rows[i].words);
    }
}

static void test_groups_are_cut_into_fragments_too(void **state)
{
    struct measurement m = {.kind = FLOW_MULTICAST, .payload_bytes = 8192};

    (void)state;
    metric_put(&m.sender.metrics, METRIC_pmtu_bytes, 1500);
    warning_judge(&m, false);
    says(&m, "each datagram travels as 6 fragments");
}

static void test_a_sender_that_was_to_be_lean_and_copied_is_told(void **state)
{
    struct measurement m = {.io = FLOW_IO_LEAN, .peer = FLOW_PEER_AGENT};

    (void)state;
    metric_put(&m.sender.metrics, METRIC_lean_refused, 22);
    warning_judge(&m, false);
    says(&m, "did not let the sender go without copying (Invalid argument)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_warm_up_that_was_too_short_is_told),
        cmocka_unit_test(test_a_latency_says_where_its_ends_ran),
        cmocka_unit_test(test_missed_slots_and_unanswered_requests_are_told),
        cmocka_unit_test(test_foreign_peers_are_named),
        cmocka_unit_test(test_a_rate_that_was_not_offered_is_told_unless_the_sender_is_the_limit),
        cmocka_unit_test(test_groups_are_cut_into_fragments_too),
        cmocka_unit_test(test_a_sender_that_was_to_be_lean_and_copied_is_told),
    };

    return cmocka_run_group_tests_name("warning", tests, NULL, NULL);
}
