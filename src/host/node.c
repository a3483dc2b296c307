/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node of a cloud has: OpenStack by its packages, which agent wires its ports, Open vSwitch. No program of OpenStack's
 * own is started: nova-manage and its like read configurations, take seconds, and may fail in ways of their own.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "host/command.h"
#include "host/parse.h"
#include "host/parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_COMMAND_MS = 3000, NODE_OUTPUT_SIZE = 64 * 1024, NODE_MAX_WORDS = 40 };

static int node_run(const char *const argv[], char *ret)
{
    return command_run(argv, ret, NODE_OUTPUT_SIZE,
                       clock_mono_ns() + (uint64_t)NODE_COMMAND_MS * CLOCK_MS);
}

/* One package manager's answer; true when it knows any of the packages. Packages that it does not know are exit code 1. */
static int node_ask(const char *const head[], char *text, struct facts *facts)
{
    const char *argv[NODE_MAX_WORDS] = {0};
    unsigned n = 0;
    int r;

    while (head[n]) {
        argv[n] = head[n];
        n++;
    }
    for (unsigned i = 0; parse_package_name(i) && n < NODE_MAX_WORDS - 1; i++)
        argv[n++] = parse_package_name(i);
    r = node_run(argv, text);
    if (r >= 0)
        parse_packages(text, facts);
    return r;
}

void node_step_packages(const struct host_ask *ask, struct facts *facts)
{
    static const char *const dpkg[] = {"dpkg-query", "-W", "-f",
                                       "${db:Status-Abbrev} ${Package} ${Version}\n", NULL};
    static const char *const rpm[] = {"rpm", "-q", "--qf", "%{NAME} %{EPOCHNUM}:%{VERSION}\n",
                                      NULL};
    AUTO(free_p) char *text = malloc(NODE_OUTPUT_SIZE);
    int r;

    (void)ask;
    if (!text)
        return;
    r = node_ask(dpkg, text, facts);
    if (!facts_get(facts, "openstack_packages")) {
        int second = node_ask(rpm, text, facts);

        /* What the one that is there said counts. */
        r = r == -ENOENT ? second : r;
    }
    if (facts_get(facts, "openstack_packages"))
        r = 0;
    if (r == -ENOENT)
        facts_miss(facts, "openstack_packages", "neither dpkg-query nor rpm is there");
    else if (r < 0)
        facts_miss(facts, "openstack_packages",
                   r == -ETIMEDOUT ? "the package manager did not answer in time" : strerror(-r));
    if (!facts_get(facts, "openstack_release"))
        facts_miss(facts, "openstack_release",
                   r < 0 ? "no packages could be asked for"
                         : "no package of nova, neutron, keystone, glance or cinder is installed");
}

/* L2 agents that run here. */
static void node_processes(char list[FACT_VALUE_SIZE])
{
    AUTO(closedir_p) DIR *dir = opendir("/proc");
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char path[280], args[1024];
        const char *word;
        int n;

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        n = host_read_text(path, args, sizeof args);
        word = n > 0 ? parse_l2_process(args, (size_t)n) : NULL;
        /* An agent has workers of its name. */
        if (word && !strstr(list, word))
            facts_list(list, word);
    }
}

void node_step_agent(const struct host_ask *ask, struct facts *facts)
{
    char list[FACT_VALUE_SIZE] = "", version[64];

    (void)ask;
    node_processes(list);
    if (list[0]) {
        facts_put(facts, "l2_agent", list);
        facts_put(facts, "l2_agent_by", "process");
    }
    if (!facts_get(facts, "l2_agent"))
        facts_miss(facts, "l2_agent", "none runs here and no package of one is known");
    else if (parse_l2_version(facts, version, sizeof version))
        facts_put(facts, "l2_agent_version", version);
    else
        facts_miss(facts, "l2_agent_version", "it is of no package");
}

void node_step_ovs(const struct host_ask *ask, struct facts *facts)
{
    static const struct {
        const char *argv[3], *key;
    } rows[] = {
        {{"ovs-vsctl", "--version", NULL}, "ovs_version"},
        {{"ovn-controller", "--version", NULL}, "ovn_version"},
    };
    AUTO(free_p) char *text = malloc(NODE_OUTPUT_SIZE);

    (void)ask;
    for (size_t i = 0; i < ARRAY_SIZE(rows) && text; i++) {
        char version[64];
        int r = node_run(rows[i].argv, text);

        if (r == 0 && parse_tool_version(text, version, sizeof version))
            facts_put(facts, rows[i].key, version);
        else if (r < 0)
            host_miss(facts, rows[i].key, r);
    }
}

/* Where chronyd's port is closed its own tool knows another way in. */
void node_step_chronyc(const struct host_ask *ask, struct facts *facts)
{
    static const char *const argv[] = {"chronyc", "-c", "-n", "tracking", NULL};
    AUTO(free_p) char *text = malloc(NODE_OUTPUT_SIZE);

    (void)ask;
    if (!text || facts_get(facts, "chrony_by"))
        return;
    if (node_run(argv, text) == 0 && parse_chronyc(text, facts))
        facts_put(facts, "chrony_by", "chronyc");
}
