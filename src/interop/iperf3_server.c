/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "interop/iperf3_streams.h"
#include "interop/serve_test.h"
#include "interop/talk.h"

#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum {
    IPERF3_ANSWER_S = 10,   /* a client's next message, or its streams */
    IPERF3_GOODBYE_S = 2,   /* its last byte, which some do not send */
    IPERF3_OVERTIME_S = 60, /* a client may end so much later than it said */
    IPERF3_DAY_S = 86400,
    IPERF3_OUTPUT_LINE = 128,
    IPERF3_TIME_RAN_OUT = 160,
    IPERF3_LOOK_NS = 100 * CLOCK_MS, /* from one look for repeated requests to the next */
};

struct iperf3_server {
    struct serve_test *test; /* lent */
    struct talk talk;
    struct iperf3_params params;
    struct foreign_side side;
    struct foreign_flow flows[IPERF3_MAX_STREAMS];
    struct engine *engine; /* owned */
    struct flow_result parts[FLOW_PART_COUNT];
    struct iperf3_results results; /* ours, then the client's */
};

static uint64_t iperf3_deadline(int seconds)
{
    return clock_mono_ns() + (uint64_t)seconds * CLOCK_S;
}

static int iperf3_say(struct iperf3_server *s, enum iperf3_state state, struct err *err)
{
    const int8_t byte = (int8_t)state;

    return talk_send(&s->talk, &byte, 1, iperf3_deadline(IPERF3_ANSWER_S), "a state", err);
}

/* The number goes to the client, the sentence stays with us. */
static void iperf3_refuse(struct iperf3_server *s, int number)
{
    const uint32_t words[2] = {htobe32((uint32_t)number), 0};

    if (iperf3_say(s, IPERF3_SERVER_ERROR, NULL) == 0)
        talk_send(&s->talk, words, sizeof words, clock_mono_ns() + CLOCK_S, "an error", NULL);
}

static int iperf3_take_params(struct iperf3_server *s, struct err *err)
{
    AUTO(free_p) char *text = NULL;
    int number = IPERF3_IERECVPARAMS, r = iperf3_say(s, IPERF3_PARAM_EXCHANGE, err);
    size_t n;

    if (r < 0)
        return r;
    r = talk_receive_text(&s->talk, IPERF3_MAX_PARAMS, iperf3_deadline(IPERF3_ANSWER_S),
                          "the client's parameters", &text, &n, err);
    if (r == 0)
        r = iperf3_params_read(text, n, &s->params, &number, err);
    if (r < 0)
        iperf3_refuse(s, number);
    return r;
}

/*
 * From here on the test takes streams. A UDP stream shows nothing but its host: one test of a host opens its streams at
 * a time.
 */
static int iperf3_call_streams(struct iperf3_server *s, struct err *err)
{
    struct serve_test *test = s->test;
    struct serve *serve = test->serve;
    struct timespec until;
    bool busy = true;
    int timed = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IPERF3_ANSWER_S;
    pthread_mutex_lock(&serve->lock);
    while (s->params.udp && busy && timed == 0) {
        uint64_t stopped = 0;

        busy = false;
        for (struct serve_test *t = serve->tests; t; t = t->next)
            busy |= t != test && !t->over && t->udp && t->phase == SERVE_STREAMS &&
                    serve_same_host(&t->peer, &test->peer);
        /* Not read away: others look at it too. */
        if (busy && poll(&(struct pollfd){.fd = serve->stop_fd, .events = POLLIN}, 1, 0) > 0)
            stopped = 1;
        if (stopped)
            timed = ECANCELED;
        else if (busy)
            timed = pthread_cond_timedwait(&serve->changed, &serve->lock, &until);
    }
    if (timed == 0) {
        test->udp = s->params.udp;
        test->n_wanted = s->params.parallel * (s->params.bidirectional ? 2 : 1);
        test->phase = SERVE_STREAMS;
    }
    pthread_mutex_unlock(&serve->lock);
    return timed == 0 ? iperf3_say(s, IPERF3_CREATE_STREAMS, err)
                      : err_set(err, timed, "another test of the same client opens its streams");
}

static void iperf3_phase(struct serve_test *test, enum serve_phase phase)
{
    pthread_mutex_lock(&test->serve->lock);
    test->phase = phase;
    pthread_cond_broadcast(&test->serve->changed);
    pthread_mutex_unlock(&test->serve->lock);
}

