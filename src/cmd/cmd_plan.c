/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/run_flags.h"
#include "deploy/driver.h"
#include "model/ports.h"
#include "plan/steps.h"

#include <stdio.h>
#include <string.h>

static void plan_resource(const struct resource *resource)
{
    char at[512];

    if (resource->there) {
        printf("  use     %-9s %s: %s%s%s%s%s%s%s\n", resource_kind_name[resource->kind],
               resource->name, places_show(resource->there, at, sizeof at),
               resource->node[0] ? ", on " : "", resource->node,
               resource->network[0] ? ", network " : "", resource->network,
               resource->there->floating[0] ? ", reached at " : "", resource->there->floating);
        return;
    }
    printf("  make    %-9s %s%s%s%s%s\n", resource_kind_name[resource->kind], resource->name,
           resource->node[0] ? " on " : "", resource->node,
           resource->network[0] ? ", network " : "", resource->network);
}

static void plan_agent(const struct run_options *options, const struct resource *resource)
{
    bool ssh = resource->there && resource->there->at.kind == ENDPOINT_SSH;

    printf("  start   agent     on %s%s%s\n", resource->name,
           !ssh                      ? ""
           : options->agent_there[0] ? ", which has it as "
                                     : ", where it is copied and has no name while it runs",
           ssh ? options->agent_there : "");
}

