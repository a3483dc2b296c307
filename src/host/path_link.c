/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/path_view.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* After net/if.h, whose names linux/if.h would repeat. */
#include <linux/rtnetlink.h>

_Static_assert((int)PATH_MACVLAN_BRIDGE == (int)MACVLAN_MODE_BRIDGE &&
                   (int)PATH_MACVLAN_PASSTHRU == (int)MACVLAN_MODE_PASSTHRU,
               "modes are the kernel's");

static void link_address(const struct netlink_attr *a, int family, struct path_address *ret)
{
    size_t size = family == AF_INET ? 4 : 16;
    static const uint8_t none[16];

    if (a->size < size || memcmp(a->data, none, size) == 0)
        return;
    *ret = (struct path_address){.family = family};
    memcpy(ret->bytes, a->data, size);
}

static void link_vxlan(struct path_link *link, const struct netlink_attr *a)
{
    switch (a->type) {
    case IFLA_VXLAN_ID:
        link->vni = netlink_u32(a);
        break;
    case IFLA_VXLAN_PORT:
        link->port = netlink_be16(a);
        break;
    case IFLA_VXLAN_LINK:
        link->underlay = netlink_u32(a);
        break;
    case IFLA_VXLAN_COLLECT_METADATA:
        link->external = a->size > 0 && a->data[0];
        break;
    case IFLA_VXLAN_GROUP:
    case IFLA_VXLAN_GROUP6:
        link_address(a, a->type == IFLA_VXLAN_GROUP ? AF_INET : AF_INET6, &link->remote);
        break;
    case IFLA_VXLAN_LOCAL:
    case IFLA_VXLAN_LOCAL6:
        link_address(a, a->type == IFLA_VXLAN_LOCAL ? AF_INET : AF_INET6, &link->local);
        break;
    default:
        break;
    }
}

static bool kind_is(const struct path_link *link, const char *kind)
{
    return strcmp(link->kind, kind) == 0;
}

/* What a kind says of itself. */
static void link_data(struct path_link *link, struct netlink_part data)
{
    struct netlink_attr a;

    while (netlink_next(&data, &a)) {
        if (kind_is(link, "vxlan"))
            link_vxlan(link, &a);
        else if (kind_is(link, "vlan") && a.type == IFLA_VLAN_ID)
            link->vlan = netlink_u16(&a);
        else if (kind_is(link, "bridge") && a.type == IFLA_BR_VLAN_FILTERING)
            link->vlan_filtering = a.size > 0 && a.data[0];
        else if ((kind_is(link, "macvlan") || kind_is(link, "macvtap")) &&
                 a.type == IFLA_MACVLAN_MODE)
            link->mode = netlink_u32(&a);
    }
}

static void link_info(struct path_link *link, const struct netlink_attr *info)
{
    struct netlink_part part = netlink_inside(info), data = {0};
    struct netlink_attr a;

    while (netlink_next(&part, &a)) {
        if (a.type == IFLA_INFO_KIND)
            netlink_text(&a, link->kind, sizeof link->kind);
        else if (a.type == IFLA_INFO_DATA)
            data = netlink_inside(&a);
    }
    link_data(link, data);
}

static void link_attr(struct path_link *link, const struct netlink_attr *a)
{
    switch (a->type) {
    case IFLA_IFNAME:
        netlink_text(a, link->name, sizeof link->name);
        break;
    case IFLA_ADDRESS:
        if (a->size == sizeof link->mac)
            memcpy(link->mac, a->data, sizeof link->mac);
        break;
    case IFLA_MASTER:
        link->master = netlink_u32(a);
        break;
    case IFLA_LINK:
        link->lower = netlink_u32(a);
        break;
    case IFLA_LINK_NETNSID:
        link->elsewhere = true;
        link->nsid = (int32_t)netlink_u32(a);
        break;
    case IFLA_LINKINFO:
        link_info(link, a);
        break;
    default:
        break;
    }
}

bool path_link_parse(const struct nlmsghdr *message, struct path_link *ret_link)
{
    struct path_link link = {0};
    struct ifinfomsg head;
    struct netlink_part part = netlink_head(message, &head, sizeof head);
    struct netlink_attr a;

    if (message->nlmsg_type != RTM_NEWLINK)
        return false;
    link.index = (uint32_t)head.ifi_index;
    link.up = head.ifi_flags & IFF_UP;
    link.ethernet = head.ifi_type == ARPHRD_ETHER;
    while (netlink_next(&part, &a))
        link_attr(&link, &a);
    if (kind_is(&link, "tun") && link.ethernet)
        memcpy(link.kind, "tap", sizeof "tap");
    if (link.kind[0] == 0 && head.ifi_flags & IFF_LOOPBACK)
        memcpy(link.kind, "loopback", sizeof "loopback");
    if (link.index == 0 || link.name[0] == 0)
        return false;
    *ret_link = link;
    return true;
}

struct link_list {
    struct path_link *link; /* owned */
    unsigned n, room;
};

static int link_add(void *arg, const struct nlmsghdr *message)
{
    struct link_list *list = arg;

    if (!message) {
        list->n = 0;
        return 0;
    }
    if (list->n == list->room) {
        unsigned room = list->room ? 2 * list->room : 32;
        struct path_link *more = reallocarray(list->link, room, sizeof *more);

        if (!more)
            return -ENOMEM;
        list->link = more;
        list->room = room;
    }
    list->n += path_link_parse(message, &list->link[list->n]);
    return 0;
}

int path_link_list(struct netlink *netlink, struct path_link **ret_links, unsigned *ret_n)
{
    const struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    const uint32_t mask = RTEXT_FILTER_SKIP_STATS;
    struct link_list list = {0};
    struct netlink_request q;
    int r;

    netlink_begin(&q, RTM_GETLINK, NLM_F_DUMP, &head, sizeof head);
    netlink_put(&q, IFLA_EXT_MASK, &mask, sizeof mask);
    r = netlink_ask(netlink, &q, link_add, &list);
    if (r < 0) {
        free(list.link);
        return r;
    }
    *ret_links = list.link;
    *ret_n = list.n;
    return 0;
}
