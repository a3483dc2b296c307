/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/text.h"
#include "host/netlink.h"
#include "host/parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

/* ---- which one ---- */

/* A data address as bytes, 4 or 16 of them; 0 when it is none. An IPv4 address in IPv6's clothes is IPv4. */
static size_t nic_address(const char *text, unsigned char ret[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (inet_pton(AF_INET, text, ret) == 1)
        return 4;
    if (inet_pton(AF_INET6, text, ret) != 1)
        return 0;
    if (memcmp(ret, mapped, sizeof mapped) != 0)
        return 16;
    memmove(ret, ret + 12, 4);
    return 4;
}

/* The interface that has this address as its own. */
static bool nic_of_own(const unsigned char *address, size_t n, char ret_name[IFNAMSIZ])
{
    struct ifaddrs *list = NULL;
    bool found = false;

    if (getifaddrs(&list) < 0)
        return false;
    for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
        const void *own = NULL;

        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && n == 4)
            own = &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6 && n == 16)
            own = &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
        if (!own || memcmp(own, address, n) != 0)
            continue;
        text_copy(ret_name, IFNAMSIZ, i->ifa_name);
        found = true;
    }
    freeifaddrs(list);
    return found;
}

static int nic_route_each(void *arg, const struct nlmsghdr *message)
{
    struct netlink_part part;
    struct netlink_attr attr;
    struct rtmsg head;

    if (!message || message->nlmsg_type != RTM_NEWROUTE)
        return 0;
    part = netlink_head(message, &head, sizeof head);
    while (netlink_next(&part, &attr))
        if (attr.type == RTA_OIF)
            *(uint32_t *)arg = netlink_u32(&attr);
    return 0;
}

static int nic_socket(struct netlink *ret)
{
    AUTO(close_p) int ns = netlink_namespace("", NULL);

    return ns < 0 ? ns : netlink_open(ns, ret, NULL);
}

int nic_dump(unsigned type, const void *head, size_t size, netlink_each *each, void *arg)
{
    struct netlink netlink = {.fd = -1};
    struct netlink_request q;
    int r = nic_socket(&netlink);

    if (r < 0)
        return r;
    netlink_begin(&q, type, NLM_F_DUMP, head, size);
    r = netlink_ask(&netlink, &q, each, arg);
    netlink_close(&netlink);
    return r;
}

/* The interface by which a packet to this address leaves. */
static bool nic_of_route(const unsigned char *address, size_t n, char ret_name[IFNAMSIZ])
{
    struct rtmsg head = {.rtm_family = n == 4 ? AF_INET : AF_INET6,
                         .rtm_dst_len = (unsigned char)(n * 8)};
    struct netlink netlink = {.fd = -1};
    struct netlink_request q;
    uint32_t index = 0;
    int r = nic_socket(&netlink);

    if (r < 0)
        return false;
    netlink_begin(&q, RTM_GETROUTE, 0, &head, sizeof head);
    netlink_put(&q, RTA_DST, address, n);
    r = netlink_ask(&netlink, &q, nic_route_each, &index);
    netlink_close(&netlink);
    return r == 0 && index && if_indextoname(index, ret_name);
}

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
        text_copy(ret_name, IFNAMSIZ, i->ifa_name);
        found = true;
    }
    freeifaddrs(list);
    return found;
}

void nic_step_choose(const struct host_ask *ask, struct facts *facts)
{
    char name[IFNAMSIZ] = "";
    unsigned char address[16];
    size_t n = ask ? nic_address(ask->address, address) : 0;
    const char *by;

    if (n && nic_of_own(address, n, name))
        by = "own address";
    else if (n && nic_of_route(address, n, name))
        by = "route to the address";
    else if (nic_default_route(name))
        by = "default route";
    else if (nic_first_up(name))
        by = "first that is up";
    else
        return;
    facts_put(facts, "nic", name);
    facts_put(facts, "nic_chosen", by);
}

/* ---- what it is like ---- */

struct nic_links {
    struct facts *facts;
    uint32_t index, link; /* of the interface, and what a VLAN of it stands on */
    char lower[FACT_VALUE_SIZE];
};

static void nic_state(struct facts *facts, const struct netlink_attr *attr)
{
    /* RFC 2863 ifOperStatus, as linux/if.h counts it */
    static const char *const words[] = {"unknown", "notpresent", "down", "lowerlayerdown",
                                        "testing", "dormant",    "up"};

    if (attr->size >= 1 && attr->data[0] < ARRAY_SIZE(words))
        facts_put(facts, "nic_state", words[attr->data[0]]);
}

static void nic_info(struct facts *facts, const struct netlink_attr *attr)
{
    struct netlink_part part = netlink_inside(attr);
    struct netlink_attr inner;
    char kind[32];

    while (netlink_next(&part, &inner)) {
        if (inner.type != IFLA_INFO_KIND)
            continue;
        netlink_text(&inner, kind, sizeof kind);
        facts_put(facts, "nic_kind", kind);
    }
}

