/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "base/auto.h"
#include "traffic/tcp_info.h"

#include <linux/tcp.h>

static const struct flow_trial trial = {
    .number = 1,
    .warmup_ns = 30 * CLOCK_MS,
    .duration_ns = 150 * CLOCK_MS,
    .tail_ns = 20 * CLOCK_MS,
    .interval_ns = 50 * CLOCK_MS,
};

static void check_part(const struct pair_side *side, enum flow_part part, uint32_t n_flows)
{
    const struct flow_result *result = &side->result[part];
    uint64_t bytes = pair_count(side, part, METRIC_bytes), sum = 0;

    assert_true(bytes > 0);
    assert_int_equal(n_flows, result->n_flow_bytes);
    for (uint32_t i = 0; i < n_flows; i++)
        sum += result->flow_bytes[i];
    assert_int_equal(bytes, sum);
    sum = 0;
    for (uint32_t i = 0; i < result->n_intervals; i++)
        sum += result->intervals[i].bytes;
    assert_int_equal(bytes, sum);
    assert_int_equal(3, result->n_intervals);
    assert_true(result->congestion_control[0] != '\0');
    assert_true(pair_count(side, part, METRIC_mss_bytes) > 0);
    assert_true(pair_count(side, part, METRIC_pmtu_bytes) > 0);
}

static void check_sent(const struct pair_side *side, uint32_t n_flows)
{
    const struct flow_result *result = &side->result[FLOW_SENT];
    uint64_t retransmits = 0;

    check_part(side, FLOW_SENT, n_flows);
    assert_true(pair_has(side, FLOW_SENT, METRIC_offered_bps));
    assert_false(pair_has(side, FLOW_SENT, METRIC_throughput_bps));
    assert_true(pair_count(side, FLOW_SENT, METRIC_cwnd_bytes) > 0);
    assert_true(pair_count(side, FLOW_SENT, METRIC_cwnd_max_bytes) > 0);
    assert_true(pair_count(side, FLOW_SENT, METRIC_send_buffer_bytes) > 0);
    assert_true(pair_has(side, FLOW_SENT, METRIC_busy_ns));
    assert_true(pair_has(side, FLOW_SENT, METRIC_peer_window_limited_ns));
    assert_non_null(result->rtt);
    assert_true(result->rtt->min > 0);
    for (uint32_t i = 0; i < result->n_intervals; i++)
        retransmits += result->intervals[i].retransmits;
    assert_int_equal(pair_count(side, FLOW_SENT, METRIC_retransmits), retransmits);
    assert_true(result->intervals[result->n_intervals - 1].cwnd_bytes > 0);
}

static void check_received(const struct pair_side *side, uint32_t n_flows)
{
    check_part(side, FLOW_RECEIVED, n_flows);
    assert_true(pair_has(side, FLOW_RECEIVED, METRIC_throughput_bps));
    assert_true(pair_count(side, FLOW_RECEIVED, METRIC_receive_buffer_bytes) > 0);
    assert_true(pair_count(side, FLOW_RECEIVED, METRIC_receive_window_bytes) > 0);
    assert_null(side->result[FLOW_RECEIVED].rtt);
}

static void test_streams_run_in_each_direction(void **state)
{
    static const struct {
        const char *address;
        enum flow_direction direction;
        uint32_t n_flows, payload_bytes;
    } rows[] = {
        {"127.0.0.1", FLOW_FORWARD, 1, 65536},  {"::1", FLOW_FORWARD, 1, 1},
        {"127.0.0.1", FLOW_REVERSE, 1, 1000},   {"::1", FLOW_BOTH, 1, 1 << 20},
        {"127.0.0.1", FLOW_BOTH, 5, 8192},      {"::1", FLOW_REVERSE, 64, 65536},
        {"127.0.0.1", FLOW_FORWARD, 200, 4096},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pair pair;

        pair_open(&pair, pair_spec(FLOW_TCP_STREAM, rows[i].address, rows[i].direction,
                                   rows[i].n_flows, rows[i].payload_bytes));
        pair_run(&pair, &trial);
        for (int k = 0; k < 2; k++) {
            const struct pair_side *side = k ? &pair.server : &pair.client;
            bool sends = rows[i].direction & (k ? FLOW_REVERSE : FLOW_FORWARD);
            bool receives = rows[i].direction & (k ? FLOW_FORWARD : FLOW_REVERSE);

            assert_int_equal(sends, side->has[FLOW_SENT]);
            assert_int_equal(receives, side->has[FLOW_RECEIVED]);
            if (sends)
                check_sent(side, rows[i].n_flows);
            if (receives)
                check_received(side, rows[i].n_flows);
        }
        assert_true(pair_has(&pair.client,
                             rows[i].direction == FLOW_REVERSE ? FLOW_RECEIVED : FLOW_SENT,
                             METRIC_connect_ns));
        pair_close(&pair);
    }
}

