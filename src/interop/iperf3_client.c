/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "interop/foreign.h"
#include "interop/foreign_udp.h"
#include "interop/iperf3_streams.h"
#include "interop/talk.h"
#include "traffic/tcp_info.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* How long the server may take for an answer once the test is over: less than our controller waits for ours. */
static const uint64_t iperf3_answer_ns = 5 * (uint64_t)CLOCK_S;

/* One test on its way. */
struct iperf3_client {
    const struct flow_spec *spec;
    struct flow_trial trial; /* as it is run */
    engine_interval_fn *on_interval;
    void *arg;
    struct talk talk; /* fd owned */
    char cookie[IPERF3_COOKIE];
    bool own_interval;          /* nobody asked for a series */
    uint64_t end_sent_ns;       /* when the server was told to end; 0 not yet */
    struct foreign_side side;   /* UDP */
    struct foreign_flow *flows; /* owned; UDP, else NULL */
    int *fds;                   /* owned; -1 none, or the engine's */
    uint32_t n_flows;
    int watch_fd;              /* owned; stop and control as one */
    struct engine *engine;     /* owned */
    struct flow_result *parts; /* lent by the caller */
    bool *has;                 /* lent */
};

static int iperf3_cookie(char ret_cookie[IPERF3_COOKIE], struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t random[IPERF3_COOKIE - 1];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return err_set(err, errno, "random bytes for a cookie");
    for (size_t i = 0; i < sizeof random; i++)
        ret_cookie[i] = letters[random[i] & 31];
    ret_cookie[IPERF3_COOKIE - 1] = 0;
    return 0;
}

/* The server gave up: two numbers follow. */
static int iperf3_server_error(struct iperf3_client *c, uint64_t deadline_ns, struct err *err)
{
    uint32_t numbers[2];
    const char *words;

    if (talk_receive(&c->talk, numbers, sizeof numbers, deadline_ns, "its error", NULL) < 0)
        return err_set(err, EREMOTEIO, "it gave up without saying why");
    words = iperf3_error_words((int)be32toh(numbers[0]));
    return err_set(err, EREMOTEIO, "it refused the test with error %d%s%s",
                   (int)be32toh(numbers[0]), words ? ": " : "", words ? words : "");
}

static int iperf3_state_error(struct iperf3_client *c, int state, const char *what,
                              uint64_t deadline_ns, struct err *err)
{
    switch (state) {
    case IPERF3_ACCESS_DENIED:
        return err_set(err, EBUSY, "it is busy with another test");
    case IPERF3_SERVER_ERROR:
        return iperf3_server_error(c, deadline_ns, err);
    case IPERF3_SERVER_TERMINATE:
        return err_set(err, ECONNABORTED, "it ended the test");
    default:
        return err_set(err, EPROTO, "it sent state %d instead of %s: is it an iperf3 server?",
                       state, what);
    }
}

static int iperf3_expect(struct iperf3_client *c, enum iperf3_state want, const char *what,
                         uint64_t deadline_ns, struct err *err)
{
    int8_t state = 0;
    int r = talk_receive(&c->talk, &state, 1, deadline_ns, what, err);

    if (r < 0)
        return r;
    return state == want ? 0 : iperf3_state_error(c, state, what, deadline_ns, err);
}

static int iperf3_tell(struct iperf3_client *c, enum iperf3_state state, uint64_t deadline_ns,
                       struct err *err)
{
    const int8_t byte = (int8_t)state;

    return talk_send(&c->talk, &byte, 1, deadline_ns, "a state", err);
}

