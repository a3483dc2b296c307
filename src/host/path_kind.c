/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "host/path_walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is(const struct path_link *link, const char *kind)
{
    return strcmp(link->kind, kind) == 0;
}

/* Is that one's lower interface the one that the packet stands at? */
static int stands_here(struct path_walker *w, unsigned place, const struct path_link *link)
{
    int on, r;

    if (link->lower != w->link->index)
        return 0;
    r = path_walk_lower_place(w, place, link, &on);
    return r < 0 ? r : on == (int)w->place;
}

/* ---- going out ---- */

static int out_physical(struct path_walker *w)
{
    char where[PATH_WHERE_SIZE];

    return path_walk_end(w, PATH_LEAVES, "it leaves this machine by %s",
                         path_walk_where(w, w->place, w->link, where));
}

static int out_loopback(struct path_walker *w) { return path_walk_in(w, w->place, w->link); }

static int out_peer(struct path_walker *w)
{
    const struct path_link *peer;
    unsigned place = 0;
    int r = path_walk_lower(w, w->link, &place, &peer);

    return r < 0 || !peer ? r : path_walk_in(w, place, peer);
}

static int out_bridge(struct path_walker *w) { return path_bridge_forward(w, w->link, NULL); }

static int out_vlan(struct path_walker *w)
{
    struct path_layer *layer = path_walk_layer(w);
    const struct path_link *lower;
    unsigned place = 0;
    int r = path_walk_lower(w, w->link, &place, &lower);

    if (r < 0 || !lower)
        return r;
    if (layer->n_tags == PATH_MAX_TAGS)
        return path_walk_end(w, PATH_UNSEEN, "more than %d VLANs in each other: not followed",
                             PATH_MAX_TAGS);
    layer->tags[layer->n_tags++] = w->link->vlan;
    return path_walk_out(w, place, lower);
}

static bool is_macvlan(const struct path_link *link)
{
    return is(link, "macvlan") || is(link, "macvtap");
}

/* At the lower interface: does a frame for this MAC go up there? Passthru takes all. */
static int match_macvlan(struct path_walker *w, unsigned place, const struct path_link *link)
{
    const struct path_layer *layer = path_walk_layer(w);

    if (!is_macvlan(link) || (link->mode != PATH_MACVLAN_PASSTHRU &&
                              (!layer->has_mac || memcmp(link->mac, layer->mac, 6) != 0)))
        return 0;
    return stands_here(w, place, link);
}

/* Another one on the same lower interface, which w->link is while this asks. */
static int match_sibling(struct path_walker *w, unsigned place, const struct path_link *link)
{
    return link->mode == PATH_MACVLAN_BRIDGE ? match_macvlan(w, place, link) : 0;
}

static int out_macvlan(struct path_walker *w)
{
    const struct path_link *from = w->link, *lower, *sibling = NULL;
    unsigned place = 0, sibling_place;
    int r = path_walk_lower(w, from, &place, &lower);

    if (r < 0 || !lower)
        return r;
    w->place = place;
    w->link = lower;
    if (from->mode == PATH_MACVLAN_BRIDGE && !path_walk_layer(w)->has_mac)
        return path_walk_end(w, PATH_UNLEARNT, "%s: one packet has to pass first", w->missing);
    if (from->mode == PATH_MACVLAN_BRIDGE)
        r = path_walk_search(w, match_sibling, &sibling_place, &sibling);
    if (r < 0)
        return r;
    /* The kernel shows what stays between two of them to the lower one as if it had come in there. */
    return sibling ? path_walk_in(w, place, lower) : path_walk_out(w, place, lower);
}

/* At the lower interface: is the address that of an ipvlan's place? */
static int match_ipvlan(struct path_walker *w, unsigned place, const struct path_link *link)
{
    struct path_ask ask = {.to = path_walk_layer(w)->to};
    struct path_route route;
    int r = is(link, "ipvlan") ? stands_here(w, place, link) : 0;

    if (r <= 0 || place == w->place)
        return r < 0 ? r : 0;
    r = w->view->route(w->view->arg, place, &ask, &route, w->err);
    return r < 0 ? r : route.kind == PATH_ROUTE_LOCAL;
}

static int out_ipvlan(struct path_walker *w)
{
    const struct path_link *lower, *sibling = NULL;
    unsigned place = 0, sibling_place = 0;
    int r = path_walk_lower(w, w->link, &place, &lower);

    if (r < 0 || !lower)
        return r;
    w->place = place;
    w->link = lower;
    r = path_walk_search(w, match_ipvlan, &sibling_place, &sibling);
    if (r < 0)
        return r;
    return sibling ? path_walk_in(w, sibling_place, sibling) : path_walk_out(w, place, lower);
}

static int out_taken(struct path_walker *w)
{
    char where[PATH_WHERE_SIZE];

    return path_walk_end(w, PATH_TAKEN, "a VM or a process takes it at %s",
                         path_walk_where(w, w->place, w->link, where));
}

