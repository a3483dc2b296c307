/* SPDX-License-Identifier: Apache-2.0 */
/* The server with our own clients, many at once, and with clients that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "interop/iperf3_message.h"
#include "served.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

static void test_each_kind_and_direction_counts_the_same_at_both_ends(void **state)
{
    struct served s;
    uint32_t n = 0;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    for (int kind = FLOW_TCP_STREAM; kind <= FLOW_UDP_STREAM; kind++) {
        for (int direction = FLOW_FORWARD; direction <= FLOW_BOTH; direction++) {
            struct job j = {.spec = small_spec(FLOW_PEER_IPERF3, (enum flow_kind)kind,
                                               (enum flow_direction)direction, s.port),
                            .trial = small_trial()};
            struct serve_report report;

            j.spec.n_flows = 3;
            job_main(&j);
            job_agrees(&j, j.spec.payload_bytes);
            report = served_report(&s, n += j.n_runs);
            assert_int_equal(0, report.error);
            assert_int_equal(direction, report.direction);
            assert_int_equal(3, report.n_flows);
            assert_string_equal("127.0.0.1", report.client);
            if (direction & FLOW_FORWARD)
                assert_int_equal(got(&j, FLOW_FAR_RECEIVED, METRIC_bytes), report.received_bytes);
            if (direction & FLOW_REVERSE)
                assert_int_equal(got(&j, FLOW_FAR_SENT, METRIC_bytes), report.sent_bytes);
            job_done(&j);
        }
    }
    served_end(&s);
}

static void test_the_warm_up_is_left_out_at_both_ends(void **state)
{
    struct served s;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    for (int kind = FLOW_TCP_STREAM; kind <= FLOW_UDP_STREAM; kind++) {
        struct job j = {
            .spec = small_spec(FLOW_PEER_IPERF3, (enum flow_kind)kind, FLOW_FORWARD, s.port),
            .trial = small_trial()};
        uint64_t near;

        j.trial.warmup_ns = 2 * CLOCK_S;
        j.trial.duration_ns = 800 * CLOCK_MS;
        job_main(&j);
        assert_int_equal(0, j.r);
        near = got(&j, FLOW_SENT, METRIC_bytes);
        /* With the warm-up it would be 3.5 times as much. */
        assert_in_range(got(&j, FLOW_FAR_RECEIVED, METRIC_bytes), near / 2, 2 * near);
        if (kind == FLOW_UDP_STREAM)
            assert_int_equal(0, got(&j, FLOW_FAR_RECEIVED, METRIC_lost));
        job_done(&j);
    }
    served_end(&s);
}

static void test_a_warm_up_of_no_whole_second_does_not_spoil_the_count(void **state)
{
    struct served s;
    struct job j = {.trial = small_trial()};

    (void)state;
    served_begin(&s, (struct serve_options){0});
    j.spec = small_spec(FLOW_PEER_IPERF3, FLOW_UDP_STREAM, FLOW_BOTH, s.port);
    j.trial.warmup_ns = 900 * CLOCK_MS;
    job_main(&j);
    assert_int_equal(0, j.r);
    /* The server has no such warm-up: all that was sent is of its part. */
    assert_int_equal(got(&j, FLOW_FAR_RECEIVED, METRIC_sent),
                     got(&j, FLOW_FAR_RECEIVED, METRIC_received));
    assert_true(got(&j, FLOW_FAR_RECEIVED, METRIC_sent) > got(&j, FLOW_SENT, METRIC_sent));
    assert_int_equal(got(&j, FLOW_RECEIVED, METRIC_sent), got(&j, FLOW_RECEIVED, METRIC_received));
    job_done(&j);
    served_end(&s);
}

static void test_ten_clients_at_once(void **state)
{
    struct job jobs[MANY] = {0};
    pthread_t threads[MANY];
    struct served s;
    uint32_t n = 0;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    for (int i = 0; i < MANY; i++) {
        jobs[i].spec = small_spec(FLOW_PEER_IPERF3, i % 2 ? FLOW_UDP_STREAM : FLOW_TCP_STREAM,
                                  i % 3 ? FLOW_FORWARD : FLOW_BOTH, s.port);
        jobs[i].spec.n_flows = 2;
        jobs[i].trial = small_trial();
        jobs[i].trial.duration_ns = CLOCK_S;
        assert_int_equal(0, pthread_create(&threads[i], NULL, job_main, &jobs[i]));
    }
    for (int i = 0; i < MANY; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < MANY; i++) {
        job_agrees(&jobs[i], jobs[i].spec.payload_bytes);
        job_done(&jobs[i]);
        n += jobs[i].n_runs;
    }
    served_end(&s);
    assert_int_equal(n, s.n_reports);
}

