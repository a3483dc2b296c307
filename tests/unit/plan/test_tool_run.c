/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "plan/tool_run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct measure_ask ask_of(enum flow_kind kind)
{
    return (struct measure_ask){.spec = {.kind = kind,
                                         .direction = FLOW_FORWARD,
                                         .n_flows = 1,
                                         .payload_bytes = kind == FLOW_TCP_STREAM ? 65536 : 1024,
                                         .port = 5001,
                                         .port_last = 5031,
                                         .gso = 1},
                                .duration_ns = 10ULL * CLOCK_S};
}

static void expect_line(enum tool tool, const struct measure_ask *ask, const char *address,
                        bool server, const char *line)
{
    char text[400];

    tool_say(tool, ask, address, server, text, sizeof text);
    assert_string_equal(text, line);
}

/* VMTP's command lines, but for what keeps a server in front and lets it end. */
static void test_nuttcp_lines(void **state)
{
    struct measure_ask ask = ask_of(FLOW_TCP_STREAM);

    (void)state;
    expect_line(TOOL_NUTTCP, &ask, "10.0.0.2", true, "nuttcp -1 --nofork --single-threaded -P5002");
    expect_line(TOOL_NUTTCP, &ask, "10.0.0.2", false,
                "nuttcp -a -T10 -l65536 -P5002 -p5001 -fparse 10.0.0.2");
    ask.spec.direction = FLOW_REVERSE;
    ask.spec.n_flows = 4;
    ask.rate_bps = 8000000;
    expect_line(TOOL_NUTTCP, &ask, "2001:db8::2", false,
                "nuttcp -a -T10 -l65536 -6 -P5005 -p5001 -R8000K -N4 -F -r -fparse 2001:db8::2");
    ask = ask_of(FLOW_UDP_STREAM);
    ask.rate_bps = 100000000;
    ask.spec.direction = FLOW_REVERSE;
    expect_line(TOOL_NUTTCP, &ask, "10.0.0.2", false,
                "nuttcp -a -T10 -l1024 -P5002 -p5001 -u -R100000K -r -fparse 10.0.0.2");
}

/* The rate in plain bits: iperf's K would be 1024 of them. */
static void test_iperf_lines(void **state)
{
    struct measure_ask ask = ask_of(FLOW_TCP_STREAM);

    (void)state;
    ask.spec.n_flows = 2;
    ask.rate_bps = 10000000;
    snprintf(ask.spec.cc, sizeof ask.spec.cc, "cubic");
    expect_line(TOOL_IPERF, &ask, "10.0.0.2", true, "iperf -s -e -f k -p 5001 -P 2");
    expect_line(TOOL_IPERF, &ask, "10.0.0.2", false,
                "iperf -c 10.0.0.2 -e -f k -p 5001 -P 2 -t 10 -l 65536 -b 5000000 -Z cubic");
    ask = ask_of(FLOW_UDP_STREAM);
    ask.rate_bps = 10000000;
    expect_line(TOOL_IPERF, &ask, "fd00::2", true, "iperf -s -e -f k -p 5001 -P 1 -u -V");
    expect_line(TOOL_IPERF, &ask, "fd00::2", false,
                "iperf -c fd00::2 -e -f k -p 5001 -P 1 -u -V -t 10 -l 1024 -b 10000000");
}

static void expect_refused(enum tool tool, const struct measure_ask *ask, const char *words)
{
    struct err err = {0};

    assert_int_equal(tool_check(tool, ask, &err), words ? -EINVAL : 0);
    if (words && !strstr(err.text, words))
        fail_msg("'%s' lacks '%s'", err.text, words);
}

static void test_what_a_tool_cannot_do_is_refused(void **state)
{
    struct measure_ask ask = ask_of(FLOW_UDP_STREAM);

    (void)state;
    expect_refused(TOOL_NUTTCP, &ask, "--bandwidth");
    ask.rate_bps = 1000000;
    expect_refused(TOOL_NUTTCP, &ask, NULL);
    expect_refused(TOOL_IPERF, &ask, NULL);
    ask.spec.direction = FLOW_REVERSE;
    expect_refused(TOOL_NUTTCP, &ask, NULL);
    expect_refused(TOOL_IPERF, &ask, "the other way round");
    ask = ask_of(FLOW_TCP_STREAM);
    ask.duration_ns += CLOCK_MS;
    expect_refused(TOOL_IPERF, &ask, "whole seconds");
    ask = ask_of(FLOW_TCP_STREAM);
    ask.spec.direction = FLOW_BOTH;
    expect_refused(TOOL_IPERF, &ask, "--bidir");
    ask = ask_of(FLOW_TCP_STREAM);
    snprintf(ask.spec.cc, sizeof ask.spec.cc, "cubic");
    expect_refused(TOOL_NUTTCP, &ask, "--cc");
    expect_refused(TOOL_IPERF, &ask, NULL);
    ask = ask_of(FLOW_TCP_RR);
    expect_refused(TOOL_IPERF, &ask, "TCP and UDP streams alone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nuttcp_lines),
        cmocka_unit_test(test_iperf_lines),
        cmocka_unit_test(test_what_a_tool_cannot_do_is_refused),
    };

    return cmocka_run_group_tests_name("tool_run", tests, NULL, NULL);
}
