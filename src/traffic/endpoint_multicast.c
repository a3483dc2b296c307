/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/text.h"
#include "traffic/udp_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

/*
 * A UDP stream to a group. The client sends, each server is one receiver; who listens is the network's matter, so there is
 * no handshake and no answer: the tag of each datagram says whose it is, and the sender repeats its END a few times.
 *
 * source  ip(7) and ipv6(7): IP_ADD_MEMBERSHIP, IP_MULTICAST_IF …
 */

static bool multicast_same_address(const struct sockaddr *a, const union socket_address *b)
{
    if (!a || a->sa_family != b->any.sa_family)
        return false;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
               b->v4.sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, &b->v6.sin6_addr,
                  sizeof b->v6.sin6_addr) == 0;
}

/* The interface that has an address; 0 none. */
static unsigned multicast_interface_of(const union socket_address *address)
{
    struct ifaddrs *all = NULL;
    unsigned index = 0;

    if (getifaddrs(&all) < 0)
        return 0;
    for (struct ifaddrs *i = all; i && !index; i = i->ifa_next)
        if (multicast_same_address(i->ifa_addr, address))
            index = if_nametoindex(i->ifa_name);
    freeifaddrs(all);
    return index;
}

/* What spec->bind names, as an index; 0: the routes' choice. */
static int multicast_interface(const struct flow_spec *spec, unsigned *ret_index, struct err *err)
{
    union socket_address own;
    socklen_t len;
    unsigned index = 0;

    if (spec->bind[0]) {
        int family = text_address(spec->bind, NULL);

        if (family >= 0 && family != text_address(spec->address, NULL))
            return err_set(err, EAFNOSUPPORT, "own address %s and group %s", spec->bind,
                           spec->address);
        if (family < 0)
            index = if_nametoindex(spec->bind);
        else if (socket_address(spec->bind, 0, &own, &len, NULL) == 0)
            index = multicast_interface_of(&own);
        if (index == 0)
            return err_set(err, ENODEV, "no interface here is, or has, %s", spec->bind);
    }
    *ret_index = index;
    return 0;
}

/* A group of one link means nothing without the link. */
static void multicast_scope(union socket_address *group, unsigned index)
{
    if (group->any.sa_family == AF_INET6 && (IN6_IS_ADDR_MC_LINKLOCAL(&group->v6.sin6_addr) ||
                                             IN6_IS_ADDR_MC_NODELOCAL(&group->v6.sin6_addr)))
        group->v6.sin6_scope_id = index;
}

/* How far it goes, out of which interface, and that receivers on this machine hear it too. */
static int multicast_out(int fd, const struct flow_spec *spec, int family, unsigned index,
                         struct err *err)
{
    const int hops = spec->ttl ? (int)spec->ttl : 1, loop = 1, out = (int)index;
    const struct ip_mreqn via = {.imr_ifindex = out};
    int r = 0;

    if (family == AF_INET) {
        if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops) < 0 ||
            setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof loop) < 0 ||
            (out && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof via) < 0))
            r = -errno;
    } else if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) < 0 ||
               setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &loop, sizeof loop) < 0 ||
               (out && setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &out, sizeof out) < 0)) {
        r = -errno;
    }
    return r < 0 ? err_set(err, r, "sending to %s", spec->address) : 0;
}

/* A socket for the group, and on which interface the spec wants it; flow->fd is set even when it fails later. */
static int multicast_socket(struct flow *flow, const struct flow_spec *spec,
                            union socket_address *ret_group, socklen_t *ret_len,
                            unsigned *ret_index, struct err *err)
{
    int r = socket_address(spec->address, spec->port, ret_group, ret_len, err);

    if (r == 0)
        r = multicast_interface(spec, ret_index, err);
    if (r < 0)
        return r;
    multicast_scope(ret_group, *ret_index);
    flow->fd = socket(ret_group->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (flow->fd < 0)
        return err_set(err, errno, "opening a socket");
    return socket_prepare(flow->fd, spec, err);
}

static int multicast_connect(struct flow *flow, const struct flow_spec *spec, struct err *err)
{
    union socket_address group = {0};
    socklen_t len = 0;
    unsigned index = 0;
    int r = multicast_socket(flow, spec, &group, &len, &index, err);

    if (r == 0)
        r = multicast_out(flow->fd, spec, group.any.sa_family, index, err);
    if (r < 0)
        return r;
    if (connect(flow->fd, &group.any, len) < 0)
        return err_set(err, errno, "group %s port %u%s", spec->address, spec->port,
                       spec->bind[0] ? "" : ": no interface was named, and no route leads there");
    return 0;
}

static int multicast_join(int fd, const struct flow_spec *spec, const union socket_address *group,
                          unsigned index, struct err *err)
{
    const struct ip_mreqn request = {.imr_multiaddr = group->v4.sin_addr,
                                     .imr_ifindex = (int)index};
    const struct ipv6_mreq request6 = {.ipv6mr_multiaddr = group->v6.sin6_addr,
                                       .ipv6mr_interface = index};
    int off = 0, r;

    if (group->any.sa_family == AF_INET) {
        /* What others on this machine have joined is not for us. */
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off);
        r = setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
    } else {
        r = setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request6, sizeof request6);
    }
    if (r < 0)
        return err_set(err, errno, "joining group %s%s%s%s", spec->address,
                       spec->bind[0] ? " on " : "", spec->bind,
                       spec->bind[0] ? "" : ": no interface was named, and no route leads there");
    return 0;
}

/* Several receivers of a machine share group and port, so one that is taken is no matter but for who does not share. */
static int multicast_listen(struct engine *engine, struct flow *flow, struct err *err)
{
    const struct flow_spec *spec = &engine->spec;
    union socket_address group = {0};
    socklen_t len = 0;
    unsigned index = 0;
    int on = 1, r = multicast_socket(flow, spec, &group, &len, &index, err);

    if (r < 0)
        return r;
    if (setsockopt(flow->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(flow->fd, &group.any, len) < 0)
        return err_set(err, errno, "binding group %s port %u", spec->address, spec->port);
    if (getsockname(flow->fd, &group.any, &len) < 0)
        return err_set(err, errno, "asking for the port");
    engine->port = ntohs(group.any.sa_family == AF_INET6 ? group.v6.sin6_port : group.v4.sin_port);
    return multicast_join(flow->fd, spec, &group, index, err);
}

static int multicast_open(struct engine *engine, struct err *err)
{
    struct flow *flow = &engine->flows[0]; /* there is but one */
    int r = engine->spec.role == FLOW_CLIENT ? multicast_connect(flow, &engine->spec, err)
                                             : multicast_listen(engine, flow, err);

    return r < 0 ? r : udp_set_up(flow, &engine->spec, err);
}

const struct endpoint_ops endpoint_multicast = {
    .kind = FLOW_MULTICAST,
    .open = multicast_open,
    .ask = udp_send_run,
    .answer = udp_receive_run,
};
