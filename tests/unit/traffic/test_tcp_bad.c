/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "base/auto.h"
#include "traffic/tcp_stall.h"

#include <fcntl.h>
#include <sys/resource.h>

/* TCP streams on bad days, and over connections of somebody else's. */

static const struct flow_trial trial = {
    .number = 1,
    .warmup_ns = 20 * CLOCK_MS,
    .duration_ns = 300 * CLOCK_MS,
    .tail_ns = 20 * CLOCK_MS,
};

static struct flow_spec tcp_spec(enum flow_direction direction, uint32_t n_flows)
{
    return pair_spec(FLOW_TCP_STREAM, "127.0.0.1", direction, n_flows, 4096);
}

/* n connected pairs of sockets. */
static void connect_pairs(int *ours, int *theirs, uint32_t n)
{
    union socket_address at = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)}};
    socklen_t len = sizeof at.v4;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(0, bind(listener, &at.any, len));
    assert_int_equal(0, listen(listener, (int)n));
    assert_int_equal(0, getsockname(listener, &at.any, &len));
    for (uint32_t i = 0; i < n; i++) {
        ours[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(0, connect(ours[i], &at.any, len));
        theirs[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(theirs[i] >= 0);
    }
    close(listener);
}

static void test_connections_of_others_are_taken_over(void **state)
{
    static const struct {
        enum flow_direction direction;
        enum flow_io io;
        uint32_t n_flows, n_fds;
    } rows[] = {
        {FLOW_FORWARD, FLOW_IO_APP, 1, 1},  {FLOW_REVERSE, FLOW_IO_APP, 3, 3},
        {FLOW_BOTH, FLOW_IO_APP, 2, 4},     {FLOW_FORWARD, FLOW_IO_LEAN, 3, 3},
        {FLOW_REVERSE, FLOW_IO_LEAN, 1, 1}, {FLOW_BOTH, FLOW_IO_LEAN, 2, 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec = tcp_spec(rows[i].direction, rows[i].n_flows);
        struct pair pair = {0};
        int ours[4], theirs[4];

        spec.io = rows[i].io;
        spec.port = 9;
        pair.client.spec = pair.server.spec = spec;
        pair.server.spec.role = FLOW_SERVER;
        pair.client.stop_fd = eventfd(0, EFD_CLOEXEC);
        pair.server.stop_fd = eventfd(0, EFD_CLOEXEC);
        connect_pairs(ours, theirs, rows[i].n_fds);
        assert_int_equal(0, engine_adopt(&pair.client.spec, ours, pair.client.stop_fd,
                                         &pair.client.engine, NULL));
        assert_int_equal(0, engine_adopt(&pair.server.spec, theirs, pair.server.stop_fd,
                                         &pair.server.engine, NULL));
        pair_run(&pair, &trial);
        if (rows[i].direction & FLOW_FORWARD)
            assert_int_equal(rows[i].n_flows, pair.server.result[FLOW_RECEIVED].n_flow_bytes);
        if (rows[i].direction & FLOW_REVERSE)
            assert_int_equal(rows[i].n_flows, pair.client.result[FLOW_RECEIVED].n_flow_bytes);
        for (int part = 0; part <= FLOW_RECEIVED; part++) {
            if (pair.client.has[part])
                assert_true(pair_count(&pair.client, (enum flow_part)part, METRIC_bytes) > 0);
            if (pair.server.has[part])
                assert_true(pair_count(&pair.server, (enum flow_part)part, METRIC_bytes) > 0);
        }
        pair_close(&pair);
    }
}

static void test_what_is_not_taken_over_is_closed(void **state)
{
    struct flow_spec spec = pair_spec(FLOW_UDP_STREAM, "127.0.0.1", FLOW_FORWARD, 1, 1000);
    struct engine *engine = NULL;
    struct err err = {0};
    int ours, theirs;

    (void)state;
    spec.port = 9;
    spec.gso = 1;
    connect_pairs(&ours, &theirs, 1);
    assert_int_equal(-EINVAL, engine_adopt(&spec, &ours, -1, &engine, &err));
    assert_true(err.text[0] != '\0');
    assert_int_equal(-1, fcntl(ours, F_GETFD));
    assert_int_equal(EBADF, errno);
    close(theirs);
}

/* The soft limit of open files for the length of a test; false: the hard one is lower. */
static bool limit_files(rlim_t n, struct rlimit *ret_was)
{
    struct rlimit limit;

    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, ret_was));
    limit = *ret_was;
    limit.rlim_cur = n;
    return n <= limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void test_a_thousand_flows_run(void **state)
{
    struct rlimit was;
    struct pair pair;

    (void)state;
    if (!limit_files(2200, &was))
        skip();
    pair_open(&pair, tcp_spec(FLOW_FORWARD, 1000));
    pair_run(&pair, &trial);
    assert_int_equal(1000, pair.client.result[FLOW_SENT].n_flow_bytes);
    assert_int_equal(1000, pair.server.result[FLOW_RECEIVED].n_flow_bytes);
    assert_true(pair_count(&pair.server, FLOW_RECEIVED, METRIC_bytes) > 0);
    pair_close(&pair);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &was));
}

