/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/netlink.h"
#include "host/path.h"

/*
 * What the walk of path.h wants to know about namespaces, and how rtnetlink's messages say it. Inside host/ only.
 *
 * The walk asks through a struct path_view, so that it can be led through machines that are not there: VLANs, Open vSwitch,
 * loops of bridges.
 */

/* ---- interfaces (path_link.c) ---- */

enum path_macvlan { PATH_MACVLAN_BRIDGE = 4, PATH_MACVLAN_PASSTHRU = 8 }; /* MACVLAN_MODE_… */

struct path_link {
    uint32_t index;
    char name[PATH_IFNAME_SIZE];
    char
        kind[PATH_KIND_SIZE]; /* IFLA_INFO_KIND, but "tap" for a tun of frames; "" none: physical */
    bool up, ethernet;
    uint8_t mac[6];
    uint32_t master;     /* 0 none */
    uint32_t lower;      /* IFLA_LINK: a veth's peer, what a VLAN or macvlan stands on; 0 none */
    bool elsewhere;      /* lower, or a tunnel's underlay, is in another namespace */
    int32_t nsid;        /* which, as this one numbers it; -1 the kernel does not say */
    unsigned vlan;       /* a VLAN's identifier */
    bool vlan_filtering; /* of a bridge */
    unsigned mode;       /* of a macvlan */
    uint32_t vni;        /* of a VXLAN, as are these: */
    uint16_t port;
    bool external;                     /* each packet's route says where to, not the device */
    uint32_t underlay;                 /* interface that the tunnel goes out by; 0 by route */
    struct path_address remote, local; /* family 0: none */
};

/* From RTM_NEWLINK; false when it is none or has no name. */
bool path_link_parse(const struct nlmsghdr *message, struct path_link *ret_link);
/* All of a namespace. ret_links: the caller's, free(). */
int path_link_list(struct netlink *netlink, struct path_link **ret_links, unsigned *ret_n);

/* ---- neighbours and forwarding tables (path_table.c) ---- */

/* An entry of a bridge, or (self) of a VXLAN. */
struct path_fdb {
    uint32_t index; /* of the port, or of the VXLAN */
    uint32_t bridge;
    uint8_t mac[6];
    unsigned vlan; /* 0 none */
    bool self, local;
    struct path_address remote; /* the rest is a VXLAN's; family 0: none */
    uint32_t vni;               /* 0: the device's */
    uint16_t port;              /* 0: the device's */
    uint32_t underlay;          /* 0: the device's */
};

struct path_neighbour {
    uint32_t index;
    struct path_address address;
    uint8_t mac[6];
};

bool path_table_fdb_parse(const struct nlmsghdr *message, struct path_fdb *ret_entry);
/* False also for one that is not valid (any more). */
bool path_table_neighbour_parse(const struct nlmsghdr *message, struct path_neighbour *ret);
/* Entries of the ports of a bridge, or of an interface itself; the other is 0. ret_entries: free(). */
int path_table_fdb(struct netlink *netlink, uint32_t bridge, uint32_t index,
                   struct path_fdb **ret_entries, unsigned *ret_n);
/* errors: -ENOENT unknown or not valid */
int path_table_neighbour(struct netlink *netlink, uint32_t index,
                         const struct path_address *address, uint8_t ret_mac[6]);

/* ---- routes (path_route.c) ---- */

enum path_route_kind {
    PATH_ROUTE_NONE, /* code says why */
    PATH_ROUTE_LOCAL,
    PATH_ROUTE_OUT,
    PATH_ROUTE_GROUP, /* broadcast or multicast */
    PATH_ROUTE_TUNNEL /* the route itself encapsulates (RTA_ENCAP) */
};

struct path_ask {
    struct path_address to, from; /* from: family 0 unknown */
    uint32_t in;                  /* interface it came in at; 0 it originates here */
    uint32_t out;                 /* interface it is bound to; 0 none */
};

struct path_route {
    enum path_route_kind kind;
    int code; /* negative errno with PATH_ROUTE_NONE */
    uint32_t out;
    struct path_address next; /* neighbour that it goes to: the gateway, else the address itself */
    struct path_address source; /* that the kernel would choose; family 0 none */
};

bool path_route_parse(const struct nlmsghdr *message, const struct path_ask *ask,
                      struct path_route *ret_route);
/* No way there is an answer (PATH_ROUTE_NONE) and no error. */
int path_route_ask(struct netlink *netlink, const struct path_ask *ask,
                   struct path_route *ret_route);
/* Does this namespace forward packets of that family at all? */
int path_route_forwards(struct netlink *netlink, int family, bool *ret_forwards);

/* ---- what the walk sees (path_view.c) ---- */

struct path_view {
    void *arg;
    /* All interfaces of a place; lent until the view ends. */
    int (*links)(void *arg, unsigned place, const struct path_link **ret_links, unsigned *ret_n,
                 struct err *err);
    /* The place that a place numbers so; -ENOENT none of ours. */
    int (*place)(void *arg, unsigned place, int32_t nsid, unsigned *ret_place, struct err *err);
    int (*route)(void *arg, unsigned place, const struct path_ask *ask,
                 struct path_route *ret_route, struct err *err);
    int (*forwards)(void *arg, unsigned place, int family, bool *ret_forwards, struct err *err);
    /* -ENOENT not known */
    int (*neighbour)(void *arg, unsigned place, uint32_t index, const struct path_address *address,
                     uint8_t ret_mac[6], struct err *err);
    /* Lent until the next call. */
    int (*fdb)(void *arg, unsigned place, uint32_t bridge, uint32_t index,
               const struct path_fdb **ret_entries, unsigned *ret_n, struct err *err);
};

/* path_find() through any view. */
int path_walk(const struct path_view *view, const struct path_question *question,
              struct path *ret_path, struct err *err);

/* The kernel's view of places. owns: path_view_close() ends it; takes NULL. */
struct path_kernel;
int path_view_open(const struct path_place places[], unsigned n_places,
                   struct path_kernel **ret_kernel, struct path_view *ret_view, struct err *err);
/* Of the places in that one's namespace the first. */
unsigned path_view_first(const struct path_kernel *kernel, unsigned place);
void path_view_close(struct path_kernel *kernel);
