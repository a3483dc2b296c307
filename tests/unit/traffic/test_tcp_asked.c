/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pair.h"

#include "base/auto.h"

#include <linux/capability.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/syscall.h>

/* What a spec asks of the sockets and threads of a TCP stream, against what the kernel says. */

static const struct flow_trial trial = {
    .number = 1,
    .warmup_ns = 10 * CLOCK_MS,
    .duration_ns = 80 * CLOCK_MS,
    .tail_ns = 10 * CLOCK_MS,
};

static struct flow_spec tcp_spec(const char *address)
{
    return pair_spec(FLOW_TCP_STREAM, address, FLOW_FORWARD, 2, 65536);
}

static int option(int fd, int level, int name)
{
    int value = -1;

    assert_int_equal(0, getsockopt(fd, level, name, &value, &(socklen_t){sizeof value}));
    return value;
}

static int client_fd(const struct pair *pair, uint32_t i)
{
    return pair->client.engine->flows[i].fd;
}

static int server_fd(const struct pair *pair, uint32_t i)
{
    return pair->server.engine->flows[i].fd;
}

static void test_an_mss_asked_for_is_what_segments_have(void **state)
{
    static const char *const addresses[] = {"127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct flow_spec spec = tcp_spec(addresses[i]);
        struct pair pair;

        spec.mss_bytes = 1000;
        pair_open(&pair, spec);
        pair_run(&pair, &trial);
        /* Time stamps take 12 of them. */
        assert_in_range(pair_count(&pair.client, FLOW_SENT, METRIC_mss_bytes), 988, 1000);
        assert_in_range(pair_count(&pair.server, FLOW_RECEIVED, METRIC_mss_bytes), 1, 1000);
        assert_int_equal(1000, pair_count(&pair.client, FLOW_SENT, METRIC_requested_mss_bytes));
        assert_int_equal(1000, pair_count(&pair.server, FLOW_RECEIVED, METRIC_requested_mss_bytes));
        assert_int_equal(option(client_fd(&pair, 0), IPPROTO_TCP, TCP_MAXSEG),
                         pair_count(&pair.client, FLOW_SENT, METRIC_mss_bytes));
        pair_close(&pair);
    }
}

static void test_a_window_asked_for_stands_beside_the_one_granted(void **state)
{
    struct flow_spec spec = tcp_spec("127.0.0.1");
    struct pair pair;

    (void)state;
    spec.window_bytes = 20000;
    pair_open(&pair, spec);
    pair_run(&pair, &trial);
    assert_int_equal(20000, pair_count(&pair.client, FLOW_SENT, METRIC_requested_window_bytes));
    assert_int_equal(20000, pair_count(&pair.server, FLOW_RECEIVED, METRIC_requested_window_bytes));
    assert_int_equal(40000, pair_count(&pair.client, FLOW_SENT, METRIC_send_buffer_bytes));
    assert_int_equal(40000, pair_count(&pair.server, FLOW_RECEIVED, METRIC_receive_buffer_bytes));
    assert_int_equal(40000, option(client_fd(&pair, 1), SOL_SOCKET, SO_SNDBUF));
    assert_int_equal(40000, option(server_fd(&pair, 1), SOL_SOCKET, SO_RCVBUF));
    pair_close(&pair);
}

/* Of this thread alone. False: it has no right to give away. */
static bool set_net_admin(bool on)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    const uint32_t bit = 1u << CAP_NET_ADMIN;

    if (syscall(SYS_capget, &head, data) < 0 || !(data[0].permitted & bit))
        return false;
    data[0].effective = on ? data[0].effective | bit : data[0].effective & ~bit;
    return syscall(SYS_capset, &head, data) == 0;
}

static void test_a_window_that_was_not_granted_is_seen(void **state)
{
    struct flow_spec spec = tcp_spec("127.0.0.1");
    bool gave_up;
    struct pair pair;

    (void)state;
    spec.window_bytes = FLOW_MAX_WINDOW;
    gave_up = set_net_admin(false);
    pair_open(&pair, spec);
    if (gave_up)
        assert_true(set_net_admin(true));
    pair_run(&pair, &trial);
    /* As large as net.core.wmem_max and rmem_max allow, doubled: a gigabyte they are nowhere. */
    assert_true(pair_count(&pair.client, FLOW_SENT, METRIC_send_buffer_bytes) <
                pair_count(&pair.client, FLOW_SENT, METRIC_requested_window_bytes));
    assert_int_equal(FLOW_MAX_WINDOW,
                     pair_count(&pair.client, FLOW_SENT, METRIC_requested_window_bytes));
    pair_close(&pair);
}

static void test_dscp_is_on_the_sockets_of_both_sides(void **state)
{
    struct flow_spec spec = tcp_spec("127.0.0.1");
    struct pair pair;

    (void)state;
    spec.dscp = 46;
    pair_open(&pair, spec);
    pair_run(&pair, &trial);
    assert_int_equal(46, pair_count(&pair.client, FLOW_SENT, METRIC_dscp));
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(46 << 2, option(client_fd(&pair, i), IPPROTO_IP, IP_TOS));
        assert_int_equal(46 << 2, option(server_fd(&pair, i), IPPROTO_IP, IP_TOS));
    }
    pair_close(&pair);

    text_copy(spec.address, sizeof spec.address, "::1");
    pair_open(&pair, spec);
    assert_int_equal(46 << 2, option(client_fd(&pair, 0), IPPROTO_IPV6, IPV6_TCLASS));
    assert_int_equal(46 << 2, option(server_fd(&pair, 0), IPPROTO_IPV6, IPV6_TCLASS));
    pair_close(&pair);
}

