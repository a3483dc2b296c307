/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/run_options.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"

enum { RUN_TIME_S = 5, RUN_RR_BYTES = 64, RUN_NICE = -10, RUN_ECHO_GAP_MS = 1 };

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
        .loss_target = {0.001},
        .n_loss_targets = 1,
        .warmup_ns = UINT64_MAX,
        .n_flows = 1,
        .gso = 1,
        .cc = "cubic",
        .port = FLOW_PORT,
        .port_last = FLOW_PORT_LAST,
        .nice = RUN_NICE,
    };
}

void run_options_done(struct run_options *options)
{
    places_done(&options->places);
    fact_asks_done(&options->fact_asks);
}

void run_options_quick(struct run_options *options) { options->time_ns = CLOCK_S; }

struct flow_spec run_options_spec(const struct run_options *o, enum flow_kind kind,
                                  uint32_t payload_bytes)
{
    bool stream = !flow_kind_asks(kind), tcp = kind == FLOW_TCP_STREAM || kind == FLOW_TCP_RR;
    struct flow_spec spec = {.kind = kind,
                             .direction = FLOW_FORWARD,
                             .payload_bytes = payload_bytes,
                             .n_flows = stream && kind != FLOW_MULTICAST ? o->n_flows : 1,
                             .port = o->port,
                             .port_last = o->port_last,
                             .pin = o->pin,
                             .window_bytes = o->window_bytes,
                             .dscp = o->dscp,
                             .gso = 1};

    if (tcp) {
        if (o->tool != TOOL_NUTTCP || kind != FLOW_TCP_STREAM)
            text_copy(spec.cc, sizeof spec.cc, o->cc);
        spec.mss_bytes = o->mss_bytes;
    }
    if (kind == FLOW_TCP_STREAM) {
        spec.io = o->io;
        spec.nodelay = o->nodelay;
    }
    if (kind == FLOW_UDP_STREAM) {
        spec.imix = o->imix;
        spec.gso = o->imix ? 1 : o->gso;
    }
    if (kind == FLOW_ICMP_ECHO)
        spec.gap_ns = (uint64_t)RUN_ECHO_GAP_MS * CLOCK_MS;
    else
        spec.spin = !stream && o->spin;
    return spec;
}

static int run_options_sizes(const struct run_options *o, enum flow_kind kind,
                             const struct run_sizes *sizes, const char *flag, struct err *err)
{
    for (uint32_t i = 0; i < sizes->n; i++) {
        struct flow_spec spec = run_options_spec(o, kind, sizes->size[i]);
        int r;

        spec.connect_ns = CLOCK_S;
        text_copy(spec.address, sizeof spec.address,
                  kind != FLOW_MULTICAST ? "127.0.0.1"
                  : o->group[0]          ? o->group
                                         : scenario_group(o->ipv6));
        r = flow_spec_check(&spec, err);
        if (r < 0)
            return err_wrap(err, r, "%s", flag);
    }
    return 0;
}

/* What a tool measures instead of us, as far as a scenario may ask for it. */
static int run_options_check_tool(const struct run_options *o, struct err *err)
{
    static const enum flow_kind kinds[] = {FLOW_TCP_STREAM, FLOW_UDP_STREAM};
    int r = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(kinds) && r == 0; i++) {
        struct measure_ask ask = {
            .duration_ns = o->time_ns, .rate_bps = o->bandwidth_bps, .pin_server = o->pin_server};

        ask.spec = run_options_spec(o, kinds[i], 1024);
        if (o->protocols[i ? PROTOCOL_UDP : PROTOCOL_TCP])
            r = tool_check(o->tool, &ask, err);
    }
    return r;
}

int run_options_check(const struct run_options *o, struct err *err)
{
    const struct run_sizes mix = {{flow_imix_largest()}, 1};
    int r;

    if (o->time_ns < CLOCK_S / 10 || o->time_ns > 86400ULL * CLOCK_S)
        return err_say(err, "--time: a test lasts 0.1 s to 24 h");
    if ((r = run_options_sizes(o, FLOW_TCP_STREAM, &o->tcp, "--tcpbuf", err)) < 0 ||
        (r = run_options_sizes(o, FLOW_UDP_STREAM, o->imix ? &mix : &o->udp,
                               o->imix ? "--sizes" : "--udpbuf", err)) < 0 ||
        (r = run_options_sizes(o, FLOW_ICMP_ECHO, &o->icmp, "--icmp-sizes", err)) < 0 ||
        (o->protocols[PROTOCOL_MULTICAST] &&
         (r = run_options_sizes(o, FLOW_MULTICAST, &o->udp, "--group", err)) < 0))
        return r;
    if (o->rr_bytes < FLOW_UDP_HEADER)
        return err_say(err, "--rr-size: %u bytes are less than the %d of a UDP request's header",
                       o->rr_bytes, FLOW_UDP_HEADER);
    if (o->bandwidth_bps && o->bandwidth_bps / o->n_flows < 1000)
        return err_say(err, "--bandwidth: less than 1 kbit/s a flow");
    for (uint32_t i = 0; i < o->n_loss_targets; i++)
        if (o->loss_target[i] > 0.5)
            return err_say(err, "--loss: a target above 50 %% is no target");
    if (o->warmup_ns != UINT64_MAX && o->warmup_ns > 3600ULL * CLOCK_S)
        return err_say(err, "--warmup: more than an hour");
    if ((r = repeat_check(&o->repeat, err)) < 0)
        return r;
    if (o->tool && (r = run_options_check_tool(o, err)) < 0)
        return r;
    if (o->scenarios[0] && (r = scenario_check_patterns(o->scenarios, err)) < 0)
        return err_wrap(err, r, "--scenarios");
    return 0;
}
