/* SPDX-License-Identifier: Apache-2.0 */
#include "host/parse.h"

#include "base/auto.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * OpenStack's releases, and the major version that each project had at the first of them; it grew by one with each since.
 * Before that all were numbered by the year.
 *
 * source  releases.openstack.org, each series' page
 */
static const char *const release_names[] = {
    "Liberty",
    "Mitaka",
    "Newton",
    "Ocata",
    "Pike",
    "Queens",
    "Rocky",
    "Stein",
    "Train",
    "Ussuri",
    "Victoria",
    "Wallaby",
    "Xena",
    "Yoga",
    "Zed",
    "2023.1 Antelope",
    "2023.2 Bobcat",
    "2024.1 Caracal",
    "2024.2 Dalmatian",
    "2025.1 Epoxy",
    "2025.2 Flamingo",
};
static const struct {
    const char *year, *name;
} release_years[] = {
    {"2015.1", "Kilo"},   {"2014.2", "Juno"},    {"2014.1", "Icehouse"},
    {"2013.2", "Havana"}, {"2013.1", "Grizzly"}, {"2012.2", "Folsom"},
};
static const struct {
    const char *name;
    unsigned first;
} release_projects[] = {
    {"nova", 12}, {"neutron", 7}, {"keystone", 8}, {"glance", 11}, {"cinder", 7}};

/* Packages by which a project, an L2 agent or a switch is there: Debian's and Ubuntu's names, then RDO's. */
enum package_role { PACKAGE_PROJECT, PACKAGE_AGENT, PACKAGE_OVS, PACKAGE_OVN };
static const struct {
    const char *package;
    enum package_role role;
    const char *word;
} packages[] = {
    {"nova-common", PACKAGE_PROJECT, "nova"},
    {"openstack-nova-common", PACKAGE_PROJECT, "nova"},
    {"neutron-common", PACKAGE_PROJECT, "neutron"},
    {"openstack-neutron-common", PACKAGE_PROJECT, "neutron"},
    {"keystone", PACKAGE_PROJECT, "keystone"},
    {"openstack-keystone", PACKAGE_PROJECT, "keystone"},
    {"glance-common", PACKAGE_PROJECT, "glance"},
    {"openstack-glance", PACKAGE_PROJECT, "glance"},
    {"cinder-common", PACKAGE_PROJECT, "cinder"},
    {"openstack-cinder", PACKAGE_PROJECT, "cinder"},
    {"neutron-linuxbridge-agent", PACKAGE_AGENT, "linuxbridge"},
    {"openstack-neutron-linuxbridge", PACKAGE_AGENT, "linuxbridge"},
    {"neutron-openvswitch-agent", PACKAGE_AGENT, "openvswitch"},
    {"openstack-neutron-openvswitch", PACKAGE_AGENT, "openvswitch"},
    {"neutron-macvtap-agent", PACKAGE_AGENT, "macvtap"},
    {"neutron-sriov-agent", PACKAGE_AGENT, "sriov"},
    {"ovn-host", PACKAGE_AGENT, "ovn"},
    {"calico-felix", PACKAGE_AGENT, "calico"},
    {"openvswitch-switch", PACKAGE_OVS, NULL},
    {"openvswitch", PACKAGE_OVS, NULL},
    {"ovn-common", PACKAGE_OVN, NULL},
    {"ovn", PACKAGE_OVN, NULL},
};

/* "2:26.1.0-0ubuntu1~cloud0" to "26.1.0": what upstream called it. */
static void release_upstream(const char *version, char ret[64])
{
    const char *colon = strchr(version, ':');
    size_t n;

    if (colon)
        version = colon + 1;
    n = strcspn(version, "-+~ ");
    snprintf(ret, 64, "%.*s", (int)(n < 63 ? n : 63), version);
}

const char *parse_release(const char *project, const char *version)
{
    char upstream[64];
    unsigned long major;

    release_upstream(version, upstream);
    for (size_t i = 0; i < ARRAY_SIZE(release_years); i++)
        if (strncmp(upstream, release_years[i].year, 6) == 0 &&
            !isdigit((unsigned char)upstream[6]))
            return release_years[i].name;
    if (!isdigit((unsigned char)upstream[0]))
        return NULL;
    major = strtoul(upstream, NULL, 10);
    for (size_t i = 0; i < ARRAY_SIZE(release_projects); i++) {
        unsigned first = release_projects[i].first;

        if (strcmp(project, release_projects[i].name) == 0)
            return major >= first && major - first < ARRAY_SIZE(release_names)
                       ? release_names[major - first]
                       : NULL;
    }
    return NULL;
}

/* The release of each project: one name when all agree, else each with its own. */
struct release_seen {
    const char *project, *name;
    char version[64];
};

static void release_tell(const struct release_seen *seen, unsigned n, struct facts *facts)
{
    char text[FACT_VALUE_SIZE] = "";
    bool same = true;
    size_t used = 0;

    for (unsigned i = 0; i < n; i++)
        same = same && seen[i].name && seen[0].name && strcmp(seen[i].name, seen[0].name) == 0;
    if (n && same) {
        facts_put(facts, "openstack_release", seen[0].name);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %s%s%s", used ? ", " : "",
                                 seen[i].project, seen[i].version, seen[i].name ? " is " : "",
                                 seen[i].name ? seen[i].name : "");
    facts_put(facts, "openstack_release", text);
}

