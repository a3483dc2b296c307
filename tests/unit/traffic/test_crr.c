/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "base/auto.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>

enum { COUNT = 30 };

/* One ends by its count, whatever time that takes; one by its window, whatever fits into that. */
static const struct flow_trial trials[] = {
    {.number = 1,
     .warmup_ns = 20 * CLOCK_MS,
     .duration_ns = 3600 * (uint64_t)CLOCK_S,
     .count = COUNT},
    {.number = 2,
     .warmup_ns = 20 * CLOCK_MS,
     .duration_ns = 100 * CLOCK_MS,
     .interval_ns = 50 * CLOCK_MS},
};

static uint32_t open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint32_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Sockets of this namespace in TIME_WAIT (state 06) that have to do with a port. */
static uint32_t waiting_sockets(uint16_t port)
{
    FILE *f = fopen("/proc/net/tcp", "re");
    char line[256];
    uint32_t n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        unsigned own, other, state;

        if (sscanf(line, " %*d: %*[^:]:%x %*[^:]:%x %x", &own, &other, &state) == 3 &&
            (own == port || other == port) && state == 6)
            n++;
    }
    fclose(f);
    return n;
}

static void test_each_transaction_is_a_connection(void **state)
{
    static const struct {
        const char *address;
        uint32_t n_flows, payload_bytes;
        bool spin;
        uint64_t gap_ns;
    } rows[] = {
        {"127.0.0.1", 1, 1, false, 0},        {"::1", 4, 1000, false, 0},
        {"127.0.0.1", 1, 1, true, 0},         {"127.0.0.1", 2, FLOW_MAX_RR, false, 0},
        {"127.0.0.1", 1, 1, false, CLOCK_MS}, {"::1", 3, 1, true, 5 * CLOCK_MS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec = pair_spec(FLOW_TCP_CRR, rows[i].address, FLOW_FORWARD,
                                          rows[i].n_flows, rows[i].payload_bytes);
        uint32_t files = open_files(), waiting;
        struct pair pair;

        spec.spin = rows[i].spin;
        spec.gap_ns = rows[i].gap_ns;
        pair_open(&pair, spec);
        /* The kernel's choice may be a port that another program has had a minute ago. */
        waiting = waiting_sockets(pair.client.spec.port);
        for (size_t k = 0; k < ARRAY_SIZE(trials); k++) {
            uint64_t n;

            pair_run(&pair, &trials[k]);
            n = pair_count(&pair.client, FLOW_SENT, METRIC_transactions);
            assert_int_equal(n, pair_rtt_count(&pair.client, FLOW_SENT));
            assert_int_equal(n * rows[i].payload_bytes,
                             pair_count(&pair.client, FLOW_SENT, METRIC_bytes));
            assert_int_equal(pair_has(&pair.client, FLOW_SENT, METRIC_connect_ns), n > 0);
            assert_int_equal(0, pair_count(&pair.server, FLOW_RECEIVED, METRIC_refused));
            assert_int_equal(pair_has(&pair.client, FLOW_SENT, METRIC_missed), rows[i].gap_ns != 0);
            if (trials[k].count == 0)
                continue;
            assert_int_equal(COUNT, n);
            assert_true(pair_count(&pair.client, FLOW_SENT, METRIC_cpu_ns) > 0);
            assert_true(pair_count(&pair.server, FLOW_RECEIVED, METRIC_packets) > 0);
        }
        assert_in_range(waiting_sockets(pair.client.spec.port), 0, waiting);
        pair_close(&pair);
        assert_int_equal(files, open_files());
    }
}

static void test_a_count_is_kept_and_ends_both_sides(void **state)
{
    struct flow_trial counted = {
        .number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S, .count = 100};
    struct pair pair;

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_CRR, "127.0.0.1", FLOW_FORWARD, 3, 64));
    for (counted.number = 1; counted.number <= 2; counted.number++) {
        pair_run(&pair, &counted);
        assert_int_equal(100, pair_count(&pair.client, FLOW_SENT, METRIC_transactions));
        assert_int_equal(100, pair_count(&pair.server, FLOW_RECEIVED, METRIC_packets));
    }
    pair_close(&pair);
}

static int stranger(const struct pair *pair)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(pair->client.spec.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    return fd;
}

