/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_ids_and_names_are_unique(void **state)
{
    (void)state;
    assert_int_equal(SCENARIO_USUAL, 23);
    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        assert_int_equal(scenario_table[i].protocol == PROTOCOL_MULTICAST, i >= SCENARIO_USUAL);
    for (unsigned i = 0; i < SCENARIO_COUNT; i++) {
        assert_non_null(scenario_table[i].id);
        assert_non_null(scenario_table[i].name);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(scenario_table[i].id, scenario_table[k].id);
            assert_string_not_equal(scenario_table[i].name, scenario_table[k].name);
        }
    }
}

/* VMTP's numbers and names, which its users know. */
static void test_table_is_vmtps(void **state)
{
    static const struct {
        const char *id, *name, *from, *to;
        bool floating, inter_node, different_network;
    } rows[] = {
        {"1.1", "Same Network, Fixed IP, Intra-node, TCP", "vm2", "vm1", false, false, false},
        {"2.2", "Same Network, Fixed IP, Inter-node, UDP", "vm3", "vm1", false, true, false},
        {"3.3", "Different Network, Fixed IP, Intra-node, ICMP", "vm4", "vm1", false, false, true},
        {"4.1", "Different Network, Fixed IP, Inter-node, TCP", "vm5", "vm1", false, true, true},
        {"5.2", "Different Network, Floating IP, Intra-node, UDP", "vm4", "vm1", true, false, true},
        {"6.3", "Different Network, Floating IP, Inter-node, ICMP", "vm5", "vm1", true, true, true},
        {"7.1", "Native Throughput, TCP", "node2", "node1", false, true, false},
        {"8.1", "VM to Host Uploading", "vm1", "external", false, false, true},
        {"8.2", "VM to Host Downloading", "external", "vm1", true, false, true},
        {"2.4", "Same Network, Fixed IP, Inter-node, Multicast", "vm3", "vm1", false, true, false},
    };
    unsigned found = 0;

    (void)state;
    for (unsigned i = 0; i < SCENARIO_COUNT; i++) {
        const struct scenario *s = &scenario_table[i];
        const int third = s->id[2] - '1';

        assert_true(third == (int)s->protocol || s->id[0] == '8');
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            if (strcmp(rows[k].id, s->id) != 0)
                continue;
            found++;
            assert_string_equal(s->name, rows[k].name);
            assert_string_equal(s->from, rows[k].from);
            assert_string_equal(s->to, rows[k].to);
            assert_int_equal(s->floating, rows[k].floating);
            assert_int_equal(s->inter_node, rows[k].inter_node);
            assert_int_equal(s->different_network, rows[k].different_network);
        }
    }
    assert_int_equal(found, sizeof rows / sizeof *rows);
}

static void test_resources_stand_on_earlier_ones(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SCENARIO_RESOURCES; i++) {
        const struct resource *r = &scenario_resources[i];
        bool node = !r->node[0], network = !r->network[0];

        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(scenario_resources[k].name, r->name);
            assert_true(scenario_resources[k].kind <= r->kind);
            node |= strcmp(scenario_resources[k].name, r->node) == 0;
            network |= strcmp(scenario_resources[k].name, r->network) == 0;
        }
        assert_true(node && network);
    }
}

static void expect_needs(const char *id, const char *names)
{
    const struct scenario *s = NULL;
    char needed[256];
    size_t used = 0;

    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        if (strcmp(scenario_table[i].id, id) == 0)
            s = &scenario_table[i];
    assert_non_null(s);
    for (unsigned i = 0; i < SCENARIO_RESOURCES; i++) {
        if (!scenario_needs(s, &scenario_resources[i]))
            continue;
        used += (size_t)snprintf(needed + used, sizeof needed - used, " %s",
                                 scenario_resources[i].name);
    }
    assert_string_equal(needed, names);
}

static void test_needs(void **state)
{
    (void)state;
    expect_needs("1.1", " node1 node2 net1 vm1 vm2");
    expect_needs("2.3", " node1 node2 net1 vm1 vm3");
    expect_needs("4.2", " node1 node2 net1 net2 router external vm1 vm5");
    expect_needs("6.1", " node1 node2 net1 net2 router external vm1 vm5");
    expect_needs("7.3", " node1 node2");
    expect_needs("2.4", " node1 node2 net1 vm1 vm2 vm3");
    expect_needs("7.4", " node1 node2");
    expect_needs("8.1", " node1 node2 net1 net2 router external vm1");
}

static unsigned count_matches(const char *patterns)
{
    unsigned n = 0;

    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        n += scenario_matches(patterns, scenario_table[i].id);
    return n;
}

static void test_patterns(void **state)
{
    static const struct {
        const char *patterns;
        int n; /* -1: refused */
        const char *word;
    } rows[] = {
        {"1.1", 1, ""},
        {"2.*", 4, ""},
        {"2", 4, ""},
        {"2.4", 1, ""},
        {"8", 2, ""},
        {"8.*", 2, ""},
        {"1.1,2.*,7", 9, ""},
        {"1.1,1.1,1", 4, ""},
        {"1,2,3,4,5,6,7,8", 30, ""},
        {"", -1, "''"},
        {"9", -1, "'9'"},
        {"9.*", -1, "'9.*'"},
        {"1.5", -1, "'1.5'"},
        {"8.4", -1, "'8.4'"},
        {"8.3", -1, "'8.3'"},
        {"1.1,", -1, "''"},
        {",1.1", -1, "''"},
        {"1.1,,2", -1, "''"},
        {",", -1, "''"},
        {"*", -1, "'*'"},
        {".*", -1, "'.*'"},
        {"1.", -1, "'1.'"},
        {"1*", -1, "'1*'"},
        {"1.1.1", -1, "'1.1.1'"},
        {"11", -1, "'11'"},
        {" 1.1", -1, "' 1.1'"},
        {"1.1 ", -1, "'1.1 '"},
        {"1.1;2", -1, "'1.1;2'"},
        {"1.1,tcp", -1, "'tcp'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        int r = scenario_check_patterns(rows[i].patterns, &err);

        if ((r < 0) != (rows[i].n < 0))
            print_message("'%s': %d %s\n", rows[i].patterns, r, err.text);
        assert_int_equal(r < 0, rows[i].n < 0);
        if (r < 0)
            assert_non_null(strstr(err.text, rows[i].word));
        else
            assert_int_equal(count_matches(rows[i].patterns), rows[i].n);
    }
}

/* A group's pattern leaves it to --protocols; who names the id wants it. */
static void test_the_id_of_a_multicast_scenario_asks_for_it(void **state)
{
    (void)state;
    assert_true(scenario_names_multicast("2.4"));
    assert_true(scenario_names_multicast("1.1,7.4"));
    assert_false(scenario_names_multicast(""));
    assert_false(scenario_names_multicast("2"));
    assert_false(scenario_names_multicast("2.*,2.3"));
    assert_false(scenario_names_multicast("12.4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_and_names_are_unique),
        cmocka_unit_test(test_table_is_vmtps),
        cmocka_unit_test(test_resources_stand_on_earlier_ones),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_the_id_of_a_multicast_scenario_asks_for_it),
        cmocka_unit_test(test_patterns),
    };

    return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
