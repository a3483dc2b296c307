/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/lab_net.h"

#include "base/text.h"
#include "deploy/spawn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A namespace that is passed to `ip`: it takes a path where it finds a slash. */
static const char fd7[] = "/proc/self/fd/7";

void lab_net_add(struct lab_text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(t->text + t->used, sizeof t->text - t->used, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof t->text - t->used)
        t->full = true;
    else
        t->used += (size_t)n;
}

/* ---- addresses ---- */

static void address(char ret[FLOW_ADDRESS_SIZE], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void address(char ret[FLOW_ADDRESS_SIZE], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(ret, FLOW_ADDRESS_SIZE, fmt, ap);
    va_end(ap);
}

/* VMTP's two, 2001:45:: and 2001:46::, and on from there; the digits read as hexadecimal. */
static unsigned network_v6(unsigned network) { return 0x44 + network; }

/* VXLAN id and group of links; 100 is the external network. */
static unsigned network_group(unsigned network) { return 100 + network; }

void lab_net_node_address(unsigned node, bool v6, char ret[FLOW_ADDRESS_SIZE])
{
    address(ret, v6 ? "2001:db8:0:1::%u" : "192.0.2.%u", node);
}

void lab_net_gateway_address(unsigned network, bool v6, char ret[FLOW_ADDRESS_SIZE])
{
    if (v6)
        address(ret, "2001:%x::1", network_v6(network));
    else
        address(ret, "192.168.%u.1", network);
}

void lab_net_vm_address(const struct lab_vm_net *vm, bool v6, char ret[FLOW_ADDRESS_SIZE])
{
    /* The same digits in both: 192.168.1.11 is 2001:45::11. */
    if (v6)
        address(ret, "2001:%x::%u", network_v6(vm->network), vm->host);
    else
        address(ret, "192.168.%u.%u", vm->network, vm->host);
}

void lab_net_floating_address(unsigned floating, char ret[FLOW_ADDRESS_SIZE])
{
    address(ret, "198.51.100.%u", floating);
}

void lab_net_router_address(bool v6, char ret[FLOW_ADDRESS_SIZE])
{
    address(ret, "%s", v6 ? "2001:db8:0:2::1" : "198.51.100.1");
}

void lab_net_external_address(bool v6, char ret[FLOW_ADDRESS_SIZE])
{
    address(ret, "%s", v6 ? "2001:db8:0:2::2" : "198.51.100.2");
}

/* ---- what many have ---- */

static void address_add(struct lab_text *t, const char *dev, const char *v4, const char *v6)
{
    lab_net_add(t, "address add %s/24 dev %s\n", v4, dev);
    if (v6[0])
        lab_net_add(t, "address add %s/64 dev %s nodad\n", v6, dev);
}

static void default_route(struct lab_text *t, const char *v4, const char *v6)
{
    lab_net_add(t, "route add default via %s\n", v4);
    if (v6[0])
        lab_net_add(t, "route add default via %s\n", v6);
}

/* group: what is removed together; the kernel waits for its readers once and not once a link. */
static void bridge_add(struct lab_text *t, const char *name, unsigned group, unsigned mtu)
{
    /* No spanning tree and no delay: a port forwards when it is up. No snooping: multicast, and so IPv6 neighbour
     * discovery, goes to every port. No address of its own: a bridge only carries. */
    lab_net_add(
        t, "link add name %s mtu %u type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n",
        name, mtu);
    lab_net_add(t, "link set dev %s addrgenmode none group %u up\n", name, group);
}

/* A veth from this namespace's bridge to `inner` in the namespace of fd 7. */
static void port_add(struct lab_text *t, const char *port, const char *bridge, const char *inner,
                     const char *mac, unsigned mtu)
{
    lab_net_add(t, "link add name %s mtu %u type veth peer name %s address %s mtu %u netns %s\n",
                port, mtu, inner, mac, mtu, fd7);
    lab_net_add(t, "link set dev %s addrgenmode none master %s up\n", port, bridge);
}

/* ---- nodes and networks ---- */

void lab_net_node(struct lab_text *t, unsigned node, bool v6)
{
    char own[FLOW_ADDRESS_SIZE], own_v6[FLOW_ADDRESS_SIZE] = "";

    lab_net_node_address(node, false, own);
    if (v6)
        lab_net_node_address(node, true, own_v6);
    if (node == 1) {
        /* Until there is a second node there is nobody at the other end; its addresses are its own all the same. */
        lab_net_add(t, "address add %s/32 dev lo\n", own);
        if (v6)
            lab_net_add(t, "address add %s/128 dev lo nodad\n", own_v6);
        return;
    }
    lab_net_add(t, "link add name under0 mtu %u type veth peer name under0 mtu %u netns %s\n",
                LAB_MTU, LAB_MTU, fd7);
    lab_net_add(t, "link set dev under0 up\n");
    address_add(t, "under0", own, own_v6);
}

void lab_net_node_first(struct lab_text *t, bool v6)
{
    char own[FLOW_ADDRESS_SIZE], own_v6[FLOW_ADDRESS_SIZE] = "";

    lab_net_node_address(1, false, own);
    if (v6)
        lab_net_node_address(1, true, own_v6);
    lab_net_add(t, "address del %s/32 dev lo\n", own);
    if (v6)
        lab_net_add(t, "address del %s/128 dev lo\n", own_v6);
    lab_net_add(t, "link set dev under0 up\n");
    address_add(t, "under0", own, own_v6);
}

void lab_net_network(struct lab_text *t, unsigned network, unsigned node, bool stretched)
{
    char bridge[16], local[FLOW_ADDRESS_SIZE], remote[FLOW_ADDRESS_SIZE];

    snprintf(bridge, sizeof bridge, "br-net%u", network);
    bridge_add(t, bridge, network_group(network), LAB_TENANT_MTU);
    if (!stretched)
        return;
    lab_net_node_address(node, false, local);
    lab_net_node_address(node == 1 ? 2 : 1, false, remote);
    lab_net_add(t,
                "link add name vx-net%u mtu %u type vxlan id %u dstport 4789 local %s remote %s "
                "dev under0\n",
                network, LAB_TENANT_MTU, network_group(network), local, remote);
    lab_net_add(t, "link set dev vx-net%u addrgenmode none group %u master %s up\n", network,
                network_group(network), bridge);
}

void lab_net_network_remove(struct lab_text *t, unsigned network)
{
    lab_net_add(t, "link del group %u\n", network_group(network));
}

/* ---- router ---- */

void lab_net_router_node(struct lab_text *t, unsigned n_networks)
{
    for (unsigned i = 1; i <= n_networks; i++) {
        char port[16], bridge[16], leg[16], mac[24];

        snprintf(port, sizeof port, "rt-net%u", i);
        snprintf(bridge, sizeof bridge, "br-net%u", i);
        snprintf(leg, sizeof leg, "net%u", i);
        snprintf(mac, sizeof mac, "02:76:6e:%02x:00:01", i);
        port_add(t, port, bridge, leg, mac, LAB_TENANT_MTU);
    }
    bridge_add(t, "br-ext", network_group(0), LAB_MTU);
    port_add(t, "rt-ext", "br-ext", "ext", "02:76:6e:00:00:01", LAB_MTU);
}

void lab_net_router_node_remove(struct lab_text *t)
{
    lab_net_add(t, "link del group %u\n", network_group(0));
}

void lab_net_router(struct lab_text *t, unsigned n_networks, bool v6)
{
    char own[FLOW_ADDRESS_SIZE], own_v6[FLOW_ADDRESS_SIZE] = "";

    for (unsigned i = 1; i <= n_networks; i++) {
        char leg[16];

        snprintf(leg, sizeof leg, "net%u", i);
        lab_net_add(t, "link set dev %s up\n", leg);
        lab_net_gateway_address(i, false, own);
        if (v6)
            lab_net_gateway_address(i, true, own_v6);
        address_add(t, leg, own, own_v6);
    }
    lab_net_add(t, "link set dev ext up\n");
    lab_net_router_address(false, own);
    if (v6)
        lab_net_router_address(true, own_v6);
    address_add(t, "ext", own, own_v6);
}

void lab_net_router_nft(struct lab_text *t, unsigned n_networks)
{
    char own[FLOW_ADDRESS_SIZE];

    lab_net_router_address(false, own);
    lab_net_add(t, "table ip vnperf {\n"
                   "  set tenants { type ipv4_addr; flags interval; elements = {");
    for (unsigned i = 1; i <= n_networks; i++)
        lab_net_add(t, "%s 192.168.%u.0/24", i > 1 ? "," : "", i);
    lab_net_add(t, " }; }\n"
                   "  map floating { type ipv4_addr : ipv4_addr; }\n"
                   "  map fixed { type ipv4_addr : ipv4_addr; }\n"
                   "  chain prerouting {\n"
                   "    type nat hook prerouting priority dstnat; policy accept;\n"
                   "    dnat to ip daddr map @floating\n"
                   "  }\n"
                   "  chain postrouting {\n"
                   "    type nat hook postrouting priority srcnat; policy accept;\n");
    /* From tenant to tenant by fixed addresses: routed as it is. By a floating address (ct status dnat) it is as if it
     * had gone out and come in again: the receiver sees the sender's floating address, or the router's. */
    lab_net_add(t,
                "    ip saddr @tenants ip daddr @tenants ct status & dnat == 0 accept\n"
                "    ip saddr @tenants snat to ip saddr map @fixed\n"
                "    ip saddr @tenants snat to %s\n"
                "  }\n"
                "}\n",
                own);
}

/* ---- external host ---- */

void lab_net_external_node(struct lab_text *t)
{
    port_add(t, "ex-host", "br-ext", "eth0", "02:76:6e:00:00:02", LAB_MTU);
}

void lab_net_external(struct lab_text *t, bool v6)
{
    char own[FLOW_ADDRESS_SIZE], own_v6[FLOW_ADDRESS_SIZE] = "", via[FLOW_ADDRESS_SIZE],
                                 via_v6[FLOW_ADDRESS_SIZE] = "";

    lab_net_external_address(false, own);
    lab_net_router_address(false, via);
    if (v6) {
        lab_net_external_address(true, own_v6);
        lab_net_router_address(true, via_v6);
    }
    lab_net_add(t, "link set dev eth0 up\n");
    address_add(t, "eth0", own, own_v6);
    default_route(t, via, via_v6);
}

/* ---- VMs ---- */

void lab_net_vm_node(struct lab_text *t, const struct lab_vm_net *vm)
{
    char port[16], bridge[16], mac[24];

    snprintf(port, sizeof port, "vm%u", vm->vm);
    snprintf(bridge, sizeof bridge, "br-net%u", vm->network);
    snprintf(mac, sizeof mac, "02:76:6e:%02x:00:%02x", vm->network, vm->host);
    port_add(t, port, bridge, "eth0", mac, LAB_TENANT_MTU);
}

void lab_net_vm(struct lab_text *t, const struct lab_vm_net *vm, bool v6)
{
    char own[FLOW_ADDRESS_SIZE], own_v6[FLOW_ADDRESS_SIZE] = "", via[FLOW_ADDRESS_SIZE],
                                 via_v6[FLOW_ADDRESS_SIZE] = "";

    lab_net_vm_address(vm, false, own);
    lab_net_gateway_address(vm->network, false, via);
    if (v6) {
        lab_net_vm_address(vm, true, own_v6);
        lab_net_gateway_address(vm->network, true, via_v6);
    }
    lab_net_add(t, "link set dev eth0 up\n");
    address_add(t, "eth0", own, own_v6);
    default_route(t, via, via_v6);
}

void lab_net_floating(struct lab_text *t, const struct lab_vm_net *vm, bool add)
{
    char floating[FLOW_ADDRESS_SIZE];

    lab_net_floating_address(vm->floating, floating);
    lab_net_add(t, "address %s %s/32 dev ext\n", add ? "add" : "del", floating);
}

void lab_net_floating_nft(struct lab_text *t, const struct lab_vm_net *vm, bool add)
{
    char floating[FLOW_ADDRESS_SIZE], fixed[FLOW_ADDRESS_SIZE];
    const char *verb = add ? "add" : "delete";

    lab_net_floating_address(vm->floating, floating);
    lab_net_vm_address(vm, false, fixed);
    lab_net_add(t, "%s element ip vnperf floating { %s : %s }\n", verb, floating, fixed);
    lab_net_add(t, "%s element ip vnperf fixed { %s : %s }\n", verb, fixed, floating);
}

/* ---- what the tools say ---- */

bool lab_net_is_up(const char *output)
{
    for (const char *line = output; *line;) {
        size_t len = strcspn(line, "\n");
        const char *state = memmem(line, len, " state ", 7);
        const char *port = memmem(line, len, "bridge_slave state ", 19);

        /* Tunnels and loopback never say UP; they are UNKNOWN when they work. */
        if (state && strncmp(state + 7, "UP ", 3) != 0 && strncmp(state + 7, "UNKNOWN ", 8) != 0 &&
            !memmem(line, len, "LOOPBACK", 8))
            return false;
        if (port && strncmp(port + 19, "forwarding", 10) != 0)
            return false;
        line += len + (line[len] == '\n');
    }
    return true;
}

bool lab_net_is_bare(const char *output)
{
    for (const char *line = output; *line;) {
        size_t len = strcspn(line, "\n");

        if (!memmem(line, len, ": lo:", 5) && !memmem(line, len, ": under0@", 9))
            return false;
        line += len + (line[len] == '\n');
    }
    return true;
}

/* The n-th line of a text, from 1; cut to fit. */
static void text_line(const char *text, unsigned long n, char *ret, size_t size)
{
    size_t len;

    while (n > 1 && *text) {
        text += strcspn(text, "\n");
        text += *text == '\n';
        n--;
    }
    len = strcspn(text, "\n");
    if (size && n == 1)
        snprintf(ret, size, "%.*s", (int)len, text);
}

void lab_net_complaint(const char *text, const char *output, char *ret_line, size_t line_size,
                       char *ret_about, size_t about_size)
{
    static const char *const starts[] = {"RTNETLINK answers: ", "Error: "};
    const char *failed = strstr(output, "Command failed ");
    const char *at = NULL;

    ret_about[0] = 0;
    /* What `link show` printed before it is no complaint. */
    for (size_t i = 0; i < sizeof starts / sizeof *starts && !at; i++)
        at = strstr(output, starts[i]);
    if (!at && failed && failed > output) {
        at = failed - 1;
        while (at > output && at[-1] != '\n')
            at--;
    }
    text_line(at ? at : output, 1, ret_line, line_size);
    if (failed && (failed = strchr(failed, ':')))
        text_line(text, strtoul(failed + 1, NULL, 10), ret_about, about_size);
}

bool lab_net_is_gone(const char *output)
{
    static const char *const fine[] = {"Cannot find device", "Command failed ",
                                       "RTNETLINK answers: Cannot assign",
                                       "RTNETLINK answers: No such device"};

    for (const char *line = output; *line;) {
        size_t len = strcspn(line, "\n");
        bool known = len == 0;

        for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
            known = known || strncmp(line, fine[i], strlen(fine[i])) == 0;
        if (!known)
            return false;
        line += len + (line[len] == '\n');
    }
    return true;
}
