/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "plan/steps.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct places places;

static int no_places(void **state)
{
    (void)state;
    places_done(&places);
    places = (struct places){0};
    return 0;
}

static int add(enum place_role role, const char *endpoint, const char *name, const char *node,
               const char *network, const char *floating, struct err *err)
{
    struct resource_there there = {0};

    assert_int_equal(text_endpoint(endpoint, &there.at, NULL), 0);
    text_copy(there.floating, sizeof there.floating, floating);
    return places_add(&places, role, name, node, network, &there, err);
}

/* "NAME NODE NETWORK [floating]", "-" is no label. */
static void vm(const char *name, const char *node, const char *network, bool floating)
{
    char endpoint[64];

    snprintf(endpoint, sizeof endpoint, "ssh://%s", name);
    assert_int_equal(
        add(PLACE_VM, endpoint, "", node, network, floating ? "203.0.113.5" : "", NULL), 0);
}

/* "2.1 b>a" for every TCP row that has ends; floating rows with a '*'. */
static void expect_pairs(const char *text)
{
    struct scenario rows[SCENARIO_COUNT];
    const char *why[SCENARIO_COUNT];
    bool asked[SCENARIO_COUNT];
    char found[400] = "";

    assert_int_equal(places_complete(&places, NULL), 0);
    places_fill(&places, rows, why, asked);
    for (unsigned i = 0; i < SCENARIO_COUNT; i++) {
        size_t used = strlen(found);

        if (why[i])
            assert_string_equal(rows[i].from, "");
        else if (rows[i].protocol == PROTOCOL_TCP)
            snprintf(found + used, sizeof found - used, "%s%s %s>%s%s", used ? ", " : "",
                     rows[i].id, rows[i].from, rows[i].to, rows[i].floating ? "*" : "");
    }
    assert_string_equal(found, text);
}

static const char *why_not(const char *id)
{
    struct scenario rows[SCENARIO_COUNT];
    static const char *why[SCENARIO_COUNT];
    bool asked[SCENARIO_COUNT];

    places_fill(&places, rows, why, asked);
    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        if (strcmp(rows[i].id, id) == 0)
            return why[i] ? why[i] : "";
    fail_msg("there is no %s", id);
    return "";
}

static void test_five_vms_stand_as_in_the_table(void **state)
{
    (void)state;
    vm("vm1", "h1", "a", true);
    vm("vm2", "h1", "a", false);
    vm("vm3", "h2", "a", false);
    vm("vm4", "h1", "b", false);
    vm("vm5", "h2", "b", false);
    expect_pairs("1.1 vm2>vm1, 2.1 vm3>vm1, 3.1 vm4>vm1, 4.1 vm5>vm1, 5.1 vm4>vm1*, 6.1 vm5>vm1*");
}

static void test_the_first_server_that_has_a_client_is_taken(void **state)
{
    (void)state;
    vm("a", "h1", "n1", false);
    vm("b", "h2", "n1", false);
    vm("c", "h2", "n2", true);
    /* Nobody of n2 is on h1: the pair on one node is b's, and the floating address is c's. */
    expect_pairs("2.1 b>a, 3.1 c>b, 4.1 c>a, 5.1 b>c*, 6.1 a>c*");
    assert_non_null(strstr(why_not("1.1"), "the same net= and the same node="));
}

static void test_a_label_that_is_missing_is_neither_the_same_nor_another(void **state)
{
    (void)state;
    vm("a", "", "n1", true);
    vm("b", "", "n1", false);
    vm("c", "h1", "", false);
    expect_pairs("");
    for (const char *group = "123456"; *group; group++)
        assert_non_null(strstr(why_not((char[]){*group, '.', '1', 0}), "no two --vm"));
    assert_non_null(strstr(why_not("6.2"), "floating="));
}

static void test_one_vm_has_no_other(void **state)
{
    (void)state;
    vm("a", "h1", "n1", true);
    expect_pairs("");
    assert_non_null(strstr(why_not("1.1"), "two VMs"));
    assert_non_null(strstr(why_not("7.1"), "--host"));
    assert_non_null(strstr(why_not("8.1"), "--external-host"));
}

static void test_the_first_host_is_the_server(void **state)
{
    (void)state;
    assert_int_equal(add(PLACE_HOST, "ssh://one", "", "", "", "", NULL), 0);
    assert_int_equal(add(PLACE_HOST, "ssh://two?if=eth7", "", "", "", "", NULL), 0);
    expect_pairs("7.1 two>one");
}

static void test_a_host_alone_is_two_ends(void **state)
{
    struct scenario rows[SCENARIO_COUNT];
    const char *why[SCENARIO_COUNT];
    bool asked[SCENARIO_COUNT];

    (void)state;
    assert_int_equal(add(PLACE_HOST, "ssh://one?if=eth7", "", "", "", "", NULL), 0);
    expect_pairs("7.1 one#2>one");
    /* The interface is the server's. */
    assert_string_equal(places.place[0].there.at.ifname, "eth7");
    assert_string_equal(places.place[1].there.at.ifname, "");
    places_fill(&places, rows, why, asked);
    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        if (rows[i].id[0] == '7') {
            assert_non_null(strstr(rows[i].name, "Intra-node"));
            assert_false(rows[i].inter_node);
        }
    /* The same as the same host twice. */
    no_places(NULL);
    assert_int_equal(add(PLACE_HOST, "ssh://one", "x", "", "", "", NULL), 0);
    assert_int_equal(add(PLACE_HOST, "ssh://one", "", "", "", "", NULL), 0);
    expect_pairs("7.1 x#2>x");
    assert_true(places.place[1].twin);
}

