/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/interrupt.h"
#include "interop/iperf2_report.h"
#include "interop/iperf3_message.h"
#include "interop/serve.h"
#include "traffic/stamp_reflect.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

/* So long a line waits for its reader. */
enum { SERVE_WRITE_NS = CLOCK_S };

struct serve_flags {
    struct serve_options options;
    uint32_t port, iperf2_port, stamp_port;
    bool iperf2, stamp, ndjson;
    /* One thread reports at a time. */
    uint64_t n_dropped;
    bool stuck;  /* the last line found no reader */
    bool broken; /* a part of it is out */
};

static int serve_set_bind(void *target, const char *value, struct err *err)
{
    struct serve_flags *f = target;

    if (text_address(value, NULL) < 0 && if_nametoindex(value) == 0)
        return err_say(err, "'%.60s' is neither an address nor an interface of this machine",
                       value);
    if (!text_copy(f->options.bind, sizeof f->options.bind, value))
        return err_say(err, "'%.60s' is too long", value);
    return 0;
}

static int serve_set_allow(void *target, const char *value, struct err *err)
{
    struct serve_flags *f = target;

    if (f->options.n_nets == SERVE_MAX_NETS)
        return err_say(err, "more than %d networks", SERVE_MAX_NETS);
    return serve_net_parse(value, &f->options.nets[f->options.n_nets++], err);
}

static int serve_set_output(void *target, const char *value, struct err *err)
{
    struct serve_flags *f = target;

    f->ndjson = strcmp(value, "ndjson") == 0;
    if (!f->ndjson && strcmp(value, "text") != 0)
        return err_say(err, "'%.40s' is neither text nor ndjson", value);
    return 0;
}

#define SERVE(field) offsetof(struct serve_flags, field)

static const struct option_row serve_rows[] = {
    {"port", 'p', "PORT", "for iperf3 clients, TCP and UDP (5201)", OPTION_COUNT, SERVE(port), 0, 1,
     65535, NULL, NULL},
    {"bind", 'B', "ADDR|IF", "listen on this address or interface only", OPTION_CALL, 0, 0, 0, 0,
     serve_set_bind, NULL},
    {"allow", 0, "NET", "take clients of this network only, as 10.0.0.0/8; may be repeated",
     OPTION_CALL, 0, 0, 0, 0, serve_set_allow, NULL},
    {"iperf2", 0, NULL, "take iperf 2 clients too, TCP and UDP", OPTION_FLAG, SERVE(iperf2), 0, 0,
     0, NULL, NULL},
    {"iperf2-port", 0, "PORT", "for them (5001)", OPTION_COUNT, SERVE(iperf2_port), 0, 1, 65535,
     NULL, NULL},
    {"stamp", 0, NULL, "reflect STAMP and TWAMP light packets (RFC 8762)", OPTION_FLAG,
     SERVE(stamp), 0, 0, 0, NULL, NULL},
    {"stamp-port", 0, "PORT", "for them (862)", OPTION_COUNT, SERVE(stamp_port), 0, 1, 65535, NULL,
     NULL},
    {"one", '1', NULL, "end after the first test", OPTION_FLAG, SERVE(options.one), 0, 0, 0, NULL,
     NULL},
    {"idle", 0, "TIME", "end a test in which nothing moves for so long (120 s); 0 never",
     OPTION_TIME, SERVE(options.idle_ns), 0, 0, 0, NULL, NULL},
    {"max-clients", 0, "N", "tests at a time; more are told to wait (64)", OPTION_COUNT,
     SERVE(options.max_clients), 0, 1, SERVE_MAX_CLIENTS, NULL, NULL},
    {"output", 'o', "FORMAT", "a line for each test: text, or ndjson", OPTION_CALL, 0, 0, 0, 0,
     serve_set_output, "text ndjson"},
    {0},
};

/* "received 1.2 GB in 10.0 s, 9.41 Gbit/s". */
static void serve_print_way(FILE *out, const char *way, uint64_t bytes, double seconds)
{
    char rate[TEXT_SHORT], size[TEXT_SHORT];

    fprintf(out, "  %s %s in %.2f s, %s", way, text_show_size(bytes, size), seconds,
            text_show_rate(seconds > 0 ? (double)bytes * 8 / seconds : 0, rate));
}

