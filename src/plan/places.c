/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/places.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned places_count(const struct places *places, enum place_role role)
{
    unsigned n = 0;

    for (unsigned i = 0; i < places->n; i++)
        n += places->place[i].role == role;
    return n;
}

/* The n-th of that role, or NULL. */
static const struct place *places_nth(const struct places *places, enum place_role role, unsigned n)
{
    for (unsigned i = 0; i < places->n; i++)
        if (places->place[i].role == role && n-- == 0)
            return &places->place[i];
    return NULL;
}

static bool places_has(const struct places *places, const char *name)
{
    for (unsigned i = 0; i < places->n; i++)
        if (strcmp(places->place[i].resource.name, name) == 0)
            return true;
    return false;
}

/* label, or "label#2" … */
static void places_name(const struct places *places, const char *label, char *ret, size_t size)
{
    snprintf(ret, size, "%.*s", (int)(size - 1), label);
    for (unsigned k = 2; places_has(places, ret); k++)
        snprintf(ret, size, "%.*s#%u", (int)(size - 5), label, k);
}

static const char *places_label(const struct endpoint_text *at)
{
    return at->kind == ENDPOINT_LOCAL ? "local" : at->arg;
}

static bool places_same(const struct endpoint_text *a, const struct endpoint_text *b)
{
    return a->kind == b->kind && a->port == b->port && strcmp(a->arg, b->arg) == 0;
}

int places_add(struct places *places, enum place_role role, const char *label, const char *node,
               const char *network, const struct resource_there *there, struct err *err)
{
    const struct place *first = places_nth(places, PLACE_HOST, 0);
    static const enum resource_kind kinds[] = {[PLACE_HOST] = RESOURCE_NODE,
                                               [PLACE_VM] = RESOURCE_VM,
                                               [PLACE_EXTERNAL] = RESOURCE_EXTERNAL};
    struct place *p = &places->place[places->n];

    if (role == PLACE_HOST && places_count(places, role) == 2)
        return err_say(err, "a run is between two hosts, the first of which is the server: measure "
                            "more of them pair by pair");
    if (role == PLACE_EXTERNAL && places_count(places, role) == 1)
        return err_say(err, "a run has one external host");
    /* One is kept for the second agent on a host. */
    if (places->n + 1 >= PLACES_MAX)
        return err_say(err, "more than %d hosts and VMs", PLACES_MAX - 1);
    if (label[0] && places_has(places, label))
        return err_say(err, "'%.48s' is the name of another one", label);
    *p = (struct place){.role = role, .there = *there};
    p->resource.kind = kinds[role];
    p->twin = role == PLACE_HOST && first && places_same(&first->there.at, &there->at);
    places_name(places,
                label[0]  ? label
                : p->twin ? first->resource.name
                          : places_label(&there->at),
                p->resource.name, sizeof p->resource.name);
    text_copy(p->resource.node, sizeof p->resource.node, node);
    text_copy(p->resource.network, sizeof p->resource.network, network);
    places->n++;
    return 0;
}

int places_complete(struct places *places, struct err *err)
{
    const struct place *host = places_nth(places, PLACE_HOST, 0);
    struct resource_there there;
    int r = 0;

    if (places_count(places, PLACE_EXTERNAL) && !places_count(places, PLACE_VM))
        return err_say(err, "--external-host is measured with a VM: --vm names one that is there");
    if (places_count(places, PLACE_HOST) == 1) {
        there = host->there;
        /* They are the server's. */
        there.at.ifname[0] = there.at.address[0] = 0;
        if (there.password && !(there.password = strdup(there.password)))
            return err_say(err, "no memory for a login");
        r = places_add(places, PLACE_HOST, "", "", "", &there, err);
    }
    for (unsigned i = 0; i < places->n; i++)
        places->place[i].resource.there = &places->place[i].there;
    return r;
}

void places_wipe(struct resource_there *there)
{
    if (there->password)
        explicit_bzero(there->password, strlen(there->password));
    free(there->password);
    there->password = NULL;
}

void places_done(struct places *places)
{
    for (unsigned i = 0; i < places->n; i++)
        places_wipe(&places->place[i].there);
    places->n = 0;
}

/* ---- who stands where ---- */

static const char *const places_why_vms = "--vm names two VMs to measure between";
static const char *const places_why_pair[6] = {
    "no two --vm have the same net= and the same node=",
    "no two --vm have the same net= and different node=",
    "no two --vm have different net= and the same node=",
    "no two --vm have different net= and different node=",
    "no two --vm have different net= and the same node=, one of them with floating=",
    "no two --vm have different net= and different node=, one of them with floating=",
};

/* Labels that are not there are neither the same nor different. */
static bool places_agree(const char *a, const char *b, bool differ)
{
    return a[0] && b[0] && (strcmp(a, b) != 0) == differ;
}