static void test_the_external_host_goes_with_a_vm_that_it_can_reach(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(add(PLACE_EXTERNAL, "ssh://out", "", "", "", "", NULL), 0);
    assert_int_equal(places_complete(&places, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--vm"));
    vm("a", "", "", false);
    /* Without NAT it is reached at its own address. */
    expect_pairs("8.1 a>out, 8.2 out>a");
    vm("b", "", "", true);
    expect_pairs("8.1 b>out, 8.2 out>b*");
}

static void test_what_there_cannot_be(void **state)
{
    struct err err = {0};
    int r = 0;

    (void)state;
    assert_int_equal(add(PLACE_HOST, "ssh://a", "", "", "", "", NULL), 0);
    assert_int_equal(add(PLACE_HOST, "ssh://b", "", "", "", "", NULL), 0);
    assert_int_equal(add(PLACE_HOST, "ssh://c", "", "", "", "", &err), -EINVAL);
    assert_non_null(strstr(err.text, "between two hosts"));
    assert_int_equal(add(PLACE_EXTERNAL, "ssh://c", "", "", "", "", NULL), 0);
    assert_int_equal(add(PLACE_EXTERNAL, "ssh://d", "", "", "", "", NULL), -EINVAL);
    assert_int_equal(add(PLACE_VM, "ssh://e", "a", "", "", "", &err), -EINVAL);
    assert_non_null(strstr(err.text, "name of another"));
    for (unsigned i = 0; i < PLACES_MAX && r == 0; i++)
        r = add(PLACE_VM, "exec:x", "", "", "", "", &err);
    assert_int_equal(r, -EINVAL);
    assert_non_null(strstr(err.text, "more than 23"));
    assert_string_equal(places.place[places.n - 1].resource.name, "x#20");
}

static void test_long_names_are_cut_and_stay_apart(void **state)
{
    const char *name;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(add(PLACE_VM,
                             "ssh://a-name-that-is-longer-than-the-forty-seven-letters-of-one", "",
                             "", "", "", NULL),
                         0);
    name = places.place[1].resource.name;
    assert_int_equal(strlen(places.place[0].resource.name), 47);
    assert_string_equal(name + strlen(name) - 2, "#2");
}

/* What is not asked for is not chosen, unless it is named. */
static void test_steps_of_hosts_leave_out_what_nobody_asked_for(void **state)
{
    struct run_options *o = calloc(1, sizeof *o);
    struct steps steps;

    (void)state;
    assert_non_null(o);
    run_options_default(o);
    assert_int_equal(add(PLACE_HOST, "ssh://a", "", "", "", "", NULL), 0);
    assert_int_equal(add(PLACE_HOST, "ssh://b", "", "", "", "", NULL), 0);
    o->places = places;
    assert_int_equal(places_complete(&o->places, NULL), 0);
    steps_make(o, &steps);
    assert_true(steps.there);
    /* Two to use, two agents, three scenarios. */
    assert_int_equal(steps.n_steps, 7);
    assert_ptr_equal(steps.step[0].resource->there, &o->places.place[0].there);
    assert_false(steps.chosen[0]);
    snprintf(o->scenarios, sizeof o->scenarios, "1.1,7.1");
    steps_make(o, &steps);
    assert_int_equal(steps.n_steps, 5);
    assert_true(steps.chosen[0]);
    assert_non_null(strstr(steps.skip[0], "--vm"));
    free(o);
}

static void expect_shown(const char *text)
{
    struct resource_there there = {0};
    char shown[320];

    assert_int_equal(text_endpoint(text, &there.at, NULL), 0);
    assert_string_equal(places_show(&there, shown, sizeof shown), text);
}

static void test_a_place_is_shown_as_it_is_written(void **state)
{
    (void)state;
    expect_shown("local");
    expect_shown("netns:a");
    expect_shown("exec:podman exec -i c");
    expect_shown("ssh://h");
    expect_shown("ssh://u@h:2222?if=eth5");
    expect_shown("ssh://u@[fd00::1]:22?if=eth5&addr=fd00::2");
    expect_shown("ssh://h?addr=10.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_five_vms_stand_as_in_the_table, no_places),
        cmocka_unit_test_teardown(test_the_first_server_that_has_a_client_is_taken, no_places),
        cmocka_unit_test_teardown(test_a_label_that_is_missing_is_neither_the_same_nor_another,
                                  no_places),
        cmocka_unit_test_teardown(test_one_vm_has_no_other, no_places),
        cmocka_unit_test_teardown(test_the_first_host_is_the_server, no_places),
        cmocka_unit_test_teardown(test_a_host_alone_is_two_ends, no_places),
        cmocka_unit_test_teardown(test_the_external_host_goes_with_a_vm_that_it_can_reach,
                                  no_places),
        cmocka_unit_test_teardown(test_what_there_cannot_be, no_places),
        cmocka_unit_test_teardown(test_long_names_are_cut_and_stay_apart, no_places),
        cmocka_unit_test_teardown(test_steps_of_hosts_leave_out_what_nobody_asked_for, no_places),
        cmocka_unit_test(test_a_place_is_shown_as_it_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
