/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Which interfaces does a packet cross on its way? Told from the kernel's tables of the network namespaces it may come
 * through; nothing is sent, nothing is changed.
 *
 *     vm1: eth0 out │ node1: vm1 in, vx-net1 out, under0 out │ node2: under0 in, vx-net1 in, vm3 out │ vm3: eth0 in
 *
 * Followed: routes, veth pairs, bridges, VXLAN, VLANs, macvlan and macvtap, ipvlan, bonds with one way out, VRFs; a
 * destination that is translated, when the address behind it is given. A bridge is a point only where packets enter or leave the
 * machine's own stack by it: those between two of its ports cross the ports alone.
 * Not followed, and said so: Open vSwitch, other tunnels, routes that encapsulate. Not seen at all: what tc, XDP, nftables or
 * IPsec send elsewhere, policy by mark, VLANs that a bridge adds or takes. Of several equal routes it is the one that the
 * kernel names for the addresses alone.
 *
 * Tables are as fresh as the last packet: a neighbour that nobody has spoken with for long is not in them (PATH_UNLEARNT).
 * One packet each way, and a second walk finds it.
 *
 * errors  of the machine, not of the path: -EINVAL a question that makes no sense; -ENOENT, -ENODEV a place or interface that is
 *         not there; -EPERM a place that may not be entered; -ETIMEDOUT
 * source  rtnetlink(7); linux/if_link.h, linux/neighbour.h, linux/net_namespace.h
 */
enum {
    PATH_MAX_POINTS =
        32, /* beyond what hops take at once: the caller leaves out what interests it least */
    PATH_MAX_PLACES = 64,
    PATH_MAX_LAYERS = 4,
    PATH_MAX_TAGS = 2,
    PATH_IFNAME_SIZE = 16,
    PATH_KIND_SIZE = 16,
    PATH_NETNS_SIZE = 64,
    PATH_TEXT_SIZE = 256,
    PATH_PACKET_SIZE = 768
};

/* A network namespace that may lie on the way. Of two places in one namespace the first is named. */
struct path_place {
    char name[32];               /* in sentences */
    char netns[PATH_NETNS_SIZE]; /* "", "name:vm1", "pid:123", "fd:7": netlink_namespace() */
};

struct path_point {
    unsigned place;
    char ifname[PATH_IFNAME_SIZE];
    /* "physical", "loopback", "ovs", else as the kernel calls it: "veth", "bridge", "vxlan", "vlan", "macvlan",
     * "macvtap", "tap", "tun", "bond", … */
    char kind[PATH_KIND_SIZE];
    bool outgoing;
    bool tunnelled; /* the packet is inside a tunnel's here */
};

struct path_address {
    int family; /* AF_INET, AF_INET6; 0 none */
    uint8_t bytes[16];
};

/* A packet's headers as far as they decide its way, from the innermost out; what is not known is 0. */
struct path_packet {
    unsigned n_layers; /* 1 outside of tunnels */
    struct path_layer {
        struct path_address to, from;
        bool has_mac;
        uint8_t mac[6]; /* that the frame is for */
        unsigned n_tags;
        unsigned tags[PATH_MAX_TAGS]; /* VLANs, outermost last */
        uint32_t vni;  /* of the VXLAN that this layer carries; 0 for the innermost */
        uint16_t port; /* its UDP port */
    } layer[PATH_MAX_LAYERS];
};

struct path_question {
    const struct path_place *places; /* lent */
    unsigned n_places;
    unsigned from;           /* place */
    const char *from_ifname; /* it comes in there; NULL or "" it originates in the place */
    const char *to;          /* an address; NULL when packet says it */
    const char
        *nat_to; /* the address behind `to`, where `to` is a translated one; NULL or "" none */
    /* NULL, or what is known of it: a VM behind a tap has its own table of neighbours, so layer[0].mac has to be given;
     * path.packet of another machine's walk goes on with that. */
    const struct path_packet *packet;
};

enum path_end {
    PATH_ARRIVED, /* the address is local */
    PATH_LEAVES,  /* by a physical interface */
    PATH_TAKEN,   /* a VM or a process has it now: tap, tun, macvtap */
    PATH_UNLEARNT, /* a neighbour or a bridge does not know yet: one packet each way, and ask again */
    PATH_UNREACHABLE, /* no route, a link that is down, nobody who takes it: the packet ends here */
    PATH_UNSEEN, /* goes on where the kernel's tables do not say: Open vSwitch, a place not given */
    PATH_LOOP,
    PATH_TOO_LONG, /* more than PATH_MAX_POINTS */
    PATH_END_COUNT
};
/* "arrived", "leaves", "taken", "unlearnt", "unreachable", "unseen", "loop", "too-long". */
extern const char *const path_end_name[PATH_END_COUNT];

struct path {
    struct path_point points[PATH_MAX_POINTS];
    unsigned n_points;
    enum path_end end;
    char text[PATH_TEXT_SIZE]; /* the same in a sentence */
    unsigned place;            /* where it ended */
    struct path_packet packet; /* as it was there */
};

int path_find(const struct path_question *question, struct path *ret_path, struct err *err);

/*
 * A packet as one word for the way between machines: layers from the innermost, "to=10.0.0.2,mac=02:…;to=192.0.2.2,
 * from=192.0.2.1,vni=101,port=4789". What comes in is checked.
 *
 * errors  -EINVAL
 */
void path_packet_show(const struct path_packet *packet, char ret[PATH_PACKET_SIZE]);
int path_packet_read(const char *text, struct path_packet *ret_packet, struct err *err);

/* An IPv4 or IPv6 address; -EINVAL. */
int path_address_read(const char *text, struct path_address *ret_address, struct err *err);
