/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/stamp.h"
#include "traffic/udp_open.h"
#include "traffic/udp_stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

/* UDP stream: datagrams at a given rate, or as fast as it goes, counted at the receiver. */

int udp_set_up(struct flow *flow, const struct flow_spec *spec, struct err *err)
{
    const int fragment = IP_PMTUDISC_DONT, fragment6 = IPV6_PMTUDISC_DONT;
    int domain = AF_INET, r;

    getsockopt(flow->fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
    /* A window that was asked for is in force already. */
    if (flow->sends && !spec->window_bytes)
        socket_send_buffer(flow->fd, UDP_SEND_BUFFER);
    if (!flow->sends) {
        if (!spec->window_bytes)
            socket_receive_buffer(flow->fd, UDP_RECEIVE_BUFFER);
        r = stamp_enable(flow->fd);
        if (r < 0)
            return err_set(err, r, "asking for receive stamps");
    }
    /*
     * Larger than the path takes in one piece: let the kernel, and routers, fragment. Always, since a router may tell in the
     * middle of a test that its next link takes less. A socket of IPv6 may carry IPv4 and has both options.
     */
    setsockopt(flow->fd, IPPROTO_IP, IP_MTU_DISCOVER, &fragment, sizeof fragment);
    if (domain == AF_INET6)
        setsockopt(flow->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &fragment6, sizeof fragment6);
    return 0;
}

static int udp_set_up_all(struct engine *engine, struct err *err)
{
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        struct flow *flow = &engine->flows[i];
        int r = flow->fd < 0 ? 0 : udp_set_up(flow, &engine->spec, err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int udp_stream_open(struct engine *engine, struct err *err)
{
    int r = udp_open(engine, err);

    return r < 0 ? r : udp_set_up_all(engine, err);
}

static int udp_stream_accept(struct engine *engine, struct err *err)
{
    int r = udp_accept(engine, err);

    return r < 0 ? r : udp_set_up_all(engine, err);
}

const struct endpoint_ops endpoint_udp = {
    .kind = FLOW_UDP_STREAM,
    .open = udp_stream_open,
    .accept = udp_stream_accept,
    .ask = udp_send_run,
    .answer = udp_receive_run,
};
