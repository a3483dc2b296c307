/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/test_flags.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "plan/under_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int test_sizes(struct run_sizes *sizes, const char *value, struct err *err)
{
    int n = text_sizes(value, sizes->size, RUN_MAX_SIZES, err);

    if (n > 0)
        sizes->n = (uint32_t)n;
    return n < 0 ? n : 0;
}

static int test_set_tcpbuf(void *target, const char *value, struct err *err)
{
    return test_sizes(&((struct test_flags *)target)->tcp_sizes, value, err);
}

static int test_set_udpbuf(void *target, const char *value, struct err *err)
{
    return test_sizes(&((struct test_flags *)target)->udp_sizes, value, err);
}

/* "imix", or sizes of UDP. */
static int test_set_mix(void *target, const char *value, struct err *err)
{
    struct test_flags *f = target;

    f->imix = strcmp(value, "imix") == 0;
    return f->imix ? 0 : test_sizes(&f->udp_sizes, value, err);
}

static int test_set_io(void *target, const char *value, struct err *err)
{
    return options_io(value, &((struct test_flags *)target)->io, err);
}

static int test_set_cpu(void *target, const char *value, struct err *err)
{
    struct test_flags *f = target;

    return options_cpu(value, &f->pin, &f->pin_server, err);
}

static int test_set_loss(void *target, const char *value, struct err *err)
{
    struct test_flags *f = target;
    int n = options_shares(value, f->loss_target, MEASURE_MAX_TARGETS, err);

    f->loss_set = true;
    if (n > 0)
        f->n_loss_targets = (uint32_t)n;
    return n < 0 ? n : 0;
}

static int test_set_gso(void *target, const char *value, struct err *err)
{
    return options_gso(value, &((struct test_flags *)target)->gso, err);
}

static int test_set_warmup(void *target, const char *value, struct err *err)
{
    struct test_flags *f = target;

    return options_warmup(value, &f->warmup_ns, &f->warmup_find, err);
}

static int test_set_window(void *target, const char *value, struct err *err)
{
    return options_window(value, &((struct test_flags *)target)->window_bytes, err);
}

static int test_set_seed(void *target, const char *value, struct err *err)
{
    return options_seed(value, &((struct test_flags *)target)->pair.repeat, err);
}

static int test_set_gap(void *target, const char *value, struct err *err)
{
    struct test_flags *f = target;

    f->gap_set = true;
    return text_time(value, &f->gap_ns, err);
}

static int test_set_tool(void *target, const char *value, struct err *err)
{
    return tool_find(value, &((struct test_flags *)target)->pair.tool, err);
}

static int test_set_group(void *target, const char *value, struct err *err)
{
    struct test_flags *f = target;
    int r = text_address(value, err);

    if (r < 0)
        return r;
    f->multicast = true;
    text_copy(f->pair.group, sizeof f->pair.group, value);
    return 0;
}

static int test_set_icmp(void *target, const char *value, struct err *err)
{
    return test_sizes(&((struct test_flags *)target)->icmp_sizes, value, err);
}

static int test_set_port(void *target, const char *value, struct err *err)
{
    struct test_flags *f = target;

    return options_port(value, &f->port, &f->port_last, err);
}

static int test_set_nice(void *target, const char *value, struct err *err)
{
    return options_nice(value, &((struct test_flags *)target)->pair.nice, err);
}

static int test_set_address(void *target, const char *value, struct err *err)
{
    struct test_flags *f = target;
    int r = text_address(value, err);

    if (r < 0)
        return r;
    text_copy(f->pair.address, sizeof f->pair.address, value);
    return 0;
}

static int test_set_monitor(void *target, const char *value, struct err *err)
{
    return options_monitor(value, &((struct test_flags *)target)->pair.cpu, err);
}

static int test_set_host_keys(void *target, const char *value, struct err *err)
{
    struct pair_options *pair = &((struct test_flags *)target)->pair;

    return options_host_keys(value, &pair->host_keys, pair->known_hosts, sizeof pair->known_hosts,
                             err);
}

#define AT(member) offsetof(struct test_flags, member)
#define FLAG(member) OPTION_FLAG, AT(member), 0, 0, 0, NULL, NULL
#define TEXT(member)                                                                               \
    OPTION_TEXT, AT(member), sizeof(((struct test_flags *)0)->member), 1, 0, NULL, NULL
