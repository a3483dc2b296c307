/* SPDX-License-Identifier: Apache-2.0 */
#include "model/flow_spec.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

const char *const flow_kind_name[FLOW_KIND_COUNT] = {
    "tcp_stream", "udp_stream", "icmp_echo", "tcp_rr", "udp_rr", "tcp_crr", "stamp", "multicast"};
const char *const flow_io_name[FLOW_IO_COUNT] = {"app", "lean"};
const char *const flow_peer_name[FLOW_PEER_COUNT] = {"agent", "iperf3", "iperf2", "stamp"};
const uint16_t flow_imix[FLOW_IMIX_ROUND] = {32, 548, 32, 32, 548, 32, 1472, 32, 548, 32, 548, 32};

uint32_t flow_imix_largest(void)
{
    uint32_t largest = 0;

    for (int i = 0; i < FLOW_IMIX_ROUND; i++)
        largest = flow_imix[i] > largest ? flow_imix[i] : largest;
    return largest;
}

double flow_spec_mean_payload(const struct flow_spec *spec)
{
    double sum = 0;

    for (int i = 0; i < FLOW_IMIX_ROUND; i++)
        sum += flow_imix[i];
    return spec->imix ? sum / FLOW_IMIX_ROUND : spec->payload_bytes;
}

int flow_kind_find(const char *name)
{
    for (int k = 0; k < FLOW_KIND_COUNT; k++)
        if (strcmp(flow_kind_name[k], name) == 0)
            return k;
    return -ENOENT;
}

bool flow_kind_asks(enum flow_kind kind)
{
    return kind != FLOW_TCP_STREAM && kind != FLOW_UDP_STREAM && kind != FLOW_MULTICAST;
}

static const struct {
    uint32_t min, max, max_flows;
    bool reverse;
} flow_bounds[FLOW_KIND_COUNT] = {
    [FLOW_TCP_STREAM] = {1, FLOW_MAX_WRITE, FLOW_MAX_FLOWS, true},
    [FLOW_UDP_STREAM] = {FLOW_UDP_HEADER, FLOW_MAX_DATAGRAM, FLOW_MAX_FLOWS, true},
    [FLOW_ICMP_ECHO] = {0, FLOW_MAX_DATAGRAM, 1, false},
    [FLOW_TCP_RR] = {1, FLOW_MAX_RR, FLOW_MAX_FLOWS, false},
    [FLOW_UDP_RR] = {FLOW_UDP_HEADER, FLOW_MAX_DATAGRAM, FLOW_MAX_FLOWS, false},
    [FLOW_TCP_CRR] = {1, FLOW_MAX_RR, FLOW_MAX_FLOWS, false},
    [FLOW_STAMP] = {FLOW_STAMP_BYTES, FLOW_MAX_DATAGRAM, FLOW_MAX_FLOWS, false},
    [FLOW_MULTICAST] = {FLOW_UDP_HEADER, FLOW_MAX_DATAGRAM, 1, false},
};

/* Options that only some kinds have, and their bounds. */
static int flow_spec_check_options(const struct flow_spec *spec, const char *name, struct err *err)
{
    bool tcp =
        spec->kind == FLOW_TCP_STREAM || spec->kind == FLOW_TCP_RR || spec->kind == FLOW_TCP_CRR;
    bool stream = spec->kind == FLOW_TCP_STREAM || spec->kind == FLOW_UDP_STREAM;
    bool udp = spec->kind == FLOW_UDP_STREAM || spec->kind == FLOW_MULTICAST;

    if ((int)spec->io < 0 || spec->io >= FLOW_IO_COUNT ||
        (spec->io != FLOW_IO_APP && spec->kind != FLOW_TCP_STREAM))
        return err_say(err, "%s: lean io is of TCP streams", name);
    if ((int)spec->peer < 0 || spec->peer >= FLOW_PEER_COUNT)
        return err_say(err, "peer %d is unknown", (int)spec->peer);
    if ((spec->peer == FLOW_PEER_STAMP && spec->kind != FLOW_STAMP) ||
        ((spec->peer == FLOW_PEER_IPERF3 || spec->peer == FLOW_PEER_IPERF2) && !stream))
        return err_say(err, "%s: not with %s at the other end", name, flow_peer_name[spec->peer]);
    if (spec->mss_bytes && (!tcp || spec->mss_bytes < 88 || spec->mss_bytes > 32767))
        return err_say(err, "%s: an MSS is 88 to 32767 bytes, and of TCP", name);
    if (spec->window_bytes > FLOW_MAX_WINDOW)
        return err_say(err, "%s: a window is at most 1 GiB", name);
    if (spec->dscp > 63)
        return err_say(err, "%s: a DSCP is 0 to 63", name);
    if (spec->gso > FLOW_MAX_GSO || (spec->gso > 1 && !udp))
        return err_say(err, "%s: segments of one call are 1 to %d, and of UDP", name, FLOW_MAX_GSO);
    if (spec->gso > 1 && (spec->imix || spec->gso * spec->payload_bytes > FLOW_MAX_DATAGRAM))
        return err_say(err, "%s: %u segments of %u bytes do not fit into one call of %d", name,
                       spec->gso, spec->payload_bytes, FLOW_MAX_DATAGRAM);
    if (spec->ttl > 255)
        return err_say(err, "%s: hops are 1 to 255", name);
    if (spec->imix && spec->kind != FLOW_UDP_STREAM)
        return err_say(err, "%s: the mix of sizes is of UDP streams", name);
    return 0;
}

