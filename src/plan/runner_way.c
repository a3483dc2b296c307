/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/text.h"
#include "plan/place_path.h"
#include "plan/preflight.h"
#include "plan/runner_state.h"
#include "plan/scenario_hops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int runner_hops(struct runner *r, const struct scenario *scenario, const struct measure_path *path,
                const struct measure_ask *ask, struct scenario_result *result, struct err *err)
{
    struct hop_path_place places[HOP_PATH_PLACES] = {0};
    struct scenario_hops hops = {.places = places,
                                 .nat_to = scenario->floating ? result->to.address : "",
                                 .back_to = result->from.address,
                                 .sink = r->hooks->hop_sink};
    struct err why = {0};
    int ret;

    if (r->steps.there && !place_path_is_here(runner_staged(r, scenario->from)->resource,
                                              runner_staged(r, scenario->to)->resource)) {
        hops.far = peer_find(&r->peers, scenario->to);
        hops.n_places = 1;
        snprintf(places[0].name, sizeof places[0].name, "%.31s", scenario->from);
        snprintf(hops.far_place.name, sizeof hops.far_place.name, "%.31s", scenario->to);
    }
    for (unsigned i = 0; i < r->peers.n_peers && i < ARRAY_SIZE(r->peers.peers) && !hops.far; i++) {
        const struct peer *peer = r->peers.peers[i];

        /* Behind those of the run come machines that are only asked for facts. */
        if (!runner_staged(r, peer->name))
            break;
        if (r->steps.there && !place_path_is_local(runner_staged(r, peer->name)->resource))
            continue;
        if (peer == path->client)
            hops.from = hops.n_places;
        snprintf(places[hops.n_places].name, sizeof places->name, "%.31s", peer->name);
        snprintf(places[hops.n_places++].netns, sizeof places->netns, "pid:%u", peer->pid);
    }
    ret = scenario_hops_measure(&hops, path, ask, result, &why);
    if (ret == 0)
        return 0;
    snprintf(result->hops_reason, sizeof result->hops_reason, "%.*s",
             (int)sizeof result->hops_reason - 1, why.text);
    if (ret == -ECANCELED && err)
        *err = why;
    return ret == -ECANCELED ? ret : 0;
}

/* What a scenario needs of its path; nothing when there is none: it will say so itself. */
static void runner_needs(struct runner *r, unsigned index, struct preflight *preflight,
                         struct preflight_needs *needs)
{
    const struct scenario *scenario = &r->steps.scenario[index];
    struct scenario_result *result = &r->run->scenarios[index];
    struct measure_ask asks[STEPS_MAX_ASKS];
    struct measure_path path;
    unsigned n;

    if (runner_path(r, scenario, result, &path, &(struct err){0}) < 0)
        return;
    n = steps_asks(r->options, scenario, asks);
    for (unsigned i = 0; i < n; i++)
        preflight_ask(preflight, needs, &path, result->from.address, r->options->tool, &asks[i],
                      NULL);
    if (steps_under_load(r->options, scenario, asks))
        preflight_ask(preflight, needs, &path, result->from.address, TOOL_NONE, &asks[0], &asks[1]);
}

int runner_preflight(struct runner *r, struct err *err)
{
    AUTO(free_p) struct preflight *preflight = calloc(1, sizeof *preflight);
    struct preflight_needs needs[SCENARIO_COUNT] = {0};
    struct err *blocked = calloc(SCENARIO_COUNT, sizeof *blocked);
    int ret;

    if (!preflight || !blocked) {
        free(blocked);
        return err_set(err, ENOMEM, "memory for a preflight");
    }
    for (unsigned i = 0; i < r->steps.n_scenarios; i++)
        if (!r->steps.skip[i])
            runner_needs(r, i, preflight, &needs[i]);
    ret = preflight_run(preflight, &r->peers, err);
    for (uint32_t i = 0; i < preflight->n && ret == 0; i++)
        if (preflight->knock[i].why[0] && r->hooks->on_talk)
            r->hooks->on_talk(r->hooks->arg, preflight->knock[i].why);
    for (unsigned i = 0; i < r->steps.n_scenarios && ret == 0; i++)
        preflight_why(preflight, &needs[i], &blocked[i]);
    r->blocked = blocked;
    return ret;
}