/* A byte, or the end, where none is due. */
static int iperf3_unexpected(struct iperf3_server *s, const char *when, struct err *err)
{
    int8_t state = 0;
    int r = talk_receive(&s->talk, &state, 1, clock_mono_ns() + CLOCK_S, "anything", NULL);

    if (r == -ECANCELED)
        return err_set(err, r, "the server was stopped");
    if (r < 0)
        return err_set(err, r, "the client went away %s", when);
    if (state == IPERF3_CLIENT_TERMINATE)
        return err_set(err, ECONNABORTED, "the client ended the test");
    return err_set(err, EPROTO, "the client sent state %d %s", state, when);
}

static int iperf3_take_streams(struct iperf3_server *s, struct err *err)
{
    struct serve_test *test = s->test;
    uint64_t deadline = iperf3_deadline(IPERF3_ANSWER_S);
    int r = iperf3_call_streams(s, err);

    while (r == 0) {
        struct pollfd p[3] = {{.fd = s->talk.stop_fd, .events = POLLIN},
                              {.fd = test->fd, .events = POLLIN},
                              {.fd = test->came_fd, .events = POLLIN}};
        uint64_t until = clock_mono_ns() + IPERF3_LOOK_NS;
        uint32_t n;
        eventfd_t came;

        if (poll(p, 3, clock_ms_until(until < deadline ? until : deadline)) < 0 && errno != EINTR)
            return err_set(err, errno, "waiting for streams");
        if (test->udp)
            serve_udp_answer_again(test);
        if (p[2].revents)
            eventfd_read(test->came_fd, &came);
        pthread_mutex_lock(&test->serve->lock);
        n = test->n_streams;
        pthread_mutex_unlock(&test->serve->lock);
        if (n == test->n_wanted && p[2].revents)
            return 0;
        if (p[0].revents)
            r = err_set(err, ECANCELED, "the server was stopped");
        else if (p[1].revents)
            r = iperf3_unexpected(s, "before all streams were open", err);
        else if (clock_mono_ns() >= deadline)
            r = err_set(err, ETIMEDOUT, "the client opened %u of %u streams", n, test->n_wanted);
    }
    if (r == -ETIMEDOUT)
        iperf3_refuse(s, IPERF3_IESTREAMCONNECT);
    return r;
}

/* Streams in the order in which they were accepted: that is how the client numbers them. */
static void iperf3_sort_streams(struct serve_test *test)
{
    for (uint32_t i = 1; i < test->n_streams; i++) {
        for (uint32_t k = i; k > 0 && test->orders[k] < test->orders[k - 1]; k--) {
            uint64_t order = test->orders[k];
            int fd = test->stream_fds[k];

            test->orders[k] = test->orders[k - 1];
            test->stream_fds[k] = test->stream_fds[k - 1];
            test->orders[k - 1] = order;
            test->stream_fds[k - 1] = fd;
        }
    }
}

/* What the client asked of the sockets; what cannot be is left out, as iperf3 does. Buffers only up to the system's limit. */
static void iperf3_prepare_streams(struct iperf3_server *s)
{
    const struct iperf3_params *p = &s->params;
    int tos = (int)p->tos, window = (int)p->window_bytes, mss = (int)p->mss_bytes, on = 1;

    for (uint32_t i = 0; i < s->test->n_streams; i++) {
        int fd = s->test->stream_fds[i];

        if (tos) {
            setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
            setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
        }
        if (window) {
            setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &window, sizeof window);
        }
        if (p->udp)
            continue;
        if (p->nodelay)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (mss)
            setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
        socket_set_cc(fd, p->congestion, NULL);
    }
}

static int iperf3_adopt(struct iperf3_server *s, int watch_fd, struct err *err)
{
    const struct iperf3_params *p = &s->params;
    struct serve_test *test = s->test;
    struct flow_spec spec = {
        .kind = p->udp ? FLOW_UDP_STREAM : FLOW_TCP_STREAM,
        .role = FLOW_SERVER,
        .direction = p->bidirectional ? FLOW_BOTH
                     : p->reverse     ? FLOW_REVERSE
                                      : FLOW_FORWARD,
        .n_flows = p->parallel,
        .payload_bytes = p->len,
        .peer = FLOW_PEER_IPERF3,
    };
    int r;

    s->side = (struct foreign_side){
        .form = p->counters_64bit ? FOREIGN_IPERF3_WIDE : FOREIGN_IPERF3,
        .skip_copy = p->skip_copy,
        .idle_ns = test->serve->options.idle_ns,
        .flows = s->flows,
    };
    r = engine_adopt_as(&spec, p->udp ? &foreign_udp : &foreign_tcp, &s->side, test->stream_fds,
                        watch_fd, &s->engine, err);
    test->n_streams = 0; /* the engine's, also when it failed */
    return r;
}

