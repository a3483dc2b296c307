/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "deploy/lab.h"

#include <errno.h>
#include <string.h>

/* ---- the table ---- */

struct lab_place *lab_make_find(struct driver_state *lab, int kind, const char *name)
{
    for (size_t i = 0; i < LAB_PLACES_MAX; i++) {
        struct lab_place *p = &lab->place[i];

        if (p->used && (kind < 0 || p->resource.kind == (enum resource_kind)kind) &&
            (!name || strcmp(p->resource.name, name) == 0))
            return p;
    }
    return NULL;
}

static unsigned place_count(const struct driver_state *lab, enum resource_kind kind)
{
    unsigned n = 0;

    for (size_t i = 0; i < LAB_PLACES_MAX; i++)
        n += lab->place[i].used && lab->place[i].resource.kind == kind;
    return n;
}

/* The node of that number, or NULL. */
static struct lab_place *place_node(struct driver_state *lab, unsigned number)
{
    for (size_t i = 0; i < LAB_PLACES_MAX; i++)
        if (lab->place[i].used && lab->place[i].resource.kind == RESOURCE_NODE &&
            lab->place[i].number == number)
            return &lab->place[i];
    return NULL;
}

int lab_make_place(struct driver_state *lab, const struct resource *resource,
                   struct lab_place **ret_place, struct err *err)
{
    unsigned n = place_count(lab, resource->kind);

    if (lab_make_find(lab, (int)resource->kind, resource->name))
        return err_set(err, EEXIST, "the lab has it");
    if (resource->kind == RESOURCE_NODE && n >= LAB_NODES_MAX)
        return err_say(err, "the lab has %d nodes and no more", LAB_NODES_MAX);
    if (resource->kind == RESOURCE_NETWORK && n >= LAB_NETWORKS_MAX)
        return err_say(err, "the lab has %d networks and no more", LAB_NETWORKS_MAX);
    if ((resource->kind == RESOURCE_ROUTER || resource->kind == RESOURCE_EXTERNAL) && n)
        return err_say(err, "the lab has one %s and no more", resource_kind_name[resource->kind]);
    for (size_t i = 0; i < LAB_PLACES_MAX; i++) {
        struct lab_place *p = &lab->place[i];

        if (p->used)
            continue;
        *p = (struct lab_place){
            .used = true, .resource = *resource, .netns_fd = -1, .number = n + 1};
        *ret_place = p;
        return 0;
    }
    return err_say(err, "the lab has %d resources and no more", LAB_PLACES_MAX);
}

void lab_make_drop(struct lab_place *p)
{
    close_p(&p->netns_fd);
    *p = (struct lab_place){.netns_fd = -1};
}

/* ---- making ---- */

static int lab_make_netns(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_text t = {0};
    struct lab_command c = {
        .tool = LAB_IP, .in = p, .text = &t, .prepare = lab_command_settings, .prepare_arg = p};

    if (!lab->tell) {
        p->netns_fd = lab_keeper_netns(&lab->keeper, err);
        if (p->netns_fd < 0)
            return p->netns_fd;
    }
    lab_net_add(&t, "link set dev lo up\n");
    return lab_command_do(lab, &c, err);
}

static int lab_make_node(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_place *first = p->number > 1 ? place_node(lab, 1) : NULL;
    struct lab_text t = {0}, t_first = {0};
    struct lab_command c = {.tool = LAB_IP, .in = p, .other = first, .text = &t};
    struct lab_command c_first = {.tool = LAB_IP, .in = first, .text = &t_first};
    int r;

    r = lab_make_netns(lab, p, err);
    if (r < 0)
        return r;
    lab_net_node(&t, p->number, lab->v6);
    r = lab_command_do(lab, &c, err);
    if (r < 0 || !first)
        return r;
    lab_net_node_first(&t_first, lab->v6);
    r = lab_command_do(lab, &c_first, err);
    if (r < 0)
        return r;
    r = lab_command_wait_link(lab, first, "under0", err);
    return r < 0 ? r : lab_command_wait_link(lab, p, "under0", err);
}

