/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/run_flags.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/place_flags.h"
#include "deploy/driver.h"

#include <stdio.h>
#include <string.h>

static int run_set_time(void *target, const char *value, struct err *err)
{
    struct run_flags *f = target;

    f->time_set = true;
    return text_time(value, &f->run.time_ns, err);
}

static int run_set_warmup(void *target, const char *value, struct err *err)
{
    struct run_flags *f = target;

    return options_warmup(value, &f->run.warmup_ns, &f->run.warmup_find, err);
}

static int run_set_protocols(void *target, const char *value, struct err *err)
{
    static const char letters[PROTOCOL_COUNT + 1] = "TUIM";
    struct run_flags *f = target;
    bool on[PROTOCOL_COUNT] = {false};

    if (!*value)
        return err_say(err, "is empty: T is TCP, U is UDP, I is ICMP, M is multicast");
    for (const char *p = value; *p; p++) {
        const char *at = strchr(letters, *p);

        if (!at)
            return err_say(err,
                           "'%.20s': '%c' is none of T (TCP), U (UDP), I (ICMP), M (multicast)",
                           value, *p);
        on[at - letters] = true;
    }
    memcpy(f->run.protocols, on, sizeof on);
    return 0;
}

static int run_set_tool(void *target, const char *value, struct err *err)
{
    return tool_find(value, &((struct run_flags *)target)->run.tool, err);
}

static int run_set_group(void *target, const char *value, struct err *err)
{
    struct run_flags *f = target;
    int r = text_address(value, err);

    if (r < 0)
        return r;
    f->run.protocols[PROTOCOL_MULTICAST] = true;
    text_copy(f->run.group, sizeof f->run.group, value);
    return 0;
}

static int run_set_sizes(struct run_sizes *sizes, const char *value, struct err *err)
{
    int n = text_sizes(value, sizes->size, RUN_MAX_SIZES, err);

    if (n < 0)
        return n;
    sizes->n = (uint32_t)n;
    return 0;
}

static int run_set_tcpbuf(void *target, const char *value, struct err *err)
{
    return run_set_sizes(&((struct run_flags *)target)->run.tcp, value, err);
}

static int run_set_udpbuf(void *target, const char *value, struct err *err)
{
    return run_set_sizes(&((struct run_flags *)target)->run.udp, value, err);
}

static int run_set_icmp(void *target, const char *value, struct err *err)
{
    return run_set_sizes(&((struct run_flags *)target)->run.icmp, value, err);
}

static int run_set_port(void *target, const char *value, struct err *err)
{
    struct run_flags *f = target;

    return options_port(value, &f->run.port, &f->run.port_last, err);
}

static int run_set_nice(void *target, const char *value, struct err *err)
{
    return options_nice(value, &((struct run_flags *)target)->run.nice, err);
}

/* "imix", or sizes of UDP. */
static int run_set_mix(void *target, const char *value, struct err *err)
{
    struct run_flags *f = target;

    f->run.imix = strcmp(value, "imix") == 0;
    return f->run.imix ? 0 : run_set_sizes(&f->run.udp, value, err);
}

static int run_set_loss(void *target, const char *value, struct err *err)
{
    struct run_flags *f = target;
    int n = options_shares(value, f->run.loss_target, MEASURE_MAX_TARGETS, err);

    if (n > 0)
        f->run.n_loss_targets = (uint32_t)n;
    return n < 0 ? n : 0;
}

static int run_set_io(void *target, const char *value, struct err *err)
{
    return options_io(value, &((struct run_flags *)target)->run.io, err);
}

static int run_set_gso(void *target, const char *value, struct err *err)
{
    return options_gso(value, &((struct run_flags *)target)->run.gso, err);
}

static int run_set_window(void *target, const char *value, struct err *err)
{
    return options_window(value, &((struct run_flags *)target)->run.window_bytes, err);
}

static int run_set_cpu(void *target, const char *value, struct err *err)
{
    struct run_flags *f = target;

    return options_cpu(value, &f->run.pin, &f->run.pin_server, err);
}

static int run_set_seed(void *target, const char *value, struct err *err)
{
    return options_seed(value, &((struct run_flags *)target)->run.repeat, err);
}

/* A machine that is only asked for its facts. The word is argv's own: a password in it is overwritten. */
static int run_add_node(struct fact_asks *asks, const char *value, enum node_role role,
                        struct err *err)
{
    struct fact_ask ask = {.role = role};
    char text[sizeof ask.there.at.arg + 128];
    int r;

    if (asks->n == FACT_ROUND_MAX_ASKS)
        return err_say(err, "at most %d machines are asked", FACT_ROUND_MAX_ASKS);
    r = place_flags_word((char *)value, &ask.there, err);
    if (r < 0)
        return r;
    text_copy(ask.text, sizeof ask.text, places_show(&ask.there, text, sizeof text));
    asks->ask[asks->n++] = ask;
    return 0;
}

