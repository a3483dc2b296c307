/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "base/auto.h"
#include "traffic/tcp_lowat.h"
#include "traffic/tcp_pages.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static const struct flow_trial trial = {
    .number = 1,
    .warmup_ns = 30 * CLOCK_MS,
    .duration_ns = 150 * CLOCK_MS,
    .tail_ns = 20 * CLOCK_MS,
    .interval_ns = 50 * CLOCK_MS,
};

static struct flow_spec lean_spec(const char *address, enum flow_direction direction,
                                  uint32_t n_flows)
{
    struct flow_spec spec = pair_spec(FLOW_TCP_STREAM, address, direction, n_flows, 65536);

    spec.io = FLOW_IO_LEAN;
    return spec;
}

static void check_part(const struct pair_side *side, enum flow_part part, uint32_t n_flows)
{
    const struct flow_result *result = &side->result[part];
    uint64_t bytes = pair_count(side, part, METRIC_bytes), flows = 0, intervals = 0;

    assert_true(bytes > 0);
    assert_int_equal(n_flows, result->n_flow_bytes);
    for (uint32_t i = 0; i < n_flows; i++)
        flows += result->flow_bytes[i];
    assert_int_equal(bytes, flows);
    assert_int_equal(3, result->n_intervals);
    for (uint32_t i = 0; i < result->n_intervals; i++)
        intervals += result->intervals[i].bytes;
    assert_int_equal(bytes, intervals);
    assert_false(pair_has(side, part, METRIC_lean_refused));
}

static void test_lean_streams_run_in_each_direction(void **state)
{
    static const struct {
        const char *address;
        enum flow_direction direction;
        uint32_t n_flows;
    } rows[] = {
        {"127.0.0.1", FLOW_FORWARD, 1},  {"::1", FLOW_FORWARD, 1},
        {"127.0.0.1", FLOW_BOTH, 1},     {"::1", FLOW_BOTH, 5},
        {"127.0.0.1", FLOW_REVERSE, 64},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pair pair;

        pair_open(&pair, lean_spec(rows[i].address, rows[i].direction, rows[i].n_flows));
        for (int n = 0; n < 2; n++)
            pair_run(&pair, &trial);
        for (int part = 0; part <= FLOW_RECEIVED; part++) {
            if (pair.client.has[part])
                check_part(&pair.client, (enum flow_part)part, rows[i].n_flows);
            if (pair.server.has[part])
                check_part(&pair.server, (enum flow_part)part, rows[i].n_flows);
        }
        assert_true(pair.client.has[FLOW_SENT] == pair.server.has[FLOW_RECEIVED]);
        assert_true(pair.client.has[FLOW_RECEIVED] == pair.server.has[FLOW_SENT]);
        pair_close(&pair);
    }
}

/* How many bytes the server's sockets still hold after a trial; each of them is as it was. */
static int left_behind(struct pair *pair, uint32_t n_flows)
{
    int sum = 0;

    pair_run(pair, &trial);
    for (uint32_t i = 0; i < n_flows; i++) {
        int fd = pair->server.engine->flows[i].fd, waiting = -1, lowat = 0;

        assert_int_equal(0, ioctl(fd, FIONREAD, &waiting));
        assert_int_equal(
            0, getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, &(socklen_t){sizeof lowat}));
        assert_int_equal(1, lowat);
        sum += waiting;
    }
    return sum;
}

/*
 * What one side sent in all, the other has read, unless the sender was without a CPU for longer than the receiver's
 * patience at the end: so not always, but as a rule. A receiver that went on to wait for more than comes would never do it.
 */
static void test_a_lean_receiver_leaves_nothing_behind(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 3; n += 2) {
        int n_clean = 0, n_trials = 0;
        struct pair pair;

        pair_open(&pair, lean_spec("127.0.0.1", FLOW_FORWARD, n));
        for (; n_clean < 2 && n_trials < 24; n_trials++)
            n_clean += left_behind(&pair, n) == 0;
        assert_int_equal(2, n_clean);
        pair_close(&pair);
    }
}

/* A receiver that waited for more than its buffer holds would wait for ever. */
static void test_a_small_window_does_not_stall_a_lean_stream(void **state)
{
    static const uint32_t windows[] = {4096, 16384, 65536, 1 << 20};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
        for (uint32_t n = 1; n <= 5; n += 4) {
            struct flow_spec spec = lean_spec("127.0.0.1", FLOW_FORWARD, n);
            struct pair pair;

            spec.window_bytes = windows[i];
            pair_open(&pair, spec);
            pair_run_until(&pair, &trial, false, 4 * windows[i]);
            check_part(&pair.server, FLOW_RECEIVED, n);
            pair_close(&pair);
        }
    }
}

