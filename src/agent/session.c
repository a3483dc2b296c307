/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/session.h"
#include "agent/agent.h"
#include "base/auto.h"
#include "base/clock.h"
#include "interop/foreign.h"
#include "traffic/engine.h"
#include "wire/message.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

enum {
    SESSION_IDLE_S = 120, /* from one trial to the next */
    SESSION_LATE_S = 1,   /* a start may have been due so long ago, */
    SESSION_AHEAD_S = 60, /* or be so far ahead */
    SESSION_LINE = 8192,
    SESSION_STACK_BYTES = 512 * 1024,
};

struct session {
    struct channel *channel; /* lent by the agent */
    uint32_t id;
    struct flow_spec spec;
    int stop_fd;           /* owned */
    struct engine *engine; /* owned; the thread's; NULL: each trial is a test with a foreign peer */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool waiting; /* under lock: a trial is to be run, or runs */
    bool stopped; /* under lock */
    uint32_t
        trial_id; /* the request that started it; set before waiting, and left alone while it is */
    struct flow_trial trial;
    atomic_bool ended; /* set under lock: no trial will be taken any more */
};

static void session_interval(void *arg, enum flow_part part, uint32_t index,
                             const struct flow_interval *interval)
{
    struct session *s = arg;
    char buf[512];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, s->trial_id, "interval");
    line_put(&out, "part", flow_part_name[part]);
    line_put_u64(&out, "index", index);
    message_put_interval(&out, interval);
    channel_send(s->channel, &out, NULL, 0, NULL);
}

static int session_send_result(struct session *s, enum flow_part part,
                               const struct flow_result *result, struct err *err)
{
    AUTO(free_p) uint8_t *blob = NULL;
    size_t n_blob = 0;
    char buf[SESSION_LINE];
    struct line_out out;
    int r;

    r = message_pack_bulk(result, &blob, &n_blob, err);
    if (r < 0)
        return r;
    line_begin(&out, buf, sizeof buf, s->trial_id, "result");
    line_put(&out, "part", flow_part_name[part]);
    message_put_result(&out, result);
    return channel_send(s->channel, &out, blob, n_blob, err);
}

static void session_run_trial(struct session *s)
{
    struct flow_result results[FLOW_PART_COUNT] = {0};
    bool has[FLOW_PART_COUNT] = {0};
    const uint32_t id = s->trial_id;
    struct err err = {0};
    int r = s->engine ? engine_run(s->engine, &s->trial, session_interval, s, results, has, &err)
                      : foreign_run(&s->spec, &s->trial, s->stop_fd, session_interval, s, results,
                                    has, &err);

    for (int part = 0; part < FLOW_PART_COUNT; part++) {
        struct err send_err = {0};
        int sent =
            has[part] ? session_send_result(s, (enum flow_part)part, &results[part], &send_err) : 0;

        if (sent < 0 && r == 0) {
            r = sent;
            err = send_err;
        }
        flow_result_done(&results[part]);
    }
    /* Before the answer, which the controller may follow at once with the next start. */
    pthread_mutex_lock(&s->lock);
    s->waiting = false;
    pthread_mutex_unlock(&s->lock);
    if (r < 0)
        agent_tell(s->channel, id, "error", r, &err);
    else
        agent_ok(s->channel, id);
}

