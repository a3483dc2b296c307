/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/tool_run.h"
#include "base/clock.h"
#include "base/text.h"
#include "model/ports.h"
#include "plan/tool_parse.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const tool_name[TOOL_COUNT] = {"", "nuttcp", "iperf"};

/* Where Debian has them. */
static const char *const tool_package[TOOL_COUNT] = {"", "nuttcp", "iperf"};

enum {
    TOOL_READY_S = 10,
    TOOL_OVERRUN_S = 20, /* the client's beyond its time; VMTP's */
    TOOL_SERVER_S = 3,   /* the server ends by itself after its client */
    TOOL_END_MS = 500,
    TOOL_SLICE_MS = 50, /* agents are served between */
    TOOL_WORDS = 32,
    TOOL_NUTTCP_FLOWS = 128,
};

/*
 * $1: the port on which the tool will listen, in hex as the kernel prints it, or "" for a client; $2 the state that says so;
 * $3 all ports that it will need, as "1389|138A"; then the tool's words. A port that is taken already would be mistaken for
 * the tool's, so it is looked for before.
 */
static const char tool_script[] =
    "port=$1 state=$2 all=$3; shift 3\n"
    "command -v \"$1\" >/dev/null 2>&1 || { echo 'vnperf-tool: missing'; exit 127; }\n"
    "listens() { cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null |\n"
    "    grep -qE \":($1) [0-9A-F]*:0000 $state \"; }\n"
    "if [ \"$port\" ] && listens \"$all\"; then echo 'vnperf-tool: taken'; exit 1; fi\n"
    "exec 3<&0\n"
    "\"$@\" 3<&- </dev/null 2>&1 & tool=$!\n"
    "{ read -r _ <&3; kill \"$tool\"; } >/dev/null 2>&1 & watch=$!\n"
    "if [ \"$port\" ]; then\n"
    "    until listens \"$port\" || ! kill -0 \"$tool\" 2>/dev/null; do sleep 0.02; done\n"
    "    if kill -0 \"$tool\" 2>/dev/null; then echo 'vnperf-tool: ready'; fi\n"
    "fi\n"
    "wait \"$tool\"; code=$?\n"
    "kill \"$watch\" 2>/dev/null\n"
    "printf '\\nvnperf-tool: ended with %s\\n' \"$code\"\n";

/* ---- command lines ---- */

struct tool_words {
    char word[TOOL_WORDS][FLOW_ADDRESS_SIZE];
    unsigned n;
};

