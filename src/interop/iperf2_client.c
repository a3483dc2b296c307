/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "interop/foreign.h"
#include "interop/foreign_datagram.h"
#include "interop/iperf2_report.h"
#include "interop/iperf3_streams.h"
#include "interop/talk.h"
#include "traffic/udp_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    IPERF2_ENDS = 10,               /* copies of a flow's last datagram */
    IPERF2_END_NS = 250 * CLOCK_MS, /* from one to the next */
    IPERF2_CLOSE_S = 10,            /* TCP: what is in the buffers may take so long */
    IPERF2_READS = 16,              /* datagrams of one flow, before the others and the time */
};

struct iperf2_client {
    const struct flow_spec *spec;
    struct flow_trial trial;
    int stop_fd;
    struct foreign_side side;
    struct foreign_flow *flows;    /* owned; UDP */
    struct iperf2_report *reports; /* owned; UDP */
    int *fds;                      /* owned */
    struct engine *engine;         /* owned */
    bool refused;                  /* UDP: a datagram that says "end" was */
};

static int iperf2_open(struct iperf2_client *c, struct err *err)
{
    uint64_t deadline = clock_mono_ns() + c->spec->connect_ns;
    bool udp = c->spec->kind == FLOW_UDP_STREAM;
    int r = 0;

    for (uint32_t i = 0; i < c->spec->n_flows && r == 0; i++) {
        int flags;

        r = talk_connect(c->spec, udp ? SOCK_DGRAM : SOCK_STREAM, c->stop_fd, deadline, &c->fds[i],
                         err);
        if (r < 0)
            return err_wrap(err, r, "stream %u of %u", i + 1, c->spec->n_flows);
        if (udp && !c->spec->window_bytes)
            socket_send_buffer(c->fds[i], UDP_SEND_BUFFER);
        flags = fcntl(c->fds[i], F_GETFL);
        if (!udp && flags >= 0)
            fcntl(c->fds[i], F_SETFL, flags & ~O_NONBLOCK);
    }
    return r;
}

/* TCP: the server takes the first bytes for flags of a header; where they are 0 there is none, and it only counts. */
static int iperf2_header(struct iperf2_client *c, struct err *err)
{
    static const uint8_t zeros[IPERF2_TCP_HEADER_BYTES];
    int r = 0;

    for (uint32_t i = 0; i < c->spec->n_flows && r == 0; i++) {
        const struct talk talk = {c->fds[i], c->stop_fd};

        r = talk_send(&talk, zeros, sizeof zeros, clock_mono_ns() + c->spec->connect_ns, "a header",
                      err);
    }
    return r;
}

static size_t iperf2_end_bytes(const struct iperf2_client *c)
{
    return c->spec->payload_bytes < IPERF2_REPORT_BYTES ? c->spec->payload_bytes
                                                        : IPERF2_REPORT_BYTES;
}

/* The last datagram of each flow that has no answer yet. */
static void iperf2_say_end(struct iperf2_client *c)
{
    uint8_t bytes[IPERF2_REPORT_BYTES] = {0};

    for (uint32_t i = 0; i < c->spec->n_flows; i++) {
        struct foreign_datagram d = {.number = -(int64_t)(c->flows[i].total + 1),
                                     .departed_ns = clock_mono_ns()};

        if (c->flows[i].finished)
            continue;
        foreign_datagram_write(FOREIGN_IPERF2, &d, bytes);
        bytes[IPERF2_DATAGRAM_BYTES] = IPERF2_WIDE_NUMBERS >> 24;
        /* Refused or full: the next copy goes out later all the same. */
        if (send(c->engine->flows[i].fd, bytes, iperf2_end_bytes(c), MSG_DONTWAIT) < 0)
            c->refused |= errno == ECONNREFUSED;
    }
}

