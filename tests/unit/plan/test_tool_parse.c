/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/tool_parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Prints of Debian 12's nuttcp 6.1.2 and iperf 2.1.8, between two namespaces. */
static const char iperf_tcp_client[] =
    "------------------------------------------------------------\n"
    "Client connecting to 10.77.0.2, TCP port 5001 with pid 939 (1 flows)\n"
    "Write buffer size: 65536 Byte\n"
    "TOS set to 0x0 (Nagle on)\n"
    "TCP window size: 45.0 KByte (default)\n"
    "------------------------------------------------------------\n"
    "[  1] local 10.77.0.1%e0 port 34380 connected with 10.77.0.2 port 5001 (sock=3) "
    "(icwnd/mss/irtt=14/1448/33) (ct=0.08 ms) on 2026-11-21 11:10:44 (UTC)\n"
    "[ ID] Interval            Transfer    Bandwidth       Write/Err  Rtry     Cwnd/RTT(var)       "
    " "
    "NetPwr\n"
    "[  1] 0.0000-1.0012 sec  2531328 KBytes  20711041 Kbits/sec  39552/0       4407      "
    "432K/72(118) us  35956668\n"
    "\nvnperf-tool: ended with 0\n";
static const char iperf_tcp_server[] =
    "------------------------------------------------------------\n"
    "Server listening on TCP port 5001 with pid 935\n"
    "Read buffer size:  128 KByte (Dist bin width=16.0 KByte)\n"
    "TCP window size:  128 KByte (default)\n"
    "------------------------------------------------------------\n"
    "vnperf-tool: ready\n"
    "[  1] local 10.77.0.2%e0 port 5001 connected with 10.77.0.1 port 34380 (sock=4) (peer 2.1.8) "
    "(icwnd/mss/irtt=14/1448/20) on 2026-11-21 11:10:44 (UTC)\n"
    "[ ID] Interval            Transfer    Bandwidth       Reads=Dist\n"
    "[  1] 0.0000-1.0012 sec  2531328 KBytes  20711454 Kbits/sec  "
    "38211=3874:16:8:26005:3051:26:8:5223\n";
static const char iperf_two_flows[] =
    "[ ID] Interval            Transfer    Bandwidth       Write/Err  Rtry     Cwnd/RTT(var)       "
    " "
    "NetPwr\n"
    "[  2] 0.0000-1.0004 sec  1556096 KBytes  12742506 Kbits/sec  24314/0        626      "
    "529K/441(625) us  3611867\n"
    "[  1] 0.0000-1.0119 sec  1510656 KBytes  12229615 Kbits/sec  23604/0         45      "
    "613K/506(819) us  3021150\n"
    "[SUM] 0.0000-1.0005 sec  3066752 KBytes  25110228 Kbits/sec  47918/0       671\n"
    "[ CT] final connect times (min/avg/max/stdev) = 0.071/0.088/0.106/24.749 ms (tot/err) = 2/0\n";
static const char iperf_reverse_client[] =
    "[ ID] Interval            Transfer    Bandwidth       Reads=Dist\n"
    "[ *1] 0.0000-1.0004 sec  1893312 KBytes  15503996 Kbits/sec  "
    "29831=132:34:42:32:39:54:39:29459\n";
static const char iperf_udp_client[] =
    "[ ID] Interval            Transfer     Bandwidth      Write/Err  PPS\n"
    "[  1] 0.0000-1.0007 sec  2445 KBytes  20015 Kbits/sec  2444/0     2444 pps\n"
    "[  1] Sent 2446 datagrams\n"
    "[  1] Server Report:\n"
    "[ ID] Interval            Transfer     Bandwidth        Jitter   Lost/Total  Latency "
    "avg/min/max/stdev PPS  Rx/inP  NetPwr\n"
    "[  1] 0.0000-1.0157 sec  1194 KBytes  9630 Kbits/sec   0.060 ms 1251/2445 (51%) "
    "14.900/0.003/15.402/1.673 ms 2407 pps 2407/36(4) pkts 80.79\n";
static const char iperf_udp_server[] =
    "[  1] local 10.77.0.2%e0 port 5001 connected with 10.77.0.1 port 45446 (sock=3) (peer 2.1.8) "
    "on 2026-11-21 11:11:40 (UTC)\n"
    "[ ID] Interval            Transfer     Bandwidth        Jitter   Lost/Total  Latency "
    "avg/min/max/stdev PPS  Rx/inP  NetPwr\n"
    "[  1] 0.0000-1.0157 sec  1194 KBytes  9630 Kbits/sec   0.060 ms 1251/2445 (51%) "
    "14.900/0.003/15.402/1.673 ms 2407 pps 1194/36(4) pkts 80.79\n";

static void near(double value, double truth)
{
    assert_true(value > truth * (1 - 1e-9) && value < truth * (1 + 1e-9));
}

static void test_nuttcp_says_decimal_megabits(void **state)
{
    struct tool_report t;

    (void)state;
    assert_int_equal(tool_parse_nuttcp("megabytes=1918.4811 real_seconds=1.00 rate_Mbps=16051.5559 "
                                       "tx_cpu=35 rx_cpu=52 retrans=7 rtt_ms=0.12\n",
                                       &t, NULL),
                     0);
    near(t.bps, 16051555900.0);
    assert_int_equal(t.window_ns, 1000000000);
    assert_int_equal(t.bytes, 2011673237);
    assert_true(t.has_retransmits);
    assert_int_equal(t.retransmits, 7);
    assert_false(t.has_loss);
    assert_false(t.has_jitter);
}

