/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ports.h"

#include <errno.h>
#include <stdio.h>

int ports_choose(uint16_t first, uint16_t last, ports_try_fn *try, void *arg)
{
    /* Wider than a port: behind 65535 comes none, not 0. */
    uint32_t end = last > first ? last : first;
    int r = -EADDRINUSE;

    for (uint32_t port = first; port <= end && r == -EADDRINUSE; port++)
        r = try(arg, (uint16_t)port);
    return r;
}

void ports_say(uint16_t first, uint16_t last, char ret[PORTS_TEXT_SIZE])
{
    if (last > first)
        snprintf(ret, PORTS_TEXT_SIZE, "ports %u to %u", first, last);
    else
        snprintf(ret, PORTS_TEXT_SIZE, "port %u", first);
}

enum ports_protocol ports_of(enum flow_kind kind)
{
    static const enum ports_protocol of[FLOW_KIND_COUNT] = {
        [FLOW_TCP_STREAM] = PORTS_TCP, [FLOW_UDP_STREAM] = PORTS_UDP, [FLOW_ICMP_ECHO] = PORTS_NONE,
        [FLOW_TCP_RR] = PORTS_TCP,     [FLOW_UDP_RR] = PORTS_UDP,     [FLOW_TCP_CRR] = PORTS_TCP,
        [FLOW_STAMP] = PORTS_UDP,      [FLOW_MULTICAST] = PORTS_NONE};

    return of[kind];
}
