/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "plan/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "+node1 … @node1 … 1.1 …": what is made, where agents start, what is measured. */
static void describe(const struct steps *steps, char *ret, size_t size)
{
    size_t used = 0;

    ret[0] = 0;
    for (unsigned i = 0; i < steps->n_steps; i++) {
        const struct step *step = &steps->step[i];
        const char *mark = step->kind == STEP_CREATE ? "+" : step->kind == STEP_AGENT ? "@" : "";

        used += (size_t)snprintf(ret + used, size - used, "%s%s%s", used ? " " : "", mark,
                                 step->kind == STEP_SCENARIO ? scenario_table[step->scenario].id
                                                             : step->resource->name);
        assert_true(used < size);
    }
}

static void expect_steps(const struct run_options *options, const char *text)
{
    struct steps steps;
    char found[1024];

    steps_make(options, &steps);
    describe(&steps, found, sizeof found);
    assert_string_equal(found, text);
}

static struct run_options options_of(const char *scenarios)
{
    struct run_options o;

    run_options_default(&o);
    snprintf(o.scenarios, sizeof o.scenarios, "%s", scenarios);
    return o;
}

static unsigned find(const char *id)
{
    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        if (strcmp(scenario_table[i].id, id) == 0)
            return i;
    fail_msg("there is no %s", id);
    return 0;
}

static void expect_skip(const struct run_options *o, const char *id, bool chosen, const char *word)
{
    struct steps steps;
    unsigned i = find(id);

    steps_make(o, &steps);
    assert_int_equal(steps.chosen[i], chosen);
    if (!word) {
        assert_null(steps.skip[i]);
        return;
    }
    assert_non_null(steps.skip[i]);
    if (!strstr(steps.skip[i], word))
        print_message("%s: %s\n", id, steps.skip[i]);
    assert_non_null(strstr(steps.skip[i], word));
}

static void test_all(void **state)
{
    const struct run_options o = options_of("");

    (void)state;
    expect_steps(&o, "+node1 +node2 +net1 +net2 +router +external +vm1 +vm2 +vm3 +vm4 +vm5 "
                     "@node1 @node2 @external @vm1 @vm2 @vm3 @vm4 @vm5 "
                     "1.1 1.2 1.3 2.1 2.2 2.3 3.1 3.2 3.3 4.1 4.2 4.3 5.1 5.2 5.3 6.1 6.2 6.3 "
                     "7.1 7.2 7.3 8.1 8.2");
}

static void test_only_what_is_needed_is_made(void **state)
{
    static const struct {
        const char *scenarios, *steps;
    } rows[] = {
        {"1.1", "+node1 +node2 +net1 +vm1 +vm2 @node1 @node2 @vm1 @vm2 1.1"},
        {"7.1", "+node1 +node2 @node1 @node2 7.1"},
        {"2.3,1",
         "+node1 +node2 +net1 +vm1 +vm2 +vm3 @node1 @node2 @vm1 @vm2 @vm3 1.1 1.2 1.3 2.3"},
        {"8.2",
         "+node1 +node2 +net1 +net2 +router +external +vm1 @node1 @node2 @external @vm1 8.2"},
        {"3.1",
         "+node1 +node2 +net1 +net2 +router +external +vm1 +vm4 @node1 @node2 @vm1 @vm4 3.1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct run_options o = options_of(rows[i].scenarios);

        expect_steps(&o, rows[i].steps);
    }
}

static void test_ipv6_skips_what_needs_a_floating_address(void **state)
{
    static const char *const skipped[] = {"5.1", "5.2", "5.3", "6.1", "6.2", "6.3", "8.2"};
    struct run_options o = options_of("");
    struct steps steps;
    unsigned n = 0;

    (void)state;
    o.ipv6 = true;
    for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++)
        expect_skip(&o, skipped[i], true, "floating IPv6 address does not exist");
    expect_skip(&o, "8.1", true, NULL);
    steps_make(&o, &steps);
    for (unsigned i = 0; i < steps.n_scenarios; i++)
        n += steps.skip[i] != NULL;
    assert_int_equal(n, sizeof skipped / sizeof *skipped);
    /* Nothing is made for what is skipped. */
    o = options_of("5,6");
    o.ipv6 = true;
    expect_steps(&o, "");
}