/*
 * Name and version of a line; false when it has not just these two words (rpm says "package x is not installed"). dpkg's
 * state may stand before them: "ii" is installed, "rc" is not.
 */
static bool package_words(const char *line, size_t len, char name[80], char version[96])
{
    size_t n = strcspn(line, " \t\n"), skip, m;

    if (n == 2 && n < len && line[1] == 'i' && strchr("hip", line[0])) {
        skip = n + strspn(line + n, " \t");
        line += skip;
        len = skip < len ? len - skip : 0;
        n = strcspn(line, " \t\n");
    }
    if (n == 0 || n >= 80 || n >= len)
        return false;
    skip = n + strspn(line + n, " \t");
    m = strcspn(line + skip, " \t\n");
    if (m == 0 || m >= 96 || skip + m > len || skip + m + strspn(line + skip + m, " \t\r") < len)
        return false;
    snprintf(name, 80, "%.*s", (int)n, line);
    snprintf(version, 96, "%.*s", (int)m, line + skip);
    return true;
}

struct package_facts {
    struct release_seen seen[ARRAY_SIZE(release_projects)];
    unsigned n_seen;
    char map[FACT_VALUE_SIZE], agents[FACT_VALUE_SIZE];
};

static void package_add(struct package_facts *p, size_t row, const char *version,
                        struct facts *facts)
{
    char upstream[64];

    release_upstream(version, upstream);
    facts_map(p->map, packages[row].package, version);
    switch (packages[row].role) {
    case PACKAGE_PROJECT:
        if (p->n_seen < ARRAY_SIZE(p->seen)) {
            struct release_seen *seen = &p->seen[p->n_seen++];

            seen->project = packages[row].word;
            seen->name = parse_release(seen->project, version);
            text_copy(seen->version, sizeof seen->version, upstream);
        }
        break;
    case PACKAGE_AGENT:
        if (!strstr(p->agents, packages[row].word))
            facts_list(p->agents, packages[row].word);
        break;
    case PACKAGE_OVS:
        facts_put(facts, "ovs_version", upstream);
        break;
    case PACKAGE_OVN:
        facts_put(facts, "ovn_version", upstream);
        break;
    }
}

void parse_packages(const char *text, struct facts *facts)
{
    struct package_facts p = {0};

    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        char name[80], version[96];

        if (package_words(line, len, name, version))
            for (size_t i = 0; i < ARRAY_SIZE(packages); i++)
                if (strcmp(name, packages[i].package) == 0)
                    package_add(&p, i, version, facts);
        line += len + (line[len] == '\n');
    }
    release_tell(p.seen, p.n_seen, facts);
    facts_put(facts, "openstack_packages", p.map);
    facts_put(facts, "l2_agent", p.agents);
    facts_put(facts, "l2_agent_by", p.agents[0] ? "package" : "");
}

bool parse_l2_version(const struct facts *facts, char *ret, size_t size)
{
    const char *agents = facts_get(facts, "l2_agent"),
               *map = facts_get(facts, "openstack_packages");
    size_t n_word = agents ? strcspn(agents, " ") : 0;

    for (size_t i = 0; i < ARRAY_SIZE(packages) && agents && map; i++) {
        size_t n = strlen(packages[i].package);
        char upstream[64];

        if (packages[i].role != PACKAGE_AGENT || strlen(packages[i].word) != n_word ||
            memcmp(packages[i].word, agents, n_word) != 0)
            continue;
        for (const char *p = map; *p; p += strcspn(p, " "), p += *p == ' ') {
            if (strncmp(p, packages[i].package, n) != 0 || p[n] != '=')
                continue;
            release_upstream(p + n + 1, upstream);
            return text_copy(ret, size, upstream);
        }
    }
    return false;
}

const char *parse_package_name(unsigned i)
{
    return i < ARRAY_SIZE(packages) ? packages[i].package : NULL;
}

bool parse_tool_version(const char *text, char *ret, size_t size)
{
    size_t len = strcspn(text, "\n");

    /* The first word of the first line that begins with a digit and has a dot. */
    for (size_t i = 0; i < len;) {
        size_t n = strcspn(text + i, " \n");

        if (isdigit((unsigned char)text[i]) && memchr(text + i, '.', n) && n < size) {
            snprintf(ret, size, "%.*s", (int)n, text + i);
            return true;
        }
        i += n + (text[i + n] == ' ');
    }
    return false;
}

const char *parse_l2_process(const char *args, size_t n)
{
    static const struct {
        const char *program, *word;
    } programs[] = {
        {"neutron-linuxbridge-agent", "linuxbridge"},
        {"neutron-openvswitch-agent", "openvswitch"},
        {"neutron-macvtap-agent", "macvtap"},
        {"neutron-sriov-nic-agent", "sriov"},
        {"ovn-controller", "ovn"},
        {"calico-felix", "calico"},
    };

    /* Its first words: an interpreter may stand in front. */
    for (unsigned word = 0; word < 3 && n; word++) {
        size_t len = strnlen(args, n);
        const char *slash = memrchr(args, '/', len);
        const char *base = slash ? slash + 1 : args;
        size_t base_len = len - (size_t)(base - args);

        for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
            if (strlen(programs[i].program) == base_len &&
                memcmp(base, programs[i].program, base_len) == 0)
                return programs[i].word;
        len += len < n;
        args += len;
        n -= len;
    }
    return NULL;
}
