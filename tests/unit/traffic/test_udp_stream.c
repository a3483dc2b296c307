/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "pair.h"
#include "traffic/udp_stream.h"
#include "udp_relay.h"

/* UDP streams of several datagrams a call, of mixed sizes, with a window: over loopback, and past a relay that does harm. */

static const struct flow_trial a_trial = {
    .warmup_ns = 30 * CLOCK_MS,
    .duration_ns = 100 * CLOCK_MS,
    .tail_ns = 30 * CLOCK_MS,
};

/* A busy machine may not let a sender run for a whole window: nothing to look at, so once more. */
static void run(struct pair *p, const struct flow_trial *trial)
{
    struct flow_trial t = *trial;

    for (t.number = 1; t.number < 50; t.number++) {
        pair_run(p, &t);
        if (pair_count(&p->client, FLOW_SENT, METRIC_sent) > 100)
            return;
    }
    fail_msg("this machine is too busy");
}

static uint64_t client(const struct pair *p, enum metric m)
{
    return pair_count(&p->client, FLOW_SENT, m);
}

static uint64_t server(const struct pair *p, enum metric m)
{
    return pair_count(&p->server, FLOW_RECEIVED, m);
}

static void test_the_rate_says_how_many_go_at_once(void **state)
{
    static const struct {
        uint32_t gso, payload, n_flows, of_worker;
        uint64_t pps;
        bool imix;
        uint32_t segments;
    } rows[] = {
        {0, 64, 1, 1, 0, false, 1}, /* as fast as it goes: one by one */
        {0, 64, 1, 1, 1000, false, 1},
        {0, 64, 1, 1, UDP_SINGLES_PPS, false, 1},
        {0, 64, 1, 1, UDP_SINGLES_PPS + 1000, false, 2},
        {0, 64, 1, 1, 4 * UDP_SINGLES_PPS, false, 4},
        {0, 64, 4, 1, 4 * UDP_SINGLES_PPS, false, 1}, /* four threads */
        {0, 64, 4, 2, 4 * UDP_SINGLES_PPS, false, 2},
        {0, 1400, 1, 1, 100 * UDP_SINGLES_PPS, false, 46}, /* no more fit into a call */
        {0, 64, 1, 1, 1000 * UDP_SINGLES_PPS, false, 128},
        {0, 1472, 1, 1, 10 * UDP_SINGLES_PPS, true, 1},
        {1, 64, 1, 1, 10 * UDP_SINGLES_PPS, false, 1},
        {16, 64, 1, 1, 1000, false, 16},
        {16, 64, 1, 1, 0, false, 16},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec =
            pair_spec(FLOW_UDP_STREAM, "127.0.0.1", FLOW_FORWARD, rows[i].n_flows, rows[i].payload);
        struct flow_trial trial = a_trial;

        spec.gso = rows[i].gso;
        spec.imix = rows[i].imix;
        trial.rate_bps = rows[i].pps * 8 * rows[i].payload;
        if (udp_send_segments(&spec, &trial, rows[i].of_worker) != rows[i].segments)
            fail_msg("row %zu: %u", i, udp_send_segments(&spec, &trial, rows[i].of_worker));
    }
}

static void test_datagrams_that_leave_at_once_are_counted_one_by_one(void **state)
{
    static const struct {
        const char *address;
        uint32_t n_flows, payload, gso;
        uint64_t rate_bps;
    } rows[] = {
        {"127.0.0.1", 1, 1400, 46, 200000000}, {"::1", 1, 1400, 8, 50000000},
        {"127.0.0.1", 1, 32, 128, 8000000},    {"127.0.0.1", 2, 64, 7, 8000000},
        {"127.0.0.1", 1, 64, 0, 512000000}, /* a million a second: five at once */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec = pair_spec(FLOW_UDP_STREAM, rows[i].address, FLOW_FORWARD,
                                          rows[i].n_flows, rows[i].payload);
        struct flow_trial trial = a_trial;
        struct pair p;

        spec.gso = rows[i].gso;
        trial.rate_bps = rows[i].rate_bps;
        pair_open(&p, spec);
        run(&p, &trial);
        assert_int_equal(client(&p, METRIC_segments), rows[i].gso ? rows[i].gso : 5);
        assert_int_equal(client(&p, METRIC_sent) % client(&p, METRIC_segments), 0);
        assert_int_equal(client(&p, METRIC_bytes), client(&p, METRIC_packets) * rows[i].payload);
        assert_int_equal(server(&p, METRIC_bytes), server(&p, METRIC_packets) * rows[i].payload);
        assert_int_equal(client(&p, METRIC_sent), server(&p, METRIC_sent));
        assert_int_equal(server(&p, METRIC_sent),
                         server(&p, METRIC_received) + server(&p, METRIC_lost));
        assert_int_equal(server(&p, METRIC_lost_on_path), 0);
        assert_int_equal(server(&p, METRIC_duplicated) + server(&p, METRIC_reordered), 0);
        pair_close(&p);
    }
}