#define MAYBE_EMPTY(member)                                                                        \
    OPTION_TEXT, AT(member), sizeof(((struct test_flags *)0)->member), 0, 0, NULL, NULL
#define TIME(member) OPTION_TIME, AT(member), 0, 0, 0, NULL, NULL
#define CALL(function) OPTION_CALL, 0, 0, 0, 0, function, NULL

const struct option_row test_flags_rows[] = {
    {"tcp", 0, NULL, "TCP stream (the default)", FLAG(tcp)},
    {"udp", 'u', NULL,
     "UDP stream, at --bandwidth or at the highest rate that --loss allows (to an iperf server: as "
     "fast as it goes)",
     FLAG(udp)},
    {"icmp", 0, NULL, "ICMP echo", FLAG(icmp)},
    {"rr", 0, NULL, "TCP request/response", FLAG(rr)},
    {"udp-rr", 0, NULL, "UDP request/response", FLAG(udp_rr)},
    {"crr", 0, NULL, "TCP connect, request, response, close", FLAG(crr)},
    {"stamp", 0, NULL, "two-way and one-way delay by STAMP packets (RFC 8762)", FLAG(stamp)},
    {"multicast", 0, NULL,
     "UDP stream to a group at --bandwidth (10M): FROM sends, TO and all after it receive",
     FLAG(multicast)},
    {"group", 0, "ADDR", "of --multicast (231.1.1.1; with --ipv6 ff05::231:1)",
     CALL(test_set_group)},
    {"under-load", 0, NULL,
     "delay idle, and beside a stream to TO, from TO and both: four times --time; the probe is "
     "STAMP, "
     "--rr or --udp-rr, the stream TCP or --udp",
     FLAG(under_load)},
    {"tp-tool", 0, "NAME",
     "nuttcp or iperf, installed at both ends, measures --tcp or --udp instead of us", OPTION_CALL,
     0, 0, 0, 0, test_set_tool, "nuttcp iperf"},
    {"time", 't', "SEC", "how long each test takes (5)", TIME(time_ns)},
    {"quick", 0, NULL, "tests of 1 s", FLAG(quick)},
    {"warmup", 0, "SEC",
     "before counting begins (a fifth of the time, at most 1 s); auto: TCP streams until the rate "
     "rises no longer",
     OPTION_CALL, 0, 0, 0, 0, test_set_warmup, "auto"},
    {"interval", 'i', "SEC", "of the series (1 s; a tenth of short tests)", TIME(interval_ns)},
    {"flows", 'P', "N", "parallel flows of streams (1)", OPTION_COUNT, AT(n_flows), 0, 1,
     FLOW_MAX_FLOWS, NULL, NULL},
    {"reverse", 'R', NULL, "payload goes from TO to FROM", FLAG(reverse)},
    {"bidir", 0, NULL, "both ways at once", FLAG(bidir)},
    {"bandwidth", 'b', "RATE", "payload rate, 100M, of each direction", OPTION_RATE,
     AT(bandwidth_bps), 0, 0, 0, NULL, NULL},
    {"loss", 0, "LIST",
     "loss targets of the UDP rate search, smallest first: 0,0.1%,3% (0.1%; 5% is like VMTP)",
     CALL(test_set_loss)},
    {"tcpbuf", 0, "LIST", "bytes of a TCP write (131072)", CALL(test_set_tcpbuf)},
    {"udpbuf", 0, "LIST", "bytes of a UDP datagram's payload (1400)", CALL(test_set_udpbuf)},
    {"sizes", 0, "LIST", "imix: the simple Internet mix, else as --udpbuf", CALL(test_set_mix)},
    {"icmp-sizes", 0, "LIST", "bytes of an echo request's payload (56)", CALL(test_set_icmp)},
    {"icmp-gap", 0, "SEC", "from one echo request to the next (1ms; 0: when the answer is here)",
     TIME(icmp_gap_ns)},
    {"gap", 0, "SEC",
     "requests of RR, CRR and STAMP leave on a schedule, so far apart (0: when the answer is here; "
     "STAMP 1ms)",
     CALL(test_set_gap)},
    {"rr-size", 0, "BYTES", "bytes of a request and of its answer (64)", OPTION_COUNT, AT(rr_bytes),
     0, 1, 65507, NULL, NULL},
    OPTIONS_REPEAT_ROWS(AT(pair.repeat), test_set_seed),
    {"spin", 0, NULL, "both ends of RR and STAMP wait spinning, not asleep", FLAG(spin)},
    {"io", 0, "HOW",
     "TCP streams: app copies as an application does, lean leaves the copies out, one flow within "
     "a "
     "machine on one CPU (app)",
     OPTION_CALL, 0, 0, 0, 0, test_set_io, "app lean"},
    {"gso", 0, "N", "UDP datagrams of one send call as one: 1, N, auto (1)", OPTION_CALL, 0, 0, 0,
     0, test_set_gso, "1 auto"},
    {"cpu", 0, "HOW", "same: a flow's two ends on one CPU; spread: on two; N,M: FROM's, TO's",
     OPTION_CALL, 0, 0, 0, 0, test_set_cpu, "same spread"},
    {"cc", 0, "NAME", "TCP congestion control (the endpoint's own)", TEXT(cc)},
    {"mss", 'M', "BYTES", "TCP maximum segment size (the path's)", OPTION_COUNT, AT(mss_bytes), 0,
     88, 32767, NULL, NULL},
    {"window", 'w', "BYTES", "socket buffers of both ends (TCP autotunes, UDP takes the largest)",
     CALL(test_set_window)},
    {"dscp", 0, "N", "DSCP of every packet, 0 to 63", OPTION_COUNT, AT(dscp), 0, 0, 63, NULL, NULL},
    {"nodelay", 'N', NULL, "TCP_NODELAY on streams", FLAG(nodelay)},
    {"bind", 'B', "ADDR|IF", "FROM's own address, or the interface it sends by", TEXT(bind)},
    {"port", 0, "A[-B]", "data ports of TO, of which the first free one is taken (5001-5031)",
     CALL(test_set_port)},
    {"no-preflight", 0, NULL, "do not try before the tests whether FROM reaches the ports",
     FLAG(pair.no_preflight)},
    {"address", 0, "ADDR", "of TO, as FROM reaches it (found out)", CALL(test_set_address)},
    {"ipv6", '6', NULL, "use the IPv6 address", FLAG(pair.ipv6)},
    {"agent", 0, "PATH",
     "the agent program, as the endpoints know it; to ssh:// hosts it is copied", TEXT(pair.agent)},
    OPTIONS_SSH_ROWS(struct pair_options, AT(pair), test_set_host_keys),
    OPTIONS_MONITOR_ROW(test_set_monitor),
    {"nice", 0, "N", "priority of the agents, -20 to 19, where it is allowed (as they are)",
     CALL(test_set_nice)},
    {"test-description", 0, "TEXT", "kept with the result", MAYBE_EMPTY(description)},
    {"no-save", 0, NULL, "do not keep the result", FLAG(no_save)},
    SETTINGS_ROWS,
    OUTPUT_ROWS,
    {0},
};