static void test_choices(void **state)
{
    struct run_options o = options_of("");

    (void)state;
    o.inter_node_only = true;
    expect_skip(&o, "1.1", false, "--inter-node-only");
    expect_skip(&o, "3.2", false, "--inter-node-only");
    expect_skip(&o, "5.3", false, "--inter-node-only");
    expect_skip(&o, "2.1", true, NULL);
    expect_skip(&o, "7.1", true, NULL);
    expect_skip(&o, "8.1", true, NULL);
    o.same_network_only = true;
    expect_skip(&o, "4.1", false, "--same-network-only");
    expect_skip(&o, "6.1", false, "--same-network-only");
    expect_steps(&o, "+node1 +node2 +net1 +net2 +router +external +vm1 +vm3 "
                     "@node1 @node2 @external @vm1 @vm3 2.1 2.2 2.3 7.1 7.2 7.3 8.1 8.2");
    o.protocols[PROTOCOL_TCP] = false;
    expect_skip(&o, "2.1", false, "--protocols");
    expect_steps(&o, "+node1 +node2 +net1 +vm1 +vm3 @node1 @node2 @vm1 @vm3 2.2 2.3 7.2 7.3");
    snprintf(o.scenarios, sizeof o.scenarios, "2");
    expect_skip(&o, "7.2", false, "--scenarios");
    expect_steps(&o, "+node1 +node2 +net1 +vm1 +vm3 @node1 @node2 @vm1 @vm3 2.2 2.3");
}

static void test_multicast_is_part_of_a_run_that_asks_for_it(void **state)
{
    struct run_options o = options_of("");
    struct measure_ask asks[STEPS_MAX_ASKS];
    struct steps steps;

    (void)state;
    steps_make(&o, &steps);
    assert_int_equal(steps.n_scenarios, 23);
    expect_skip(&o, "1.4", false, "--protocols");
    memset(o.protocols, 0, sizeof o.protocols);
    o.protocols[PROTOCOL_MULTICAST] = true;
    steps_make(&o, &steps);
    assert_int_equal(steps.n_scenarios, 30);
    expect_skip(&o, "3.4", true, "forwards no multicast");
    expect_skip(&o, "6.4", true, "forwards no multicast");
    /* Both receivers of 2.4 are made, and have agents. */
    expect_steps(&o, "+node1 +node2 +net1 +vm1 +vm2 +vm3 @node1 @node2 @vm1 @vm2 @vm3 1.4 2.4 7.4");
    assert_int_equal(steps_asks(&o, &scenario_table[find("2.4")], asks), 3);
    assert_int_equal(asks[2].spec.kind, FLOW_MULTICAST);
    assert_int_equal(asks[2].spec.payload_bytes, 8192);
    assert_int_equal(asks[2].spec.n_flows, 1);
    assert_int_equal(asks[2].rate_bps, 10000000);
    assert_false(asks[2].search);
    o.bandwidth_bps = 2000000;
    o.n_flows = 4;
    steps_asks(&o, &scenario_table[find("2.4")], asks);
    assert_int_equal(asks[0].rate_bps, 2000000);
    assert_int_equal(asks[0].spec.n_flows, 1);
}

static void test_asks_of_each_protocol(void **state)
{
    struct run_options o = options_of("");
    struct measure_ask asks[STEPS_MAX_ASKS];

    (void)state;
    assert_int_equal(steps_asks(&o, &scenario_table[find("1.1")], asks), 2);
    assert_int_equal(asks[0].spec.kind, FLOW_TCP_STREAM);
    assert_int_equal(asks[0].spec.payload_bytes, 65536);
    assert_int_equal(asks[0].duration_ns, 5ULL * CLOCK_S);
    assert_int_equal(asks[0].interval_ns, CLOCK_S);
    assert_string_equal(asks[0].spec.cc, "cubic");
    assert_false(asks[0].search);
    assert_int_equal(asks[1].spec.kind, FLOW_TCP_RR);
    assert_int_equal(asks[1].duration_ns, 5ULL * CLOCK_S / 4);

    assert_int_equal(steps_asks(&o, &scenario_table[find("1.2")], asks), 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(asks[i].spec.kind, FLOW_UDP_STREAM);
        assert_int_equal(asks[i].spec.payload_bytes, i == 0 ? 128 : i == 1 ? 1024 : 8192);
        assert_true(asks[i].search);
        assert_true(asks[i].loss_target[0] == 0.001);
    }
    assert_int_equal(asks[3].spec.kind, FLOW_UDP_RR);
    assert_int_equal(asks[3].spec.n_flows, 1);

    assert_int_equal(steps_asks(&o, &scenario_table[find("1.3")], asks), 1);
    assert_int_equal(asks[0].spec.kind, FLOW_ICMP_ECHO);
    assert_int_equal(asks[0].spec.gap_ns, CLOCK_MS);

    o.bandwidth_bps = 100000000;
    o.n_flows = 4;
    steps_asks(&o, &scenario_table[find("1.2")], asks);
    assert_false(asks[0].search);
    assert_int_equal(asks[0].rate_bps, 100000000);
    assert_int_equal(asks[0].spec.n_flows, 4);
    assert_int_equal(asks[3].rate_bps, 0);

    o.udp.n = RUN_MAX_SIZES;
    assert_int_equal(steps_asks(&o, &scenario_table[find("1.2")], asks), STEPS_MAX_ASKS);
}