static int lab_make_network(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    bool stretched = place_count(lab, RESOURCE_NODE) > 1;

    if (!place_node(lab, 1))
        return err_say(err, "a network needs a node first");
    for (unsigned i = 1; i <= LAB_NODES_MAX; i++) {
        struct lab_place *node = place_node(lab, i);
        struct lab_text t = {0};
        struct lab_command c = {.tool = LAB_IP, .in = node, .text = &t};
        char link[16];
        int r;

        if (!node)
            continue;
        lab_net_network(&t, p->number, node->number, stretched);
        r = lab_command_do(lab, &c, err);
        if (r < 0)
            return r;
        snprintf(link, sizeof link, "vx-net%u", p->number);
        if (stretched && (r = lab_command_wait_link(lab, node, link, err)) < 0)
            return r;
    }
    lab->next_host[p->number] = LAB_HOST_FIRST;
    return 0;
}

static int lab_make_router(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    unsigned n_networks = place_count(lab, RESOURCE_NETWORK);
    struct lab_text t_node = {0}, t = {0}, t_nft = {0};
    struct lab_command c_node = {.tool = LAB_IP, .other = p, .text = &t_node};
    struct lab_command c = {.tool = LAB_IP, .in = p, .text = &t},
                       c_nft = {.tool = LAB_NFT, .in = p, .text = &t_nft};
    int r;

    p->node = p->resource.node[0] ? lab_make_find(lab, RESOURCE_NODE, p->resource.node)
                                  : place_node(lab, 1);
    if (!p->node || !n_networks)
        return err_say(err, "a router needs its node and a network first");
    r = lab_make_netns(lab, p, err);
    if (r < 0)
        return r;
    c_node.in = p->node;
    lab_net_router_node(&t_node, n_networks);
    lab_net_router(&t, n_networks, lab->v6);
    lab_net_router_nft(&t_nft, n_networks);
    if ((r = lab_command_do(lab, &c_node, err)) < 0 || (r = lab_command_do(lab, &c, err)) < 0 ||
        (r = lab_command_do(lab, &c_nft, err)) < 0)
        return r;
    for (unsigned i = 0; i <= n_networks; i++) {
        char link[16] = "ext", port[20];

        if (i)
            snprintf(link, sizeof link, "net%u", i);
        snprintf(port, sizeof port, "rt-%s", link);
        if ((r = lab_command_wait_link(lab, p, link, err)) < 0 ||
            (r = lab_command_wait_link(lab, p->node, port, err)) < 0)
            return r;
    }
    return 0;
}

static int lab_make_external(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_place *router = lab_make_find(lab, RESOURCE_ROUTER, NULL);
    struct lab_text t_node = {0}, t = {0};
    struct lab_command c_node = {.tool = LAB_IP, .other = p, .text = &t_node};
    struct lab_command c = {.tool = LAB_IP, .in = p, .text = &t};
    int r;

    if (!router)
        return err_say(err, "an external host needs the router first");
    p->node = router->node;
    r = lab_make_netns(lab, p, err);
    if (r < 0)
        return r;
    c_node.in = p->node;
    lab_net_external_node(&t_node);
    lab_net_external(&t, lab->v6);
    if ((r = lab_command_do(lab, &c_node, err)) < 0 || (r = lab_command_do(lab, &c, err)) < 0)
        return r;
    r = lab_command_wait_link(lab, p, "eth0", err);
    return r < 0 ? r : lab_command_wait_link(lab, p->node, "ex-host", err);
}

