/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/steps.h"
#include "base/clock.h"
#include "base/text.h"
#include "plan/under_load.h"

#include <stdio.h>
#include <string.h>

enum {
    STEPS_SEARCH_NS = 900 * CLOCK_MS,
    STEPS_OVERHEAD_NS = 40 * CLOCK_MS,
    STEPS_HOPS_NS = 700 * CLOCK_MS
};

_Static_assert((int)STEPS_RESOURCES >= (int)SCENARIO_RESOURCES, "room for all of them");

static const char *steps_why_not(const struct run_options *o, const struct scenario *s,
                                 bool *ret_chosen)
{
    *ret_chosen = true;
    if (o->scenarios[0] && !scenario_matches(o->scenarios, s->id)) {
        *ret_chosen = false;
        return "not chosen by --scenarios";
    }
    if (!o->protocols[s->protocol]) {
        *ret_chosen = false;
        return "not chosen by --protocols";
    }
    if (o->inter_node_only && s->tenant && !s->inter_node) {
        *ret_chosen = false;
        return "not chosen: --inter-node-only leaves out two VMs on one node";
    }
    if (o->same_network_only && s->tenant && s->different_network) {
        *ret_chosen = false;
        return "not chosen: --same-network-only leaves out paths through the router";
    }
    if (s->protocol == PROTOCOL_MULTICAST && s->different_network)
        return "the router between the networks forwards no multicast";
    if (o->ipv6 && s->floating)
        return "a floating IPv6 address does not exist: there is no NAT to pass";
    return NULL;
}

static void steps_add(struct steps *steps, enum step_kind kind, const struct resource *resource,
                      unsigned scenario)
{
    steps->step[steps->n_steps++] =
        (struct step){.kind = kind, .resource = resource, .scenario = scenario};
}

static bool steps_has_end(const struct scenario *s, const char *name)
{
    return strcmp(s->from, name) == 0 || strcmp(s->to, name) == 0 ||
           (s->more && strcmp(s->more, name) == 0);
}

static bool steps_is_end(const struct steps *steps, const char *name)
{
    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        if (!steps->skip[i] && steps_has_end(&steps->scenario[i], name))
            return true;
    return false;
}

bool steps_needs(const struct steps *steps, const struct scenario *scenario,
                 const struct resource *resource)
{
    return steps->there ? steps_has_end(scenario, resource->name)
                        : scenario_needs(scenario, resource);
}

/* The rows with their ends, and which of them are left out. */
static void steps_rows(const struct run_options *options, struct steps *steps)
{
    const char *unfilled[SCENARIO_COUNT] = {NULL};
    bool asked[SCENARIO_COUNT];

    if (steps->there)
        places_fill(&options->places, steps->scenario, unfilled, asked);
    else
        memcpy(steps->scenario, scenario_table, sizeof steps->scenario);
    for (unsigned i = 0; i < SCENARIO_COUNT; i++) {
        steps->skip[i] = steps_why_not(options, &steps->scenario[i], &steps->chosen[i]);
        if (!unfilled[i] || !steps->chosen[i])
            continue;
        steps->skip[i] = unfilled[i];
        /* Who named hosts and no VM has chosen what is between hosts, unless he names what is not. */
        steps->chosen[i] = asked[i] || options->scenarios[0];
    }
}

int steps_check(const struct steps *steps, struct err *err)
{
    const char *said = "";
    char text[256] = "";

    for (unsigned i = 0; i < steps->n_scenarios; i++) {
        size_t used = strlen(text);

        if (!steps->there || !steps->skip[i])
            return 0;
        if (!steps->chosen[i] || strcmp(steps->skip[i], said) == 0)
            continue;
        said = steps->skip[i];
        snprintf(text + used, sizeof text - used, "%s%s: %s", used ? "; " : "",
                 steps->scenario[i].id, said);
    }
    return err_say(err, "nothing can be measured between the hosts and VMs that are named%s%s",
                   text[0] ? ": " : "", text);
}

static const struct resource *steps_resource(const struct run_options *options, bool there,
                                             unsigned i)
{
    return there ? places_resource(&options->places, i) : &scenario_resources[i];
}

void steps_make(const struct run_options *options, struct steps *ret_steps)
{
    bool there = options->places.n > 0;

    *ret_steps = (struct steps){
        .there = there,
        .n_scenarios = options->protocols[PROTOCOL_MULTICAST] ? SCENARIO_COUNT : SCENARIO_USUAL};
    steps_rows(options, ret_steps);
    for (unsigned k = 0; k < (there ? options->places.n : SCENARIO_RESOURCES); k++) {
        const struct resource *resource = steps_resource(options, there, k);
        bool needed = false;

        for (unsigned i = 0; i < SCENARIO_COUNT; i++)
            needed |=
                !ret_steps->skip[i] && steps_needs(ret_steps, &ret_steps->scenario[i], resource);
        if (needed)
            steps_add(ret_steps, STEP_CREATE, resource, 0);
    }
    /* Nodes get an agent in any case: for their facts. */
    for (unsigned k = 0, n = ret_steps->n_steps; k < n; k++) {
        const struct resource *resource = ret_steps->step[k].resource;

        /* Of the router's too, where hops are told: its interfaces are points. */
        if (resource->kind == RESOURCE_NODE || steps_is_end(ret_steps, resource->name) ||
            (options->hops && resource->kind == RESOURCE_ROUTER))
            steps_add(ret_steps, STEP_AGENT, resource, 0);
    }
    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        if (!ret_steps->skip[i])
            steps_add(ret_steps, STEP_SCENARIO, NULL, i);
}