static void test_nodelay_is_as_asked_in_a_trial_without_a_rate(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct flow_spec spec = tcp_spec("127.0.0.1");
        struct pair pair;

        spec.nodelay = asked;
        pair_open(&pair, spec);
        pair_run(&pair, &trial);
        assert_int_equal(asked, option(client_fd(&pair, 0), IPPROTO_TCP, TCP_NODELAY));
        pair_close(&pair);
    }
}

static void test_a_client_binds_to_its_own_address_or_interface(void **state)
{
    struct flow_spec spec = tcp_spec("127.0.0.1");
    union socket_address own = {0}, seen = {0};
    char name[FLOW_ADDRESS_SIZE] = "";
    struct pair pair;

    (void)state;
    text_copy(spec.bind, sizeof spec.bind, "127.0.0.9");
    pair_open(&pair, spec);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(0, getsockname(client_fd(&pair, i), &own.any, &(socklen_t){sizeof own}));
        assert_int_equal(0, getpeername(server_fd(&pair, i), &seen.any, &(socklen_t){sizeof seen}));
        assert_int_equal(0x7f000009, ntohl(own.v4.sin_addr.s_addr));
        assert_int_equal(0x7f000009, ntohl(seen.v4.sin_addr.s_addr));
    }
    pair_close(&pair);

    text_copy(spec.bind, sizeof spec.bind, "lo");
    pair_open(&pair, spec);
    assert_int_equal(0, getsockopt(client_fd(&pair, 0), SOL_SOCKET, SO_BINDTODEVICE, name,
                                   &(socklen_t){sizeof name}));
    assert_string_equal("lo", name);
    pair_close(&pair);
}

static void test_what_cannot_be_bound_is_a_sentence(void **state)
{
    static const struct {
        const char *address, *bind;
        int r;
        const char *words;
    } rows[] = {
        {"127.0.0.1", "192.0.2.77", -EADDRNOTAVAIL, "binding to 192.0.2.77"},
        {"127.0.0.1", "no-such-if", -ENODEV, "binding to interface no-such-if"},
        {"127.0.0.1", "::1", -EAFNOSUPPORT, "own address ::1 and peer 127.0.0.1"},
        {"::1", "127.0.0.1", -EAFNOSUPPORT, "own address 127.0.0.1 and peer ::1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct flow_spec spec = tcp_spec(rows[i].address);
        struct engine *engine = NULL;
        struct err err = {0};

        spec.role = FLOW_CLIENT;
        spec.port = 9;
        text_copy(spec.bind, sizeof spec.bind, rows[i].bind);
        assert_int_equal(rows[i].r, engine_open(&spec, -1, &engine, &err));
        assert_non_null(strstr(err.text, rows[i].words));
        assert_null(engine);
    }
}

/* An IPv4 client at a server of IPv6, and the other way round: refused at once, in words that name address and port. */
static void test_mixed_families_are_refused_at_once(void **state)
{
    static const char *const rows[][2] = {{"127.0.0.1", "::1"}, {"::1", "127.0.0.1"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct engine *engine = NULL;
        struct err err = {0};
        struct pair pair;

        pair_listen(&pair, tcp_spec(rows[i][0]));
        text_copy(pair.client.spec.address, sizeof pair.client.spec.address, rows[i][1]);
        assert_int_equal(-ECONNREFUSED,
                         engine_open(&pair.client.spec, pair.client.stop_fd, &engine, &err));
        assert_non_null(strstr(err.text, rows[i][1]));
        pair_close(&pair);
    }
}

/* Counted among the CPUs that this process may use, and from the first again after the last. */
static void test_a_pinned_thread_runs_where_it_was_bound(void **state)
{
    cpu_set_t was;
    int n_cpus, first = 0;

    (void)state;
    assert_int_equal(0, sched_getaffinity(0, sizeof was, &was));
    n_cpus = CPU_COUNT(&was);
    while (!CPU_ISSET(first, &was))
        first++;
    for (int pin = 0; pin <= n_cpus + 1; pin++) {
        struct flow_spec spec = tcp_spec("127.0.0.1");
        struct pair pair;
        int cpu = first;

        spec.pin = (uint32_t)pin;
        pair_open(&pair, spec);
        pair_run(&pair, &trial);
        if (pin == 0) {
            assert_false(pair_has(&pair.client, FLOW_SENT, METRIC_pinned_cpu));
            pair_close(&pair);
            continue;
        }
        for (int left = (pin - 1) % n_cpus; left > 0; left--)
            while (!CPU_ISSET(++cpu, &was))
                ;
        assert_int_equal(cpu, pair_count(&pair.client, FLOW_SENT, METRIC_pinned_cpu));
        assert_int_equal(cpu, pair_count(&pair.client, FLOW_SENT, METRIC_cpu));
        assert_int_equal(cpu, pair_count(&pair.server, FLOW_RECEIVED, METRIC_pinned_cpu));
        assert_int_equal(cpu, pair_count(&pair.server, FLOW_RECEIVED, METRIC_cpu));
        pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_mss_asked_for_is_what_segments_have),
        cmocka_unit_test(test_a_window_asked_for_stands_beside_the_one_granted),
        cmocka_unit_test(test_a_window_that_was_not_granted_is_seen),
        cmocka_unit_test(test_dscp_is_on_the_sockets_of_both_sides),
        cmocka_unit_test(test_nodelay_is_as_asked_in_a_trial_without_a_rate),
        cmocka_unit_test(test_a_client_binds_to_its_own_address_or_interface),
        cmocka_unit_test(test_what_cannot_be_bound_is_a_sentence),
        cmocka_unit_test(test_mixed_families_are_refused_at_once),
        cmocka_unit_test(test_a_pinned_thread_runs_where_it_was_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
