/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/hops_flags.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/hops_filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
    HOPS_TIME_S = 5,
    HOPS_WARMUP_MS = 100,
    HOPS_GAP_MS = 1,
    HOPS_UDP_BYTES = 64,
    HOPS_TCP_BYTES = 16384,
    HOPS_ICMP_BYTES = 56,
    HOPS_MAX_COUNT = 1000000000,
    HOPS_COUNT_MS = 500,
};
#define HOPS_UDP_BPS                                                                               \
    2560000ULL /* 5,000 datagrams of 64 bytes a second: the sender sleeps between them */
#define HOPS_TCP_BPS 100000000ULL /* a path with room in it: what queues is another question */

/* ---- points ---- */

/* What stands behind the last slash. */
static int hops_point_ifname(const char *text, struct hops_at *at, size_t *ret_before,
                             struct err *err)
{
    const char *slash = strrchr(text, '/'), *ifname = slash ? slash + 1 : "";

    if (!*ifname)
        return err_say(err, "point '%s' names no interface: PLACE/INTERFACE", text);
    if (!text_copy(at->point.ifname, sizeof at->point.ifname, ifname) || strpbrk(ifname, " \t:"))
        return err_say(err, "point '%s': '%s' is no interface's name", text, ifname);
    *ret_before = (size_t)(slash - text);
    return 0;
}

int hops_flags_point(const char *text, struct hops_at *ret_at, struct err *err)
{
    struct hops_at at = {.machine = {.kind = ENDPOINT_LOCAL}};
    size_t before = 0;
    int r = 0;

    if (!text_copy(at.point.name, sizeof at.point.name, text))
        return err_say(err, "point '%.40s…' is longer than %zu characters", text,
                       sizeof at.point.name - 1);
    text_copy(at.machine_text, sizeof at.machine_text, "local");
    if (strncmp(text, "pif:", 4) == 0 && !strchr(text, '/')) {
        if (!text[4] || !text_copy(at.point.ifname, sizeof at.point.ifname, text + 4))
            return err_say(err, "point '%s': '%s' is no interface's name", text, text + 4);
    } else if (strncmp(text, "netns:", 6) == 0) {
        r = hops_point_ifname(text, &at, &before, err);
        if (r == 0 &&
            (before == 6 || before - 6 > LIVE_NETNS_SIZE - 6 || memchr(text + 6, '/', before - 6)))
            r = err_say(err, "point '%s' is not netns:NAME/INTERFACE", text);
        if (r == 0)
            snprintf(at.point.netns, sizeof at.point.netns, "name:%.*s", (int)before - 6, text + 6);
    } else if (strncmp(text, "ssh://", 6) == 0 || strncmp(text, "exec:", 5) == 0) {
        r = hops_point_ifname(text, &at, &before, err);
        if (r == 0) {
            snprintf(at.machine_text, sizeof at.machine_text, "%.*s", (int)before, text);
            r = text_endpoint(at.machine_text, &at.machine, err);
        }
    } else {
        r = err_say(err,
                    "point '%s' is none of pif:INTERFACE, netns:NAME/INTERFACE, "
                    "ssh://HOST/INTERFACE, exec:COMMAND/INTERFACE",
                    text);
    }
    if (r == 0)
        *ret_at = at;
    return r;
}

static int hops_set_at(void *target, const char *value, struct err *err)
{
    struct hops_options *o = &((struct hops_flags *)target)->hops;
    int r;

    if (o->n_at == HOP_MAX_POINTS)
        return err_say(err, "there are more than %d points", HOP_MAX_POINTS);
    r = hops_flags_point(value, &o->at[o->n_at], err);
    for (unsigned i = 0; i < o->n_at && r == 0; i++)
        if (strcmp(o->at[i].point.name, value) == 0)
            return err_say(err, "point '%s' is given twice", value);
    o->n_at += r == 0;
    return r;
}

/* ---- the other options ---- */

