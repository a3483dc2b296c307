/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /sys and /proc have of an interface: device, queues, interrupts. Both may be of another network namespace than this
 * process: what /sys calls by the interface's name is looked at only when it is the interface.
 */
#include "base/auto.h"
#include "base/text.h"
#include "host/parse.h"
#include "host/parts.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEVICE_PATH_SIZE = 320, DEVICE_MAX_QUEUES = 1024 };

/* Same number, and the same hardware address as the kernel tells in our namespace. */
static bool device_is_ours(const char *name)
{
    AUTO(close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char path[DEVICE_PATH_SIZE], index[16], address[64], ours[64] = "";
    struct ifreq ifr = {0};

    snprintf(path, sizeof path, "/sys/class/net/%s/ifindex", name);
    if (fd < 0 || host_read_line(path, index, sizeof index) < 0 ||
        strtoul(index, NULL, 10) != if_nametoindex(name))
        return false;
    snprintf(path, sizeof path, "/sys/class/net/%s/address", name);
    text_copy(ifr.ifr_name, sizeof ifr.ifr_name, name);
    if (host_read_line(path, address, sizeof address) < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
        return false;
    for (unsigned i = 0; i < 6; i++)
        snprintf(ours + strlen(ours), sizeof ours - strlen(ours), "%s%02x", i ? ":" : "",
                 (unsigned char)ifr.ifr_hwaddr.sa_data[i]);
    return strlen(address) != 17 || strcmp(address, ours) == 0;
}

/* The interface's folder in /sys, or NULL. */
static const char *device_name(const struct facts *facts)
{
    const char *name = facts_get(facts, "nic");

    return name && device_is_ours(name) ? name : NULL;
}

void nic_step_device(const struct host_ask *ask, struct facts *facts)
{
    const char *name = device_name(facts);
    char path[DEVICE_PATH_SIZE], vendor[16], device[16], number[FACT_VALUE_SIZE], text[64];
    static const struct {
        const char *file, *key;
    } numbers[] = {{"device/numa_node", "nic_numa_node"},
                   {"gro_flush_timeout", "nic_gro_flush_ns"},
                   {"napi_defer_hard_irqs", "nic_defer_irqs"}};

    (void)ask;
    if (!name)
        return;
    snprintf(path, sizeof path, "/sys/class/net/%s/device/vendor", name);
    if (host_read_line(path, vendor, sizeof vendor) == 0) {
        snprintf(path, sizeof path, "/sys/class/net/%s/device/device", name);
        if (host_read_line(path, device, sizeof device) == 0) {
            snprintf(text, sizeof text, "%s:%s", vendor + 2 * (vendor[1] == 'x'),
                     device + 2 * (device[1] == 'x'));
            facts_put(facts, "nic_model", text);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, numbers[i].file);
        /* A device that belongs to no NUMA node says -1. */
        if (host_read_line(path, text, sizeof text) == 0 && parse_number(text, number))
            facts_put_number(facts, numbers[i].key, strtoull(number, NULL, 10));
    }
}

/* ---- queues ---- */

/* "rx-0=f rx-1=f0", or "all=f" when they agree. */
static void device_masks(struct facts *facts, const char *key, const char *name, const char *side,
                         const char *file)
{
    char map[FACT_VALUE_SIZE] = "", first[128] = "", path[DEVICE_PATH_SIZE], text[512];
    bool same = true;
    int r = 0;
    unsigned n;

    for (n = 0; n < DEVICE_MAX_QUEUES; n++) {
        char queue[32], mask[128];

        snprintf(queue, sizeof queue, "%s-%u", side, n);
        snprintf(path, sizeof path, "/sys/class/net/%s/queues/%s/%s", name, queue, file);
        r = host_read_line(path, text, sizeof text);
        /* The only transmit queue of a device has no choice to make: ENOENT on reading. */
        if (r < 0 || !parse_mask(text, mask, sizeof mask))
            break;
        if (n == 0)
            text_copy(first, sizeof first, mask);
        same = same && strcmp(first, mask) == 0;
        facts_map(map, queue, mask);
    }
    if (n == 0) {
        host_miss(facts, key, r);
        return;
    }
    if (same) {
        map[0] = 0;
        facts_map(map, "all", first);
    }
    facts_put(facts, key, map);
}

void nic_step_queues(const struct host_ask *ask, struct facts *facts)
{
    const char *name = device_name(facts);

    (void)ask;
    if (!name)
        return;
    device_masks(facts, "nic_rps_cpus", name, "rx", "rps_cpus");
    device_masks(facts, "nic_xps_cpus", name, "tx", "xps_cpus");
}

/* ---- interrupts ---- */

/* Those of the device, which a virtio device's parent has. */
static unsigned device_irqs(const char *name, unsigned numbers[PARSE_MAX_IRQS])
{
    static const char *const folders[] = {"device/msi_irqs", "device/../msi_irqs"};
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(folders) && n == 0; i++) {
        char path[DEVICE_PATH_SIZE];
        const struct dirent *entry;
        DIR *dir;

        snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, folders[i]);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)) && n < PARSE_MAX_IRQS)
            if (isdigit((unsigned char)entry->d_name[0]))
                numbers[n++] = (unsigned)strtoul(entry->d_name, NULL, 10);
        if (dir)
            closedir(dir);
    }
    return n;
}

void nic_step_irqs(const struct host_ask *ask, struct facts *facts)
{
    const char *name = device_name(facts);
    AUTO(free_p) char *text = malloc(PARSE_INTERRUPTS_SIZE);
    AUTO(free_p) struct parse_irq *irqs = calloc(PARSE_MAX_IRQS, sizeof *irqs);
    unsigned numbers[PARSE_MAX_IRQS], n_numbers, n;
    char map[FACT_VALUE_SIZE] = "";
    int r;

    (void)ask;
    if (!name || !text || !irqs)
        return;
    r = host_read_text("/proc/interrupts", text, PARSE_INTERRUPTS_SIZE);
    if (r < 0) {
        host_miss(facts, "nic_irq_cpus", r);
        return;
    }
    n_numbers = device_irqs(name, numbers);
    n = parse_interrupts(text, name, numbers, n_numbers, irqs, PARSE_MAX_IRQS);
    for (unsigned i = 0; i < n; i++) {
        char path[DEVICE_PATH_SIZE], cpus[256];

        snprintf(path, sizeof path, "/proc/irq/%u/smp_affinity_list", irqs[i].number);
        r = host_read_line(path, cpus, sizeof cpus);
        if (r == 0)
            facts_map(map, irqs[i].name, cpus);
        else
            host_miss(facts, "nic_irq_cpus", r);
    }
    facts_put(facts, "nic_irq_cpus", map);
}
