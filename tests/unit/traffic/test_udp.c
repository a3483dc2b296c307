/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "traffic/datagram.h"
#include "traffic/endpoint.h"
#include "udp_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

/*
 * Two engines over loopback, each with a thread as an agent would give it, and a relay between them
 * that does harm.
 */

struct side {
    struct engine *engine; /* owned */
    struct flow_trial trial;
    struct flow_result result[FLOW_PART_COUNT]; /* owned */
    bool has[FLOW_PART_COUNT];
    int r;
    struct err err;
    pthread_t thread;
};

struct pair {
    struct flow_spec spec;
    struct side client, server;
    int stop_fd;
    uint32_t number; /* of the last trial */
};

static void *side_accept(void *arg)
{
    struct side *side = arg;

    side->r = engine_accept(side->engine, &side->err);
    return NULL;
}

static void *side_run(void *arg)
{
    struct side *side = arg;

    side->r =
        engine_run(side->engine, &side->trial, NULL, NULL, side->result, side->has, &side->err);
    return NULL;
}

static void check_side(const struct side *side)
{
    if (side->r < 0)
        fail_msg("%s (%d)", side->err.text, side->r);
}

/* Server up, before anybody connects. */
static void pair_listen(struct pair *p, const char *address, enum flow_direction direction,
                        uint32_t n_flows, uint32_t payload_bytes)
{
    struct flow_spec spec = {
        .kind = FLOW_UDP_STREAM,
        .role = FLOW_SERVER,
        .direction = direction,
        .n_flows = n_flows,
        .payload_bytes = payload_bytes,
        .connect_ns = UINT64_C(5000000000),
        .token = "0123456789abcde",
    };

    *p = (struct pair){.stop_fd = eventfd(0, EFD_CLOEXEC)};
    text_copy(spec.address, sizeof spec.address, address);
    p->server.r = engine_open(&spec, p->stop_fd, &p->server.engine, &p->server.err);
    check_side(&p->server);
    p->spec = spec;
}

/* Client through to the server, by a relay's port or its own. */
static void pair_connect(struct pair *p, uint16_t port)
{
    p->spec.role = FLOW_CLIENT;
    p->spec.port = port ? port : engine_port(p->server.engine);
    pthread_create(&p->server.thread, NULL, side_accept, &p->server);
    p->client.r = engine_open(&p->spec, p->stop_fd, &p->client.engine, &p->client.err);
    pthread_join(p->server.thread, NULL);
    check_side(&p->client);
    check_side(&p->server);
}

static void side_forget(struct side *side)
{
    for (int part = 0; part < FLOW_PART_COUNT; part++) {
        if (side->has[part])
            flow_result_done(&side->result[part]);
        side->has[part] = false;
        memset(&side->result[part], 0, sizeof side->result[part]);
    }
}

/* A trial on both sides; what came of it is in them. */
static void pair_run_once(struct pair *p, const struct flow_trial *trial)
{
    side_forget(&p->client);
    side_forget(&p->server);
    p->client.trial = p->server.trial = *trial;
    p->client.trial.number = p->server.trial.number = ++p->number;
    p->client.trial.start_ns = p->server.trial.start_ns = clock_mono_ns() + 20 * CLOCK_MS;
    pthread_create(&p->server.thread, NULL, side_run, &p->server);
    side_run(&p->client);
    pthread_join(p->server.thread, NULL);
}

/* Has this side nothing to send, or sent some? */
static bool side_has_sent(const struct side *side)
{
    return !side->has[FLOW_SENT] || metric_get(&side->result[FLOW_SENT].metrics, METRIC_sent) > 2;
}

/* A busy machine may not let a sender run for a whole window: nothing to look at, so once more. */
static void pair_run(struct pair *p, const struct flow_trial *trial)
{
    for (int i = 0; i < 50; i++) {
        pair_run_once(p, trial);
        if (p->client.r < 0 || p->server.r < 0 ||
            (side_has_sent(&p->client) && side_has_sent(&p->server)))
            return;
    }
}

static void pair_done(struct pair *p)
{
    side_forget(&p->client);
    side_forget(&p->server);
    engine_close(p->client.engine);
    engine_close(p->server.engine);
    close(p->stop_fd);
}

static const struct flow_trial full_trial = {
    .number = 1,
    .warmup_ns = 30 * CLOCK_MS,
    .duration_ns = 100 * CLOCK_MS,
    .tail_ns = 30 * CLOCK_MS,
    .interval_ns = 50 * CLOCK_MS,
    .rate_bps = 8000000,
};

