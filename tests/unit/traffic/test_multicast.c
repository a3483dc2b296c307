/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "pair.h"
#include "traffic/datagram.h"

/* One sender, several receivers, on the loopback interface; where IPv6 has no route for groups: see tests/netns. */

enum { RECEIVERS = 3 };

static const struct flow_trial a_trial = {
    .number = 1,
    .warmup_ns = 30 * CLOCK_MS,
    .duration_ns = 150 * CLOCK_MS,
    .tail_ns = 30 * CLOCK_MS,
    .interval_ns = 50 * CLOCK_MS,
    .rate_bps = 8000000,
};

static struct flow_spec group_spec(const char *group)
{
    struct flow_spec spec = pair_spec(FLOW_MULTICAST, group, FLOW_FORWARD, 1, 500);

    text_copy(spec.bind, sizeof spec.bind, "lo");
    return spec;
}

static void side_open(struct pair_side *side, const struct flow_spec *spec, enum flow_role role,
                      uint16_t port)
{
    *side = (struct pair_side){.spec = *spec, .stop_fd = eventfd(0, EFD_CLOEXEC)};
    side->spec.role = role;
    side->spec.port = port;
    if (engine_open(&side->spec, side->stop_fd, &side->engine, &side->err) < 0)
        fail_msg("%s", side->err.text);
    assert_int_equal(engine_accept(side->engine, &side->err), 0);
}

static void side_close(struct pair_side *side)
{
    pair_forget(side);
    engine_close(side->engine);
    close(side->stop_fd);
}

static void check_good(const struct pair_side *side)
{
    if (side->r < 0)
        fail_msg("%s", side->err.text);
}

static void test_every_receiver_gets_all_of_it(void **state)
{
    static const char *const groups[] = {"231.1.1.1", "239.77.0.1"};

    (void)state;
    for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
        struct flow_spec spec = group_spec(groups[g]);
        struct pair_side sender, receivers[RECEIVERS];
        struct flow_trial trial = a_trial;
        uint16_t port = 0;

        for (int i = 0; i < RECEIVERS; i++) {
            side_open(&receivers[i], &spec, FLOW_SERVER, port);
            port = engine_port(receivers[i].engine);
            assert_true(port > 0);
        }
        side_open(&sender, &spec, FLOW_CLIENT, port);
        for (trial.number = 1; trial.number <= 2; trial.number++) {
            for (int i = 0; i < RECEIVERS; i++)
                pair_run_begin(&receivers[i], &trial);
            pair_run_begin(&sender, &trial);
            pair_join(&sender);
            check_good(&sender);
            for (int i = 0; i < RECEIVERS; i++) {
                const struct pair_side *r = &receivers[i];

                pair_join(&receivers[i]);
                check_good(r);
                assert_int_equal(pair_count(r, FLOW_RECEIVED, METRIC_sent),
                                 pair_count(&sender, FLOW_SENT, METRIC_sent));
                assert_int_equal(pair_count(r, FLOW_RECEIVED, METRIC_received),
                                 pair_count(r, FLOW_RECEIVED, METRIC_sent));
                assert_int_equal(pair_count(r, FLOW_RECEIVED, METRIC_lost), 0);
                assert_int_equal(pair_count(r, FLOW_RECEIVED, METRIC_duplicated), 0);
                assert_true(pair_has(r, FLOW_RECEIVED, METRIC_jitter_ns));
                assert_true(pair_has(r, FLOW_RECEIVED, METRIC_throughput_bps));
            }
        }
        side_close(&sender);
        for (int i = 0; i < RECEIVERS; i++)
            side_close(&receivers[i]);
    }
}

/* Datagrams by hand, so that what is lost, doubled and late is known. */
static void test_a_receiver_counts_what_it_did_not_get(void **state)
{
    static const uint64_t numbers[] = {0, 1, 2, 5, 6, 6, 4, 9};
    struct flow_spec spec = group_spec("231.1.1.1");
    struct flow_trial trial = a_trial;
    struct pair_side receiver, sender;
    uint8_t bytes[500] = {0};
    struct datagram d = {.trial = 1, .flags = DATAGRAM_MEASURED};

    (void)state;
    side_open(&receiver, &spec, FLOW_SERVER, 0);
    side_open(&sender, &spec, FLOW_CLIENT, engine_port(receiver.engine));
    trial.warmup_ns = 0;
    pair_run_begin(&receiver, &trial);
    d.tag = token_tag(&spec);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        d.sequence = numbers[i];
        datagram_write(&d, bytes);
        assert_int_equal(send(sender.engine->flows[0].fd, bytes, sizeof bytes, 0), sizeof bytes);
        bytes[0] ^= 1; /* and one of somebody else's */
        assert_int_equal(send(sender.engine->flows[0].fd, bytes, sizeof bytes, 0), sizeof bytes);
    }
    d.flags = DATAGRAM_END;
    d.sequence = 12;
    datagram_write(&d, bytes);
    assert_int_equal(send(sender.engine->flows[0].fd, bytes, DATAGRAM_BYTES, 0), DATAGRAM_BYTES);
    pair_join(&receiver);
    check_good(&receiver);
    assert_int_equal(pair_count(&receiver, FLOW_RECEIVED, METRIC_sent), 12);
    assert_int_equal(pair_count(&receiver, FLOW_RECEIVED, METRIC_received), 7);
    assert_int_equal(pair_count(&receiver, FLOW_RECEIVED, METRIC_lost), 5);
    assert_int_equal(pair_count(&receiver, FLOW_RECEIVED, METRIC_loss_bursts), 3);
    assert_int_equal(pair_count(&receiver, FLOW_RECEIVED, METRIC_longest_loss), 2);
    assert_int_equal(pair_count(&receiver, FLOW_RECEIVED, METRIC_duplicated), 1);
    assert_int_equal(pair_count(&receiver, FLOW_RECEIVED, METRIC_reordered), 1);
    assert_int_equal(pair_count(&receiver, FLOW_RECEIVED, METRIC_refused), ARRAY_SIZE(numbers));
    side_close(&sender);
    side_close(&receiver);
}

