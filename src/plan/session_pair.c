/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/session_pair.h"
#include "base/clock.h"
#include "base/text.h"
#include "plan/node_cpu.h"

#include <errno.h>
#include <stdlib.h>
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

/* What one side is asked to prepare. */
static struct flow_spec pair_spec(const struct session_pair *pair, enum flow_role role,
                                  uint32_t server)
{
    const struct measure_ask *ask = pair->ask;
    struct flow_spec spec = ask->spec;
    bool v6 = strchr(pair->path->address, ':'), group = spec.kind == FLOW_MULTICAST;

    spec.role = role;
    spec.connect_ns = (uint64_t)PAIR_CONNECT_S * CLOCK_S;
    memcpy(spec.token, pair->token, sizeof spec.token);
    text_copy(spec.address, sizeof spec.address, pair->path->address);
    if (role == FLOW_CLIENT) {
        if (pair->n_servers)
            spec.port = pair->port;
        spec.port_last = 0;
        if (group && !spec.bind[0])
            text_copy(spec.bind, sizeof spec.bind, pair->path->own_client);
        return spec;
    }
    spec.pin = ask->pin_server;
    text_copy(spec.bind, sizeof spec.bind, group ? pair->path->own[server] : "");
    if (!group)
        text_copy(spec.address, sizeof spec.address, v6 ? "::" : "0.0.0.0");
    /* All receivers of a group listen where the first one does. */
    if (group && pair->port)
        spec.port = spec.port_last = pair->port;
    return spec;
}

int session_pair_open(struct session_pair *pair, const struct measure_path *path,
                      const struct measure_ask *ask, const struct measure_watch *watch,
                      struct err *err)
{
    struct flow_spec spec;
    int r = 0;

    *pair = (struct session_pair){.path = path, .ask = ask, .watch = watch};
    if (path->server)
        pair->server[pair->n_servers++] = path->server;
    for (uint32_t i = 0; i < path->n_more && ask->spec.kind == FLOW_MULTICAST; i++)
        pair->server[pair->n_servers++] = path->more[i];
    if (getrandom(pair->token, sizeof pair->token, 0) != sizeof pair->token)
        return err_set(err, errno, "making a token");
    for (uint32_t i = 0; i < pair->n_servers && r == 0; i++) {
        spec = pair_spec(pair, FLOW_SERVER, i);
        r = pair_prepare(pair, pair->server[i], &spec, &pair->server_session[i], err);
        pair->port = (uint16_t)pair->server_session[i].number;
    }
    if (r < 0)
        return r;
    spec = pair_spec(pair, FLOW_CLIENT, 0);
    return pair_prepare(pair, path->client, &spec, &pair->client_session, err);
}

static void pair_interval(void *arg, uint32_t index, bool received,
                          const struct flow_interval *interval)
{
    const struct session_pair *pair = arg;
    const struct measure_ask *ask = pair->ask;
    bool asks = flow_kind_asks(ask->spec.kind);
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
static int pair_cause(const struct session_pair *pairs, unsigned n_pairs, int r, struct err *err)
{
    const struct peer *gone = NULL;

    for (unsigned i = 0; i < n_pairs && !gone; i++) {
        gone = pairs[i].path->client->gone ? pairs[i].path->client : NULL;
        for (uint32_t k = 0; k < pairs[i].n_servers && !gone; k++)
            gone = pairs[i].server[k]->gone ? pairs[i].server[k] : NULL;
    }
    if (!gone || r == -ECANCELED)
        return r;
    err_say(err, "%s", gone->gone_text);
    if (err)
        err->code = EPIPE;
    return -EPIPE;
}

/* Late enough that all sides have heard of it by then. */
static uint64_t pair_start_ns(const struct session_pair *pairs, unsigned n_pairs)
{
    uint64_t doubt = 0;

    for (unsigned i = 0; i < n_pairs; i++) {
        if (pairs[i].path->client->offset_error_ns > doubt)
            doubt = pairs[i].path->client->offset_error_ns;
        for (uint32_t k = 0; k < pairs[i].n_servers; k++)
            if (pairs[i].server[k]->offset_error_ns > doubt)
                doubt = pairs[i].server[k]->offset_error_ns;
    }
    return clock_mono_ns() + (uint64_t)PAIR_LEAD_MS * CLOCK_MS + 4 * doubt;
}

/* The calls of one pair's trial. */
struct pair_calls {
    struct call client, server[MEASURE_MAX_RECEIVERS];
};

static int pair_start_all(struct session_pair *pair, const struct flow_trial *trial,
                          struct pair_calls *calls, struct err *err)
{
    int r = 0;

    for (uint32_t i = 0; i < pair->n_servers && r == 0; i++)
        r = pair_start(pair, pair->server[i], &pair->server_session[i], trial, &calls->server[i],
                       err);
    if (r == 0)
        r = pair_start(pair, pair->path->client, &pair->client_session, trial, &calls->client, err);
    return r;
}

static void pair_stop_all(struct session_pair *pair)
{
    pair_stop(pair, &pair->client_session);
    for (uint32_t i = 0; i < pair->n_servers; i++)
        pair_stop(pair, &pair->server_session[i]);
}

/* Wait for the ends of all trials, and for any session that fails meanwhile. */
static int pair_wait_all(struct session_pair *pairs, unsigned n_pairs, struct pair_calls *calls,
                         uint64_t end_ns, struct err *err)
{
    struct call *waited[PAIR_MAX_PAIRS * 2 * (1 + MEASURE_MAX_RECEIVERS)];
    unsigned n = 0;

    for (unsigned i = 0; i < n_pairs; i++) {
        waited[n++] = &calls[i].client;
        waited[n++] = &pairs[i].client_session;
        for (uint32_t k = 0; k < pairs[i].n_servers; k++) {
            waited[n++] = &calls[i].server[k];
            waited[n++] = &pairs[i].server_session[k];
        }
    }
    return peer_wait(pairs[0].path->set, waited, n, end_ns + (uint64_t)PAIR_OVERRUN_S * CLOCK_S,
                     err);
}

/* What streams brought in a trial's window, of all pairs. */
static uint64_t pair_bytes(const struct session_pair *pairs, unsigned n_pairs,
                           const struct trial_results *results)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < n_pairs; i++) {
        const struct trial_results *t = &results[i];

        if (flow_kind_asks(pairs[i].ask->spec.kind))
            continue;
        bytes += metric_get(&t->client[FLOW_RECEIVED].metrics, METRIC_bytes);
        bytes += metric_get(&t->client[FLOW_FAR_RECEIVED].metrics, METRIC_bytes);
        for (uint32_t k = 0; k < pairs[i].n_servers; k++)
            bytes += metric_get(&t->server[k][FLOW_RECEIVED].metrics, METRIC_bytes);
    }
    return bytes;
}

