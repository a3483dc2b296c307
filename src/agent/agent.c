/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/session.h"
#include "base/clock.h"
#include "host/host.h"
#include "wire/message.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { AGENT_MAX_SESSIONS = 16, AGENT_LINE = LINE_MAX_BYTES, AGENT_END_S = 3 };

struct agent {
    struct channel channel;
    struct session *sessions[AGENT_MAX_SESSIONS]; /* owned */
    bool quit;
};

void agent_ok(struct channel *channel, uint32_t id)
{
    char buf[64];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, id, "ok");
    channel_send(channel, &out, NULL, 0, NULL);
}

void agent_error(struct channel *channel, uint32_t id, int code, const struct err *err)
{
    char buf[2048];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, id, "error");
    message_put_error(&out, code, err->text);
    channel_send(channel, &out, NULL, 0, NULL);
}

static int agent_hello(struct agent *agent, struct err *err)
{
    char buf[256];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, 0, "hello");
    line_put_u64(&out, "protocol", MESSAGE_PROTOCOL);
    line_put(&out, "version", VNPERF_VERSION);
    line_put_u64(&out, "pid", (uint64_t)getpid());
    line_put_u64(&out, "beat_ns", (uint64_t)MESSAGE_BEAT_S * CLOCK_S);
    return channel_send(&agent->channel, &out, NULL, 0, err);
}

static struct session **agent_slot(struct agent *agent, uint32_t id)
{
    for (unsigned i = 0; i < AGENT_MAX_SESSIONS; i++)
        if (agent->sessions[i] && session_id(agent->sessions[i]) == id)
            return &agent->sessions[i];
    return NULL;
}

static struct session **agent_free_slot(struct agent *agent)
{
    for (unsigned i = 0; i < AGENT_MAX_SESSIONS; i++) {
        if (agent->sessions[i] && session_ended(agent->sessions[i])) {
            session_free(agent->sessions[i]);
            agent->sessions[i] = NULL;
        }
        if (!agent->sessions[i])
            return &agent->sessions[i];
    }
    return NULL;
}

/* The session that "session=" names. */
static int agent_named(struct agent *agent, const struct line *line, struct session ***ret_slot,
                       struct err *err)
{
    uint64_t id = 0;

    if (line_get_u64(line, "session", &id) < 0 || id > UINT32_MAX)
        return err_say(err, "%s lacks session=NUMBER", line->verb);
    *ret_slot = agent_slot(agent, (uint32_t)id);
    return *ret_slot ? 0 : err_say(err, "there is no session %llu", (unsigned long long)id);
}

static int agent_do_facts(struct agent *agent, const struct line *line, struct err *err)
{
    struct facts facts = {0};
    char buf[AGENT_LINE];
    struct line_out out;

    host_facts(&facts);
    line_begin(&out, buf, sizeof buf, line->id, "ok");
    message_put_facts(&out, &facts);
    return channel_send(&agent->channel, &out, NULL, 0, err);
}

static int agent_do_clock(struct agent *agent, const struct line *line, struct err *err)
{
    char buf[128];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, line->id, "ok");
    line_put_u64(&out, "mono_ns", clock_mono_ns());
    return channel_send(&agent->channel, &out, NULL, 0, err);
}

static int agent_do_prepare(struct agent *agent, const struct line *line, struct err *err)
{
    struct session **slot;
    struct flow_spec spec;
    int r = message_get_spec(line, &spec, err);

    if (r < 0)
        return r;
    if (agent_slot(agent, line->id))
        return err_say(err, "there is a session %u already", line->id);
    slot = agent_free_slot(agent);
    if (!slot)
        return err_set(err, EBUSY, "there are %d sessions already", AGENT_MAX_SESSIONS);
    return session_new(&agent->channel, line->id, &spec, slot, err);
}

static int agent_do_start(struct agent *agent, const struct line *line, struct err *err)
{
    struct session **slot;
    struct flow_trial trial;
    int r = message_get_trial(line, &trial, err);

    if (r < 0)
        return r;
    r = agent_named(agent, line, &slot, err);
    return r < 0 ? r : session_start(*slot, line->id, &trial, err);
}