static const struct flow_trial probe_trial = {
    .number = 1, .duration_ns = 60 * CLOCK_MS, .rate_bps = 8000000};

static uint64_t sent_of(const struct side *side, enum metric m)
{
    return metric_get(&side->result[FLOW_SENT].metrics, m);
}

static uint64_t received_of(const struct side *side, enum metric m)
{
    return metric_get(&side->result[FLOW_RECEIVED].metrics, m);
}

/* One direction of a trial in which nothing was lost. */
static void check_whole(const struct side *from, const struct side *to)
{
    const struct metric_set *m = &to->result[FLOW_RECEIVED].metrics;

    check_side(from);
    check_side(to);
    assert_true(from->has[FLOW_SENT] && to->has[FLOW_RECEIVED]);
    assert_true(sent_of(from, METRIC_sent) > 2);
    assert_int_equal(sent_of(from, METRIC_sent), received_of(to, METRIC_received));
    assert_true(m->has[METRIC_lost]);
    assert_int_equal(metric_get(m, METRIC_lost), 0);
    assert_int_equal(metric_get(m, METRIC_duplicated) + metric_get(m, METRIC_reordered), 0);
    assert_int_equal(metric_get(m, METRIC_longest_loss) + metric_get(m, METRIC_lost_in_socket), 0);
    assert_true(metric_get_real(m, METRIC_throughput_bps) > 0);
    assert_true(m->has[METRIC_jitter_ns] && m->has[METRIC_delay_slope] &&
                m->has[METRIC_receive_buffer_bytes]);
}

static void test_what_is_sent_arrives_in_every_direction_and_family(void **state)
{
    static const struct {
        const char *address;
        enum flow_direction direction;
        uint32_t n_flows, payload_bytes;
    } rows[] = {
        {"127.0.0.1", FLOW_FORWARD, 1, 1000},
        {"::1", FLOW_FORWARD, 1, 1000},
        {"127.0.0.1", FLOW_REVERSE, 1, 32},
        {"127.0.0.1", FLOW_FORWARD, 2, 100},
        {"::1", FLOW_REVERSE, 3, 500},
        {"127.0.0.1", FLOW_BOTH, 1, 200},
        {"::1", FLOW_BOTH, 2, 200},
        {"127.0.0.1", FLOW_FORWARD, 5, 64},
        {"127.0.0.1", FLOW_FORWARD, 1, 65507},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_trial trial = full_trial;
        struct pair p;

        trial.rate_bps = UINT64_C(1000) * 8 * rows[i].payload_bytes;
        pair_listen(&p, rows[i].address, rows[i].direction, rows[i].n_flows, rows[i].payload_bytes);
        pair_connect(&p, 0);
        pair_run(&p, &trial);
        if (rows[i].direction & FLOW_FORWARD)
            check_whole(&p.client, &p.server);
        if (rows[i].direction & FLOW_REVERSE)
            check_whole(&p.server, &p.client);
        assert_int_equal(p.client.has[FLOW_SENT], (rows[i].direction & FLOW_FORWARD) != 0);
        assert_int_equal(p.client.has[FLOW_RECEIVED], (rows[i].direction & FLOW_REVERSE) != 0);
        pair_done(&p);
    }
}

static void test_trials_follow_each_other_on_the_same_sockets(void **state)
{
    struct flow_trial trial = probe_trial;
    struct pair p;

    (void)state;
    pair_listen(&p, "127.0.0.1", FLOW_FORWARD, 1, 1000);
    pair_connect(&p, 0);
    pair_run(&p, &full_trial);
    check_whole(&p.client, &p.server);
    assert_int_equal(p.server.result[FLOW_RECEIVED].n_intervals, 2);
    for (int i = 0; i < 4; i++) {
        const struct metric_set *m = &p.server.result[FLOW_RECEIVED].metrics;
        uint64_t n;

        pair_run(&p, &trial);
        check_whole(&p.client, &p.server);
        /* Dispersion is the rate of the arrivals after the first. */
        n = metric_get(m, METRIC_received);
        assert_int_equal(metric_get_real(m, METRIC_dispersion_bps) *
                                 (double)metric_get(m, METRIC_spread_ns) / 1e9 +
                             0.5,
                         (n - 1) * 1000 * 8);
    }
    pair_done(&p);
}

