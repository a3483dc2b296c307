/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/peer_address.h"
#include "deploy/remote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "ADDRESS/PREFIX" to bytes; false when it is none. */
static bool address_parse(const char *text, size_t len, int family, uint8_t ret_bytes[16],
                          unsigned *ret_prefix)
{
    char one[64], *slash;

    if (len >= sizeof one)
        return false;
    memcpy(one, text, len);
    one[len] = 0;
    slash = strchr(one, '/');
    if (!slash)
        return false;
    *slash = 0;
    *ret_prefix = (unsigned)strtoul(slash + 1, NULL, 10);
    return inet_pton(family, one, ret_bytes) == 1;
}

static bool address_same_net(const uint8_t *a, const uint8_t *b, unsigned prefix)
{
    for (unsigned bit = 0; bit < prefix; bit++)
        if ((a[bit / 8] ^ b[bit / 8]) & (0x80 >> bit % 8))
            return false;
    return true;
}

static bool address_in_list(const char *list, int family, const uint8_t *address)
{
    for (const char *p = list; p && *p;) {
        size_t len = strcspn(p, " ");
        uint8_t other[16];
        unsigned prefix = 0;

        if (address_parse(p, len, family, other, &prefix) &&
            address_same_net(address, other, prefix))
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

bool peer_address_pick(const char *from_list, const char *to_list, int family, char *ret,
                       size_t size)
{
    const char *best = NULL;

    for (const char *p = to_list; p && *p;) {
        size_t len = strcspn(p, " ");
        uint8_t address[16];
        unsigned prefix = 0;

        if (address_parse(p, len, family, address, &prefix)) {
            bool near = address_in_list(from_list, family, address);

            if (!best || near)
                best = p;
            if (near)
                break;
        }
        p += len + (p[len] == ' ');
    }
    if (best)
        snprintf(ret, size, "%.*s", (int)strcspn(best, "/"), best);
    return best;
}

/* The address of ?if=, as "NAME=ADDRESS/PREFIX" in the facts of its agent. */
static bool address_of_interface(const char *ifname, const struct peer *peer, int family, char *ret,
                                 size_t size)
{
    size_t n = strlen(ifname);

    for (const char *p = facts_get(&peer->facts, "interface_addresses"); p && *p;) {
        size_t len = strcspn(p, " ");
        uint8_t address[16];
        unsigned prefix;

        if (len > n && strncmp(p, ifname, n) == 0 && p[n] == '=' &&
            address_parse(p + n + 1, len - n - 1, family, address, &prefix)) {
            snprintf(ret, size, "%.*s", (int)strcspn(p + n + 1, "/"), p + n + 1);
            return true;
        }
        p += len + (p[len] == ' ');
    }
    return false;
}

static bool address_is_own(const char *list, int family, const uint8_t *address)
{
    for (const char *p = list; p && *p;) {
        size_t len = strcspn(p, " ");
        uint8_t other[16];
        unsigned prefix = 0;

        if (address_parse(p, len, family, other, &prefix) &&
            memcmp(other, address, family == AF_INET6 ? 16 : 4) == 0)
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

/* The address by which we are connected to a host: good for others too, unless it is this machine's own loop. */
static bool address_of_connection(const struct peer *peer, int family, bool own, const char *list,
                                  char *ret, size_t size)
{
    const char *address = remote_address(peer->spawned.remote);
    uint8_t bytes[16];

    if (inet_pton(family, address, bytes) != 1 || (family == AF_INET && bytes[0] == 127) ||
        strcmp(address, "::1") == 0 || (own && !address_is_own(list, family, bytes)))
        return false;
    return text_copy(ret, size, address);
}

int peer_address(const struct endpoint_text *at, const struct peer *from, const struct peer *to,
                 bool v6, bool own, char *ret, size_t size)
{
    const char *key = v6 ? "addresses_v6" : "addresses", *list = facts_get(&to->facts, key);
    int family = v6 ? AF_INET6 : AF_INET;
    bool found;

    if (at->address[0])
        found = text_copy(ret, size, at->address);
    else if (at->ifname[0])
        found = address_of_interface(at->ifname, to, family, ret, size);
    else
        found = address_of_connection(to, family, own, list, ret, size) ||
                peer_address_pick(facts_get(&from->facts, key), list, family, ret, size);
    return found ? 0 : -EHOSTUNREACH;
}