static int agent_do_stop(struct agent *agent, const struct line *line, struct err *err)
{
    struct session **slot;
    int r = agent_named(agent, line, &slot, err);

    if (r < 0)
        return r;
    session_free(*slot);
    *slot = NULL;
    agent_ok(&agent->channel, line->id);
    return 0;
}

static int agent_do_beat(struct agent *agent, const struct line *line, struct err *err)
{
    (void)agent;
    (void)line;
    (void)err;
    return 0;
}

static int agent_do_quit(struct agent *agent, const struct line *line, struct err *err)
{
    (void)err;
    agent->quit = true;
    agent_ok(&agent->channel, line->id);
    return 0;
}

static const struct {
    const char *verb;
    int (*call)(struct agent *agent, const struct line *line, struct err *err);
} agent_verbs[] = {
    {"facts", agent_do_facts}, {"clock", agent_do_clock}, {"prepare", agent_do_prepare},
    {"start", agent_do_start}, {"stop", agent_do_stop},   {"beat", agent_do_beat},
    {"quit", agent_do_quit},
};

static void agent_dispatch(struct agent *agent, const struct line *line)
{
    struct err err = {0};
    int r = -EINVAL;
    unsigned i;

    for (i = 0; i < sizeof agent_verbs / sizeof *agent_verbs; i++)
        if (line_is(line, agent_verbs[i].verb))
            break;
    if (i < sizeof agent_verbs / sizeof *agent_verbs)
        r = agent_verbs[i].call(agent, line, &err);
    else
        err_say(&err, "verb '%.40s' is unknown", line->verb);
    if (r < 0)
        agent_error(&agent->channel, line->id, r, &err);
}

/* All messages that have come. Negative when the pipe cannot be read any further. */
static int agent_messages(struct agent *agent, struct err *err)
{
    for (;;) {
        struct message message;
        struct err line_err = {0};
        int r = channel_next(&agent->channel, &message, &line_err);

        if (r == 0 || agent->quit)
            return 0;
        if (r > 0) {
            agent_dispatch(agent, &message.line);
        } else {
            agent_error(&agent->channel, 0, r, &line_err);
            if (r != -EBADMSG) {
                *err = line_err;
                return r;
            }
        }
    }
}

static int agent_loop(struct agent *agent, struct err *err)
{
    const uint64_t beat_ns = (uint64_t)MESSAGE_BEAT_S * CLOCK_S,
                   orphan_ns = (uint64_t)MESSAGE_ORPHAN_S * CLOCK_S;

    while (!agent->quit) {
        struct pollfd pfd = {.fd = agent->channel.in_fd, .events = POLLIN};
        struct line_out out;
        char buf[64];
        int r;

        if (poll(&pfd, 1, clock_ms_until(agent->channel.last_sent_ns + beat_ns)) > 0) {
            r = channel_fill(&agent->channel, err);
            if (r < 0)
                return r;
            r = agent_messages(agent, err);
            if (r < 0)
                return r;
        }
        if (clock_mono_ns() >= agent->channel.last_sent_ns + beat_ns) {
            line_begin(&out, buf, sizeof buf, 0, "beat");
            r = channel_send(&agent->channel, &out, NULL, 0, err);
            if (r < 0)
                return r;
        }
        if (clock_mono_ns() > agent->channel.last_read_ns + orphan_ns)
            return err_set(err, ETIMEDOUT, "the controller was silent for %d s", MESSAGE_ORPHAN_S);
    }
    return 0;
}

int agent_serve(int in_fd, int out_fd)
{
    struct agent agent = {0};
    struct err err = {0};
    int r;

    signal(SIGPIPE, SIG_IGN);
    r = channel_init(&agent.channel, in_fd, out_fd, &err);
    if (r == 0)
        r = agent_hello(&agent, &err);
    if (r == 0)
        r = agent_loop(&agent, &err);
    /* The controller may be gone for good: whatever a session hangs on, this process ends. */
    alarm(AGENT_END_S);
    for (unsigned i = 0; i < AGENT_MAX_SESSIONS; i++)
        session_free(agent.sessions[i]);
    channel_done(&agent.channel);
    if (r < 0 && r != -EPIPE) {
        fprintf(stderr, "vnperf-agent: %s\n", err.text);
        return 1;
    }
    return 0;
}