static int run_set_controller(void *target, const char *value, struct err *err)
{
    return run_add_node(&((struct run_flags *)target)->run.fact_asks, value, NODE_CONTROLLER, err);
}

static int run_set_node(void *target, const char *value, struct err *err)
{
    return run_add_node(&((struct run_flags *)target)->run.fact_asks, value, NODE_ASKED, err);
}

static int run_set_monitor(void *target, const char *value, struct err *err)
{
    return options_monitor(value, &((struct run_flags *)target)->run.cpu, err);
}

static int run_set_driver(void *target, const char *value, struct err *err)
{
    struct run_flags *f = target;

    if (!driver_find(value))
        return err_say(err, "'%.20s' is no driver of this vnperf (lab, ssh)", value);
    f->driver_set = true;
    text_copy(f->run.driver, sizeof f->run.driver, value);
    return 0;
}

/* The word is argv's own: a password in it is overwritten. */
static int run_set_host(void *target, const char *value, struct err *err)
{
    return place_flags_add(&((struct run_flags *)target)->run.places, PLACE_HOST, (char *)value,
                           err);
}

static int run_set_external(void *target, const char *value, struct err *err)
{
    return place_flags_add(&((struct run_flags *)target)->run.places, PLACE_EXTERNAL, (char *)value,
                           err);
}

static int run_set_vm(void *target, const char *value, struct err *err)
{
    return place_flags_add(&((struct run_flags *)target)->run.places, PLACE_VM, (char *)value, err);
}

static int run_set_host_keys(void *target, const char *value, struct err *err)
{
    struct run_options *run = &((struct run_flags *)target)->run;

    return options_host_keys(value, &run->host_keys, run->known_hosts, sizeof run->known_hosts,
                             err);
}

#define RUN(member) offsetof(struct run_flags, run.member)
#define TEXT(member)                                                                               \
    OPTION_TEXT, RUN(member), sizeof(((struct run_flags *)0)->run.member), 1, 0, NULL, NULL
#define MAYBE_EMPTY(member)                                                                        \
    OPTION_TEXT, RUN(member), sizeof(((struct run_flags *)0)->run.member), 0, 0, NULL, NULL
#define CLOUD(member)                                                                              \
    OPTION_TEXT, offsetof(struct run_flags, cloud.member),                                         \
        sizeof(((struct run_flags *)0)->cloud.member), 1, 0, NULL, NULL
#define FLAG(member) OPTION_FLAG, RUN(member), 0, 0, 0, NULL, NULL