/* A command that making things takes, and what it reads. */
static void plan_command(void *arg, const char *where, const char *command, const char *text)
{
    (void)arg;
    printf("  run     in %s: %s\n", where, command);
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");

        printf("            %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

static int plan_commands(const struct run_options *options, const struct steps *steps)
{
    const struct resource *resources[STEPS_RESOURCES];
    const struct driver *driver = driver_find(options->driver);
    struct err err = {0};
    size_t n = 0;

    for (unsigned i = 0; i < steps->n_steps; i++)
        if (steps->step[i].kind == STEP_CREATE)
            resources[n++] = steps->step[i].resource;
    if (!driver->explain || driver->explain(resources, n, plan_command, NULL, &err) == 0)
        return EXIT_OK;
    log_say(LOG_ERROR, "plan: %s", err.text);
    return EXIT_ENVIRONMENT;
}

/* What of an ask is not as it is by default, ", lean" …; the texts of both are one line. */
static void plan_extras(const struct measure_ask *ask)
{
    const struct flow_spec *s = &ask->spec;
    char text[TEXT_SHORT];

    if (s->io == FLOW_IO_LEAN)
        printf(", lean");
    if (s->gso != 1)
        printf(s->gso ? ", %u datagrams a call" : ", as many datagrams a call as fit", s->gso);
    if (s->pin)
        printf(", on CPUs %u and %u", (s->pin & ~(unsigned)FLOW_PIN_EXACT) - 1,
               (ask->pin_server & ~(unsigned)FLOW_PIN_EXACT) - 1);
    if (s->spin)
        printf(", spinning");
    if (s->mss_bytes)
        printf(", MSS %u", s->mss_bytes);
    if (s->window_bytes)
        printf(", buffers of %s", text_show_size(s->window_bytes, text));
    if (s->dscp)
        printf(", DSCP %u", s->dscp);
    if (s->nodelay)
        printf(", no delay");
}

static void plan_rate(const struct measure_ask *ask)
{
    char rate[TEXT_SHORT];

    if (!ask->search) {
        if (ask->rate_bps)
            printf(", %s", text_show_rate((double)ask->rate_bps, rate));
        return;
    }
    printf(", highest rate searched");
    for (uint32_t i = 0; i < ask->n_loss_targets && ask->n_loss_targets > 1; i++)
        printf("%s %.3g %%", i ? "," : " for loss", ask->loss_target[i] * 100);
}

static void plan_ask(const struct measure_ask *ask)
{
    char size[TEXT_SHORT], time[TEXT_SHORT];

    printf("            %-10s %s, %u flow%s, %s", flow_kind_name[ask->spec.kind],
           ask->spec.imix ? "IMIX" : text_show_size(ask->spec.payload_bytes, size),
           ask->spec.n_flows, ask->spec.n_flows == 1 ? "" : "s",
           text_show_time((double)ask->duration_ns, time));
    plan_rate(ask);
    plan_extras(ask);
    printf("\n");
}

/* How often, and in which order, all that is measured. */
static void plan_repeat(const struct repeat_options *repeat)
{
    if (repeat->n > 1)
        printf("  repeat  up to %u times", repeat->n);
    else if (repeat->seed_set)
        printf("  order   shuffled");
    else
        return;
    if (repeat->until_share > 0)
        printf(", until the 95 %% interval of each median is within %.3g %% of it",
               repeat->until_share * 100);
    if (repeat->n > 1)
        printf(", each round in an order of its own");
    if (repeat->seed_set)
        printf(" by seed %llu", (unsigned long long)repeat->seed);
    printf("\n");
}

/* Before the first scenario; those of ICMP and multicast have no port that answers. */
static void plan_preflight(const struct run_options *options, const struct steps *steps)
{
    char ports[PORTS_TEXT_SIZE];

    ports_say(options->port, options->port_last, ports);
    for (unsigned i = 0; i < steps->n_scenarios; i++)
        if (!steps->skip[i] && (steps->scenario[i].protocol == PROTOCOL_TCP ||
                                steps->scenario[i].protocol == PROTOCOL_UDP)) {
            printf("  try     who reaches whom at %s, first free one\n", ports);
            return;
        }
}

static void plan_scenario(const struct run_options *options, const struct scenario *s)
{
    struct measure_ask asks[STEPS_MAX_ASKS];
    unsigned n = steps_asks(options, s, asks);

    printf("  measure %s %s: %s to %s%s%s%s\n", s->id, s->name, s->from, s->to,
           s->floating ? "'s floating address" : "", s->more ? " and " : "",
           s->more ? s->more : "");
    if (options->tool && (s->protocol == PROTOCOL_TCP || s->protocol == PROTOCOL_UDP))
        printf("            streams by %s:\n", tool_name[options->tool]);
    for (unsigned i = 0; i < n; i++)
        plan_ask(&asks[i]);
    if (steps_under_load(options, s, asks)) {
        printf("            idle, under load there, back and both ways:\n");
        plan_ask(&asks[0]);
        plan_ask(&asks[1]);
    }
    if (steps_hops(options, s, asks)) {
        printf("            with the interfaces on the way under watch:\n");
        plan_ask(&asks[0]);
    }
}

static int plan_run(const struct command *command, int argc, char **argv)
{
    struct run_flags flags;
    struct steps steps;
    uint64_t ns = 0;
    unsigned n = 0;
    char time[TEXT_SHORT];
    bool commands_said = false;
    int code = run_flags_parse(command, argc, argv, &flags);

    if (code != OPTIONS_GO_ON)
        return code;
    steps_make(&flags.run, &steps);
    printf("driver %s\n", flags.run.driver);
    for (unsigned i = 0; i < steps.n_steps; i++) {
        const struct step *step = &steps.step[i];

        if (step->kind == STEP_CREATE)
            plan_resource(step->resource);
        if (step->kind == STEP_AGENT && !commands_said) {
            code = plan_commands(&flags.run, &steps);
            if (code != EXIT_OK) {
                settings_done(&flags.settings);
                return code;
            }
            commands_said = true;
        }
        if (step->kind == STEP_AGENT)
            plan_agent(&flags.run, step->resource);
        if (step->kind != STEP_SCENARIO)
            continue;
        if (n == 0 && !flags.run.no_preflight)
            plan_preflight(&flags.run, &steps);
        plan_scenario(&flags.run, &steps.scenario[step->scenario]);
        ns += steps_scenario_ns(&flags.run, &steps.scenario[step->scenario]);
        n++;
    }
    plan_repeat(&flags.run.repeat);
    for (unsigned i = 0; i < steps.n_scenarios; i++)
        if (steps.skip[i])
            printf("  skip    %s %s: %s\n", steps.scenario[i].id, steps.scenario[i].name,
                   steps.skip[i]);
    for (unsigned i = steps.n_steps; i-- > 0;)
        if (steps.step[i].kind == STEP_CREATE && !steps.there)
            printf("  remove  %-9s %s\n", resource_kind_name[steps.step[i].resource->kind],
                   steps.step[i].resource->name);
    printf("%u scenario%s of %u, about %s; nothing was touched\n", n, n == 1 ? "" : "s",
           steps.n_scenarios,
           text_show_time((double)(ns * repeat_rounds(&flags.run.repeat)), time));
    settings_done(&flags.settings);
    run_options_done(&flags.run);
    return EXIT_OK;
}

const struct command cmd_plan = {
    .name = "plan",
    .summary = "the same arguments as run: print what it would make and measure; touches nothing",
    .args = "",
    .examples = "  vnperf plan --scenarios 2.*\n",
    .rows = run_flags_rows,
    .run = plan_run,
};