/* Who answers at an endpoint. */
static enum flow_peer test_peer(enum endpoint_kind kind)
{
    return kind == ENDPOINT_IPERF3   ? FLOW_PEER_IPERF3
           : kind == ENDPOINT_IPERF2 ? FLOW_PEER_IPERF2
           : kind == ENDPOINT_STAMP  ? FLOW_PEER_STAMP
                                     : FLOW_PEER_AGENT;
}

/* Where the flags are about the flow itself. */
static struct flow_spec test_spec(const struct test_flags *f, enum flow_kind kind, uint32_t payload)
{
    struct flow_spec spec = {.kind = kind,
                             .direction = FLOW_FORWARD,
                             .payload_bytes = payload,
                             .n_flows = 1,
                             .port = f->port,
                             .port_last = f->port_last,
                             .window_bytes = f->window_bytes,
                             .dscp = f->dscp,
                             .pin = f->pin,
                             .gso = 1};
    bool tcp = kind == FLOW_TCP_STREAM || kind == FLOW_TCP_RR || kind == FLOW_TCP_CRR;

    text_copy(spec.bind, sizeof spec.bind,
              f->bind[0]                ? f->bind
              : f->pair.from.address[0] ? f->pair.from.address
                                        : f->pair.from.ifname);
    if (text_endpoint_foreign(&f->pair.to)) {
        spec.peer = test_peer(f->pair.to.kind);
        spec.port = f->pair.to.port;
        spec.port_last = 0;
    }
    if (!flow_kind_asks(kind) && kind != FLOW_MULTICAST)
        spec.direction = f->bidir ? FLOW_BOTH : f->reverse ? FLOW_REVERSE : FLOW_FORWARD;
    if (kind != FLOW_ICMP_ECHO && kind != FLOW_MULTICAST)
        spec.n_flows = f->n_flows;
    if (tcp) {
        text_copy(spec.cc, sizeof spec.cc, f->cc);
        spec.mss_bytes = f->mss_bytes;
    }
    if (kind == FLOW_TCP_STREAM) {
        spec.io = f->io;
        spec.nodelay = f->nodelay;
    }
    if (kind == FLOW_UDP_STREAM) {
        spec.imix = f->imix;
        spec.gso = f->imix ? 1 : f->gso;
    }
    if (flow_kind_asks(kind)) {
        spec.gap_ns = kind == FLOW_ICMP_ECHO ? f->icmp_gap_ns : f->gap_ns;
        if (kind == FLOW_STAMP && !f->gap_set)
            spec.gap_ns = CLOCK_MS;
        spec.spin = f->spin && kind != FLOW_ICMP_ECHO;
    }
    return spec;
}

