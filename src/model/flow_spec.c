/* SPDX-License-Identifier: Apache-2.0 */
#include "model/flow_spec.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

const char *const flow_kind_name[FLOW_KIND_COUNT] = {"tcp_stream", "udp_stream", "icmp_echo",
                                                     "tcp_rr", "udp_rr"};

int flow_kind_find(const char *name)
{
    for (int k = 0; k < FLOW_KIND_COUNT; k++)
        if (strcmp(flow_kind_name[k], name) == 0)
            return k;
    return -ENOENT;
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
};

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
    r = text_address(spec->address, err);
    return r < 0 ? r : 0;
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
    if (spec->kind == FLOW_UDP_STREAM && trial->rate_bps &&
        (double)trial->rate_bps / spec->n_flows * ((double)trial->duration_ns / 1e9) <
            8.0 * spec->payload_bytes)
        return err_say(err, "a rate of %llu bit/s sends no datagram of %u bytes in %.3g s",
                       (unsigned long long)trial->rate_bps, spec->payload_bytes,
                       (double)trial->duration_ns / 1e9);
    return 0;
}
