/* SPDX-License-Identifier: Apache-2.0 */
#include "interop/iperf3_streams.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/stat.h"
#include "base/text.h"
#include "interop/json_read.h"
#include "interop/talk.h"
#include "traffic/stamp.h"
#include "traffic/udp_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    IPERF3_AGAIN_NS = 250 * CLOCK_MS, /* from one request for a UDP stream to the next */
    IPERF3_REPLY_BYTES = 4,
};

int iperf3_open_tcp(const struct flow_spec *spec, const char cookie[IPERF3_COOKIE], int stop_fd,
                    uint64_t deadline_ns, int *ret_fd, struct err *err)
{
    AUTO(close_p) int fd = -1;
    int flags, r = talk_connect(spec, SOCK_STREAM, stop_fd, deadline_ns, &fd, err);
    struct talk talk = {fd, stop_fd};

    if (r == 0)
        r = talk_send(&talk, cookie, IPERF3_COOKIE, deadline_ns, "a stream's cookie", err);
    if (r < 0)
        return r;
    /* As the engine's own are: a worker with one flow blocks in its calls. */
    flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Requests until the server answers: neither may get lost for good. */
static int iperf3_request(int fd, int stop_fd, uint64_t deadline_ns, struct err *err)
{
    struct talk talk = {fd, stop_fd};
    uint8_t reply[IPERF3_REPLY_BYTES + 1];
    ssize_t n = 0;

    while (clock_mono_ns() < deadline_ns) {
        uint64_t until = clock_mono_ns() + IPERF3_AGAIN_NS;
        int r = 0;

        /* A refusal of the one before may stand in its way; the next goes out again. */
        if (send(fd, "9876", IPERF3_REPLY_BYTES, MSG_DONTWAIT) < 0 && errno != ECONNREFUSED &&
            errno != EAGAIN)
            return err_set(err, errno, "asking for a UDP stream");
        for (until = until < deadline_ns ? until : deadline_ns; r == 0;) {
            struct pollfd p[2] = {{.fd = talk.stop_fd, .events = POLLIN},
                                  {.fd = fd, .events = POLLIN}};

            if (clock_mono_ns() >= until)
                break;
            if (poll(p, 2, clock_ms_until(until)) < 0 && errno != EINTR)
                return err_set(err, errno, "waiting for a UDP stream");
            if (p[0].revents)
                return err_set(err, ECANCELED, "opening a UDP stream");
            if (!p[1].revents)
                continue;
            /* In reverse, data may overtake the reply: then the stream is there all the same. */
            n = recv(fd, reply, sizeof reply, MSG_DONTWAIT | MSG_TRUNC);
            if (n >= IPERF3_REPLY_BYTES)
                return 0;
            if (n < 0 && errno == ECONNREFUSED)
                clock_sleep_until(clock_mono_ns() + 10 * CLOCK_MS);
        }
    }
    return err_set(err, ETIMEDOUT, "it does not answer the request for a UDP stream");
}

int iperf3_open_udp(const struct flow_spec *spec, int stop_fd, uint64_t deadline_ns, int *ret_fd,
                    struct err *err)
{
    AUTO(close_p) int fd = -1;
    int r = talk_connect(spec, SOCK_DGRAM, stop_fd, deadline_ns, &fd, err);

    if (r < 0)
        return r;
    if (!spec->window_bytes) {
        socket_receive_buffer(fd, UDP_RECEIVE_BUFFER);
        socket_send_buffer(fd, UDP_SEND_BUFFER);
    }
    r = stamp_enable(fd);
    if (r < 0)
        return err_set(err, r, "asking for the kernel's receive stamps");
    r = iperf3_request(fd, stop_fd, deadline_ns, err);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

void iperf3_results_make(const struct engine *engine, const struct foreign_flow *flows,
                         const struct flow_result parts[FLOW_PART_COUNT],
                         struct iperf3_results *ret_results)
{
    uint32_t next[FLOW_PART_COUNT] = {0};
    uint64_t window_ns = 0, cpu = 0, user = 0;
    bool udp = engine->spec.kind == FLOW_UDP_STREAM;

    *ret_results = (struct iperf3_results){.has_retransmits = -1, .n_streams = engine->n_flows};
    for (int part = FLOW_SENT; part <= FLOW_RECEIVED; part++) {
        const struct metric_set *m = &parts[part].metrics;
        uint64_t window = metric_get(m, METRIC_window_ns);

        window_ns = window > window_ns ? window : window_ns;
        cpu += metric_get(m, METRIC_cpu_ns);
        user += metric_get(m, METRIC_cpu_user_ns);
        if (parts[part].congestion_control[0])
            text_copy(ret_results->congestion, sizeof ret_results->congestion,
                      parts[part].congestion_control);
    }
    if (window_ns) {
        ret_results->cpu_total = 100.0 * (double)cpu / (double)window_ns;
        ret_results->cpu_user = 100.0 * (double)user / (double)window_ns;
        ret_results->cpu_system = ret_results->cpu_total - ret_results->cpu_user;
    }
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        const struct flow *flow = &engine->flows[i];
        const struct flow_result *part = &parts[flow->sends ? FLOW_SENT : FLOW_RECEIVED];
        uint32_t k = next[flow->sends ? FLOW_SENT : FLOW_RECEIVED]++;
        struct iperf3_stream *s = &ret_results->streams[i];

        *s = (struct iperf3_stream){.id = iperf3_stream_id(i),
                                    .retransmits = -1,
                                    .end_s =
                                        (double)metric_get(&part->metrics, METRIC_window_ns) / 1e9};
        if (k < part->n_flow_bytes)
            s->bytes = (double)part->flow_bytes[k];
        if (flow->sends)
            ret_results->has_retransmits = udp ? 0 : 1;
        if (flow->sends && !udp)
            s->retransmits = flows ? (double)flows[i].retransmits
                                   : (double)metric_get(&flow->metrics, METRIC_retransmits);
        if (!flows)
            continue;
        s->bytes = (double)flows[i].bytes;
        s->end_s = flows[i].end_ns > flows[i].begin_ns
                       ? (double)(flows[i].end_ns - flows[i].begin_ns) / 1e9
                       : 0;
        s->omitted_errors = s->omitted_packets = -1;
        if (!udp)
            continue;
        s->omitted_errors = 0;
        s->packets = (double)flows[i].total;
        s->omitted_packets = (double)flows[i].omitted;
        s->errors = (double)flows[i].lost;
        s->jitter_s = flows[i].jitter_ns / 1e9;
    }
}

void iperf3_put_loss(struct metric_set *m, uint64_t sent, uint64_t received)
{
    uint64_t lost = sent > received ? sent - received : 0;

    metric_put(m, METRIC_sent, sent);
    metric_put(m, METRIC_received, received);
    metric_put(m, METRIC_lost, lost);
    if (sent) {
        struct stat_interval likely = stat_share_interval(lost, sent);

        metric_put_real(m, METRIC_loss_share, (double)lost / (double)sent);
        metric_put_real(m, METRIC_loss_low_share, likely.low);
        metric_put_real(m, METRIC_loss_high_share, likely.high);
    }
}

/* Sums over the streams of one direction. */
struct iperf3_sum {
    uint32_t n;
    double bytes, retransmits, jitter_s, end_s;
    uint64_t sent, received;
};

/*
 * Datagrams of a forward stream, less those that the server left out as warm-up: by its count and not by ours, which ends
 * a little earlier or later. One that does not tell has counted them all.
 */
static void iperf3_add_forward(struct iperf3_sum *sum, const struct foreign_flow *flow,
                               const struct iperf3_stream *s)
{
    bool told = s->omitted_packets >= 0 && s->omitted_errors >= 0;
    double packets = s->packets - (told ? s->omitted_packets : 0),
           lost = s->errors - (told ? s->omitted_errors : 0);
    uint64_t omitted = told ? json_count(s->omitted_packets) : 0;

    sum->sent += flow->total > omitted ? flow->total - omitted : 0;
    sum->received += json_count(packets - (lost > 0 ? lost : 0));
}

static int iperf3_add_up(const struct engine *engine, const struct foreign_flow *flows,
                         const struct iperf3_results *results, bool forward, struct iperf3_sum *sum,
                         struct flow_result *out, struct err *err)
{
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        const struct iperf3_stream *s = iperf3_results_find(results, iperf3_stream_id(i));

        if (engine->flows[i].sends != forward)
            continue;
        if (!s)
            return err_set(err, EBADMSG, "the peer's results lack stream %d", iperf3_stream_id(i));
        out->flow_bytes[sum->n++] = json_count(s->bytes);
        sum->bytes += s->bytes > 0 ? s->bytes : 0;
        sum->retransmits += s->retransmits;
        sum->jitter_s += s->jitter_s;
        sum->end_s = s->end_s > sum->end_s ? s->end_s : sum->end_s;
        if (flows && forward)
            iperf3_add_forward(sum, &flows[i], s);
        else
            sum->sent += json_count(s->packets - (s->omitted_packets > 0 ? s->omitted_packets : 0));
    }
    out->n_flow_bytes = sum->n;
    return 0;
}