/* The floating address of a VM, when there is a router to carry it. */
static int lab_float(struct driver_state *lab, struct lab_place *p, bool add, struct err *err)
{
    struct lab_place *router = lab_make_find(lab, RESOURCE_ROUTER, NULL);
    struct lab_text t = {0}, t_nft = {0};
    struct lab_command c = {.tool = LAB_IP, .in = router, .text = &t};
    struct lab_command c_nft = {.tool = LAB_NFT, .in = router, .text = &t_nft};
    int r;

    if (!router || !p->vm.floating || add == p->floats)
        return 0;
    lab_net_floating(&t, &p->vm, add);
    lab_net_floating_nft(&t_nft, &p->vm, add);
    if ((r = lab_command_do(lab, &c, err)) < 0 || (r = lab_command_do(lab, &c_nft, err)) < 0)
        return r;
    p->floats = add;
    return 0;
}

static int lab_make_vm(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_place *network = lab_make_find(lab, RESOURCE_NETWORK, p->resource.network);
    struct lab_text t_node = {0}, t = {0};
    struct lab_command c_node = {.tool = LAB_IP, .other = p, .text = &t_node};
    struct lab_command c = {.tool = LAB_IP, .in = p, .text = &t};
    char port[16];
    int r;

    p->node = lab_make_find(lab, RESOURCE_NODE, p->resource.node);
    if (!p->node || !network)
        return err_say(err, "the lab has no %s '%s'", p->node ? "network" : "node",
                       p->node ? p->resource.network : p->resource.node);
    if (lab->next_host[network->number] > LAB_HOST_LAST || lab->next_floating > LAB_FLOATING_LAST)
        return err_say(err, "network %s has no address left", network->resource.name);
    p->vm = (struct lab_vm_net){
        .vm = ++lab->n_vms,
        .network = network->number,
        .host = lab->next_host[network->number]++,
        .floating = lab_make_find(lab, RESOURCE_ROUTER, NULL) ? lab->next_floating++ : 0};
    r = lab_make_netns(lab, p, err);
    if (r < 0)
        return r;
    c_node.in = p->node;
    lab_net_vm_node(&t_node, &p->vm);
    lab_net_vm(&t, &p->vm, lab->v6);
    snprintf(port, sizeof port, "vm%u", p->vm.vm);
    if ((r = lab_command_do(lab, &c_node, err)) < 0 || (r = lab_command_do(lab, &c, err)) < 0 ||
        (r = lab_float(lab, p, true, err)) < 0)
        return r;
    r = lab_command_wait_link(lab, p, "eth0", err);
    return r < 0 ? r : lab_command_wait_link(lab, p->node, port, err);
}

typedef int lab_maker(struct driver_state *lab, struct lab_place *p, struct err *err);

int lab_make(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    static lab_maker *const makers[RESOURCE_KIND_COUNT] = {
        lab_make_node, lab_make_network, lab_make_router, lab_make_external, lab_make_vm};

    return makers[p->resource.kind](lab, p, err);
}

/* ---- removing ---- */

/* What a resource has in nodes and in the router beside the ends of its own links. */
int lab_make_remove(struct driver_state *lab, struct lab_place *p, struct err *err)
{
    struct lab_text t = {0};
    int r = 0;

    switch (p->resource.kind) {
    case RESOURCE_NODE:
        if (p->netns_fd < 0)
            return 0;
        lab_net_add(&t, "link del dev under0\n");
        r = lab_command_undo(lab, p, &t, err);
        return r < 0 ? r : lab_command_wait_bare(lab, p, err);
    case RESOURCE_NETWORK:
        lab_net_network_remove(&t, p->number);
        for (unsigned i = 1; i <= LAB_NODES_MAX && r == 0; i++)
            if (place_node(lab, i))
                r = lab_command_undo(lab, place_node(lab, i), &t, err);
        return r;
    case RESOURCE_ROUTER:
        lab_net_router_node_remove(&t);
        return p->node ? lab_command_undo(lab, p->node, &t, err) : 0;
    case RESOURCE_VM:
        return lab_float(lab, p, false, err);
    default:
        return 0;
    }
}