static void test_the_congestion_control_asked_for_is_in_force(void **state)
{
    struct flow_spec spec = pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, 2, 4096);
    struct pair pair;

    (void)state;
    strcpy(spec.cc, "reno");
    pair_open(&pair, spec);
    pair_run(&pair, &trial);
    assert_string_equal("reno", pair.client.result[FLOW_SENT].congestion_control);
    assert_string_equal("reno", pair.server.result[FLOW_RECEIVED].congestion_control);
    pair_close(&pair);
}

static void test_a_rate_is_not_exceeded(void **state)
{
    static const uint32_t n_flows[] = {1, 7};
    const uint64_t rate = 80000000;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(n_flows); i++) {
        struct pair pair;

        pair_open(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, n_flows[i], 65536));
        pair_run_paced(&pair, trial, rate, false);
        assert_int_equal(rate, pair_count(&pair.client, FLOW_SENT, METRIC_requested_bps));
        assert_int_equal(rate, pair_count(&pair.server, FLOW_RECEIVED, METRIC_requested_bps));
        pair_close(&pair);
    }
}

static void test_trials_follow_each_other_on_the_same_connections(void **state)
{
    struct pair pair;
    struct flow_trial t = trial;

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_BOTH, 1, 65536));
    for (t.number = 1; t.number <= 3; t.number++) {
        t.interval_ns = t.number == 2 ? 0 : trial.interval_ns;
        pair_run(&pair, &t);
        assert_true(pair_count(&pair.server, FLOW_RECEIVED, METRIC_bytes) > 0);
        assert_true(pair_count(&pair.client, FLOW_RECEIVED, METRIC_bytes) > 0);
        assert_int_equal(t.number == 2 ? 0 : 3, pair.client.result[FLOW_SENT].n_intervals);
    }
    pair_close(&pair);
}

static void test_what_is_left_of_a_trial_does_not_count_in_the_next(void **state)
{
    struct flow_trial t = trial;
    struct pair pair;
    uint64_t sent;

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 65536));
    pair_run(&pair, &t);
    /* All that the client sends from here on is inside its window or before it. */
    t.rate_bps = 8000000;
    t.tail_ns = 0;
    t.warmup_ns = 60 * CLOCK_MS;
    pair_run(&pair, &t);
    t = pair.client.trial;
    sent = 8000000 / 8 * (t.warmup_ns + t.duration_ns + 20 * CLOCK_MS) / CLOCK_S + 10000;
    assert_in_range(pair_count(&pair.server, FLOW_RECEIVED, METRIC_bytes), 1, sent);
    pair_close(&pair);
}

/* Intervals on the side that lives show that data flows: then the other one goes. */
static void close_other(void *arg, enum flow_part part, uint32_t index,
                        const struct flow_interval *interval)
{
    (void)part;
    (void)index;
    if (interval->bytes)
        pair_stop(arg);
}