static void serve_print_text(FILE *out, const struct serve_report *r)
{
    uint64_t all = r->received_packets + r->lost_packets;
    char jitter[TEXT_SHORT];

    fprintf(out, "%s  %s port %u  %s %u flow%s", r->tool, r->client, r->client_port,
            r->udp ? "UDP" : "TCP", r->n_flows, r->n_flows == 1 ? "" : "s");
    if (r->direction & FLOW_FORWARD)
        serve_print_way(out, "received", r->received_bytes, r->received_s);
    if (r->direction & FLOW_FORWARD && r->udp)
        fprintf(out, ", lost %llu of %llu, jitter %s", (unsigned long long)r->lost_packets,
                (unsigned long long)all, text_show_time(r->jitter_ns, jitter));
    if (r->direction & FLOW_REVERSE)
        serve_print_way(out, "sent", r->sent_bytes, r->sent_s);
    if (r->direction & FLOW_REVERSE && !r->udp)
        fprintf(out, ", %llu retransmits", (unsigned long long)r->retransmits);
    if (r->error)
        fprintf(out, "  ended early: %s", r->what);
    fprintf(out, "\n");
}

/* What the report has of one direction; NULL when it went the other way only. */
static json_t *serve_json_way(const struct serve_report *r, enum flow_direction way)
{
    bool received = way == FLOW_FORWARD;
    double seconds = received ? r->received_s : r->sent_s;
    uint64_t bytes = received ? r->received_bytes : r->sent_bytes;
    json_t *o;

    if (!(r->direction & way))
        return NULL;
    o = json_pack("{s:I, s:f, s:f}", "bytes", (json_int_t)bytes, "window_s", seconds,
                  received ? "throughput_bps" : "offered_bps",
                  seconds > 0 ? (double)bytes * 8 / seconds : 0.0);
    if (r->udp)
        json_object_set_new(
            o, "packets",
            json_integer((json_int_t)(received ? r->received_packets : r->sent_packets)));
    if (r->udp && received) {
        json_object_set_new(o, "lost", json_integer((json_int_t)r->lost_packets));
        json_object_set_new(o, "jitter_ns", json_real(r->jitter_ns));
    }
    if (!r->udp && !received)
        json_object_set_new(o, "retransmits", json_integer((json_int_t)r->retransmits));
    return o;
}

static void serve_print_json(FILE *out, const struct serve_report *r)
{
    char ended[CLOCK_RFC3339_SIZE];
    json_t *o;

    clock_rfc3339(clock_wall_ns(), ended);
    o = json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:o*, s:o*, s:s*}", "ended", ended, "tool",
                  r->tool, "client", r->client, "client_port", (int)r->client_port, "protocol",
                  r->udp ? "udp" : "tcp", "flows", (int)r->n_flows, "received",
                  serve_json_way(r, FLOW_FORWARD), "sent", serve_json_way(r, FLOW_REVERSE), "error",
                  r->error ? r->what : NULL);
    if (o && json_dumpf(o, out, JSON_COMPACT) == 0)
        fprintf(out, "\n");
    json_decref(o);
}

static bool serve_takes(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, timeout_ms) > 0 && (p.revents & POLLOUT);
}

/* A pipe that nobody reads must not stop the server: neither that of the lines nor that of these words. */
__attribute__((format(printf, 1, 0))) static void serve_warn(const char *text, uint64_t n)
{
    if (serve_takes(STDERR_FILENO, 0))
        log_say(LOG_WARN, text, (unsigned long long)n);
}

/*
 * A line is shorter than PIPE_BUF, so that a pipe with room takes it without blocking. False: it did not go out. Only
 * the first of several waits for the reader.
 */