/* What answers; how many flows are still without. */
static uint32_t iperf2_take_reports(struct iperf2_client *c)
{
    uint32_t n_waiting = 0;

    for (uint32_t i = 0; i < c->spec->n_flows; i++) {
        uint8_t bytes[IPERF2_REPORT_BYTES];
        ssize_t n;

        for (int k = 0; k < IPERF2_READS && !c->flows[i].finished; k++) {
            n = recv(c->engine->flows[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
            if (n < 0) {
                c->refused |= errno == ECONNREFUSED;
                break;
            }
            c->flows[i].finished = iperf2_report_read(bytes, (size_t)n, &c->reports[i]);
        }
        n_waiting += !c->flows[i].finished;
    }
    return n_waiting;
}

static int iperf2_finish(struct iperf2_client *c, struct err *err)
{
    AUTO(free_p) struct pollfd *polls = calloc(c->spec->n_flows + 1, sizeof *polls);
    uint32_t n = c->spec->n_flows, n_waiting = n;

    if (!polls)
        return err_set(err, ENOMEM, "ending the streams");
    for (int round = 0; round < IPERF2_ENDS && n_waiting; round++) {
        uint64_t until = clock_mono_ns() + IPERF2_END_NS;

        iperf2_say_end(c);
        do {
            for (uint32_t i = 0; i < n; i++)
                polls[i] = (struct pollfd){.fd = c->flows[i].finished ? -1 : c->engine->flows[i].fd,
                                           .events = POLLIN};
            polls[n] = (struct pollfd){.fd = c->stop_fd, .events = POLLIN};
            poll(polls, n + 1, clock_ms_until(until));
            if (polls[n].revents)
                return err_set(err, ECANCELED, "the test was stopped");
            n_waiting = iperf2_take_reports(c);
        } while (n_waiting && clock_mono_ns() < until);
    }
    /* Between two of its sockets a server refuses for a moment; one that answers none of the flows is not there. */
    if (n_waiting == n && c->refused)
        return err_set(err, ECONNREFUSED, "nobody takes datagrams there");
    return n_waiting ? err_set(err, ETIMEDOUT, "it did not answer the end of %u of %u streams",
                               n_waiting, n)
                     : 0;
}

/* What the server counted, warm-up included: its protocol has none. */
static int iperf2_far(struct iperf2_client *c, struct flow_result *ret_part, struct err *err)
{
    struct flow_result out = {.n_flow_bytes = c->spec->n_flows};
    uint64_t bytes = 0, sent = 0, received = 0, reordered = 0;
    double jitter = 0, seconds = 0;

    out.flow_bytes = calloc(c->spec->n_flows, sizeof *out.flow_bytes);
    if (!out.flow_bytes)
        return err_set(err, ENOMEM, "the server's results");
    for (uint32_t i = 0; i < c->spec->n_flows; i++) {
        const struct iperf2_report *report = &c->reports[i];

        out.flow_bytes[i] = report->bytes;
        /* The datagram that says "end" is one more for it. */
        if (report->packets > c->flows[i].total && report->bytes >= iperf2_end_bytes(c))
            out.flow_bytes[i] -= iperf2_end_bytes(c);
        bytes += out.flow_bytes[i];
        sent += c->flows[i].total;
        received += report->packets > report->lost ? report->packets - report->lost : 0;
        reordered += report->reordered;
        jitter += report->jitter_ns;
        seconds = report->seconds > seconds ? report->seconds : seconds;
    }
    received = received < sent ? received : sent;
    metric_put(&out.metrics, METRIC_bytes, bytes);
    metric_put(&out.metrics, METRIC_packets, received);
    metric_put(&out.metrics, METRIC_reordered, reordered);
    iperf3_put_loss(&out.metrics, sent, received);
    metric_put_real(&out.metrics, METRIC_jitter_ns, jitter / c->spec->n_flows);
    if (seconds > 0) {
        metric_put_real(&out.metrics, METRIC_window_ns, seconds * 1e9);
        metric_put_real(&out.metrics, METRIC_throughput_bps, (double)bytes * 8 / seconds);
        metric_put_real(&out.metrics, METRIC_received_pps, (double)received / seconds);
    }
    *ret_part = out;
    return 0;
}

/*
 * TCP: nothing more from us, and then the server closes: all that was sent has been read there by then. It says nothing
 * about it, so what was sent and acknowledged, and when it closed, are its part; warm-up and all.
 */
static int iperf2_finish_tcp(struct iperf2_client *c, struct flow_result *ret_part, struct err *err)
{
    uint64_t deadline = clock_mono_ns() + IPERF2_CLOSE_S * (uint64_t)CLOCK_S, end = 0, bytes = 0;
    struct flow_result out = {.n_flow_bytes = c->spec->n_flows};
    struct err words = {0};
    int r = 0;

    out.flow_bytes = calloc(c->spec->n_flows, sizeof *out.flow_bytes);
    if (!out.flow_bytes)
        return err_set(err, ENOMEM, "the server's results");
    for (uint32_t i = 0; i < c->spec->n_flows; i++)
        shutdown(c->engine->flows[i].fd, SHUT_WR);
    for (uint32_t i = 0; i < c->spec->n_flows && r == 0; i++) {
        const struct talk talk = {c->engine->flows[i].fd, c->stop_fd};
        struct tcp_info info = {0};
        uint64_t arrived;
        char bytes_in[1024];
        ssize_t n;

        do {
            n = talk_take(&talk, bytes_in, sizeof bytes_in, deadline);
        } while (n > 0);
        if (n < 0 && n != -ECONNRESET)
            r = err_set(&words, (int)n, "waiting for the end of a stream");
        end = clock_mono_ns();
        getsockopt(talk.fd, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof info});
        arrived = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
        arrived = arrived < info.tcpi_bytes_acked ? arrived : info.tcpi_bytes_acked;
        if (arrived > IPERF2_TCP_HEADER_BYTES)
            out.flow_bytes[i] = arrived - IPERF2_TCP_HEADER_BYTES;
        bytes += out.flow_bytes[i];
    }
    if (r < 0) {
        flow_result_done(&out);
        if (err)
            *err = words;
        return r;
    }
    metric_put(&out.metrics, METRIC_window_ns, end - c->trial.start_ns);
    metric_put(&out.metrics, METRIC_bytes, bytes);
    metric_put_real(&out.metrics, METRIC_throughput_bps,
                    (double)bytes * 8e9 / (double)(end - c->trial.start_ns));
    *ret_part = out;
    return 0;
}

static int iperf2_move(struct iperf2_client *c, engine_interval_fn *on_interval, void *arg,
                       struct flow_result parts[FLOW_PART_COUNT], bool has[FLOW_PART_COUNT],
                       struct err *err)
{
    int r = c->flows ? engine_adopt_as(c->spec, &foreign_udp, &c->side, c->fds, c->stop_fd,
                                       &c->engine, err)
                     : engine_adopt(c->spec, c->fds, c->stop_fd, &c->engine, err);

    for (uint32_t i = 0; i < c->spec->n_flows; i++)
        c->fds[i] = -1; /* the engine's, also when it failed */
    if (r < 0)
        return r;
    c->trial.start_ns = clock_mono_ns() + CLOCK_MS;
    r = engine_run(c->engine, &c->trial, on_interval, arg, parts, has, err);
    if (r < 0)
        return r;
    if (c->flows)
        r = iperf2_finish(c, err);
    if (r == 0)
        r = c->flows ? iperf2_far(c, &parts[FLOW_FAR_RECEIVED], err)
                     : iperf2_finish_tcp(c, &parts[FLOW_FAR_RECEIVED], err);
    has[FLOW_FAR_RECEIVED] = r == 0;
    return r;
}

static bool iperf2_init(struct iperf2_client *c)
{
    uint32_t n = c->spec->n_flows;

    c->fds = malloc(n * sizeof *c->fds);
    if (!c->fds)
        return false;
    for (uint32_t i = 0; i < n; i++)
        c->fds[i] = -1;
    if (c->spec->kind != FLOW_UDP_STREAM)
        return true;
    c->side.flows = c->flows = calloc(n, sizeof *c->flows);
    c->reports = calloc(n, sizeof *c->reports);
    return c->flows && c->reports;
}

static void iperf2_done(struct iperf2_client *c)
{
    engine_close(c->engine);
    for (uint32_t i = 0; c->fds && i < c->spec->n_flows; i++)
        close_p(&c->fds[i]);
    free(c->fds);
    free(c->flows);
    free(c->reports);
}

int iperf2_client_run(const struct flow_spec *spec, const struct flow_trial *trial, int stop_fd,
                      engine_interval_fn *on_interval, void *arg,
                      struct flow_result ret_result[FLOW_PART_COUNT], bool ret_has[FLOW_PART_COUNT],
                      struct err *err)
{
    struct iperf2_client c = {
        .spec = spec, .trial = *trial, .stop_fd = stop_fd, .side = {.form = FOREIGN_IPERF2}};
    int r;

    c.trial.tail_ns = 0;
    if (!iperf2_init(&c)) {
        iperf2_done(&c);
        return err_set(err, ENOMEM, "preparing the test");
    }
    r = iperf2_open(&c, err);
    if (r == 0 && spec->kind != FLOW_UDP_STREAM)
        r = iperf2_header(&c, err);
    if (r == 0)
        r = iperf2_move(&c, on_interval, arg, ret_result, ret_has, err);
    iperf2_done(&c);
    return r;
}