static int hops_word(const char *value, const char *const words[], int n, const char *list,
                     int *ret, struct err *err)
{
    for (int i = 0; i < n; i++)
        if (strcmp(value, words[i]) == 0) {
            *ret = i;
            return 0;
        }
    return err_say(err, "'%.40s' is none of %s", value, list);
}

static int hops_set_traffic(void *target, const char *value, struct err *err)
{
    static const char *const words[] = {"tcp", "udp", "icmp", "syn"};
    int i = 0, r = hops_word(value, words, 4, "tcp, udp, icmp, syn", &i, err);

    if (r == 0)
        ((struct hops_flags *)target)->traffic = (enum hops_traffic)(i + 1);
    return r;
}

static int hops_set_capture(void *target, const char *value, struct err *err)
{
    int i = 0, r = hops_word(value, live_source_name, LIVE_SOURCE_COUNT,
                             "auto, tcx, clsact, af_packet", &i, err);

    if (r == 0)
        ((struct hops_flags *)target)->hops.live.source = (enum live_source)i;
    return r;
}

static int hops_set_nat(void *target, const char *value, struct err *err)
{
    static const char *const words[] = {"auto", "no", "yes"};
    int i = 0, r = hops_word(value, words, 3, "auto, no, yes", &i, err);

    if (r == 0)
        ((struct hops_flags *)target)->hops.live.nat = i - 1;
    return r;
}

static int hops_set_gap(void *target, const char *value, struct err *err)
{
    struct hops_flags *f = target;

    f->gap_set = true;
    return text_time(value, &f->gap_ns, err);
}

static int hops_set_count(void *target, const char *value, struct err *err)
{
    return text_count(value, 1, HOPS_MAX_COUNT, &((struct hops_flags *)target)->count, err);
}

static int hops_set_source(void *target, const char *value, struct err *err)
{
    struct hops_options *o = &((struct hops_flags *)target)->hops;
    int r;

    if (o->n_sources == HOPS_MAX_SOURCES)
        return err_say(err, "there are more than %d sources", HOPS_MAX_SOURCES);
    r = text_endpoint(value, &o->sources[o->n_sources], err);
    if (r == 0 && text_endpoint_foreign(&o->sources[o->n_sources]))
        r = err_say(err, "'%.80s' is another program's server: no command can be run there", value);
    if (r == 0)
        o->source_text[o->n_sources++] = value;
    return r;
}

static int hops_set_port(void *target, const char *value, struct err *err)
{
    uint64_t port = 0;
    int r = text_count(value, 1, UINT16_MAX, &port, err);

    ((struct hops_flags *)target)->port = (uint16_t)port;
    return r;
}

static int hops_set_host_keys(void *target, const char *value, struct err *err)
{
    struct pair_options *pair = &((struct hops_flags *)target)->hops.pair;

    return options_host_keys(value, &pair->host_keys, pair->known_hosts, sizeof pair->known_hosts,
                             err);
}

#define HOPS_CALL(name, arg, help, call, words)                                                    \
    {                                                                                              \
        name, 0, arg, help, OPTION_CALL, 0, 0, 0, 0, call, words                                   \
    }
#define HOPS_ROW(name, letter, arg, help, type, member, min, max)                                  \
    {                                                                                              \
        name, letter, arg, help, type, offsetof(struct hops_flags, member),                        \
            sizeof(((struct hops_flags *)0)->member), min, max, NULL, NULL                         \
    }