/* Several sizes of echo share the time, but each has at least 0.2 s. */
static void test_echo_sizes_share_the_time(void **state)
{
    struct run_options o = options_of("");
    struct measure_ask asks[STEPS_MAX_ASKS];

    (void)state;
    o.icmp = (struct run_sizes){{56, 512, 1400, 8000}, 4};
    assert_int_equal(steps_asks(&o, &scenario_table[find("7.3")], asks), 4);
    assert_int_equal(asks[0].duration_ns, 5ULL * CLOCK_S / 4);
    o.time_ns = CLOCK_S / 2;
    steps_asks(&o, &scenario_table[find("7.3")], asks);
    assert_int_equal(asks[3].duration_ns, CLOCK_S / 5);
    o.time_ns = CLOCK_S / 10;
    steps_asks(&o, &scenario_table[find("7.3")], asks);
    assert_int_equal(asks[3].duration_ns, CLOCK_S / 10);
    /* Nor is the rest longer than the time. */
    steps_asks(&o, &scenario_table[find("7.1")], asks);
    assert_int_equal(asks[1].duration_ns, CLOCK_S / 10);
}

static void test_warmup_fits_the_duration(void **state)
{
    static const struct {
        enum flow_kind kind;
        uint64_t duration_ns, warmup_ns;
    } rows[] = {
        {FLOW_TCP_STREAM, 5ULL * CLOCK_S, CLOCK_S},
        {FLOW_TCP_STREAM, 60ULL * CLOCK_S, CLOCK_S},
        {FLOW_UDP_STREAM, CLOCK_S, CLOCK_S / 5},
        {FLOW_TCP_STREAM, CLOCK_S / 10, CLOCK_S / 50},
        {FLOW_ICMP_ECHO, 5ULL * CLOCK_S, CLOCK_S / 20},
        {FLOW_TCP_RR, CLOCK_S, CLOCK_S / 20},
        {FLOW_UDP_RR, CLOCK_S / 10, CLOCK_S / 50},
        {FLOW_UDP_RR, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(measure_warmup(rows[i].kind, rows[i].duration_ns), rows[i].warmup_ns);
}

static void test_time_of_a_scenario(void **state)
{
    struct run_options o = options_of("");
    uint64_t tcp, udp;

    (void)state;
    run_options_quick(&o);
    assert_int_equal(o.time_ns, CLOCK_S);
    tcp = steps_scenario_ns(&o, &scenario_table[find("1.1")]);
    udp = steps_scenario_ns(&o, &scenario_table[find("1.2")]);
    assert_in_range(tcp, 1200ULL * CLOCK_MS, 2000ULL * CLOCK_MS);
    /* Three searches. */
    assert_true(udp > 3 * tcp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_only_what_is_needed_is_made),
        cmocka_unit_test(test_ipv6_skips_what_needs_a_floating_address),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_multicast_is_part_of_a_run_that_asks_for_it),
        cmocka_unit_test(test_asks_of_each_protocol),
        cmocka_unit_test(test_echo_sizes_share_the_time),
        cmocka_unit_test(test_warmup_fits_the_duration),
        cmocka_unit_test(test_time_of_a_scenario),
    };

    return cmocka_run_group_tests_name("steps", tests, NULL, NULL);
}
