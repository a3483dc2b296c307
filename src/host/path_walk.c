/* SPDX-License-Identifier: Apache-2.0 */
#include "host/path_walk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

const char *const path_end_name[PATH_END_COUNT] = {"arrived",     "leaves", "taken", "unlearnt",
                                                   "unreachable", "unseen", "loop",  "too-long"};

/* ---- words ---- */

const char *path_walk_where(const struct path_walker *w, unsigned place,
                            const struct path_link *link, char ret[PATH_WHERE_SIZE])
{
    snprintf(ret, PATH_WHERE_SIZE, "%s%s%s", w->question->places[place].name, link ? "/" : "",
             link ? link->name : "");
    return ret;
}

const char *path_walk_mac(const uint8_t mac[6], char ret[PATH_MAC_SIZE])
{
    snprintf(ret, PATH_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    return ret;
}

const char *path_walk_address(const struct path_address *address, char ret[PATH_ADDRESS_SIZE])
{
    if (!inet_ntop(address->family, address->bytes, ret, PATH_ADDRESS_SIZE))
        snprintf(ret, PATH_ADDRESS_SIZE, "an unknown address");
    return ret;
}

int path_walk_end(struct path_walker *w, enum path_end end, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w->path->text, sizeof w->path->text, fmt, ap);
    va_end(ap);
    w->path->end = end;
    w->path->place = w->place;
    w->step = PATH_STEP_END;
    return 0;
}

/* ---- points ---- */

static const char *point_kind(const struct path_link *link)
{
    if (link->kind[0] == 0)
        return "physical";
    return strcmp(link->kind, "openvswitch") == 0 ? "ovs" : link->kind;
}

/* Member by member: what lies between them says nothing. */
static bool packet_same(const struct path_packet *a, const struct path_packet *b)
{
    bool same = a->n_layers == b->n_layers;

    for (unsigned i = 0; same && i < a->n_layers; i++) {
        const struct path_layer *x = &a->layer[i], *y = &b->layer[i];

        same = memcmp(&x->to, &y->to, sizeof x->to) == 0 &&
               memcmp(&x->from, &y->from, sizeof x->from) == 0 && x->has_mac == y->has_mac &&
               memcmp(x->mac, y->mac, sizeof x->mac) == 0 && x->n_tags == y->n_tags &&
               memcmp(x->tags, y->tags, sizeof x->tags) == 0 && x->vni == y->vni &&
               x->port == y->port;
    }
    return same;
}

static int walk_cross(struct path_walker *w, unsigned place, const struct path_link *link,
                      bool outgoing)
{
    struct path *path = w->path;
    struct path_point point = {
        .place = place, .outgoing = outgoing, .tunnelled = path->packet.n_layers > 1};
    char where[PATH_WHERE_SIZE];

    memcpy(point.ifname, link->name, sizeof point.ifname);
    snprintf(point.kind, sizeof point.kind, "%s", point_kind(link));
    w->place = place;
    w->link = link;
    w->step = outgoing ? PATH_STEP_OUT : PATH_STEP_IN;
    path_walk_where(w, place, link, where);
    for (unsigned i = 0; i < path->n_points; i++)
        if (path->points[i].place == place && path->points[i].outgoing == outgoing &&
            strcmp(path->points[i].ifname, point.ifname) == 0 &&
            packet_same(&w->crossed[i], &path->packet))
            return path_walk_end(w, PATH_LOOP,
                                 "it comes to %s again as it was there before: a loop", where);
    if (path->n_points == PATH_MAX_POINTS)
        return path_walk_end(w, PATH_TOO_LONG,
                             "more than %d interfaces: the way beyond %s was not followed",
                             PATH_MAX_POINTS, where);
    w->crossed[path->n_points] = path->packet;
    path->points[path->n_points++] = point;
    if (!link->up)
        return path_walk_end(w, PATH_UNREACHABLE, "%s is down", where);
    return 0;
}

int path_walk_out(struct path_walker *w, unsigned place, const struct path_link *link)
{
    return walk_cross(w, place, link, true);
}

int path_walk_in(struct path_walker *w, unsigned place, const struct path_link *link)
{
    return walk_cross(w, place, link, false);
}

/* ---- interfaces ---- */

int path_walk_link(struct path_walker *w, unsigned place, uint32_t index,
                   const struct path_link **ret_link)
{
    const struct path_link *links;
    unsigned n;
    int r = w->view->links(w->view->arg, place, &links, &n, w->err);

    if (r < 0)
        return r;
    *ret_link = NULL;
    for (unsigned i = 0; i < n && !*ret_link; i++)
        if (links[i].index == index)
            *ret_link = &links[i];
    return 0;
}