static int knock(const struct served *s, const void *bytes, size_t n)
{
    struct flow_spec spec = small_spec(FLOW_PEER_IPERF3, FLOW_TCP_STREAM, FLOW_FORWARD, s->port);
    union socket_address address;
    socklen_t len;
    int fd;

    assert_int_equal(0, socket_address(spec.address, spec.port, &address, &len, NULL));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, connect(fd, &address.any, len));
    assert_int_equal(n, send(fd, bytes, n, MSG_NOSIGNAL));
    return fd;
}

/* Read until the server closes; the last byte, or -1 when there was none. */
static int last_word(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t byte;
    int last = -128;

    while (poll(&p, 1, 30000) > 0 && recv(fd, &byte, 1, 0) == 1)
        last = byte < 128 ? byte : byte - 256; /* states are signed */
    return last;
}

#define COOKIE "abcdefghijklmnopqrstuvwxyz2345670123\0"

static const struct {
    const char *bytes;
    size_t n;
    bool hold; /* leave it open, silent */
} rows[] = {
#define BYTES(b) b, sizeof(b) - 1
    {BYTES(""), false},
    {BYTES("GET / HTTP/1.1\r\nHost: nobody-knows-this-host\r\n\r\n"), false},
    {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), false},
    {BYTES(COOKIE), false},
    {BYTES(COOKIE "\xff\xff\xff\xff{"), false},
    {BYTES(COOKIE "\0\0\0\7{\"omit\""), false},
    {BYTES(COOKIE "\0\0\0\4{}{}"), false},
    {BYTES(COOKIE "\0\0\0\0"), false},
    {BYTES(COOKIE "\0\0\0\20{\"parallel\":1e9}"), false},
    {BYTES(COOKIE "\0\0\0\14{\"udp\":true}"), false},
    {BYTES("abcdefghijklmnopqr"), true},
    {BYTES("bbcdefghijklmnopqrstuvwxyz2345670123\0"), true},
    {BYTES("cbcdefghijklmnopqrstuvwxyz2345670123\0\0\0\0\100{\"half"), true},
    {BYTES("dbcdefghijklmnopqrstuvwxyz2345670123\0\0\0\0\2{}"), true},
    {BYTES("ebcdefghijklmnopqrstuvwxyz2345670123\0\0\0\0\26{\"udp\":true,\"len\":100}"), true},
};

static void test_strangers_do_not_keep_it_from_serving(void **state)
{
    int fds[ARRAY_SIZE(rows)];
    struct job j = {.trial = small_trial()};
    struct served s;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fds[i] = knock(&s, rows[i].bytes, rows[i].n);
        if (!rows[i].hold)
            shutdown(fds[i], SHUT_WR);
    }
    /* While they are there: TCP, and UDP of the same host, one of whose tests waits for its stream. */
    j.spec = small_spec(FLOW_PEER_IPERF3, FLOW_TCP_STREAM, FLOW_FORWARD, s.port);
    job_main(&j);
    job_agrees(&j, j.spec.payload_bytes);
    job_done(&j);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!rows[i].hold)
            last_word(fds[i]);
        close(fds[i]);
    }
    j = (struct job){.trial = small_trial()};
    j.spec = small_spec(FLOW_PEER_IPERF3, FLOW_UDP_STREAM, FLOW_FORWARD, s.port);
    job_main(&j);
    job_agrees(&j, j.spec.payload_bytes);
    job_done(&j);
    served_end(&s);
}

static void test_what_is_wrong_with_parameters_is_told(void **state)
{
    static const char text[] = COOKIE "\0\0\0\20{\"parallel\":1e9}";
    struct served s;
    struct serve_report report;
    uint8_t answer[9] = {0};
    int fd;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    fd = knock(&s, text, sizeof text - 1);
    assert_int_equal(9, recv(fd, answer, 1, 0) == 1 ? answer[0] : 0);
    assert_int_equal(9, recv(fd, answer, 9, MSG_WAITALL));
    assert_int_equal(0xfe, answer[0]);
    assert_int_equal(IPERF3_IENUMSTREAMS, answer[4]);
    report = served_report(&s, 1);
    assert_int_equal(EINVAL, report.error);
    assert_non_null(strstr(report.what, "parallel"));
    close(fd);
    served_end(&s);
}

/* The reply to a request for a UDP stream, however often it was asked for. */
static void take_reply(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char reply[8];

    assert_int_equal(1, poll(&p, 1, 30000));
    assert_int_equal(4, recv(fd, reply, sizeof reply, 0));
    assert_memory_equal("6789", reply, 4);
}