static void tool_add(struct tool_words *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void tool_add(struct tool_words *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (w->n < TOOL_WORDS)
        vsnprintf(w->word[w->n++], sizeof w->word[0], fmt, ap);
    va_end(ap);
}

unsigned tool_control_port(enum tool tool, const struct measure_ask *ask)
{
    return tool == TOOL_NUTTCP ? ask->spec.port + ask->spec.n_flows : ask->spec.port;
}

static void tool_nuttcp(struct tool_words *w, const struct measure_ask *ask, const char *address,
                        bool server)
{
    const struct flow_spec *s = &ask->spec;
    bool udp = s->kind == FLOW_UDP_STREAM;

    tool_add(w, "nuttcp");
    if (server) {
        /* One client and it ends, in front and not as a daemon: nothing can stay behind. */
        tool_add(w, "-1");
        tool_add(w, "--nofork");
        tool_add(w, "--single-threaded");
    } else {
        tool_add(w, "-a");
        tool_add(w, "-T%llu", (unsigned long long)(ask->duration_ns / CLOCK_S));
        tool_add(w, "-l%u", s->payload_bytes);
    }
    if (strchr(address, ':'))
        tool_add(w, "-6");
    tool_add(w, "-P%u", tool_control_port(TOOL_NUTTCP, ask));
    if (server)
        return;
    tool_add(w, "-p%u", s->port);
    if (udp)
        tool_add(w, "-u");
    if (ask->rate_bps)
        tool_add(w, "-R%lluK", (unsigned long long)(ask->rate_bps / 1000));
    if (s->n_flows > 1)
        tool_add(w, "-N%u", s->n_flows);
    if (s->mss_bytes)
        tool_add(w, "-M%u", s->mss_bytes);
    if (s->window_bytes)
        tool_add(w, "-w%u", s->window_bytes / 1024);
    if (s->dscp)
        tool_add(w, "-c%u", s->dscp);
    if (s->nodelay)
        tool_add(w, "-D");
    if (s->direction == FLOW_REVERSE && !udp)
        tool_add(w, "-F");
    if (s->direction == FLOW_REVERSE)
        tool_add(w, "-r");
    tool_add(w, "-fparse");
    tool_add(w, "%s", address);
}

static void tool_iperf(struct tool_words *w, const struct measure_ask *ask, const char *address,
                       bool server)
{
    const struct flow_spec *s = &ask->spec;

    tool_add(w, "iperf");
    tool_add(w, server ? "-s" : "-c");
    if (!server)
        tool_add(w, "%s", address);
    tool_add(w, "-e");
    tool_add(w, "-f");
    tool_add(w, "k");
    tool_add(w, "-p");
    tool_add(w, "%u", s->port);
    /* Of a server: it ends after so many connections. */
    tool_add(w, "-P");
    tool_add(w, "%u", s->n_flows);
    if (s->kind == FLOW_UDP_STREAM)
        tool_add(w, "-u");
    if (strchr(address, ':'))
        tool_add(w, "-V");
    if (s->window_bytes) {
        tool_add(w, "-w");
        tool_add(w, "%u", s->window_bytes);
    }
    if (server)
        return;
    tool_add(w, "-t");
    tool_add(w, "%llu", (unsigned long long)(ask->duration_ns / CLOCK_S));
    tool_add(w, "-l");
    tool_add(w, "%u", s->payload_bytes);
    if (ask->rate_bps) {
        /* In bit/s, of each flow: iperf 2 takes K for 1024. */
        tool_add(w, "-b");
        tool_add(w, "%llu", (unsigned long long)(ask->rate_bps / s->n_flows));
    }
    if (s->mss_bytes) {
        tool_add(w, "-M");
        tool_add(w, "%u", s->mss_bytes);
    }
    if (s->dscp) {
        tool_add(w, "-S");
        tool_add(w, "%u", s->dscp << 2);
    }
    if (s->cc[0]) {
        tool_add(w, "-Z");
        tool_add(w, "%s", s->cc);
    }
    if (s->nodelay)
        tool_add(w, "-N");
    if (s->direction == FLOW_REVERSE)
        tool_add(w, "-R");
}

static struct tool_words tool_words(enum tool tool, const struct measure_ask *ask,
                                    const char *address, bool server)
{
    struct tool_words w = {.n = 0};

    (tool == TOOL_NUTTCP ? tool_nuttcp : tool_iperf)(&w, ask, address, server);
    return w;
}

void tool_say(enum tool tool, const struct measure_ask *ask, const char *address, bool server,
              char *ret, size_t size)
{
    struct tool_words w = tool_words(tool, ask, address, server);
    size_t used = 0;

    for (unsigned i = 0; i < w.n && used < size; i++)
        used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? " " : "", w.word[i]);
}

int tool_find(const char *name, enum tool *ret_tool, struct err *err)
{
    for (int tool = TOOL_NONE + 1; tool < TOOL_COUNT; tool++)
        if (strcmp(name, tool_name[tool]) == 0) {
            *ret_tool = (enum tool)tool;
            return 0;
        }
    return err_say(err, "'%.20s' is neither nuttcp nor iperf", name);
}

/* What is asked, and no tool of these can. */
static const char *tool_cannot(enum tool tool, const struct measure_ask *ask)
{
    const struct flow_spec *s = &ask->spec;
    bool udp = s->kind == FLOW_UDP_STREAM;

    if (s->kind != FLOW_TCP_STREAM && !udp)
        return "measures TCP and UDP streams alone";
    if (s->direction == FLOW_BOTH)
        return "goes one way at a time: no --bidir";
    if (ask->duration_ns % CLOCK_S || !ask->duration_ns)
        return "counts whole seconds: --time";
    if (udp && !ask->rate_bps)
        return "sends UDP at a given rate: --bandwidth";
    if (ask->rate_bps && ask->rate_bps / s->n_flows < 1000)
        return "takes no rate below 1 kbit/s a flow";
    if (s->io != FLOW_IO_APP)
        return "has no --io lean";
    if (s->imix || s->gso > 1)
        return "has no mix of sizes and no --gso";
    if (s->pin || ask->pin_server)
        return "has no --cpu here";
    if (s->bind[0])
        return "has no --bind here";
    if (tool == TOOL_NUTTCP && s->cc[0])
        return "has no --cc";
    if (tool == TOOL_NUTTCP && s->n_flows > TOOL_NUTTCP_FLOWS)
        return "has at most 128 flows";
    if (tool == TOOL_NUTTCP && udp && s->n_flows > 1)
        return "has one UDP flow";
    /* Debian 12's iperf 2.1.8: the server dies of parallel UDP flows, and reverse ones bring nothing. */
    if (tool == TOOL_IPERF && udp && (s->n_flows > 1 || s->direction == FLOW_REVERSE))
        return "sends one UDP flow, forward: name the ends the other way round";
    return NULL;
}

