/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "base/auto.h"
#include "traffic/schedule.h"

static const struct flow_trial trial = {
    .number = 1,
    .warmup_ns = 20 * CLOCK_MS,
    .duration_ns = 100 * CLOCK_MS,
    .interval_ns = 50 * CLOCK_MS,
};

/* Every slot of the schedule is asked, or missed; the streams are in step for the next trial. */
static void test_a_schedule_is_kept_in_every_trial(void **state)
{
    static const struct {
        enum flow_kind kind;
        uint32_t n_flows, payload_bytes;
        uint64_t gap_ns;
    } rows[] = {
        {FLOW_TCP_RR, 1, 1, CLOCK_MS},          {FLOW_TCP_RR, 3, 20000, CLOCK_MS},
        {FLOW_TCP_RR, 1, 300000, 5 * CLOCK_MS}, {FLOW_TCP_RR, 1, 1, 20 * CLOCK_US},
        {FLOW_UDP_RR, 1, 32, CLOCK_MS},         {FLOW_UDP_RR, 3, 1000, CLOCK_MS},
        {FLOW_UDP_RR, 1, 32, 20 * CLOCK_US},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec = pair_spec(rows[i].kind, "127.0.0.1", FLOW_FORWARD, rows[i].n_flows,
                                          rows[i].payload_bytes);
        struct flow_trial paced = trial;
        struct pair pair;

        spec.gap_ns = rows[i].gap_ns;
        pair_open(&pair, spec);
        for (paced.number = 1; paced.number <= 2; paced.number++) {
            uint64_t n_slots, n;

            pair_run(&pair, &paced);
            n_slots = pair.client.trial.duration_ns / rows[i].gap_ns * rows[i].n_flows;
            n = pair_rtt_count(&pair.client, FLOW_SENT);
            assert_true(pair_has(&pair.client, FLOW_SENT, METRIC_late));
            assert_true(pair_has(&pair.client, FLOW_SENT, METRIC_latest_ns));
            if (rows[i].kind == FLOW_UDP_RR)
                n += pair_count(&pair.client, FLOW_SENT, METRIC_lost);
            assert_int_equal(n_slots, n + pair_count(&pair.client, FLOW_SENT, METRIC_missed));
        }
        pair_close(&pair);
    }
}

static void test_a_count_of_a_schedule_is_kept(void **state)
{
    static const enum flow_kind kinds[] = {FLOW_TCP_RR, FLOW_UDP_RR};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct flow_spec spec = pair_spec(kinds[i], "127.0.0.1", FLOW_FORWARD, 1, 64);
        struct flow_trial counted = {
            .number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S, .count = 20};
        struct pair pair;

        spec.gap_ns = CLOCK_MS;
        pair_open(&pair, spec);
        pair_run(&pair, &counted);
        assert_int_equal(20, pair_rtt_count(&pair.client, FLOW_SENT));
        pair_close(&pair);
    }
}

static void test_requests_that_a_standing_peer_keeps_from_leaving_are_missed(void **state)
{
    /* 1 MiB each: the sockets' buffers are full before the 100th. */
    struct flow_spec spec = pair_spec(FLOW_TCP_RR, "127.0.0.1", FLOW_FORWARD, 1, FLOW_MAX_RR);
    struct flow_trial paced = {.number = 1, .duration_ns = 400 * CLOCK_MS};
    struct pair pair;

    (void)state;
    spec.gap_ns = CLOCK_MS;
    pair_open(&pair, spec);
    pair_run_begin(&pair.client, &paced);
    /* The server is 300 ms late, as the client sees it. */
    clock_sleep_until(clock_mono_ns() + 300 * CLOCK_MS);
    pair_run_begin(&pair.server, &paced);
    pair_join(&pair.client);
    pair_join(&pair.server);
    if (pair.client.r < 0)
        fail_msg("%s", pair.client.err.text);
    assert_true(pair_count(&pair.client, FLOW_SENT, METRIC_missed) > 0);
    assert_int_equal(400, pair_count(&pair.client, FLOW_SENT, METRIC_missed) +
                              pair_rtt_count(&pair.client, FLOW_SENT));
    assert_true(pair_count(&pair.client, FLOW_SENT, METRIC_latest_ns) <= SCHEDULE_LATE_NS);
    pair_close(&pair);
}

static void pair_run_late(struct pair_side *side, const struct flow_trial *t, uint64_t later_ns)
{
    side->trial = *t;
    side->trial.start_ns = clock_mono_ns() + later_ns;
    assert_int_equal(0, pthread_create(&side->thread, NULL, pair_run_main, side));
}

/*
 * The server is late, so that its socket has to hold what comes meanwhile. With our buffer it does; with one that was asked
 * for, and is too small, the loss is told as the socket's. Who of them is late by how much is the machine's to say when it
 * is busy: then once more.
 */
static bool drop_in_socket(struct pair *pair, uint32_t number, bool small)
{
    const struct flow_trial paced = {.number = number, .duration_ns = 400 * CLOCK_MS};
    uint64_t lost, in_socket, near;

    pair_forget(&pair->client);
    pair_forget(&pair->server);
    pair_run_late(&pair->server, &paced, 350 * CLOCK_MS);
    pair_run_late(&pair->client, &paced, 50 * CLOCK_MS);
    pair_join(&pair->client);
    pair_join(&pair->server);
    assert_int_equal(0, pair->client.r);
    lost = pair_count(&pair->client, FLOW_SENT, METRIC_lost);
    in_socket = pair_count(&pair->server, FLOW_RECEIVED, METRIC_lost_in_socket);
    /* The client's is as small, and may be without a CPU too when all answers come at once. */
    near = pair_count(&pair->client, FLOW_SENT, METRIC_lost_in_socket);
    assert_true(in_socket + near <= lost);
    /* 300 of 1000 bytes take 700 KB of the kernel. */
    if (small)
        return in_socket > 0;
    if (socket_receive_buffer(pair->server.engine->flows[0].fd, 0) < 2 << 20)
        return true;
    assert_int_equal(0, in_socket + near);
    return lost == 0;
}

static void test_what_a_full_socket_drops_is_told(void **state)
{
    (void)state;
    for (int small = 0; small < 2; small++) {
        struct flow_spec spec = pair_spec(FLOW_UDP_RR, "127.0.0.1", FLOW_FORWARD, 1, 1000);
        uint32_t number = 1;
        struct pair pair;

        spec.gap_ns = CLOCK_MS;
        spec.window_bytes = small ? 20000 : 0;
        pair_open(&pair, spec);
        while (!drop_in_socket(&pair, number, small))
            assert_in_range(++number, 1, 20);
        pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_schedule_is_kept_in_every_trial),
        cmocka_unit_test(test_a_count_of_a_schedule_is_kept),
        cmocka_unit_test(test_requests_that_a_standing_peer_keeps_from_leaving_are_missed),
        cmocka_unit_test(test_what_a_full_socket_drops_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
