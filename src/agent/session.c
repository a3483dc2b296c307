/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/session.h"
#include "agent/agent.h"
#include "base/auto.h"
#include "base/clock.h"
#include "traffic/engine.h"
#include "wire/message.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

enum { SESSION_IDLE_S = 120, SESSION_LINE = 8192 };

struct session {
    struct channel *channel; /* lent by the agent */
    uint32_t id;
    struct flow_spec spec;
    int stop_fd;           /* owned */
    struct engine *engine; /* owned; the thread's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool waiting; /* a trial is to be run, or runs */
    bool stopped;
    uint32_t trial_id; /* the request that started it */
    struct flow_trial trial;
    atomic_bool ended;
};

static const char *const session_part_name[FLOW_PART_COUNT] = {"sent", "received"};

static void session_interval(void *arg, enum flow_part part, uint32_t index,
                             const struct flow_interval *interval)
{
    struct session *s = arg;
    char buf[512];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, s->trial_id, "interval");
    line_put(&out, "part", session_part_name[part]);
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
    line_put(&out, "part", session_part_name[part]);
    message_put_result(&out, result);
    return channel_send(s->channel, &out, blob, n_blob, err);
}

static void session_run_trial(struct session *s)
{
    struct flow_result results[FLOW_PART_COUNT] = {0};
    bool has[FLOW_PART_COUNT] = {0};
    struct err err = {0};
    int r = engine_run(s->engine, &s->trial, session_interval, s, results, has, &err);

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
    if (r < 0)
        agent_error(s->channel, s->trial_id, r, &err);
    else
        agent_ok(s->channel, s->trial_id);
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

static void session_failed(struct session *s, int r, const struct err *err)
{
    char buf[1024];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, s->id, "failed");
    message_put_error(&out, r, err->text);
    channel_send(s->channel, &out, NULL, 0, NULL);
}

static void session_serve(struct session *s)
{
    struct err err = {0};
    char buf[128];
    struct line_out out;
    int r = engine_accept(s->engine, &err);

    if (r < 0) {
        session_failed(s, r, &err);
        return;
    }
    line_begin(&out, buf, sizeof buf, s->id, "ready");
    channel_send(s->channel, &out, NULL, 0, NULL);
    while ((r = session_next(s)) > 0) {
        session_run_trial(s);
        pthread_mutex_lock(&s->lock);
        s->waiting = false;
        pthread_mutex_unlock(&s->lock);
    }
    if (r < 0) {
        err_say(&err, "no test was started for %d s", SESSION_IDLE_S);
        session_failed(s, r, &err);
    }
}

static void *session_thread(void *arg)
{
    struct session *s = arg;
    struct err err = {0};
    char buf[128];
    struct line_out out;
    int r = engine_open(&s->spec, s->stop_fd, &s->engine, &err);

    if (r < 0) {
        agent_error(s->channel, s->id, r, &err);
    } else {
        line_begin(&out, buf, sizeof buf, s->id, "ok");
        line_put_u64(&out, "port", engine_port(s->engine));
        channel_send(s->channel, &out, NULL, 0, NULL);
        session_serve(s);
    }
    engine_close(s->engine);
    s->engine = NULL;
    atomic_store(&s->ended, true);
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
    pthread_attr_setstacksize(&attr, 512 * 1024);
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

int session_start(struct session *session, uint32_t id, const struct flow_trial *trial,
                  struct err *err)
{
    int r = flow_trial_check(&session->spec, trial, err);

    if (r < 0)
        return r;
    if (session_ended(session))
        return err_set(err, EPIPE, "session %u has ended", session->id);
    pthread_mutex_lock(&session->lock);
    if (session->waiting) {
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