/* The whole process's, which has no other work; in percent of one CPU. */
static void iperf3_put_cpu(const struct iperf3_results *results, double seconds, double bytes,
                           struct metric_set *m)
{
    if (results->cpu_total <= 0 || seconds <= 0)
        return;
    metric_put_real(m, METRIC_cpu_ns, results->cpu_total / 100 * seconds * 1e9);
    metric_put_real(m, METRIC_cpu_user_ns, results->cpu_user / 100 * seconds * 1e9);
    metric_put_real(m, METRIC_cpu_system_ns, results->cpu_system / 100 * seconds * 1e9);
    if (bytes > 0)
        metric_put_real(m, METRIC_cpu_s_per_gb, results->cpu_total / 100 * seconds / bytes * 1e9);
}

int iperf3_far_part(const struct engine *engine, const struct foreign_flow *flows,
                    const struct iperf3_results *results, enum flow_part part, uint64_t late_ns,
                    struct flow_result *ret_result, struct err *err)
{
    bool forward = part == FLOW_FAR_RECEIVED;
    struct flow_result out = {0};
    struct metric_set *m = &out.metrics;
    struct iperf3_sum sum = {0};
    double seconds;
    int r;

    out.flow_bytes = calloc(engine->n_flows, sizeof *out.flow_bytes);
    r = out.flow_bytes ? iperf3_add_up(engine, flows, results, forward, &sum, &out, err)
                       : err_set(err, ENOMEM, "the peer's results");
    if (r < 0) {
        flow_result_done(&out);
        return r;
    }
    /* Its clock ran on while the last datagrams were given time to arrive. */
    seconds = sum.end_s - (forward && flows ? (double)late_ns / 1e9 : 0);
    metric_put(m, METRIC_bytes, json_count(sum.bytes));
    if (seconds > 0) {
        metric_put_real(m, METRIC_window_ns, seconds * 1e9);
        metric_put_real(m, forward ? METRIC_throughput_bps : METRIC_offered_bps,
                        sum.bytes * 8 / seconds);
    }
    if (flows && forward) {
        iperf3_put_loss(m, sum.sent, sum.received);
        metric_put(m, METRIC_packets, sum.received);
        metric_put_real(m, METRIC_jitter_ns, sum.jitter_s / sum.n * 1e9);
        if (seconds > 0)
            metric_put_real(m, METRIC_received_pps, (double)sum.received / seconds);
    } else if (flows) {
        metric_put(m, METRIC_sent, sum.sent);
        metric_put(m, METRIC_packets, sum.sent);
        if (seconds > 0)
            metric_put_real(m, METRIC_offered_pps, (double)sum.sent / seconds);
    } else if (!forward && results->has_retransmits == 1) {
        metric_put(m, METRIC_retransmits, json_count(sum.retransmits));
    }
    iperf3_put_cpu(results, sum.end_s, sum.bytes, m);
    if (!flows)
        text_copy(out.congestion_control, sizeof out.congestion_control, results->congestion);
    *ret_result = out;
    return 0;
}

void iperf3_near_loss(const struct engine *engine, const struct foreign_flow *flows,
                      const struct iperf3_results *results, struct flow_result *result)
{
    uint64_t sent = 0, received = 0;

    for (uint32_t i = 0; i < engine->n_flows; i++) {
        const struct iperf3_stream *s = iperf3_results_find(results, iperf3_stream_id(i));
        uint64_t all = s ? json_count(s->packets) : 0;

        if (engine->flows[i].sends)
            continue;
        /* What we saw cannot have been sent by nobody. */
        all = all > flows[i].total ? all : flows[i].total;
        sent += all - flows[i].omitted;
        received += flows[i].received;
    }
    iperf3_put_loss(&result->metrics, sent, received);
}