int tool_check(enum tool tool, const struct measure_ask *ask, struct err *err)
{
    const char *why = tool_cannot(tool, ask);

    return why ? err_say(err, "--tp-tool: %s %s", tool_name[tool], why) : 0;
}

/* ---- processes ---- */

struct tool_process {
    struct spawned spawned;
    bool server, started, ended;
    char output[TOOL_OUTPUT];
    size_t used;
};

/* Those on which the server will listen in the way that its first one does. */
static void tool_ports(enum tool tool, const struct measure_ask *ask, char *ret, size_t size)
{
    unsigned port = tool_control_port(tool, ask), first = port;
    size_t used = 0;

    if (ask->spec.kind == FLOW_TCP_STREAM)
        first = ask->spec.port;
    for (; first <= port && used < size; first++)
        used += (size_t)snprintf(ret + used, size - used, "%s%04X", used ? "|" : "", first);
}

static int tool_start(struct tool_process *p, const struct tool_ends *ends, enum tool tool,
                      const struct measure_ask *ask, const char *address, struct err *err)
{
    struct tool_words w = tool_words(tool, ask, address, p->server);
    bool udp = ask->spec.kind == FLOW_UDP_STREAM && tool == TOOL_IPERF;
    char port[8] = "", all[5 * (TOOL_NUTTCP_FLOWS + 1) + 1] = "",
         *argv[TOOL_WORDS + 8] = {(char *)"/bin/sh",
                                  (char *)"-c",
                                  (char *)tool_script,
                                  (char *)"vnperf-tool",
                                  port,
                                  (char *)(udp ? "07" : "0A"),
                                  all};
    unsigned control = tool_control_port(tool, ask);
    int r;

    if (p->server) {
        snprintf(port, sizeof port, "%04X", control);
        tool_ports(tool, ask, all, sizeof all);
    }
    for (unsigned i = 0; i < w.n; i++)
        argv[7 + i] = w.word[i];
    r = ends->spawn(ends->arg, p->server, argv, &p->spawned, err);
    if (r < 0)
        return err_wrap(err, r, "starting %s at %s", tool_name[tool],
                        p->server ? ends->server : ends->client);
    p->started = true;
    return 0;
}

/* What has come; the rest of what is too much is dropped. */
static void tool_read(struct tool_process *p)
{
    char buf[4096];
    ssize_t n = read(p->spawned.out_fd, buf, sizeof buf);
    size_t room = sizeof p->output - 1 - p->used, take;

    if (n <= 0) {
        p->ended = n == 0 || errno != EINTR;
        return;
    }
    take = (size_t)n < room ? (size_t)n : room;
    for (size_t i = 0; i < take; i++)
        p->output[p->used + i] = buf[i] ? buf[i] : '?';
    p->used += take;
    p->output[p->used] = 0;
}

static bool tool_is_ready(const struct tool_process *p)
{
    return p->ended || strstr(p->output, "vnperf-tool: ready\n");
}

/* Read all processes until `done` holds of p; the agents are served meanwhile. */
static int tool_wait(struct tool_process *const all[], unsigned n, const struct tool_process *p,
                     bool (*done)(const struct tool_process *), const struct measure_path *path,
                     uint64_t deadline_ns, struct err *err)
{
    while (!done(p)) {
        struct pollfd pfds[2];
        int r, ms = clock_ms_until(deadline_ns);

        for (unsigned i = 0; i < n; i++)
            pfds[i] = (struct pollfd){
                .fd = all[i]->started && !all[i]->ended ? all[i]->spawned.out_fd : -1,
                .events = POLLIN};
        r = poll(pfds, n, ms < TOOL_SLICE_MS ? ms : TOOL_SLICE_MS);
        for (unsigned i = 0; i < n && r > 0; i++)
            if (pfds[i].revents)
                tool_read(all[i]);
        r = peer_pump(path->set, clock_mono_ns(), err);
        if (r < 0)
            return r;
        if (!done(p) && clock_mono_ns() >= deadline_ns)
            return -ETIMEDOUT;
    }
    return 0;
}

static bool tool_has_ended(const struct tool_process *p) { return p->ended; }

