/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/preflight.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "model/ports.h"
#include "plan/preflight_judge.h"
#include "wire/probe_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    PREFLIGHT_ANSWER_S = 2, /* an answer beyond the time that the asked thing may take */
    PREFLIGHT_CHUNKS = 64,  /* lines of knocks: one a client, unless it has very many */
};

/* ---- what is needed ---- */

static bool preflight_same(const struct preflight_knock *a, const struct preflight_knock *b)
{
    return a->client == b->client && a->server == b->server && a->udp == b->udp &&
           a->port == b->port && a->port_last == b->port_last && a->nth == b->nth &&
           a->dscp == b->dscp && strcmp(a->address, b->address) == 0 &&
           strcmp(a->bind, b->bind) == 0;
}

static void preflight_add(struct preflight *p, struct preflight_needs *needs,
                          const struct preflight_knock *knock)
{
    uint32_t i = 0;

    while (i < p->n && !preflight_same(&p->knock[i], knock))
        i++;
    /* What finds no room is not looked at: the test itself will tell. */
    if (i == PREFLIGHT_MAX || needs->n == PREFLIGHT_NEEDS)
        return;
    if (i == p->n)
        p->knock[p->n++] = *knock;
    for (uint32_t k = 0; k < needs->n; k++)
        if (needs->knock[k] == i)
            return;
    needs->knock[needs->n++] = (uint16_t)i;
}

static struct preflight_knock preflight_of(const struct measure_path *path, const char *from,
                                           const struct measure_ask *ask)
{
    const struct flow_spec *spec = &ask->spec;
    struct preflight_knock knock = {.client = path->client,
                                    .server = path->server,
                                    .udp = ports_of(spec->kind) == PORTS_UDP,
                                    .v6 = strchr(path->address, ':'),
                                    .port = spec->port,
                                    .port_last = spec->port_last,
                                    .dscp = spec->dscp,
                                    .pending = true};

    text_copy(knock.address, sizeof knock.address, path->address);
    text_copy(knock.bind, sizeof knock.bind, spec->bind);
    text_copy(knock.from, sizeof knock.from, from);
    return knock;
}

/* A tool listens itself and takes no other port in mid test; where it talks before it sends is one more port. */
static void preflight_tool(struct preflight *p, struct preflight_needs *needs,
                           struct preflight_knock *knock, enum tool tool,
                           const struct measure_ask *ask)
{
    unsigned control = tool_control_port(tool, ask);

    knock->port_last = 0;
    knock->may_be_taken = true;
    preflight_add(p, needs, knock);
    if (control == ask->spec.port || control > UINT16_MAX)
        return;
    knock->udp = false;
    knock->port = (uint16_t)control;
    preflight_add(p, needs, knock);
}

void preflight_ask(struct preflight *p, struct preflight_needs *needs,
                   const struct measure_path *path, const char *from, enum tool tool,
                   const struct measure_ask *ask, const struct measure_ask *stream)
{
    struct preflight_knock knock;

    if (!path->server || ask->spec.peer != FLOW_PEER_AGENT ||
        ports_of(ask->spec.kind) == PORTS_NONE)
        return;
    knock = preflight_of(path, from, ask);
    if (tool && !flow_kind_asks(ask->spec.kind)) {
        preflight_tool(p, needs, &knock, tool, ask);
        return;
    }
    preflight_add(p, needs, &knock);
    if (!stream)
        return;
    knock = preflight_of(path, from, stream);
    /* Sessions of TCP share a port, as a listener goes when its connections are there. */
    knock.nth = ports_of(ask->spec.kind) == PORTS_UDP && knock.udp;
    preflight_add(p, needs, &knock);
}

/* ---- agents ---- */

/* A server with its doors. */
struct preflight_host {
    struct peer *peer; /* lent */
    struct probe_doors doors;
    uint32_t nth[PROBE_MAX_DOORS];
    struct probe_opened opened[PROBE_MAX_DOORS];
    struct probe_heard heard[PROBE_MAX_DOORS];
    struct call call;
    uint32_t id; /* of the line that opened them */
    bool open, has_heard;
};

/* What a client is asked in one line. */
struct preflight_chunk {
    struct peer *peer; /* lent */
    struct probe_knocks knocks;
    struct probe_answer answers[PROBE_MAX_KNOCKS];
    struct call call;
    bool answered;
};

