/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plan/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { VALUES = 8 };

struct value {
    enum metric metric;
    double value;
};

/* One verdict: metrics of the whole, of the sender, of the receiver. */
struct row {
    const char *what;
    enum flow_kind kind;
    bool searched;
    enum limit before; /* what the search said */
    enum flow_peer peer;
    uint64_t gap_ns;
    bool spin;
    const char *placement; /* NULL: not known */
    const char *cc;        /* NULL: none */
    struct value headline[VALUES], sender[VALUES], receiver[VALUES];
    enum limit limit;
    const char *word;
};

#define M(name, value)                                                                             \
    {                                                                                              \
        METRIC_##name, value                                                                       \
    }

static void put(struct metric_set *set, const struct value values[VALUES])
{
    /* The first metric of all with value 0 is an empty place. */
    for (int i = 0; i < VALUES; i++)
        if (values[i].metric || values[i].value != 0)
            metric_put_real(set, values[i].metric, values[i].value);
}

static const struct row rows[] = {
    {"TCP at the rate that was asked for", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(requested_bps, 1e8), M(throughput_bps, 0.98e8)},
     .sender = {M(window_ns, 1e9), M(busiest_thread_share, 1)}, .limit = LIMIT_REQUESTED_RATE,
     .word = "98.0 %"},
    {"TCP below it, sender busy", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(requested_bps, 1e8), M(throughput_bps, 0.5e8)},
     .sender = {M(window_ns, 1e9), M(busiest_thread_share, 0.97)}, .limit = LIMIT_SENDER,
     .word = "sender's thread used 97 %"},
    {"TCP, both ends fill the CPU that they share", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .placement = "same",
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(busiest_thread_share, 0.8)},
     .receiver = {M(busiest_thread_share, 0.18)}, .limit = LIMIT_SENDER,
     .word = "80 % and 18 % of the one CPU"},
    {"TCP, both ends as busy on a CPU each", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .placement = "different",
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(busiest_thread_share, 0.8)},
     .receiver = {M(busiest_thread_share, 0.18)}, .limit = LIMIT_PATH, .word = "neither end"},
    {"TCP, receiver busy", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busiest_thread_share, 0.96)},
     .receiver = {M(window_ns, 1e9), M(busiest_thread_share, 0.99)}, .limit = LIMIT_RECEIVER,
     .word = "receiver's thread used 99 %"},
    {"TCP, peer's window", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(peer_window_limited_ns, 4e8)},
     .limit = LIMIT_RECEIVER, .word = "window held the sender 40 %"},
    {"TCP, own send buffer", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(send_buffer_limited_ns, 5e8)},
     .limit = LIMIT_SENDER, .word = "send buffer held the sender 50 %"},
    {"TCP, nothing to send", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 4e8)}, .limit = LIMIT_SENDER,
     .word = "nothing to send 60 %"},
    {"TCP, held by this and that, most by nothing to send", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 7.9e8), M(peer_window_limited_ns, 1.5e8)},
     .limit = LIMIT_SENDER, .word = "nothing to send 21 %"},
    {"TCP, held by this and that, most by the window", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 8.5e8), M(peer_window_limited_ns, 2e8)},
     .limit = LIMIT_RECEIVER, .word = "window held the sender 20 %"},
    {"TCP, away because the machine was full", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 4e8), M(busiest_thread_share, 0.4),
                M(node_idle_ns, 1e7), M(node_user_ns, 2e9)},
     .limit = LIMIT_SENDER, .word = "machine was 100 % busy"},
    {"TCP, sender's machine full", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(busiest_thread_share, 0.5),
                M(node_idle_ns, 1e7), M(node_system_ns, 2e9)},
     .limit = LIMIT_SENDER, .word = "machine was 100 % busy"},
    {"TCP, receiver's machine full", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9)},
     .receiver = {M(window_ns, 1e9), M(busiest_thread_share, 0.5), M(node_idle_ns, 1e7),
                  M(node_softirq_ns, 2e9)},
     .limit = LIMIT_RECEIVER, .word = "machine was"},
    {"TCP, others fill the machine and we need little", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(busiest_thread_share, 0.02),
                M(node_idle_ns, 1), M(node_user_ns, 2e9)},
     .limit = LIMIT_PATH, .word = "neither end"},
    {"TCP, path", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN,
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(busiest_thread_share, 0.1)},
     .receiver = {M(window_ns, 1e9), M(busiest_thread_share, 0.1)}, .limit = LIMIT_PATH,
     .word = "neither end"},
    {"TCP that tells nothing", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN, .sender = {M(window_ns, 1e9)},
     .limit = LIMIT_UNKNOWN, .word = "does not tell"},
    {"TCP, bbr", FLOW_TCP_STREAM, false, LIMIT_UNKNOWN, .cc = "bbr",
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9)}, .limit = LIMIT_PATH,
     .word = "bbr's own pacing"},
    {"UDP, receiver's socket", FLOW_UDP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(loss_share, 0.1), M(lost, 100), M(lost_in_socket, 60), M(offered_bps, 1e9)},
     .limit = LIMIT_RECEIVER, .word = "60 %"},
    {"UDP, path loses", FLOW_UDP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(loss_share, 0.1), M(lost, 100), M(lost_in_socket, 10), M(offered_bps, 1e9)},
     .limit = LIMIT_PATH, .word = "lost 10 %"},
    {"UDP, rate reached", FLOW_UDP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(requested_bps, 1e8), M(offered_bps, 0.99e8)}, .limit = LIMIT_REQUESTED_RATE,
     .word = "99.0 %"},
    {"UDP, rate not reached", FLOW_UDP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(requested_bps, 1e8), M(offered_bps, 0.5e8)}, .limit = LIMIT_SENDER,
     .word = "all it could, 50.0 %"},
    {"UDP, as fast as it goes", FLOW_UDP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(offered_bps, 0.5e8)}, .limit = LIMIT_SENDER, .word = "all it could"},
    {"UDP searched, path", FLOW_UDP_STREAM, true, LIMIT_PATH,
     .headline = {M(requested_bps, 1e8), M(offered_bps, 1e8)}, .limit = LIMIT_PATH,
     .word = "above this rate the path loses more than 1 %"},
    {"UDP searched, sender", FLOW_UDP_STREAM, true, LIMIT_SENDER,
     .headline = {M(requested_bps, 1e8), M(offered_bps, 1e8)}, .limit = LIMIT_SENDER,
     .word = "all that the sender could offer"},
    {"UDP searched, a sender that was better in a probe", FLOW_UDP_STREAM, true, LIMIT_SENDER,
     .headline = {M(requested_bps, 1e8), M(offered_bps, 0.7e8)}, .limit = LIMIT_SENDER,
     .word = "could offer, 70 % of its best short probe"},
    {"UDP searched, within the target", FLOW_UDP_STREAM, true, LIMIT_PATH,
     .headline = {M(loss_share, 0.009), M(lost, 9), M(offered_bps, 1e8)}, .limit = LIMIT_PATH,
     .word = "above this rate"},
    {"UDP searched, beyond the target", FLOW_UDP_STREAM, true, LIMIT_SENDER,
     .headline = {M(loss_share, 0.02), M(lost, 20), M(offered_bps, 1e8)}, .limit = LIMIT_PATH,
     .word = "lost 2 %"},
    {"UDP, held by a full queue", FLOW_UDP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(requested_bps, 5e8), M(offered_bps, 1e8)},
     .sender = {M(window_ns, 1e9), M(blocked_ns, 9e8)}, .limit = LIMIT_PATH, .word = "90 %"},
    {"UDP, held now and then", FLOW_UDP_STREAM, false, LIMIT_UNKNOWN,
     .headline = {M(requested_bps, 5e8), M(offered_bps, 1e8)},
     .sender = {M(window_ns, 1e9), M(blocked_ns, 1e8)}, .limit = LIMIT_SENDER,
     .word = "all it could"},
    {"ICMP by a schedule", FLOW_ICMP_ECHO, .sender = {M(late, 3)}, .limit = LIMIT_REQUESTED_RATE,
     .word = "schedule"},
    {"ICMP, one after the other", FLOW_ICMP_ECHO, .limit = LIMIT_PATH, .word = "closed loop"},
    {"UDP RR that lost some", FLOW_UDP_RR, .headline = {M(timeouts, 5), M(transactions, 995)},
     .limit = LIMIT_PATH, .word = "0.5 % of the requests had no answer"},
    {"RR, both ends at work", FLOW_TCP_RR, .sender = {M(busiest_thread_share, 0.49)},
     .receiver = {M(busiest_thread_share, 0.5)}, .limit = LIMIT_SENDER, .word = "49 % and 50 %"},
    {"RR, the receiver at work", FLOW_TCP_RR, .sender = {M(busiest_thread_share, 0.2)},
     .receiver = {M(busiest_thread_share, 0.7)}, .limit = LIMIT_RECEIVER, .word = "20 % and 70 %"},
    {"RR over a long path", FLOW_TCP_RR, .headline = {M(transactions, 10)},
     .sender = {M(busiest_thread_share, 0.01)}, .receiver = {M(busiest_thread_share, 0.01)},
     .limit = LIMIT_PATH, .word = "waits for an answer"},
    {"TCP RR", FLOW_TCP_RR, .limit = LIMIT_PATH, .word = "closed loop"},
    {"TCP to an iperf3 server", FLOW_TCP_STREAM, .peer = FLOW_PEER_IPERF3,
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(busiest_thread_share, 0.1)},
     .limit = LIMIT_UNKNOWN, .word = "what the iperf3 at the other end did is not known"},
    {"TCP to an iperf3 server, our end busy", FLOW_TCP_STREAM, .peer = FLOW_PEER_IPERF3,
     .sender = {M(window_ns, 1e9), M(busy_ns, 1e9), M(busiest_thread_share, 0.99)},
     .limit = LIMIT_SENDER, .word = "sender's thread used 99 %"},
    {"RR on a schedule", FLOW_UDP_RR, .gap_ns = 1000000, .headline = {M(sent, 1000)},
     .limit = LIMIT_REQUESTED_RATE, .word = "requests leave on a schedule"},
    {"RR on a schedule that it missed", FLOW_TCP_RR, .gap_ns = 1000,
     .headline = {M(sent, 900), M(missed, 100)}, .limit = LIMIT_SENDER, .word = "10 % was missed"},
    {"STAMP", FLOW_STAMP, .gap_ns = 1000000, .limit = LIMIT_REQUESTED_RATE, .word = "schedule"},
    {"RR, spinning", FLOW_TCP_RR, .spin = true, .sender = {M(busiest_thread_share, 1)},
     .receiver = {M(busiest_thread_share, 1)}, .limit = LIMIT_UNKNOWN, .word = "wait spinning"},
    {"CRR", FLOW_TCP_CRR, .limit = LIMIT_PATH, .word = "closed loop"},
    {"multicast at its rate", FLOW_MULTICAST,
     .headline = {M(requested_bps, 1e7), M(offered_bps, 1e7)}, .limit = LIMIT_REQUESTED_RATE,
     .word = "100.0 %"},
    {"multicast, a full socket", FLOW_MULTICAST,
     .headline = {M(loss_share, 0.1), M(lost, 100), M(lost_in_socket, 90), M(offered_bps, 1e7)},
     .limit = LIMIT_RECEIVER, .word = "90 %"},
    {"UDP RR", FLOW_UDP_RR, .limit = LIMIT_PATH, .word = "closed loop"},
};

static void test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct measurement m = {.kind = rows[i].kind,
                                .searched = rows[i].searched,
                                .limit = rows[i].before,
                                .peer = rows[i].peer,
                                .gap_ns = rows[i].gap_ns,
                                .spin = rows[i].spin};

        m.search.loss_target = 0.01;
        put(&m.headline, rows[i].headline);
        put(&m.sender.metrics, rows[i].sender);
        put(&m.receiver.metrics, rows[i].receiver);
        if (rows[i].placement)
            text_copy(m.placement, sizeof m.placement, rows[i].placement);
        if (rows[i].cc)
            text_copy(m.sender.congestion_control, sizeof m.sender.congestion_control, rows[i].cc);
        limit_judge(&m);
        if (m.limit != rows[i].limit || !strstr(m.limit_reason, rows[i].word))
            print_message("%s: %s (%s)\n", rows[i].what, limit_name[m.limit], m.limit_reason);
        assert_int_equal(m.limit, rows[i].limit);
        assert_non_null(strstr(m.limit_reason, rows[i].word));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verdicts)};

    return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
