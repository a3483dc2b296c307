/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/pair_run.h"
#include "base/auto.h"
#include "base/clock.h"
#include "plan/fact_round.h"
#include "plan/peer_address.h"
#include "plan/preflight.h"
#include "plan/under_load.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAIR_HELLO_S = 10, PAIR_CLOCK_ASKS = 5, PAIR_QUIT_MS = 500 };

/* set: whom to look after meanwhile; NULL nobody */
static struct remote_options pair_remote(const struct pair_options *options, bool agent,
                                         struct peer_set *set)
{
    return (struct remote_options){.host_keys = options->host_keys,
                                   .config = options->ssh_config,
                                   .known_hosts = options->known_hosts,
                                   .password = options->password,
                                   .become = agent && options->become,
                                   .beat = PEER_BEAT,
                                   .on_wait = set ? peer_on_wait : NULL,
                                   .wait_arg = set,
                                   .interrupt_fd = set ? set->interrupt_fd : -1};
}

static int pair_spawn(const struct pair_options *options, const struct endpoint_text *endpoint,
                      bool put, struct peer_set *set, char *const argv[], struct spawned *ret,
                      struct err *err)
{
    const struct remote_options remote = pair_remote(options, put, set);

    return spawn_at(endpoint, &remote, put, options->agent_there, argv, ret, err);
}

int pair_run_spawn(const struct pair_options *options, const struct endpoint_text *endpoint,
                   char *const argv[], struct spawned *ret, struct err *err)
{
    return pair_spawn(options, endpoint, false, NULL, argv, ret, err);
}

void pair_run_ahead(const struct pair_options *options, const struct endpoint_text *endpoint)
{
    const struct remote_options remote = pair_remote(options, true, NULL);
    struct peer_program program;

    if (endpoint->kind != ENDPOINT_SSH)
        return;
    peer_program_init(&program, options->agent, options->nice);
    spawn_at_ahead(endpoint, &remote, options->agent_there, program.argv);
}

/* few: all facts are asked for later, together. */
static int pair_agent(const struct pair_options *options, const struct endpoint_text *endpoint,
                      const char *text, const char *name, bool few, struct peer_set *set,
                      struct run_result *run, struct peer **ret_peer, struct err *err)
{
    struct node_result *node = &run->nodes[run->n_nodes];
    struct spawned spawned;
    struct peer_program program;
    struct peer *peer = NULL;
    int r;

    peer_program_init(&program, options->agent, options->nice);
    r = pair_spawn(options, endpoint, true, set, program.argv, &spawned, err);
    if (r == 0)
        r = peer_set_add(set, name, &spawned, (uint64_t)PAIR_HELLO_S * CLOCK_S, &peer, err);
    if (r == 0)
        r = peer_ask_clock(set, peer, PAIR_CLOCK_ASKS, err);
    if (r == 0)
        r = peer_ask_facts(set, peer, few, err);
    /* It ran, and says no more: so its host, or the way there, is gone. */
    if (endpoint->kind == ENDPOINT_SSH && (r == -EPIPE || r == -ETIMEDOUT))
        r = -EHOSTUNREACH;
    if (r < 0 || !peer)
        return err_wrap(err, r, "starting the agent at %s", text);
    text_copy(node->name, sizeof node->name, name);
    node->facts = peer->facts;
    run->n_nodes++;
    *ret_peer = peer;
    return 0;
}

int pair_run_agent(const struct pair_options *options, const struct endpoint_text *endpoint,
                   const char *text, const char *name, struct peer_set *set, struct run_result *run,
                   struct peer **ret_peer, struct err *err)
{
    return pair_agent(options, endpoint, text, name, false, set, run, ret_peer, err);
}