/* The machines of a trial that went well; all pairs ran on them at once. Without memory it is the only thing missing. */
static void pair_cpu(const struct session_pair *pairs, unsigned n_pairs,
                     struct trial_results *results)
{
    node_cpu_end(pairs[0].path->set, pair_bytes(pairs, n_pairs, results), &results[0].cpu);
    for (unsigned i = 1; i < n_pairs; i++)
        node_cpus_copy(&results[0].cpu, &results[i].cpu);
}

int session_pair_run(struct session_pair *pairs, const struct flow_trial *trials, unsigned n_pairs,
                     struct trial_results *ret_results, struct err *err)
{
    struct pair_calls *calls = calloc(n_pairs, sizeof *calls);
    uint64_t start = pair_start_ns(pairs, n_pairs), end = 0;
    int r = 0;

    for (unsigned i = 0; i < n_pairs; i++)
        ret_results[i] = (struct trial_results){0};
    if (!calls || n_pairs > PAIR_MAX_PAIRS) {
        free(calls);
        return err_set(err, ENOMEM, "memory for a trial");
    }
    for (unsigned i = 0; i < n_pairs && r == 0; i++) {
        struct flow_trial trial = trials[i];
        uint64_t mine;

        trial.number = ++pairs[i].n_trials;
        trial.start_ns = start;
        mine = start + trial.warmup_ns + trial.duration_ns + trial.tail_ns;
        end = mine > end ? mine : end;
        r = pair_start_all(&pairs[i], &trial, &calls[i], err);
    }
    /* Pilots and probes are left alone. */
    if (r == 0 && trials[0].duration_ns == pairs[0].ask->duration_ns)
        node_cpu_begin(pairs[0].path->set, start + trials[0].warmup_ns, trials[0].duration_ns);
    if (r == 0)
        r = pair_wait_all(pairs, n_pairs, calls, end, err);
    if (r < 0) {
        node_cpu_drop(pairs[0].path->set);
        /* Stopping makes all sides hand over what they have counted. */
        for (unsigned i = 0; i < n_pairs; i++)
            pair_stop_all(&pairs[i]);
        r = pair_cause(pairs, n_pairs, r, err);
    }
    for (unsigned i = 0; i < n_pairs; i++) {
        pair_take(&calls[i].client, ret_results[i].client, ret_results[i].client_has);
        call_done(&calls[i].client);
        for (uint32_t k = 0; k < pairs[i].n_servers; k++) {
            pair_take(&calls[i].server[k], ret_results[i].server[k], ret_results[i].server_has[k]);
            call_done(&calls[i].server[k]);
        }
    }
    free(calls);
    if (r == 0)
        pair_cpu(pairs, n_pairs, ret_results);
    return r;
}

struct flow_trial session_pair_trial(const struct session_pair *pair, uint64_t rate_bps,
                                     uint64_t duration_ns)
{
    const struct measure_ask *ask = pair->ask;

    return (struct flow_trial){
        .rate_bps = rate_bps,
        .warmup_ns = ask->warmup_ns < duration_ns ? ask->warmup_ns : duration_ns / 5,
        .duration_ns = duration_ns,
        .tail_ns = flow_kind_asks(ask->spec.kind) ? 0 : (uint64_t)PAIR_TAIL_MS * CLOCK_MS,
        .interval_ns = ask->interval_ns};
}

int session_pair_measure(struct session_pair *pair, uint64_t rate_bps, uint64_t duration_ns,
                         struct trial_results *ret_results, struct err *err)
{
    struct flow_trial trial = session_pair_trial(pair, rate_bps, duration_ns);

    return session_pair_run(pair, &trial, 1, ret_results, err);
}

void session_pair_close(struct session_pair *pair)
{
    pair_stop_all(pair);
    call_done(&pair->client_session);
    for (uint32_t i = 0; i < pair->n_servers; i++)
        call_done(&pair->server_session[i]);
    explicit_bzero(pair->token, sizeof pair->token);
}

void trial_results_done(struct trial_results *results)
{
    node_cpus_done(&results->cpu);
    for (int part = 0; part < FLOW_PART_COUNT; part++) {
        flow_result_done(&results->client[part]);
        for (int i = 0; i < MEASURE_MAX_RECEIVERS; i++)
            flow_result_done(&results->server[i][part]);
    }
}