static void test_too_few_files_for_a_client_is_said(void **state)
{
    struct engine *engine = NULL;
    struct err err = {0};
    struct rlimit was;
    struct pair pair;

    (void)state;
    pair_listen(&pair, tcp_spec(FLOW_FORWARD, 1000));
    assert_true(limit_files(100, &was));
    assert_int_equal(-EMFILE, engine_open(&pair.client.spec, pair.client.stop_fd, &engine, &err));
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &was));
    assert_non_null(strstr(err.text, "1000 flows need more than the 100 files"));
    assert_non_null(strstr(err.text, "RLIMIT_NOFILE"));
    pair_close(&pair);
}

static void test_too_few_files_for_a_server_is_said(void **state)
{
    struct pair pair;
    struct rlimit was;
    int ours[100];

    (void)state;
    pair_listen(&pair, tcp_spec(FLOW_FORWARD, 1000));
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        union socket_address at = {.v4 = {.sin_family = AF_INET,
                                          .sin_addr.s_addr = htonl(0x7f000001),
                                          .sin_port = htons(pair.client.spec.port)}};

        ours[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(0, connect(ours[i], &at.any, sizeof at.v4));
    }
    assert_true(limit_files(ours[ARRAY_SIZE(ours) - 1] + 10, &was));
    assert_int_equal(-EMFILE, engine_accept(pair.server.engine, &pair.server.err));
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &was));
    assert_non_null(strstr(pair.server.err.text, "1000 flows need more than the "));
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        close(ours[i]);
    pair_close(&pair);
}

/* The server's side has the connections and never reads from them. */
static void test_a_receiver_that_reads_nothing_is_named(void **state)
{
    static const struct {
        enum flow_io io;
        uint32_t n_flows;
    } rows[] = {{FLOW_IO_APP, 1}, {FLOW_IO_LEAN, 1}, {FLOW_IO_APP, 3}, {FLOW_IO_LEAN, 3}};
    struct pair pairs[ARRAY_SIZE(rows)];
    struct flow_trial hour = trial;

    (void)state;
    hour.duration_ns = 3600 * (uint64_t)CLOCK_S;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec = tcp_spec(FLOW_FORWARD, rows[i].n_flows);

        spec.io = rows[i].io;
        spec.payload_bytes = 65536;
        pair_open(&pairs[i], spec);
        pair_run_begin(&pairs[i].client, &hour);
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        pair_join(&pairs[i].client);
        assert_int_equal(-ETIMEDOUT, pairs[i].client.r);
        assert_non_null(strstr(pairs[i].client.err.text, "the peer reads nothing"));
        pair_close(&pairs[i]);
    }
}

static struct tcp_sample sample(uint64_t mss, uint64_t window, uint64_t acked, uint64_t retransmits)
{
    struct tcp_sample s = {0};

    s.has[TCP_FIELD_SND_MSS_BYTES] = s.has[TCP_FIELD_SND_WND_BYTES] = s.has[TCP_FIELD_BYTES_ACKED] =
        s.has[TCP_FIELD_TOTAL_RETRANS] = true;
    s.value[TCP_FIELD_SND_MSS_BYTES] = mss;
    s.value[TCP_FIELD_SND_WND_BYTES] = window;
    s.value[TCP_FIELD_BYTES_ACKED] = acked;
    s.value[TCP_FIELD_TOTAL_RETRANS] = retransmits;
    return s;
}

static void test_why_a_stream_stands_still_is_told(void **state)
{
    const struct tcp_sample nothing = {0}, shut = sample(1448, 0, 1000000, 0),
                            hole = sample(8948, 65535, 33, 5),
                            silent = sample(1448, 65535, 9999, 5),
                            start = sample(1448, 65535, 33, 0);
    const struct {
        const struct tcp_sample *sample;
        bool sends;
        int code;
        const char *words;
    } rows[] = {
        {&nothing, true, ECONNRESET, "the peer closed the connection before the end"},
        {&hole, true, EPIPE, "the peer closed the connection before the end"},
        {&nothing, true, EHOSTUNREACH, "the connection broke"},
        {&nothing, false, ETIMEDOUT, "nothing arrived for 3 s"},
        {&nothing, true, ETIMEDOUT, "the peer acknowledged nothing for 3 s"},
        {&shut, true, ETIMEDOUT,
         "nothing could be sent for 3 s: the peer reads nothing, its window is shut"},
        {&silent, true, ETIMEDOUT, "the peer acknowledged nothing for 3 s"},
        {&start, true, ETIMEDOUT, "the peer acknowledged nothing for 3 s"},
        {&hole, true, ETIMEDOUT,
         "small packets came through, none with an MSS of 8948 bytes did: MTU too large?"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char words[TCP_STALL_WORDS];

        assert_int_equal(tcp_stall_words(rows[i].sample, rows[i].sends, rows[i].code, words),
                         rows[i].sample == &hole && rows[i].code == ETIMEDOUT ? EMSGSIZE
                                                                              : rows[i].code);
        assert_string_equal(rows[i].words, words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_of_others_are_taken_over),
        cmocka_unit_test(test_what_is_not_taken_over_is_closed),
        cmocka_unit_test(test_a_thousand_flows_run),
        cmocka_unit_test(test_too_few_files_for_a_client_is_said),
        cmocka_unit_test(test_too_few_files_for_a_server_is_said),
        cmocka_unit_test(test_a_receiver_that_reads_nothing_is_named),
        cmocka_unit_test(test_why_a_stream_stands_still_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