static bool places_pair(const struct places *places, const struct scenario *row,
                        const struct place **ret_from, const struct place **ret_to)
{
    for (unsigned t = 0; t < places->n; t++) {
        const struct place *to = &places->place[t];

        if (to->role != PLACE_VM || (row->floating && !to->there.floating[0]))
            continue;
        for (unsigned f = 0; f < places->n; f++) {
            const struct place *from = &places->place[f];

            if (f == t || from->role != PLACE_VM ||
                !places_agree(from->resource.network, to->resource.network,
                              row->different_network) ||
                !places_agree(from->resource.node, to->resource.node, row->inter_node))
                continue;
            *ret_from = from;
            *ret_to = to;
            return true;
        }
    }
    return false;
}

/* Groups 1 to 6. */
static const char *places_fill_vms(const struct places *places, struct scenario *row)
{
    const struct place *from, *to;

    if (places_count(places, PLACE_VM) < 2)
        return places_why_vms;
    if (!places_pair(places, row, &from, &to))
        return places_why_pair[row->id[0] - '1'];
    row->from = from->resource.name;
    row->to = to->resource.name;
    row->more = NULL;
    row->bind = from->there.at.address[0] ? from->there.at.address : from->there.at.ifname;
    return NULL;
}

/* Group 7. */
static const char *places_fill_hosts(const struct places *places, struct scenario *row)
{
    static const char *const within[PROTOCOL_COUNT] = {
        "Native Throughput, Intra-node, TCP", "Native Throughput, Intra-node, UDP",
        "Native Throughput, Intra-node, ICMP", "Native Throughput, Intra-node, Multicast"};
    const struct place *to = places_nth(places, PLACE_HOST, 0),
                       *from = places_nth(places, PLACE_HOST, 1);

    if (!to || !from)
        return "--host names the hosts to measure between";
    row->from = from->resource.name;
    row->to = to->resource.name;
    row->bind = from->there.at.address[0] ? from->there.at.address : from->there.at.ifname;
    if (from->twin) {
        row->name = within[row->protocol];
        row->inter_node = false;
    }
    return NULL;
}

/* Groups 8: what is reached through NAT where that is given, else at its own address. */
static const char *places_fill_external(const struct places *places, struct scenario *row)
{
    const struct place *external = places_nth(places, PLACE_EXTERNAL, 0), *vm = NULL, *from;

    if (!external)
        return "--external-host names the host outside";
    for (unsigned i = 0; i < places->n; i++) {
        const struct place *p = &places->place[i];

        if (p->role == PLACE_VM && (!vm || (p->there.floating[0] && !vm->there.floating[0])))
            vm = p;
    }
    if (!vm)
        return places_why_vms;
    from = row->floating ? external : vm;
    row->from = from->resource.name;
    row->to = row->floating ? vm->resource.name : external->resource.name;
    row->floating = row->floating && vm->there.floating[0];
    row->bind = from->there.at.address[0] ? from->there.at.address : from->there.at.ifname;
    return NULL;
}

void places_fill(const struct places *places, struct scenario ret_rows[SCENARIO_COUNT],
                 const char *ret_why[SCENARIO_COUNT], bool ret_asked[SCENARIO_COUNT])
{
    for (unsigned i = 0; i < SCENARIO_COUNT; i++) {
        struct scenario *row = &ret_rows[i];

        *row = scenario_table[i];
        if (row->tenant) {
            ret_asked[i] = places_count(places, PLACE_VM) > 0;
            ret_why[i] = places_fill_vms(places, row);
        } else if (row->id[0] == '7') {
            ret_asked[i] = places_count(places, PLACE_HOST) > 0;
            ret_why[i] = places_fill_hosts(places, row);
        } else {
            ret_asked[i] = places_count(places, PLACE_EXTERNAL) > 0;
            ret_why[i] = places_fill_external(places, row);
        }
        if (ret_why[i])
            row->from = row->to = "";
    }
}

const struct resource *places_resource(const struct places *places, unsigned i)
{
    return &places->place[i].resource;
}

const char *places_show(const struct resource_there *there, char *ret, size_t size)
{
    const struct endpoint_text *at = &there->at;
    bool v6 = strchr(at->arg, ':') != NULL;
    char port[8] = "";

    if (at->port)
        snprintf(port, sizeof port, ":%u", at->port);
    switch (at->kind) {
    case ENDPOINT_SSH:
        snprintf(ret, size, "ssh://%s%s%s%s%s%s%s%s%s%s", at->user, at->user[0] ? "@" : "",
                 v6 ? "[" : "", at->arg, v6 ? "]" : "", port,
                 at->ifname[0]    ? "?if="
                 : at->address[0] ? "?addr="
                                  : "",
                 at->ifname, at->ifname[0] && at->address[0] ? "&addr=" : "", at->address);
        break;
    case ENDPOINT_EXEC:
        snprintf(ret, size, "exec:%s", at->arg);
        break;
    case ENDPOINT_NETNS:
        snprintf(ret, size, "netns:%s", at->arg);
        break;
    default:
        snprintf(ret, size, "local");
        break;
    }
    return ret;
}
