/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "host/command.h"
#include "host/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_a_version_is_of_a_release(void **state)
{
    static const struct {
        const char *project, *version, *release;
    } rows[] = {
        {"nova", "2:26.1.0-0ubuntu1~cloud0", "Zed"},
        {"nova", "26.2.1-1.el9s", "Zed"},
        {"neutron", "2:21.1.0-0ubuntu1~cloud0", "Zed"},
        {"keystone", "2:22.0.0-0ubuntu1", "Zed"},
        {"nova", "3:25.2.1-0ubuntu2.4", "Yoga"},
        {"neutron", "2:20.5.0-0ubuntu1", "Yoga"},
        {"nova", "2:29.0.2-1~bpo12+1", "2024.1 Caracal"},
        {"neutron", "2:24.0.0", "2024.1 Caracal"},
        {"keystone", "2:25.0.0", "2024.1 Caracal"},
        {"glance", "2:28.0.1", "2024.1 Caracal"},
        {"cinder", "2:24.0.0", "2024.1 Caracal"},
        {"nova", "32.0.0", "2025.2 Flamingo"},
        {"nova", "12.0.0", "Liberty"},
        {"nova", "2015.1.4-2.el7", "Kilo"},
        {"nova", "1:2014.1.5-0ubuntu1", "Icehouse"},
        /* nova-manage's crash in the older tool was on versions it did not know. */
        {"nova", "99.0.0", NULL},
        {"nova", "11.0.0", NULL},
        {"nova", "2015.10", NULL},
        {"nova", "", NULL},
        {"nova", "unknown", NULL},
        {"zun", "10.0.0", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *release = parse_release(rows[i].project, rows[i].version);

        if (!rows[i].release)
            assert_null(release);
        else if (!release)
            fail_msg("%s %s is of no release", rows[i].project, rows[i].version);
        else
            assert_string_equal(release, rows[i].release);
    }
}

static const char zed[] = "ii  keystone 2:22.0.0-0ubuntu1~cloud0\n"
                          "ii  neutron-common 2:21.1.0-0ubuntu1~cloud0\n"
                          "ii  neutron-linuxbridge-agent 2:21.1.0-0ubuntu1~cloud0\n"
                          "rc  neutron-openvswitch-agent 2:20.0.0-0ubuntu1\n"
                          "ii  nova-common 3:26.1.0-0ubuntu1~cloud0\n"
                          "un  openvswitch-switch \n";

static const char yoga[] = "ii  neutron-common 2:20.5.0-0ubuntu1\n"
                           "ii  neutron-openvswitch-agent 2:20.5.0-0ubuntu1\n"
                           "ii  nova-common 3:25.2.1-0ubuntu2.4\n"
                           "ii  openvswitch-switch 2.17.9-0ubuntu0.22.04.1\n";

static const char caracal[] = "hi  nova-common 3:29.0.1-0ubuntu1.3\n"
                              "ii  neutron-common 2:24.0.0-0ubuntu1\n"
                              "ii  ovn-common 24.03.2-0ubuntu0.24.04.1\n"
                              "ii  ovn-host 24.03.2-0ubuntu0.24.04.1\n"
                              "ii  openvswitch-switch 3.3.0-1ubuntu3.1\n";

static const char rdo[] = "package nova-common is not installed\n"
                          "openstack-nova-common 1:25.3.0\n"
                          "openstack-neutron-common 1:20.4.0\n"
                          "openstack-neutron-openvswitch 1:20.4.0\n"
                          "package keystone is not installed\n";

static const char mixed[] = "ii  nova-common 3:26.1.0-0ubuntu1\n"
                            "ii  neutron-common 2:22.0.0-0ubuntu1\n";

static void test_packages_tell_release_and_agent(void **state)
{
    static const struct {
        const char *text, *release, *agent, *version, *ovs, *ovn;
    } rows[] = {
        {zed, "Zed", "linuxbridge", "21.1.0", NULL, NULL},
        {yoga, "Yoga", "openvswitch", "20.5.0", "2.17.9", NULL},
        {caracal, "2024.1 Caracal", "ovn", "24.03.2", "3.3.0", "24.03.2"},
        {rdo, "Yoga", "openvswitch", "20.4.0", NULL, NULL},
        {mixed, "nova 26.1.0 is Zed, neutron 22.0.0 is 2023.1 Antelope", NULL, NULL, NULL, NULL},
        {"ii nova-common 3:77.0.0-1\n", "nova 77.0.0", NULL, NULL, NULL, NULL},
        {"rc  nova-common 3:26.1.0\n", NULL, NULL, NULL, NULL, NULL},
        {"", NULL, NULL, NULL, NULL, NULL},
        {"dpkg-query: error: something went wrong\n", NULL, NULL, NULL, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct {
            const char *key, *value;
        } want[] = {{"openstack_release", rows[i].release},
                    {"l2_agent", rows[i].agent},
                    {"ovs_version", rows[i].ovs},
                    {"ovn_version", rows[i].ovn}};
        struct facts facts = {0};
        char version[64];

        parse_packages(rows[i].text, &facts);
        for (size_t k = 0; k < ARRAY_SIZE(want); k++) {
            const char *got = facts_get(&facts, want[k].key);

            if (!want[k].value)
                assert_null(got);
            else if (!got)
                fail_msg("row %zu: no %s", i, want[k].key);
            else
                assert_string_equal(got, want[k].value);
        }
        assert_int_equal(parse_l2_version(&facts, version, sizeof version),
                         rows[i].version != NULL);
        if (rows[i].version)
            assert_string_equal(version, rows[i].version);
    }
}

static void test_tools_tell_their_version(void **state)
{
    static const struct {
        const char *text, *version;
    } rows[] = {
        {"ovs-vsctl (Open vSwitch) 2.17.9\nDB Schema 8.3.0\n", "2.17.9"},
        {"ovn-controller 22.03.3\nOpen vSwitch Library 2.17.7\n", "22.03.3"},
        {"ovs-vsctl (Open vSwitch) 3.1.0", "3.1.0"},
        {"ovs-vsctl\n2.17.9\n", NULL},
        {"", NULL},
        {"4\n", NULL},
    };
    char version[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(parse_tool_version(rows[i].text, version, sizeof version),
                         rows[i].version != NULL);
        if (rows[i].version)
            assert_string_equal(version, rows[i].version);
    }
}

static void test_an_l2_agent_is_known_by_its_program(void **state)
{
#define ARGS(text) text, sizeof(text)
    static const struct {
        const char *args;
        size_t n;
        const char *word;
    } rows[] = {
        {ARGS("/usr/bin/python3\0/usr/bin/neutron-openvswitch-agent\0--config-file=x"),
         "openvswitch"},
        {ARGS("/usr/bin/python3\0-u\0/usr/bin/neutron-linuxbridge-agent"), "linuxbridge"},
        {ARGS("ovn-controller\0unix:/run/openvswitch/db.sock"), "ovn"},
        {ARGS("vi\0/etc/neutron-openvswitch-agent.conf"), NULL},
        {ARGS("grep\0-r\0-i\0neutron-openvswitch-agent"), NULL},
        {ARGS(""), NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *word = parse_l2_process(rows[i].args, rows[i].n);

        if (!rows[i].word)
            assert_null(word);
        else
            assert_string_equal(word ? word : "none", rows[i].word);
    }
}

static uint64_t in_ms(unsigned ms) { return clock_mono_ns() + (uint64_t)ms * CLOCK_MS; }

static void test_a_program_is_run_without_a_shell_and_its_output_kept(void **state)
{
    static const char *const echo[] = {"printf", "%s|", "a b", "$HOME;id", "*", NULL};
    static const char *const fails[] = {"false", NULL};
    static const char *const none[] = {"vnperf-no-such-program", NULL};
    static const char *const much[] = {"seq", "1", "100000", NULL};
    char text[64];

    (void)state;
    assert_int_equal(command_run(echo, text, sizeof text, in_ms(20000)), 0);
    assert_string_equal(text, "a b|$HOME;id|*|");
    assert_int_equal(command_run(fails, text, sizeof text, in_ms(20000)), 1);
    assert_string_equal(text, "");
    assert_int_equal(command_run(none, text, sizeof text, in_ms(20000)), -ENOENT);
    /* What is too much is dropped and does not stop it. */
    assert_int_equal(command_run(much, text, sizeof text, in_ms(20000)), 0);
    assert_int_equal(strlen(text), sizeof text - 1);
}

static void test_a_program_that_hangs_is_ended_at_its_deadline(void **state)
{
    static const char *const hangs[] = {"sleep", "600", NULL};
    static const char *const talks[] = {"yes", NULL};
    char text[64];

    (void)state;
    assert_int_equal(command_run(hangs, text, sizeof text, in_ms(50)), -ETIMEDOUT);
    assert_int_equal(command_run(talks, text, sizeof text, in_ms(50)), -ETIMEDOUT);
    /* What it had said by then is there and ends; on a busy machine that may be nothing. */
    assert_true(strlen(text) < sizeof text);
    assert_int_equal(strspn(text, "y\n"), strlen(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_version_is_of_a_release),
        cmocka_unit_test(test_packages_tell_release_and_agent),
        cmocka_unit_test(test_tools_tell_their_version),
        cmocka_unit_test(test_an_l2_agent_is_known_by_its_program),
        cmocka_unit_test(test_a_program_is_run_without_a_shell_and_its_output_kept),
        cmocka_unit_test(test_a_program_that_hangs_is_ended_at_its_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
