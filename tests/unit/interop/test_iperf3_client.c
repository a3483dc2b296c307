/* SPDX-License-Identifier: Apache-2.0 */
/* The client against servers that are none: each ends with a sentence, and soon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "foreign_spec.h"
#include "interop/iperf3_message.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

/* What a server does. Its script is bytes to send, and these: */
enum { WAIT_TEXT = 100, WAIT_END, HANG, CLOSE, RESET };

struct server {
    int listen_fd;
    const int *script; /* ended by HANG, CLOSE or RESET */
    const char *text;  /* sent last, before that end */
    size_t n_text;
};

/* In a thread of its own cmocka's asserts do not work. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool server_read(int fd, void *bytes, size_t n)
{
    return recv(fd, bytes, n, MSG_WAITALL) == (ssize_t)n;
}

static void server_wait(int fd, int what)
{
    uint8_t length[4];
    char skipped[IPERF3_MAX_PARAMS], state = 0;

    if (what == WAIT_TEXT) {
        must(server_read(fd, length, 4));
        must(server_read(fd, skipped, (size_t)length[2] << 8 | length[3]));
        return;
    }
    /* In mid test nothing else is sent. */
    must(server_read(fd, &state, 1) && state == IPERF3_TEST_END);
}

static void *server_main(void *arg)
{
    struct server *s = arg;
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    struct linger now = {.l_onoff = 1};
    char cookie[IPERF3_COOKIE];
    const int *step = s->script;
    struct timeval limit = {.tv_sec = 20};

    must(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    must(server_read(fd, cookie, sizeof cookie) && cookie[IPERF3_COOKIE - 1] == 0);
    for (; *step != HANG && *step != CLOSE && *step != RESET; step++) {
        int8_t byte = (int8_t)*step;

        if (*step == WAIT_TEXT || *step == WAIT_END)
            server_wait(fd, *step);
        else
            must(send(fd, &byte, 1, MSG_NOSIGNAL) == 1);
    }
    if (s->n_text)
        must(send(fd, s->text, s->n_text, MSG_NOSIGNAL) == (ssize_t)s->n_text);
    if (*step == RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    /* The client gives up and closes. */
    while (*step == HANG && recv(fd, cookie, sizeof cookie, 0) > 0)
        ;
    close(fd);
    return NULL;
}

#define TEXT(t) t, sizeof(t) - 1
/* Up to where results are exchanged. */
#define TO_RESULTS                                                                                 \
    IPERF3_PARAM_EXCHANGE, WAIT_TEXT, IPERF3_CREATE_STREAMS, IPERF3_TEST_START,                    \
        IPERF3_TEST_RUNNING, WAIT_END, IPERF3_EXCHANGE_RESULTS

static const struct {
    int script[12];
    const char *text;
    size_t n_text;
    int r;
    const char *words;
} rows[] = {
    {{CLOSE}, TEXT(""), -ECONNRESET, "closed the connection"},
    {{RESET}, TEXT(""), -ECONNRESET, "parameters"},
    {{HANG}, TEXT(""), -ETIMEDOUT, "parameters"},
    {{-1, CLOSE}, TEXT(""), -EBUSY, "busy"},
    {{77, HANG}, TEXT(""), -EPROTO, "state 77"},
    {{'H', HANG}, TEXT("TTP/1.1 400 Bad Request\r\n"), -EPROTO, "is it an iperf3 server"},
    {{9, WAIT_TEXT, -2, HANG}, TEXT("\0\0\0\6\0\0\0\0"), -EREMOTEIO, "too many streams"},
    {{9, WAIT_TEXT, -2, CLOSE}, TEXT("\0"), -EREMOTEIO, "without saying why"},
    {{9, WAIT_TEXT, CLOSE}, TEXT(""), -ECONNRESET, "closed the connection"},
    {{9, WAIT_TEXT, HANG}, TEXT(""), -ETIMEDOUT, "call for streams"},
    {{9, WAIT_TEXT, 10, CLOSE}, TEXT(""), -ECONNRESET, "start"},
    {{9, WAIT_TEXT, 10, HANG}, TEXT(""), -ETIMEDOUT, "start"},
    {{9, WAIT_TEXT, 10, 1, CLOSE}, TEXT(""), -ECONNRESET, "start"},
    {{9, WAIT_TEXT, 10, 1, 2, CLOSE}, TEXT(""), -ECONNRESET, "mid test"},
    {{9, WAIT_TEXT, 10, 1, 2, 11, HANG}, TEXT(""), -ECONNABORTED, "ended the test"},
    {{9, WAIT_TEXT, 10, 1, 2, 9, HANG}, TEXT(""), -EPROTO, "state 9"},
    {{9, WAIT_TEXT, 10, 1, 2, WAIT_END, CLOSE}, TEXT(""), -ECONNRESET, "call for results"},
    {{TO_RESULTS, CLOSE}, TEXT(""), -ECONNRESET, "results"},
    {{TO_RESULTS, HANG}, TEXT("\xff\xff\xff\xff{"), -EMSGSIZE, "4294967295"},
    {{TO_RESULTS, CLOSE}, TEXT("\0\0\1\0{\"streams\":"), -ECONNRESET, "results"},
    {{TO_RESULTS, HANG}, TEXT("\0\0\0\3{,}"), -EBADMSG, "not JSON"},
    {{TO_RESULTS, HANG}, TEXT("\0\0\0\0"), -EBADMSG, "JSON"},
    {{TO_RESULTS, HANG}, TEXT("\0\0\0\016{\"streams\":[]}\016"), -EBADMSG, "lack stream 1"},
    {{TO_RESULTS, HANG}, TEXT("\0\0\0\023{\"streams\":[\"one\"]}"), -EBADMSG, "streams"},
    {{TO_RESULTS, WAIT_TEXT, CLOSE},
     TEXT("\0\0\0\026{\"streams\":[{\"id\":1}]}"),
     -ECONNRESET,
     "the end"},
};

static bool has_step(const int *script, int what)
{
    for (; *script != HANG && *script != CLOSE && *script != RESET; script++)
        if (*script == what)
            return true;
    return false;
}

static void test_servers_that_are_none_end_in_a_sentence(void **state)
{
    struct flow_spec any = {.role = FLOW_SERVER, .address = "127.0.0.1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint16_t port = 0;
        AUTO(close_p) int stop_fd = eventfd(0, EFD_CLOEXEC);
        AUTO(close_p) int listen_fd = socket_bind_range(&any, SOCK_STREAM, &port, NULL);
        struct server server = {listen_fd, rows[i].script, rows[i].text, rows[i].n_text};
        struct flow_result parts[FLOW_PART_COUNT] = {0};
        struct flow_spec spec = small_spec(FLOW_PEER_IPERF3, FLOW_TCP_STREAM, FLOW_FORWARD, port);
        struct flow_trial trial = small_trial();
        bool has[FLOW_PART_COUNT];
        struct err err = {0};
        pthread_t thread;
        int r;

        /* Who ends it in mid test is to find it there still. */
        if (!has_step(rows[i].script, WAIT_END))
            trial.duration_ns = 60 * (uint64_t)CLOCK_S;
        assert_true(listen_fd >= 0);
        assert_int_equal(0, fcntl(listen_fd, F_SETFL, 0));
        assert_int_equal(0, pthread_create(&thread, NULL, server_main, &server));
        if (rows[i].r == -ETIMEDOUT)
            spec.connect_ns = CLOCK_S; /* time enough for what comes before the silence */
        r = foreign_run(&spec, &trial, stop_fd, NULL, NULL, parts, has, &err);
        pthread_join(thread, NULL);
        if (r != rows[i].r || !strstr(err.text, rows[i].words))
            fail_msg("row %zu: %d, \"%s\"", i, r, err.text);
        assert_non_null(strstr(err.text, "127.0.0.1 port"));
        for (int part = 0; part < FLOW_PART_COUNT; part++)
            flow_result_done(&parts[part]);
    }
}

static void test_nobody_there(void **state)
{
    struct flow_spec spec =
        small_spec(FLOW_PEER_IPERF3, FLOW_TCP_STREAM, FLOW_FORWARD, free_port());
    struct flow_result parts[FLOW_PART_COUNT] = {0};
    struct flow_trial trial = small_trial();
    bool has[FLOW_PART_COUNT];
    struct err err = {0};

    (void)state;
    assert_int_equal(-ECONNREFUSED, foreign_run(&spec, &trial, -1, NULL, NULL, parts, has, &err));
    assert_non_null(strstr(err.text, "connecting"));
}

static void test_what_a_peer_cannot_do_is_said_before(void **state)
{
    struct flow_spec spec = small_spec(FLOW_PEER_IPERF2, FLOW_TCP_STREAM, FLOW_REVERSE, 5001);
    struct err err = {0};

    (void)state;
    assert_int_equal(-EINVAL, foreign_check(&spec, &err));
    assert_non_null(strstr(err.text, "--reverse"));
    spec = small_spec(FLOW_PEER_IPERF3, FLOW_UDP_STREAM, FLOW_BOTH, 5201);
    assert_int_equal(0, foreign_check(&spec, NULL));
    spec.gso = 4;
    assert_int_equal(-EINVAL, foreign_check(&spec, NULL));
    spec.gso = 0;
    spec.n_flows = IPERF3_MAX_PARALLEL + 1;
    assert_int_equal(-EINVAL, foreign_check(&spec, NULL));
    spec.n_flows = 1;
    spec.port = 0;
    assert_int_equal(-EINVAL, foreign_check(&spec, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_servers_that_are_none_end_in_a_sentence),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_what_a_peer_cannot_do_is_said_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