/* 224.0.0.0/4 or ff00::/8, RFC 5771 and RFC 4291 section 2.7. */
static bool flow_spec_is_group(const char *address)
{
    unsigned char bytes[16];

    if (inet_pton(AF_INET, address, bytes) == 1)
        return bytes[0] >> 4 == 14;
    return inet_pton(AF_INET6, address, bytes) == 1 && bytes[0] == 0xff;
}

int flow_spec_check(const struct flow_spec *spec, struct err *err)
{
    const char *name;
    int r;

    if ((int)spec->kind < 0 || spec->kind >= FLOW_KIND_COUNT)
        return err_say(err, "kind of traffic %d is unknown", (int)spec->kind);
    name = flow_kind_name[spec->kind];
    if (spec->payload_bytes < flow_bounds[spec->kind].min ||
        spec->payload_bytes > flow_bounds[spec->kind].max)
        return err_say(err, "%s: a payload of %u bytes is not between %u and %u", name,
                       spec->payload_bytes, flow_bounds[spec->kind].min,
                       flow_bounds[spec->kind].max);
    if (spec->n_flows < 1 || spec->n_flows > flow_bounds[spec->kind].max_flows)
        return err_say(err, "%s: %u flows are not between 1 and %u", name, spec->n_flows,
                       flow_bounds[spec->kind].max_flows);
    if (spec->direction < FLOW_FORWARD || spec->direction > FLOW_BOTH ||
        (spec->direction != FLOW_FORWARD && !flow_bounds[spec->kind].reverse))
        return err_say(err, "%s: direction %d is not possible", name, (int)spec->direction);
    if (spec->port_last && spec->port_last < spec->port)
        return err_say(err, "ports %u to %u are none", spec->port, spec->port_last);
    if (spec->connect_ns < 1000000 || spec->connect_ns > 600000000000)
        return err_say(err, "%s: opening may take 1 ms to 10 min", name);
    r = flow_spec_check_options(spec, name, err);
    if (r == 0)
        r = text_address(spec->address, err);
    if (r < 0)
        return r;
    if (spec->kind == FLOW_MULTICAST && !flow_spec_is_group(spec->address))
        return err_say(err,
                       "%s: %s is no group; groups are 224.0.0.0 to 239.255.255.255 and ff00::/8",
                       name, spec->address);
    return 0;
}

int flow_trial_check(const struct flow_spec *spec, const struct flow_trial *trial, struct err *err)
{
    const uint64_t day_ns = 86400000000000;

    if (trial->duration_ns < 1000000 || trial->duration_ns > day_ns)
        return err_say(err, "a test lasts 1 ms to 24 h");
    if (trial->warmup_ns > day_ns || trial->tail_ns > 60000000000)
        return err_say(err, "warm-up is at most 24 h, the tail 60 s");
    if (trial->interval_ns && trial->duration_ns / trial->interval_ns > FLOW_MAX_INTERVALS)
        return err_say(err, "more than %d intervals", FLOW_MAX_INTERVALS);
    if (trial->interval_ns && trial->interval_ns < 1000000)
        return err_say(err, "an interval is at least 1 ms");
    if ((spec->kind == FLOW_UDP_STREAM || spec->kind == FLOW_MULTICAST) && trial->rate_bps &&
        (double)trial->rate_bps / spec->n_flows * ((double)trial->duration_ns / 1e9) <
            8.0 * spec->payload_bytes)
        return err_say(err, "a rate of %llu bit/s sends no datagram of %u bytes in %.3g s",
                       (unsigned long long)trial->rate_bps, spec->payload_bytes,
                       (double)trial->duration_ns / 1e9);
    return 0;
}
