/* SPDX-License-Identifier: Apache-2.0 */
#include "host/path_view.h"

#include "base/auto.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

/* A place's socket and interfaces are there from when they are first asked for. */
struct kernel_place {
    int ns_fd; /* owned */
    struct netlink netlink;
    struct path_link *links; /* owned; NULL not asked for yet */
    unsigned n_links;
};

struct path_kernel {
    const struct path_place *places; /* lent by path_view_open() */
    unsigned n_places;
    struct kernel_place *place; /* owned */
    struct path_fdb *fdb;       /* owned; of the last question */
};

static int kernel_netlink(struct path_kernel *k, unsigned place, struct netlink **ret,
                          struct err *err)
{
    struct kernel_place *p = &k->place[place];
    int r = 0;

    if (p->netlink.fd < 0)
        r = netlink_open(p->ns_fd, &p->netlink, err);
    *ret = &p->netlink;
    return r < 0 ? err_wrap(err, r, "%s", k->places[place].name) : 0;
}

static int kernel_links(void *arg, unsigned place, const struct path_link **ret_links,
                        unsigned *ret_n, struct err *err)
{
    struct path_kernel *k = arg;
    struct kernel_place *p = &k->place[place];
    struct netlink *netlink;
    int r;

    if (!p->links) {
        r = kernel_netlink(k, place, &netlink, err);
        if (r < 0)
            return r;
        r = path_link_list(netlink, &p->links, &p->n_links);
        if (r < 0)
            return err_set(err, r, "asking for the interfaces of %s", k->places[place].name);
    }
    *ret_links = p->links;
    *ret_n = p->n_links;
    return 0;
}

static int kernel_nsid(void *arg, const struct nlmsghdr *message)
{
    struct netlink_part part;
    struct netlink_attr a;
    struct rtgenmsg head;

    if (!message || message->nlmsg_type != RTM_NEWNSID)
        return 0;
    part = netlink_head(message, &head, sizeof head);
    while (netlink_next(&part, &a))
        if (a.type == NETNSA_NSID)
            *(int32_t *)arg = (int32_t)netlink_u32(&a);
    return 0;
}

static int kernel_place(void *arg, unsigned place, int32_t nsid, unsigned *ret_place,
                        struct err *err)
{
    struct path_kernel *k = arg;
    struct netlink *netlink;
    int r = kernel_netlink(k, place, &netlink, err);

    for (unsigned i = 0; r == 0 && nsid >= 0 && i < k->n_places; i++) {
        const struct rtgenmsg head = {.rtgen_family = AF_UNSPEC};
        uint32_t fd = (uint32_t)k->place[i].ns_fd;
        struct netlink_request q;
        int32_t found = NETNSA_NSID_NOT_ASSIGNED;

        netlink_begin(&q, RTM_GETNSID, 0, &head, sizeof head);
        netlink_put(&q, NETNSA_FD, &fd, sizeof fd);
        r = netlink_ask(netlink, &q, kernel_nsid, &found);
        if (r < 0)
            return err_set(err, r, "asking %s for its number of %s", k->places[place].name,
                           k->places[i].name);
        if (found == nsid) {
            *ret_place = i;
            return 0;
        }
    }
    return r < 0 ? r : -ENOENT;
}

static int kernel_route(void *arg, unsigned place, const struct path_ask *ask,
                        struct path_route *ret_route, struct err *err)
{
    struct path_kernel *k = arg;
    struct netlink *netlink;
    int r = kernel_netlink(k, place, &netlink, err);

    if (r < 0)
        return r;
    r = path_route_ask(netlink, ask, ret_route);
    return r < 0 ? err_set(err, r, "asking %s for a route", k->places[place].name) : 0;
}

static int kernel_forwards(void *arg, unsigned place, int family, bool *ret_forwards,
                           struct err *err)
{
    struct path_kernel *k = arg;
    struct netlink *netlink;
    int r = kernel_netlink(k, place, &netlink, err);

    if (r < 0)
        return r;
    r = path_route_forwards(netlink, family, ret_forwards);
    return r < 0 ? err_set(err, r, "asking %s whether it forwards", k->places[place].name) : 0;
}

static int kernel_neighbour(void *arg, unsigned place, uint32_t index,
                            const struct path_address *address, uint8_t ret_mac[6], struct err *err)
{
    struct path_kernel *k = arg;
    struct netlink *netlink;
    int r = kernel_netlink(k, place, &netlink, err);

    if (r < 0)
        return r;
    r = path_table_neighbour(netlink, index, address, ret_mac);
    if (r < 0 && r != -ENOENT)
        return err_set(err, r, "asking for the neighbours of %s", k->places[place].name);
    return r;
}

static int kernel_fdb(void *arg, unsigned place, uint32_t bridge, uint32_t index,
                      const struct path_fdb **ret_entries, unsigned *ret_n, struct err *err)
{
    struct path_kernel *k = arg;
    struct netlink *netlink;
    int r = kernel_netlink(k, place, &netlink, err);

    if (r < 0)
        return r;
    free(k->fdb);
    k->fdb = NULL;
    r = path_table_fdb(netlink, bridge, index, &k->fdb, ret_n);
    if (r < 0)
        return err_set(err, r, "asking for the forwarding table of %s", k->places[place].name);
    *ret_entries = k->fdb;
    return 0;
}

int path_view_open(const struct path_place places[], unsigned n_places,
                   struct path_kernel **ret_kernel, struct path_view *ret_view, struct err *err)
{
    struct path_kernel *k = calloc(1, sizeof *k);

    if (!k || !(k->place = calloc(n_places, sizeof *k->place))) {
        free(k);
        return err_set(err, ENOMEM, "looking at %u places", n_places);
    }
    k->places = places;
    for (; k->n_places < n_places; k->n_places++) {
        struct kernel_place *p = &k->place[k->n_places];

        *p = (struct kernel_place){.netlink = {.fd = -1}};
        p->ns_fd = netlink_namespace(places[k->n_places].netns, err);
        if (p->ns_fd < 0) {
            int r = err_wrap(err, p->ns_fd, "%s", places[k->n_places].name);

            path_view_close(k);
            return r;
        }
    }
    *ret_kernel = k;
    *ret_view = (struct path_view){.arg = k,
                                   .links = kernel_links,
                                   .place = kernel_place,
                                   .route = kernel_route,
                                   .forwards = kernel_forwards,
                                   .neighbour = kernel_neighbour,
                                   .fdb = kernel_fdb};
    return 0;
}

unsigned path_view_first(const struct path_kernel *kernel, unsigned place)
{
    struct stat own, other;

    if (fstat(kernel->place[place].ns_fd, &own) < 0)
        return place;
    for (unsigned i = 0; i < place; i++)
        if (fstat(kernel->place[i].ns_fd, &other) == 0 && own.st_dev == other.st_dev &&
            own.st_ino == other.st_ino)
            return i;
    return place;
}

void path_view_close(struct path_kernel *kernel)
{
    if (!kernel)
        return;
    for (unsigned i = 0; i < kernel->n_places; i++) {
        close_p(&kernel->place[i].ns_fd);
        netlink_close(&kernel->place[i].netlink);
        free(kernel->place[i].links);
    }
    free(kernel->fdb);
    free(kernel->place);
    free(kernel);
}
