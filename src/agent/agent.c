/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/beating.h"
#include "agent/cpu_watch.h"
#include "agent/probe.h"
#include "agent/session.h"
#include "agent/walk.h"
#include "agent/watch.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "host/host.h"
#include "wire/hop_message.h"
#include "wire/message.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    AGENT_MAX_SESSIONS = 16,
    AGENT_LINE = LINE_MAX_BYTES,
    AGENT_STOP_S = 10, /* for a session's thread, which may be writing to a slow controller */
    AGENT_END_S = 3,   /* for all of them when the controller has gone */
};

struct agent {
    struct channel channel;
    struct session *sessions[AGENT_MAX_SESSIONS]; /* owned */
    struct watch *watch;                          /* owned; one at a time */
    struct cpu_watch *cpu;                        /* owned; one at a time */
    struct probe probe;
    bool quit;
};

void agent_ok(struct channel *channel, uint32_t id)
{
    char buf[64];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, id, "ok");
    channel_send(channel, &out, NULL, 0, NULL);
}

void agent_tell(struct channel *channel, uint32_t id, const char *verb, int code,
                const struct err *err)
{
    char buf[2048];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, id, verb);
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

/* Whatever its thread hangs on, this comes back in time or the process ends. */
static void agent_drop(struct session **slot)
{
    alarm(AGENT_STOP_S);
    session_free(*slot);
    alarm(0);
    *slot = NULL;
}

/* Room for a session of that id; NULL with a sentence. One that has ended by itself gives way when it has to. */
static struct session **agent_room(struct agent *agent, uint32_t id, struct err *err)
{
    struct session **same = agent_slot(agent, id), **free_slot = NULL, **ended = same;

    if (same && !session_ended(*same)) {
        err_set(err, EEXIST, "there is a session %u already", id);
        return NULL;
    }
    for (unsigned i = 0; i < AGENT_MAX_SESSIONS; i++) {
        if (!agent->sessions[i])
            free_slot = &agent->sessions[i];
        else if (!ended && session_ended(agent->sessions[i]))
            ended = &agent->sessions[i];
    }
    if (free_slot && !same)
        return free_slot;
    if (ended)
        agent_drop(ended);
    else
        err_set(err, EBUSY, "there are %d sessions already", AGENT_MAX_SESSIONS);
    return ended;
}

/* The session that "session=" names; NULL with a sentence. */
static struct session **agent_named(struct agent *agent, const struct line *line, struct err *err)
{
    struct session **slot = NULL;
    uint64_t id = 0;

    if (line_get_u64(line, "session", &id) < 0 || id > UINT32_MAX) {
        err_say(err, "%s lacks session=NUMBER", line->verb);
    } else {
        slot = agent_slot(agent, (uint32_t)id);
        if (!slot)
            err_say(err, "there is no session %llu", (unsigned long long)id);
    }
    return slot;
}

static int agent_do_facts(struct agent *agent, const struct message *message, struct err *err)
{
    const struct line *line = &message->line;
    const char *address = line_get(line, "address"), *node = line_get(line, "node"),
               *few = line_get(line, "few");
    AUTO(free_p) struct facts *facts = calloc(1, sizeof *facts); /* large */
    struct host_ask ask = {.node = node && strcmp(node, "1") == 0,
                           .few = few && strcmp(few, "1") == 0};
    char buf[AGENT_LINE];
    struct line_out out;
    unsigned next = 0;
    int r = 0;

    if (!facts)
        return err_set(err, ENOMEM, "memory for facts");
    if (address && !text_copy(ask.address, sizeof ask.address, address))
        return err_say(err, "%s: address= is too long", line->verb);
    host_facts_asked(&ask, facts);
    do {
        line_begin(&out, buf, sizeof buf, line->id, "facts");
        next = message_put_facts(&out, facts, next);
        r = channel_send(&agent->channel, &out, NULL, 0, err);
    } while (next < facts->n_facts && r == 0);
    if (r == 0)
        agent_ok(&agent->channel, line->id);
    return r;
}

static int agent_do_clock(struct agent *agent, const struct message *message, struct err *err)
{
    const struct line *line = &message->line;
    char buf[128];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, line->id, "ok");
    line_put_u64(&out, "mono_ns", clock_mono_ns());
    line_put_u64(&out, "wall_ns", clock_wall_ns());
    return channel_send(&agent->channel, &out, NULL, 0, err);
}

