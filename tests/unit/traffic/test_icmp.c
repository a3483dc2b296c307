/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "traffic/engine.h"
#include "traffic/icmp_packet.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

/* Echo against this machine's own kernel. */

struct echo {
    struct engine *engine; /* owned */
    struct flow_result result[FLOW_PART_COUNT];
    bool has[FLOW_PART_COUNT];
    int stop_fd;
    struct err err;
};

static int echo_open(struct echo *e, const char *address, uint32_t payload_bytes, uint64_t gap_ns)
{
    struct flow_spec spec = {
        .kind = FLOW_ICMP_ECHO,
        .role = FLOW_CLIENT,
        .direction = FLOW_FORWARD,
        .n_flows = 1,
        .payload_bytes = payload_bytes,
        .gap_ns = gap_ns,
        .connect_ns = CLOCK_S,
        .token = "0123456789abcde",
    };

    *e = (struct echo){.stop_fd = eventfd(0, EFD_CLOEXEC)};
    text_copy(spec.address, sizeof spec.address, address);
    return engine_open(&spec, e->stop_fd, &e->engine, &e->err);
}

static void echo_forget(struct echo *e)
{
    if (e->has[FLOW_SENT])
        flow_result_done(&e->result[FLOW_SENT]);
    e->has[FLOW_SENT] = false;
}

static int echo_run(struct echo *e, const struct flow_trial *asked)
{
    struct flow_trial trial = *asked;

    echo_forget(e);
    trial.start_ns = clock_mono_ns() + 10 * CLOCK_MS;
    return engine_run(e->engine, &trial, NULL, NULL, e->result, e->has, &e->err);
}

static void echo_done(struct echo *e)
{
    echo_forget(e);
    engine_close(e->engine);
    close(e->stop_fd);
}

static uint64_t got(const struct echo *e, enum metric m)
{
    return metric_get(&e->result[FLOW_SENT].metrics, m);
}

/* Are we allowed to? Where not, the sentence says what to do. */
static int may_echo(void **state)
{
    struct echo e;
    int r = echo_open(&e, "127.0.0.1", 56, 0);

    (void)state;
    if (r == -EPERM && strstr(e.err.text, "ping_group_range"))
        print_message("no echo here: %s\n", e.err.text);
    echo_done(&e);
    return r;
}

static bool allowed;

static void need_echo(void)
{
    if (!allowed)
        skip();
}

static void test_every_request_is_answered(void **state)
{
    static const struct {
        const char *address;
        uint32_t payload_bytes;
        uint64_t gap_ns;
    } rows[] = {
        {"127.0.0.1", 56, 0},
        {"127.0.0.1", 56, CLOCK_MS},
        {"127.0.0.1", 24, 0},
        {"127.0.0.1", 23, 0},
        {"127.0.0.1", 8, CLOCK_MS},
        {"127.0.0.1", 0, 0},
        {"127.0.0.1", 65507, CLOCK_MS},
        {"127.0.0.1", 56, 20000},
        {"127.0.0.1", 2, 20000},
        {"::1", 56, 0},
        {"::1", 56, CLOCK_MS},
        {"::1", 1, CLOCK_MS},
        {"::1", 1400, 0},
    };
    const struct flow_trial trial = {.number = 1,
                                     .warmup_ns = 5 * CLOCK_MS,
                                     .duration_ns = 200 * CLOCK_MS,
                                     .tail_ns = 5 * CLOCK_MS};

    (void)state;
    need_echo();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct echo e;

        if (echo_open(&e, rows[i].address, rows[i].payload_bytes, rows[i].gap_ns) < 0)
            fail_msg("%s", e.err.text);
        if (echo_run(&e, &trial) < 0)
            fail_msg("%s", e.err.text);
        assert_true(e.has[FLOW_SENT] && !e.has[FLOW_RECEIVED]);
        assert_true(got(&e, METRIC_sent) > 3);
        assert_int_equal(got(&e, METRIC_received), got(&e, METRIC_sent));
        assert_int_equal(
            got(&e, METRIC_lost) + got(&e, METRIC_duplicated) + got(&e, METRIC_reordered), 0);
        assert_true(e.result[FLOW_SENT].metrics.has[METRIC_loss_high_share]);
        assert_non_null(e.result[FLOW_SENT].rtt);
        assert_int_equal(e.result[FLOW_SENT].rtt->count, got(&e, METRIC_received));
        assert_true(e.result[FLOW_SENT].rtt->min > 0);
        echo_done(&e);
    }
}

static void test_a_count_ends_it(void **state)
{
    struct flow_trial trial = {.number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S, .count = 50};

    (void)state;
    need_echo();
    for (uint64_t gap = 0; gap <= CLOCK_MS; gap += CLOCK_MS) {
        struct echo e;

        assert_int_equal(echo_open(&e, "127.0.0.1", 56, gap), 0);
        for (trial.number = 1; trial.number < 4; trial.number++) {
            assert_int_equal(echo_run(&e, &trial), 0);
            assert_int_equal(got(&e, METRIC_sent), 50);
            assert_int_equal(got(&e, METRIC_received), 50);
        }
        echo_done(&e);
    }
}

