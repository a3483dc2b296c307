/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands below the interface of the data: a bridge, a bond or a VLAN has neither driver nor rings nor queues of its own,
 * and what carries the packets is a member of it, or a member of that.
 */
#include "base/auto.h"
#include "base/text.h"
#include "host/netlink.h"
#include "host/parts.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

enum {
    LOWER_MAX_LINKS = 1024, /* of the namespace */
    LOWER_MAX_FOUND = 64,   /* below the interface, however deep */
    LOWER_MAX_TOLD = 4,
};

struct lower_link {
    char name[IFNAMSIZ];
    uint32_t index, master, link; /* link 0: it stands on nothing of this namespace */
};

struct lower_links {
    struct lower_link link[LOWER_MAX_LINKS];
    unsigned n;
};

static int lower_each(void *arg, const struct nlmsghdr *message)
{
    struct lower_links *all = arg;
    struct lower_link link = {0};
    bool elsewhere = false;
    struct netlink_part part, inside;
    struct netlink_attr attr, inner;
    struct ifinfomsg head;
    char kind[32] = "";

    if (!message)
        all->n = 0;
    if (!message || message->nlmsg_type != RTM_NEWLINK || all->n == LOWER_MAX_LINKS)
        return 0;
    part = netlink_head(message, &head, sizeof head);
    link.index = (uint32_t)head.ifi_index;
    while (netlink_next(&part, &attr)) {
        if (attr.type == IFLA_IFNAME)
            netlink_text(&attr, link.name, sizeof link.name);
        else if (attr.type == IFLA_MASTER)
            link.master = netlink_u32(&attr);
        else if (attr.type == IFLA_LINK)
            link.link = netlink_u32(&attr);
        else if (attr.type == IFLA_LINK_NETNSID)
            elsewhere = true;
        else if (attr.type == IFLA_LINKINFO)
            for (inside = netlink_inside(&attr); netlink_next(&inside, &inner);)
                if (inner.type == IFLA_INFO_KIND)
                    netlink_text(&inner, kind, sizeof kind);
    }
    /* A veth's other end is beside it and not below. */
    if (elsewhere || strcmp(kind, "veth") == 0)
        link.link = 0;
    all->link[all->n++] = link;
    return 0;
}

/* Those below index, nearest first. Returns how many. */
static unsigned lower_find(const struct lower_links *all, uint32_t index,
                           const struct lower_link *ret_found[LOWER_MAX_FOUND])
{
    uint32_t above[LOWER_MAX_FOUND + 1] = {index};
    unsigned n = 0;

    for (unsigned k = 0; k <= n; k++) {
        uint32_t on = 0;

        for (unsigned i = 0; i < all->n; i++)
            if (all->link[i].index == above[k])
                on = all->link[i].link;
        for (unsigned i = 0; i < all->n && n < LOWER_MAX_FOUND; i++) {
            const struct lower_link *link = &all->link[i];
            bool seen = link->index == index;

            for (unsigned j = 0; j < n; j++)
                seen = seen || ret_found[j] == link;
            if (seen || (link->master != above[k] && link->index != on))
                continue;
            ret_found[n++] = link;
            above[n] = link->index;
        }
    }
    return n;
}

/* Each fact of one of them, to the map of that fact of all. A list's blanks become commas, a map's '=' a ':'. */
static const struct {
    const char *from, *to;
} lower_facts[] = {
    {"nic_kind", "nic_lower_kind"},
    {"nic_driver", "nic_lower_driver"},
    {"nic_firmware", "nic_lower_firmware"},
    {"nic_model", "nic_lower_model"},
    {"nic_speed_bps", "nic_lower_speed_bps"},
    {"mtu_bytes", "nic_lower_mtu_bytes"},
    {"nic_rx_queues", "nic_lower_rx_queues"},
    {"nic_tx_queues", "nic_lower_tx_queues"},
    {"nic_combined_channels", "nic_lower_channels"},
    {"nic_rx_ring", "nic_lower_rx_ring"},
    {"nic_tx_ring", "nic_lower_tx_ring"},
    {"nic_rx_coalesce_us", "nic_lower_rx_coalesce_us"},
    {"nic_tx_coalesce_us", "nic_lower_tx_coalesce_us"},
    {"nic_qdisc", "nic_lower_qdisc"},
    {"nic_irq_cpus", "nic_lower_irq_cpus"},
    {"offloads", "nic_lower_offloads"},
};

static void lower_put(struct facts *facts, const char *name, const struct facts *one)
{
    for (size_t i = 0; i < ARRAY_SIZE(lower_facts); i++) {
        const char *value = facts_get(one, lower_facts[i].from);
        const char *before = facts_get(facts, lower_facts[i].to);
        char text[FACT_VALUE_SIZE], map[FACT_VALUE_SIZE];

        if (!value)
            continue;
        text_copy(text, sizeof text, value);
        for (char *p = text; *p; p++)
            *p = (char)(*p == ' ' ? ',' : *p == '=' ? ':' : *p);
        text_copy(map, sizeof map, before ? before : "");
        facts_map(map, name, text);
        facts_put(facts, lower_facts[i].to, map);
    }
}

static void lower_ask(const char *name, bool deep, struct facts *ret_one)
{
    static host_step_fn *const steps[] = {
        nic_step_driver,   nic_step_device, nic_step_link,     nic_step_qdisc,    nic_step_speed,
        nic_step_channels, nic_step_rings,  nic_step_coalesce, nic_step_offloads, nic_step_irqs};

    *ret_one = (struct facts){0};
    facts_put(ret_one, "nic", name);
    for (size_t i = 0; i < (deep ? ARRAY_SIZE(steps) : 2); i++)
        steps[i](NULL, ret_one);
}

void nic_step_lower(const struct host_ask *ask, struct facts *facts)
{
    AUTO(free_p) struct lower_links *all = calloc(1, sizeof *all);
    AUTO(free_p) struct facts *one = calloc(1, sizeof *one);
    const struct lower_link *found[LOWER_MAX_FOUND];
    const char *name = facts_get(facts, "nic");
    uint32_t index = name ? if_nametoindex(name) : 0;
    struct ifinfomsg head = {0};
    unsigned n, n_told = 0;

    (void)ask;
    if (!index || !all || !one || nic_dump(RTM_GETLINK, &head, sizeof head, lower_each, all) < 0)
        return;
    n = lower_find(all, index, found);
    /* Devices first: a bridge may have hundreds of VMs' ends. */
    for (int device = 1; device >= 0; device--)
        for (unsigned i = 0; i < n && n_told < LOWER_MAX_TOLD; i++) {
            lower_ask(found[i]->name, false, one);
            if ((facts_get(one, "nic_model") != NULL) != device)
                continue;
            lower_ask(found[i]->name, true, one);
            lower_put(facts, found[i]->name, one);
            n_told++;
        }
}