/* As without lean. What is sent is counted when it comes: each interval has some of it, and no megabyte comes together. */
static void test_a_lean_stream_keeps_to_a_rate(void **state)
{
    static const uint32_t n_flows[] = {1, 7};
    const uint64_t rate = 4000000;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(n_flows); i++) {
        struct pair pair;

        pair_open(&pair, lean_spec("127.0.0.1", FLOW_FORWARD, n_flows[i]));
        pair_run_paced(&pair, trial, rate, true);
        check_part(&pair.server, FLOW_RECEIVED, n_flows[i]);
        for (int k = 0; k < 3; k++)
            assert_in_range(pair.server.result[FLOW_RECEIVED].intervals[k].bytes, 1, 1000000);
        pair_close(&pair);
    }
}

static void test_what_the_kernel_refuses_is_copied_and_told(void **state)
{
    struct rlimit was, none;
    struct pair pair;
    int next;

    (void)state;
    pair_open(&pair, lean_spec("127.0.0.1", FLOW_FORWARD, 1));
    next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &was));
    none = was;
    none.rlim_cur = (rlim_t)next;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
    pair_run(&pair, &trial);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &was));
    assert_int_equal(EMFILE, pair_count(&pair.client, FLOW_SENT, METRIC_lean_refused));
    assert_true(pair_count(&pair.server, FLOW_RECEIVED, METRIC_bytes) > 0);
    pair_close(&pair);
}

static void test_pages_fill_whole_packets(void **state)
{
    static const struct {
        uint32_t mss, unit;
    } rows[] = {{0, 65536},    {1448, 65160},  {1428, 64260},   {536, 64856},
                {8948, 62636}, {65483, 65483}, {1 << 20, 65536}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(rows[i].unit, tcp_pages_unit(rows[i].mss));
}

static void test_pages_go_out_as_often_as_asked(void **state)
{
    struct tcp_pages pages;
    char got[70000];
    int fds[2];

    (void)state;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    assert_int_equal(0, tcp_pages_init(&pages, 1448));
    assert_true(pages.size > 0 && pages.size % 65160 == 0);
    for (size_t sum = 0; sum < 3 * pages.size;) {
        ssize_t n = tcp_pages_send(&pages, fds[0], 10000, true);

        assert_in_range(n, 1, 10000);
        sum += (size_t)n;
        assert_int_equal(n, recv(fds[1], got, sizeof got, 0));
    }
    tcp_pages_done(&pages);
    tcp_pages_done(&pages);
    close(fds[0]);
    close(fds[1]);
}

static void test_a_receiver_waits_for_what_a_millisecond_brings(void **state)
{
    static const struct {
        uint64_t come, over_ns;
        uint32_t most, bytes;
    } rows[] = {
        {0, 10 * CLOCK_MS, 1 << 20, 1},
        {100000, 10 * CLOCK_MS, 1 << 20, 1},          /* 80 Mbit/s */
        {1250000, 10 * CLOCK_MS, 1 << 20, 65536},     /* 1 Gbit/s: 125 kB */
        {125000000, 10 * CLOCK_MS, 1 << 20, 1 << 20}, /* 100 Gbit/s */
        {125000000, 10 * CLOCK_MS, 256 << 10, 256 << 10},
        {125000000, 10 * CLOCK_MS, 2048, 1}, /* a tiny window */
        {125000000, 0, 1 << 20, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(rows[i].bytes, tcp_lowat_for(rows[i].come, rows[i].over_ns, rows[i].most));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lean_streams_run_in_each_direction),
        cmocka_unit_test(test_a_lean_receiver_leaves_nothing_behind),
        cmocka_unit_test(test_a_small_window_does_not_stall_a_lean_stream),
        cmocka_unit_test(test_a_lean_stream_keeps_to_a_rate),
        cmocka_unit_test(test_what_the_kernel_refuses_is_copied_and_told),
        cmocka_unit_test(test_pages_fill_whole_packets),
        cmocka_unit_test(test_pages_go_out_as_often_as_asked),
        cmocka_unit_test(test_a_receiver_waits_for_what_a_millisecond_brings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
