/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of clients and servers ask for: small tests over loopback, with a deadline each. */
#pragma once

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "interop/foreign.h"
#include "traffic/endpoint.h"

#include <string.h>
#include <sys/eventfd.h>

static inline struct flow_spec small_spec(enum flow_peer peer, enum flow_kind kind,
                                          enum flow_direction direction, uint16_t port)
{
    struct flow_spec spec = {.kind = kind,
                             .role = FLOW_CLIENT,
                             .direction = direction,
                             .n_flows = 1,
                             .payload_bytes = kind == FLOW_UDP_STREAM ? 1000 : 8192,
                             .port = port,
                             .connect_ns = 60 * (uint64_t)CLOCK_S, /* nobody is that busy */
                             .peer = peer,
                             .address = "127.0.0.1"};

    return spec;
}

static inline struct flow_trial small_trial(void)
{
    struct flow_trial trial = {.number = 1, .duration_ns = 200 * CLOCK_MS, .rate_bps = 8000000};

    return trial;
}

/* A port of loopback that nobody has at this moment, for TCP and for UDP. */
static inline uint16_t free_port(void)
{
    struct flow_spec any = {.role = FLOW_SERVER, .address = "127.0.0.1"};
    uint16_t port = 0, same = 0;

    for (int i = 0; i < 50 && port == 0; i++) {
        AUTO(close_p) int tcp = socket_bind_range(&any, SOCK_STREAM, &port, NULL);
        struct flow_spec that = any;
        AUTO(close_p) int udp = -1;

        (void)tcp; /* held until UDP has it too */
        that.port = port;
        udp = socket_bind_range(&that, SOCK_DGRAM, &same, NULL);
        if (udp < 0)
            port = 0;
    }
    return port;
}