struct preflight_pass {
    struct preflight *preflight;
    struct peer_set *set;
    struct preflight_host *host[PEER_MAX]; /* owned */
    uint32_t n_hosts;
    struct preflight_chunk *chunk[PREFLIGHT_CHUNKS]; /* owned */
    uint32_t n_chunks;
    uint8_t token[FLOW_TOKEN_BYTES];
    /* Of each pending knock: its host and door, and its answer. */
    struct preflight_host *at[PREFLIGHT_MAX];
    uint8_t door[PREFLIGHT_MAX];
    const struct probe_answer *answer[PREFLIGHT_MAX];
};

static void pass_done(struct preflight_pass *pass)
{
    for (uint32_t i = 0; i < pass->n_hosts; i++) {
        call_done(&pass->host[i]->call);
        explicit_bzero(pass->host[i], sizeof *pass->host[i]);
        free(pass->host[i]);
    }
    for (uint32_t i = 0; i < pass->n_chunks; i++) {
        call_done(&pass->chunk[i]->call);
        explicit_bzero(pass->chunk[i], sizeof *pass->chunk[i]);
        free(pass->chunk[i]);
    }
    explicit_bzero(pass->token, sizeof pass->token);
    free(pass);
}

static void pass_send(struct peer *peer, struct line_out *out, struct call *call)
{
    if (peer_send(peer, out, call, NULL) < 0)
        call->state = CALL_FAILED;
}

static struct preflight_host *pass_host(struct preflight_pass *pass, struct peer *peer)
{
    struct preflight_host *host;

    for (uint32_t i = 0; i < pass->n_hosts; i++)
        if (pass->host[i]->peer == peer)
            return pass->host[i];
    host = pass->n_hosts < PEER_MAX ? calloc(1, sizeof *host) : NULL;
    if (!host)
        return NULL;
    host->peer = peer;
    memcpy(host->doors.token, pass->token, sizeof pass->token);
    pass->host[pass->n_hosts++] = host;
    return host;
}

/* The door that a knock is for; false there is no room for one in this pass. */
static bool pass_door(struct preflight_pass *pass, uint32_t i)
{
    const struct preflight_knock *k = &pass->preflight->knock[i];
    struct preflight_host *host = pass_host(pass, k->server);
    uint32_t d = 0;

    if (!host)
        return false;
    while (d < host->doors.n &&
           (host->doors.door[d].udp != k->udp || host->doors.door[d].v6 != k->v6 ||
            host->nth[d] != k->nth || host->doors.door[d].port != k->port ||
            host->doors.door[d].port_last != k->port_last))
        d++;
    if (d == PROBE_MAX_DOORS)
        return false;
    if (d == host->doors.n) {
        host->doors.door[host->doors.n++] = (struct probe_door){
            .udp = k->udp, .v6 = k->v6, .port = k->port, .port_last = k->port_last};
        host->nth[d] = k->nth;
    }
    pass->at[i] = host;
    pass->door[i] = (uint8_t)d;
    return true;
}

static void host_opened(void *arg, const struct message *message)
{
    struct preflight_host *host = arg;

    host->open = line_is(&message->line, "ok") &&
                 probe_message_get_opened(&message->line, host->opened, host->doors.n, NULL) == 0;
}

static void host_heard(void *arg, const struct message *message)
{
    struct preflight_host *host = arg;

    host->has_heard =
        line_is(&message->line, "ok") &&
        probe_message_get_heard(&message->line, host->heard, host->doors.n, NULL) == 0;
}

static void chunk_answered(void *arg, const struct message *message)
{
    struct preflight_chunk *chunk = arg;

    chunk->answered =
        line_is(&message->line, "ok") &&
        probe_message_get_answers(&message->line, chunk->answers, chunk->knocks.n, NULL) == 0;
}

/* Until all calls of hosts and chunks are answered or have failed, or the deadline. Only an interruption is an error. */
static int pass_wait(const struct preflight_pass *pass, uint64_t deadline_ns, struct err *err)
{
    for (;;) {
        bool waiting = false;
        int r;

        for (uint32_t i = 0; i < pass->n_hosts; i++)
            waiting |= pass->host[i]->call.state == CALL_WAITING;
        for (uint32_t i = 0; i < pass->n_chunks; i++)
            waiting |= pass->chunk[i]->call.state == CALL_WAITING;
        if (!waiting || clock_mono_ns() >= deadline_ns)
            return 0;
        r = peer_pump(pass->set, deadline_ns, err);
        if (r < 0)
            return r;
    }
}