/* Single ones among them, and such as GRO has put together from what was left of them: not one number is guessed. */
static void test_what_was_put_together_on_the_way_is_counted_exactly(void **state)
{
    static const struct {
        unsigned gso, merge, drop_each, copy_each, hold_each;
    } rows[] = {
        {4, 0, 10, 7, 25}, {4, 8, 0, 0, 0},   {4, 8, 10, 0, 0},  {4, 8, 0, 7, 0},  {4, 4, 5, 0, 0},
        {4, 4, 300, 0, 0}, {4, 8, 10, 7, 25}, {16, 16, 3, 2, 4}, {2, 40, 9, 0, 7},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct relay relay = {
            .merge = rows[i].merge,
            .drop_each = rows[i].drop_each,
            .copy_each = rows[i].copy_each,
            .hold_each = rows[i].hold_each,
        };
        struct flow_spec spec = pair_spec(FLOW_UDP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 200);
        struct flow_trial trial = a_trial;
        struct pair p;

        spec.gso = rows[i].gso;
        trial.number = 1;
        trial.rate_bps = 16000000;
        pair_listen(&p, spec);
        relay_start(&relay, p.client.spec.port, token_tag(&spec));
        p.client.spec.port = relay.port;
        pair_accept_begin(&p);
        pair_connect(&p);
        pair_run_once(&p, &trial);
        relay_stop(&relay);
        assert_int_equal(client(&p, METRIC_sent), relay.n_measured);
        assert_int_equal(server(&p, METRIC_received), relay.n_measured - relay.dropped);
        assert_int_equal(server(&p, METRIC_lost), relay.dropped);
        assert_int_equal(server(&p, METRIC_duplicated), relay.copied);
        assert_int_equal(server(&p, METRIC_reordered), relay.overtaken);
        assert_int_equal(server(&p, METRIC_longest_loss), relay.dropped > 0);
        assert_int_equal(server(&p, METRIC_loss_bursts), relay.dropped);
        pair_close(&p);
    }
}

static uint64_t mix_bytes(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum += flow_imix[i % FLOW_IMIX_ROUND];
    return sum;
}

static void test_a_mix_is_sent_in_turn_and_its_bytes_are_exact(void **state)
{
    struct flow_spec spec = pair_spec(FLOW_UDP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 1472);
    struct flow_trial trial = {.duration_ns = 200 * CLOCK_MS};
    struct pair p;
    uint64_t skipped = 1;

    (void)state;
    spec.imix = true;
    pair_open(&p, spec);
    for (uint64_t rate = 0; rate <= 20000000; rate += 20000000) {
        const struct metric_set *m = &p.server.result[FLOW_RECEIVED].metrics;

        trial.rate_bps = rate;
        for (int i = 0; i < 50 && skipped; i++) {
            run(&p, &trial);
            skipped = rate ? client(&p, METRIC_skipped) : 0;
        }
        if (skipped)
            skip();
        skipped = 1;
        assert_int_equal(client(&p, METRIC_bytes), mix_bytes(client(&p, METRIC_sent)));
        if (server(&p, METRIC_lost))
            continue;
        assert_int_equal(metric_get_real(m, METRIC_dispersion_bps) *
                                 (double)metric_get(m, METRIC_spread_ns) / 8e9 +
                             0.5,
                         mix_bytes(server(&p, METRIC_received)) - flow_imix[0]);
    }
    pair_close(&p);
}