/* A part of the time: not less than low, if the whole is as long. */
static uint64_t steps_part(uint64_t whole_ns, uint32_t parts, uint64_t low_ns, uint64_t high_ns)
{
    uint64_t ns = whole_ns / parts, least = low_ns < whole_ns ? low_ns : whole_ns;

    return ns < least ? least : ns > high_ns ? high_ns : ns;
}

static struct measure_ask steps_ask(const struct run_options *o, const struct scenario *scenario,
                                    enum flow_kind kind, uint32_t payload_bytes,
                                    uint64_t duration_ns)
{
    struct measure_ask ask = {
        .spec = run_options_spec(o, kind, payload_bytes),
        .pin_server = o->pin_server,
        .duration_ns = duration_ns,
        .warmup_find = o->warmup_find,
        .warmup_ns = o->warmup_ns != UINT64_MAX ? o->warmup_ns : measure_warmup(kind, duration_ns),
        .interval_ns = duration_ns >= 2ULL * CLOCK_S ? CLOCK_S : duration_ns / 10,
        .n_loss_targets = o->n_loss_targets};

    memcpy(ask.loss_target, o->loss_target, sizeof ask.loss_target);
    if (!flow_kind_asks(kind))
        ask.rate_bps = o->bandwidth_bps;
    if (kind == FLOW_MULTICAST && !ask.rate_bps)
        ask.rate_bps = MEASURE_MULTICAST_BPS;
    if (kind == FLOW_UDP_STREAM)
        ask.search = o->bandwidth_bps == 0;
    if (scenario->bind)
        text_copy(ask.spec.bind, sizeof ask.spec.bind, scenario->bind);
    return ask;
}

unsigned steps_asks(const struct run_options *o, const struct scenario *scenario,
                    struct measure_ask ret_asks[STEPS_MAX_ASKS])
{
    static const struct {
        enum flow_kind stream, rr;
    } kinds[] = {[PROTOCOL_TCP] = {FLOW_TCP_STREAM, FLOW_TCP_RR},
                 [PROTOCOL_UDP] = {FLOW_UDP_STREAM, FLOW_UDP_RR},
                 [PROTOCOL_ICMP] = {FLOW_ICMP_ECHO, FLOW_ICMP_ECHO},
                 [PROTOCOL_MULTICAST] = {FLOW_MULTICAST, FLOW_MULTICAST}};
    const struct run_sizes mix = {{flow_imix_largest()}, 1};
    const struct run_sizes *sizes[PROTOCOL_COUNT] = {&o->tcp, o->imix ? &mix : &o->udp, &o->icmp,
                                                     &o->udp};
    const struct run_sizes *mine = sizes[scenario->protocol];
    unsigned n = 0;

    for (uint32_t i = 0; i < mine->n; i++)
        ret_asks[n++] = steps_ask(o, scenario, kinds[scenario->protocol].stream, mine->size[i],
                                  scenario->protocol == PROTOCOL_ICMP && mine->n > 1
                                      ? steps_part(o->time_ns, mine->n, CLOCK_S / 5, o->time_ns)
                                      : o->time_ns);
    /* Latency at the same layer, a quarter as long: a closed loop gives ten thousand samples a second. */
    if (kinds[scenario->protocol].rr != kinds[scenario->protocol].stream)
        ret_asks[n++] = steps_ask(o, scenario, kinds[scenario->protocol].rr, o->rr_bytes,
                                  steps_part(o->time_ns, 4, CLOCK_S / 4, 2ULL * CLOCK_S));
    return n;
}

bool steps_under_load(const struct run_options *o, const struct scenario *scenario,
                      struct measure_ask ret_asks[2])
{
    if (!o->under_load || scenario->protocol != PROTOCOL_TCP)
        return false;
    ret_asks[0] = steps_ask(o, scenario, FLOW_STAMP, FLOW_STAMP_BYTES, o->time_ns);
    ret_asks[0].spec.gap_ns = CLOCK_MS;
    if (o->warmup_ns == UINT64_MAX)
        ret_asks[0].warmup_ns = under_load_warmup(o->time_ns);
    ret_asks[1] = steps_ask(o, scenario, FLOW_TCP_STREAM, o->tcp.size[0], o->time_ns);
    return true;
}

bool steps_hops(const struct run_options *o, const struct scenario *scenario,
                struct measure_ask *ret_ask)
{
    static const enum flow_kind kinds[] = {[PROTOCOL_TCP] = FLOW_TCP_RR,
                                           [PROTOCOL_UDP] = FLOW_UDP_RR,
                                           [PROTOCOL_ICMP] = FLOW_ICMP_ECHO};

    if (!o->hops || !scenario->tenant || scenario->protocol == PROTOCOL_MULTICAST)
        return false;
    *ret_ask = steps_ask(o, scenario, kinds[scenario->protocol],
                         scenario->protocol == PROTOCOL_ICMP ? o->icmp.size[0] : o->rr_bytes,
                         steps_part(o->time_ns, 4, CLOCK_S / 4, 2ULL * CLOCK_S));
    return true;
}

uint64_t steps_scenario_ns(const struct run_options *options, const struct scenario *scenario)
{
    struct measure_ask asks[STEPS_MAX_ASKS];
    unsigned n = steps_asks(options, scenario, asks);
    uint64_t ns = 0;

    for (unsigned i = 0; i < n; i++) {
        ns += asks[i].warmup_ns + asks[i].duration_ns + STEPS_OVERHEAD_NS;
        if (asks[i].search)
            ns += STEPS_SEARCH_NS;
    }
    if (steps_under_load(options, scenario, asks))
        ns += under_load_plan_ns(&asks[0]);
    if (steps_hops(options, scenario, asks))
        ns += asks[0].warmup_ns + asks[0].duration_ns + STEPS_HOPS_NS;
    return ns;
}
