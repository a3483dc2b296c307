/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/hop_path.h"
#include "plan/hop_watch.h"
#include "plan/measure.h"

/*
 * Where on a scenario's path the time goes: find the interfaces between its ends, watch them while requests go to and fro
 * one by one, and keep what was seen with the scenario. Measured apart from the scenario's own numbers, which an
 * instrument on the path would spoil.
 *
 * errors  of hop_path.h and hop_watch.h, with "hops: " in front
 */
struct scenario_hops {
    struct hop_path_place
        *places; /* lent; network namespaces of the client's machine that may lie on the way */
    unsigned n_places, from;
    /*
     * Where TO is on another machine, of which no more is known than its agent tells: the walk begins at both ends, each towards
     * the other, and far_place is where that one begins. NULL, "": the whole way is on one machine.
     */
    struct peer *far;
    struct hop_path_place far_place;
    const char *back_to;         /* lent; own address of FROM */
    const char *nat_to;          /* TO's own address where path->address is translated; else "" */
    const struct hop_sink *sink; /* lent */
};

int scenario_hops_measure(const struct scenario_hops *hops, const struct measure_path *path,
                          const struct measure_ask *ask, struct scenario_result *scenario,
                          struct err *err);