const struct option_row run_flags_rows[] = {
    {"time", 't', "SEC", "how long each test takes (5; 0.8, 250ms …)", OPTION_CALL, 0, 0, 0, 0,
     run_set_time, NULL},
    {"quick", 0, NULL, "tests of 1 s", OPTION_FLAG, offsetof(struct run_flags, quick), 0, 0, 0,
     NULL, NULL},
    {"warmup", 0, "SEC",
     "before counting begins (a fifth of the time, at most 1 s); auto: TCP streams until the rate "
     "rises no longer",
     OPTION_CALL, 0, 0, 0, 0, run_set_warmup, "auto"},
    OPTIONS_REPEAT_ROWS(RUN(repeat), run_set_seed),
    {"scenarios", 0, "LIST", "which ones: 1.1,2.*,7 (all but multicast; 2.4 asks for that one)",
     TEXT(scenarios)},
    {"protocols", 0, "TUIM", "which ones: T TCP, U UDP, I ICMP, M multicast (TUI)", OPTION_CALL, 0,
     0, 0, 0, run_set_protocols, "T U I M TU TUI TUIM"},
    {"under-load", 0, NULL,
     "TCP scenarios: delay idle, and beside streams there, back and both ways: four times --time",
     FLAG(under_load)},
    {"hops", 0, NULL, "scenarios between VMs: where on the path the time goes, too", FLAG(hops)},
    {"tp-tool", 0, "NAME", "nuttcp or iperf measures the streams of TCP, and of UDP at --bandwidth",
     OPTION_CALL, 0, 0, 0, 0, run_set_tool, "nuttcp iperf"},
    {"group", 0, "ADDR", "of multicast, and asks for it (231.1.1.1; with --ipv6 ff05::231:1)",
     OPTION_CALL, 0, 0, 0, 0, run_set_group, NULL},
    {"tcpbuf", 0, "LIST", "bytes of a TCP write (65536)", OPTION_CALL, 0, 0, 0, 0, run_set_tcpbuf,
     NULL},
    {"udpbuf", 0, "LIST", "bytes of a UDP datagram's payload (128,1024,8192)", OPTION_CALL, 0, 0, 0,
     0, run_set_udpbuf, NULL},
    {"sizes", 0, "LIST", "imix: the simple Internet mix, else as --udpbuf", OPTION_CALL, 0, 0, 0, 0,
     run_set_mix, "imix"},
    {"icmp-sizes", 0, "LIST", "bytes of an echo request's payload (56)", OPTION_CALL, 0, 0, 0, 0,
     run_set_icmp, NULL},
    {"rr-size", 0, "BYTES", "bytes of a request and of its answer (64)", OPTION_COUNT,
     RUN(rr_bytes), 0, 1, 65507, NULL, NULL},
    {"bandwidth", 'b', "RATE", "payload rate of TCP and UDP, 100M; UDP is searched without it",
     OPTION_RATE, RUN(bandwidth_bps), 0, 0, 0, NULL, NULL},
    {"loss", 0, "LIST",
     "loss targets of the UDP rate search, smallest first: 0,0.1%,3% (0.1%; 5% is like VMTP)",
     OPTION_CALL, 0, 0, 0, 0, run_set_loss, NULL},
    {"flows", 0, "N", "parallel flows of TCP and UDP streams (1)", OPTION_COUNT, RUN(n_flows), 0, 1,
     FLOW_MAX_FLOWS, NULL, NULL},
    {"cc", 0, "NAME", "TCP congestion control (cubic)", TEXT(cc)},
    {"io", 0, "HOW",
     "TCP streams: app copies as an application does, lean leaves the copies out, one flow within "
     "a "
     "machine on one CPU (app)",
     OPTION_CALL, 0, 0, 0, 0, run_set_io, "app lean"},
    {"gso", 0, "N", "UDP datagrams of one send call as one: 1, N, auto (1)", OPTION_CALL, 0, 0, 0,
     0, run_set_gso, "1 auto"},
    {"cpu", 0, "HOW", "same: a flow's two ends on one CPU; spread: on two; N,M: sender's, other's",
     OPTION_CALL, 0, 0, 0, 0, run_set_cpu, "same spread"},
    {"spin", 0, NULL, "both ends of request/response wait spinning, not asleep", FLAG(spin)},
    {"mss", 'M', "BYTES", "TCP maximum segment size (the path's)", OPTION_COUNT, RUN(mss_bytes), 0,
     88, 32767, NULL, NULL},
    {"window", 'w', "BYTES", "socket buffers of both ends (TCP autotunes, UDP takes the largest)",
     OPTION_CALL, 0, 0, 0, 0, run_set_window, NULL},
    {"dscp", 0, "N", "DSCP of every packet, 0 to 63", OPTION_COUNT, RUN(dscp), 0, 0, 63, NULL,
     NULL},
    {"nodelay", 'N', NULL, "TCP_NODELAY on streams", FLAG(nodelay)},
    {"port", 0, "A[-B]", "data ports, of which the first free one is taken (5001-5031)",
     OPTION_CALL, 0, 0, 0, 0, run_set_port, NULL},
    {"no-preflight", 0, NULL, "do not try before the tests who reaches which port",
     FLAG(no_preflight)},
    {"ipv6", '6', NULL, "use the IPv6 addresses", FLAG(ipv6)},
    {"inter-node-only", 0, NULL, "leave out two VMs on one node", FLAG(inter_node_only)},
    {"same-network-only", 0, NULL, "leave out paths through the router between VMs",
     FLAG(same_network_only)},
    {"stop-on-error", 0, NULL, "the first failed scenario ends the run", FLAG(stop_on_error)},
    {"test-description", 0, "TEXT", "kept with the result", MAYBE_EMPTY(description)},
    {"driver", 0, "NAME",
     "what makes the endpoints: lab, or ssh: they are there (ssh with --host, --vm)", OPTION_CALL,
     0, 0, 0, 0, run_set_driver, "lab ssh"},
    {"host", 0, "HOST[,KEY=V…]",
     "measure between two hosts, the first is the server, or in one: [USER@]HOST[::IF], ssh://…, "
     "exec:COMMAND, netns:NAME, local; keys name=, addr=, if=",
     OPTION_EACH, 0, 0, 0, 0, run_set_host, NULL},
    {"vm", 0, "HOST[,KEY=V…]",
     "a VM that is there, as --host; by its keys node=, net= and floating= it stands in groups 1 "
     "to 6",
     OPTION_EACH, 0, 0, 0, 0, run_set_vm, NULL},
    {"external-host", 0, "HOST[,KEY=V…]", "a host outside, as --host: 8.1 and 8.2 with a --vm",
     OPTION_EACH, 0, 0, 0, 0, run_set_external, NULL},
    OPTIONS_SSH_ROWS(struct run_options, offsetof(struct run_flags, run), run_set_host_keys),
    {"agent", 0, "PATH", "the agent program; it is copied to hosts of SSH", TEXT(agent)},
    OPTIONS_MONITOR_ROW(run_set_monitor),
    {"nice", 0, "N", "priority of the agents, -20 to 19, where it is allowed (-10)", OPTION_CALL, 0,
     0, 0, 0, run_set_nice, NULL},
    {"controller-node", 0, "HOST",
     "the cloud's controller: its facts, OpenStack release, L2 agent (ssh://[USER@]HOST, HOST …)",
     OPTION_EACH, 0, 0, 0, 0, run_set_controller, NULL},
    {"node", 0, "HOST", "the same facts of another machine; repeatable", OPTION_EACH, 0, 0, 0, 0,
     run_set_node, NULL},
    SETTINGS_ROWS,
    {"rc", 'r', "FILE", "OpenStack's credentials: an openrc file, which is read and not run",
     CLOUD(rc)},
    {"os-cloud", 0, "NAME", "OpenStack's credentials: that cloud of clouds.yaml (OS_CLOUD)",
     CLOUD(cloud)},
    {"no-env", 0, NULL, "do not take OpenStack's credentials from OS_ variables", OPTION_FLAG,
     offsetof(struct run_flags, cloud.no_env), 0, 0, 0, NULL, NULL},
    OUTPUT_ROWS,
    {0},
};

