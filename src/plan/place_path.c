/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/place_path.h"
#include "plan/peer_address.h"

#include <string.h>

int place_path_addresses(const struct place_path *path, struct end_info *ret_from,
                         struct end_info *ret_to, struct err *err)
{
    const struct endpoint_text *to = &path->to->there->at;
    const char *family = path->v6 ? "IPv6" : "IPv4";
    /* A VM may be connected to at its floating address, which is not what it has on its network. */
    bool own = path->to->kind == RESOURCE_VM;

    if (!path->client || !path->server)
        return err_say(err, "%s and %s have no agents", path->from->name, path->to->name);
    /* Who sends may leave it to his routes: told where it can be. */
    peer_address(&path->from->there->at, path->server, path->client, path->v6, true,
                 ret_from->address, sizeof ret_from->address);
    if (peer_address(to, path->client, path->server, path->v6, own, ret_to->address,
                     sizeof ret_to->address) == 0 ||
        path->floating)
        return 0;
    if (to->ifname[0])
        return err_say(err, "%s has no %s address on %s that its agent tells (addr= names one)",
                       path->to->name, family, to->ifname);
    return err_say(err, "%s has no %s address that its agent tells (addr= names one)",
                   path->to->name, family);
}

bool place_path_is_local(const struct resource *resource)
{
    enum endpoint_kind kind = resource->there->at.kind;

    return kind == ENDPOINT_LOCAL || kind == ENDPOINT_NETNS;
}

bool place_path_is_here(const struct resource *from, const struct resource *to)
{
    return place_path_is_local(from) && place_path_is_local(to);
}

bool place_path_same_machine(const struct resource *from, const struct resource *to)
{
    const struct endpoint_text *a = &from->there->at, *b = &to->there->at;

    return place_path_is_here(from, to) ||
           (a->kind == b->kind && a->port == b->port && strcmp(a->arg, b->arg) == 0);
}
