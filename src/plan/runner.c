/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "plan/measure.h"
#include "plan/node_cpu.h"
#include "plan/peer.h"
#include "plan/peer_address.h"
#include "plan/place_path.h"
#include "plan/repeat.h"
#include "plan/runner_state.h"
#include "plan/tool_run.h"
#include "plan/under_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNNER_HELLO_S = 10, RUNNER_CLOCK_ASKS = 5, RUNNER_QUIT_MS = 500 };

struct staged *runner_staged(struct runner *r, const char *name)
{
    for (unsigned i = 0; i < r->n_staged; i++)
        if (strcmp(r->staged[i].resource->name, name) == 0)
            return &r->staged[i];
    return NULL;
}

static void runner_talk(struct runner *r, const char *what, const struct resource *resource,
                        const char *why)
{
    char text[480];

    if (!r->hooks->on_talk)
        return;
    snprintf(text, sizeof text, "%s %s %s%s%s", what, resource_kind_name[resource->kind],
             resource->name, why ? ": " : "", why ? why : "");
    r->hooks->on_talk(r->hooks->arg, text);
}

static void runner_break(struct runner *r, struct staged *staged, const char *what,
                         const struct err *err)
{
    snprintf(staged->broken, sizeof staged->broken, "%s %s %s: %.240s", what,
             resource_kind_name[staged->resource->kind], staged->resource->name, err->text);
    runner_talk(r, what, staged->resource, err->text);
}

/* What stands on something broken is broken too. */
static const char *runner_ground(struct runner *r, const struct resource *resource)
{
    const char *below[] = {resource->node, resource->network};

    /* What is there already has labels, of things that are none of ours. */
    for (unsigned i = 0; i < 2 && !resource->there; i++) {
        const struct staged *staged = below[i][0] ? runner_staged(r, below[i]) : NULL;

        if (staged && staged->broken[0])
            return staged->broken;
    }
    return NULL;
}

static void runner_create(struct runner *r, const struct resource *resource)
{
    struct staged *staged = &r->staged[r->n_staged++];
    struct err err = {0};
    const char *ground;
    int ret = 0;

    staged->resource = resource;
    ground = runner_ground(r, resource);
    if (ground) {
        text_copy(staged->broken, sizeof staged->broken, ground);
        return;
    }
    if (r->driver->describe)
        r->driver->describe(r->state, resource, staged->text, sizeof staged->text);
    if (r->ledger && staged->text[0])
        ret = ledger_add(r->ledger, resource_kind_name[resource->kind], staged->text, &err);
    if (ret == 0) {
        staged->tried = true;
        ret = r->driver->create(r->state, resource, &staged->placed, &err);
    }
    if (ret < 0)
        runner_break(r, staged, "making", &err);
}

static int runner_agent_start(struct runner *r, const struct resource *resource, struct err *err)
{
    struct peer_program program;
    struct spawned spawned;
    struct peer *peer = NULL;
    int ret;

    peer_program_init(&program, r->options->agent, r->options->nice);
    ret = r->driver->spawn(r->state, resource->name, program.argv, &spawned, err);
    if (ret == 0)
        ret = peer_set_add(&r->peers, resource->name, &spawned, (uint64_t)RUNNER_HELLO_S * CLOCK_S,
                           &peer, err);
    if (ret == 0)
        ret = peer_ask_clock(&r->peers, peer, RUNNER_CLOCK_ASKS, err);
    /* Who was not made by us has to tell his addresses. */
    if (ret == 0 && resource->there)
        ret = peer_ask_facts(&r->peers, peer, true, err);
    return ret;
}

static void runner_agent(struct runner *r, const struct resource *resource)
{
    struct staged *staged = runner_staged(r, resource->name);
    struct err err = {0};
    int ret;

    if (!staged || staged->broken[0])
        return;
    ret = runner_agent_start(r, resource, &err);
    if (ret == -ECANCELED)
        r->interrupted = true;
    if (ret < 0)
        runner_break(r, staged, "starting the agent on", &err);
    staged->unreachable = ret == -EHOSTUNREACH;
}

