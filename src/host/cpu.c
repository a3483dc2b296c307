/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/host.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The value of "key : value" in a file of such lines, first match; false when there is none. */
static bool cpu_key(const char *path, const char *key, char *ret, size_t size)
{
    AUTO(fclose_p) FILE *f = fopen(path, "re");
    char line[512];

    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':'), *value;

        if (!colon || strncmp(line, key, strlen(key)) != 0)
            continue;
        value = colon + 1 + strspn(colon + 1, " \t");
        value[strcspn(value, "\n")] = 0;
        snprintf(ret, size, "%s", value);
        return true;
    }
    return false;
}

void cpu_facts(struct facts *facts)
{
    unsigned long long kib = 0;
    char text[FACT_VALUE_SIZE];
    cpu_set_t set;
    int nice;

    if (cpu_key("/proc/cpuinfo", "model name", text, sizeof text))
        facts_put(facts, "cpu", text);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        facts_put_number(facts, "cpus", (uint64_t)CPU_COUNT(&set));
    errno = 0;
    nice = getpriority(PRIO_PROCESS, 0);
    if (errno == 0) {
        snprintf(text, sizeof text, "%d", nice);
        facts_put(facts, "agent_nice", text);
    }
    if (host_read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text,
                       sizeof text) == 0)
        facts_put(facts, "cpu_governor", text);
    if (host_read_line("/sys/class/dmi/id/product_name", text, sizeof text) == 0)
        facts_put(facts, "machine", text);
    if (cpu_key("/proc/meminfo", "MemTotal", text, sizeof text) &&
        sscanf(text, "%llu kB", &kib) == 1)
        facts_put_number(facts, "memory_bytes", kib * 1024);
}
