/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "deploy/lab_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_addresses_are_vmtps(void **state)
{
    const struct lab_vm_net vm = {.vm = 3, .network = 2, .host = 11, .floating = 12};
    char a[FLOW_ADDRESS_SIZE];

    (void)state;
    lab_net_vm_address(&vm, false, a);
    assert_string_equal(a, "192.168.2.11");
    lab_net_vm_address(&vm, true, a);
    assert_string_equal(a, "2001:46::11");
    lab_net_gateway_address(1, true, a);
    assert_string_equal(a, "2001:45::1");
    lab_net_floating_address(vm.floating, a);
    assert_string_equal(a, "198.51.100.12");
    lab_net_node_address(2, false, a);
    assert_string_equal(a, "192.0.2.2");
}

static void test_without_ipv6_no_text_has_any(void **state)
{
    const struct lab_vm_net vm = {.vm = 1, .network = 1, .host = 11};
    struct lab_text t = {0};

    (void)state;
    lab_net_node(&t, 2, false);
    lab_net_router(&t, 2, false);
    lab_net_external(&t, false);
    lab_net_vm(&t, &vm, false);
    assert_false(t.full);
    assert_null(strstr(t.text, "2001:"));
    lab_net_vm(&t, &vm, true);
    assert_non_null(strstr(t.text, "address add 2001:45::11/64 dev eth0 nodad\n"));
}

static void test_the_largest_texts_fit(void **state)
{
    struct lab_text a = {0}, b = {0}, c = {0};

    (void)state;
    lab_net_router_node(&a, LAB_NETWORKS_MAX);
    lab_net_router(&b, LAB_NETWORKS_MAX, true);
    lab_net_router_nft(&c, LAB_NETWORKS_MAX);
    assert_false(a.full);
    assert_false(b.full);
    assert_false(c.full);
    for (int i = 0; i < 200; i++)
        lab_net_add(&a, "a line that does not fit in the end\n");
    assert_true(a.full);
    assert_true(strlen(a.text) < sizeof a.text);
}

static void test_links_that_do_not_carry_yet_are_seen(void **state)
{
    static const struct {
        const char *output;
        bool up;
    } rows[] = {
        {"2: eth0@if3: <BROADCAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP mode DEFAULT group "
         "default\n",
         true},
        {"2: eth0@if3: <NO-CARRIER,BROADCAST,UP> mtu 1450 qdisc noqueue state LOWERLAYERDOWN mode "
         "DEFAULT\n",
         false},
        {"2: eth0@if3: <BROADCAST> mtu 1450 qdisc noop state DOWN mode DEFAULT\n", false},
        {"4: vx-net1: <BROADCAST,UP> mtu 1450 state UNKNOWN mode DEFAULT\\ bridge_slave state "
         "forwarding priority 32\n",
         true},
        {"4: vm1@if2: <BROADCAST,UP> mtu 1450 state UP mode DEFAULT\\ bridge_slave state disabled "
         "priority 32\n",
         false},
        {"4: vm1@if2: <BROADCAST,UP> mtu 1450 state UP mode DEFAULT\\ bridge_slave state learning "
         "priority 32",
         false},
        {"1: lo: <LOOPBACK> mtu 65536 state DOWN mode DEFAULT\n2: eth0: <UP> state UP mode\n",
         true},
        {"", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (lab_net_is_up(rows[i].output) != rows[i].up)
            fail_msg("row %zu", i);
    assert_true(lab_net_is_bare("1: lo: <LOOPBACK>\n7: under0@if2: <UP>\n"));
    assert_false(lab_net_is_bare("1: lo: <LOOPBACK>\n9: vm1@if2: <UP>\n"));
}

static void test_complaints_of_tools_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *output, *line, *about;
    } rows[] = {
        {"link set dev a up\nlink add name b type vxlan\n",
         "RTNETLINK answers: Operation not supported\nCommand failed -:2\n",
         "RTNETLINK answers: Operation not supported", "link add name b type vxlan"},
        {"link show\nlink set dev a up\n",
         "1: lo: <LOOPBACK>\nCannot find device \"a\"\nCommand failed -:2\n",
         "Cannot find device \"a\"", "link set dev a up"},
        {"x\n", "/dev/stdin:1:1-1: Error: syntax error\nx\n^\n", "Error: syntax error", ""},
        {"x\n", "something else\n", "something else", ""},
        {"x\n", "", "", ""},
        {"x\n", "Command failed -:99\n", "Command failed -:99", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char line[80] = "", about[80] = "";

        lab_net_complaint(rows[i].text, rows[i].output, line, sizeof line, about, sizeof about);
        assert_string_equal(line, rows[i].line);
        assert_string_equal(about, rows[i].about);
    }
    assert_true(lab_net_is_gone("Cannot find device \"under0\"\nCommand failed -:1\n"));
    assert_false(
        lab_net_is_gone("RTNETLINK answers: Operation not permitted\nCommand failed -:1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_vmtps),
        cmocka_unit_test(test_without_ipv6_no_text_has_any),
        cmocka_unit_test(test_the_largest_texts_fit),
        cmocka_unit_test(test_links_that_do_not_carry_yet_are_seen),
        cmocka_unit_test(test_complaints_of_tools_are_taken_apart),
    };

    return cmocka_run_group_tests_name("lab_net", tests, NULL, NULL);
}