/* All that will be waited for one by one is under way together. */
static void runner_agents_begin(struct runner *r)
{
    struct peer_program program;

    peer_program_init(&program, r->options->agent, r->options->nice);
    for (unsigned i = 0; i < r->steps.n_steps && r->driver->begin; i++) {
        const struct step *step = &r->steps.step[i];
        const struct staged *staged =
            step->kind == STEP_AGENT ? runner_staged(r, step->resource->name) : NULL;

        if (staged && !staged->broken[0])
            r->driver->begin(r->state, step->resource->name, program.argv);
    }
}

static void runner_end_info(const struct staged *staged, bool v6, bool floating,
                            struct end_info *ret)
{
    const struct resource *resource = staged->resource;

    text_copy(ret->name, sizeof ret->name, resource->name);
    text_copy(ret->node, sizeof ret->node,
              resource->kind == RESOURCE_NODE ? resource->name : resource->node);
    text_copy(ret->network, sizeof ret->network, resource->network);
    text_copy(ret->address, sizeof ret->address,
              v6 ? staged->placed.address_v6 : staged->placed.address);
    if (floating)
        text_copy(ret->floating, sizeof ret->floating, staged->placed.floating);
}

/* To a group: whoever of the path listens, each by the interface that has its address. */
static void runner_group(struct runner *r, const struct scenario *scenario,
                         const struct scenario_result *result, struct measure_path *path)
{
    const struct staged *more = scenario->more ? runner_staged(r, scenario->more) : NULL;

    text_copy(path->own_client, sizeof path->own_client, result->from.address);
    text_copy(path->own[0], sizeof path->own[0], result->to.address);
    if (more && (path->more[0] = peer_find(&r->peers, scenario->more))) {
        text_copy(path->own[1], sizeof path->own[1],
                  r->options->ipv6 ? more->placed.address_v6 : more->placed.address);
        path->n_more = 1;
    }
    text_copy(path->address, sizeof path->address,
              r->options->group[0] ? r->options->group : scenario_group(r->options->ipv6));
}

/* Of what is there already: what its agents tell. */
static int runner_addresses(struct runner *r, const struct scenario *scenario,
                            const struct staged *from, const struct staged *to,
                            struct scenario_result *result, struct err *err)
{
    const struct place_path path = {.from = from->resource,
                                    .to = to->resource,
                                    .client = peer_find(&r->peers, scenario->from),
                                    .server = peer_find(&r->peers, scenario->to),
                                    .v6 = r->options->ipv6,
                                    .floating = scenario->floating};

    return place_path_addresses(&path, &result->from, &result->to, err);
}

/* The path of a scenario; a broken thing on it is the error. */
int runner_path(struct runner *r, const struct scenario *scenario, struct scenario_result *result,
                struct measure_path *ret_path, struct err *err)
{
    struct staged *from = runner_staged(r, scenario->from), *to = runner_staged(r, scenario->to);
    int ret;