static uint64_t pass_deadline(uint64_t ns)
{
    return clock_mono_ns() + ns + (uint64_t)PREFLIGHT_ANSWER_S * CLOCK_S;
}

static int pass_open(struct preflight_pass *pass, struct err *err)
{
    for (uint32_t i = 0; i < pass->n_hosts; i++) {
        struct preflight_host *host = pass->host[i];
        char buf[1024];
        struct line_out out;

        peer_begin(host->peer, &out, buf, sizeof buf, "doors");
        probe_message_put_doors(&out, &host->doors);
        host->id = host->peer->next_id;
        host->call = (struct call){.on_message = host_opened, .arg = host};
        pass_send(host->peer, &out, &host->call);
    }
    return pass_wait(pass, pass_deadline(0), err);
}

/* A line of that client's with room for one more knock. */
static struct preflight_chunk *pass_chunk(struct preflight_pass *pass, struct peer *peer)
{
    struct preflight_chunk *chunk;

    for (uint32_t i = 0; i < pass->n_chunks; i++)
        if (pass->chunk[i]->peer == peer && pass->chunk[i]->knocks.n < PROBE_MAX_KNOCKS)
            return pass->chunk[i];
    chunk = pass->n_chunks < PREFLIGHT_CHUNKS ? calloc(1, sizeof *chunk) : NULL;
    if (!chunk)
        return NULL;
    chunk->peer = peer;
    chunk->knocks.wait_ns = PREFLIGHT_WAIT_MS * (uint64_t)CLOCK_MS;
    memcpy(chunk->knocks.token, pass->token, sizeof pass->token);
    pass->chunk[pass->n_chunks++] = chunk;
    return chunk;
}

static void pass_add_knock(struct preflight_pass *pass, uint32_t i)
{
    const struct preflight_knock *k = &pass->preflight->knock[i];
    struct preflight_chunk *chunk = pass_chunk(pass, k->client);
    struct probe_knock *knock;

    if (!chunk)
        return;
    pass->answer[i] = &chunk->answers[chunk->knocks.n];
    knock = &chunk->knocks.knock[chunk->knocks.n++];
    *knock = (struct probe_knock){.udp = k->udp,
                                  .port = pass->at[i]->opened[pass->door[i]].port,
                                  .number = i,
                                  .dscp = k->dscp};
    text_copy(knock->address, sizeof knock->address, k->address);
    text_copy(knock->bind, sizeof knock->bind, k->bind);
}

static int pass_knock(struct preflight_pass *pass, struct err *err)
{
    AUTO(free_p) char *buf = malloc(LINE_MAX_BYTES);

    if (!buf)
        return err_set(err, ENOMEM, "memory for knocks");
    for (uint32_t i = 0; i < pass->preflight->n; i++)
        if (pass->at[i] && pass->at[i]->open && pass->at[i]->opened[pass->door[i]].error == 0)
            pass_add_knock(pass, i);
    for (uint32_t i = 0; i < pass->n_chunks; i++) {
        struct preflight_chunk *chunk = pass->chunk[i];
        struct line_out out;

        peer_begin(chunk->peer, &out, buf, LINE_MAX_BYTES, "knock");
        probe_message_put_knocks(&out, &chunk->knocks);
        chunk->call = (struct call){.on_message = chunk_answered, .arg = chunk};
        pass_send(chunk->peer, &out, &chunk->call);
    }
    /* One that has several lines takes them one after the other. */
    return pass_wait(pass,
                     pass_deadline((uint64_t)PREFLIGHT_WAIT_MS * CLOCK_MS *
                                   (1 + pass->preflight->n / PROBE_MAX_KNOCKS)),
                     err);
}

/* In any case, also after an interruption: their ports are the tests'. */
static int pass_shut(struct preflight_pass *pass, struct err *err)
{
    for (uint32_t i = 0; i < pass->n_hosts; i++) {
        struct preflight_host *host = pass->host[i];
        char buf[128];
        struct line_out out;

        if (!host->open || host->peer->gone)
            continue;
        call_done(&host->call);
        peer_begin(host->peer, &out, buf, sizeof buf, "shut");
        line_put_u64(&out, "doors", host->id);
        host->call = (struct call){.on_message = host_heard, .arg = host};
        pass_send(host->peer, &out, &host->call);
    }
    return pass_wait(pass, pass_deadline(0), err);
}

/* ---- what it means ---- */