int path_walk_lower_place(struct path_walker *w, unsigned place, const struct path_link *link,
                          int *ret_place)
{
    unsigned found = place;
    int r = link->elsewhere ? w->view->place(w->view->arg, place, link->nsid, &found, w->err) : 0;

    if (r < 0 && r != -ENOENT)
        return r;
    *ret_place = r < 0 ? -1 : (int)found;
    return 0;
}

int path_walk_lower(struct path_walker *w, const struct path_link *link, unsigned *ret_place,
                    const struct path_link **ret_link)
{
    char where[PATH_WHERE_SIZE];
    int place, r;

    *ret_link = NULL;
    r = path_walk_lower_place(w, w->place, link, &place);
    if (r < 0)
        return r;
    path_walk_where(w, w->place, link, where);
    if (place < 0)
        return path_walk_end(w, PATH_UNSEEN,
                             "the other side of %s is in a namespace that is none of the places",
                             where);
    *ret_place = (unsigned)place;
    r = path_walk_link(w, *ret_place, link->lower, ret_link);
    if (r == 0 && !*ret_link)
        return path_walk_end(w, PATH_UNREACHABLE, "the other side of %s is gone", where);
    return r;
}

int path_walk_search(struct path_walker *w, path_walk_match *match, unsigned *ret_place,
                     const struct path_link **ret_link)
{
    *ret_link = NULL;
    for (unsigned i = 0; i <= w->question->n_places; i++) {
        unsigned place = i ? i - 1 : w->place, n;
        const struct path_link *links;
        int r;

        if (i && place == w->place)
            continue;
        r = w->view->links(w->view->arg, place, &links, &n, w->err);
        for (unsigned j = 0; r == 0 && j < n; j++) {
            int yes = match(w, place, &links[j]);

            if (yes < 0)
                return yes;
            if (yes) {
                *ret_place = place;
                *ret_link = &links[j];
                return 0;
            }
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- routing ---- */

static int walk_neighbour(struct path_walker *w, const struct path_link *out,
                          const struct path_address *next)
{
    struct path_layer *layer = path_walk_layer(w);
    char where[PATH_WHERE_SIZE], address[PATH_ADDRESS_SIZE];
    int r;

    memset(layer->mac, 0, sizeof layer->mac);
    layer->has_mac = false;
    layer->n_tags = 0;
    memset(layer->tags, 0, sizeof layer->tags);
    if (!out->ethernet)
        return 0;
    r = w->view->neighbour(w->view->arg, w->place, out->index, next, layer->mac, w->err);
    layer->has_mac = r == 0;
    /* Nothing is lost yet: a pair of veths hands over without knowing. */
    snprintf(w->missing, sizeof w->missing, "%s does not know the MAC address of %s yet",
             path_walk_where(w, w->place, out, where), path_walk_address(next, address));
    return r == -ENOENT ? 0 : r;
}

static int walk_arrive(struct path_walker *w)
{
    struct path_layer *layer = path_walk_layer(w);
    char where[PATH_WHERE_SIZE], address[PATH_ADDRESS_SIZE];

    if (w->path->packet.n_layers > 1)
        return path_bridge_decapsulate(w);
    if (w->nat && memcmp(&layer->to, &w->nat_from, sizeof layer->to) == 0) {
        w->nat = false;
        layer->to = w->nat_to;
        w->step = PATH_STEP_ROUTE;
        return 0;
    }
    return path_walk_end(w, PATH_ARRIVED, "%s is an address of %s",
                         path_walk_address(&layer->to, address),
                         path_walk_where(w, w->place, NULL, where));
}

static int walk_no_route(struct path_walker *w, const struct path_route *route)
{
    char where[PATH_WHERE_SIZE], address[PATH_ADDRESS_SIZE];
    const struct path_layer *layer = path_walk_layer(w);

    path_walk_where(w, w->place, w->link, where);
    path_walk_address(&layer->to, address);
    switch (route->kind) {
    case PATH_ROUTE_GROUP:
        return path_walk_end(w, PATH_UNSEEN, "%s is no single receiver's address for %s", address,
                             where);
    case PATH_ROUTE_TUNNEL:
        return path_walk_end(w, PATH_UNSEEN, "the route of %s to %s encapsulates: not followed",
                             where, address);
    default:
        return path_walk_end(w, PATH_UNREACHABLE, "from %s there is no way to %s%s: %s", where,
                             address, w->link ? ", or forwarding is off" : "",
                             strerror(-route->code));
    }
}

static int walk_ask(struct path_walker *w, struct path_route *ret_route)
{
    struct path_layer *layer = path_walk_layer(w);
    struct path_ask ask = {
        .to = layer->to, .from = layer->from, .in = w->link ? w->link->index : 0};
    int r;

    /* Without a source the kernel takes nothing for something that came in. */
    if (!layer->from.family)
        ask.in = 0;
    r = w->view->route(w->view->arg, w->place, &ask, ret_route, w->err);
    /* A router before this one may have put another source in, and this one is then no reason. */
    if (r == 0 && ask.in && w->routed && ret_route->kind == PATH_ROUTE_NONE &&
        (ret_route->code == -EXDEV || ret_route->code == -EINVAL)) {
        ask.in = 0;
        ask.from = (struct path_address){0};
        r = w->view->route(w->view->arg, w->place, &ask, ret_route, w->err);
    }
    return r;
}

static int walk_route(struct path_walker *w)
{
    struct path_layer *layer = path_walk_layer(w);
    const struct path_link *out;
    char where[PATH_WHERE_SIZE];
    struct path_route route;
    bool forwards = true;
    int r = walk_ask(w, &route);

    if (r < 0)
        return r;
    if (route.kind == PATH_ROUTE_LOCAL && (w->link || w->path->n_points))
        return walk_arrive(w);
    if (route.kind != PATH_ROUTE_OUT && route.kind != PATH_ROUTE_LOCAL)
        return walk_no_route(w, &route);
    if (w->link && layer->to.family == AF_INET6)
        r = w->view->forwards(w->view->arg, w->place, AF_INET6, &forwards, w->err);
    if (r < 0)
        return r;
    if (!forwards)
        return path_walk_end(w, PATH_UNREACHABLE, "%s does not forward IPv6",
                             path_walk_where(w, w->place, NULL, where));
    w->routed |= w->link != NULL;
    if (!w->link && !layer->from.family)
        layer->from = route.source;
    r = path_walk_link(w, w->place, route.out, &out);
    if (r < 0)
        return r;
    if (!out)
        return path_walk_end(w, PATH_UNREACHABLE, "the interface that %s sends by is gone",
                             path_walk_where(w, w->place, NULL, where));
    r = walk_neighbour(w, out, &route.next);
    return r < 0 ? r : path_walk_out(w, w->place, out);
}

/* ---- all of it ---- */

static int walk_begin(struct path_walker *w)
{
    const struct path_question *q = w->question;
    struct path_packet *packet = &w->path->packet;
    const struct path_link *links;
    unsigned n;
    int r;

    if (q->packet)
        *packet = *q->packet;
    else
        packet->n_layers = 1;
    if (packet->n_layers < 1 || packet->n_layers > PATH_MAX_LAYERS)
        return err_say(w->err, "a packet has 1 to %d layers", PATH_MAX_LAYERS);
    if (q->to && q->to[0] && (r = path_address_read(q->to, &packet->layer[0].to, w->err)) < 0)
        return r;
    for (unsigned i = 0; i < packet->n_layers; i++)
        if (!packet->layer[i].to.family)
            return err_say(w->err, "no address says where the packet goes");
    w->nat = q->nat_to && q->nat_to[0];
    w->nat_from = packet->layer[0].to;
    if (w->nat && (r = path_address_read(q->nat_to, &w->nat_to, w->err)) < 0)
        return r;
    if (w->nat && w->nat_to.family != w->nat_from.family)
        return err_say(w->err, "%s is not of the kind of address that it is behind", q->nat_to);
    w->place = q->from;
    if (!q->from_ifname || !q->from_ifname[0]) {
        w->step = PATH_STEP_ROUTE;
        return 0;
    }
    snprintf(w->missing, sizeof w->missing,
             "which MAC address the sender behind %s uses was not said", q->from_ifname);
    r = w->view->links(w->view->arg, q->from, &links, &n, w->err);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < n; i++)
        if (strcmp(links[i].name, q->from_ifname) == 0)
            return path_walk_in(w, q->from, &links[i]);
    return err_set(w->err, ENODEV, "%s/%s", q->places[q->from].name, q->from_ifname);
}

int path_walk(const struct path_view *view, const struct path_question *question,
              struct path *ret_path, struct err *err)
{
    static int (*const steps[])(struct path_walker *) = {path_kind_out, path_kind_in, walk_route};
    struct path path = {0};
    struct path_walker w = {.view = view, .question = question, .path = &path, .err = err};
    int r;

    if (question->n_places > PATH_MAX_PLACES || question->from >= question->n_places)
        return err_say(err, "a path is looked for in 1 to %d places, and begins in one of them",
                       PATH_MAX_PLACES);
    r = walk_begin(&w);
    /* Every step but routing crosses an interface, and routing does not follow itself but after a translation. */
    while (r == 0 && w.step != PATH_STEP_END)
        r = steps[w.step](&w);
    if (r < 0)
        return r;
    *ret_path = path;
    return 0;
}
