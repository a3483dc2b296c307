/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "plan/preflight_judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct peer client = {.name = "vm1"}, server = {.name = "vm2"};

static struct preflight_knock knock_of(bool udp)
{
    return (struct preflight_knock){.client = &client,
                                    .server = &server,
                                    .address = "10.0.0.2",
                                    .from = "10.0.0.1",
                                    .udp = udp,
                                    .port = 5001,
                                    .port_last = 5031};
}

/* What the client and the server saw of a knock, and the words for it. */
static const struct {
    bool udp;
    struct probe_answer answer;
    bool heard;
    const char *half;
    bool alone;
    const char *words;
} judged[] = {
    {false,
     {PROBE_SILENT, 0},
     false,
     NULL,
     true,
     "vm1 cannot reach vm2 at 10.0.0.2, TCP port 5003: nothing arrives there"},
    {false,
     {PROBE_SILENT, 0},
     false,
     "10.0.0.1",
     false,
     "TCP port 5003: what it sends arrives there"},
    /* Behind a translation: one that was alone is known, several are not. */
    {false, {PROBE_SILENT, 0}, false, "192.0.2.1", true, "what it sends arrives there"},
    {false, {PROBE_SILENT, 0}, false, "192.0.2.1", false, "TCP port 5003: no answer comes back"},
    {false,
     {PROBE_CONNECTED, 0},
     false,
     NULL,
     true,
     "it connects, but what it sends then does not"},
    {false, {PROBE_CONNECTED, 0}, true, NULL, true, "it connects, but then no answer"},
    {true, {PROBE_SILENT, 0}, false, NULL, false, "UDP port 5003: nothing arrives there"},
    {true,
     {PROBE_SILENT, 0},
     true,
     NULL,
     false,
     "UDP port 5003: what it sends arrives there, but the answers do not come back"},
    {true,
     {PROBE_ERROR, ECONNREFUSED},
     false,
     NULL,
     false,
     "it is refused: a firewall rejects it, or that address leads to another host (Connection "
     "refused)"},
    {true, {PROBE_ERROR, EHOSTUNREACH}, false, NULL, false, "firewall or router, or has no route"},
    {true, {PROBE_ERROR, EPERM}, false, NULL, false, "a firewall of its own"},
    {false,
     {PROBE_ERROR, ENODEV},
     false,
     NULL,
     false,
     "it has no interface of that name (if=) itself (No such device)"},
    {false,
     {PROBE_ERROR, EADDRNOTAVAIL},
     false,
     NULL,
     false,
     "it does not have that address (addr=) itself (Cannot assign requested address)"},
    {false,
     {PROBE_ERROR, ENOBUFS},
     false,
     NULL,
     false,
     "trying it failed (No buffer space available)"},
    {false, {PROBE_STRANGER, 0}, false, NULL, false, "not our agent"},
};

static void test_what_both_sides_saw_says_where_it_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof judged / sizeof *judged; i++) {
        struct preflight_knock k = knock_of(judged[i].udp);
        struct probe_heard heard = {0};

        if (judged[i].heard)
            heard.number[1] = 1U << 3;
        if (judged[i].half)
            text_copy(heard.half[heard.n_half++], FLOW_ADDRESS_SIZE, judged[i].half);
        preflight_judge_knock(&k, 5003, &judged[i].answer, &heard, 11, judged[i].alone);
        if (!strstr(k.why, judged[i].words))
            fail_msg("row %zu: '%s'", i, k.why);
        assert_int_equal(k.code, EHOSTUNREACH);
    }
}

static void test_what_is_reached_has_no_sentence(void **state)
{
    struct preflight_knock k = knock_of(false);

    (void)state;
    preflight_judge_knock(&k, 5001, &(struct probe_answer){PROBE_REACHED, 0}, NULL, 0, true);
    assert_string_equal(k.why, "");
    assert_int_equal(k.code, 0);
}