static void test_a_window_is_in_force_at_both_ends(void **state)
{
    enum { WINDOW = 100000 };
    struct flow_spec spec = pair_spec(FLOW_UDP_STREAM, "127.0.0.1", FLOW_BOTH, 1, 500);
    struct flow_trial trial = a_trial;
    struct pair p;

    (void)state;
    spec.window_bytes = WINDOW;
    trial.number = 1;
    trial.rate_bps = 8000000;
    pair_open(&p, spec);
    pair_run(&p, &trial);
    /* The kernel doubles what it grants, for its own needs. */
    assert_int_equal(client(&p, METRIC_send_buffer_bytes), 2 * WINDOW);
    assert_int_equal(server(&p, METRIC_receive_buffer_bytes), 2 * WINDOW);
    assert_int_equal(pair_count(&p.server, FLOW_SENT, METRIC_send_buffer_bytes), 2 * WINDOW);
    assert_int_equal(pair_count(&p.client, FLOW_RECEIVED, METRIC_receive_buffer_bytes), 2 * WINDOW);
    pair_close(&p);
}

static int tos_of(const struct pair_side *side)
{
    int tos = -1;

    getsockopt(side->engine->flows[0].fd, IPPROTO_IP, IP_TOS, &tos, &(socklen_t){sizeof tos});
    return tos;
}

static void test_flows_have_the_sign_and_the_address_that_were_asked_for(void **state)
{
    struct flow_spec spec = pair_spec(FLOW_UDP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 500);
    union socket_address own = {0};
    socklen_t len = sizeof own;
    struct pair p;

    (void)state;
    spec.dscp = 46;
    text_copy(spec.bind, sizeof spec.bind, "127.0.0.77");
    pair_open(&p, spec);
    assert_int_equal(tos_of(&p.client), 46 << 2);
    assert_int_equal(tos_of(&p.server), 46 << 2);
    assert_int_equal(getsockname(p.client.engine->flows[0].fd, &own.any, &len), 0);
    assert_int_equal(ntohl(own.v4.sin_addr.s_addr), INADDR_LOOPBACK + 76);
    pair_close(&p);
}

/* All that is large gets lost, what is small does not. */
static void test_a_path_that_drops_large_datagrams_is_named(void **state)
{
    struct relay relay = {.drop_large = 100};
    struct flow_spec spec = pair_spec(FLOW_UDP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 200);
    struct flow_trial trial = {.number = 1, .duration_ns = 600 * CLOCK_MS, .rate_bps = 1600000};
    struct pair p;

    (void)state;
    pair_listen(&p, spec);
    relay_start(&relay, p.client.spec.port, token_tag(&spec));
    p.client.spec.port = relay.port;
    pair_accept_begin(&p);
    pair_connect(&p);
    pair_run_begin(&p.server, &trial);
    pair_run_begin(&p.client, &trial);
    pair_join(&p.client);
    pair_join(&p.server);
    relay_stop(&relay);
    assert_int_equal(p.client.r, 0);
    assert_int_equal(p.server.r, -EMSGSIZE);
    if (!strstr(p.server.err.text, "small datagrams arrive, of 200 bytes not one of "))
        fail_msg("%s", p.server.err.text);
    assert_int_equal(server(&p, METRIC_lost), client(&p, METRIC_sent));
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rate_says_how_many_go_at_once),
        cmocka_unit_test(test_datagrams_that_leave_at_once_are_counted_one_by_one),
        cmocka_unit_test(test_what_was_put_together_on_the_way_is_counted_exactly),
        cmocka_unit_test(test_a_mix_is_sent_in_turn_and_its_bytes_are_exact),
        cmocka_unit_test(test_a_window_is_in_force_at_both_ends),
        cmocka_unit_test(test_flows_have_the_sign_and_the_address_that_were_asked_for),
        cmocka_unit_test(test_a_path_that_drops_large_datagrams_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