/* Did another host of this pass hold a port of that kind? Two agents may share a machine, and then its ports. */
static bool pass_held_by_us(const struct preflight_pass *pass, const struct preflight_knock *k)
{
    for (uint32_t i = 0; i < pass->n_hosts; i++)
        for (uint32_t d = 0; d < pass->host[i]->doors.n && pass->host[i]->peer != k->server; d++) {
            const struct probe_opened *o = &pass->host[i]->opened[d];

            if (pass->host[i]->open && !o->error && pass->host[i]->doors.door[d].udp == k->udp &&
                o->port >= k->port && o->port <= (k->port_last ? k->port_last : k->port))
                return true;
        }
    return false;
}

/* Silent knocks of TCP at the same door: when there is but one, a half connection there is its. */
static uint32_t pass_silent(const struct preflight_pass *pass, uint32_t of)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < pass->preflight->n; i++)
        n += pass->answer[i] && pass->at[i] == pass->at[of] && pass->door[i] == pass->door[of] &&
             pass->answer[i]->end == PROBE_SILENT;
    return n;
}

/* True: it has to wait for a pass in which those that took its port are away. */
static bool pass_judge(struct preflight_pass *pass, uint32_t i)
{
    struct preflight_knock *k = &pass->preflight->knock[i];
    const struct preflight_host *host = pass->at[i];
    const struct probe_opened *opened;

    k->pending = false;
    if (!host->open)
        return false;
    opened = &host->opened[pass->door[i]];
    if (opened->error == EADDRINUSE && pass_held_by_us(pass, k)) {
        k->pending = true;
        return true;
    }
    if (opened->error == EADDRINUSE && k->may_be_taken)
        return false;
    if (opened->error)
        preflight_judge_door(k, opened->error);
    else if (pass->answer[i])
        preflight_judge_knock(k, opened->port, pass->answer[i],
                              host->has_heard ? &host->heard[pass->door[i]] : NULL, i,
                              pass_silent(pass, i) == 1);
    return false;
}

/* Answers of agents that did not give any are none. */
static void pass_forget(struct preflight_pass *pass)
{
    for (uint32_t i = 0; i < pass->n_chunks; i++)
        for (uint32_t k = 0; k < pass->chunk[i]->knocks.n && !pass->chunk[i]->answered; k++)
            pass->answer[pass->chunk[i]->knocks.knock[k].number] = NULL;
}

/* All pending knocks for which there is room at once. 1: some are left. */
static int preflight_pass(struct preflight *p, struct peer_set *set, struct err *err)
{
    struct preflight_pass *pass = calloc(1, sizeof *pass);
    bool left = false;
    int r, shut;

    if (!pass)
        return err_set(err, ENOMEM, "memory for a preflight");
    pass->preflight = p;
    pass->set = set;
    if (getrandom(pass->token, sizeof pass->token, 0) != sizeof pass->token) {
        pass_done(pass);
        return err_set(err, errno, "making a token");
    }
    for (uint32_t i = 0; i < p->n; i++)
        if (p->knock[i].pending && !pass_door(pass, i))
            left = true;
    r = pass_open(pass, err);
    if (r == 0)
        r = pass_knock(pass, err);
    shut = pass_shut(pass, r == 0 ? err : NULL);
    if (r == 0)
        r = shut;
    pass_forget(pass);
    for (uint32_t i = 0; i < p->n && r == 0; i++)
        if (pass->at[i])
            left |= pass_judge(pass, i);
    pass_done(pass);
    return r < 0 ? r : left;
}

int preflight_run(struct preflight *p, struct peer_set *set, struct err *err)
{
    int r = p->n > 0;

    /* Each pass settles what one machine's agents can hold at once, so there are no more than agents. */
    for (unsigned i = 0; i < PEER_MAX && r > 0; i++)
        r = preflight_pass(p, set, err);
    return r < 0 ? err_wrap(err, r, "preflight") : 0;
}

int preflight_why(const struct preflight *p, const struct preflight_needs *needs, struct err *err)
{
    char text[sizeof((struct err *)0)->text] = "";
    size_t used = 0;
    int code = 0;

    for (uint32_t i = 0; i < needs->n; i++) {
        const struct preflight_knock *k = &p->knock[needs->knock[i]];

        if (!k->why[0] || used + strlen(k->why) + 3 > sizeof text)
            continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? "; " : "", k->why);
        code = code ? code : k->code;
    }
    if (!code)
        return 0;
    err_say(err, "%s", text);
    if (err)
        err->code = code;
    return -code;
}