/* Traffic, until the client says that it is over. */
static int iperf3_serve_traffic(struct iperf3_server *s, struct err *err)
{
    const struct iperf3_params *p = &s->params;
    bool timed = p->time_s && !p->bytes && !p->blocks;
    uint64_t bps = p->bandwidth_bps < UINT64_MAX / IPERF3_MAX_PARALLEL ? p->bandwidth_bps : 0;
    struct flow_trial trial = {
        .number = 1,
        .warmup_ns = (uint64_t)p->omit_s * CLOCK_S,
        .duration_ns = (uint64_t)(timed && p->time_s + IPERF3_OVERTIME_S < IPERF3_DAY_S
                                      ? p->time_s + IPERF3_OVERTIME_S
                                      : IPERF3_DAY_S) *
                       CLOCK_S,
        .rate_bps = bps * p->parallel,
    };
    bool has[FLOW_PART_COUNT];
    int8_t state = 0;
    int r = iperf3_say(s, IPERF3_TEST_START, err);

    trial.start_ns = clock_mono_ns();
    if (r == 0)
        r = iperf3_say(s, IPERF3_TEST_RUNNING, err);
    if (r < 0)
        return r;
    r = engine_run(s->engine, &trial, NULL, NULL, s->parts, has, err);
    /* The workers see the client's word too, and may be done before the engine has seen it. */
    if (r != -ECANCELED && (r < 0 || clock_mono_ns() >= trial_end(&trial))) {
        iperf3_refuse(s, IPERF3_TIME_RAN_OUT);
        return r < 0 ? r : err_set(err, ETIMEDOUT, "the client did not end the test");
    }
    if (poll(&(struct pollfd){.fd = s->talk.stop_fd, .events = POLLIN}, 1, 0) > 0) {
        const int8_t over = IPERF3_SERVER_TERMINATE;

        if (send(s->talk.fd, &over, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return err_set(err, ECANCELED, "the server was stopped, and the client is gone");
        return err_set(err, ECANCELED, "the server was stopped");
    }
    if (recv(s->talk.fd, &state, 1, MSG_DONTWAIT | MSG_PEEK) == 1 && state == IPERF3_TEST_END)
        return recv(s->talk.fd, &state, 1, MSG_DONTWAIT) == 1 ? 0 : -EIO;
    return iperf3_unexpected(s, "in mid test", err);
}

/* For --get-server-output. */
static void iperf3_output(const struct iperf3_server *s, char *ret_text, size_t size)
{
    int n =
        snprintf(ret_text, size, "vnperf %s serves %s\n", VNPERF_VERSION, s->test->report.client);

    for (uint32_t i = 0; i < s->engine->n_flows && n > 0 && (size_t)n < size; i++) {
        const struct iperf3_stream *one = &s->results.streams[i];
        char rate[TEXT_SHORT];

        n += snprintf(ret_text + n, size - (size_t)n, "[%3d] 0.00-%.2f s  %.0f bytes  %s  %s\n",
                      one->id, one->end_s, one->bytes,
                      text_show_rate(one->end_s > 0 ? one->bytes * 8 / one->end_s : 0, rate),
                      s->engine->flows[i].sends ? "sender" : "receiver");
    }
}

/* The client reads whole blocks from our streams, and waits for the rest of one until it sees their end. */
static void iperf3_end_streams(struct iperf3_server *s)
{
    for (uint32_t i = 0; i < s->engine->n_flows && !s->params.udp; i++)
        if (s->engine->flows[i].sends)
            shutdown(s->engine->flows[i].fd, SHUT_WR);
}

/* The client's results, then ours: text. */
static int iperf3_trade_results(struct iperf3_server *s, const char *text, size_t n,
                                struct err *err)
{
    AUTO(free_p) char *answer = NULL;
    size_t n_answer = 0;
    int r = talk_receive_text(&s->talk, IPERF3_MAX_RESULTS, iperf3_deadline(IPERF3_ANSWER_S),
                              "the client's results", &answer, &n_answer, err);

    if (r == 0)
        r = iperf3_results_read(answer, n_answer, &s->results, err);
    if (r == 0)
        r = talk_send_text(&s->talk, text, n, iperf3_deadline(IPERF3_ANSWER_S), "the results", err);
    return r == 0 ? iperf3_say(s, IPERF3_DISPLAY_RESULTS, err) : r;
}

static int iperf3_exchange_results(struct iperf3_server *s, struct err *err)
{
    size_t size = 1024 + (size_t)s->engine->n_flows * (320 + 2 * IPERF3_OUTPUT_LINE);
    AUTO(free_p) char *text = malloc(size);
    AUTO(free_p) char *output = malloc(size);
    int n, r = iperf3_say(s, IPERF3_EXCHANGE_RESULTS, err);

    if (r < 0)
        return r;
    if (!text || !output)
        return err_set(err, ENOMEM, "writing the results");
    iperf3_results_make(s->engine, s->flows, s->parts, &s->results);
    iperf3_output(s, output, size / 2);
    n = iperf3_results_write(&s->results, s->params.get_server_output ? output : NULL, text, size);
    if (n < 0)
        return err_set(err, n, "writing the results");
    return iperf3_trade_results(s, text, (size_t)n, err);
}

/* Sums for the report; what the client says that it sent tells what was lost at the end. */
static void iperf3_sum_up(struct iperf3_server *s, bool exchanged)
{
    struct serve_report *report = &s->test->report;
    double jitter = 0;
    uint32_t n_receiving = 0;

    for (uint32_t i = 0; s->engine && i < s->engine->n_flows; i++) {
        const struct foreign_flow *f = &s->flows[i];
        const struct iperf3_stream *theirs =
            exchanged ? iperf3_results_find(&s->results, iperf3_stream_id(i)) : NULL;
        double seconds = f->end_ns > f->begin_ns ? (double)(f->end_ns - f->begin_ns) / 1e9 : 0;
        double *length = s->engine->flows[i].sends ? &report->sent_s : &report->received_s;

        *length = seconds > *length ? seconds : *length;
        if (s->engine->flows[i].sends) {
            report->sent_bytes += f->bytes;
            report->sent_packets += f->total - f->omitted;
            report->retransmits += f->retransmits;
        } else {
            uint64_t all = theirs ? (uint64_t)(theirs->packets > 0 ? theirs->packets : 0) : 0;

            report->received_bytes += f->bytes;
            report->received_packets += f->received;
            report->lost_packets += f->lost + (all > f->total ? all - f->total : 0);
            jitter += f->jitter_ns;
            n_receiving++;
        }
    }
    report->jitter_ns = n_receiving ? jitter / n_receiving : 0;
}

static int iperf3_serve(struct iperf3_server *s, struct err *err)
{
    AUTO(close_p) int watch_fd = -1;
    struct serve_report *report = &s->test->report;
    int8_t goodbye;
    int r = iperf3_take_params(s, err);

    if (r == 0)
        r = iperf3_take_streams(s, err);
    if (r < 0)
        return r;
    iperf3_phase(s->test, SERVE_RUNNING);
    report->udp = s->params.udp;
    report->n_flows = s->params.parallel;
    report->direction = s->params.bidirectional ? FLOW_BOTH
                        : s->params.reverse     ? FLOW_REVERSE
                                                : FLOW_FORWARD;
    iperf3_sort_streams(s->test);
    iperf3_prepare_streams(s);
    watch_fd = talk_join(s->talk.stop_fd, s->talk.fd);
    if (watch_fd < 0)
        return err_set(err, watch_fd, "watching the control connection");
    r = iperf3_adopt(s, watch_fd, err);
    if (r < 0)
        return r;
    r = iperf3_serve_traffic(s, err);
    iperf3_end_streams(s);
    if (r == 0)
        r = iperf3_exchange_results(s, err);
    iperf3_sum_up(s, r == 0);
    /* Its streams stay open until it has all: a reset on one of them would be its error. */
    if (r == 0)
        talk_receive(&s->talk, &goodbye, 1, iperf3_deadline(IPERF3_GOODBYE_S), "goodbye", NULL);
    return r;
}

void iperf3_server_test(struct serve_test *test)
{
    AUTO(free_p) struct iperf3_server *s = calloc(1, sizeof *s);
    struct err err = {0};
    int r;

    if (s) {
        s->test = test;
        s->talk = (struct talk){test->fd, test->serve->stop_fd};
        r = iperf3_serve(s, &err);
        engine_close(s->engine);
        for (int part = 0; part < FLOW_PART_COUNT; part++)
            flow_result_done(&s->parts[part]);
    } else {
        r = err_set(&err, ENOMEM, "a test");
    }
    test->report.error = -r;
    text_copy(test->report.what, sizeof test->report.what, r < 0 ? err.text : "");
    serve_tell(test);
}