/* Who gets no answer soon asks again: that is one stream still, and he gets his answer also when the first was lost. */
static void test_a_repeated_request_is_no_second_stream(void **state)
{
    static const char text[] = COOKIE "\0\0\0\42{\"udp\":true,\"parallel\":2,\"len\":99}";
    struct served s;
    char states[5] = {0};
    int fd, streams[2];

    (void)state;
    served_begin(&s, (struct serve_options){0});
    fd = knock(&s, text, sizeof text - 1);
    assert_int_equal(2, recv(fd, states, 2, MSG_WAITALL));
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons(s.port)};

        streams[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(0, connect(streams[i], (struct sockaddr *)&to, sizeof to));
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(4, send(streams[0], "9876", 4, 0));
    take_reply(streams[0]);
    assert_int_equal(4, send(streams[0], "9876", 4, 0));
    take_reply(streams[0]);
    assert_int_equal(4, send(streams[1], "9876", 4, 0));
    take_reply(streams[1]);
    assert_int_equal(2, recv(fd, states + 2, 2, MSG_WAITALL));
    assert_string_equal("\11\12\1\2", states);
    close(fd);
    served_report(&s, 1);
    close(streams[0]);
    close(streams[1]);
    served_end(&s);
}

static void test_a_client_that_vanishes_in_mid_test_is_told(void **state)
{
    static const char text[] = COOKIE "\0\0\0\2{}";
    struct served s;
    struct serve_report report;
    char states[5] = {0};
    int fd, stream;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    fd = knock(&s, text, sizeof text - 1);
    assert_int_equal(2, recv(fd, states, 2, MSG_WAITALL));
    stream = knock(&s, COOKIE, IPERF3_COOKIE);
    assert_int_equal(2, recv(fd, states + 2, 2, MSG_WAITALL));
    assert_string_equal("\11\12\1\2", states);
    assert_int_equal(5, send(stream, "12345", 5, MSG_NOSIGNAL));
    close(fd);
    report = served_report(&s, 1);
    assert_int_not_equal(0, report.error);
    assert_non_null(strstr(report.what, "mid test"));
    assert_int_equal(5, report.received_bytes);
    close(stream);
    served_end(&s);
}

static void test_a_silent_test_ends(void **state)
{
    static const char text[] = COOKIE "\0\0\0\2{}";
    struct served s;
    char states[2];
    int fd, stream;

    (void)state;
    served_begin(&s, (struct serve_options){.idle_ns = 100 * CLOCK_MS});
    fd = knock(&s, text, sizeof text - 1);
    assert_int_equal(2, recv(fd, states, 2, MSG_WAITALL)); /* it takes streams now */
    stream = knock(&s, COOKIE, IPERF3_COOKIE);
    assert_int_equal(ETIMEDOUT, served_report(&s, 1).error);
    close(fd);
    close(stream);
    served_end(&s);
}

static void test_more_than_the_most_are_told_that_it_is_busy(void **state)
{
    static const char first[] = "fbcdefghijklmnopqrstuvwxyz2345670123\0";
    struct job j = {.trial = small_trial()};
    struct served s;
    char byte = 0;
    int fd;

    (void)state;
    served_begin(&s, (struct serve_options){.max_clients = 1});
    fd = knock(&s, first, sizeof first - 1);
    assert_int_equal(1, recv(fd, &byte, 1, 0));
    j.spec = small_spec(FLOW_PEER_IPERF3, FLOW_TCP_STREAM, FLOW_FORWARD, s.port);
    job_main(&j);
    assert_int_equal(-EBUSY, j.r);
    close(fd);
    served_report(&s, 1);
    served_end(&s);
}

static void test_others_than_allowed_are_closed(void **state)
{
    struct serve_options options = {.n_nets = 1};
    struct job j = {.trial = small_trial()};
    struct served s;

    (void)state;
    assert_int_equal(0, serve_net_parse("10.0.0.0/8", &options.nets[0], NULL));
    served_begin(&s, options);
    j.spec = small_spec(FLOW_PEER_IPERF3, FLOW_TCP_STREAM, FLOW_FORWARD, s.port);
    job_main(&j);
    assert_int_equal(-ECONNRESET, j.r);
    served_end(&s);
}

static void test_one_is_enough(void **state)
{
    struct job j = {.trial = small_trial()};
    struct served s;
    void *failed;

    (void)state;
    served_begin(&s, (struct serve_options){.one = true});
    close(knock(&s, "nothing", 7));
    j.spec = small_spec(FLOW_PEER_IPERF3, FLOW_TCP_STREAM, FLOW_FORWARD, s.port);
    j.trial.duration_ns = 2 * CLOCK_S; /* there is no second try */
    job_once(&j);
    job_agrees(&j, j.spec.payload_bytes);
    job_done(&j);
    /* It ends by itself; served_end() would stop it. */
    pthread_join(s.thread, &failed);
    assert_null(failed);
    serve_close(s.serve);
    close(s.stop_fd);
}