static int agent_do_prepare(struct agent *agent, const struct message *message, struct err *err)
{
    const struct line *line = &message->line;
    struct session **slot;
    struct flow_spec spec;
    int r = message_get_spec(line, &spec, err);

    if (r < 0)
        return r;
    slot = agent_room(agent, line->id, err);
    return slot ? session_new(&agent->channel, line->id, &spec, slot, err) : -err->code;
}

static int agent_do_start(struct agent *agent, const struct message *message, struct err *err)
{
    const struct line *line = &message->line;
    struct session **slot;
    struct flow_trial trial;
    int r = message_get_trial(line, &trial, err);

    if (r < 0)
        return r;
    slot = agent_named(agent, line, err);
    return slot ? session_start(*slot, line->id, &trial, err) : -EINVAL;
}

static int agent_do_stop(struct agent *agent, const struct message *message, struct err *err)
{
    const struct line *line = &message->line;
    struct session **slot = agent_named(agent, line, err);

    if (!slot)
        return -EINVAL;
    agent_drop(slot);
    agent_ok(&agent->channel, line->id);
    return 0;
}

static int agent_do_beat(struct agent *agent, const struct message *message, struct err *err)
{
    (void)agent;
    (void)message;
    (void)err;
    return 0;
}

static void agent_unwatch(struct agent *agent)
{
    alarm(AGENT_STOP_S);
    watch_free(agent->watch);
    alarm(0);
    agent->watch = NULL;
}

static void agent_uncpu(struct agent *agent)
{
    alarm(AGENT_STOP_S);
    cpu_watch_free(TAKE(agent->cpu));
    alarm(0);
}

static int agent_do_quit(struct agent *agent, const struct message *message, struct err *err)
{
    (void)err;
    agent->quit = true;
    for (unsigned i = 0; i < AGENT_MAX_SESSIONS; i++)
        agent_drop(&agent->sessions[i]);
    agent_unwatch(agent);
    agent_uncpu(agent);
    probe_done(&agent->probe);
    agent_ok(&agent->channel, message->line.id);
    return 0;
}

static int agent_do_watch(struct agent *agent, const struct message *message, struct err *err)
{
    AUTO(free_p) struct live_options *options = malloc(sizeof *options); /* large */
    int r;

    if (!options)
        return err_set(err, ENOMEM, "memory for a watch");
    if (agent->watch)
        return err_set(err, EBUSY, "watch %u goes on", watch_id(agent->watch));
    r = hop_message_get_options(&message->line, message->blob, message->n_blob, options, err);
    if (r == 0)
        r = watch_new(&agent->channel, message->line.id, options, &agent->watch, err);
    return r;
}

static int agent_do_unwatch(struct agent *agent, const struct message *message, struct err *err)
{
    const struct line *line = &message->line;
    uint64_t id = 0;
    int r;

    if (line_get_u64(line, "watch", &id) < 0)
        return err_say(err, "%s lacks watch=NUMBER", line->verb);
    if (!agent->watch || watch_id(agent->watch) != id)
        return err_say(err, "there is no watch %llu", (unsigned long long)id);
    alarm(AGENT_STOP_S);
    r = watch_tell(agent->watch, line->id, err);
    alarm(0);
    agent_unwatch(agent);
    if (r == 0)
        agent_ok(&agent->channel, line->id);
    return r;
}

static int agent_do_calibrate(struct agent *agent, const struct message *message, struct err *err)
{
    const struct line *line = &message->line;
    const char *source = line_get(line, "source");
    uint64_t points = 0;
    int i = 0, r;

    while (i < LIVE_SOURCE_COUNT && (!source || strcmp(source, live_source_name[i]) != 0))
        i++;
    if (i == LIVE_SOURCE_COUNT || i == LIVE_AUTO)
        return err_say(err, "%s: source=%s is none that can be measured", line->verb,
                       source ? source : "");
    if (line_get_u64(line, "points", &points) < 0 || points < 1 || points > HOP_MAX_POINTS)
        return err_say(err, "%s: points= is not 1 to %d", line->verb, HOP_MAX_POINTS);
    r = watch_calibrate(&agent->channel, line->id, (enum live_source)i, (unsigned)points, err);
    if (r == 0)
        agent_ok(&agent->channel, line->id);
    return r;
}

