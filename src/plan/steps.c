/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/steps.h"
#include "base/clock.h"
#include "base/text.h"

#include <string.h>

enum { STEPS_ECHO_GAP_MS = 1, STEPS_SEARCH_NS = 900 * CLOCK_MS, STEPS_OVERHEAD_NS = 40 * CLOCK_MS };

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

static bool steps_is_end(const struct steps *steps, const char *name)
{
    for (unsigned i = 0; i < SCENARIO_COUNT; i++) {
        const struct scenario *s = &scenario_table[i];

        if (!steps->skip[i] && (strcmp(s->from, name) == 0 || strcmp(s->to, name) == 0))
            return true;
    }
    return false;
}

void steps_make(const struct run_options *options, struct steps *ret_steps)
{
    *ret_steps = (struct steps){0};
    for (unsigned i = 0; i < SCENARIO_COUNT; i++)
        ret_steps->skip[i] = steps_why_not(options, &scenario_table[i], &ret_steps->chosen[i]);
    for (unsigned k = 0; k < SCENARIO_RESOURCES; k++) {
        bool needed = false;

        for (unsigned i = 0; i < SCENARIO_COUNT; i++)
            needed |=
                !ret_steps->skip[i] && scenario_needs(&scenario_table[i], &scenario_resources[k]);
        if (needed)
            steps_add(ret_steps, STEP_CREATE, &scenario_resources[k], 0);
    }
    /* Nodes get an agent in any case: for their facts. */
    for (unsigned k = 0, n = ret_steps->n_steps; k < n; k++) {
        const struct resource *resource = ret_steps->step[k].resource;

        if (resource->kind == RESOURCE_NODE || steps_is_end(ret_steps, resource->name))
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

static struct measure_ask steps_ask(const struct run_options *o, enum flow_kind kind,
                                    uint32_t payload_bytes, uint64_t duration_ns)
{
    struct measure_ask ask = {
        .spec = {.kind = kind,
                 .direction = FLOW_FORWARD,
                 .payload_bytes = payload_bytes,
                 .n_flows = kind == FLOW_TCP_STREAM || kind == FLOW_UDP_STREAM ? o->n_flows : 1,
                 .port = o->port,
                 .port_last = o->port_last,
                 .gso = 1},
        .duration_ns = duration_ns,
        .warmup_ns = measure_warmup(kind, duration_ns),
        .interval_ns = duration_ns >= 2ULL * CLOCK_S ? CLOCK_S : duration_ns / 10,
        .loss_target = {o->loss_target},
        .n_loss_targets = 1};

    if (kind == FLOW_TCP_STREAM || kind == FLOW_TCP_RR)
        text_copy(ask.spec.cc, sizeof ask.spec.cc, o->cc);
    if (kind == FLOW_TCP_STREAM || kind == FLOW_UDP_STREAM)
        ask.rate_bps = o->bandwidth_bps;
    if (kind == FLOW_UDP_STREAM)
        ask.search = o->bandwidth_bps == 0;
    if (kind == FLOW_ICMP_ECHO)
        ask.spec.gap_ns = (uint64_t)STEPS_ECHO_GAP_MS * CLOCK_MS;
    return ask;
}

unsigned steps_asks(const struct run_options *o, const struct scenario *scenario,
                    struct measure_ask ret_asks[STEPS_MAX_ASKS])
{
    static const struct {
        enum flow_kind stream, rr;
    } kinds[] = {[PROTOCOL_TCP] = {FLOW_TCP_STREAM, FLOW_TCP_RR},
                 [PROTOCOL_UDP] = {FLOW_UDP_STREAM, FLOW_UDP_RR}};
    const struct run_sizes *sizes[PROTOCOL_COUNT] = {&o->tcp, &o->udp, &o->icmp};
    const struct run_sizes *mine = sizes[scenario->protocol];
    unsigned n = 0;

    for (uint32_t i = 0; i < mine->n; i++)
        ret_asks[n++] = steps_ask(
            o,
            scenario->protocol == PROTOCOL_ICMP ? FLOW_ICMP_ECHO : kinds[scenario->protocol].stream,
            mine->size[i],
            scenario->protocol == PROTOCOL_ICMP && mine->n > 1
                ? steps_part(o->time_ns, mine->n, CLOCK_S / 5, o->time_ns)
                : o->time_ns);
    /* Latency at the same layer, a quarter as long: a closed loop gives ten thousand samples a second. */
    if (scenario->protocol != PROTOCOL_ICMP)
        ret_asks[n++] = steps_ask(o, kinds[scenario->protocol].rr, o->rr_bytes,
                                  steps_part(o->time_ns, 4, CLOCK_S / 4, 2ULL * CLOCK_S));
    return n;
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
    return ns;
}
