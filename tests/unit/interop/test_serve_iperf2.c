/* SPDX-License-Identifier: Apache-2.0 */
/* The server with iperf 2 clients, ours and such as no program is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "interop/foreign_datagram.h"
#include "interop/iperf2_report.h"
#include "served.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

static void test_iperf2_clients_count_the_same_at_both_ends(void **state)
{
    struct served s;
    uint32_t n = 0;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    for (int kind = FLOW_TCP_STREAM; kind <= FLOW_UDP_STREAM; kind++) {
        struct job j = {
            .spec = small_spec(FLOW_PEER_IPERF2, (enum flow_kind)kind, FLOW_FORWARD, s.iperf2_port),
            .trial = small_trial()};

        job_main(&j);
        job_agrees(&j, j.spec.payload_bytes);
        job_done(&j);
        n += j.n_runs;
    }
    served_end(&s);
    assert_int_equal(n, s.n_reports);
    for (uint32_t i = 0; i < n; i++) {
        assert_string_equal("iperf2", s.reports[i].tool);
        assert_int_equal(0, s.reports[i].error);
    }
}

static int iperf2_socket(const struct served *s)
{
    union socket_address address;
    socklen_t len;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(0, socket_address("127.0.0.1", s->iperf2_port, &address, &len, NULL));
    assert_int_equal(0, connect(fd, &address.any, len));
    return fd;
}

/* Between two of the server's sockets nobody listens for a moment: then it is refused, and lost. */
static void iperf2_say(int fd, int64_t number)
{
    const struct foreign_datagram d = {.number = number, .departed_ns = clock_mono_ns()};
    uint8_t bytes[200] = {0};

    foreign_datagram_write(FOREIGN_IPERF2, &d, bytes);
    if (send(fd, bytes, sizeof bytes, 0) < 0)
        assert_int_equal(ECONNREFUSED, errno);
}

/* Answers that come until nothing has come for so long. */
static uint32_t iperf2_answers(int fd, int quiet_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t bytes[IPERF2_REPORT_BYTES];
    struct iperf2_report report;
    uint32_t n = 0;

    while (poll(&p, 1, quiet_ms) > 0) {
        ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

        n += got > 0 && iperf2_report_read(bytes, (size_t)got, &report);
    }
    return n;
}

enum { BURSTS = 15, BURST = 3000 };

/*
 * All of a burst may go into a socket that has just become another client's, when the server gets no CPU meanwhile: then
 * nobody has seen this one, and its end means nothing. So it comes again.
 */
static void *burst_main(void *arg)
{
    int fd = *(int *)arg;

    for (int burst = 0; burst < 3; burst++) {
        for (int number = 1; number <= BURST; number++)
            iperf2_say(fd, number);
        for (int i = 0; i < 40; i++) {
            iperf2_say(fd, -(BURST + 1));
            if (iperf2_answers(fd, 250) > 0)
                return NULL;
        }
    }
    return arg;
}

static void test_fast_iperf2_clients_are_one_test_each(void **state)
{
    pthread_t threads[BURSTS];
    struct served s;
    int fds[BURSTS];
    void *failed;

    (void)state;
    served_begin(&s, (struct serve_options){.max_clients = 64});
    for (int i = 0; i < BURSTS; i++) {
        fds[i] = iperf2_socket(&s);
        assert_int_equal(0, pthread_create(&threads[i], NULL, burst_main, &fds[i]));
    }
    for (int i = 0; i < BURSTS; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
        close(fds[i]);
    }
    served_end(&s); /* tells of what still runs too */
    assert_int_equal(BURSTS, s.n_reports);
    for (uint32_t i = 0; i < s.n_reports; i++) {
        assert_int_equal(0, s.reports[i].error);
        /* Its own datagrams alone: those that came are no more than those that went. */
        assert_in_range(s.reports[i].received_packets, 1, BURST + 1);
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(s.reports[i].client_port, s.reports[k].client_port);
    }
}

static void test_only_ends_are_answered_and_only_so_many(void **state)
{
    struct served s;
    int fd;

    (void)state;
    served_begin(&s, (struct serve_options){0});
    fd = iperf2_socket(&s);
    for (int number = 1; number <= 3; number++)
        iperf2_say(fd, number);
    iperf2_say(fd, -4);
    assert_int_equal(1, recv(fd, (uint8_t[IPERF2_REPORT_BYTES]){0}, IPERF2_REPORT_BYTES, 0) > 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(1, send(fd, "", 1, 0));
        iperf2_say(fd, 7);
    }
    for (int i = 0; i < 40; i++)
        iperf2_say(fd, -4);
    assert_int_equal(0, served_report(&s, 1).error);
    assert_in_range(iperf2_answers(fd, 0), 1, 9);
    close(fd);
    served_end(&s);
    assert_int_equal(1, s.n_reports);
}

static void test_single_datagrams_take_few_places_and_not_for_long(void **state)
{
    struct job j = {.trial = small_trial()};
    struct served s;
    uint32_t n = 0;

    (void)state;
    served_begin(&s, (struct serve_options){.max_clients = 2});
    for (int i = 0; i < 20; i++) {
        int fd = iperf2_socket(&s);

        iperf2_say(fd, 1);
        poll(NULL, 0, 5); /* what comes while another is taken is dropped */
        close(fd);
    }
    j.spec = small_spec(FLOW_PEER_IPERF3, FLOW_TCP_STREAM, FLOW_FORWARD, s.port);
    job_main(&j);
    job_agrees(&j, j.spec.payload_bytes);
    job_done(&j);
    served_report(&s, 2);
    served_end(&s);
    for (uint32_t i = 0; i < s.n_reports; i++) {
        if (strcmp(s.reports[i].tool, "iperf2") != 0)
            continue;
        assert_int_not_equal(0, s.reports[i].error);
        assert_int_equal(0, s.reports[i].n_flows);
        n += s.reports[i].error == ETIMEDOUT;
    }
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iperf2_clients_count_the_same_at_both_ends),
        cmocka_unit_test(test_fast_iperf2_clients_are_one_test_each),
        cmocka_unit_test(test_only_ends_are_answered_and_only_so_many),
        cmocka_unit_test(test_single_datagrams_take_few_places_and_not_for_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