static int iperf3_send_params(struct iperf3_client *c, uint64_t deadline_ns, struct err *err)
{
    const struct flow_spec *spec = c->spec;
    uint64_t part_ns = c->trial.warmup_ns % CLOCK_S;
    struct iperf3_params p = {
        .udp = spec->kind == FLOW_UDP_STREAM,
        .reverse = spec->direction == FLOW_REVERSE,
        .bidirectional = spec->direction == FLOW_BOTH,
        .nodelay = spec->nodelay && spec->kind == FLOW_TCP_STREAM,
        .counters_64bit = true,
        /* Whole seconds only: what is left of the warm-up counts on the server's side. */
        .omit_s = (uint32_t)(c->trial.warmup_ns / CLOCK_S),
        .time_s = (uint32_t)((c->trial.duration_ns + part_ns + CLOCK_S - 1) / CLOCK_S),
        .parallel = spec->n_flows,
        .len = spec->payload_bytes,
        .window_bytes = spec->window_bytes,
        .mss_bytes = spec->mss_bytes,
        .tos = spec->dscp << 2,
        .bandwidth_bps = c->trial.rate_bps / spec->n_flows,
    };
    char text[1024];
    int n;

    memcpy(p.congestion, spec->cc, sizeof p.congestion);
    n = iperf3_params_write(&p, text, sizeof text);
    if (n < 0)
        return err_set(err, n, "writing the parameters");
    return talk_send_text(&c->talk, text, (size_t)n, deadline_ns, "the parameters", err);
}

/* Control connection, parameters, data connections, up to the server's "go". */
static int iperf3_begin(struct iperf3_client *c, struct err *err)
{
    struct flow_spec plain = *c->spec;
    uint64_t deadline = clock_mono_ns() + c->spec->connect_ns;
    int r;

    plain.cc[0] = 0;
    plain.mss_bytes = plain.window_bytes = 0;
    plain.nodelay = true;
    plain.kind = FLOW_TCP_STREAM;
    r = talk_connect(&plain, SOCK_STREAM, c->talk.stop_fd, deadline, &c->talk.fd, err);
    if (r == 0)
        r = talk_send(&c->talk, c->cookie, sizeof c->cookie, deadline, "the cookie", err);
    if (r == 0)
        r = iperf3_expect(c, IPERF3_PARAM_EXCHANGE, "its question for parameters", deadline, err);
    if (r == 0)
        r = iperf3_send_params(c, deadline, err);
    if (r == 0)
        r = iperf3_expect(c, IPERF3_CREATE_STREAMS, "its call for streams", deadline, err);
    for (uint32_t i = 0; i < c->n_flows && r == 0; i++) {
        r = c->flows
                ? iperf3_open_udp(c->spec, c->talk.stop_fd, deadline, &c->fds[i], err)
                : iperf3_open_tcp(c->spec, c->cookie, c->talk.stop_fd, deadline, &c->fds[i], err);
        if (r < 0)
            return err_wrap(err, r, "stream %u of %u", i + 1, c->n_flows);
    }
    if (r == 0)
        r = iperf3_expect(c, IPERF3_TEST_START, "the test's start", deadline, err);
    if (r == 0)
        r = iperf3_expect(c, IPERF3_TEST_RUNNING, "the test's start", deadline, err);
    return r;
}

/*
 * After each interval. When the window is over and we receive, the server has to be told at once: it sends until then.
 * (One byte finds room in the socket.)
 */
static void iperf3_interval(void *arg, enum flow_part part, uint32_t index,
                            const struct flow_interval *interval)
{
    struct iperf3_client *c = arg;

    if (!c->own_interval && c->on_interval)
        c->on_interval(c->arg, part, index, interval);
    if ((index + 1) * c->trial.interval_ns >= c->trial.duration_ns && !c->end_sent_ns &&
        c->spec->direction != FLOW_FORWARD) {
        c->end_sent_ns = clock_mono_ns();
        iperf3_tell(c, IPERF3_TEST_END, c->end_sent_ns, NULL);
    }
}

