/* SPDX-License-Identifier: Apache-2.0 */
#include "interop/foreign.h"
#include "interop/iperf3_message.h"

#include <errno.h>

int foreign_check(const struct flow_spec *spec, struct err *err)
{
    const char *name = flow_peer_name[spec->peer];
    int r = flow_spec_check(spec, err);

    if (r < 0)
        return r;
    if (spec->role != FLOW_CLIENT)
        return err_say(err, "%s: the other program is the server", name);
    if (spec->port == 0)
        return err_say(err, "%s: its port is not said", name);
    if (spec->kind != FLOW_TCP_STREAM && spec->kind != FLOW_UDP_STREAM)
        return err_say(err, "%s does TCP and UDP streams, not %s", name,
                       flow_kind_name[spec->kind]);
    if (spec->imix || spec->gso > 1)
        return err_say(err, "%s does one size of datagrams, each by itself", name);
    if (spec->peer == FLOW_PEER_IPERF2 && spec->direction != FLOW_FORWARD)
        return err_say(err, "%s takes traffic towards itself only: no --reverse, no --bidir", name);
    if (spec->peer == FLOW_PEER_IPERF3 && spec->n_flows > IPERF3_MAX_PARALLEL)
        return err_say(err, "%s takes at most %d flows", name, IPERF3_MAX_PARALLEL);
    if (spec->peer == FLOW_PEER_IPERF3 && spec->kind == FLOW_TCP_STREAM &&
        spec->payload_bytes > 1 << 20)
        return err_say(err, "%s takes writes of at most 1 MiB", name);
    return 0;
}

int foreign_run(const struct flow_spec *spec, const struct flow_trial *trial, int stop_fd,
                engine_interval_fn *on_interval, void *arg,
                struct flow_result ret_result[FLOW_PART_COUNT], bool ret_has[FLOW_PART_COUNT],
                struct err *err)
{
    int r = foreign_check(spec, err);

    for (int part = 0; part < FLOW_PART_COUNT; part++)
        ret_has[part] = false;
    if (r == 0)
        r = flow_trial_check(spec, trial, err);
    if (r < 0)
        return r;
    r = spec->peer == FLOW_PEER_IPERF3
            ? iperf3_client_run(spec, trial, stop_fd, on_interval, arg, ret_result, ret_has, err)
        : spec->peer == FLOW_PEER_IPERF2
            ? iperf2_client_run(spec, trial, stop_fd, on_interval, arg, ret_result, ret_has, err)
            : err_set(err, EPROTONOSUPPORT, "a peer of the kind %s", flow_peer_name[spec->peer]);
    return r < 0 && r != -ECANCELED
               ? err_wrap(err, r, "%s server %s port %u", flow_peer_name[spec->peer], spec->address,
                          spec->port)
               : r;
}