static bool serve_write(struct serve_flags *f, const char *text, size_t n)
{
    uint64_t deadline = clock_mono_ns() + (f->stuck ? 0 : SERVE_WRITE_NS);

    while (n > 0) {
        ssize_t wrote;

        if (!serve_takes(STDOUT_FILENO, clock_ms_until(deadline)))
            return false;
        wrote = write(STDOUT_FILENO, text, n);
        if (wrote < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (wrote > 0) {
            f->broken = true;
            text += wrote;
            n -= (size_t)wrote;
        }
    }
    f->broken = false;
    return true;
}

static void serve_put_line(struct serve_flags *f, const char *text, size_t n)
{
    if (f->broken && !serve_write(f, "\n", 1))
        n = 0;
    if (n && serve_write(f, text, n)) {
        f->stuck = false;
        return;
    }
    f->n_dropped++;
    if (!f->stuck)
        serve_warn("standard output takes no more lines: they are dropped, %llu so far",
                   f->n_dropped);
    f->stuck = true;
}

static void serve_on_report(void *arg, const struct serve_report *report)
{
    struct serve_flags *f = arg;
    char *text = NULL;
    size_t n = 0;
    FILE *out;

    /* Without a stream there was no test, whoever knocked. */
    if (report->n_flows == 0) {
        if (serve_takes(STDERR_FILENO, 0))
            log_say(LOG_WARN, "%s port %u: %s", report->client, report->client_port, report->what);
        return;
    }
    out = open_memstream(&text, &n);
    if (out && f->ndjson)
        serve_print_json(out, report);
    else if (out)
        serve_print_text(out, report);
    if (out && fclose(out) != 0)
        n = 0;
    serve_put_line(f, text, n);
    free(text);
}

static void serve_announce(const struct serve_options *o)
{
    char ports[160];
    int n = snprintf(ports, sizeof ports, "iperf3 on port %u", o->iperf3_port);

    if (o->iperf2_port)
        n += snprintf(ports + n, sizeof ports - (size_t)n, ", iperf 2 on %u", o->iperf2_port);
    if (o->stamp_port)
        snprintf(ports + n, sizeof ports - (size_t)n, ", STAMP on %u", o->stamp_port);
    log_say(LOG_INFO, "serving %s; %s may use it: these protocols ask for no token", ports,
            o->n_nets    ? "whoever is of an allowed network"
            : o->bind[0] ? "whoever reaches that address"
                         : "whoever reaches this machine");
}

static int serve_run_command(const struct command *command, int argc, char **argv)
{
    struct serve_flags f = {.port = IPERF3_PORT,
                            .options = {.idle_ns = 120 * (uint64_t)CLOCK_S, .max_clients = 64}};
    struct serve *serve = NULL;
    struct err err = {0};
    char **args;
    int n, r, stop_fd, signal_number, code = options_parse(command, argc, argv, &f, &args, &n);

    if (code != OPTIONS_GO_ON)
        return code;
    f.options.iperf3_port = (uint16_t)f.port;
    if (f.iperf2 || f.iperf2_port)
        f.options.iperf2_port = (uint16_t)(f.iperf2_port ? f.iperf2_port : IPERF2_PORT);
    if (f.stamp || f.stamp_port)
        f.options.stamp_port = (uint16_t)(f.stamp_port ? f.stamp_port : STAMP_REFLECT_PORT);
    stop_fd = interrupt_open(&err);
    r = stop_fd < 0 ? stop_fd : serve_open(&f.options, serve_on_report, &f, &serve, &err);
    if (r < 0) {
        log_say(LOG_ERROR, "%s", err.text);
        return EXIT_ENVIRONMENT;
    }
    serve_announce(&f.options);
    r = serve_run(serve, stop_fd, &err);
    serve_close(serve);
    if (f.n_dropped)
        serve_warn("%llu lines of tests were dropped: standard output did not take them",
                   f.n_dropped);
    signal_number = interrupt_taken(stop_fd);
    if (r < 0) {
        log_say(LOG_ERROR, "%s", err.text);
        return EXIT_FAILED;
    }
    return signal_number ? EXIT_SIGNAL + signal_number : EXIT_OK;
}

const struct command cmd_serve = {
    .name = "serve",
    .summary = "be the server of iperf3 clients, of iperf 2 clients and of STAMP senders",
    .args = "",
    .examples = "  vnperf serve                      # then elsewhere: iperf3 -c HOST, or\n"
                "                                    # vnperf test local iperf3://HOST\n"
                "  vnperf serve --bind 10.0.0.2 --iperf2 --stamp -o ndjson\n",
    .rows = serve_rows,
    .run = serve_run_command,
};
