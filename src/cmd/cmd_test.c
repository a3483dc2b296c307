/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/interrupt.h"
#include "cmd/output.h"
#include "cmd/record.h"
#include "cmd/where.h"
#include "plan/pair_run.h"
#include "plan/run_options.h"
#include "results/progress.h"
#include "results/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct test_flags {
    struct output_options output; /* first: OUTPUT_ROWS write there */
    struct pair_options pair;
    bool tcp, udp, icmp, rr, udp_rr, bidir, reverse, quick, no_save;
    uint64_t time_ns, bandwidth_bps, gap_ns, warmup_ns, interval_ns;
    double loss_target;
    uint32_t n_flows, rr_bytes;
    uint16_t port, port_last;
    struct run_sizes tcp_sizes, udp_sizes, icmp_sizes;
    char cc[FLOW_CC_SIZE];
    char description[200];
};

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

#define AT(member) offsetof(struct test_flags, member)
#define FLAG(member) OPTION_FLAG, AT(member), 0, 0, 0, NULL, NULL
#define TEXT(member)                                                                               \
    OPTION_TEXT, AT(member), sizeof(((struct test_flags *)0)->member), 1, 0, NULL, NULL
#define MAYBE_EMPTY(member)                                                                        \
    OPTION_TEXT, AT(member), sizeof(((struct test_flags *)0)->member), 0, 0, NULL, NULL
#define TIME(member) OPTION_TIME, AT(member), 0, 0, 0, NULL, NULL
#define CALL(function) OPTION_CALL, 0, 0, 0, 0, function, NULL

static const struct option_row test_rows[] = {
    {"tcp", 0, NULL, "TCP stream (the default)", FLAG(tcp)},
    {"udp", 'u', NULL, "UDP stream, at --bandwidth or at the highest rate that --loss allows",
     FLAG(udp)},
    {"icmp", 0, NULL, "ICMP echo", FLAG(icmp)},
    {"rr", 0, NULL, "TCP request/response", FLAG(rr)},
    {"udp-rr", 0, NULL, "UDP request/response", FLAG(udp_rr)},
    {"time", 't', "SEC", "how long each test takes (5)", TIME(time_ns)},
    {"quick", 0, NULL, "tests of 1 s", FLAG(quick)},
    {"warmup", 0, "SEC", "before counting begins (a fifth of the time, at most 1 s)",
     TIME(warmup_ns)},
    {"interval", 'i', "SEC", "of the series (1 s; a tenth of short tests)", TIME(interval_ns)},
    {"flows", 'P', "N", "parallel flows of streams (1)", OPTION_COUNT, AT(n_flows), 0, 1,
     FLOW_MAX_FLOWS, NULL, NULL},
    {"reverse", 'R', NULL, "payload goes from TO to FROM", FLAG(reverse)},
    {"bidir", 0, NULL, "both ways at once", FLAG(bidir)},
    {"bandwidth", 'b', "RATE", "payload rate, 100M, of each direction", OPTION_RATE,
     AT(bandwidth_bps), 0, 0, 0, NULL, NULL},
    {"loss", 0, "SHARE", "loss target of the UDP rate search (0.1%)", OPTION_SHARE, AT(loss_target),
     0, 0, 0, NULL, NULL},
    {"tcpbuf", 0, "LIST", "bytes of a TCP write (65536)", CALL(test_set_tcpbuf)},
    {"udpbuf", 0, "LIST", "bytes of a UDP datagram's payload (1400)", CALL(test_set_udpbuf)},
    {"icmp-sizes", 0, "LIST", "bytes of an echo request's payload (56)", CALL(test_set_icmp)},
    {"icmp-gap", 0, "SEC", "from one echo request to the next (1ms; 0: when the answer is here)",
     TIME(gap_ns)},
    {"rr-size", 0, "BYTES", "bytes of a request and of its answer (64)", OPTION_COUNT, AT(rr_bytes),
     0, 1, 65507, NULL, NULL},
    {"cc", 0, "NAME", "TCP congestion control (the endpoint's own)", TEXT(cc)},
    {"port", 0, "A[-B]", "data ports of TO (5001-5031)", CALL(test_set_port)},
    {"address", 0, "ADDR", "of TO, as FROM reaches it (found out)", CALL(test_set_address)},
    {"ipv6", '6', NULL, "use the IPv6 address", FLAG(pair.ipv6)},
    {"agent", 0, "PATH", "the agent program, as the endpoints know it", TEXT(pair.agent)},
    {"nice", 0, "N", "priority of the agents, -20 to 19, where it is allowed (as they are)",
     CALL(test_set_nice)},
    {"test-description", 0, "TEXT", "kept with the result", MAYBE_EMPTY(description)},
    {"no-save", 0, NULL, "do not keep the result", FLAG(no_save)},
    OUTPUT_ROWS,
    {0},
};