/* The first address of a host's name. */
static int pair_resolve(const struct pair_options *options, char *ret, size_t size, struct err *err)
{
    const struct addrinfo hints = {.ai_family = options->ipv6 ? AF_INET6 : AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int r = getaddrinfo(options->to.arg, NULL, &hints, &list);

    if (r != 0) {
        err_say(err, "host '%s': %s", options->to.arg, gai_strerror(r));
        return -EHOSTUNREACH;
    }
    r = getnameinfo(list->ai_addr, list->ai_addrlen, ret, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
    freeaddrinfo(list);
    if (r != 0 || strchr(ret, '%')) {
        err_say(err, "host '%s': its address is not one that can be used here", options->to.arg);
        return -EHOSTUNREACH;
    }
    return 0;
}

static int pair_address(const struct pair_options *options, const struct peer *from,
                        const struct peer *to, char *ret, size_t size, struct err *err)
{
    if (options->address[0]) {
        text_copy(ret, size, options->address);
        return 0;
    }
    if (text_endpoint_foreign(&options->to) && !options->to.address[0])
        return pair_resolve(options, ret, size, err);
    if (options->from.kind == ENDPOINT_LOCAL && options->to.kind == ENDPOINT_LOCAL) {
        text_copy(ret, size, options->ipv6 ? "::1" : "127.0.0.1");
        return 0;
    }
    if (peer_address(&options->to, from, to, options->ipv6, false, ret, size) == 0)
        return 0;
    if (options->to.ifname[0])
        err_say(err, "%s has no %s address on %s that its agent tells (?addr= names one)",
                options->to.arg, options->ipv6 ? "IPv6" : "IPv4", options->to.ifname);
    else
        err_say(err, "%s has no %s address (--address names one)", options->to_text,
                options->ipv6 ? "IPv6" : "IPv4");
    return -EHOSTUNREACH;
}

int pair_run_own_address(const struct pair_options *options, const struct measure_path *path,
                         char *ret, size_t size, struct err *err)
{
    const char *list =
        facts_get(&path->client->facts, options->ipv6 ? "addresses_v6" : "addresses");
    int family = options->ipv6 ? AF_INET6 : AF_INET;
    char to[FLOW_ADDRESS_SIZE + 8];

    /* That of FROM's in the network of TO's address, else its first. */
    snprintf(to, sizeof to, "%s/%d", path->address, family == AF_INET6 ? 64 : 24);
    if (peer_address_pick(to, list, family, ret, size))
        return 0;
    err_say(err, "%s has no address", options->from_text);
    return -EHOSTUNREACH;
}

/* The receivers besides TO, and which of its addresses each end of a group has in the network of FROM. */
static int pair_group(const struct pair_options *options, struct peer_set *set,
                      struct run_result *run, struct measure_path *path, struct err *err)
{
    const char *key = options->ipv6 ? "addresses_v6" : "addresses";
    int family = options->ipv6 ? AF_INET6 : AF_INET, r = 0;
    const char *from = facts_get(&path->client->facts, key);

    for (uint32_t i = 0; i < options->n_more && r == 0; i++) {
        r = pair_agent(options, &options->more[i], options->more_text[i], options->more_text[i],
                       true, set, run, &path->more[i], err);
        if (r == 0)
            path->n_more++;
    }
    for (uint32_t i = 0; i <= path->n_more && path->server; i++) {
        const struct peer *to = i ? path->more[i - 1] : path->server;

        peer_address_pick(from, facts_get(&to->facts, key), family, path->own[i],
                          sizeof path->own[i]);
    }
    if (path->server)
        peer_address_pick(facts_get(&path->server->facts, key), from, family, path->own_client,
                          sizeof path->own_client);
    return r;
}

static bool pair_needs_server(const struct pair_options *options)
{
    for (unsigned i = 0; i < options->n_asks && !text_endpoint_foreign(&options->to); i++)
        if (options->asks[i].spec.kind != FLOW_ICMP_ECHO)
            return true;
    return false;
}

/* Both ends on one machine: the clocks agree to the exchange's error, and the kernel and its host are one. */
static bool pair_same_machine(const struct pair_options *options)
{
    return options->from.kind != ENDPOINT_EXEC && options->to.kind != ENDPOINT_EXEC &&
           options->from.kind != ENDPOINT_SSH && options->to.kind != ENDPOINT_SSH &&
           !text_endpoint_foreign(&options->to);
}

static int pair_spawn_tool(void *arg, bool server, char *const argv[], struct spawned *ret_spawned,
                           struct err *err)
{
    const struct pair_options *options = arg;

    return pair_run_spawn(options, server ? &options->to : &options->from, argv, ret_spawned, err);
}

/* One ask, measured as the options say. */
static int pair_ask(const struct pair_options *options, const struct measure_path *path,
                    const struct measure_ask *ask, const struct measure_watch *watch,
                    struct scenario_result *result, struct err *err)
{
    const struct tool_ends ends = {.arg = (void *)options,
                                   .spawn = pair_spawn_tool,
                                   .client = options->from_text,
                                   .server = options->to_text};
    struct measure_path mine = *path;

    if (ask->spec.kind == FLOW_ICMP_ECHO)
        mine.server = NULL;
    if (ask->spec.kind == FLOW_MULTICAST)
        text_copy(mine.address, sizeof mine.address, options->group);
    if (options->tool)
        return tool_measure(options->tool, &ends, &mine, ask, result, err);
    if (options->under_load)
        return under_load_measure(&mine, ask, &options->stream, watch, result, err);
    return measure(&mine, ask, watch, result, err);
}

/* Which of a test's asks need no further round, and the measurements that each brought in the first. */
struct pair_rounds {
    bool done[PAIR_MAX_ASKS];
    uint32_t first[PAIR_MAX_ASKS], n[PAIR_MAX_ASKS];
};

static int pair_round(const struct pair_options *options, struct measure_path *path,
                      const struct measure_watch *watch, const unsigned *order, uint32_t round,
                      struct pair_rounds *rounds, struct scenario_result *result, struct err *err)
{
    int r = 0;

    for (unsigned k = 0; k < options->n_asks && r == 0; k++) {
        unsigned i = order[k];
        uint32_t first = result->n_measurements;

        if (rounds->done[i])
            continue;
        r = pair_ask(options, path, &options->asks[i], watch, result, err);
        if (repeat_rounds(&options->repeat) == 1)
            continue;
        if (r < 0)
            err_wrap(err, r, "repetition %u of %u", round, options->repeat.n);
        if (repeat_add(result, first, round, r < 0 ? NULL : err) < 0 && r == 0)
            r = -ENOMEM;
        if (round == 1) {
            rounds->first[i] = first;
            rounds->n[i] = result->n_measurements - first;
        }
        if (r == 0 && options->repeat.until_share > 0 &&
            repeat_is_narrow(result, rounds->first[i], rounds->n[i], options->repeat.until_share)) {
            rounds->done[i] = true;
            repeat_end(result, rounds->first[i], rounds->n[i], REPEAT_NARROW);
        }
    }
    return r;
}

/* The asks, interleaved by round; one that fails ends the test. */
static int pair_measure(const struct pair_options *options, struct measure_path *path,
                        const struct measure_watch *watch, const struct repeat_record *record,
                        struct scenario_result *result, struct err *err)
{
    struct pair_rounds rounds = {0};
    uint64_t state = record->seed;
    unsigned order[PAIR_MAX_ASKS] = {0};
    int r = 0;

    for (unsigned i = 0; i < options->n_asks; i++)
        order[i] = i;
    for (uint32_t round = 1; round <= record->n && r == 0; round++) {
        if (record->shuffled)
            repeat_shuffle(&state, order, options->n_asks);
        r = pair_round(options, path, watch, order, round, &rounds, result, err);
    }
    repeat_end(result, 0, result->n_measurements,
               r == 0            ? REPEAT_ALL
               : r == -ECANCELED ? REPEAT_INTERRUPTED
                                 : REPEAT_FAILED);
    return r;
}

struct pair_go {
    const struct pair_options *options;
    struct measure_path *path;
    const struct measure_watch *watch;
    const struct repeat_record *record;
    struct scenario_result *result;
};

static int pair_go(void *arg, struct err *err)
{
    const struct pair_go *go = arg;

    return pair_measure(go->options, go->path, go->watch, go->record, go->result, err);
}

/* Whether FROM reaches the ports of all asks, before the first of them. */
static int pair_preflight(const struct pair_go *go, struct err *err)
{
    const struct pair_options *options = go->options;
    AUTO(free_p) struct preflight *preflight = NULL;
    struct preflight_needs needs = {.n = 0};
    int r;

    if (options->no_preflight)
        return 0;
    preflight = calloc(1, sizeof *preflight);
    if (!preflight)
        return err_set(err, ENOMEM, "memory for a preflight");
    for (unsigned i = 0; i < options->n_asks; i++)
        preflight_ask(preflight, &needs, go->path, "", options->tool, &options->asks[i],
                      options->under_load ? &options->stream : NULL);
    r = preflight_run(preflight, go->path->set, err);
    return r < 0 ? r : preflight_why(preflight, &needs, err);
}

/* The measuring, and what is to be done around it. */
static int pair_measure_around(struct pair_go *go, struct err *err)
{
    const struct pair_around *around = go->options->around;
    int r = pair_preflight(go, err);

    if (r < 0)
        return r;
    return around ? around->call(around->arg, go->path, pair_go, go, err) : pair_go(go, err);
}

/* Nothing has come from the other end, and it was not the payload alone that was lost. */
static bool pair_silent(const struct scenario_result *result)
{
    for (size_t i = 0; i < result->n_measurements; i++) {
        const struct measurement *m = &result->measurements[i];

        if (metric_get(&m->receiver.metrics, METRIC_bytes) ||
            metric_get(&m->headline, METRIC_received) ||
            metric_get(&m->headline, METRIC_transactions))
            return false;
        /* Others were answered before they sent; of iperf2's UDP the first word from there is its result. */
        if (m->kind != FLOW_ICMP_ECHO &&
            !(m->kind == FLOW_UDP_STREAM && m->peer == FLOW_PEER_IPERF2) &&
            metric_get(&m->sender.metrics, METRIC_bytes))
            return false;
    }
    return true;
}

static enum pair_end pair_why(int r, const struct scenario_result *result)
{
    switch (r) {
    case 0:
        return PAIR_DONE;
    case -ECANCELED:
        return PAIR_INTERRUPTED;
    case -ENOPKG:
    case -EADDRINUSE:
        return PAIR_ENVIRONMENT;
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return PAIR_UNREACHABLE;
    case -ETIMEDOUT:
    case -ENODATA:
        return pair_silent(result) ? PAIR_UNREACHABLE : PAIR_FAILED;
    default:
        return PAIR_FAILED;
    }
}

static const char *pair_protocol(enum flow_kind kind)
{
    switch (kind) {
    case FLOW_ICMP_ECHO:
        return "icmp";
    case FLOW_UDP_STREAM:
    case FLOW_UDP_RR:
    case FLOW_STAMP:
        return "udp";
    case FLOW_MULTICAST:
        return "multicast";
    default:
        return "tcp";
    }
}

static struct scenario_result *pair_scenario(const struct pair_options *options,
                                             struct run_result *run)
{
    struct scenario_result *result = calloc(1, sizeof *result);

    if (!result)
        return NULL;
    text_copy(result->id, sizeof result->id, "test");
    snprintf(result->name, sizeof result->name, "%.28s to %.28s", options->from_text,
             options->to_text);
    result->chosen = true;
    result->status = SCENARIO_FAILED;
    text_copy(result->from.name, sizeof result->from.name, options->from_text);
    text_copy(result->to.name, sizeof result->to.name, options->to_text);
    text_copy(result->protocol, sizeof result->protocol, pair_protocol(options->asks[0].spec.kind));
    run->scenarios = result;
    run->n_scenarios = 1;
    return result;
}

/* The data addresses are known: now the facts of the interfaces that carry them. */
static int pair_facts(const struct pair_options *options, struct run_result *run,
                      const struct measure_path *path, struct err *err)
{
    unsigned same = strcmp(options->from_text, options->to_text) == 0;

    fact_round_address(run, options->from_text, 0, path->address);
    fact_round_address(run, options->to_text, same, path->address);
    for (uint32_t i = 0; i < path->n_more; i++)
        fact_round_address(run, options->more_text[i], 0, path->own[i + 1]);
    if (fact_round_before(path->set, run) == -ECANCELED)
        return err_set(err, ECANCELED, "a signal came");
    return 0;
}

enum pair_end pair_run(const struct pair_options *options, int interrupt_fd,
                       const struct measure_watch *watch, struct run_result *run, struct err *err)
{
    struct scenario_result *result = pair_scenario(options, run);
    struct peer_set set = {.interrupt_fd = interrupt_fd};
    struct measure_path path = {.set = &set, .same_machine = pair_same_machine(options)};
    struct pair_go go = {options, &path, watch, &run->repeat, result};
    enum pair_end end = PAIR_ENVIRONMENT;
    bool to_agent = pair_needs_server(options) ||
                    (!options->address[0] && !text_endpoint_foreign(&options->to));
    int r;

    if (!result) {
        err_set(err, ENOMEM, "memory for a test");
        return PAIR_ENVIRONMENT;
    }
    run->repeat = repeat_begin(&options->repeat);
    pair_run_ahead(options, &options->from);
    if (to_agent)
        pair_run_ahead(options, &options->to);
    for (uint32_t i = 0; i < options->n_more; i++)
        pair_run_ahead(options, &options->more[i]);
    r = pair_agent(options, &options->from, options->from_text, options->from_text, true, &set, run,
                   &path.client, err);
    if (r == 0 && to_agent)
        r = pair_agent(options, &options->to, options->to_text, options->to_text, true, &set, run,
                       &path.server, err);
    if (r == 0)
        r = pair_group(options, &set, run, &path, err);
    spawn_ssh_ahead_end();
    if (r == 0) {
        r = pair_address(options, path.client, path.server ? path.server : path.client,
                         path.address, sizeof path.address, err);
        text_copy(result->to.address, sizeof result->to.address, path.address);
        if (r == 0)
            r = pair_facts(options, run, &path, err);
        if (r == 0) {
            if (!options->around)
                node_cpu_open(&set, &options->cpu, node_cpu_baseline(options->asks[0].duration_ns),
                              run, options->on_talk, NULL);
            r = pair_measure_around(&go, err);
            node_cpu_close(&set);
            if (r != -ECANCELED)
                fact_round_after(&set, run);
        }
        end = pair_why(r, result);
    } else if (r == -ECANCELED) {
        end = PAIR_INTERRUPTED;
    } else if (r == -EHOSTUNREACH) {
        end = PAIR_UNREACHABLE;
    }
    if (r == 0)
        result->status = SCENARIO_PASSED;
    else if (end == PAIR_INTERRUPTED)
        text_copy(result->reason, sizeof result->reason, "interrupted");
    else if (err)
        snprintf(result->reason, sizeof result->reason, "%.*s", (int)sizeof result->reason - 1,
                 err->text);
    peer_set_done(&set, (uint64_t)PAIR_QUIT_MS * CLOCK_MS);
    run->cleaned = true;
    return end;
}