    if (!from || !to)
        return err_say(err, "%s and %s were not made", scenario->from, scenario->to);
    runner_end_info(from, r->options->ipv6, scenario->floating, &result->from);
    runner_end_info(to, r->options->ipv6, scenario->floating, &result->to);
    for (unsigned i = 0; i < r->n_staged; i++)
        if (r->staged[i].broken[0] && steps_needs(&r->steps, scenario, r->staged[i].resource))
            return err_say(err, "%s", r->staged[i].broken);
    if (r->steps.there && (ret = runner_addresses(r, scenario, from, to, result, err)) < 0)
        return ret;
    *ret_path = (struct measure_path){
        .set = &r->peers,
        .client = peer_find(&r->peers, scenario->from),
        .server = scenario->protocol == PROTOCOL_ICMP ? NULL : peer_find(&r->peers, scenario->to),
        .same_machine = r->steps.there ? place_path_same_machine(from->resource, to->resource)
                                       : strcmp(r->driver->name, "lab") == 0};
    text_copy(ret_path->address, sizeof ret_path->address,
              scenario->floating ? result->to.floating : result->to.address);
    if (!ret_path->address[0])
        return err_say(err, "%s has no %s address", scenario->to,
                       scenario->floating ? "floating"
                       : r->options->ipv6 ? "IPv6"
                                          : "IPv4");
    if (scenario->protocol == PROTOCOL_MULTICAST)
        runner_group(r, scenario, result, ret_path);
    if (r->blocked && r->blocked[scenario - r->steps.scenario].code) {
        *err = r->blocked[scenario - r->steps.scenario];
        return -err->code;
    }
    return 0;
}

struct runner_ends {
    struct runner *runner;
    const struct scenario *scenario;
};

static int runner_spawn_tool(void *arg, bool server, char *const argv[],
                             struct spawned *ret_spawned, struct err *err)
{
    const struct runner_ends *ends = arg;

    return ends->runner->driver->spawn(ends->runner->state,
                                       server ? ends->scenario->to : ends->scenario->from, argv,
                                       ret_spawned, err);
}

/* One ask, by us or by the tool that the options name. */
static int runner_ask(struct runner *r, const struct scenario *scenario,
                      const struct measure_path *path, const struct measure_ask *ask,
                      const struct measure_watch *watch, struct scenario_result *result,
                      struct err *err)
{
    struct runner_ends arg = {r, scenario};
    const struct tool_ends ends = {
        .arg = &arg, .spawn = runner_spawn_tool, .client = scenario->from, .server = scenario->to};
    bool stream = ask->spec.kind == FLOW_TCP_STREAM || ask->spec.kind == FLOW_UDP_STREAM;

    if (r->options->tool && stream)
        return tool_measure(r->options->tool, &ends, path, ask, result, err);
    return measure(path, ask, watch, result, err);
}

/* The asks of a scenario one after the other; then what its repetitions say so far. */
static int runner_measure(struct runner *r, const struct scenario *scenario,
                          const struct measure_path *path, uint32_t round,
                          struct scenario_result *result, struct err *err)
{
    const struct measure_watch watch = {.on_interval = r->hooks->on_interval, .arg = r->hooks->arg};
    struct measure_ask asks[STEPS_MAX_ASKS];
    unsigned n = steps_asks(r->options, scenario, asks);
    uint32_t first = result->n_measurements;
    struct err repeat_err = {0};
    int ret = 0, added = 0;

    for (unsigned i = 0; i < n && ret == 0; i++)
        ret = runner_ask(r, scenario, path, &asks[i], &watch, result, err);
    if (ret == 0 && steps_under_load(r->options, scenario, asks))
        ret = under_load_measure(path, &asks[0], &asks[1], &watch, result, err);
    if (ret == 0 && round == 1 && steps_hops(r->options, scenario, asks))
        ret = runner_hops(r, scenario, path, &asks[0], result, err);
    if (repeat_rounds(&r->options->repeat) > 1)
        added = repeat_add(result, first, round, &repeat_err);
    if (ret == 0 && added < 0 && err)
        *err = repeat_err;
    return ret < 0 ? ret : added;
}

/* Why a scenario is in no further round, if it is. */
static void runner_scenario_end(struct runner *r, unsigned index, uint32_t round, int ret)
{
    const struct repeat_options *repeat = &r->options->repeat;
    struct scenario_result *result = &r->run->scenarios[index];
    enum repeat_end end = REPEAT_GOES_ON;

    if (ret == -ECANCELED)
        end = REPEAT_INTERRUPTED;
    else if (ret < 0)
        end = REPEAT_FAILED;
    else if (repeat->until_share > 0 &&
             repeat_is_narrow(result, 0, result->n_measurements, repeat->until_share))
        end = REPEAT_NARROW;
    else if (round == repeat_rounds(repeat))
        end = REPEAT_ALL;
    if (end == REPEAT_GOES_ON)
        return;
    r->done[index] = true;
    repeat_end(result, 0, result->n_measurements, end);
}