void run_flags_default(struct run_flags *flags)
{
    *flags = (struct run_flags){.output = {.colour = "auto"}};
    run_options_default(&flags->run);
}

/* Credentials that were asked for are checked, though no driver of this version takes them. */
static int run_check_cloud(const struct run_flags *f, struct err *err)
{
    struct cloud_access access = {0};
    int r = f->cloud.rc[0] || f->cloud.cloud[0] ? cloud_access_find(&f->cloud, &access, err) : 0;

    cloud_access_done(&access);
    return r;
}

/* Places, and the driver that goes with them. */
static int run_flags_places(struct run_flags *f, struct err *err)
{
    bool ssh = strcmp(f->run.driver, driver_ssh.name) == 0;

    if (f->run.places.n && !f->driver_set)
        text_copy(f->run.driver, sizeof f->run.driver, driver_ssh.name);
    else if (f->run.places.n && !ssh)
        return err_say(err,
                       "--driver %s makes its own hosts and VMs: --host, --vm and "
                       "--external-host go with --driver ssh",
                       f->run.driver);
    else if (ssh && !f->run.places.n)
        return err_say(err, "--driver ssh measures what is there: --host or --vm names it");
    return places_complete(&f->run.places, err);
}

static int run_flags_finish(const struct command *command, struct run_flags *f)
{
    struct err err = {0};

    if (f->quick && f->time_set) {
        log_say(LOG_ERROR, "%s: --quick sets the time to 1 s: it does not go with --time",
                command->name);
        return EXIT_USAGE;
    }
    if (f->quick)
        run_options_quick(&f->run);
    if (f->run.group[0] || scenario_names_multicast(f->run.scenarios))
        f->run.protocols[PROTOCOL_MULTICAST] = true;
    if (run_flags_places(f, &err) < 0 || run_options_check(&f->run, &err) < 0 ||
        run_check_cloud(f, &err) < 0) {
        settings_blame(&f->settings, &err);
        log_say(LOG_ERROR, "%s: %s", command->name, err.text);
        return EXIT_USAGE;
    }
    return OPTIONS_GO_ON;
}

int run_flags_parse(const struct command *command, int argc, char **argv,
                    struct run_flags *ret_flags)
{
    char **args, unused[480];
    int n_args, code;

    run_flags_default(ret_flags);
    code = options_parse_settings(command, argc, argv, ret_flags, &ret_flags->settings, &args,
                                  &n_args);
    if (code == OPTIONS_GO_ON) {
        code = run_flags_finish(command, ret_flags);
        if (code != OPTIONS_GO_ON)
            settings_done(&ret_flags->settings);
    }
    if (code != OPTIONS_GO_ON) {
        run_options_done(&ret_flags->run);
        return code;
    }
    settings_unused(&ret_flags->settings, unused, sizeof unused);
    if ((ret_flags->cloud.rc[0] || ret_flags->cloud.cloud[0]) && !unused[0])
        snprintf(unused, sizeof unused,
                 "--%s: credentials are for the openstack driver, which this version has not",
                 ret_flags->cloud.rc[0] ? "rc" : "os-cloud");
    if (unused[0])
        log_say(LOG_WARN, "%s; the %s driver is used", unused, ret_flags->run.driver);
    return OPTIONS_GO_ON;
}
