/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "base/auto.h"
#include "traffic/engine.h"

#include <fcntl.h>

static const struct flow_trial short_trial = {
    .number = 1,
    .warmup_ns = 20 * CLOCK_MS,
    .duration_ns = 100 * CLOCK_MS,
    .tail_ns = 20 * CLOCK_MS,
    .interval_ns = 40 * CLOCK_MS,
};

/* A plain connection to the server, not of ours. */
static int stranger(const struct pair *pair)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(pair->client.spec.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    return fd;
}

/* Until the peer closes it; true when it said nothing before. */
static bool is_closed_in_silence(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) <= 0;
}

static void test_silent_and_false_connections_do_not_keep_out_ours(void **state)
{
    struct pair pair;
    int silent[8], liar;

    (void)state;
    pair_listen(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, 2, 4096));
    for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
        silent[i] = stranger(&pair);
    liar = stranger(&pair);
    assert_int_equal(40, send(liar, "GET / HTTP/1.1\r\nHost: somewhere.invalid\r\n", 40, 0));
    pair_accept_begin(&pair);
    assert_true(is_closed_in_silence(liar)); /* it was thrown out before ours come */
    pair_connect(&pair);
    pair_run(&pair, &short_trial);
    assert_int_equal(ARRAY_SIZE(silent) + 1,
                     pair_count(&pair.server, FLOW_RECEIVED, METRIC_refused));
    assert_true(pair_count(&pair.server, FLOW_RECEIVED, METRIC_bytes) > 0);
    for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
        assert_true(is_closed_in_silence(silent[i]));
        close(silent[i]);
    }
    close(liar);
    pair_close(&pair);
}

static void test_more_strangers_than_the_door_holds_only_delay(void **state)
{
    struct pair pair;
    int fds[70];

    (void)state;
    pair_listen(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 4096));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = stranger(&pair);
    pair_accept_begin(&pair);
    pair_connect(&pair);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        assert_true(is_closed_in_silence(fds[i]));
        close(fds[i]);
    }
    pair_close(&pair);
}

static void test_a_client_with_another_token_is_turned_away(void **state)
{
    struct pair pair;
    struct flow_spec other;
    struct engine *engine = NULL;
    struct err err = {0};

    (void)state;
    pair_listen(&pair, pair_spec(FLOW_TCP_RR, "127.0.0.1", FLOW_FORWARD, 1, 1));
    pair_accept_begin(&pair);
    other = pair.client.spec;
    other.token[0] ^= 1;
    assert_int_equal(-EACCES, engine_open(&other, -1, &engine, &err));
    assert_non_null(strstr(err.text, "flow 0"));
    assert_null(engine);
    pair_connect(&pair);
    assert_int_equal(1, pair.server.engine->refused);
    pair_close(&pair);
}

/* Who answers there without knowing the token is not taken for the server. */
static void *impostor_main(void *arg)
{
    int listen_fd = *(int *)arg, fd = accept(listen_fd, NULL, NULL);
    char bytes[TOKEN_HELLO_BYTES];

    if (fd >= 0 && recv(fd, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes &&
        send(fd, bytes, TOKEN_WELCOME_BYTES, MSG_NOSIGNAL) > 0)
        (void)!recv(fd, bytes, 1, 0);
    close(fd);
    return NULL;
}

static void test_a_server_without_the_token_is_not_believed(void **state)
{
    struct flow_spec spec = pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 4096);
    struct engine *engine = NULL;
    struct err err = {0};
    pthread_t thread;
    int fd;

    (void)state;
    spec.role = FLOW_SERVER;
    fd = socket_bind_range(&spec, SOCK_STREAM, &spec.port, &err);
    assert_true(fd >= 0);
    assert_int_equal(0, fcntl(fd, F_SETFL, 0));
    assert_int_equal(0, pthread_create(&thread, NULL, impostor_main, &fd));
    spec.role = FLOW_CLIENT;
    assert_int_equal(-EACCES, engine_open(&spec, -1, &engine, &err));
    assert_non_null(strstr(err.text, "not our server"));
    pthread_join(thread, NULL);
    close(fd);
}

static void test_a_taken_port_leads_to_the_next(void **state)
{
    static const enum flow_kind kinds[] = {FLOW_TCP_STREAM, FLOW_UDP_RR};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct flow_spec spec = pair_spec(kinds[i], "127.0.0.1", FLOW_FORWARD, 1, 64);
        struct engine *first = NULL, *second = NULL, *third = NULL;
        struct err err = {0};

        spec.role = FLOW_SERVER;
        /* Two neighbours that are both free: look until there are. */
        for (spec.port = 20011; !second; spec.port += 2) {
            spec.port_last = spec.port;
            if (engine_open(&spec, -1, &first, &err) < 0)
                continue;
            spec.port_last = spec.port + 1;
            if (engine_open(&spec, -1, &second, &err) < 0) {
                engine_close(first);
                continue;
            }
            break;
        }
        assert_int_equal(spec.port, engine_port(first));
        assert_int_equal(spec.port + 1, engine_port(second));
        assert_int_equal(-EADDRINUSE, engine_open(&spec, -1, &third, &err));
        assert_non_null(strstr(err.text, "are taken"));
        spec.port_last = spec.port;
        assert_int_equal(-EADDRINUSE, engine_open(&spec, -1, &third, &err));
        engine_close(first);
        engine_close(second);
    }
}