/* Datagrams that left last are given time to arrive: what comes after "end" is not counted. */
static int iperf3_end(struct iperf3_client *c, struct err *err)
{
    struct tcp_sample sample;
    uint64_t wait = 0;

    if (c->end_sent_ns)
        return 0;
    if (c->flows) {
        wait = FOREIGN_QUIET_NS;
        if (tcp_info_read(c->talk.fd, &sample) == 0)
            wait += 2 * sample.value[TCP_FIELD_RTT_NS];
        clock_sleep_until(clock_mono_ns() + wait);
    }
    c->end_sent_ns = clock_mono_ns();
    return iperf3_tell(c, IPERF3_TEST_END, c->end_sent_ns + iperf3_answer_ns, err);
}

/* The trial was stopped because the server said something: its own words, unless that was the answer to "end". */
static int iperf3_interrupted(struct iperf3_client *c, struct err *err)
{
    struct pollfd p = {.fd = c->talk.stop_fd, .events = POLLIN};
    int8_t state = 0;
    int r;

    if (poll(&p, 1, 0) > 0)
        return err_set(err, ECANCELED, "the test was stopped");
    if (c->end_sent_ns)
        return 0;
    r = talk_receive(&c->talk, &state, 1, clock_mono_ns() + CLOCK_S, "anything in mid test", err);
    return r < 0 ? r
                 : iperf3_state_error(c, state, "nothing in mid test", clock_mono_ns() + CLOCK_S,
                                      err);
}

static int iperf3_move(struct iperf3_client *c, struct err *err)
{
    struct err words = {0};
    int r;

    c->watch_fd = talk_join(c->talk.stop_fd, c->talk.fd);
    if (c->watch_fd < 0)
        return err_set(err, c->watch_fd, "watching the control connection");
    r = c->flows
            ? engine_adopt_as(c->spec, &foreign_udp, &c->side, c->fds, c->watch_fd, &c->engine, err)
            : engine_adopt(c->spec, c->fds, c->watch_fd, &c->engine, err);
    for (uint32_t i = 0; i < c->n_flows; i++)
        c->fds[i] = -1; /* the engine's, also when it failed */
    if (r < 0)
        return r;
    c->trial.start_ns = clock_mono_ns() + (c->flows ? 0 : CLOCK_MS);
    r = engine_run(c->engine, &c->trial, iperf3_interval, c, c->parts, c->has, &words);
    if (c->own_interval) {
        for (int part = 0; part < FLOW_PART_COUNT; part++)
            c->parts[part].n_intervals = 0, c->parts[part].interval_ns = 0;
    }
    if (r == 0 || (r == -ECANCELED && (r = iperf3_interrupted(c, &words)) == 0))
        return iperf3_end(c, err);
    /* A reset of its streams says less than what it told on the control connection. */
    if (r == -ECONNRESET || r == -EPIPE) {
        struct err why = {0};
        int8_t state = 0;

        if (talk_receive(&c->talk, &state, 1, clock_mono_ns() + CLOCK_S, "anything", &why) == 0) {
            r = iperf3_state_error(c, state, "nothing in mid test", clock_mono_ns() + CLOCK_S,
                                   &words);
        }
    }
    if (err)
        *err = words;
    return r;
}