static void nic_own_link(struct nic_links *links, struct netlink_part part)
{
    static const struct {
        unsigned type;
        const char *key;
    } numbers[] = {
        {IFLA_MTU, "mtu_bytes"},
        {IFLA_TXQLEN, "nic_tx_queue_packets"},
        {IFLA_NUM_RX_QUEUES, "nic_rx_queues"},
        {IFLA_NUM_TX_QUEUES, "nic_tx_queues"},
        {IFLA_GSO_MAX_SIZE, "nic_gso_max_bytes"},
        {58 /* IFLA_GRO_MAX_SIZE, since Linux 5.19 */, "nic_gro_max_bytes"},
    };
    struct netlink_attr attr;

    while (netlink_next(&part, &attr)) {
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
            if (attr.type == numbers[i].type && attr.size >= 4)
                facts_put_number(links->facts, numbers[i].key, netlink_u32(&attr));
        if (attr.type == IFLA_OPERSTATE)
            nic_state(links->facts, &attr);
        else if (attr.type == IFLA_LINKINFO)
            nic_info(links->facts, &attr);
        else if (attr.type == IFLA_LINK)
            links->link = netlink_u32(&attr);
        else if (attr.type == IFLA_LINK_NETNSID)
            links->link = UINT32_MAX; /* a veth's other end, in another namespace */
    }
}

/* A link of the dump: the interface itself, or one whose master it is. */
static int nic_link_each(void *arg, const struct nlmsghdr *message)
{
    struct nic_links *links = arg;
    struct netlink_part part;
    struct netlink_attr attr;
    struct ifinfomsg head;
    char name[IFNAMSIZ] = "";
    uint32_t master = 0;

    if (!message)
        links->lower[0] = 0;
    if (!message || message->nlmsg_type != RTM_NEWLINK)
        return 0;
    part = netlink_head(message, &head, sizeof head);
    if ((uint32_t)head.ifi_index == links->index) {
        nic_own_link(links, part);
        return 0;
    }
    while (netlink_next(&part, &attr)) {
        if (attr.type == IFLA_IFNAME)
            netlink_text(&attr, name, sizeof name);
        else if (attr.type == IFLA_MASTER)
            master = netlink_u32(&attr);
    }
    if (master == links->index)
        facts_list(links->lower, name);
    return 0;
}

/* What is of interest of the interface that was chosen: its index, or 0. */
static uint32_t nic_index(const struct facts *facts)
{
    const char *name = facts_get(facts, "nic");

    return name ? if_nametoindex(name) : 0;
}

void nic_step_link(const struct host_ask *ask, struct facts *facts)
{
    struct nic_links links = {.facts = facts, .index = nic_index(facts)};
    struct ifinfomsg head = {0};
    char name[IFNAMSIZ];
    const char *kind;
    int r;

    (void)ask;
    if (!links.index)
        return;
    r = nic_dump(RTM_GETLINK, &head, sizeof head, nic_link_each, &links);
    if (r < 0)
        host_miss(facts, "mtu_bytes", r);
    /* IFLA_LINK of a veth is its other end: that is beside it and not below. */
    kind = facts_get(facts, "nic_kind");
    if (links.link && links.link != UINT32_MAX && links.link != links.index &&
        !(kind && strcmp(kind, "veth") == 0) && if_indextoname(links.link, name))
        facts_list(links.lower, name);
    facts_put(facts, "nic_lower", links.lower);
}

/* ---- qdisc ---- */

struct nic_qdiscs {
    uint32_t index;
    char root[32], ingress[32];
    char rest[FACT_VALUE_SIZE];
};

static int nic_qdisc_each(void *arg, const struct nlmsghdr *message)
{
    struct nic_qdiscs *all = arg;
    struct netlink_part part;
    struct netlink_attr attr;
    struct tcmsg head;
    char kind[32] = "";

    if (!message)
        *all = (struct nic_qdiscs){.index = all->index};
    if (!message || message->nlmsg_type != RTM_NEWQDISC)
        return 0;
    part = netlink_head(message, &head, sizeof head);
    if ((uint32_t)head.tcm_ifindex != all->index)
        return 0;
    while (netlink_next(&part, &attr))
        if (attr.type == TCA_KIND)
            netlink_text(&attr, kind, sizeof kind);
    if (head.tcm_parent == TC_H_ROOT)
        text_copy(all->root, sizeof all->root, kind);
    else if (head.tcm_parent == TC_H_INGRESS) /* clsact too */
        text_copy(all->ingress, sizeof all->ingress, kind);
    else if (!strstr(all->rest, kind))
        facts_list(all->rest, kind);
    return 0;
}

void nic_step_qdisc(const struct host_ask *ask, struct facts *facts)
{
    struct nic_qdiscs all = {.index = nic_index(facts)};
    struct tcmsg head = {.tcm_ifindex = (int)all.index};
    char list[FACT_VALUE_SIZE] = "";
    int r;

    (void)ask;
    if (!all.index)
        return;
    r = nic_dump(RTM_GETQDISC, &head, sizeof head, nic_qdisc_each, &all);
    if (r < 0) {
        host_miss(facts, "nic_qdisc", r);
        return;
    }
    facts_list(list, all.root);
    facts_list(list, all.rest);
    facts_list(list, all.ingress);
    facts_put(facts, "nic_qdisc", list);
}

void nic_facts(struct facts *facts)
{
    static host_step_fn *const steps[] = {
        nic_step_choose,   nic_step_link,  nic_step_qdisc,    nic_step_driver,   nic_step_speed,
        nic_step_channels, nic_step_rings, nic_step_coalesce, nic_step_offloads, nic_step_device,
        nic_step_queues,   nic_step_irqs,  nic_step_lower,
    };

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i](NULL, facts);
}
