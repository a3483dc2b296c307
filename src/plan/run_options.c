/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/run_options.h"
#include "base/clock.h"
#include "base/text.h"

enum { RUN_TIME_S = 5, RUN_RR_BYTES = 64, RUN_NICE = -10 };

void run_options_default(struct run_options *options)
{
    *options = (struct run_options){
        .driver = "lab",
        .time_ns = (uint64_t)RUN_TIME_S * CLOCK_S,
        .protocols = {true, true, true},
        .tcp = {{65536}, 1},
        .udp = {{128, 1024, 8192}, 3},
        .icmp = {{56}, 1},
        .rr_bytes = RUN_RR_BYTES,
        .loss_target = 0.001,
        .n_flows = 1,
        .cc = "cubic",
        .port = FLOW_PORT,
        .port_last = FLOW_PORT_LAST,
        .nice = RUN_NICE,
    };
}

void run_options_quick(struct run_options *options) { options->time_ns = CLOCK_S; }

static int run_options_sizes(const struct run_options *o, enum flow_kind kind,
                             const struct run_sizes *sizes, const char *flag, struct err *err)
{
    for (uint32_t i = 0; i < sizes->n; i++) {
        struct flow_spec spec = {.kind = kind,
                                 .direction = FLOW_FORWARD,
                                 .n_flows = kind == FLOW_ICMP_ECHO ? 1 : o->n_flows,
                                 .payload_bytes = sizes->size[i],
                                 .connect_ns = CLOCK_S,
                                 .address = "127.0.0.1"};
        int r = flow_spec_check(&spec, err);

        if (r < 0)
            return err_wrap(err, r, "%s", flag);
    }
    return 0;
}

int run_options_check(const struct run_options *o, struct err *err)
{
    int r;

    if (o->time_ns < CLOCK_S / 10 || o->time_ns > 86400ULL * CLOCK_S)
        return err_say(err, "--time: a test lasts 0.1 s to 24 h");
    if ((r = run_options_sizes(o, FLOW_TCP_STREAM, &o->tcp, "--tcpbuf", err)) < 0 ||
        (r = run_options_sizes(o, FLOW_UDP_STREAM, &o->udp, "--udpbuf", err)) < 0 ||
        (r = run_options_sizes(o, FLOW_ICMP_ECHO, &o->icmp, "--icmp-sizes", err)) < 0)
        return r;
    if (o->rr_bytes < FLOW_UDP_HEADER)
        return err_say(err, "--rr-size: %u bytes are less than the %d of a UDP request's header",
                       o->rr_bytes, FLOW_UDP_HEADER);
    if (o->bandwidth_bps && o->bandwidth_bps / o->n_flows < 1000)
        return err_say(err, "--bandwidth: less than 1 kbit/s a flow");
    if (o->loss_target > 0.5)
        return err_say(err, "--loss: a target above 50 %% is no target");
    if (o->scenarios[0] && (r = scenario_check_patterns(o->scenarios, err)) < 0)
        return err_wrap(err, r, "--scenarios");
    return 0;
}