static void test_a_peer_that_closes_is_an_error_with_results(void **state)
{
    static const enum flow_direction directions[] = {FLOW_FORWARD, FLOW_REVERSE};
    struct flow_trial hour = trial;

    (void)state;
    hour.duration_ns = 3600 * (uint64_t)CLOCK_S;
    hour.interval_ns = 100 * CLOCK_MS;
    for (uint32_t n = 1; n <= 3; n += 2) {
        for (size_t i = 0; i < ARRAY_SIZE(directions); i++) {
            enum flow_part part = directions[i] == FLOW_FORWARD ? FLOW_SENT : FLOW_RECEIVED;
            struct pair pair;

            pair_open(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", directions[i], n, 65536));
            pair.client.on_interval = close_other;
            pair.client.arg = &pair.server;
            pair_run_begin(&pair.server, &hour);
            pair_run_begin(&pair.client, &hour);
            pair_join(&pair.server);
            assert_int_equal(-ECANCELED, pair.server.r);
            engine_close(pair.server.engine);
            pair.server.engine = NULL;
            pair_join(&pair.client);
            assert_true(pair.client.r == -ECONNRESET || pair.client.r == -EPIPE);
            assert_non_null(strstr(pair.client.err.text,
                                   part == FLOW_SENT ? "sending on flow " : "receiving on flow "));
            assert_non_null(
                strstr(pair.client.err.text, "the peer closed the connection before the end"));
            assert_true(pair_count(&pair.client, part, METRIC_bytes) > 0);
            pair_close(&pair);
        }
    }
}

/* Four sides wait at the same time for a peer that says nothing, as each waits for 3 s. */
static void test_silence_of_3_s_is_an_error_in_words(void **state)
{
    static const struct {
        enum flow_direction direction;
        uint32_t n_flows;
        const char *words;
    } rows[] = {
        {FLOW_REVERSE, 1, "receiving on flow 0: nothing arrived for 3 s"},
        {FLOW_REVERSE, 4, "receiving on flow 0: nothing arrived for 3 s"},
        {FLOW_FORWARD, 1, "sending on flow 0: "},
        {FLOW_FORWARD, 4, "sending on flow "},
    };
    struct pair pairs[ARRAY_SIZE(rows)];
    struct flow_trial hour = trial;

    (void)state;
    hour.duration_ns = 3600 * (uint64_t)CLOCK_S;
    hour.interval_ns = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        pair_open(&pairs[i], pair_spec(FLOW_TCP_STREAM, "127.0.0.1", rows[i].direction,
                                       rows[i].n_flows, 65536));
        pair_run_begin(&pairs[i].client, &hour);
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        pair_join(&pairs[i].client);
        assert_int_equal(-ETIMEDOUT, pairs[i].client.r);
        assert_non_null(strstr(pairs[i].client.err.text, rows[i].words));
        pair_close(&pairs[i]);
    }
}

static void test_a_field_the_kernel_did_not_fill_is_missing(void **state)
{
    struct tcp_info info;
    struct tcp_sample s;

    (void)state;
    memset(&info, 0, sizeof info);
    info.tcpi_rtt = 250;
    info.tcpi_snd_cwnd = 10;
    info.tcpi_total_retrans = 3;
    info.tcpi_busy_time = 77;
    info.tcpi_snd_wnd = 4321;

    tcp_info_parse(&info, sizeof info, &s);
    assert_int_equal(250000, s.value[TCP_FIELD_RTT_NS]);
    assert_int_equal(77000, s.value[TCP_FIELD_BUSY_NS]);
    assert_int_equal(4321, s.value[TCP_FIELD_SND_WND_BYTES]);
    for (int f = 0; f < TCP_FIELD_COUNT; f++)
        assert_true(s.has[f]);

    tcp_info_parse(&info, offsetof(struct tcp_info, tcpi_snd_wnd), &s);
    assert_false(s.has[TCP_FIELD_SND_WND_BYTES]);
    assert_true(s.has[TCP_FIELD_BUSY_NS]);

    /* Half a field is none. */
    tcp_info_parse(&info, offsetof(struct tcp_info, tcpi_busy_time) + 4, &s);
    assert_false(s.has[TCP_FIELD_BUSY_NS]);
    assert_int_equal(0, s.value[TCP_FIELD_BUSY_NS]);
    assert_true(s.has[TCP_FIELD_TOTAL_RETRANS]);
    assert_int_equal(3, s.value[TCP_FIELD_TOTAL_RETRANS]);

    tcp_info_parse(&info, 0, &s);
    for (int f = 0; f < TCP_FIELD_COUNT; f++)
        assert_false(s.has[f]);

    info.tcpi_rtt = 0;
    tcp_info_parse(&info, sizeof info, &s);
    assert_false(s.has[TCP_FIELD_RTT_NS]); /* no sample yet */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_run_in_each_direction),
        cmocka_unit_test(test_the_congestion_control_asked_for_is_in_force),
        cmocka_unit_test(test_a_rate_is_not_exceeded),
        cmocka_unit_test(test_trials_follow_each_other_on_the_same_connections),
        cmocka_unit_test(test_what_is_left_of_a_trial_does_not_count_in_the_next),
        cmocka_unit_test(test_a_peer_that_closes_is_an_error_with_results),
        cmocka_unit_test(test_silence_of_3_s_is_an_error_in_words),
        cmocka_unit_test(test_a_field_the_kernel_did_not_fill_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