static int out_bond(struct path_walker *w)
{
    const struct path_link *links, *one = NULL;
    char where[PATH_WHERE_SIZE];
    unsigned n, n_up = 0;
    int r = w->view->links(w->view->arg, w->place, &links, &n, w->err);

    for (unsigned i = 0; r == 0 && i < n; i++)
        if (links[i].master == w->link->index && links[i].up && ++n_up)
            one = &links[i];
    if (r < 0)
        return r;
    if (n_up != 1)
        return path_walk_end(w, PATH_UNSEEN, "%s chooses among %u interfaces, packet by packet",
                             path_walk_where(w, w->place, w->link, where), n_up);
    return path_walk_out(w, w->place, one);
}

static int out_ovs(struct path_walker *w)
{
    char where[PATH_WHERE_SIZE];

    return path_walk_end(
        w, PATH_UNSEEN,
        "Open vSwitch takes it at %s: where it goes on, its flows say and no table "
        "of the kernel",
        path_walk_where(w, w->place, w->link, where));
}

static int out_dummy(struct path_walker *w)
{
    char where[PATH_WHERE_SIZE];

    return path_walk_end(w, PATH_UNREACHABLE, "%s drops all it is given",
                         path_walk_where(w, w->place, w->link, where));
}

int path_kind_out(struct path_walker *w)
{
    static const struct {
        const char *kind;
        int (*out)(struct path_walker *w);
    } kinds[] = {
        {"", out_physical},     {"loopback", out_loopback}, {"veth", out_peer},
        {"netkit", out_peer},   {"bridge", out_bridge},     {"vxlan", path_bridge_encapsulate},
        {"vlan", out_vlan},     {"macvlan", out_macvlan},   {"macvtap", out_macvlan},
        {"ipvlan", out_ipvlan}, {"tap", out_taken},         {"tun", out_taken},
        {"bond", out_bond},     {"team", out_bond},         {"openvswitch", out_ovs},
        {"dummy", out_dummy},
    };
    char where[PATH_WHERE_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (is(w->link, kinds[i].kind))
            return kinds[i].out(w);
    return path_walk_end(w, PATH_UNSEEN,
                         "%s is of kind %s: where it hands packets to is not known here",
                         path_walk_where(w, w->place, w->link, where), w->link->kind);
}

/* ---- coming in ---- */

static int match_vlan(struct path_walker *w, unsigned place, const struct path_link *link)
{
    const struct path_layer *layer = path_walk_layer(w);

    if (!is(link, "vlan") || link->vlan != layer->tags[layer->n_tags - 1])
        return 0;
    return stands_here(w, place, link);
}

/* Is there one above that takes it? In the kernel's order: VLANs, then whoever has the interface for itself. */
static int in_above(struct path_walker *w, unsigned *ret_place, const struct path_link **ret_link)
{
    struct path_layer *layer = path_walk_layer(w);
    int r;

    if (layer->n_tags) {
        r = path_walk_search(w, match_vlan, ret_place, ret_link);
        if (r == 0 && *ret_link)
            layer->tags[--layer->n_tags] = 0;
        if (r < 0 || *ret_link)
            return r;
    }
    if (w->link->master)
        return 0;
    r = path_walk_search(w, match_macvlan, ret_place, ret_link);
    return r < 0 || *ret_link ? r : path_walk_search(w, match_ipvlan, ret_place, ret_link);
}

/* Nobody above: to the place's own stack, if the frame is for it. */
static int in_stack(struct path_walker *w)
{
    const struct path_layer *layer = path_walk_layer(w);
    char where[PATH_WHERE_SIZE], mac[PATH_MAC_SIZE];

    path_walk_where(w, w->place, w->link, where);
    if (layer->n_tags)
        return path_walk_end(w, PATH_UNREACHABLE, "nobody takes VLAN %u at %s",
                             layer->tags[layer->n_tags - 1], where);
    /* A bridge hands up what its table says is for it, whatever its own address. */
    if (layer->has_mac && w->link->ethernet && !is(w->link, "bridge") &&
        memcmp(layer->mac, w->link->mac, sizeof layer->mac) != 0)
        return path_walk_end(w, PATH_UNREACHABLE, "%s drops it: the frame is for %s", where,
                             path_walk_mac(layer->mac, mac));
    w->step = PATH_STEP_ROUTE;
    return 0;
}

int path_kind_in(struct path_walker *w)
{
    const struct path_link *above = NULL, *master = NULL;
    unsigned place = 0;
    int r;

    if (is(w->link, "macvtap"))
        return out_taken(w);
    if (is(w->link, "loopback")) {
        /* Its route has been found when it was sent, and is not looked for by where it came in. */
        w->link = NULL;
        w->step = PATH_STEP_ROUTE;
        return 0;
    }
    r = in_above(w, &place, &above);
    if (r == 0 && above)
        return path_walk_in(w, place, above);
    if (r == 0 && w->link->master)
        r = path_walk_link(w, w->place, w->link->master, &master);
    if (r < 0)
        return r;
    if (master && is(master, "bridge"))
        return path_bridge_forward(w, master, w->link);
    if (master && is(master, "openvswitch"))
        return out_ovs(w);
    if (master && (is(master, "bond") || is(master, "team")))
        return path_walk_in(w, w->place, master);
    return in_stack(w);
}