/* As fast as it goes, datagrams may be lost, but each is accounted for. */
static void test_without_a_rate_the_sums_agree(void **state)
{
    struct flow_trial trial = probe_trial;
    struct pair p;

    (void)state;
    trial.rate_bps = 0;
    for (uint32_t n_flows = 1; n_flows <= 3; n_flows += 2) {
        pair_listen(&p, "127.0.0.1", FLOW_FORWARD, n_flows, 64);
        pair_connect(&p, 0);
        pair_run(&p, &trial);
        check_side(&p.client);
        check_side(&p.server);
        assert_true(sent_of(&p.client, METRIC_sent) > 2);
        assert_int_equal(sent_of(&p.client, METRIC_sent), received_of(&p.server, METRIC_received) +
                                                              received_of(&p.server, METRIC_lost));
        assert_int_equal(received_of(&p.server, METRIC_lost),
                         received_of(&p.server, METRIC_lost_in_socket) +
                             received_of(&p.server, METRIC_lost_on_path));
        pair_done(&p);
    }
}

static void test_drops_copies_and_overtaking_are_counted_exactly(void **state)
{
    static const struct {
        unsigned drop_each, copy_each, hold_each, drop_ends;
    } rows[] = {{10, 7, 0, 0}, {0, 0, 25, 0}, {10, 7, 25, 0}, {3, 2, 4, 3}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct relay relay = {
            .drop_each = rows[i].drop_each,
            .copy_each = rows[i].copy_each,
            .hold_each = rows[i].hold_each,
            .drop_ends = rows[i].drop_ends,
        };
        struct pair p;

        pair_listen(&p, "127.0.0.1", FLOW_FORWARD, 1, 200);
        relay_start(&relay, engine_port(p.server.engine), token_tag(&p.spec));
        pair_connect(&p, relay.port);
        pair_run_once(&p, &full_trial);
        relay_stop(&relay);
        check_side(&p.client);
        check_side(&p.server);
        assert_int_equal(sent_of(&p.client, METRIC_sent), relay.n_measured);
        assert_int_equal(received_of(&p.server, METRIC_received), relay.n_measured - relay.dropped);
        assert_int_equal(received_of(&p.server, METRIC_lost), relay.dropped);
        assert_int_equal(received_of(&p.server, METRIC_duplicated), relay.copied);
        assert_int_equal(received_of(&p.server, METRIC_reordered), relay.overtaken);
        assert_int_equal(received_of(&p.server, METRIC_longest_loss), relay.dropped > 0);
        assert_int_equal(received_of(&p.server, METRIC_lost_on_path), relay.dropped);
        if (rows[i].hold_each && relay.n_measured > 10 * rows[i].hold_each)
            assert_true(relay.overtaken > 0);
        pair_done(&p);
    }
}

static void test_without_end_the_receiver_leaves_the_loss_to_the_sender(void **state)
{
    struct relay relay = {.drop_each = 10, .drop_ends = UINT32_MAX};
    struct flow_trial trial = probe_trial;
    struct pair p;

    (void)state;
    trial.duration_ns = 300 * CLOCK_MS;
    pair_listen(&p, "127.0.0.1", FLOW_FORWARD, 1, 200);
    relay_start(&relay, engine_port(p.server.engine), token_tag(&p.spec));
    pair_connect(&p, relay.port);
    pair_run_once(&p, &trial);
    relay_stop(&relay);
    check_side(&p.client);
    check_side(&p.server);
    assert_int_equal(relay.n_ends, 10);
    assert_false(p.server.result[FLOW_RECEIVED].metrics.has[METRIC_lost]);
    assert_int_equal(sent_of(&p.client, METRIC_sent) - received_of(&p.server, METRIC_received),
                     relay.dropped);
    pair_done(&p);
}

static void test_stragglers_and_strangers_do_not_count(void **state)
{
    struct relay relay = {.replay = true};
    struct pair p;

    (void)state;
    pair_listen(&p, "127.0.0.1", FLOW_FORWARD, 1, 200);
    relay_start(&relay, engine_port(p.server.engine), token_tag(&p.spec));
    pair_connect(&p, relay.port);
    pair_run(&p, &full_trial);
    check_whole(&p.client, &p.server);
    pair_run(&p, &probe_trial);
    relay_stop(&relay);
    check_whole(&p.client, &p.server);
    assert_true(relay.strangers > 0);
    assert_int_equal(received_of(&p.server, METRIC_refused), relay.strangers);
    assert_true(received_of(&p.server, METRIC_packets) <= received_of(&p.server, METRIC_received));
    pair_done(&p);
}