static void test_nuttcp_of_many_streams_has_no_retransmits(void **state)
{
    struct tool_report t;

    (void)state;
    assert_int_equal(tool_parse_nuttcp("megabytes=619.1418 real_seconds=1.00 rate_Mbps=5171.7937 "
                                       "tx_cpu=14 rx_cpu=20 rtt_ms=0.05\n",
                                       &t, NULL),
                     0);
    assert_false(t.has_retransmits);
}

static void test_nuttcp_loss(void **state)
{
    struct tool_report t;

    (void)state;
    assert_int_equal(
        tool_parse_nuttcp("megabytes=1.1650 real_seconds=1.02 rate_Mbps=9.6225 tx_cpu=56 "
                          "rx_cpu=0 drop=1249 pkt=2442 data_loss=51.14894\n",
                          &t, NULL),
        0);
    assert_true(t.has_loss);
    assert_int_equal(t.packets, 2442);
    assert_int_equal(t.lost, 1249);
    /* Counted below zero by the tool: duplicates, and nothing lost. */
    assert_int_equal(tool_parse_nuttcp("megabytes=1 real_seconds=1.02 rate_Mbps=9.6225 drop=-3 "
                                       "pkt=2442 data_loss=-0.1\n",
                                       &t, NULL),
                     0);
    assert_int_equal(t.lost, 0);
}

static void test_iperf_tcp(void **state)
{
    struct tool_report t;

    (void)state;
    assert_int_equal(tool_parse_iperf(iperf_tcp_client, &t, NULL), 0);
    near(t.bps, 20711041000.0);
    assert_int_equal(t.bytes, 2531328ULL * 1024);
    assert_int_equal(t.window_ns, 1001200000);
    assert_true(t.has_retransmits);
    assert_int_equal(t.retransmits, 4407);
    assert_int_equal(tool_parse_iperf(iperf_tcp_server, &t, NULL), 0);
    near(t.bps, 20711454000.0);
    assert_false(t.has_retransmits);
    assert_false(t.has_loss);
    assert_int_equal(tool_parse_iperf(iperf_reverse_client, &t, NULL), 0);
    near(t.bps, 15503996000.0);
}

static void test_iperf_takes_the_sum_of_flows(void **state)
{
    struct tool_report t;

    (void)state;
    assert_int_equal(tool_parse_iperf(iperf_two_flows, &t, NULL), 0);
    near(t.bps, 25110228000.0);
    assert_true(t.has_retransmits);
    assert_int_equal(t.retransmits, 671);
}

static void test_iperf_udp(void **state)
{
    struct tool_report t;

    (void)state;
    assert_int_equal(tool_parse_iperf(iperf_udp_client, &t, NULL), 0);
    near(t.bps, 20015000.0);
    assert_false(t.has_loss);
    assert_false(t.has_retransmits);
    assert_int_equal(tool_parse_iperf(iperf_udp_server, &t, NULL), 0);
    near(t.bps, 9630000.0);
    assert_true(t.has_loss);
    assert_int_equal(t.packets, 2445);
    assert_int_equal(t.lost, 1251);
    assert_true(t.has_jitter);
    near(t.jitter_ns, 60000);
}

/* Of a text without a result the line that says why is quoted, tamed. */
static void test_no_result_is_said_with_the_tools_own_words(void **state)
{
    static const struct {
        int (*parse)(const char *, struct tool_report *, struct err *);
        const char *text, *words;
    } rows[] = {
        {tool_parse_nuttcp,
         "nuttcp-t: Info=\"attempting_to_switch_to_deprecated_classic_mode\"\n"
         "nuttcp-t: v6.1.2: Error: connect: Connection refused\nerrno=111\n",
         "nuttcp gave no result: nuttcp-t: v6.1.2: Error: connect: Connection refused"},
        {tool_parse_nuttcp, "", "nuttcp gave no result"},
        {tool_parse_nuttcp, "flip option not supported for UDP\n\nvnperf-tool: ended with 1\n",
         "flip option not supported for UDP"},
        {tool_parse_nuttcp, "rate_Mbps=nan real_seconds=1", "rate_Mbps=nan"},
        {tool_parse_nuttcp, "rate_Mbps=-1 real_seconds=1", "no result"},
        {tool_parse_iperf, "tcp connect failed: Connection refused\n[  1] local 0.0.0.0 port 0\n",
         "iperf gave no result: tcp connect failed: Connection refused"},
        {tool_parse_iperf, "[ *1] 0.0000-0.0000 sec  0.000 Bytes  0.000 bits/sec\n", "no result"},
        {tool_parse_iperf, "\x1b[31mbad\a error\n", "?[31mbad? error"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tool_report t = {.bps = 42};
        struct err err = {0};

        assert_int_equal(rows[i].parse(rows[i].text, &t, &err), -ENODATA);
        if (!strstr(err.text, rows[i].words))
            fail_msg("'%s' lacks '%s'", err.text, rows[i].words);
        assert_true(t.bps == 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nuttcp_says_decimal_megabits),
        cmocka_unit_test(test_nuttcp_of_many_streams_has_no_retransmits),
        cmocka_unit_test(test_nuttcp_loss),
        cmocka_unit_test(test_iperf_tcp),
        cmocka_unit_test(test_iperf_takes_the_sum_of_flows),
        cmocka_unit_test(test_iperf_udp),
        cmocka_unit_test(test_no_result_is_said_with_the_tools_own_words),
    };

    return cmocka_run_group_tests_name("tool_parse", tests, NULL, NULL);
}
