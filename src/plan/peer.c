/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/peer.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEER_ANSWER_S = 5 };

static void peer_lost(struct peer *peer, const char *why)
{
    if (peer->gone)
        return;
    peer->gone = true;
    snprintf(peer->gone_text, sizeof peer->gone_text, "the agent at %s has ended (%s)", peer->name,
             why);
    for (unsigned i = 0; i < PEER_MAX_CALLS; i++) {
        struct call *call = peer->calls[i];

        if (!call)
            continue;
        call->state = CALL_FAILED;
        err_say(&call->err, "%s", peer->gone_text);
        call->err.code = EPIPE;
    }
}

static struct call *peer_call(struct peer *peer, uint32_t id)
{
    for (unsigned i = 0; i < PEER_MAX_CALLS; i++)
        if (peer->calls[i] && peer->calls[i]->id == id)
            return peer->calls[i];
    return NULL;
}

static void peer_answer_error(struct call *call, const struct line *line)
{
    const char *text = line_get(line, "text");
    uint64_t code = EPROTO;

    line_get_u64(line, "code", &code);
    call->state = CALL_FAILED;
    err_say(&call->err, "%s: %s", call->peer->name, text ? text : "failed without a word");
    text_tame(call->err.text);
    call->err.code = code > 0 && code < 4096 ? (int)code : EPROTO;
}

static void peer_answer_result(struct call *call, const struct message *message)
{
    const char *name = line_get(&message->line, "part");
    int part = 0, r;
    struct err err = {0};

    while (part < FLOW_PART_COUNT && (!name || strcmp(name, flow_part_name[part]) != 0))
        part++;
    if (part == FLOW_PART_COUNT)
        return; /* a newer agent may know more */

    flow_result_done(&call->results[part]);
    r = message_get_result(&message->line, message->blob, message->n_blob, &call->results[part],
                           &err);
    if (r < 0) {
        call->state = CALL_FAILED;
        err_wrap(&err, r, "%s", call->peer->name);
        call->err = err;
        return;
    }
    call->has[part] = true;
}

static void peer_answer_interval(struct call *call, const struct line *line)
{
    const char *part = line_get(line, "part");
    struct flow_interval interval;
    uint64_t index = 0;

    if (!call->on_interval || !part || line_get_u64(line, "index", &index) < 0 ||
        message_get_interval(line, &interval, NULL) < 0)
        return;
    call->on_interval(call->arg, (uint32_t)index, strcmp(part, "received") == 0, &interval);
}

static void peer_answer_ok(struct call *call, const struct line *line)
{
    call->state = CALL_OK;
    if (line_get_u64(line, "port", &call->number) < 0)
        line_get_u64(line, "mono_ns", &call->number);
    line_get_u64(line, "wall_ns", &call->wall_ns);
    if (call->facts)
        message_get_facts(line, call->facts);
}

static void peer_hello(struct peer *peer, const struct line *line)
{
    uint64_t protocol = 0, pid = 0;

    line_get_u64(line, "protocol", &protocol);
    line_get_u64(line, "pid", &pid);
    peer->pid = pid <= UINT32_MAX ? (uint32_t)pid : 0;
    if (protocol == MESSAGE_PROTOCOL) {
        peer->said_hello = true;
    } else {
        char why[96];

        snprintf(why, sizeof why, "it speaks protocol %llu, this vnperf speaks %d",
                 (unsigned long long)protocol, MESSAGE_PROTOCOL);
        peer_lost(peer, why);
    }
}

static void peer_dispatch(struct peer *peer, const struct message *message)
{
    const struct line *line = &message->line;
    struct call *call = peer_call(peer, line->id);

    if (line->id == 0 && line_is(line, "hello"))
        peer_hello(peer, line);
    if (!call || line->id == 0)
        return;
    if (call->on_message)
        call->on_message(call->arg, message);
    if (line_is(line, "ok"))
        peer_answer_ok(call, line);
    else if (line_is(line, "error") || line_is(line, "failed"))
        peer_answer_error(call, line);
    else if (line_is(line, "result"))
        peer_answer_result(call, message);
    else if (line_is(line, "interval"))
        peer_answer_interval(call, line);
    else if (line_is(line, "facts") && call->facts)
        message_get_facts(line, call->facts);
}

/*
 * Before its hello an agent may be preceded by other talk (a shell's profile, a banner): lines that are none are
 * skipped. After it they mean that something is broken.
 */
static void peer_read(struct peer *peer)
{
    struct err err = {0};
    int r = channel_fill(&peer->channel, &err);

    if (r < 0) {
        peer_lost(peer, err.text);
        return;
    }
    while (!peer->gone) {
        struct message message;

        r = channel_next(&peer->channel, &message, &err);
        if (r == 0)
            return;
        if (r > 0)
            peer_dispatch(peer, &message);
        else if (r != -EBADMSG || peer->said_hello)
            peer_lost(peer, err.text);
    }
}