/* The next trial to run: 1; 0 the session is to end; -ETIMEDOUT nobody asked for one. */
static int session_next(struct session *s)
{
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SESSION_IDLE_S;
    pthread_mutex_lock(&s->lock);
    while (!s->waiting && !s->stopped && r == 0)
        r = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    r = s->stopped ? 0 : s->waiting ? 1 : -ETIMEDOUT;
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Take the peer's flows and run trials: 0 it was stopped, negative it cannot go on. */
static int session_serve(struct session *s, struct err *err)
{
    char buf[64];
    struct line_out out;
    int r = s->engine ? engine_accept(s->engine, err) : 0;

    if (r < 0)
        return r;
    line_begin(&out, buf, sizeof buf, s->id, "ready");
    channel_send(s->channel, &out, NULL, 0, NULL);
    while ((r = session_next(s)) > 0)
        session_run_trial(s);
    if (r < 0)
        err_say(err, "no test was started for %d s", SESSION_IDLE_S);
    return r;
}

/* No trial will be taken any more: whoever waits for an answer gets one. verb is for the session itself. */
static void session_end(struct session *s, const char *verb, int r, struct err *err)
{
    bool waiting, stopped;

    pthread_mutex_lock(&s->lock);
    atomic_store(&s->ended, true);
    waiting = s->waiting;
    stopped = s->stopped;
    pthread_mutex_unlock(&s->lock);
    if (r == 0)
        r = err_set(err, ECANCELED, "session %u was stopped", s->id);
    if (waiting)
        agent_tell(s->channel, s->trial_id, "error", r, err);
    /* Who stopped it hears of the end by the answer to that. */
    if (!stopped || strcmp(verb, "failed") != 0)
        agent_tell(s->channel, s->id, verb, r, err);
}

/* A peer of another program is met when a trial starts: its server may serve one test at a time, and none of no length. */
static int session_open(struct session *s, struct err *err)
{
    if (s->spec.peer == FLOW_PEER_IPERF3 || s->spec.peer == FLOW_PEER_IPERF2)
        return foreign_check(&s->spec, err);
    return engine_open(&s->spec, s->stop_fd, &s->engine, err);
}

static void *session_thread(void *arg)
{
    struct session *s = arg;
    struct err err = {0};
    const char *verb = "error";
    char buf[64];
    struct line_out out;
    int r = session_open(s, &err);

    if (r >= 0) {
        verb = "failed";
        line_begin(&out, buf, sizeof buf, s->id, "ok");
        line_put_u64(&out, "port", s->engine ? engine_port(s->engine) : 0);
        channel_send(s->channel, &out, NULL, 0, NULL);
        r = session_serve(s, &err);
    }
    /* First, so that the ports are free again when the end is heard of. */
    engine_close(s->engine);
    s->engine = NULL;
    session_end(s, verb, r, &err);
    return NULL;
}

int session_new(struct channel *channel, uint32_t id, const struct flow_spec *spec,
                struct session **ret_session, struct err *err)
{
    struct session *s = calloc(1, sizeof *s);
    pthread_condattr_t monotonic;
    pthread_attr_t attr;
    int r;

    if (!s)
        return err_set(err, ENOMEM, "memory for a session");
    s->channel = channel;
    s->id = id;
    s->spec = *spec;
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->stop_fd < 0) {
        r = err_set(err, errno, "a session's eventfd");
        free(s);
        return r;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, SESSION_STACK_BYTES);
    r = pthread_create(&s->thread, &attr, session_thread, s);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        pthread_cond_destroy(&s->changed);
        pthread_mutex_destroy(&s->lock);
        close_p(&s->stop_fd);
        free(s);
        return err_set(err, r, "a session's thread");
    }
    *ret_session = s;
    return 0;
}

uint32_t session_id(const struct session *session) { return session->id; }

bool session_ended(const struct session *session) { return atomic_load(&session->ended); }

/* A start long ago or far away is a clock's mistake, not a wish. */
static int session_check_start(const struct flow_trial *trial, struct err *err)
{
    const uint64_t now = clock_mono_ns();

    if (trial->start_ns + (uint64_t)SESSION_LATE_S * CLOCK_S < now)
        return err_say(err, "the start was due %llu ms ago",
                       (unsigned long long)(now - trial->start_ns) / CLOCK_MS);
    if (trial->start_ns > now + (uint64_t)SESSION_AHEAD_S * CLOCK_S)
        return err_say(err, "the start is more than %d s ahead", SESSION_AHEAD_S);
    return 0;
}

int session_start(struct session *session, uint32_t id, const struct flow_trial *trial,
                  struct err *err)
{
    int r = flow_trial_check(&session->spec, trial, err);

    if (r >= 0)
        r = session_check_start(trial, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&session->lock);
    if (session_ended(session) || session->stopped) {
        r = err_set(err, EPIPE, "session %u has ended", session->id);
    } else if (session->waiting) {
        r = err_set(err, EBUSY, "session %u runs a test already", session->id);
    } else {
        session->waiting = true;
        session->trial = *trial;
        session->trial_id = id;
        pthread_cond_signal(&session->changed);
    }
    pthread_mutex_unlock(&session->lock);
    return r;
}

void session_free(struct session *session)
{
    const uint64_t one = 1;

    if (!session)
        return;
    pthread_mutex_lock(&session->lock);
    session->stopped = true;
    pthread_cond_signal(&session->changed);
    pthread_mutex_unlock(&session->lock);
    /* Cannot fail: the counter is far from its end. */
    if (write(session->stop_fd, &one, sizeof one) == sizeof one)
        pthread_join(session->thread, NULL);
    pthread_cond_destroy(&session->changed);
    pthread_mutex_destroy(&session->lock);
    close_p(&session->stop_fd);
    free(session);
}