static void test_what_cannot_be_is_refused_in_words(void **state)
{
    struct flow_spec good = pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 4096), bad;
    struct engine *engine = NULL;
    struct err err = {0};

    (void)state;
    bad = good;
    bad.n_flows = 0;
    assert_int_equal(-EINVAL, engine_open(&bad, -1, &engine, &err));
    assert_non_null(strstr(err.text, "0 flows"));
    bad = good;
    strcpy(bad.address, "example");
    assert_int_equal(-EINVAL, engine_open(&bad, -1, &engine, &err));
    bad = good;
    bad.role = FLOW_SERVER;
    strcpy(bad.address, "192.0.2.1"); /* TEST-NET-1: nobody's */
    assert_int_equal(-EADDRNOTAVAIL, engine_open(&bad, -1, &engine, &err));
    bad = good;
    strcpy(bad.cc, "nosuchcc");
    assert_true(engine_open(&bad, -1, &engine, &err) < 0);
    assert_non_null(strstr(err.text, "nosuchcc"));
    assert_non_null(strstr(err.text, "reno")); /* always built in */
    assert_null(engine);
    engine_close(NULL);
}

static void test_nobody_listening_is_told_at_once(void **state)
{
    static const enum flow_kind kinds[] = {FLOW_TCP_STREAM, FLOW_UDP_RR};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct pair pair;
        struct engine *engine = NULL;
        struct err err = {0};

        pair_listen(&pair, pair_spec(kinds[i], "127.0.0.1", FLOW_FORWARD, 1, 64));
        engine_close(pair.server.engine);
        pair.server.engine = NULL;
        assert_int_equal(-ECONNREFUSED, engine_open(&pair.client.spec, -1, &engine, &err));
        assert_non_null(strstr(err.text, "127.0.0.1 port"));
        pair_close(&pair);
    }
}

static void test_waiting_for_flows_has_an_end(void **state)
{
    static const enum flow_kind kinds[] = {FLOW_TCP_STREAM, FLOW_UDP_RR};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct pair pair;
        struct flow_spec spec = pair_spec(kinds[i], "127.0.0.1", FLOW_FORWARD, 3, 64);

        spec.connect_ns = 30 * CLOCK_MS;
        pair_listen(&pair, spec);
        assert_int_equal(-ETIMEDOUT, engine_accept(pair.server.engine, &pair.server.err));
        assert_non_null(strstr(pair.server.err.text, "3 of 3 flows did not come"));
        pair_close(&pair);
    }
}

static void test_stop_ends_opening_and_accepting(void **state)
{
    static const enum flow_kind kinds[] = {FLOW_TCP_STREAM, FLOW_UDP_RR};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct pair pair;
        struct engine *engine = NULL;
        struct err err = {0};

        pair_listen(&pair, pair_spec(kinds[i], "127.0.0.1", FLOW_FORWARD, 1, 64));
        /* Nobody accepts, so the client would wait for its welcome. */
        pair_stop(&pair.client);
        assert_int_equal(-ECANCELED,
                         engine_open(&pair.client.spec, pair.client.stop_fd, &engine, &err));
        pair_stop(&pair.server);
        assert_int_equal(-ECANCELED, engine_accept(pair.server.engine, &pair.server.err));
        pair_close(&pair);
    }
}

struct seen {
    uint32_t n[FLOW_PART_COUNT];
    uint64_t bytes[FLOW_PART_COUNT];
};

static void see_interval(void *arg, enum flow_part part, uint32_t index,
                         const struct flow_interval *interval)
{
    struct seen *seen = arg;

    if (index == 0) /* of a trial that had to be done again, too */
        seen->n[part] = 0, seen->bytes[part] = 0;
    assert_int_equal(seen->n[part], index);
    seen->n[part]++;
    seen->bytes[part] += interval->bytes;
}

static void test_each_interval_is_told_once_and_in_order(void **state)
{
    struct pair pair;
    struct seen seen = {0};

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_BOTH, 1, 4096));
    pair.client.on_interval = see_interval;
    pair.client.arg = &seen;
    pair_run(&pair, &short_trial);
    for (int part = 0; part < FLOW_FAR_SENT; part++) {
        const struct flow_result *result = &pair.client.result[part];
        uint64_t sum = 0;

        assert_int_equal(3, seen.n[part]); /* 40, 40 and 20 ms */
        assert_int_equal(3, result->n_intervals);
        for (uint32_t i = 0; i < result->n_intervals; i++)
            sum += result->intervals[i].bytes;
        assert_int_equal(pair_count(&pair.client, (enum flow_part)part, METRIC_bytes), sum);
        assert_true(seen.bytes[part] <= sum);
        assert_true(sum > 0);
    }
    pair_close(&pair);
}