static void runner_scenario(struct runner *r, unsigned index, uint32_t round)
{
    const struct scenario *scenario = &r->steps.scenario[index];
    struct scenario_result *result = &r->run->scenarios[index];
    uint32_t rounds = repeat_rounds(&r->options->repeat);
    struct measure_path path;
    struct err err = {0};
    int ret = runner_path(r, scenario, result, &path, &err);

    r->n_begun++;
    r->begun[index] = true;
    if (r->hooks->on_begin)
        r->hooks->on_begin(r->hooks->arg, r->n_begun, result,
                           steps_scenario_ns(r->options, scenario));
    if (ret == 0) {
        r->n_measured++;
        ret = runner_measure(r, scenario, &path, round, result, &err);
    }
    if (ret == -ECANCELED)
        r->interrupted = true;
    else if (ret < 0 && rounds > 1)
        err_wrap(&err, ret, "repetition %u of %u", round, rounds);
    result->status = ret < 0 ? SCENARIO_FAILED : SCENARIO_PASSED;
    result->reason[0] = 0;
    if (ret < 0)
        snprintf(result->reason, sizeof result->reason, "%.*s", (int)sizeof result->reason - 1,
                 ret == -ECANCELED ? "interrupted" : err.text);
    runner_scenario_end(r, index, round, ret);
    if (r->hooks->on_scenario)
        r->hooks->on_scenario(r->hooks->arg, result);
}

/* What has not begun is skipped; what has goes without further repetitions. */
static void runner_skip_rest(struct runner *r, const char *why, enum repeat_end end)
{
    for (unsigned i = 0; i < r->steps.n_steps; i++) {
        unsigned index = r->steps.step[i].scenario;
        struct scenario_result *result = &r->run->scenarios[index];

        if (r->steps.step[i].kind != STEP_SCENARIO)
            continue;
        repeat_end(result, 0, result->n_measurements, end);
        if (r->begun[index])
            continue;
        result->status = SCENARIO_SKIPPED;
        text_copy(result->reason, sizeof result->reason, why);
    }
}

static void runner_list(struct runner *r)
{
    r->run->n_scenarios = r->steps.n_scenarios;
    for (unsigned i = 0; i < r->steps.n_scenarios; i++) {
        struct scenario_result *result = &r->run->scenarios[i];
        const struct scenario *row = &r->steps.scenario[i];

        text_copy(result->id, sizeof result->id, row->id);
        text_copy(result->name, sizeof result->name, row->name);
        text_copy(result->protocol, sizeof result->protocol, scenario_protocol_name[row->protocol]);
        text_copy(result->from.name, sizeof result->from.name, row->from);
        text_copy(result->to.name, sizeof result->to.name, row->to);
        result->chosen = r->steps.chosen[i];
        result->status = SCENARIO_SKIPPED;
        text_copy(result->reason, sizeof result->reason,
                  r->steps.skip[i] ? r->steps.skip[i] : "not reached");
    }
}

/* In reverse order. What stays is listed in the run and stays in the ledger. */
static void runner_undo(struct runner *r)
{
    uint64_t began = clock_mono_ns();

    peer_set_done(&r->peers, (uint64_t)RUNNER_QUIT_MS * CLOCK_MS);
    for (unsigned i = r->n_staged; i-- > 0;) {
        struct staged *staged = &r->staged[i];
        struct err err = {0};

        if (!staged->tried)
            continue;
        if (r->driver->destroy(r->state, staged->resource, &err) < 0) {
            runner_talk(r, "removing", staged->resource, err.text);
            if (r->run->n_left < RUN_MAX_LEFT)
                snprintf(r->run->left[r->run->n_left++], sizeof r->run->left[0], "%s %s",
                         resource_kind_name[staged->resource->kind], staged->resource->name);
        } else if (r->ledger && staged->text[0]) {
            ledger_remove(r->ledger, staged->text, NULL);
        }
    }
    r->driver->close(r->state);
    r->run->cleaned = true;
    r->run->removal_ns = clock_mono_ns() - began;
}

