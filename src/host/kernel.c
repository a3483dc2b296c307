/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/parse.h"
#include "host/parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

void kernel_step_names(const struct host_ask *ask, struct facts *facts)
{
    struct utsname u;

    (void)ask;
    if (uname(&u) < 0)
        return;
    facts_put(facts, "kernel", u.release);
    facts_put(facts, "architecture", u.machine);
    facts_put(facts, "hostname", u.nodename);
}

void kernel_step_distribution(const struct host_ask *ask, struct facts *facts)
{
    static const char *const paths[] = {"/etc/os-release", "/usr/lib/os-release"};
    char text[4096];

    (void)ask;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        int n = host_read_text(paths[i], text, sizeof text);

        if (n > 0) {
            parse_os_release(text, facts);
            return;
        }
        host_miss(facts, "distribution", n);
    }
}

/* The twelve letters by which a hypervisor signs, when the CPU says that there is one. */
static void kernel_cpuid(struct virtual_signs *signs)
{
#if defined(__x86_64__) || defined(__i386__)
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 31))
        return;
    __cpuid(0x40000000, a, b, c, d);
    memcpy(signs->cpuid, &b, 4);
    memcpy(signs->cpuid + 4, &c, 4);
    memcpy(signs->cpuid + 8, &d, 4);
#else
    (void)signs;
#endif
}

void kernel_step_virtual(const struct host_ask *ask, struct facts *facts)
{
    AUTO(free_p) char *info = malloc(PARSE_CPUINFO_SIZE);
    struct virtual_signs signs = {0};
    const char *container;
    char tree[128] = "";

    (void)ask;
    if (!info)
        return;
    if (host_read_text("/proc/cpuinfo", info, PARSE_CPUINFO_SIZE) > 0)
        signs.cpuinfo = info;
    kernel_cpuid(&signs);
    host_read_line("/sys/class/dmi/id/sys_vendor", signs.dmi_vendor, sizeof signs.dmi_vendor);
    host_read_line("/sys/class/dmi/id/product_name", signs.dmi_product, sizeof signs.dmi_product);
    host_read_line("/sys/hypervisor/type", signs.hypervisor_type, sizeof signs.hypervisor_type);
    host_read_line("/proc/xen/capabilities", signs.xen_capabilities, sizeof signs.xen_capabilities);
    signs.proc_xen = access("/proc/xen", F_OK) == 0;
    if (host_read_line("/proc/device-tree/hypervisor/compatible", tree, sizeof tree) == 0)
        memcpy(signs.device_tree, tree, sizeof signs.device_tree - 1);
    parse_virtual(&signs, facts);
    host_read_line("/run/systemd/container", signs.systemd_container,
                   sizeof signs.systemd_container);
    signs.dockerenv = access("/.dockerenv", F_OK) == 0;
    signs.containerenv = access("/run/.containerenv", F_OK) == 0;
    signs.kubernetes = getenv("KUBERNETES_SERVICE_HOST") != NULL;
    container = getenv("container");
    if (container)
        memccpy(signs.environment, container, 0, sizeof signs.environment - 1);
    parse_container(&signs, facts);
}

void kernel_row(const struct fact_row *row, struct facts *facts)
{
    char text[FACT_VALUE_SIZE], number[FACT_VALUE_SIZE];
    int r;

    if (!row->path)
        return;
    r = host_read_line(row->path, text, (int)sizeof text);
    if (r < 0) {
        host_miss(facts, row->key, r);
        return;
    }
    if (row->type == FACT_COUNT) {
        if (parse_number(text, number))
            facts_put_number(facts, row->key, strtoull(number, NULL, 10));
        return;
    }
    facts_put(facts, row->key, text);
}

void kernel_facts(struct facts *facts)
{
    kernel_step_names(NULL, facts);
    kernel_step_distribution(NULL, facts);
    kernel_step_virtual(NULL, facts);
    for (const struct fact_row *row = fact_rows; row->key; row++)
        kernel_row(row, facts);
}