static void test_a_door_that_cannot_be_opened_names_range_and_host(void **state)
{
    struct preflight_knock k = knock_of(false);

    (void)state;
    preflight_judge_door(&k, EADDRINUSE);
    assert_string_equal(
        k.why,
        "vm2: all of TCP ports 5001 to 5031 are taken by other programs (--port names others)");
    assert_int_equal(k.code, EADDRINUSE);
    k = knock_of(true);
    k.port_last = 0;
    preflight_judge_door(&k, EADDRINUSE);
    assert_string_equal(k.why,
                        "vm2: UDP port 5001 is taken by other programs (--port names others)");
    preflight_judge_door(&k, EACCES);
    assert_string_equal(k.why, "vm2: UDP port 5001 cannot be opened: Permission denied");
}

static void test_what_is_asked_needs_its_ports_once(void **state)
{
    struct preflight *p = calloc(1, sizeof *p);
    struct preflight_needs needs = {0};
    struct measure_path path = {.client = &client, .server = &server, .address = "10.0.0.2"};
    struct measure_ask tcp = {.spec = {.kind = FLOW_TCP_STREAM,
                                       .n_flows = 1,
                                       .port = 5001,
                                       .port_last = 5031}},
                       rr = tcp, udp = tcp, stamp = tcp, icmp = tcp, group = tcp;

    (void)state;
    assert_non_null(p);
    rr.spec.kind = FLOW_TCP_RR;
    udp.spec.kind = FLOW_UDP_STREAM;
    stamp.spec.kind = FLOW_STAMP;
    icmp.spec.kind = FLOW_ICMP_ECHO;
    group.spec.kind = FLOW_MULTICAST;
    preflight_ask(p, &needs, &path, "", TOOL_NONE, &icmp, NULL);
    preflight_ask(p, &needs, &path, "", TOOL_NONE, &group, NULL);
    assert_int_equal(p->n, 0);
    preflight_ask(p, &needs, &path, "", TOOL_NONE, &tcp, NULL);
    preflight_ask(p, &needs, &path, "", TOOL_NONE, &rr, NULL);
    assert_int_equal(p->n, 1);
    /* Over TCP two sessions at once have one port, over UDP two. */
    preflight_ask(p, &needs, &path, "", TOOL_NONE, &rr, &tcp);
    assert_int_equal(p->n, 1);
    preflight_ask(p, &needs, &path, "", TOOL_NONE, &stamp, &udp);
    assert_int_equal(p->n, 3);
    assert_int_equal(p->knock[1].nth + p->knock[2].nth, 1);
    /* nuttcp's data, and its control connection behind it. */
    preflight_ask(p, &needs, &path, "", TOOL_NUTTCP, &udp, NULL);
    assert_int_equal(p->n, 5);
    assert_true(p->knock[3].udp && p->knock[3].port == 5001);
    assert_true(!p->knock[4].udp && p->knock[4].port == 5002);
    assert_int_equal(needs.n, 5);
    /* No agent of ours there: nothing to try. */
    path.server = NULL;
    path.address[0] = '1';
    preflight_ask(p, &needs, &path, "", TOOL_NONE, &tcp, NULL);
    assert_int_equal(p->n, 5);
    free(p);
}

static void test_why_tells_all_of_it_and_the_first_code(void **state)
{
    struct preflight *p = calloc(1, sizeof *p);
    const struct preflight_needs needs = {.n = 3, .knock = {0, 1, 2}},
                                 good = {.n = 1, .knock = {0}};
    struct err err = {0};

    (void)state;
    assert_non_null(p);
    p->n = 3;
    text_copy(p->knock[1].why, sizeof p->knock[1].why, "one");
    p->knock[1].code = EADDRINUSE;
    text_copy(p->knock[2].why, sizeof p->knock[2].why, "two");
    p->knock[2].code = EHOSTUNREACH;
    assert_int_equal(preflight_why(p, &good, &err), 0);
    assert_int_equal(preflight_why(p, &needs, &err), -EADDRINUSE);
    assert_string_equal(err.text, "one; two");
    assert_int_equal(err.code, EADDRINUSE);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_both_sides_saw_says_where_it_fails),
        cmocka_unit_test(test_what_is_reached_has_no_sentence),
        cmocka_unit_test(test_a_door_that_cannot_be_opened_names_range_and_host),
        cmocka_unit_test(test_what_is_asked_needs_its_ports_once),
        cmocka_unit_test(test_why_tells_all_of_it_and_the_first_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
