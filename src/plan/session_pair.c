/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/session_pair.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum {
    PAIR_CONNECT_S = 5,
    PAIR_ANSWER_S = 2,  /* an answer beyond the time that the asked thing may take */
    PAIR_OVERRUN_S = 8, /* a trial beyond its own length: drain, stall, results */
    PAIR_STOP_S = 2,
    PAIR_TAIL_MS =
        20, /* the sender's after the window: the receiver's window is loaded to its end */
    PAIR_LEAD_MS = 4, /* both agents wake up and make their threads */
};

static int pair_prepare(struct session_pair *pair, struct peer *peer, const struct flow_spec *spec,
                        struct call *session, struct err *err)
{
    struct call *calls[] = {session};
    char buf[1024];
    struct line_out out;
    int r;

    peer_begin(peer, &out, buf, sizeof buf, "prepare");
    message_put_spec(&out, spec);
    r = peer_send(peer, &out, session, err);
    if (r < 0)
        return r;
    return peer_wait(pair->path->set, calls, 1,
                     clock_mono_ns() + (PAIR_CONNECT_S + PAIR_ANSWER_S) * (uint64_t)CLOCK_S, err);
}

int session_pair_open(struct session_pair *pair, const struct measure_path *path,
                      const struct measure_ask *ask, const struct measure_watch *watch,
                      struct err *err)
{
    struct flow_spec spec = {.kind = ask->kind,
                             .direction = ask->direction,
                             .n_flows = ask->n_flows,
                             .payload_bytes = ask->payload_bytes,
                             .gap_ns = ask->gap_ns,
                             .connect_ns = (uint64_t)PAIR_CONNECT_S * CLOCK_S};
    bool v6 = strchr(path->address, ':');
    int r;

    *pair = (struct session_pair){.path = path, .ask = ask, .watch = watch};
    text_copy(spec.cc, sizeof spec.cc, ask->cc);
    if (getrandom(spec.token, sizeof spec.token, 0) != sizeof spec.token)
        return err_set(err, errno, "making a token");
    if (path->server) {
        spec.role = FLOW_SERVER;
        spec.port = ask->port;
        spec.port_last = ask->port_last;
        text_copy(spec.address, sizeof spec.address, v6 ? "::" : "0.0.0.0");
        r = pair_prepare(pair, path->server, &spec, &pair->server_session, err);
        if (r < 0)
            return r;
        pair->port = (uint16_t)pair->server_session.number;
    }
    spec.role = FLOW_CLIENT;
    spec.port = pair->port;
    spec.port_last = 0;
    text_copy(spec.address, sizeof spec.address, path->address);
    return pair_prepare(pair, path->client, &spec, &pair->client_session, err);
}

static void pair_interval(void *arg, uint32_t index, bool received,
                          const struct flow_interval *interval)
{
    const struct session_pair *pair = arg;
    const struct measure_ask *ask = pair->ask;
    bool asks = ask->kind == FLOW_ICMP_ECHO || ask->kind == FLOW_TCP_RR || ask->kind == FLOW_UDP_RR;
    double s = (double)ask->interval_ns / 1e9;

    if (asks == !received && s > 0)
        pair->watch->on_interval(pair->watch->arg, ask, index, (double)interval->bytes * 8 / s,
                                 (double)interval->packets / s);
}

static int pair_start(struct session_pair *pair, struct peer *peer, const struct call *session,
                      const struct flow_trial *trial, struct call *call, struct err *err)
{
    struct flow_trial theirs = *trial;
    char buf[512];
    struct line_out out;

    theirs.start_ns = (uint64_t)((int64_t)trial->start_ns + peer->offset_ns);
    peer_begin(peer, &out, buf, sizeof buf, "start");
    line_put_u64(&out, "session", session->id);
    message_put_trial(&out, &theirs);
    if (pair->watch && pair->watch->on_interval) {
        call->on_interval = pair_interval;
        call->arg = pair;
    }
    return peer_send(peer, &out, call, err);
}