/* A later one takes the place of one that nobody waits for any more. */
static int agent_do_cpu(struct agent *agent, const struct message *message, struct err *err)
{
    struct cpu_ask ask;
    int r = cpu_message_get_ask(&message->line, &ask, err);

    if (r < 0)
        return r;
    if (ask.duration_ns == 0)
        return cpu_watch_answer(&agent->channel, message->line.id, err);
    agent_uncpu(agent);
    return cpu_watch_new(&agent->channel, message->line.id, &ask, &agent->cpu, err);
}

static int agent_do_path(struct agent *agent, const struct message *message, struct err *err)
{
    return walk_answer(&agent->channel, &message->line, err);
}

static int agent_do_doors(struct agent *agent, const struct message *message, struct err *err)
{
    return probe_do_doors(&agent->probe, &agent->channel, &message->line, err);
}

static int agent_do_knock(struct agent *agent, const struct message *message, struct err *err)
{
    return probe_do_knock(&agent->channel, &message->line, err);
}

static int agent_do_shut(struct agent *agent, const struct message *message, struct err *err)
{
    return probe_do_shut(&agent->probe, &agent->channel, &message->line, err);
}

static const struct {
    const char *verb;
    int (*call)(struct agent *agent, const struct message *message, struct err *err);
    bool takes_blob;
    bool long_one; /* may take seconds */
} agent_verbs[] = {
    {"facts", agent_do_facts, false, true},      {"clock", agent_do_clock, false, false},
    {"prepare", agent_do_prepare, false, false}, {"start", agent_do_start, false, false},
    {"stop", agent_do_stop, false, false},       {"watch", agent_do_watch, true, true},
    {"unwatch", agent_do_unwatch, false, true},  {"calibrate", agent_do_calibrate, false, true},
    {"path", agent_do_path, false, true},        {"cpu", agent_do_cpu, false, false},
    {"doors", agent_do_doors, false, false},     {"knock", agent_do_knock, false, true},
    {"shut", agent_do_shut, false, false},       {"beat", agent_do_beat, false, false},
    {"quit", agent_do_quit, false, false},
};

static int agent_call(struct agent *agent, const struct message *message, struct err *err)
{
    const struct line *line = &message->line;
    struct beating beating;
    int r;

    for (unsigned i = 0; i < sizeof agent_verbs / sizeof *agent_verbs; i++) {
        if (!line_is(line, agent_verbs[i].verb))
            continue;
        if (message->n_blob && !agent_verbs[i].takes_blob)
            return err_say(err, "%s takes no blob", line->verb);
        if (line->id == 0 && !line_is(line, "beat"))
            return err_say(err, "%s has id 0: a request's id is 1 or more", line->verb);
        if (!agent_verbs[i].long_one)
            return agent_verbs[i].call(agent, message, err);
        beating_begin(&beating, &agent->channel);
        r = agent_verbs[i].call(agent, message, err);
        beating_end(&beating);
        return r;
    }
    return err_say(err, "verb '%.40s' is unknown", line->verb);
}

static void agent_dispatch(struct agent *agent, const struct message *message)
{
    struct err err = {0};
    int r = agent_call(agent, message, &err);

    if (r < 0)
        agent_tell(&agent->channel, message->line.id, "error", r, &err);
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
            agent_dispatch(agent, &message);
        } else {
            agent_tell(&agent->channel, 0, "error", r, &line_err);
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
    int r = 0;

    while (!agent->quit && r >= 0) {
        struct pollfd pfd = {.fd = agent->channel.in_fd, .events = POLLIN};
        int n = poll(&pfd, 1, clock_ms_until(agent->channel.last_sent_ns + beat_ns));

        if (n > 0) {
            r = channel_fill(&agent->channel, err);
            if (r > 0)
                r = agent_messages(agent, err);
        } else if (n == 0 && clock_mono_ns() > agent->channel.last_read_ns + orphan_ns) {
            r = err_set(err, ETIMEDOUT, "the controller was silent for %d s", MESSAGE_ORPHAN_S);
        }
        if (r >= 0 && !agent->quit && clock_mono_ns() >= agent->channel.last_sent_ns + beat_ns)
            r = beating_beat(&agent->channel, err);
    }
    return r;
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
    watch_free(agent.watch);
    cpu_watch_free(agent.cpu);
    probe_done(&agent.probe);
    alarm(0);
    channel_done(&agent.channel);
    if (r < 0 && r != -EPIPE && r != -ECONNRESET) {
        fprintf(stderr, "vnperf-agent: %s\n", err.text);
        return 1;
    }
    return 0;
}