const struct option_row hops_flags_rows[] = {
    HOPS_CALL("at", "POINT", "watch there, in the order of the way; given again for each point",
              hops_set_at, NULL),
    HOPS_ROW("path", 0, NULL, "find the points between FROM and TO", OPTION_FLAG, hops.path, 0, 0),
    HOPS_ROW("learn-order", 0, NULL, "the order of the points is not known: learn it", OPTION_FLAG,
             learn_order, 0, 0),
    HOPS_CALL(
        "traffic", "KIND",
        "ours, from FROM to TO: tcp (stream), udp (datagrams), icmp (echo), syn (connections)",
        hops_set_traffic, "tcp udp icmp syn"),
    HOPS_ROW("rate", 'b', "RATE", "of tcp and udp (100M and 2.56M)", OPTION_RATE, rate_bps, 0, 0),
    HOPS_CALL("gap", "TIME", "of icmp and syn: from one to the next (1ms)", hops_set_gap, NULL),
    HOPS_ROW("size", 0, "BYTES", "payload: a datagram, a write, an echo (64, 16384, 56)",
             OPTION_COUNT, size_bytes, 1, 1 << 20),
    HOPS_CALL("count", "N", "send about so many (udp, icmp, syn) instead of for a time",
              hops_set_count, NULL),
    HOPS_ROW("source-command", 0, "COMMAND", "traffic of a command that ends, run at the sources",
             OPTION_TEXT, hops.source_command, 1, 0),
    HOPS_CALL("source", "ENDPOINT", "where it runs; given again for several at once (local)",
              hops_set_source, NULL),
    HOPS_ROW("for", 't', "TIME", "watch for so long (5s); a command: at most", OPTION_TIME,
             hops.for_ns, 0, 0),
    HOPS_ROW("filter", 0, "EXPRESSION", "only these packets, in tcpdump's words", OPTION_TEXT,
             filter, 1, 0),
    HOPS_CALL("capture", "HOW",
              "auto, tcx and clsact (paired in the kernel), af_packet (copied heads)",
              hops_set_capture, "auto tcx clsact af_packet"),
    HOPS_CALL("nat", "WHEN", "addresses change on the way: auto (tried), yes, no", hops_set_nat,
              "auto yes no"),
    HOPS_ROW("window", 0, "TIME",
             "how long a packet is awaited at the next point (100ms; af_packet learns more)",
             OPTION_TIME, hops.live.window_ns, 0, 0),
    HOPS_ROW("per-flow", 0, NULL, "each flow's own numbers too (by af_packet alone)", OPTION_FLAG,
             per_flow, 0, 0),
    HOPS_ROW("interval", 0, "TIME",
             "a series: numbers of each such part of the time (by af_packet alone)", OPTION_TIME,
             interval_ns, 0, 0),
    HOPS_ROW("no-calibration", 0, NULL, "do not measure what the instrument costs and adds",
             OPTION_FLAG, no_calibration, 0, 0),
    HOPS_CALL("port", "PORT", "of our traffic (5001)", hops_set_port, NULL),
    HOPS_ROW("address", 0, "ADDRESS", "of TO, as FROM reaches it (found out)", OPTION_TEXT,
             hops.pair.address, 1, 0),
    HOPS_ROW("ipv6", '6', NULL, "over IPv6", OPTION_FLAG, hops.pair.ipv6, 0, 0),
    HOPS_ROW("agent", 0, "PATH", "the agent program; to ssh:// hosts it is copied", OPTION_TEXT,
             hops.pair.agent, 1, 0),
    OPTIONS_SSH_ROWS(struct pair_options, offsetof(struct hops_flags, hops.pair),
                     hops_set_host_keys),
    OUTPUT_ROWS,
    {0},
};

/* ---- what it comes to ---- */

/* So many instead of for so long: few of them are spread, as a busy machine may not do much in a short time. */
static void hops_count(const struct hops_flags *f, struct measure_ask *ask)
{
    double bits = (double)f->count * ask->spec.payload_bytes * 8,
           ns = ask->rate_bps ? bits * 1e9 / (double)ask->rate_bps
                              : (double)f->count * (double)ask->spec.gap_ns;

    if (ns < (double)HOPS_COUNT_MS * CLOCK_MS) {
        ns = (double)HOPS_COUNT_MS * CLOCK_MS;
        if (ask->rate_bps)
            ask->rate_bps = (uint64_t)(bits * 1e9 / ns) + 1;
        else
            ask->spec.gap_ns = (uint64_t)(ns / (double)f->count);
    }
    ask->duration_ns = (uint64_t)ns;
}