/* One with a wrong token, one with another language, one who says half a hello, one who says nothing. */
static void test_strangers_get_nothing_and_hold_nobody_up(void **state)
{
    struct flow_trial t = {.number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S, .count = 2000};
    struct flow_spec other;
    struct pair pair;
    uint8_t hello[TOKEN_HELLO_BYTES + 64] = {0}, byte;
    int fds[4];

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_CRR, "127.0.0.1", FLOW_FORWARD, 2, 64));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = stranger(&pair);
    other = pair.client.spec;
    other.token[3] ^= 0x10;
    token_write_hello(&other, 0, hello);
    assert_int_equal(sizeof hello, send(fds[0], hello, sizeof hello, MSG_NOSIGNAL));
    assert_int_equal(
        37, send(fds[1], "GET /a/page/of/some/sort/please HTTP/1.0\r\n", 37, MSG_NOSIGNAL));
    token_write_hello(&pair.client.spec, 0, hello);
    assert_int_equal(10, send(fds[2], hello, 10, MSG_NOSIGNAL));
    pair_run(&pair, &t);
    assert_int_equal(2000, pair_count(&pair.client, FLOW_SENT, METRIC_transactions));
    assert_true(pair_count(&pair.server, FLOW_RECEIVED, METRIC_refused) >= 2);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        assert_true(recv(fds[i], &byte, 1, MSG_DONTWAIT) <= 0);
        close(fds[i]);
    }
    pair_close(&pair);
}

static void test_a_closed_port_is_told_at_once(void **state)
{
    struct flow_trial hour = {.number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S};
    struct pair pair;

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_CRR, "127.0.0.1", FLOW_FORWARD, 1, 64));
    engine_close(pair.server.engine);
    pair.server.engine = NULL;
    pair_run_begin(&pair.client, &hour);
    pair_join(&pair.client);
    assert_int_equal(-ECONNREFUSED, pair.client.r);
    assert_non_null(strstr(pair.client.err.text, "the server's port is closed"));
    pair_close(&pair);
}

static void test_a_client_that_is_gone_is_told_by_the_server(void **state)
{
    struct flow_trial hour = {.number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S};
    struct pair pair;

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_CRR, "127.0.0.1", FLOW_FORWARD, 2, 64));
    pair_run_begin(&pair.server, &hour);
    engine_close(pair.client.engine);
    pair.client.engine = NULL;
    pair_join(&pair.server);
    assert_true(pair.server.r < 0);
    assert_non_null(strstr(pair.server.err.text, "the client is gone"));
    pair_close(&pair);
}

static void test_silence_of_3_s_is_an_error_on_both_sides(void **state)
{
    (void)state;
    /* The one's server accepts in its kernel and never answers, the other's client never comes. */
    pair_check_silence(
        pair_spec(FLOW_TCP_CRR, "127.0.0.1", FLOW_FORWARD, 1, 64), "no answer for 3 s",
        pair_spec(FLOW_TCP_CRR, "127.0.0.1", FLOW_FORWARD, 2, 64), "no connection for 3 s");
}

/* A server by hand that opens the session well, and then closes every connection without a word. */
struct mute_server {
    struct flow_spec spec;
    int fd;
    pthread_t thread;
};

static void *mute_server_main(void *arg)
{
    struct mute_server *s = arg;
    int first = -1;

    for (;;) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        uint8_t hello[TOKEN_HELLO_BYTES], welcome[TOKEN_WELCOME_BYTES];
        int fd;

        if (poll(&p, 1, 1000) <= 0)
            break;
        fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        (void)!recv(fd, hello, sizeof hello, MSG_WAITALL);
        if (first >= 0) {
            close(fd);
            continue;
        }
        token_write_welcome(&s->spec, 0, welcome);
        (void)!send(fd, welcome, sizeof welcome, MSG_NOSIGNAL);
        first = fd;
    }
    close(first);
    return NULL;
}

static void test_a_connection_closed_without_an_answer_is_an_error(void **state)
{
    struct mute_server mute = {.spec = pair_spec(FLOW_TCP_CRR, "127.0.0.1", FLOW_FORWARD, 1, 64)};
    struct pair_side client = {.spec = mute.spec, .stop_fd = -1};

    (void)state;
    client.trial = (struct flow_trial){.number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S};
    mute.fd = socket_bind_range(&mute.spec, SOCK_STREAM, &client.spec.port, NULL);
    assert_true(mute.fd >= 0);
    assert_int_equal(0, pthread_create(&mute.thread, NULL, mute_server_main, &mute));
    if (engine_open(&client.spec, -1, &client.engine, &client.err) < 0)
        fail_msg("%s", client.err.text);
    client.trial.start_ns = clock_mono_ns();
    pair_run_main(&client);
    assert_true(client.r < 0);
    assert_non_null(strstr(client.err.text, "without an answer"));
    pair_forget(&client);
    engine_close(client.engine);
    pthread_join(mute.thread, NULL);
    close(mute.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_transaction_is_a_connection),
        cmocka_unit_test(test_a_count_is_kept_and_ends_both_sides),
        cmocka_unit_test(test_strangers_get_nothing_and_hold_nobody_up),
        cmocka_unit_test(test_a_closed_port_is_told_at_once),
        cmocka_unit_test(test_a_client_that_is_gone_is_told_by_the_server),
        cmocka_unit_test(test_silence_of_3_s_is_an_error_on_both_sides),
        cmocka_unit_test(test_a_connection_closed_without_an_answer_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
