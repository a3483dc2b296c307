/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "base/auto.h"
#include "traffic/stamp_packet.h"
#include "traffic/stamp_reflect.h"

#include <arpa/inet.h>
#include <poll.h>

static const struct flow_trial trial = {
    .number = 1,
    .warmup_ns = 20 * CLOCK_MS,
    .duration_ns = 100 * CLOCK_MS,
};

static void assert_delays_make_sense(const struct pair_side *client)
{
    const struct metric_set *m = &client->result[FLOW_SENT].metrics;
    static const enum metric rows[][4] = {
        {METRIC_forward_min_ns, METRIC_forward_p50_ns, METRIC_forward_p99_ns,
         METRIC_forward_max_ns},
        {METRIC_backward_min_ns, METRIC_backward_p50_ns, METRIC_backward_p99_ns,
         METRIC_backward_max_ns},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(rows[i]); k++)
            assert_true(m->has[rows[i][k]]);
        for (size_t k = 1; k < ARRAY_SIZE(rows[i]); k++)
            assert_true(metric_get_real(m, rows[i][k - 1]) <= metric_get_real(m, rows[i][k]));
    }
    assert_true(m->has[METRIC_reflector_ns] && m->has[METRIC_clock_error_ns]);
}

static void test_test_packets_between_agents_are_answered(void **state)
{
    static const struct {
        const char *address;
        uint32_t n_flows, payload_bytes;
        bool spin;
        uint64_t gap_ns;
    } rows[] = {
        {"127.0.0.1", 1, 44, false, CLOCK_MS}, {"::1", 3, 1400, false, CLOCK_MS},
        {"127.0.0.1", 1, 44, false, 0},        {"127.0.0.1", 1, 44, true, 0},
        {"::1", 1, 64, true, 100 * CLOCK_US},  {"127.0.0.1", 1, 20000, false, CLOCK_MS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec = pair_spec(FLOW_STAMP, rows[i].address, FLOW_FORWARD,
                                          rows[i].n_flows, rows[i].payload_bytes);
        struct flow_trial t = trial;
        struct pair pair;

        spec.spin = rows[i].spin;
        spec.gap_ns = rows[i].gap_ns;
        pair_open(&pair, spec);
        for (t.number = 1; t.number <= 2; t.number++) {
            uint64_t sent;

            pair_run(&pair, &t);
            sent = pair_count(&pair.client, FLOW_SENT, METRIC_sent);
            assert_true(sent > 0);
            assert_int_equal(0, pair_count(&pair.client, FLOW_SENT, METRIC_lost));
            assert_int_equal(sent, pair_rtt_count(&pair.client, FLOW_SENT));
            assert_true(pair_has(&pair.server, FLOW_RECEIVED, METRIC_packets));
            assert_delays_make_sense(&pair.client);
            /* Both ends are this machine, and know it. */
            assert_true(metric_get_real(&pair.client.result[FLOW_SENT].metrics,
                                        METRIC_clock_error_ns) == 0);
            assert_true(metric_get_real(&pair.client.result[FLOW_SENT].metrics,
                                        METRIC_forward_min_ns) >= 0);
            assert_int_equal(pair_has(&pair.client, FLOW_SENT, METRIC_missed), rows[i].gap_ns != 0);
        }
        pair_close(&pair);
    }
}

static void test_a_count_ends_both_sides(void **state)
{
    struct flow_trial counted = {.number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S, .count = 50};
    struct pair pair;

    (void)state;
    pair_open(&pair, pair_spec(FLOW_STAMP, "127.0.0.1", FLOW_FORWARD, 1, 44));
    pair_run(&pair, &counted);
    assert_int_equal(50, pair_count(&pair.client, FLOW_SENT, METRIC_received));
    pair_close(&pair);
}

/* A reflector that no session has asked for, in a thread, until stop_fd. */
struct reflecting {
    struct flow_spec spec;
    uint16_t port;
    int fd, stop_fd;
    struct stamp_reflector reflector;
    pthread_t thread;
};

static void *reflecting_main(void *arg)
{
    struct reflecting *x = arg;

    for (;;) {
        struct pollfd p[2] = {{.fd = x->fd, .events = POLLIN},
                              {.fd = x->stop_fd, .events = POLLIN}};

        if (poll(p, 2, 20000) <= 0 || p[1].revents)
            return NULL;
        if (stamp_reflect(&x->reflector) < 0)
            return NULL;
    }
}

static void reflecting_begin(struct reflecting *x, const char *address)
{
    *x = (struct reflecting){.spec = pair_spec(FLOW_STAMP, address, FLOW_FORWARD, 1, 44)};
    x->spec.role = FLOW_SERVER;
    x->stop_fd = eventfd(0, EFD_CLOEXEC);
    x->fd = socket_bind_range(&x->spec, SOCK_DGRAM, &x->port, NULL);
    assert_true(x->fd >= 0);
    assert_int_equal(0, stamp_reflector_init(&x->reflector, x->fd, NULL));
    assert_int_equal(0, pthread_create(&x->thread, NULL, reflecting_main, x));
}

static void reflecting_end(struct reflecting *x)
{
    assert_int_equal(0, eventfd_write(x->stop_fd, 1));
    pthread_join(x->thread, NULL);
    stamp_reflector_done(&x->reflector);
    close(x->fd);
    close(x->stop_fd);
}

static struct pair_side client_of(uint16_t port, const char *address, uint64_t gap_ns)
{
    struct pair_side side = {
        .spec = pair_spec(FLOW_STAMP, address, FLOW_FORWARD, 1, 44), .trial = trial, .stop_fd = -1};

    side.spec.peer = FLOW_PEER_STAMP;
    side.spec.port = port;
    side.spec.gap_ns = gap_ns;
    return side;
}

static void client_run(struct pair_side *client)
{
    if (engine_open(&client->spec, -1, &client->engine, &client->err) < 0)
        fail_msg("%s", client->err.text);
    client->trial.start_ns = clock_mono_ns();
    pair_run_main(client);
    engine_close(client->engine);
}

static void
test_a_reflector_without_a_session_answers_from_the_address_it_was_asked_at(void **state)
{
    static const struct {
        const char *bind, *ask;
    } rows[] = {{"127.0.0.1", "127.0.0.1"},
                {"0.0.0.0", "127.0.0.7"},
                {"::1", "::1"},
                {"::", "::1"},
                {"::", "127.0.0.3"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct reflecting x;
        struct pair_side client;
        const struct metric_set *m;

        reflecting_begin(&x, rows[i].bind);
        client = client_of(x.port, rows[i].ask, CLOCK_MS);
        client_run(&client);
        if (client.r < 0)
            fail_msg("%s asked at %s: %s", rows[i].bind, rows[i].ask, client.err.text);
        m = &client.result[FLOW_SENT].metrics;
        assert_int_equal(100, metric_get(m, METRIC_sent) + metric_get(m, METRIC_missed));
        assert_int_equal(0, metric_get(m, METRIC_lost));
        assert_delays_make_sense(&client);
        /* That it has our clock is nothing that it can prove. */
        assert_true(metric_get_real(m, METRIC_clock_error_ns) > 0);
        pair_forget(&client);
        reflecting_end(&x);
    }
}

static void test_only_test_packets_are_reflected_and_never_with_more_bytes(void **state)
{
    struct reflecting x;
    struct sockaddr_in to = {.sin_family = AF_INET};
    const struct stamp_test test = {
        .sequence = 77, .time = 0x83aa7e8112345678, .error = 1, .ssid = 0x1234};
    struct stamp_answer answer;
    uint8_t bytes[2000] = {0}, back[4000];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)state;
    reflecting_begin(&x, "0.0.0.0");
    to.sin_port = htons(x.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    /* None of these: short, empty, noise, an answer. */
    stamp_packet_write_test(&test, bytes);
    assert_int_equal(43, send(fd, bytes, 43, 0));
    assert_int_equal(0, send(fd, bytes, 0, 0));
    memset(back, 0xa5, sizeof back);
    assert_int_equal(200, send(fd, back, 200, 0));
    stamp_packet_write_answer(&(struct stamp_answer){.sent_ns = 5, .received_ns = 4}, back);
    assert_int_equal(44, send(fd, back, 44, 0));
    /* These: each is answered with its size, and what follows the packet comes back. */
    for (size_t n = STAMP_PACKET_BYTES; n <= sizeof bytes; n += 489) {
        memset(bytes + STAMP_PACKET_BYTES, 0x5a, sizeof bytes - STAMP_PACKET_BYTES);
        assert_int_equal(n, send(fd, bytes, n, 0));
        assert_int_equal(n, recv(fd, back, sizeof back, 0));
        assert_int_equal(0, stamp_packet_read_answer(back, n, &answer));
        assert_int_equal(77, answer.sequence);
        assert_int_equal(77, answer.test.sequence);
        assert_int_equal(0x1234, answer.ssid);
        assert_true(answer.test.time == test.time);
        assert_true(answer.received_ns <= answer.sent_ns);
        assert_true(answer.ttl > 0);
        assert_memory_equal(bytes + STAMP_PACKET_BYTES, back + STAMP_PACKET_BYTES,
                            n - STAMP_PACKET_BYTES);
    }
    assert_int_equal(-1, recv(fd, back, sizeof back, MSG_DONTWAIT));
    assert_int_equal(4, x.reflector.ignored);
    close(fd);
    reflecting_end(&x);
}

/*
 * A reflector by hand, of TWAMP light: 41 bytes, PTP times of a clock an hour ahead. It loses the packet 10, answers 20
 * twice, and 30 after 31.
 */
struct strange_reflector {
    int fd;
    uint32_t last;
    pthread_t thread;
};

static void *strange_main(void *arg)
{
    struct strange_reflector *s = arg;
    struct stamp_answer held = {0};

    for (;;) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        struct stamp_answer a = {.error = STAMP_PACKET_PTP | 1};
        uint8_t bytes[STAMP_PACKET_BYTES];
        struct sockaddr_in from;
        struct sockaddr *any = (struct sockaddr *)&from;
        socklen_t len = sizeof from;
        ssize_t n;

        if (poll(&p, 1, 1500) <= 0)
            return NULL;
        n = recvfrom(s->fd, bytes, sizeof bytes, 0, any, &len);
        if (n < 0 || stamp_packet_read_test(bytes, (size_t)n, &a.test) < 0)
            continue;
        a.received_ns = clock_wall_ns() + 3600 * (uint64_t)CLOCK_S;
        a.sent_ns = clock_wall_ns() + 3600 * (uint64_t)CLOCK_S;
        if (a.test.sequence == 30)
            held = a;
        if (a.test.sequence == 10 || a.test.sequence == 30)
            continue;
        stamp_packet_write_answer(&a, bytes);
        sendto(s->fd, bytes, STAMP_PACKET_ANSWER_MIN, 0, any, len);
        if (a.test.sequence == 20)
            sendto(s->fd, bytes, STAMP_PACKET_ANSWER_MIN, 0, any, len);
        if (a.test.sequence == 31) {
            stamp_packet_write_answer(&held, bytes);
            sendto(s->fd, bytes, STAMP_PACKET_ANSWER_MIN, 0, any, len);
        }
    }
}

static void test_any_reflector_will_do_and_what_it_does_wrong_is_counted(void **state)
{
    struct flow_spec spec = pair_spec(FLOW_STAMP, "127.0.0.1", FLOW_FORWARD, 1, 44);
    struct strange_reflector strange = {0};
    const struct metric_set *m;
    struct pair_side client;
    uint16_t port;

    (void)state;
    spec.role = FLOW_SERVER;
    strange.fd = socket_bind_range(&spec, SOCK_DGRAM, &port, NULL);
    assert_true(strange.fd >= 0);
    assert_int_equal(0, pthread_create(&strange.thread, NULL, strange_main, &strange));
    client = client_of(port, "127.0.0.1", 5 * CLOCK_MS);
    client.trial =
        (struct flow_trial){.number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S, .count = 50};
    client_run(&client);
    if (client.r < 0)
        fail_msg("%s", client.err.text);
    m = &client.result[FLOW_SENT].metrics;
    assert_int_equal(50, metric_get(m, METRIC_sent));
    assert_int_equal(49, metric_get(m, METRIC_received));
    assert_int_equal(1, metric_get(m, METRIC_lost));
    assert_int_equal(1, metric_get(m, METRIC_longest_loss));
    assert_int_equal(1, metric_get(m, METRIC_duplicated));
    assert_int_equal(1, metric_get(m, METRIC_reordered));
    assert_int_equal(49, pair_rtt_count(&client, FLOW_SENT));
    assert_delays_make_sense(&client);
    /* The hour is in none of them. */
    assert_true(metric_get_real(m, METRIC_forward_max_ns) < 60.0 * CLOCK_S);
    assert_true(metric_get_real(m, METRIC_backward_min_ns) >= 0);
    pair_forget(&client);
    pthread_join(strange.thread, NULL);
    close(strange.fd);
}

static void test_a_port_where_nobody_reflects_is_told(void **state)
{
    struct flow_spec spec = pair_spec(FLOW_STAMP, "127.0.0.1", FLOW_FORWARD, 1, 44);
    struct pair_side client;
    uint16_t port;
    int fd;

    (void)state;
    spec.role = FLOW_SERVER;
    fd = socket_bind_range(&spec, SOCK_DGRAM, &port, NULL);
    /* Somebody who is silent. */
    client = client_of(port, "127.0.0.1", CLOCK_MS);
    client_run(&client);
    assert_int_equal(-ETIMEDOUT, client.r);
    assert_non_null(strstr(client.err.text, "is there a reflector?"));
    pair_forget(&client);
    close(fd);
    /* Nobody at all. */
    client = client_of(port, "127.0.0.1", CLOCK_MS);
    client_run(&client);
    assert_int_equal(-ECONNREFUSED, client.r);
    assert_non_null(strstr(client.err.text, "nobody reflects"));
    pair_forget(&client);
}

static void test_silence_of_3_s_is_an_error_on_both_sides(void **state)
{
    const struct flow_spec spec = pair_spec(FLOW_STAMP, "127.0.0.1", FLOW_FORWARD, 1, 44);

    (void)state;
    pair_check_silence(spec, "no answer", spec, "no test packet for 3 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_test_packets_between_agents_are_answered),
        cmocka_unit_test(test_a_count_ends_both_sides),
        cmocka_unit_test(
            test_a_reflector_without_a_session_answers_from_the_address_it_was_asked_at),
        cmocka_unit_test(test_only_test_packets_are_reflected_and_never_with_more_bytes),
        cmocka_unit_test(test_any_reflector_will_do_and_what_it_does_wrong_is_counted),
        cmocka_unit_test(test_a_port_where_nobody_reflects_is_told),
        cmocka_unit_test(test_silence_of_3_s_is_an_error_on_both_sides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
