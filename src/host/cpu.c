/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/parse.h"
#include "host/parts.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void cpu_step_info(const struct host_ask *ask, struct facts *facts)
{
    AUTO(free_p) char *text = malloc(PARSE_CPUINFO_SIZE);
    cpu_set_t set;
    int nice;

    (void)ask;
    if (text && host_read_text("/proc/cpuinfo", text, PARSE_CPUINFO_SIZE) > 0)
        parse_cpuinfo(text, facts);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        facts_put_number(facts, "cpus", (uint64_t)CPU_COUNT(&set));
    errno = 0;
    nice = getpriority(PRIO_PROCESS, 0);
    if (errno == 0)
        facts_put_signed(facts, "agent_nice", nice);
}

/* Is the word in a list already? */
static bool cpu_listed(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = strstr(list, word); p; p = strstr(p + 1, word))
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0))
            return true;
    return false;
}

void cpu_step_governor(const struct host_ask *ask, struct facts *facts)
{
    AUTO(closedir_p) DIR *dir = opendir("/sys/devices/system/cpu/cpufreq");
    char list[FACT_VALUE_SIZE] = "", path[320], word[64];
    const struct dirent *entry;

    (void)ask;
    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, "policy", 6) != 0)
            continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpufreq/%s/scaling_governor",
                 entry->d_name);
        if (host_read_line(path, word, sizeof word) == 0 && !cpu_listed(list, word))
            facts_list(list, word);
    }
    facts_put(facts, "cpu_governor", list);
}

void cpu_step_numa(const struct host_ask *ask, struct facts *facts)
{
    AUTO(closedir_p) DIR *dir = opendir("/sys/devices/system/node");
    char map[FACT_VALUE_SIZE] = "", path[320], cpus[256];
    const struct dirent *entry;
    unsigned n = 0, last = 0;

    (void)ask;
    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, "node", 4) != 0 || !isdigit((unsigned char)entry->d_name[4]))
            continue;
        if (strtoul(entry->d_name + 4, NULL, 10) > last)
            last = (unsigned)strtoul(entry->d_name + 4, NULL, 10);
        n++;
    }
    if (n == 0)
        return;
    facts_put_number(facts, "numa_nodes", n);
    /* By their numbers, which a folder does not have them in. */
    for (unsigned i = 0; i <= last && i < 4096; i++) {
        char name[16];

        snprintf(path, sizeof path, "/sys/devices/system/node/node%u/cpulist", i);
        snprintf(name, sizeof name, "%u", i);
        if (host_read_line(path, cpus, sizeof cpus) == 0 && cpus[0])
            facts_map(map, name, cpus);
    }
    facts_put(facts, "numa_cpus", map);
}

void cpu_step_memory(const struct host_ask *ask, struct facts *facts)
{
    char text[512], word[32];

    (void)ask;
    if (host_read_text("/proc/meminfo", text, sizeof text) > 0)
        parse_meminfo(text, facts);
    if (host_read_line("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) == 0 &&
        parse_bracket(text, word, sizeof word))
        facts_put(facts, "huge_pages", word);
}

void cpu_facts(struct facts *facts)
{
    cpu_step_info(NULL, facts);
    cpu_step_governor(NULL, facts);
    cpu_step_numa(NULL, facts);
    cpu_step_memory(NULL, facts);
}
