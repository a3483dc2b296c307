/* SPDX-License-Identifier: Apache-2.0 */
#include "host/path_view.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netconf.h>
#include <linux/rtnetlink.h>

static size_t address_size(int family) { return family == AF_INET ? 4 : 16; }

static void route_address(const struct netlink_attr *a, int family, struct path_address *ret)
{
    if ((family != AF_INET && family != AF_INET6) || a->size != address_size(family))
        return;
    *ret = (struct path_address){.family = family};
    memcpy(ret->bytes, a->data, a->size);
}

/* RTA_VIA: a gateway of the other family. */
static void route_via(const struct netlink_attr *a, struct path_address *ret)
{
    uint16_t family = netlink_u16(a);

    if (a->size > sizeof family)
        route_address(&(struct netlink_attr){.data = a->data + sizeof family,
                                             .size = a->size - sizeof family},
                      family, ret);
}

static enum path_route_kind route_kind(unsigned char type)
{
    switch (type) {
    case RTN_LOCAL:
        return PATH_ROUTE_LOCAL;
    case RTN_UNICAST:
        return PATH_ROUTE_OUT;
    case RTN_BROADCAST:
    case RTN_ANYCAST:
    case RTN_MULTICAST:
        return PATH_ROUTE_GROUP;
    default:
        return PATH_ROUTE_NONE;
    }
}

bool path_route_parse(const struct nlmsghdr *message, const struct path_ask *ask,
                      struct path_route *ret_route)
{
    struct path_route route = {.next = ask->to};
    struct rtmsg head;
    struct netlink_part part = netlink_head(message, &head, sizeof head);
    struct netlink_attr a;

    if (message->nlmsg_type != RTM_NEWROUTE)
        return false;
    route.kind = route_kind(head.rtm_type);
    if (route.kind == PATH_ROUTE_NONE)
        route.code = -EHOSTUNREACH;
    while (netlink_next(&part, &a)) {
        if (a.type == RTA_OIF)
            route.out = netlink_u32(&a);
        else if (a.type == RTA_GATEWAY)
            route_address(&a, ask->to.family, &route.next);
        else if (a.type == RTA_VIA)
            route_via(&a, &route.next);
        else if (a.type == RTA_PREFSRC)
            route_address(&a, ask->to.family, &route.source);
        else if (a.type == RTA_ENCAP && route.kind == PATH_ROUTE_OUT)
            route.kind = PATH_ROUTE_TUNNEL;
    }
    if (route.kind == PATH_ROUTE_OUT && !route.out)
        return false;
    *ret_route = route;
    return true;
}

/* ---- asking ---- */

struct route_answer {
    const struct path_ask *ask;
    struct path_route route;
    bool found;
};

static int route_take(void *arg, const struct nlmsghdr *message)
{
    struct route_answer *answer = arg;

    if (message && path_route_parse(message, answer->ask, &answer->route))
        answer->found = true;
    return 0;
}

/* What the kernel says when there is no way, or no right to go it. */
static bool route_refused(int code)
{
    switch (-code) {
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EACCES: /* prohibit */
    case EINVAL: /* blackhole; a source that cannot be */
    case EXDEV:  /* the way back is another one, and rp_filter is strict */
    case EAGAIN: /* throw, with no rule after it */
        return true;
    default:
        return false;
    }
}

int path_route_ask(struct netlink *netlink, const struct path_ask *ask,
                   struct path_route *ret_route)
{
    size_t size = address_size(ask->to.family);
    struct rtmsg head = {.rtm_family = (uint8_t)ask->to.family, .rtm_dst_len = (uint8_t)(8 * size)};
    struct route_answer answer = {.ask = ask};
    struct netlink_request q;
    int r;

    if (ask->from.family)
        head.rtm_src_len = head.rtm_dst_len;
    netlink_begin(&q, RTM_GETROUTE, 0, &head, sizeof head);
    netlink_put(&q, RTA_DST, ask->to.bytes, size);
    if (ask->from.family)
        netlink_put(&q, RTA_SRC, ask->from.bytes, size);
    if (ask->in)
        netlink_put(&q, RTA_IIF, &ask->in, sizeof ask->in);
    if (ask->out)
        netlink_put(&q, RTA_OIF, &ask->out, sizeof ask->out);
    r = netlink_ask(netlink, &q, route_take, &answer);
    if (r < 0 && !route_refused(r))
        return r;
    if (r < 0)
        answer.route = (struct path_route){.kind = PATH_ROUTE_NONE, .code = r};
    else if (!answer.found)
        return -EBADMSG;
    *ret_route = answer.route;
    return 0;
}

static int route_conf(void *arg, const struct nlmsghdr *message)
{
    struct netconfmsg head;
    struct netlink_part part;
    struct netlink_attr a;

    if (!message || message->nlmsg_type != RTM_NEWNETCONF)
        return 0;
    part = netlink_head(message, &head, sizeof head);
    while (netlink_next(&part, &a))
        if (a.type == NETCONFA_FORWARDING)
            *(bool *)arg = netlink_u32(&a) != 0;
    return 0;
}

int path_route_forwards(struct netlink *netlink, int family, bool *ret_forwards)
{
    /* The head is one byte, and attributes begin at the next multiple of four. */
    const struct netconfmsg head = {.ncm_family = (uint8_t)family};
    const int32_t all = NETCONFA_IFINDEX_ALL;
    struct netlink_request q;
    bool forwards = true;
    int r;

    netlink_begin(&q, RTM_GETNETCONF, 0, &head, sizeof head);
    netlink_put(&q, NETCONFA_IFINDEX, &all, sizeof all);
    r = netlink_ask(netlink, &q, route_conf, &forwards);
    if (r < 0 && r != -EOPNOTSUPP)
        return r;
    *ret_forwards = forwards;
    return 0;
}