/* Both sides have counted something: each says so once, and the second ends the client's trial. */
struct counted {
    struct pair *pair;
    atomic_uint parts; /* bits, of enum flow_part */
};

static void see_counted(void *arg, enum flow_part part, uint32_t index,
                        const struct flow_interval *interval)
{
    const unsigned both = 1u << FLOW_SENT | 1u << FLOW_RECEIVED;
    struct counted *counted = arg;
    unsigned bit = 1u << part;

    (void)index;
    if (interval->bytes && (atomic_fetch_or(&counted->parts, bit) | bit) == both)
        pair_stop(&counted->pair->client);
}

static void test_a_stopped_trial_keeps_what_was_counted(void **state)
{
    static const enum flow_kind kinds[] = {FLOW_TCP_STREAM, FLOW_TCP_RR, FLOW_UDP_RR};
    struct flow_trial hour = short_trial;

    (void)state;
    hour.duration_ns = 3600 * (uint64_t)CLOCK_S;
    hour.interval_ns = 200 * CLOCK_MS;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct pair pair;
        struct counted counted = {.pair = &pair};

        pair_open(&pair, pair_spec(kinds[i], "127.0.0.1", FLOW_FORWARD, 3, 64));
        pair.client.on_interval = pair.server.on_interval = see_counted;
        pair.client.arg = pair.server.arg = &counted;
        pair_run_begin(&pair.server, &hour);
        pair_run_begin(&pair.client, &hour);
        pair_join(&pair.client);
        assert_int_equal(-ECANCELED, pair.client.r);
        pair_stop(&pair.server);
        pair_join(&pair.server);
        assert_int_equal(-ECANCELED, pair.server.r);
        assert_true(pair_count(&pair.client, FLOW_SENT, METRIC_bytes) > 0);
        assert_true(pair_count(&pair.server, FLOW_RECEIVED, METRIC_bytes) > 0);
        assert_true(pair_count(&pair.client, FLOW_SENT, METRIC_window_ns) < hour.duration_ns);
        assert_true(pair.client.result[FLOW_SENT].n_intervals < 18000);
        pair_close(&pair);
    }
}

static void test_a_trial_that_cannot_be_leaves_nothing(void **state)
{
    struct pair pair;
    struct flow_trial none = short_trial;

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 4096));
    none.duration_ns = 0;
    assert_int_equal(-EINVAL, engine_run(pair.client.engine, &none, NULL, NULL, pair.client.result,
                                         pair.client.has, &pair.client.err));
    assert_false(pair.client.has[FLOW_SENT] || pair.client.has[FLOW_RECEIVED]);
    pair_run(&pair, &short_trial);
    pair_close(&pair);
}

static void test_cpu_time_of_both_kinds_is_told(void **state)
{
    struct pair pair;

    (void)state;
    pair_open(&pair, pair_spec(FLOW_TCP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 65536));
    pair_run(&pair, &short_trial);
    for (int part = 0; part < FLOW_FAR_SENT; part++) {
        const struct pair_side *side = part == FLOW_SENT ? &pair.client : &pair.server;
        enum flow_part p = (enum flow_part)part;

        assert_true(pair_count(side, p, METRIC_cpu_ns) > 0);
        assert_int_equal(pair_count(side, p, METRIC_cpu_ns),
                         pair_count(side, p, METRIC_cpu_user_ns) +
                             pair_count(side, p, METRIC_cpu_system_ns));
        assert_true(pair_count(side, p, METRIC_node_cpus) > 0);
        assert_true(pair_has(side, p, METRIC_node_system_ns));
        assert_true(pair_has(side, p, METRIC_cpu_s_per_gb));
        assert_true(pair_has(side, p, METRIC_busiest_thread_share));
        assert_int_equal(side->trial.duration_ns, pair_count(side, p, METRIC_window_ns));
    }
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent_and_false_connections_do_not_keep_out_ours),
        cmocka_unit_test(test_more_strangers_than_the_door_holds_only_delay),
        cmocka_unit_test(test_a_client_with_another_token_is_turned_away),
        cmocka_unit_test(test_a_server_without_the_token_is_not_believed),
        cmocka_unit_test(test_a_taken_port_leads_to_the_next),
        cmocka_unit_test(test_what_cannot_be_is_refused_in_words),
        cmocka_unit_test(test_nobody_listening_is_told_at_once),
        cmocka_unit_test(test_waiting_for_flows_has_an_end),
        cmocka_unit_test(test_stop_ends_opening_and_accepting),
        cmocka_unit_test(test_each_interval_is_told_once_and_in_order),
        cmocka_unit_test(test_a_stopped_trial_keeps_what_was_counted),
        cmocka_unit_test(test_a_trial_that_cannot_be_leaves_nothing),
        cmocka_unit_test(test_cpu_time_of_both_kinds_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
