/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/flow_spec.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The lab's network as texts for `ip -batch -` and `nft -f -`. No I/O; each text is for one namespace.
 *
 *     node1                                   node2
 *     under0 192.0.2.1 ═════════ veth ═══════ under0 192.0.2.2          MTU 1500
 *     vx-net1 ── VXLAN 101 over it ────────── vx-net1
 *     br-net1 ─ vm1 (VM's eth0), rt-net1      br-net1 ─ vm2 (VM's eth0)  MTU 1450; net2 likewise
 *     br-ext ── rt-ext, ex-host
 *
 *     router     net1 192.168.1.1, net2 192.168.2.1, ext 198.51.100.1 and the floating addresses
 *     external   eth0 198.51.100.2
 *
 * VMs are numbered over the whole lab from 1, networks and nodes too; the names of interfaces follow from the numbers and
 * those of addresses too, so nothing that a user wrote is in a text. What is named fd 7 is a namespace that the command
 * inherits (SPAWN_PASS_FIRST).
 *
 * source  tenant networks and floating addresses as VMTP and OpenStack Neutron have them; documentation addresses of
 *         RFC 5737 and RFC 3849 for what the tenants do not see
 */
enum {
    LAB_NODES_MAX = 2,
    LAB_NETWORKS_MAX = 8,
    LAB_HOST_FIRST = 11, /* last byte of the first VM of a network */
    LAB_HOST_LAST = 250,
    LAB_FLOATING_FIRST = 11, /* last byte of the first floating address */
    LAB_FLOATING_LAST = 250,
    LAB_MTU = 1500,
    LAB_VXLAN_BYTES = 50, /* Ethernet 14, IPv4 20, UDP 8, VXLAN 8: RFC 7348 section 5 */
    LAB_TENANT_MTU = LAB_MTU - LAB_VXLAN_BYTES,
    LAB_TEXT_SIZE = 4096,
};

struct lab_text {
    char text[LAB_TEXT_SIZE];
    size_t used;
    bool full; /* something did not fit: not to be used */
};

struct lab_vm_net {
    unsigned vm;       /* its number in the lab */
    unsigned network;  /* number of its network */
    unsigned host;     /* last byte of its fixed address */
    unsigned floating; /* last byte of its floating address; 0 none */
};

void lab_net_add(struct lab_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Addresses; v6 is "" when the lab has no IPv6. */
void lab_net_node_address(unsigned node, bool v6, char ret[FLOW_ADDRESS_SIZE]);
void lab_net_gateway_address(unsigned network, bool v6, char ret[FLOW_ADDRESS_SIZE]);
void lab_net_vm_address(const struct lab_vm_net *vm, bool v6, char ret[FLOW_ADDRESS_SIZE]);
void lab_net_floating_address(unsigned floating, char ret[FLOW_ADDRESS_SIZE]);
void lab_net_router_address(bool v6, char ret[FLOW_ADDRESS_SIZE]);
void lab_net_external_address(bool v6, char ret[FLOW_ADDRESS_SIZE]);

/* In the node; fd 7 is the first node when there is one before it. */
void lab_net_node(struct lab_text *t, unsigned node, bool v6);
/* In the first node, once the second has been made. */
void lab_net_node_first(struct lab_text *t, bool v6);

/* In each node: bridge, and VXLAN to the other node when there is one. */
void lab_net_network(struct lab_text *t, unsigned network, unsigned node, bool stretched);
void lab_net_network_remove(struct lab_text *t, unsigned network);

/* In the router's node, fd 7 the router: the legs, and the bridge of the external network. */
void lab_net_router_node(struct lab_text *t, unsigned n_networks);
void lab_net_router_node_remove(struct lab_text *t);
/* In the router. */
void lab_net_router(struct lab_text *t, unsigned n_networks, bool v6);
/* In the router, for nft: SNAT, and floating addresses as OpenStack has them. */
void lab_net_router_nft(struct lab_text *t, unsigned n_networks);

/* In the router's node, fd 7 the external host; in the external host. */
void lab_net_external_node(struct lab_text *t);
void lab_net_external(struct lab_text *t, bool v6);

/* In the VM's node, fd 7 the VM; in the VM. */
void lab_net_vm_node(struct lab_text *t, const struct lab_vm_net *vm);
void lab_net_vm(struct lab_text *t, const struct lab_vm_net *vm, bool v6);
/* In the router, for ip and for nft. */
void lab_net_floating(struct lab_text *t, const struct lab_vm_net *vm, bool add);
void lab_net_floating_nft(struct lab_text *t, const struct lab_vm_net *vm, bool add);

/*
 * Do the lines that `ip -d -o link show` printed stand for links that carry packets? A veth passes nothing and a bridge
 * port drops until the kernel has worked off that they came up.
 */
bool lab_net_is_up(const char *output);

/* The same output: has a node nothing left but its loopback and underlay? */
bool lab_net_is_bare(const char *output);

/* The first line of what ip or nft complained with, and the line of text that it complained about ("" not known). */
void lab_net_complaint(const char *text, const char *output, char *ret_line, size_t line_size,
                       char *ret_about, size_t about_size);
/* Did `ip -force -batch` complain about anything else than links and addresses that are not there? */
bool lab_net_is_gone(const char *output);