/* Other programs' servers leave out whole seconds only. */
static uint64_t test_warmup(const struct test_flags *f, enum flow_kind kind)
{
    uint64_t ns = f->warmup_ns != UINT64_MAX ? f->warmup_ns : measure_warmup(kind, f->time_ns);

    return f->warmup_ns == UINT64_MAX && text_endpoint_foreign(&f->pair.to) ? ns - ns % CLOCK_S
                                                                            : ns;
}

static int test_add(struct test_flags *f, enum flow_kind kind, uint32_t payload, struct err *err)
{
    bool stream = !flow_kind_asks(kind);
    struct measure_ask *ask = &f->pair.asks[f->pair.n_asks];
    struct flow_spec spec;
    struct flow_trial trial;
    int r;

    if (f->pair.n_asks == PAIR_MAX_ASKS)
        return err_say(err, "more than %d tests at once", PAIR_MAX_ASKS);
    *ask =
        (struct measure_ask){.spec = test_spec(f, kind, payload),
                             .pin_server = f->pin_server,
                             .rate_bps = stream ? f->bandwidth_bps : 0,
                             .duration_ns = f->time_ns,
                             .warmup_ns = test_warmup(f, kind),
                             .warmup_find = f->warmup_find,
                             .interval_ns = f->interval_ns                        ? f->interval_ns
                                            : f->time_ns >= 2 * (uint64_t)CLOCK_S ? CLOCK_S
                                                                                  : f->time_ns / 10,
                             .search = kind == FLOW_UDP_STREAM && !f->bandwidth_bps &&
                                       !text_endpoint_foreign(&f->pair.to),
                             .n_loss_targets = f->n_loss_targets};
    memcpy(ask->loss_target, f->loss_target, sizeof ask->loss_target);
    if (ask->interval_ns > ask->duration_ns)
        ask->interval_ns = ask->duration_ns;
    if (ask->search && ask->spec.direction == FLOW_BOTH)
        return err_say(err, "--udp --bidir needs --bandwidth: a search goes one way at a time");
    if (kind == FLOW_MULTICAST && !f->bandwidth_bps)
        ask->rate_bps = MEASURE_MULTICAST_BPS;
    spec = ask->spec;
    spec.connect_ns = CLOCK_S;
    text_copy(spec.address, sizeof spec.address,
              kind == FLOW_MULTICAST ? f->pair.group : "127.0.0.1");
    trial = (struct flow_trial){.duration_ns = ask->duration_ns,
                                .warmup_ns = ask->warmup_ns,
                                .interval_ns = ask->interval_ns,
                                .rate_bps = ask->rate_bps};
    r = flow_spec_check(&spec, err);
    if (r == 0)
        r = flow_trial_check(&spec, &trial, err);
    if (r == 0)
        f->pair.n_asks++;
    return r;
}

