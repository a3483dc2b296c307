/* SPDX-License-Identifier: Apache-2.0 */
#include "host/path_walk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- bridges ---- */

static int bridge_unlearnt(struct path_walker *w, const struct path_link *link)
{
    char where[PATH_WHERE_SIZE], mac[PATH_MAC_SIZE];

    if (!path_walk_layer(w)->has_mac)
        return path_walk_end(w, PATH_UNLEARNT, "%s: one packet has to pass first", w->missing);
    return path_walk_end(
        w, PATH_UNLEARNT, "%s has not learnt where %s is: one packet has to pass first",
        path_walk_where(w, w->place, link, where), path_walk_mac(path_walk_layer(w)->mac, mac));
}

/*
 * A frame for a MAC that is not in the table goes to all ports, and one takes it: the one whose veth's other end has that
 * MAC, or the only one that there is. NULL cannot be said.
 */
static int bridge_flood(struct path_walker *w, const struct path_link *bridge,
                        const struct path_link *from, const struct path_link **ret_port)
{
    const struct path_link *links, *only = NULL;
    unsigned n, n_ports = 0;
    int r = w->view->links(w->view->arg, w->place, &links, &n, w->err);

    *ret_port = NULL;
    for (unsigned i = 0; r == 0 && i < n; i++) {
        const struct path_link *port = &links[i], *peer = NULL;
        int place = -1;

        if (port->master != bridge->index || !port->up || port == from)
            continue;
        n_ports++;
        only = port;
        if (strcmp(port->kind, "veth") != 0)
            continue;
        r = path_walk_lower_place(w, w->place, port, &place);
        if (r == 0 && place >= 0)
            r = path_walk_link(w, (unsigned)place, port->lower, &peer);
        if (r == 0 && peer && memcmp(peer->mac, path_walk_layer(w)->mac, 6) == 0) {
            *ret_port = port;
            return 0;
        }
    }
    if (r == 0 && n_ports == 1)
        *ret_port = only;
    return r;
}

/* What its table says: 1 for itself, 0 a port or NULL, or the walk has ended (several). */
static int bridge_look(struct path_walker *w, const struct path_link *bridge, uint32_t *ret_port)
{
    const struct path_layer *layer = path_walk_layer(w);
    char where[PATH_WHERE_SIZE], mac[PATH_MAC_SIZE];
    const struct path_fdb *e;
    unsigned n, vlan = layer->n_tags ? layer->tags[layer->n_tags - 1] : 0;
    bool certain = false;
    int r = w->view->fdb(w->view->arg, w->place, bridge->index, 0, &e, &n, w->err);

    *ret_port = 0;
    for (unsigned i = 0; r == 0 && i < n; i++) {
        if (e[i].self || memcmp(e[i].mac, layer->mac, sizeof layer->mac) != 0)
            continue;
        if (e[i].local)
            return 1;
        if (certain || *ret_port == e[i].index)
            continue;
        /* A bridge that tells VLANs apart may know a MAC in several. Which one a frame without a tag is in, the port's
         * own settings say, and those are not asked for. */
        certain = vlan && e[i].vlan == vlan;
        if (*ret_port && !certain)
            return path_walk_end(w, PATH_UNSEEN, "%s knows %s on several ports, by VLAN",
                                 path_walk_where(w, w->place, bridge, where),
                                 path_walk_mac(layer->mac, mac));
        *ret_port = e[i].index;
    }
    return r;
}

int path_bridge_forward(struct path_walker *w, const struct path_link *bridge,
                        const struct path_link *port)
{
    const struct path_layer *layer = path_walk_layer(w);
    const struct path_link *out = NULL;
    char where[PATH_WHERE_SIZE];
    uint32_t index;
    int r;

    if (!layer->has_mac)
        return bridge_unlearnt(w, bridge);
    r = port && memcmp(layer->mac, bridge->mac, sizeof layer->mac) == 0
            ? 1
            : bridge_look(w, bridge, &index);
    if (r < 0 || w->step == PATH_STEP_END)
        return r;
    if (r == 1)
        return path_walk_in(w, w->place, bridge);
    r = index ? path_walk_link(w, w->place, index, &out) : bridge_flood(w, bridge, port, &out);
    if (r < 0)
        return r;
    if (!out)
        return bridge_unlearnt(w, bridge);
    if (out == port)
        return path_walk_end(w, PATH_UNREACHABLE,
                             "its bridge drops what would go back by %s, where it came in",
                             path_walk_where(w, w->place, port, where));
    return path_walk_out(w, w->place, out);
}

/* ---- VXLAN ---- */

static bool is_group(const struct path_address *a)
{
    return a->family == AF_INET ? (a->bytes[0] & 0xf0) == 0xe0 : a->bytes[0] == 0xff;
}

/*
 * Where the frame is sent to: what was learnt of its MAC, else the one receiver of all that is unknown (an entry for MAC 0).
 * remote.family 0: several, or a group.
 */
static int vxlan_remote(struct path_walker *w, const struct path_link *vxlan,
                        struct path_fdb *ret_entry)
{
    static const uint8_t zero[6];
    const struct path_layer *layer = path_walk_layer(w);
    struct path_fdb all = {.remote = vxlan->remote};
    const struct path_fdb *e;
    unsigned n, n_all = 0;
    int r = w->view->fdb(w->view->arg, w->place, 0, vxlan->index, &e, &n, w->err);