static enum runner_end runner_interrupted(struct runner *r)
{
    runner_skip_rest(r, "interrupted before it began", REPEAT_INTERRUPTED);
    return RUNNER_INTERRUPTED;
}

/* The chosen scenarios once, in order; those that are done are left out. RUNNER_DONE: go on. */
static enum runner_end runner_round(struct runner *r, const unsigned *order, uint32_t round)
{
    for (unsigned k = 0; k < r->steps.n_scenarios; k++) {
        unsigned index = order[k];

        if (r->steps.skip[index] || r->done[index])
            continue;
        runner_scenario(r, index, round);
        if (r->interrupted)
            return runner_interrupted(r);
        if (r->options->stop_on_error && r->run->scenarios[index].status == SCENARIO_FAILED) {
            runner_skip_rest(r, "--stop-on-error: a scenario before it failed", REPEAT_FAILED);
            return RUNNER_STOPPED;
        }
    }
    return RUNNER_DONE;
}

static enum runner_end runner_rounds(struct runner *r)
{
    const struct repeat_record *record = &r->run->repeat;
    uint64_t state = record->seed;
    enum runner_end end = RUNNER_DONE;
    unsigned order[SCENARIO_COUNT] = {0};

    for (unsigned i = 0; i < r->steps.n_scenarios; i++)
        order[i] = i;
    for (uint32_t round = 1; round <= record->n && end == RUNNER_DONE; round++) {
        if (record->shuffled)
            repeat_shuffle(&state, order, r->steps.n_scenarios);
        end = runner_round(r, order, round);
    }
    return end;
}

/* Nothing could be measured; which kind of nothing. */
static enum runner_end runner_nothing(struct runner *r)
{
    bool blocked = false, unreachable = false;

    for (unsigned i = 0; i < SCENARIO_COUNT && r->blocked; i++)
        blocked |= r->blocked[i].code != 0;
    for (unsigned i = 0; i < r->n_staged; i++)
        unreachable |= r->staged[i].unreachable;
    text_copy(r->run->error, sizeof r->run->error,
              unreachable
                  ? "no scenario could be measured: the hosts that they need were not reached"
              : blocked        ? "no scenario could be measured: the data ports are not reached"
              : r->steps.there ? "no scenario could be measured: no agent runs where they need one"
                               : "no scenario could be measured: nothing it needs could be made");
    return blocked || unreachable ? RUNNER_UNREACHABLE : RUNNER_ENVIRONMENT;
}

/* As it was made with; of one that was there its own in a network that another is in too. "" not known. */
static void runner_data_address(struct runner *r, const struct staged *s, const struct peer *peer,
                                char ret[FLOW_ADDRESS_SIZE])
{
    bool v6 = r->options->ipv6;

    text_copy(ret, FLOW_ADDRESS_SIZE, v6 ? s->placed.address_v6 : s->placed.address);
    for (unsigned i = 0; i < r->n_staged && s->resource->there && !ret[0]; i++) {
        const struct resource *other = r->staged[i].resource;
        const struct peer *far =
            other && other != s->resource ? peer_find(&r->peers, other->name) : NULL;

        if (far &&
            peer_address(&s->resource->there->at, far, peer, v6, true, ret, FLOW_ADDRESS_SIZE) < 0)
            ret[0] = '\0';
    }
}