static void peer_keep_alive(struct peer *peer, uint64_t now)
{
    struct line_out out;
    char buf[64];

    if (now > peer->channel.last_read_ns + (uint64_t)MESSAGE_SILENCE_S * CLOCK_S &&
        peer->said_hello) {
        char why[64];

        snprintf(why, sizeof why, "silent for %d s", MESSAGE_SILENCE_S);
        peer_lost(peer, why);
        return;
    }
    if (now < peer->channel.last_sent_ns + (uint64_t)MESSAGE_SILENCE_S * CLOCK_S ||
        !peer->said_hello)
        return;
    line_begin(&out, buf, sizeof buf, 0, "beat");
    channel_send(&peer->channel, &out, NULL, 0, NULL);
}

/* When it will have been silent for too long, if that is before next_ns. */
static uint64_t peer_silent_ns(const struct peer *peer, uint64_t next_ns)
{
    uint64_t ns = peer->channel.last_read_ns + (uint64_t)MESSAGE_SILENCE_S * CLOCK_S + CLOCK_MS;

    return !peer->gone && peer->said_hello && ns < next_ns ? ns : next_ns;
}

int peer_pump(struct peer_set *set, uint64_t deadline_ns, struct err *err)
{
    struct pollfd pfds[PEER_MAX + 1];
    uint64_t now = clock_mono_ns(), next = now + (uint64_t)MESSAGE_BEAT_S * CLOCK_S;
    int n;

    next = deadline_ns < next ? deadline_ns : next;
    for (unsigned i = 0; i < set->n_peers; i++)
        next = peer_silent_ns(set->peers[i], next);
    for (unsigned i = 0; i < set->n_peers; i++)
        pfds[i] = (struct pollfd){.fd = set->peers[i]->gone ? -1 : set->peers[i]->channel.in_fd,
                                  .events = POLLIN};
    pfds[set->n_peers] = (struct pollfd){.fd = set->interrupt_fd, .events = POLLIN};
    n = poll(pfds, set->n_peers + 1, clock_ms_until(next));
    if (n < 0 && errno != EINTR)
        return err_set(err, errno, "waiting for agents");
    /*
     * Read before judging silence: when this process itself stood still (a stopped job, a suspended machine) the
     * agents' lines lie in the pipes.
     */
    for (unsigned i = 0; i < set->n_peers && n > 0; i++)
        if (pfds[i].revents)
            peer_read(set->peers[i]);
    now = clock_mono_ns();
    for (unsigned i = 0; i < set->n_peers; i++)
        if (!set->peers[i]->gone)
            peer_keep_alive(set->peers[i], now);
    if (n > 0 && pfds[set->n_peers].revents)
        return err_set(err, ECANCELED, "a signal came");
    return 0;
}

void peer_on_wait(void *arg)
{
    /* A signal is seen by who waits. */
    peer_pump(arg, 0, NULL);
}

int peer_wait(struct peer_set *set, struct call *const calls[], unsigned n_calls,
              uint64_t deadline_ns, struct err *err)
{
    for (;;) {
        unsigned waiting = 0;
        int r;

        for (unsigned i = 0; i < n_calls; i++) {
            if (calls[i]->state == CALL_FAILED) {
                if (err)
                    *err = calls[i]->err;
                return -(calls[i]->err.code ? calls[i]->err.code : EIO);
            }
            waiting += calls[i]->state == CALL_WAITING;
        }
        if (!waiting)
            return 0;
        if (clock_mono_ns() >= deadline_ns) {
            for (unsigned i = 0; i < n_calls; i++)
                if (calls[i]->state == CALL_WAITING)
                    return err_set(err, ETIMEDOUT, "waiting for the agent at %s",
                                   calls[i]->peer->name);
        }
        r = peer_pump(set, deadline_ns, err);
        if (r < 0)
            return r;
    }
}

void call_done(struct call *call)
{
    if (!call || call->state == CALL_NONE)
        return;
    for (unsigned i = 0; i < PEER_MAX_CALLS; i++)
        if (call->peer && call->peer->calls[i] == call)
            call->peer->calls[i] = NULL;
    for (int part = 0; part < FLOW_PART_COUNT; part++)
        flow_result_done(&call->results[part]);
    *call = (struct call){0};
}

void peer_begin(struct peer *peer, struct line_out *out, char *buf, size_t size, const char *verb)
{
    line_begin(out, buf, size, ++peer->next_id, verb);
}

int peer_send(struct peer *peer, struct line_out *out, struct call *call, struct err *err)
{
    return peer_send_blob(peer, out, NULL, 0, call, err);
}

int peer_send_blob(struct peer *peer, struct line_out *out, const void *blob, size_t n_blob,
                   struct call *call, struct err *err)
{
    struct err send_err = {0};
    unsigned slot;

    call->peer = peer;
    call->id = peer->next_id;
    call->state = CALL_WAITING;
    if (peer->gone) {
        call->state = CALL_FAILED;
        err_say(&call->err, "%s", peer->gone_text);
        call->err.code = EPIPE;
        if (err)
            *err = call->err;
        return -EPIPE;
    }
    for (slot = 0; slot < PEER_MAX_CALLS && peer->calls[slot]; slot++)
        ;
    if (slot == PEER_MAX_CALLS)
        return err_set(err, EBUSY, "%s: too many requests at once", peer->name);
    peer->calls[slot] = call;
    if (channel_send(&peer->channel, out, blob, n_blob, &send_err) < 0) {
        /* What it said last tells more than the broken pipe. */
        peer_read(peer);
        peer_lost(peer, send_err.text);
        if (err)
            *err = call->err;
        return -EPIPE;
    }
    return 0;
}