/* Ours to the server, its to us, as parts. */
static int iperf3_exchange(struct iperf3_client *c, struct iperf3_results *results, struct err *err)
{
    uint64_t deadline = clock_mono_ns() + iperf3_answer_ns,
             window_end = trial_window_end(&c->trial),
             late_ns = c->end_sent_ns > window_end ? c->end_sent_ns - window_end : 0;
    size_t n = 512 + (size_t)c->n_flows * 320;
    AUTO(free_p) char *text = malloc(n);
    AUTO(free_p) char *answer = NULL;
    int length, r;

    iperf3_results_make(c->engine, c->flows, c->parts, results);
    length = text ? iperf3_results_write(results, NULL, text, n) : -ENOMEM;
    if (length < 0)
        return err_set(err, length, "writing the results");
    r = iperf3_expect(c, IPERF3_EXCHANGE_RESULTS, "its call for results", deadline, err);
    if (r == 0)
        r = talk_send_text(&c->talk, text, (size_t)length, deadline, "the results", err);
    if (r == 0)
        r = talk_receive_text(&c->talk, IPERF3_MAX_RESULTS, deadline, "its results", &answer, &n,
                              err);
    if (r == 0)
        r = iperf3_results_read(answer, n, results, err);
    if (r == 0)
        r = iperf3_expect(c, IPERF3_DISPLAY_RESULTS, "the end", deadline, err);
    if (r < 0)
        return r;
    iperf3_tell(c, IPERF3_DONE, deadline, NULL);
    for (int part = FLOW_FAR_SENT; part <= FLOW_FAR_RECEIVED && r == 0; part++) {
        if (!c->has[part == FLOW_FAR_SENT ? FLOW_RECEIVED : FLOW_SENT])
            continue;
        r = iperf3_far_part(c->engine, c->flows, results, (enum flow_part)part, late_ns,
                            &c->parts[part], err);
        c->has[part] = r == 0;
    }
    for (uint32_t i = 0; r == 0 && c->flows && i < c->n_flows; i++)
        if (!c->engine->flows[i].sends)
            foreign_udp_take_late(c->side.form, c->engine->flows[i].fd, &c->flows[i]);
    if (r == 0 && c->flows && c->has[FLOW_RECEIVED])
        iperf3_near_loss(c->engine, c->flows, results, &c->parts[FLOW_RECEIVED]);
    return r;
}

static void iperf3_client_done(struct iperf3_client *c)
{
    engine_close(c->engine);
    for (uint32_t i = 0; c->fds && i < c->n_flows; i++)
        close_p(&c->fds[i]);
    close_p(&c->talk.fd);
    close_p(&c->watch_fd);
    free(c->fds);
    free(c->flows);
}

int iperf3_client_run(const struct flow_spec *spec, const struct flow_trial *trial, int stop_fd,
                      engine_interval_fn *on_interval, void *arg,
                      struct flow_result ret_result[FLOW_PART_COUNT], bool ret_has[FLOW_PART_COUNT],
                      struct err *err)
{
    struct iperf3_client c = {
        .spec = spec,
        .trial = *trial,
        .on_interval = on_interval,
        .arg = arg,
        .talk = {-1, stop_fd},
        .watch_fd = -1,
        .n_flows = spec->direction == FLOW_BOTH ? 2 * spec->n_flows : spec->n_flows,
        .parts = ret_result,
        .has = ret_has,
        .side = {.form = FOREIGN_IPERF3_WIDE},
        .own_interval = trial->interval_ns == 0,
    };
    AUTO(free_p) struct iperf3_results *results = calloc(1, sizeof *results);
    int r = 0;

    c.trial.tail_ns = 0;
    if (c.own_interval)
        c.trial.interval_ns = c.trial.duration_ns;
    c.fds = malloc(c.n_flows * sizeof *c.fds);
    if (spec->kind == FLOW_UDP_STREAM)
        c.side.flows = c.flows = calloc(c.n_flows, sizeof *c.flows);
    if (!results || !c.fds || (spec->kind == FLOW_UDP_STREAM && !c.flows))
        r = err_set(err, ENOMEM, "preparing the test");
    for (uint32_t i = 0; c.fds && i < c.n_flows; i++)
        c.fds[i] = -1;
    if (r == 0)
        r = iperf3_cookie(c.cookie, err);
    if (r == 0)
        r = iperf3_begin(&c, err);
    if (r == 0)
        r = iperf3_move(&c, err);
    if (r == 0)
        r = iperf3_exchange(&c, results, err);
    if (r < 0 && c.talk.fd >= 0)
        iperf3_tell(&c, IPERF3_CLIENT_TERMINATE, clock_mono_ns(), NULL);
    iperf3_client_done(&c);
    return r;
}