static void test_a_report_that_is_not_taken_keeps_nobody_waiting(void **state)
{
    struct served s;
    uint32_t n = 0;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    s.held = true;
    for (int i = 0; i < 2; i++) {
        struct job j = {.trial = small_trial()};

        j.spec = small_spec(FLOW_PEER_IPERF3, i ? FLOW_UDP_STREAM : FLOW_TCP_STREAM, FLOW_FORWARD,
                            s.port);
        job_main(&j);
        job_agrees(&j, j.spec.payload_bytes);
        job_done(&j);
        served_report(&s, 1);
        n += j.n_runs;
    }
    pthread_mutex_lock(&s.lock);
    s.held = false;
    pthread_cond_broadcast(&s.changed);
    pthread_mutex_unlock(&s.lock);
    served_end(&s);
    assert_int_equal(n, s.n_reports);
}

static void test_a_port_that_is_taken_is_told(void **state)
{
    struct serve_options options = {.bind = "127.0.0.1", .stamp_port = free_port()};
    struct serve *first = NULL, *second = NULL;
    struct flow_spec any = {.role = FLOW_SERVER, .address = "127.0.0.1"};
    struct err err = {0};
    int fd, on = 1;

    (void)state;
    assert_int_equal(0, serve_open(&options, on_report, NULL, &first, NULL));
    assert_int_equal(-EADDRINUSE, serve_open(&options, on_report, NULL, &second, &err));
    assert_non_null(strstr(err.text, "UDP port"));
    serve_close(first);
    /* Also when who has it would share it. */
    options = (struct serve_options){.bind = "127.0.0.1"};
    fd = socket_bind_range(&any, SOCK_DGRAM, &options.iperf2_port, NULL);
    assert_true(fd >= 0);
    assert_int_equal(0, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    assert_int_equal(-EADDRINUSE, serve_open(&options, on_report, NULL, &second, &err));
    assert_non_null(strstr(err.text, "UDP port"));
    close(fd);
    /* And free again, with clients or without. */
    assert_int_equal(0, serve_open(&options, on_report, NULL, &first, NULL));
    serve_close(first);
}

static uint32_t count_fds(void)
{
    AUTO(closedir_p) DIR *dir = opendir("/proc/self/fd");
    uint32_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    return n;
}

static void test_no_descriptor_stays(void **state)
{
    uint32_t before = count_fds();

    test_a_client_that_vanishes_in_mid_test_is_told(state);
    test_strangers_do_not_keep_it_from_serving(state);
    test_each_kind_and_direction_counts_the_same_at_both_ends(state);
    assert_int_equal(before, count_fds());
}

static void test_networks(void **state)
{
    static const struct {
        const char *net, *address;
        bool has;
    } inside[] = {
        {"10.0.0.0/8", "::ffff:10.255.0.1", true},
        {"10.0.0.0/8", "::ffff:11.0.0.1", false},
        {"0.0.0.0/0", "::ffff:9.9.9.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"192.0.2.1", "::ffff:192.0.2.2", false},
        {"fd00:a000::/19", "fd00:bfff::1", true},
        {"fd00:a000::/19", "fd00:c000::1", false},
    };
    static const char *const wrong[] = {"",   "10",         "10.0.0.0/33",  "10.0.0.0/",
                                        "/8", "fd00::/129", "example.org/8"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(inside); i++) {
        struct serve_net net;
        struct in6_addr address;

        assert_int_equal(0, serve_net_parse(inside[i].net, &net, NULL));
        assert_int_equal(1, inet_pton(AF_INET6, inside[i].address, &address));
        assert_int_equal(inside[i].has, serve_net_has(&net, &address));
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct serve_net net;
        struct err err = {0};

        assert_int_equal(-EINVAL, serve_net_parse(wrong[i], &net, &err));
        assert_true(err.text[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_and_direction_counts_the_same_at_both_ends),
        cmocka_unit_test(test_the_warm_up_is_left_out_at_both_ends),
        cmocka_unit_test(test_a_warm_up_of_no_whole_second_does_not_spoil_the_count),
        cmocka_unit_test(test_ten_clients_at_once),
        cmocka_unit_test(test_strangers_do_not_keep_it_from_serving),
        cmocka_unit_test(test_what_is_wrong_with_parameters_is_told),
        cmocka_unit_test(test_a_repeated_request_is_no_second_stream),
        cmocka_unit_test(test_a_client_that_vanishes_in_mid_test_is_told),
        cmocka_unit_test(test_a_silent_test_ends),
        cmocka_unit_test(test_more_than_the_most_are_told_that_it_is_busy),
        cmocka_unit_test(test_others_than_allowed_are_closed),
        cmocka_unit_test(test_one_is_enough),
        cmocka_unit_test(test_a_report_that_is_not_taken_keeps_nobody_waiting),
        cmocka_unit_test(test_a_port_that_is_taken_is_told),
        cmocka_unit_test(test_no_descriptor_stays),
        cmocka_unit_test(test_networks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