/*
 * 240.0.0.0/4 is routed nowhere; where a default route exists, silence or a refusal follows: never
 * an answer.
 */
static void test_an_address_without_a_route_is_a_sentence_or_a_loss(void **state)
{
    const struct flow_trial trial = {.number = 1, .duration_ns = 20 * CLOCK_MS};
    struct echo e;
    int r;

    (void)state;
    need_echo();
    r = echo_open(&e, "240.0.0.1", 56, CLOCK_MS);
    if (r < 0) {
        assert_non_null(strstr(e.err.text, "240.0.0.1"));
    } else {
        r = echo_run(&e, &trial);
        assert_true(r < 0 || got(&e, METRIC_received) == 0);
        assert_int_equal(got(&e, METRIC_lost), got(&e, METRIC_sent));
    }
    echo_done(&e);
}

static void test_there_is_no_server_of_echo(void **state)
{
    struct flow_spec spec = {
        .kind = FLOW_ICMP_ECHO,
        .role = FLOW_SERVER,
        .direction = FLOW_FORWARD,
        .n_flows = 1,
        .address = "127.0.0.1",
        .connect_ns = CLOCK_S,
    };
    struct engine *engine = NULL;
    struct err err = {0};

    (void)state;
    assert_int_equal(engine_open(&spec, -1, &engine, &err), -EINVAL);
    assert_null(engine);
}

static void test_a_request_has_a_right_checksum(void **state)
{
    static const size_t payloads[] = {0, 1, 2, 23, 24, 25, 56, 1471, 65507};
    const struct icmp_mark mark = {0x01020304, 7, 99, UINT64_C(0xfedcba9876543210)};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
        struct icmp_packet packet;
        uint64_t sum;

        assert_int_equal(icmp_packet_init(&packet, false, payloads[i]), 0);
        for (uint16_t sequence = 0; sequence < 3; sequence++) {
            icmp_packet_write(&packet, 0xabcd, sequence, &mark);
            sum = icmp_packet_sum(packet.bytes, packet.size);
            while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
            assert_int_equal(sum, 0xffff); /* RFC 1071: what the receiver gets when all is well */
            assert_int_equal(packet.bytes[0], 8);
        }
        icmp_packet_done(&packet);
    }
}

static void test_an_answer_gives_back_what_was_asked(void **state)
{
    const struct icmp_mark mark = {0x01020304, 7, 99, UINT64_C(0xfedcba9876543210)};
    uint8_t with_ip[24 + ICMP_PACKET_HEAD] = {0x46}; /* an IP header with one option word */
    struct icmp_packet packet;
    struct icmp_answer a;

    (void)state;
    assert_int_equal(icmp_packet_init(&packet, false, ICMP_PACKET_MARK), 0);
    icmp_packet_write(&packet, 0xabcd, 0x1234, &mark);
    assert_int_equal(icmp_packet_read(packet.bytes, packet.size, false, false, &a),
                     -EBADMSG); /* a request */
    packet.bytes[0] = 0;
    memcpy(with_ip + 24, packet.bytes, packet.size);
    assert_int_equal(icmp_packet_read(with_ip, sizeof with_ip, false, true, &a), 0);
    assert_int_equal(a.id, 0xabcd);
    assert_int_equal(a.sequence, 0x1234);
    assert_true(a.has_mark);
    assert_int_equal(a.mark.tag, mark.tag);
    assert_int_equal(a.mark.trial, mark.trial);
    assert_int_equal(a.mark.number, mark.number);
    assert_int_equal(a.mark.departure_ns, mark.departure_ns);
    for (size_t n = 0; n < 24 + ICMP_PACKET_HEADER; n++)
        assert_int_equal(icmp_packet_read(with_ip, n, false, true, &a), -EBADMSG);
    assert_int_equal(icmp_packet_read(with_ip, sizeof with_ip - 1, false, true, &a), 0);
    assert_false(a.has_mark);
    with_ip[0] = 0x44;
    assert_int_equal(icmp_packet_read(with_ip, sizeof with_ip, false, true, &a), -EBADMSG);
    icmp_packet_done(&packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_has_a_right_checksum),
        cmocka_unit_test(test_an_answer_gives_back_what_was_asked),
        cmocka_unit_test(test_every_request_is_answered),
        cmocka_unit_test(test_a_count_ends_it),
        cmocka_unit_test(test_an_address_without_a_route_is_a_sentence_or_a_loss),
        cmocka_unit_test(test_there_is_no_server_of_echo),
    };

    allowed = may_echo(NULL) == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