static int test_add(struct test_flags *f, enum flow_kind kind, uint32_t payload, struct err *err)
{
    bool stream = kind == FLOW_TCP_STREAM || kind == FLOW_UDP_STREAM;
    struct measure_ask *ask = &f->pair.asks[f->pair.n_asks];
    struct flow_spec spec;
    struct flow_trial trial;
    int r;

    if (f->pair.n_asks == PAIR_MAX_ASKS)
        return err_say(err, "more than %d tests at once", PAIR_MAX_ASKS);
    *ask = (struct measure_ask){
        .kind = kind,
        .direction = !stream      ? FLOW_FORWARD
                     : f->bidir   ? FLOW_BOTH
                     : f->reverse ? FLOW_REVERSE
                                  : FLOW_FORWARD,
        .payload_bytes = payload,
        .n_flows = stream || kind != FLOW_ICMP_ECHO ? f->n_flows : 1,
        .rate_bps = stream ? f->bandwidth_bps : 0,
        .duration_ns = f->time_ns,
        .warmup_ns = f->warmup_ns != UINT64_MAX ? f->warmup_ns : measure_warmup(kind, f->time_ns),
        .interval_ns = f->interval_ns                        ? f->interval_ns
                       : f->time_ns >= 2 * (uint64_t)CLOCK_S ? CLOCK_S
                                                             : f->time_ns / 10,
        .gap_ns = f->gap_ns,
        .port = f->port,
        .port_last = f->port_last,
        .search = kind == FLOW_UDP_STREAM && !f->bandwidth_bps,
        .loss_target = f->loss_target};
    if (ask->interval_ns > ask->duration_ns)
        ask->interval_ns = ask->duration_ns;
    if (kind == FLOW_TCP_STREAM || kind == FLOW_TCP_RR)
        text_copy(ask->cc, sizeof ask->cc, f->cc);
    if (ask->search && ask->direction == FLOW_BOTH)
        return err_say(err, "--udp --bidir needs --bandwidth: a search goes one way at a time");
    spec = (struct flow_spec){.kind = kind,
                              .direction = ask->direction,
                              .n_flows = ask->n_flows,
                              .payload_bytes = payload,
                              .connect_ns = CLOCK_S,
                              .address = "127.0.0.1"};
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

static int test_asks(struct test_flags *f, struct err *err)
{
    int r = 0;

    if (!f->tcp && !f->udp && !f->icmp && !f->rr && !f->udp_rr)
        f->tcp = true;
    if (f->bidir && f->reverse)
        return err_say(err, "--bidir and --reverse do not go together");
    if (f->quick)
        f->time_ns = CLOCK_S;
    if (f->time_ns < CLOCK_S / 100)
        return err_say(err, "--time: a test lasts at least 10 ms");
    for (uint32_t i = 0; f->tcp && i < f->tcp_sizes.n && r == 0; i++)
        r = test_add(f, FLOW_TCP_STREAM, f->tcp_sizes.size[i], err);
    for (uint32_t i = 0; f->udp && i < f->udp_sizes.n && r == 0; i++)
        r = test_add(f, FLOW_UDP_STREAM, f->udp_sizes.size[i], err);
    for (uint32_t i = 0; f->icmp && i < f->icmp_sizes.n && r == 0; i++)
        r = test_add(f, FLOW_ICMP_ECHO, f->icmp_sizes.size[i], err);
    if (f->rr && r == 0)
        r = test_add(f, FLOW_TCP_RR, f->rr_bytes, err);
    if (f->udp_rr && r == 0)
        r = test_add(f, FLOW_UDP_RR, f->rr_bytes, err);
    return r;
}

static void test_on_interval(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                             double per_s)
{
    char text[TEXT_SHORT], line[64];

    (void)index;
    if (ask->kind == FLOW_TCP_STREAM || ask->kind == FLOW_UDP_STREAM)
        snprintf(line, sizeof line, "%s", text_show_rate(bps, text));
    else
        snprintf(line, sizeof line, "%.0f/s", per_s);
    progress_update(arg, line);
}

static uint64_t test_plan_ns(const struct pair_options *pair)
{
    uint64_t ns = 0;

    for (unsigned i = 0; i < pair->n_asks; i++)
        ns += pair->asks[i].warmup_ns + pair->asks[i].duration_ns +
              (pair->asks[i].search ? CLOCK_S : 0);
    return ns;
}

/* Room for the result, before anything is measured. */
static int test_open_store(const struct test_flags *f, const struct run_result *run,
                           struct store *ret_store, struct err *err)
{
    char state[STORE_PATH_SIZE];
    int r = f->no_save ? 0 : store_state_dir(state, err);

    if (!f->no_save && r == 0)
        r = store_open(ret_store, state, run->id, err);
    return r < 0 ? err_wrap(err, r, "the result cannot be kept (--no-save does without)") : 0;
}

/* Returns the exit code: the one so far, unless that was good and the result is not in its place. */
static int test_save(struct store *store, const struct run_result *run, bool quiet, int code)
{
    char saved[STORE_PATH_SIZE + 64] = "";
    struct err err = {0};
    int r = store_save(store, run, saved, &err);

    if (r != 0)
        log_say(LOG_ERROR, "%s", err.text);
    if (r >= 0 && !quiet)
        log_say(LOG_INFO, "saved in %s", saved);
    return r != 0 && code == EXIT_OK ? EXIT_ENVIRONMENT : code;
}

static int test_code(enum pair_end end, int interrupt_fd)
{
    static const int codes[] = {[PAIR_DONE] = EXIT_OK,
                                [PAIR_FAILED] = EXIT_FAILED,
                                [PAIR_ENVIRONMENT] = EXIT_ENVIRONMENT,
                                [PAIR_UNREACHABLE] = EXIT_UNREACHABLE};
    int signal_number;

    if (end != PAIR_INTERRUPTED)
        return codes[end];
    signal_number = interrupt_taken(interrupt_fd);
    return EXIT_SIGNAL + (signal_number ? signal_number : 15);
}

static int test_measure(struct test_flags *f, struct run_result *run, struct store *store,
                        int interrupt_fd)
{
    struct progress progress;
    const struct measure_watch watch = {.on_interval = test_on_interval, .arg = &progress};
    struct err err = {0}, output_err = {0};
    char name[64];
    enum pair_end end;
    int code;

    snprintf(name, sizeof name, "%.28s to %.28s", f->pair.from_text, f->pair.to_text);
    progress_init(&progress, STDERR_FILENO, f->output.quiet || !isatty(STDERR_FILENO), 1,
                  test_plan_ns(&f->pair));
    progress_start(&progress, 1, "test", name, test_plan_ns(&f->pair));
    end = pair_run(&f->pair, interrupt_fd, &watch, run, &err);
    progress_done(&progress);
    run->ended_wall_ns = clock_wall_ns();
    code = test_code(end, interrupt_fd);
    if (end != PAIR_DONE)
        log_say(LOG_ERROR, "%s", end == PAIR_INTERRUPTED ? "interrupted" : err.text);
    if (!f->no_save)
        code = test_save(store, run, f->output.quiet, code);
    if (output_run(&f->output, run, &output_err) < 0) {
        log_say(LOG_ERROR, "%s", output_err.text);
        code = code == EXIT_OK ? EXIT_ENVIRONMENT : code;
    }
    return code;
}

static int test_parse(const struct command *command, int argc, char **argv, struct test_flags *f)
{
    struct err err = {0};
    char **args;
    int n_args, code = options_parse(command, argc, argv, f, &args, &n_args);

    if (code != OPTIONS_GO_ON)
        return code;
    f->pair.from_text = args[0];
    f->pair.to_text = args[1];
    if (text_endpoint(args[0], &f->pair.from, &err) < 0 ||
        text_endpoint(args[1], &f->pair.to, &err) < 0 || test_asks(f, &err) < 0) {
        log_say(LOG_ERROR, "test: %s", err.text);
        return EXIT_USAGE;
    }
    return OPTIONS_GO_ON;
}

static int test_run(const struct command *command, int argc, char **argv)
{
    struct test_flags f = {.output = {.colour = "auto"},
                           .time_ns = 5 * (uint64_t)CLOCK_S,
                           .warmup_ns = UINT64_MAX,
                           .gap_ns = CLOCK_MS,
                           .loss_target = 0.001,
                           .n_flows = 1,
                           .rr_bytes = 64,
                           .port = FLOW_PORT,
                           .port_last = FLOW_PORT_LAST,
                           .tcp_sizes = {{65536}, 1},
                           .udp_sizes = {{1400}, 1},
                           .icmp_sizes = {{56}, 1}};
    struct run_result run = {0};
    struct err err = {0};
    char agent[sizeof f.pair.agent];
    struct store store = {0};
    int interrupt_fd = -1, code = test_parse(command, argc, argv, &f);

    if (code != OPTIONS_GO_ON)
        return code;
    /* A command's far end has a file system of its own: there the agent's path is taken as it is given. */
    if (f.pair.agent[0] && (f.pair.from.kind == ENDPOINT_EXEC || f.pair.to.kind == ENDPOINT_EXEC))
        text_copy(agent, sizeof agent, f.pair.agent);
    else if (where_agent(f.pair.agent, agent, sizeof agent, &err) < 0)
        code = EXIT_ENVIRONMENT;
    if (code == OPTIONS_GO_ON) {
        text_copy(f.pair.agent, sizeof f.pair.agent, agent);
        interrupt_fd = interrupt_open(&err);
        if (interrupt_fd < 0 || record_begin(&run, "test", f.description, argc, argv, &err) < 0 ||
            output_check(&f.output, &err) < 0 || test_open_store(&f, &run, &store, &err) < 0)
            code = EXIT_ENVIRONMENT;
    }
    if (code == OPTIONS_GO_ON)
        code = test_measure(&f, &run, &store, interrupt_fd);
    else
        log_say(LOG_ERROR, "%s", err.text);
    store_done(&store);
    run_result_done(&run);
    return code;
}

const struct command cmd_test = {
    .name = "test",
    .summary = "measure one pair of endpoints",
    .args = "FROM TO   (each: local, netns:NAME, exec:COMMAND)",
    .examples = "  vnperf test local local --rr\n"
                "  vnperf test netns:a netns:b --udp --udpbuf 64,1400\n"
                "  vnperf test netns:a 'exec:ip netns exec b' --tcp --flows 4 --bidir\n",
    .rows = test_rows,
    .min_args = 2,
    .max_args = 2,
    .run = test_run,
};