static int test_add_sizes(struct test_flags *f, enum flow_kind kind, const struct run_sizes *sizes,
                          struct err *err)
{
    int r = 0;

    for (uint32_t i = 0; i < sizes->n && r == 0; i++)
        r = test_add(f, kind, sizes->size[i], err);
    return r;
}

/* A probe and a stream instead of the asks one after the other. */
static int test_asks_under_load(struct test_flags *f, struct err *err)
{
    const struct run_sizes *sizes = f->udp ? &f->udp_sizes : &f->tcp_sizes;
    struct measure_ask *asks = f->pair.asks;
    int r;

    if (f->icmp || f->crr || f->multicast || (f->rr + f->udp_rr + f->stamp) > 1 ||
        (f->tcp && f->udp))
        return err_say(err, "--under-load takes one probe (--stamp, --rr or --udp-rr) and one "
                            "stream (--tcp or --udp)");
    if (f->bidir || f->reverse)
        return err_say(err, "--under-load loads either way by itself: no --bidir or --reverse");
    if (f->udp && !f->bandwidth_bps)
        return err_say(err, "--under-load --udp needs --bandwidth");
    if (f->imix || sizes->n > 1)
        return err_say(err, "--under-load takes one size of its stream");
    if (text_endpoint_foreign(&f->pair.to) || f->pair.tool)
        return err_say(err, "--under-load needs an agent of ours at both ends");
    r = f->rr       ? test_add(f, FLOW_TCP_RR, f->rr_bytes, err)
        : f->udp_rr ? test_add(f, FLOW_UDP_RR, f->rr_bytes, err)
                    : test_add(f, FLOW_STAMP, FLOW_STAMP_BYTES, err);
    if (r == 0)
        r = test_add(f, f->udp ? FLOW_UDP_STREAM : FLOW_TCP_STREAM, sizes->size[0], err);
    if (r < 0)
        return r;
    asks[0].spec.n_flows = 1; /* --flows are the stream's */
    if (!f->gap_set)
        asks[0].spec.gap_ns = CLOCK_MS;
    if (f->warmup_ns == UINT64_MAX)
        asks[0].warmup_ns = under_load_warmup(f->time_ns);
    f->pair.stream = asks[1];
    f->pair.n_asks = 1;
    return 0;
}

/* What another program measures instead of us. */
static int test_check_tool(const struct test_flags *f, struct err *err)
{
    int r = 0;

    if (text_endpoint_foreign(&f->pair.to))
        return err_say(err, "--tp-tool starts the tool at both ends: '%s' is none",
                       f->pair.to_text);
    for (unsigned i = 0; i < f->pair.n_asks && r == 0; i++)
        r = tool_check(f->pair.tool, &f->pair.asks[i], err);
    return r;
}