/* A process that ended before it could do anything. */
static int tool_why(const struct tool_process *p, enum tool tool, const struct tool_ends *ends,
                    const struct measure_ask *ask, struct err *err)
{
    const char *where = p->server ? ends->server : ends->client;

    if (strstr(p->output, "vnperf-tool: missing\n")) {
        err_say(err, "%s is not installed at %s: Debian's package %s has it", tool_name[tool],
                where, tool_package[tool]);
        if (err)
            err->code = ENOPKG;
        return -ENOPKG;
    }
    if (strstr(p->output, "vnperf-tool: taken\n"))
        return err_set(err, EADDRINUSE, "port %u at %s, which %s needs",
                       tool_control_port(tool, ask), where, tool_name[tool]);
    return 0;
}

static int tool_processes(struct tool_process *server, struct tool_process *client, enum tool tool,
                          const struct tool_ends *ends, const struct measure_path *path,
                          const struct measure_ask *ask, struct err *err)
{
    struct tool_process *const all[] = {server, client};
    struct tool_report none = {0};
    uint64_t most_s = ask->duration_ns / CLOCK_S + TOOL_OVERRUN_S;
    int r = tool_start(server, ends, tool, ask, path->address, err);

    if (r == 0)
        r = tool_wait(all, 1, server, tool_is_ready, path,
                      clock_mono_ns() + (uint64_t)TOOL_READY_S * CLOCK_S, err);
    if (r == -ETIMEDOUT)
        return err_set(err, ETIMEDOUT, "waiting for the %s server at %s", tool_name[tool],
                       ends->server);
    if (r == 0)
        r = tool_why(server, tool, ends, ask, err);
    if (r == 0 && server->ended)
        return (tool == TOOL_NUTTCP ? tool_parse_nuttcp : tool_parse_iperf)(server->output, &none,
                                                                            err);
    if (r == 0)
        r = tool_start(client, ends, tool, ask, path->address, err);
    if (r == 0)
        r = tool_wait(all, 2, client, tool_has_ended, path, clock_mono_ns() + most_s * CLOCK_S,
                      err);
    if (r == -ETIMEDOUT)
        return err_set(err, ETIMEDOUT, "%s at %s did not end within %llu s", tool_name[tool],
                       ends->client, (unsigned long long)most_s);
    if (r == 0)
        r = tool_why(client, tool, ends, ask, err);
    if (r == 0)
        r = tool_wait(all, 2, server, tool_has_ended, path,
                      clock_mono_ns() + (uint64_t)TOOL_SERVER_S * CLOCK_S, err);
    /* A server that goes on has not had its client; what the client said tells more. */
    return r == -ETIMEDOUT ? 0 : r;
}

/* ---- results ---- */

static void tool_put_end(struct metric_set *set, const struct tool_report *t)
{
    metric_put(set, METRIC_window_ns, t->window_ns);
    metric_put(set, METRIC_bytes, t->bytes);
}

/* sender and receiver are one where the tool has one report of both. */
static void tool_put(struct measurement *m, const struct measure_ask *ask,
                     const struct tool_report *sender, const struct tool_report *receiver)
{
    struct metric_set *h = &m->headline;
    double s = (double)receiver->window_ns / 1e9;

    if (sender != receiver)
        tool_put_end(&m->sender.metrics, sender);
    if (sender != receiver && m->kind == FLOW_UDP_STREAM)
        metric_put_real(h, METRIC_offered_bps, sender->bps);
    tool_put_end(&m->receiver.metrics, receiver);
    metric_put(h, METRIC_window_ns, receiver->window_ns);
    metric_put_real(h, METRIC_throughput_bps, receiver->bps);
    metric_put_real(&m->receiver.metrics, METRIC_throughput_bps, receiver->bps);
    if (ask->rate_bps)
        metric_put(h, METRIC_requested_bps, ask->rate_bps);
    if (sender->has_retransmits)
        metric_put(h, METRIC_retransmits, sender->retransmits);
    if (receiver->has_jitter)
        metric_put_real(h, METRIC_jitter_ns, receiver->jitter_ns);
    if (!receiver->has_loss)
        return;
    metric_put(h, METRIC_sent, receiver->packets);
    metric_put(h, METRIC_received, receiver->packets - receiver->lost);
    metric_put(h, METRIC_lost, receiver->lost);
    if (receiver->packets)
        metric_put_real(h, METRIC_loss_share, (double)receiver->lost / (double)receiver->packets);
    if (s <= 0)
        return;
    metric_put_real(h, METRIC_offered_pps, (double)receiver->packets / s);
    metric_put_real(h, METRIC_received_pps, (double)(receiver->packets - receiver->lost) / s);
    if (sender == receiver)
        metric_put_real(h, METRIC_offered_bps,
                        (double)receiver->packets * 8 * m->payload_bytes / s);
}