static void test_a_server_that_is_gone_is_an_error(void **state)
{
    struct pair p;

    (void)state;
    pair_listen(&p, "127.0.0.1", FLOW_FORWARD, 1, 200);
    pair_connect(&p, 0);
    engine_close(p.server.engine);
    p.server.engine = NULL;
    for (int fast = 0; fast < 2; fast++) {
        side_forget(&p.client);
        p.client.trial = probe_trial;
        p.client.trial.rate_bps = fast ? 0 : 8000000;
        p.client.trial.start_ns = clock_mono_ns();
        side_run(&p.client);
        assert_int_equal(p.client.r, -ECONNREFUSED);
        assert_true(p.client.has[FLOW_SENT]);
    }
    pair_done(&p);
}

static void test_silence_is_an_error_at_the_receiver(void **state)
{
    struct pair p;

    (void)state;
    pair_listen(&p, "127.0.0.1", FLOW_FORWARD, 2, 200);
    pair_connect(&p, 0);
    p.server.trial = probe_trial;
    p.server.trial.start_ns = clock_mono_ns();
    side_run(&p.server);
    assert_int_equal(p.server.r, -ETIMEDOUT);
    assert_non_null(strstr(p.server.err.text, "no datagram arrived"));
    pair_done(&p);
}

static void test_a_stop_ends_both_sides(void **state)
{
    struct flow_trial trial = full_trial;
    struct pair p;

    (void)state;
    pair_listen(&p, "127.0.0.1", FLOW_BOTH, 1, 200);
    pair_connect(&p, 0);
    trial.duration_ns = 3600 * (uint64_t)CLOCK_S;
    trial.interval_ns = 0;
    p.server.trial = p.client.trial = trial;
    p.server.trial.start_ns = p.client.trial.start_ns = clock_mono_ns();
    pthread_create(&p.server.thread, NULL, side_run, &p.server);
    pthread_create(&p.client.thread, NULL, side_run, &p.client);
    eventfd_write(p.stop_fd, 1);
    pthread_join(p.server.thread, NULL);
    pthread_join(p.client.thread, NULL);
    assert_int_equal(p.server.r, -ECANCELED);
    assert_int_equal(p.client.r, -ECANCELED);
    pair_done(&p);
}

static void test_a_header_reads_as_it_was_written(void **state)
{
    static const uint8_t wanted[DATAGRAM_BYTES] = {0x01, 0x02, 0x03, 0x04, 0, 0,    0, 7, 1, 2, 3,
                                                   4,    5,    6,    7,    8, 0xf1, 2, 3, 4, 5, 6,
                                                   7,    8,    0,    2,    1, 0,    0, 0, 0, 0};
    const struct datagram in = {
        .tag = 0x01020304,
        .trial = 7,
        .sequence = UINT64_C(0x0102030405060708),
        .departure_ns = UINT64_C(0xf102030405060708),
        .flags = DATAGRAM_MEASURED,
        .flow = 256,
    };
    uint8_t bytes[DATAGRAM_BYTES];
    struct datagram out;

    (void)state;
    datagram_write(&in, bytes);
    assert_memory_equal(bytes, wanted, sizeof bytes);
    datagram_read(bytes, &out);
    assert_int_equal(out.tag, in.tag);
    assert_int_equal(out.trial, in.trial);
    assert_int_equal(out.sequence, in.sequence);
    assert_int_equal(out.departure_ns, in.departure_ns);
    assert_int_equal(out.flags, in.flags);
    assert_int_equal(out.flow, in.flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_header_reads_as_it_was_written),
        cmocka_unit_test(test_what_is_sent_arrives_in_every_direction_and_family),
        cmocka_unit_test(test_trials_follow_each_other_on_the_same_sockets),
        cmocka_unit_test(test_without_a_rate_the_sums_agree),
        cmocka_unit_test(test_drops_copies_and_overtaking_are_counted_exactly),
        cmocka_unit_test(test_without_end_the_receiver_leaves_the_loss_to_the_sender),
        cmocka_unit_test(test_stragglers_and_strangers_do_not_count),
        cmocka_unit_test(test_a_server_that_is_gone_is_an_error),
        cmocka_unit_test(test_silence_is_an_error_at_the_receiver),
        cmocka_unit_test(test_a_stop_ends_both_sides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