    if (r < 0)
        return r;
    for (unsigned i = 0; i < n; i++) {
        if (!e[i].self || !e[i].remote.family)
            continue;
        if (layer->has_mac && memcmp(e[i].mac, layer->mac, sizeof layer->mac) == 0) {
            *ret_entry = e[i];
            return 0;
        }
        if (memcmp(e[i].mac, zero, sizeof zero) == 0 && ++n_all)
            all = e[i];
    }
    if (n_all > 1 || (all.remote.family && is_group(&all.remote)))
        all.remote.family = 0;
    *ret_entry = all;
    return 0;
}

static int vxlan_send(struct path_walker *w, const struct path_link *vxlan,
                      const struct path_fdb *entry, unsigned place)
{
    struct path_packet *packet = &w->path->packet;
    struct path_layer *outer = &packet->layer[packet->n_layers];
    struct path_ask ask = {.to = entry->remote,
                           .from = vxlan->local,
                           .out = entry->underlay ? entry->underlay : vxlan->underlay};
    struct path_route route;
    const struct path_link *out;
    char where[PATH_WHERE_SIZE], address[PATH_ADDRESS_SIZE];
    int r;

    path_walk_where(w, w->place, vxlan, where);
    path_walk_address(&entry->remote, address);
    w->place = place;
    r = w->view->route(w->view->arg, place, &ask, &route, w->err);
    if (r < 0)
        return r;
    *outer = (struct path_layer){.to = entry->remote,
                                 .from = vxlan->local.family ? vxlan->local : route.source,
                                 .vni = entry->vni ? entry->vni : vxlan->vni,
                                 .port = entry->port ? entry->port : vxlan->port};
    packet->n_layers++;
    /* The kernel hands over to the other VXLAN of this place directly. */
    if (route.kind == PATH_ROUTE_LOCAL)
        return path_bridge_decapsulate(w);
    if (route.kind != PATH_ROUTE_OUT)
        return path_walk_end(w, PATH_UNREACHABLE, "from %s there is no way to its far end %s",
                             where, address);
    r = path_walk_link(w, place, route.out, &out);
    if (r < 0)
        return r;
    if (!out)
        return path_walk_end(w, PATH_UNREACHABLE, "the interface that %s sends by is gone", where);
    r = out->ethernet
            ? w->view->neighbour(w->view->arg, place, out->index, &route.next, outer->mac, w->err)
            : -ENOENT;
    if (r < 0 && r != -ENOENT)
        return r;
    outer->has_mac = r == 0;
    snprintf(w->missing, sizeof w->missing, "%s does not know the MAC address of %s yet",
             path_walk_where(w, place, out, where), path_walk_address(&route.next, address));
    return path_walk_out(w, place, out);
}

int path_bridge_encapsulate(struct path_walker *w)
{
    const struct path_link *vxlan = w->link;
    char where[PATH_WHERE_SIZE];
    struct path_fdb entry;
    int place, r;

    path_walk_where(w, w->place, vxlan, where);
    if (vxlan->external)
        return path_walk_end(w, PATH_UNSEEN, "each packet's own settings say where %s sends it",
                             where);
    if (w->path->packet.n_layers == PATH_MAX_LAYERS)
        return path_walk_end(w, PATH_UNSEEN, "more than %d tunnels in each other: not followed",
                             PATH_MAX_LAYERS - 1);
    r = vxlan_remote(w, vxlan, &entry);
    if (r < 0)
        return r;
    if (!entry.remote.family)
        return bridge_unlearnt(w, vxlan);
    r = path_walk_lower_place(w, w->place, vxlan, &place);
    if (r < 0)
        return r;
    if (place < 0)
        return path_walk_end(w, PATH_UNSEEN,
                             "the underlay of %s is in a namespace that is none of the places",
                             where);
    return vxlan_send(w, vxlan, &entry, (unsigned)place);
}

static int match_vxlan(struct path_walker *w, unsigned place, const struct path_link *link)
{
    const struct path_layer *layer = path_walk_layer(w);
    int underlay, r;

    if (strcmp(link->kind, "vxlan") != 0 || link->port != layer->port ||
        (!link->external && link->vni != layer->vni))
        return 0;
    r = path_walk_lower_place(w, place, link, &underlay);
    return r < 0 ? r : underlay == (int)w->place;
}

int path_bridge_decapsulate(struct path_walker *w)
{
    struct path_packet *packet = &w->path->packet;
    const struct path_layer *layer = path_walk_layer(w);
    const struct path_link *vxlan;
    char where[PATH_WHERE_SIZE];
    unsigned place = 0;
    int r = path_walk_search(w, match_vxlan, &place, &vxlan);

    if (r < 0)
        return r;
    if (!vxlan)
        return path_walk_end(w, PATH_UNREACHABLE, "%s has no VXLAN with id %u at UDP port %u",
                             path_walk_where(w, w->place, NULL, where), layer->vni, layer->port);
    memset(&packet->layer[--packet->n_layers], 0, sizeof packet->layer[0]);
    return path_walk_in(w, place, vxlan);
}