/* A machine that has no facts costs no result. */
static void runner_facts(struct runner *r)
{
    for (unsigned i = 0; i < SCENARIO_RESOURCES; i++) {
        const struct staged *s = &r->staged[i];
        const struct peer *peer = s->resource ? peer_find(&r->peers, s->resource->name) : NULL;
        char address[FLOW_ADDRESS_SIZE] = "";

        if (!peer || s->broken[0])
            continue;
        runner_data_address(r, s, peer, address);
        fact_round_machine(r->run, peer, s->resource->kind == RESOURCE_NODE, address);
    }
    if (fact_round_begin(r->options, &r->peers, r->run, r->hooks->on_talk, r->hooks->arg) ==
        -ECANCELED)
        r->interrupted = true;
}

static enum runner_end runner_steps(struct runner *r)
{
    struct err err = {0};
    uint64_t began = clock_mono_ns();
    bool agents_begun = false;
    enum runner_end end;

    for (unsigned i = 0; i < r->steps.n_steps && !r->interrupted; i++) {
        const struct step *step = &r->steps.step[i];

        if (step->kind == STEP_CREATE) {
            runner_create(r, step->resource);
            r->run->staging_ns = clock_mono_ns() - began;
        } else if (step->kind == STEP_AGENT) {
            if (!agents_begun)
                runner_agents_begin(r);
            agents_begun = true;
            runner_agent(r, step->resource);
        }
    }
    if (!r->interrupted)
        runner_facts(r);
    if (!r->interrupted && !r->options->no_preflight && runner_preflight(r, &err) == -ECANCELED)
        r->interrupted = true;
    if (r->interrupted)
        return runner_interrupted(r);
    node_cpu_open(&r->peers, &r->options->cpu, node_cpu_baseline(r->options->time_ns), r->run,
                  r->hooks->on_talk, r->hooks->arg);
    end = runner_rounds(r);
    node_cpu_close(&r->peers);
    return end == RUNNER_DONE && r->n_begun && !r->n_measured ? runner_nothing(r) : end;
}

enum runner_end runner_run(const struct run_options *options, const struct driver *driver,
                           struct ledger *ledger, int interrupt_fd,
                           const struct runner_hooks *hooks, struct run_result *run)
{
    struct runner r = {.options = options,
                       .driver = driver,
                       .hooks = hooks,
                       .ledger = ledger,
                       .run = run,
                       .peers = {.interrupt_fd = interrupt_fd}};
    const struct remote_options remote = {.host_keys = options->host_keys,
                                          .config = options->ssh_config,
                                          .known_hosts = options->known_hosts,
                                          .become = options->become,
                                          .beat = PEER_BEAT,
                                          .on_wait = peer_on_wait,
                                          .wait_arg = &r.peers,
                                          .interrupt_fd = interrupt_fd};
    const struct driver_setup setup = {.ledger_path = ledger ? ledger_path(ledger) : NULL,
                                       .agent = options->agent,
                                       .agent_there = options->agent_there,
                                       .remote = &remote,
                                       .interrupt_fd = interrupt_fd};
    struct err err = {0};
    enum runner_end end;
    int ret;

    steps_make(options, &r.steps);
    run->repeat = repeat_begin(&options->repeat);
    run->scenarios = calloc(SCENARIO_COUNT, sizeof *run->scenarios);
    if (!run->scenarios) {
        ret = err_set(&err, ENOMEM, "memory for scenarios");
    } else {
        runner_list(&r);
        ret = driver->open(run->id, &setup, &r.state, &err);
    }
    if (ret < 0) {
        snprintf(run->error, sizeof run->error, "%.*s", (int)sizeof run->error - 1, err.text);
        return RUNNER_ENVIRONMENT;
    }
    end = runner_steps(&r);
    if (end != RUNNER_INTERRUPTED)
        fact_round_after(&r.peers, run);
    runner_undo(&r);
    free(r.blocked);
    return end;
}
