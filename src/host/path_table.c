/* SPDX-License-Identifier: Apache-2.0 */
#include "host/path_view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>

static bool table_address(const struct netlink_attr *a, struct path_address *ret)
{
    if (a->size != 4 && a->size != 16)
        return false;
    *ret = (struct path_address){.family = a->size == 4 ? AF_INET : AF_INET6};
    memcpy(ret->bytes, a->data, a->size);
    return true;
}

bool path_table_fdb_parse(const struct nlmsghdr *message, struct path_fdb *ret_entry)
{
    struct path_fdb e = {0};
    struct ndmsg head;
    struct netlink_part part = netlink_head(message, &head, sizeof head);
    struct netlink_attr a;
    bool has_mac = false;

    if (message->nlmsg_type != RTM_NEWNEIGH || head.ndm_family != AF_BRIDGE)
        return false;
    e.index = (uint32_t)head.ndm_ifindex;
    e.self = head.ndm_flags & NTF_SELF;
    e.local = !e.self && head.ndm_state & NUD_PERMANENT;
    while (netlink_next(&part, &a)) {
        if (a.type == NDA_LLADDR && a.size == sizeof e.mac) {
            memcpy(e.mac, a.data, sizeof e.mac);
            has_mac = true;
        } else if (a.type == NDA_MASTER) {
            e.bridge = netlink_u32(&a);
        } else if (a.type == NDA_VLAN) {
            e.vlan = netlink_u16(&a);
        } else if (a.type == NDA_DST) {
            table_address(&a, &e.remote);
        } else if (a.type == NDA_VNI) {
            e.vni = netlink_u32(&a);
        } else if (a.type == NDA_PORT) {
            e.port = netlink_be16(&a);
        } else if (a.type == NDA_IFINDEX) {
            e.underlay = netlink_u32(&a);
        }
    }
    if (!has_mac)
        return false;
    *ret_entry = e;
    return true;
}

bool path_table_neighbour_parse(const struct nlmsghdr *message, struct path_neighbour *ret)
{
    enum { VALID = NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE };
    struct path_neighbour n = {0};
    struct ndmsg head;
    struct netlink_part part = netlink_head(message, &head, sizeof head);
    struct netlink_attr a;
    bool has_mac = false, has_address = false;

    if (message->nlmsg_type != RTM_NEWNEIGH || !(head.ndm_state & VALID) ||
        head.ndm_flags & NTF_PROXY)
        return false;
    n.index = (uint32_t)head.ndm_ifindex;
    while (netlink_next(&part, &a)) {
        if (a.type == NDA_LLADDR && a.size == sizeof n.mac) {
            memcpy(n.mac, a.data, sizeof n.mac);
            has_mac = true;
        } else if (a.type == NDA_DST) {
            has_address = table_address(&a, &n.address) && n.address.family == head.ndm_family;
        }
    }
    if (!has_mac || !has_address)
        return false;
    *ret = n;
    return true;
}

/* ---- asking ---- */

struct table_list {
    uint32_t bridge, index; /* whose entries */
    struct path_fdb *entry; /* owned */
    unsigned n, room;
};

static int table_add(void *arg, const struct nlmsghdr *message)
{
    struct table_list *list = arg;
    struct path_fdb e;

    if (!message) {
        list->n = 0;
        return 0;
    }
    /* A kernel that does not filter sends all there are. */
    if (!path_table_fdb_parse(message, &e) || (list->bridge && e.bridge != list->bridge) ||
        (list->index && e.index != list->index))
        return 0;
    if (list->n == list->room) {
        unsigned room = list->room ? 2 * list->room : 64;
        struct path_fdb *more = reallocarray(list->entry, room, sizeof *more);

        if (!more)
            return -ENOMEM;
        list->entry = more;
        list->room = room;
    }
    list->entry[list->n++] = e;
    return 0;
}

int path_table_fdb(struct netlink *netlink, uint32_t bridge, uint32_t index,
                   struct path_fdb **ret_entries, unsigned *ret_n)
{
    const struct ndmsg head = {.ndm_family = AF_BRIDGE, .ndm_ifindex = (int)index};
    struct table_list list = {.bridge = bridge, .index = index};
    struct netlink_request q;
    int r;

    netlink_begin(&q, RTM_GETNEIGH, NLM_F_DUMP, &head, sizeof head);
    if (bridge)
        netlink_put(&q, NDA_MASTER, &bridge, sizeof bridge);
    r = netlink_ask(netlink, &q, table_add, &list);
    if (r < 0) {
        free(list.entry);
        return r;
    }
    *ret_entries = list.entry;
    *ret_n = list.n;
    return 0;
}

struct table_search {
    uint32_t index;
    const struct path_address *address;
    uint8_t mac[6];
    bool found;
};

static int table_look(void *arg, const struct nlmsghdr *message)
{
    struct table_search *s = arg;
    struct path_neighbour n;

    if (message && path_table_neighbour_parse(message, &n) && n.index == s->index &&
        memcmp(&n.address, s->address, sizeof n.address) == 0) {
        memcpy(s->mac, n.mac, sizeof s->mac);
        s->found = true;
    }
    return 0;
}

int path_table_neighbour(struct netlink *netlink, uint32_t index,
                         const struct path_address *address, uint8_t ret_mac[6])
{
    const struct ndmsg head = {.ndm_family = (uint8_t)address->family};
    struct table_search s = {.index = index, .address = address};
    struct netlink_request q;
    int r;

    netlink_begin(&q, RTM_GETNEIGH, NLM_F_DUMP, &head, sizeof head);
    netlink_put(&q, NDA_IFINDEX, &index, sizeof index);
    r = netlink_ask(netlink, &q, table_look, &s);
    /* Found is found, though the table changed while it was told. */
    if (!s.found)
        return r < 0 ? r : -ENOENT;
    memcpy(ret_mac, s.mac, sizeof s.mac);
    return 0;
}