void peer_program_init(struct peer_program *program, const char *path, int nice)
{
    *program = (struct peer_program){.option = "--nice"};
    text_copy(program->path, sizeof program->path, path);
    snprintf(program->nice, sizeof program->nice, "%d", nice);
    program->argv[0] = program->path;
    if (nice) {
        program->argv[1] = program->option;
        program->argv[2] = program->nice;
    }
}

int peer_set_add(struct peer_set *set, const char *name, struct spawned *spawned,
                 uint64_t timeout_ns, struct peer **ret_peer, struct err *err)
{
    struct peer *peer = calloc(1, sizeof *peer);
    uint64_t deadline = clock_mono_ns() + timeout_ns;
    int r;

    if (!peer || set->n_peers == PEER_MAX) {
        free(peer);
        spawned_end(spawned, 0);
        return err_set(err, ENOMEM, "one more agent");
    }
    text_copy(peer->name, sizeof peer->name, name);
    peer->spawned = *spawned;
    *spawned = (struct spawned){.in_fd = -1, .out_fd = -1};
    r = channel_init(&peer->channel, peer->spawned.out_fd, peer->spawned.in_fd, err);
    if (r < 0) {
        spawned_end(&peer->spawned, 0);
        free(peer);
        return r;
    }
    set->peers[set->n_peers++] = peer;
    while (!peer->said_hello && !peer->gone) {
        if (clock_mono_ns() >= deadline)
            return err_set(err, ETIMEDOUT, "waiting for the agent at %s to say hello", name);
        r = peer_pump(set, deadline, err);
        if (r < 0)
            return r;
    }
    if (peer->gone) {
        err_say(err, "%s", peer->gone_text);
        if (err)
            err->code = EPIPE;
        return -EPIPE;
    }
    *ret_peer = peer;
    return 0;
}

struct peer *peer_find(const struct peer_set *set, const char *name)
{
    for (unsigned i = 0; i < set->n_peers; i++)
        if (strcmp(set->peers[i]->name, name) == 0)
            return set->peers[i];
    return NULL;
}

void peer_set_done(struct peer_set *set, uint64_t grace_ns)
{
    uint64_t deadline = clock_mono_ns() + grace_ns;

    for (unsigned i = 0; i < set->n_peers; i++) {
        struct peer *peer = set->peers[i];
        struct line_out out;
        char buf[64];

        peer_begin(peer, &out, buf, sizeof buf, "quit");
        if (!peer->gone)
            channel_send(&peer->channel, &out, NULL, 0, NULL);
        close(peer->spawned.in_fd);
        peer->spawned.in_fd = -1;
    }
    for (unsigned i = 0; i < set->n_peers; i++) {
        struct peer *peer = set->peers[i];
        uint64_t now = clock_mono_ns();

        channel_done(&peer->channel);
        spawned_end(&peer->spawned, now < deadline ? deadline - now : 0);
        free(peer);
    }
    set->n_peers = 0;
}

int peer_ask_facts(struct peer_set *set, struct peer *peer, bool few, struct err *err)
{
    struct call call = {.facts = &peer->facts}, *calls[] = {&call};
    char buf[64];
    struct line_out out;
    int r;

    peer->facts = (struct facts){0};
    peer_begin(peer, &out, buf, sizeof buf, "facts");
    if (few)
        line_put_u64(&out, "few", 1);
    r = peer_send(peer, &out, &call, err);
    if (r == 0)
        r = peer_wait(set, calls, 1, clock_mono_ns() + (uint64_t)PEER_ANSWER_S * CLOCK_S, err);
    call_done(&call);
    return r < 0 ? err_wrap(err, r, "asking for facts") : 0;
}

int peer_ask_clock(struct peer_set *set, struct peer *peer, unsigned n, struct err *err)
{
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < n; i++) {
        struct call call = {0}, *calls[] = {&call};
        uint64_t before, after, theirs, wall, theirs_wall;
        char buf[64];
        struct line_out out;
        int r;

        peer_begin(peer, &out, buf, sizeof buf, "clock");
        before = clock_mono_ns();
        r = peer_send(peer, &out, &call, err);
        if (r == 0)
            r = peer_wait(set, calls, 1, before + (uint64_t)PEER_ANSWER_S * CLOCK_S, err);
        after = clock_mono_ns();
        wall = clock_wall_ns();
        theirs = call.number;
        theirs_wall = call.wall_ns;
        call_done(&call);
        if (r < 0)
            return err_wrap(err, r, "asking for the time");
        if (after - before >= best)
            continue;
        best = after - before;
        peer->offset_ns = (int64_t)(theirs - (before + (after - before) / 2));
        peer->wall_offset_ns = (int64_t)(theirs_wall - (wall - (after - before) / 2));
        peer->offset_error_ns = (best + 1) / 2;
    }
    return 0;
}
