/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

int host_read_line(const char *path, char *ret, int size)
{
    FILE *f = fopen(path, "re");
    int r = -ENODATA;

    if (!f)
        return -errno;
    if (fgets(ret, size, f)) {
        ret[strcspn(ret, "\n")] = 0;
        for (char *p = ret; *p; p++)
            if (*p == '\t')
                *p = ' ';
        r = 0;
    }
    fclose(f);
    return r;
}

static void kernel_distribution(struct facts *facts)
{
    AUTO(fclose_p) FILE *f = fopen("/etc/os-release", "re");
    char line[256], name[FACT_VALUE_SIZE];

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "PRETTY_NAME=\"%159[^\"]\"", name) == 1)
            facts_put(facts, "distribution", name);
}

void kernel_facts(struct facts *facts)
{
    static const struct {
        const char *key, *path;
    } settings[] = {
        {"congestion_control", "/proc/sys/net/ipv4/tcp_congestion_control"},
        {"congestion_controls", "/proc/sys/net/ipv4/tcp_available_congestion_control"},
        {"tcp_rmem", "/proc/sys/net/ipv4/tcp_rmem"},
        {"tcp_wmem", "/proc/sys/net/ipv4/tcp_wmem"},
        {"rmem_max", "/proc/sys/net/core/rmem_max"},
        {"wmem_max", "/proc/sys/net/core/wmem_max"},
        {"clock_source", "/sys/devices/system/clocksource/clocksource0/current_clocksource"},
    };
    struct utsname u;
    char text[FACT_VALUE_SIZE];

    if (uname(&u) == 0) {
        facts_put(facts, "kernel", u.release);
        facts_put(facts, "architecture", u.machine);
        facts_put(facts, "hostname", u.nodename);
    }
    kernel_distribution(facts);
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (host_read_line(settings[i].path, text, sizeof text) == 0)
            facts_put(facts, settings[i].key, text);
}

void host_facts(struct facts *facts)
{
    kernel_facts(facts);
    cpu_facts(facts);
    nic_facts(facts);
    address_facts(facts);
    privilege_facts(facts);
}