/* Stop a session and wait for the answer; nothing can be done about a failure. */
static void pair_stop(struct session_pair *pair, struct call *session)
{
    struct call call = {0}, *calls[] = {&call};
    char buf[64];
    struct line_out out;

    if (!session->peer || session->peer->gone)
        return;
    peer_begin(session->peer, &out, buf, sizeof buf, "stop");
    line_put_u64(&out, "session", session->id);
    if (peer_send(session->peer, &out, &call, NULL) == 0) {
        int interrupt_fd = pair->path->set->interrupt_fd;

        /* A signal that has been seen must not cut the tidying short. */
        pair->path->set->interrupt_fd = -1;
        peer_wait(pair->path->set, calls, 1, clock_mono_ns() + (uint64_t)PAIR_STOP_S * CLOCK_S,
                  NULL);
        pair->path->set->interrupt_fd = interrupt_fd;
    }
    call_done(&call);
    call_done(session);
}

static void pair_take(struct call *call, struct flow_result results[FLOW_PART_COUNT],
                      bool has[FLOW_PART_COUNT])
{
    for (int part = 0; part < FLOW_PART_COUNT; part++) {
        results[part] = call->results[part];
        has[part] = call->has[part];
        call->results[part] = (struct flow_result){0};
        call->has[part] = false;
    }
}

/* When an agent has ended, what the other one says of the traffic only follows from that. */
static int pair_cause(const struct measure_path *path, int r, struct err *err)
{
    const struct peer *gone = path->client->gone                   ? path->client
                              : path->server && path->server->gone ? path->server
                                                                   : NULL;

    if (!gone || r == -ECANCELED)
        return r;
    err_say(err, "%s", gone->gone_text);
    if (err)
        err->code = EPIPE;
    return -EPIPE;
}

int session_pair_run(struct session_pair *pair, struct flow_trial trial,
                     struct trial_results *ret_results, struct err *err)
{
    const struct measure_path *path = pair->path;
    struct call client = {0}, server = {0},
                *calls[] = {&client, &pair->client_session, &server, &pair->server_session};
    uint64_t doubt = path->client->offset_error_ns, now = clock_mono_ns(), end;
    int r = 0;

    if (path->server && path->server->offset_error_ns > doubt)
        doubt = path->server->offset_error_ns;
    trial.number = ++pair->n_trials;
    trial.start_ns = now + (uint64_t)PAIR_LEAD_MS * CLOCK_MS + 4 * doubt;
    end = trial.start_ns + trial.warmup_ns + trial.duration_ns + trial.tail_ns;
    *ret_results = (struct trial_results){0};
    if (path->server)
        r = pair_start(pair, path->server, &pair->server_session, &trial, &server, err);
    if (r == 0)
        r = pair_start(pair, path->client, &pair->client_session, &trial, &client, err);
    if (r == 0)
        r = peer_wait(path->set, calls, path->server ? 4 : 2,
                      end + (uint64_t)PAIR_OVERRUN_S * CLOCK_S, err);
    if (r < 0) {
        /* Stopping makes both sides hand over what they have counted. */
        pair_stop(pair, &pair->client_session);
        pair_stop(pair, &pair->server_session);
        r = pair_cause(path, r, err);
    }
    pair_take(&client, ret_results->client, ret_results->client_has);
    pair_take(&server, ret_results->server, ret_results->server_has);
    call_done(&client);
    call_done(&server);
    return r;
}

int session_pair_measure(struct session_pair *pair, uint64_t rate_bps, uint64_t duration_ns,
                         struct trial_results *ret_results, struct err *err)
{
    const struct measure_ask *ask = pair->ask;
    bool stream = ask->kind == FLOW_TCP_STREAM || ask->kind == FLOW_UDP_STREAM;
    struct flow_trial trial = {.rate_bps = rate_bps,
                               .warmup_ns =
                                   ask->warmup_ns < duration_ns ? ask->warmup_ns : duration_ns / 5,
                               .duration_ns = duration_ns,
                               .tail_ns = stream ? (uint64_t)PAIR_TAIL_MS * CLOCK_MS : 0,
                               .interval_ns = ask->interval_ns};

    return session_pair_run(pair, trial, ret_results, err);
}

void session_pair_close(struct session_pair *pair)
{
    pair_stop(pair, &pair->client_session);
    pair_stop(pair, &pair->server_session);
    call_done(&pair->client_session);
    call_done(&pair->server_session);
}

void trial_results_done(struct trial_results *results)
{
    for (int part = 0; part < FLOW_PART_COUNT; part++) {
        flow_result_done(&results->client[part]);
        flow_result_done(&results->server[part]);
    }
}