static int test_asks(struct test_flags *f, struct err *err)
{
    const struct run_sizes mix = {{flow_imix_largest()}, 1};
    int r = 0;

    if (!f->pair.group[0])
        text_copy(f->pair.group, sizeof f->pair.group, scenario_group(f->pair.ipv6));
    if (text_endpoint_foreign(&f->pair.to) && f->loss_set)
        return err_say(err, "--loss: the search needs our own agent at '%s'", f->pair.to_text);
    if (f->pair.to.kind == ENDPOINT_IPERF2 && (f->reverse || f->bidir))
        return err_say(err, "'%s': iperf 2 takes traffic towards itself only", f->pair.to_text);
    if (text_endpoint_foreign(&f->pair.to) && f->pair.to.kind != ENDPOINT_STAMP &&
        f->warmup_ns != UINT64_MAX && f->warmup_ns % CLOCK_S)
        return err_say(err, "--warmup: '%s' leaves out whole seconds only", f->pair.to_text);
    if (f->multicast && f->loss_set)
        return err_say(err, "--loss: there is no search of a multicast rate, --bandwidth sets it");
    if (text_endpoint_foreign(&f->pair.from))
        return err_say(err, "'%s' can only be where a test goes to", f->pair.from_text);
    if (f->pair.to.kind == ENDPOINT_STAMP)
        f->stamp = true;
    if (!f->tcp && !f->udp && !f->icmp && !f->rr && !f->udp_rr && !f->crr && !f->stamp &&
        !f->multicast)
        f->tcp = true;
    if (f->bidir && f->reverse)
        return err_say(err, "--bidir and --reverse do not go together");
    if (f->quick)
        f->time_ns = CLOCK_S;
    if (repeat_check(&f->pair.repeat, err) < 0)
        return -EINVAL;
    if (f->time_ns < CLOCK_S / 100)
        return err_say(err, "--time: a test lasts at least 10 ms");
    if ((f->pair.under_load = f->under_load))
        return test_asks_under_load(f, err);
    if (f->tcp)
        r = test_add_sizes(f, FLOW_TCP_STREAM, &f->tcp_sizes, err);
    if (f->udp && r == 0)
        r = test_add_sizes(f, FLOW_UDP_STREAM, f->imix ? &mix : &f->udp_sizes, err);
    if (f->icmp && r == 0)
        r = test_add_sizes(f, FLOW_ICMP_ECHO, &f->icmp_sizes, err);
    if (f->rr && r == 0)
        r = test_add(f, FLOW_TCP_RR, f->rr_bytes, err);
    if (f->udp_rr && r == 0)
        r = test_add(f, FLOW_UDP_RR, f->rr_bytes, err);
    if (f->crr && r == 0)
        r = test_add(f, FLOW_TCP_CRR, f->rr_bytes, err);
    if (f->stamp && r == 0)
        r = test_add(f, FLOW_STAMP, FLOW_STAMP_BYTES, err);
    if (f->multicast && r == 0)
        r = test_add_sizes(f, FLOW_MULTICAST, &f->udp_sizes, err);
    if (f->pair.tool && r == 0)
        r = test_check_tool(f, err);
    return r;
}

/* FROM, TO, and of --multicast the receivers behind them. */
static int test_endpoints(struct test_flags *f, char **args, int n_args, struct err *err)
{
    int r;

    if (n_args > 2 && !f->multicast)
        return err_say(err, "'%s' is one argument too many: only --multicast has several receivers",
                       args[2]);
    f->pair.from_text = args[0];
    f->pair.to_text = args[1];
    r = text_endpoint(args[0], &f->pair.from, err);
    if (r == 0)
        r = text_endpoint(args[1], &f->pair.to, err);
    for (int i = 2; i < n_args && r == 0; i++) {
        f->pair.more_text[f->pair.n_more] = args[i];
        r = text_endpoint(args[i], &f->pair.more[f->pair.n_more++], err);
        if (r == 0 && text_endpoint_foreign(&f->pair.more[i - 2]))
            r = err_say(err, "'%s' receives no group", args[i]);
    }
    return r;
}

void test_flags_default(struct test_flags *f)
{
    *f = (struct test_flags){.output = {.colour = "auto"},
                             .time_ns = 5 * (uint64_t)CLOCK_S,
                             .warmup_ns = UINT64_MAX,
                             .icmp_gap_ns = CLOCK_MS,
                             .loss_target = {0.001},
                             .n_loss_targets = 1,
                             .n_flows = 1,
                             .gso = 1,
                             .rr_bytes = 64,
                             .port = FLOW_PORT,
                             .port_last = FLOW_PORT_LAST,
                             .tcp_sizes = {{131072}, 1},
                             .udp_sizes = {{1400}, 1},
                             .icmp_sizes = {{56}, 1}};
}

int test_flags_parse(const struct command *command, int argc, char **argv,
                     struct test_flags *ret_flags)
{
    struct test_flags *f = ret_flags;
    struct err err = {0};
    char **args;
    int n_args, code;

    test_flags_default(f);
    code = options_parse_settings(command, argc, argv, f, &f->settings, &args, &n_args);
    if (code != OPTIONS_GO_ON)
        return code;
    if (test_endpoints(f, args, n_args, &err) < 0 || test_asks(f, &err) < 0) {
        settings_blame(&f->settings, &err);
        log_say(LOG_ERROR, "test: %s", err.text);
        settings_done(&f->settings);
        return EXIT_USAGE;
    }
    return OPTIONS_GO_ON;
}