static void hops_ask(struct hops_flags *f)
{
    static const struct {
        enum flow_kind kind;
        uint32_t bytes;
        uint64_t bps;
        uint8_t protocol;
    } rows[] = {[HOPS_TCP] = {FLOW_TCP_STREAM, HOPS_TCP_BYTES, HOPS_TCP_BPS, IPPROTO_TCP},
                [HOPS_UDP] = {FLOW_UDP_STREAM, HOPS_UDP_BYTES, HOPS_UDP_BPS, IPPROTO_UDP},
                [HOPS_ICMP] = {FLOW_ICMP_ECHO, HOPS_ICMP_BYTES, 0, IPPROTO_ICMP},
                [HOPS_SYN] = {FLOW_TCP_CRR, HOPS_UDP_BYTES, 0, IPPROTO_TCP}};
    struct hops_options *o = &f->hops;
    struct measure_ask *ask = &o->pair.asks[0];
    enum flow_kind kind = rows[f->traffic].kind;
    bool stream = kind == FLOW_TCP_STREAM || kind == FLOW_UDP_STREAM;

    ask->spec =
        (struct flow_spec){.kind = kind,
                           .direction = FLOW_FORWARD,
                           .n_flows = 1,
                           .gso = 1,
                           .payload_bytes = f->size_bytes ? f->size_bytes : rows[f->traffic].bytes,
                           .port = f->port,
                           .port_last = f->port};
    ask->rate_bps = stream ? (f->rate_bps ? f->rate_bps : rows[f->traffic].bps) : 0;
    if (!stream)
        ask->spec.gap_ns = f->gap_set ? f->gap_ns : (uint64_t)HOPS_GAP_MS * CLOCK_MS;
    ask->warmup_ns = (uint64_t)HOPS_WARMUP_MS * CLOCK_MS;
    ask->interval_ns = CLOCK_S;
    ask->duration_ns = o->for_ns;
    if (f->count)
        hops_count(f, ask);
    o->pair.n_asks = 1;
    o->traffic = true;
    /* Of everything that passes, ours alone: also inside of tunnels, where a filter on frames does not look. */
    if (!f->filter[0]) {
        o->live.protocol =
            kind == FLOW_ICMP_ECHO && o->pair.ipv6 ? IPPROTO_ICMPV6 : rows[f->traffic].protocol;
        o->live.port = kind == FLOW_ICMP_ECHO ? 0 : f->port;
    }
}

static int hops_check_traffic(const struct hops_flags *f, struct err *err)
{
    bool paced = f->traffic == HOPS_TCP || f->traffic == HOPS_UDP;

    if (f->traffic && f->hops.source_command[0])
        return err_say(err, "--traffic and --source-command do not go together");
    if (f->traffic && !f->hops.has_pair)
        return err_say(err, "--traffic goes from one endpoint to another: FROM TO");
    if (!f->traffic && (f->rate_bps || f->gap_set || f->size_bytes || f->count))
        return err_say(err, "--rate, --gap, --size and --count say how --traffic is");
    if (f->traffic && !paced && f->rate_bps)
        return err_say(err, "--rate is for tcp and udp; --gap says how often");
    if (f->gap_set && (paced || f->gap_ns == 0))
        return err_say(err, "--gap is more than 0, and for icmp and syn");
    if (f->count && f->traffic == HOPS_TCP)
        return err_say(err, "--count is for udp, icmp and syn: a stream is for a time");
    if (f->hops.n_sources && !f->hops.source_command[0])
        return err_say(err, "--source says where --source-command runs");
    return 0;
}

