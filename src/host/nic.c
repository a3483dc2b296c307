/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/host.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* After net/if.h, whose names linux/if.h would repeat. */
#include <linux/ethtool.h>
#include <linux/sockios.h>

/* The interface of the IPv4 default route: /proc/net/route of this thread's namespace. */
static bool nic_default_route(char ret_name[IFNAMSIZ])
{
    AUTO(fclose_p) FILE *f = fopen("/proc/thread-self/net/route", "re");
    char line[256], name[IFNAMSIZ];
    unsigned long destination;

    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%15s %lx", name, &destination) == 2 && destination == 0) {
            memcpy(ret_name, name, sizeof name);
            return true;
        }
    }
    return false;
}

static bool nic_first_up(char ret_name[IFNAMSIZ])
{
    struct ifaddrs *list = NULL;
    bool found = false;

    if (getifaddrs(&list) < 0)
        return false;
    for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
        if (!(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK) || !i->ifa_addr)
            continue;
        if (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6)
            continue;
        snprintf(ret_name, IFNAMSIZ, "%s", i->ifa_name);
        found = true;
    }
    freeifaddrs(list);
    return found;
}

static bool nic_ask(int fd, const char *name, void *question, struct ifreq *ret_ifr)
{
    *ret_ifr = (struct ifreq){0};
    snprintf(ret_ifr->ifr_name, IFNAMSIZ, "%s", name);
    ret_ifr->ifr_data = question;
    return ioctl(fd, SIOCETHTOOL, ret_ifr) == 0;
}

static void nic_offloads(int fd, const char *name, struct facts *facts)
{
    static const struct {
        uint32_t command;
        const char *word;
    } offloads[] = {
        {ETHTOOL_GTSO, "tso"},
        {ETHTOOL_GGSO, "gso"},
        {ETHTOOL_GGRO, "gro"},
        {ETHTOOL_GRXCSUM, "rx-checksum"},
        {ETHTOOL_GTXCSUM, "tx-checksum"},
        {ETHTOOL_GSG, "sg"},
    };
    char text[FACT_VALUE_SIZE] = "";
    bool any = false;

    for (size_t i = 0; i < ARRAY_SIZE(offloads); i++) {
        struct ethtool_value v = {.cmd = offloads[i].command};
        struct ifreq ifr;

        if (!nic_ask(fd, name, &v, &ifr))
            continue;
        any = true;
        if (v.data)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", text[0] ? " " : "",
                     offloads[i].word);
    }
    if (any)
        facts_put(facts, "offloads", text[0] ? text : "none");
}

void nic_facts(struct facts *facts)
{
    AUTO(close_p) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    char name[IFNAMSIZ], path[64], text[32];
    unsigned long long mbps = 0;
    struct ifreq ifr;

    if (fd < 0 || (!nic_default_route(name) && !nic_first_up(name)))
        return;
    facts_put(facts, "nic", name);
    ifr = (struct ifreq){0};
    snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
    if (ioctl(fd, SIOCGIFMTU, &ifr) == 0)
        facts_put_number(facts, "mtu_bytes", (uint64_t)ifr.ifr_mtu);
    if (nic_ask(fd, name, &driver, &ifr)) {
        facts_put(facts, "nic_driver", driver.driver);
        facts_put(facts, "nic_firmware", driver.fw_version);
    }
    /* A veth claims 10 Gbit/s; only what a real device says is a fact. */
    snprintf(path, sizeof path, "/sys/class/net/%s/speed", name);
    if (strcmp(driver.driver, "veth") != 0 && host_read_line(path, text, sizeof text) == 0 &&
        sscanf(text, "%llu", &mbps) == 1 && mbps > 0 && mbps < 10000000)
        facts_put_number(facts, "nic_speed_bps", mbps * 1000000);
    nic_offloads(fd, name, facts);
}