static void test_the_sender_needs_nobody_who_listens(void **state)
{
    struct flow_spec spec = group_spec("231.1.1.1");
    struct flow_trial trial = a_trial;
    struct pair_side sender;

    (void)state;
    side_open(&sender, &spec, FLOW_CLIENT, 5009);
    pair_run_begin(&sender, &trial);
    pair_join(&sender);
    check_good(&sender);
    assert_true(pair_count(&sender, FLOW_SENT, METRIC_sent) > 2);
    side_close(&sender);
}

static int hops_of(const struct pair_side *side)
{
    int hops = -1;

    getsockopt(side->engine->flows[0].fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops,
               &(socklen_t){sizeof hops});
    return hops;
}

static void test_it_goes_one_hop_unless_told(void **state)
{
    struct flow_spec spec = group_spec("231.1.1.1");
    struct pair_side sender;

    (void)state;
    side_open(&sender, &spec, FLOW_CLIENT, 5009);
    assert_int_equal(hops_of(&sender), 1);
    side_close(&sender);
    spec.ttl = 9;
    side_open(&sender, &spec, FLOW_CLIENT, 5009);
    assert_int_equal(hops_of(&sender), 9);
    side_close(&sender);
}

static void refused(const struct flow_spec *spec, int error, const char *part)
{
    int stop_fd = eventfd(0, EFD_CLOEXEC);
    struct engine *engine;
    struct err err = {0};

    assert_int_equal(engine_open(spec, stop_fd, &engine, &err), error);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
    close(stop_fd);
}

static void test_what_cannot_be_is_said(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xe7010101)};
    struct flow_spec spec = group_spec("231.1.1.1");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof at;

    (void)state;
    spec.port = 5009;
    for (int role = FLOW_CLIENT; role <= FLOW_SERVER; role++) {
        spec.role = (enum flow_role)role;
        text_copy(spec.bind, sizeof spec.bind, "nosuch0");
        refused(&spec, -ENODEV, "no interface here is, or has, nosuch0");
        text_copy(spec.bind, sizeof spec.bind, "192.0.2.77");
        refused(&spec, -ENODEV, "no interface here is, or has, 192.0.2.77");
        text_copy(spec.bind, sizeof spec.bind, "::1");
        refused(&spec, -EAFNOSUPPORT, "own address ::1 and group 231.1.1.1");
    }
    /* Somebody has the port and does not share. */
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    text_copy(spec.bind, sizeof spec.bind, "lo");
    spec.port = ntohs(at.sin_port);
    refused(&spec, -EADDRINUSE, "binding group 231.1.1.1 port");
    close(fd);
    spec.role = FLOW_CLIENT;
    text_copy(spec.address, sizeof spec.address, "ff02::7:1");
    spec.bind[0] = '\0';
    refused(&spec, -EINVAL, "no interface was named");
}

static void test_silence_is_an_error(void **state)
{
    struct flow_spec spec = group_spec("231.1.1.1");
    struct pair_side receiver;
    struct flow_trial trial = a_trial;

    (void)state;
    side_open(&receiver, &spec, FLOW_SERVER, 0);
    pair_run_begin(&receiver, &trial);
    pair_join(&receiver);
    assert_int_equal(receiver.r, -ETIMEDOUT);
    assert_non_null(strstr(receiver.err.text, "no datagram arrived"));
    assert_null(strstr(receiver.err.text, "handshake"));
    side_close(&receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_receiver_gets_all_of_it),
        cmocka_unit_test(test_a_receiver_counts_what_it_did_not_get),
        cmocka_unit_test(test_the_sender_needs_nobody_who_listens),
        cmocka_unit_test(test_it_goes_one_hop_unless_told),
        cmocka_unit_test(test_what_cannot_be_is_said),
        cmocka_unit_test(test_silence_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