static bool hops_one_machine(const struct hops_options *o)
{
    const struct pair_options *pair = &o->pair;

    for (unsigned i = 1; i < o->n_at; i++)
        if (strcmp(o->at[i].machine_text, o->at[0].machine_text) != 0)
            return false;
    if (!o->path)
        return true;
    return (pair->from.kind == ENDPOINT_LOCAL || pair->from.kind == ENDPOINT_NETNS) ==
               (pair->to.kind == ENDPOINT_LOCAL || pair->to.kind == ENDPOINT_NETNS) &&
           (pair->from.kind == ENDPOINT_LOCAL || pair->from.kind == ENDPOINT_NETNS ||
            strcmp(pair->from_text, pair->to_text) == 0);
}

/* Some things are the matcher's, which sees keys and not what the kernel has paired. */
static int hops_check_capture(const struct hops_flags *f, struct err *err)
{
    enum live_source source = f->hops.live.source;

    if (source != LIVE_TCX && source != LIVE_CLSACT)
        return 0;
    if (f->per_flow || f->interval_ns)
        return err_say(err,
                       "%s needs each packet's key, and --capture %s pairs packets in the kernel: "
                       "--capture af_packet, or leave it out",
                       f->per_flow ? "--per-flow" : "--interval", live_source_name[source]);
    if (!hops_one_machine(&f->hops))
        return err_say(err,
                       "--capture %s pairs packets in one kernel, and these points are on several "
                       "machines: --capture af_packet, or leave it out",
                       live_source_name[source]);
    return 0;
}

static int hops_check(struct hops_flags *f, int n_args, struct err *err)
{
    struct hops_options *o = &f->hops;

    if (n_args == 1)
        return err_say(err, "FROM without TO");
    if (o->path && !o->has_pair)
        return err_say(err, "--path goes from one endpoint to another: FROM TO");
    if (o->path && o->n_at)
        return err_say(err, "--path finds the points, and --at names them: one of both");
    if (!o->path && o->n_at < 2)
        return err_say(err, "hops lie between points: at least two --at, or --path FROM TO");
    if (o->has_pair && text_endpoint_foreign(&o->pair.to))
        return err_say(err, "'%.80s' is another program's server: nothing can be watched there",
                       o->pair.to_text);
    if (hops_check_capture(f, err) < 0)
        return -EINVAL;
    return hops_check_traffic(f, err);
}

int hops_flags_parse(const struct command *command, int argc, char **argv,
                     struct hops_flags *ret_flags)
{
    struct hops_flags *f = ret_flags;
    struct hops_options *o = &f->hops;
    struct err err = {0};
    char **args;
    int n, code, r = 0;

    *f = (struct hops_flags){.output = {.colour = "auto"}, .port = FLOW_PORT};
    o->live.nat = -1;
    code = options_parse(command, argc, argv, f, &args, &n);
    if (code != OPTIONS_GO_ON)
        return code;
    if (n == 2) {
        o->has_pair = true;
        o->pair.from_text = args[0];
        o->pair.to_text = args[1];
        r = text_endpoint(args[0], &o->pair.from, &err);
        if (r == 0)
            r = text_endpoint(args[1], &o->pair.to, &err);
    }
    if (r == 0)
        r = hops_check(f, n, &err);
    if (r == 0 && f->filter[0])
        r = hops_filter_compile(f->filter, &o->live, &err);
    if (r < 0) {
        log_say(LOG_ERROR, "hops: %s", err.text);
        return EXIT_USAGE;
    }
    if (o->source_command[0] && !o->n_sources) {
        o->sources[0].kind = ENDPOINT_LOCAL;
        o->source_text[o->n_sources++] = "local";
    }
    if (!o->for_ns && !o->source_command[0])
        o->for_ns = (uint64_t)HOPS_TIME_S * CLOCK_S;
    o->calibrate = !f->no_calibration;
    /* Both are of the matcher, which sees keys and not what the kernel has paired. */
    if ((f->per_flow || f->interval_ns) && o->live.source == LIVE_AUTO)
        o->live.source = LIVE_AF_PACKET;
    if (f->traffic)
        hops_ask(f);
    return OPTIONS_GO_ON;
}
