/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/scenario.h"

#include <stdio.h>
#include <string.h>

const char *const scenario_protocol_name[PROTOCOL_COUNT] = {"tcp", "udp", "icmp", "multicast"};

/* Rows of one path: TCP, UDP, ICMP. */
#define SCENARIO_PATH(group, words, from, to, ...)                                                 \
    {group ".1", words ", TCP", PROTOCOL_TCP, from, to, __VA_ARGS__, NULL, NULL},                  \
        {group ".2", words ", UDP", PROTOCOL_UDP, from, to, __VA_ARGS__, NULL, NULL},              \
    {                                                                                              \
        group ".3", words ", ICMP", PROTOCOL_ICMP, from, to, __VA_ARGS__, NULL, NULL               \
    }

#define SCENARIO_GROUP(group, words, from, ...)                                                    \
    {                                                                                              \
        group ".4", words ", Multicast", PROTOCOL_MULTICAST, from, "vm1", __VA_ARGS__, NULL        \
    }

/* vm1 is the server; the clients' places make the path: same or other network, same or other node. */
const struct scenario scenario_table[SCENARIO_COUNT] = {
    SCENARIO_PATH("1", "Same Network, Fixed IP, Intra-node", "vm2", "vm1", false, false, false,
                  true),
    SCENARIO_PATH("2", "Same Network, Fixed IP, Inter-node", "vm3", "vm1", false, true, false,
                  true),
    SCENARIO_PATH("3", "Different Network, Fixed IP, Intra-node", "vm4", "vm1", false, false, true,
                  true),
    SCENARIO_PATH("4", "Different Network, Fixed IP, Inter-node", "vm5", "vm1", false, true, true,
                  true),
    SCENARIO_PATH("5", "Different Network, Floating IP, Intra-node", "vm4", "vm1", true, false,
                  true, true),
    SCENARIO_PATH("6", "Different Network, Floating IP, Inter-node", "vm5", "vm1", true, true, true,
                  true),
    SCENARIO_PATH("7", "Native Throughput", "node2", "node1", false, true, false, false),
    {"8.1", "VM to Host Uploading", PROTOCOL_TCP, "vm1", "external", false, false, true, false,
     NULL, NULL},
    {"8.2", "VM to Host Downloading", PROTOCOL_TCP, "external", "vm1", true, false, true, false,
     NULL, NULL},
    SCENARIO_GROUP("1", "Same Network, Fixed IP, Intra-node", "vm2", false, false, false, true,
                   NULL),
    SCENARIO_GROUP("2", "Same Network, Fixed IP, Inter-node", "vm3", false, true, false, true,
                   "vm2"),
    SCENARIO_GROUP("3", "Different Network, Fixed IP, Intra-node", "vm4", false, false, true, true,
                   NULL),
    SCENARIO_GROUP("4", "Different Network, Fixed IP, Inter-node", "vm5", false, true, true, true,
                   NULL),
    SCENARIO_GROUP("5", "Different Network, Floating IP, Intra-node", "vm4", true, false, true,
                   true, NULL),
    SCENARIO_GROUP("6", "Different Network, Floating IP, Inter-node", "vm5", true, true, true, true,
                   NULL),
    {"7.4", "Native Throughput, Multicast", PROTOCOL_MULTICAST, "node2", "node1", false, true,
     false, false, NULL, NULL},
};

const struct resource scenario_resources[SCENARIO_RESOURCES] = {
    {RESOURCE_NODE, "node1", "", "", NULL},         {RESOURCE_NODE, "node2", "", "", NULL},
    {RESOURCE_NETWORK, "net1", "", "", NULL},       {RESOURCE_NETWORK, "net2", "", "", NULL},
    {RESOURCE_ROUTER, "router", "node1", "", NULL}, {RESOURCE_EXTERNAL, "external", "", "", NULL},
    {RESOURCE_VM, "vm1", "node1", "net1", NULL},    {RESOURCE_VM, "vm2", "node1", "net1", NULL},
    {RESOURCE_VM, "vm3", "node2", "net1", NULL},    {RESOURCE_VM, "vm4", "node1", "net2", NULL},
    {RESOURCE_VM, "vm5", "node2", "net2", NULL},
};

static const struct resource *scenario_end(const char *name)
{
    for (unsigned i = 0; i < SCENARIO_RESOURCES; i++)
        if (strcmp(scenario_resources[i].name, name) == 0)
            return &scenario_resources[i];
    return NULL;
}

/* The end itself, and what a VM stands on. The router lives on node1 and has a leg in every network. */
static bool scenario_end_needs(const char *end, const struct resource *resource)
{
    const struct resource *vm = scenario_end(end);

    return strcmp(end, resource->name) == 0 || strcmp(vm->node, resource->name) == 0 ||
           strcmp(vm->network, resource->name) == 0;
}

bool scenario_needs(const struct scenario *scenario, const struct resource *resource)
{
    bool tenant = scenario->tenant || scenario->different_network;

    if (scenario_end_needs(scenario->from, resource) || scenario_end_needs(scenario->to, resource))
        return true;
    if (scenario->more && scenario_end_needs(scenario->more, resource))
        return true;
    /* Tenant networks stretch over both nodes; the router joins both networks and the outside. */
    if (tenant && resource->kind == RESOURCE_NODE)
        return true;
    if (!scenario->different_network)
        return false;
    return resource->kind == RESOURCE_NETWORK || resource->kind == RESOURCE_ROUTER ||
           resource->kind == RESOURCE_EXTERNAL;
}

/* One pattern: "2", "2.1", "2.*". */
static bool scenario_match_one(const char *pattern, size_t len, const char *id)
{
    size_t group = strcspn(id, ".");

    if (len == strlen(id) && strncmp(pattern, id, len) == 0)
        return true;
    if (len > 2 && pattern[len - 1] == '*' && pattern[len - 2] == '.')
        len -= 2;
    return len == group && strncmp(pattern, id, len) == 0;
}

bool scenario_matches(const char *patterns, const char *id)
{
    for (const char *p = patterns;; p++) {
        size_t len = strcspn(p, ",");

        if (scenario_match_one(p, len, id))
            return true;
        p += len;
        if (!*p)
            return false;
    }
}

const char *scenario_group(bool v6) { return v6 ? "ff05::231:1" : "231.1.1.1"; }

bool scenario_names_multicast(const char *patterns)
{
    for (const char *p = patterns; *p;) {
        size_t len = strcspn(p, ",");

        for (unsigned i = SCENARIO_USUAL; i < SCENARIO_COUNT; i++)
            if (len == strlen(scenario_table[i].id) && strncmp(p, scenario_table[i].id, len) == 0)
                return true;
        p += len + (p[len] == ',');
    }
    return false;
}

int scenario_check_patterns(const char *patterns, struct err *err)
{
    for (const char *p = patterns;; p++) {
        size_t len = strcspn(p, ",");
        bool any = false;

        for (unsigned i = 0; i < SCENARIO_COUNT; i++)
            any |= len > 0 && scenario_match_one(p, len, scenario_table[i].id);
        if (!any)
            return err_say(err,
                           "there is no scenario '%.*s' (they are 1.1 to 7.4, 8.1 and 8.2; 2 and "
                           "2.* are a group)",
                           (int)(len > 20 ? 20 : len), p);
        p += len;
        if (!*p)
            return 0;
    }
}