/* nuttcp's client prints what the receiver counted; of iperf each end prints its own. */
static int tool_take(struct measurement *m, enum tool tool, const struct measure_ask *ask,
                     const char *client, const char *server, struct err *err)
{
    struct tool_report c = {0}, s = {0};
    int r;

    if (tool == TOOL_NUTTCP) {
        r = tool_parse_nuttcp(client, &c, err);
    } else {
        r = tool_parse_iperf(client, &c, err);
        if (r == 0)
            r = tool_parse_iperf(server, &s, err);
    }
    if (r < 0)
        return r;
    if (tool == TOOL_NUTTCP)
        tool_put(m, ask, &c, &c);
    else if (ask->spec.direction == FLOW_REVERSE)
        tool_put(m, ask, &s, &c);
    else
        tool_put(m, ask, &c, &s);
    if (metric_get_real(&m->headline, METRIC_throughput_bps) > 0)
        return 0;
    err_say(err, "nothing arrived");
    if (err)
        err->code = ENODATA;
    return -ENODATA;
}

/* One test on the ports that ask begins with. */
static int tool_test(struct measurement *m, enum tool tool, const struct tool_ends *ends,
                     const struct measure_path *path, const struct measure_ask *ask,
                     struct err *err)
{
    struct tool_process *processes = calloc(2, sizeof *processes), *server, *client;
    int r;

    if (!processes)
        return err_set(err, ENOMEM, "memory for a measurement");
    server = &processes[0];
    client = &processes[1];
    server->server = true;
    r = tool_processes(server, client, tool, ends, path, ask, err);
    if (r == 0)
        r = tool_take(m, tool, ask, client->output, server->output, err);
    /* The client first: a server whose client is gone has nothing to say. */
    if (client->started)
        spawned_end(&client->spawned, (uint64_t)TOOL_END_MS * CLOCK_MS);
    if (server->started)
        spawned_end(&server->spawned, (uint64_t)TOOL_END_MS * CLOCK_MS);
    free(processes);
    return r;
}

/* All ports from which the test could begin were taken; a single one has a sentence of its own. */
static int tool_none_free(enum tool tool, const struct tool_ends *ends,
                          const struct flow_spec *spec, struct err *err)
{
    char ports[PORTS_TEXT_SIZE];

    if (spec->port_last > spec->port) {
        ports_say(spec->port, spec->port_last, ports);
        err_say(err, "%s: all of TCP and UDP %s that %s could use are taken (--port names others)",
                ends->server, ports, tool_name[tool]);
        if (err)
            err->code = EADDRINUSE;
    }
    return -EADDRINUSE;
}

int tool_measure(enum tool tool, const struct tool_ends *ends, const struct measure_path *path,
                 const struct measure_ask *asked, struct scenario_result *scenario, struct err *err)
{
    struct measurement *m = scenario_result_add(scenario);
    struct measure_ask with = *asked, *ask = &with;
    unsigned last = ask->spec.port_last;
    int r;

    if (!m)
        return err_set(err, ENOMEM, "memory for a measurement");
    m->kind = ask->spec.kind;
    m->reverse = ask->spec.direction == FLOW_REVERSE;
    m->payload_bytes = ask->spec.payload_bytes;
    m->n_flows = ask->spec.n_flows;
    m->port = ask->spec.port;
    text_copy(m->tool, sizeof m->tool, tool_name[tool]);
    text_copy(m->sender.congestion_control, sizeof m->sender.congestion_control, ask->spec.cc);
    snprintf(m->limit_reason, sizeof m->limit_reason, "%s does not tell", tool_name[tool]);
    r = tool_check(tool, ask, err);
    if (r == 0)
        r = tool_test(m, tool, ends, path, ask, err);
    /* Of a taken port no more is known than of the next one. */
    while (r == -EADDRINUSE && tool_control_port(tool, ask) < last) {
        m->port = ++ask->spec.port;
        r = tool_test(m, tool, ends, path, ask, err);
    }
    if (r == -EADDRINUSE)
        r = tool_none_free(tool, ends, &asked->spec, err);
    if (r < 0 && err)
        snprintf(m->error, sizeof m->error, "%.*s", (int)sizeof m->error - 1, err->text);
    return r;
}
