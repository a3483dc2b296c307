/* SPDX-License-Identifier: Apache-2.0 */
#include "host/parts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static unsigned address_prefix(const void *mask, size_t n)
{
    const uint8_t *byte = mask;
    unsigned bits = 0;

    for (size_t i = 0; i < n; i++)
        bits += (unsigned)__builtin_popcount(byte[i]);
    return bits;
}

/* "ADDRESS/PREFIX", or false for what nobody else can reach. */
static bool address_text(const struct ifaddrs *i, char *ret, size_t size)
{
    char text[INET6_ADDRSTRLEN];

    if (!(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK) || !i->ifa_addr ||
        !i->ifa_netmask)
        return false;
    if (i->ifa_addr->sa_family == AF_INET) {
        const struct sockaddr_in *a = (const void *)i->ifa_addr, *m = (const void *)i->ifa_netmask;

        inet_ntop(AF_INET, &a->sin_addr, text, sizeof text);
        snprintf(ret, size, "%s/%u", text, address_prefix(&m->sin_addr, sizeof m->sin_addr));
        return true;
    }
    if (i->ifa_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const void *)i->ifa_addr, *m = (const void *)i->ifa_netmask;

        if (IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr))
            return false;
        inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof text);
        snprintf(ret, size, "%s/%u", text, address_prefix(&m->sin6_addr, sizeof m->sin6_addr));
        return true;
    }
    return false;
}

/* One more of a list, "NAME=ADDRESS/PREFIX" with a name. Whole or not at all: half an address would be another machine's. */
static void address_add(char list[FACT_VALUE_SIZE], const char *address, const char *name)
{
    size_t used = strlen(list);

    if (used + strlen(address) + (name ? strlen(name) + 1 : 0) + 2 > FACT_VALUE_SIZE)
        return;
    if (used)
        list[used++] = ' ';
    if (name) {
        used += (size_t)(stpcpy(list + used, name) - (list + used));
        list[used++] = '=';
    }
    stpcpy(list + used, address);
}

void address_facts(struct facts *facts)
{
    char list[2][FACT_VALUE_SIZE] = {"", ""}, by_name[FACT_VALUE_SIZE] = "";
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0)
        return;
    for (struct ifaddrs *i = all; i; i = i->ifa_next) {
        char one[INET6_ADDRSTRLEN + 8];
        char *to;

        if (!address_text(i, one, sizeof one))
            continue;
        address_add(by_name, one, i->ifa_name);
        to = list[i->ifa_addr->sa_family == AF_INET6];
        address_add(to, one, NULL);
    }
    freeifaddrs(all);
    facts_put(facts, "addresses", list[0]);
    facts_put(facts, "addresses_v6", list[1]);
    facts_put(facts, "interface_addresses", by_name);
}

void address_step(const struct host_ask *ask, struct facts *facts)
{
    (void)ask;
    address_facts(facts);
}
