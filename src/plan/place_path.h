/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "plan/peer.h"

/*
 * The way between two ends that are there already, as their agents tell it.
 */
struct place_path {
    const struct resource *from, *to;   /* lent; of places */
    const struct peer *client, *server; /* lent; their agents, with facts; NULL there is none */
    bool v6, floating;
};

/*
 * Own addresses of both into ret_from and ret_to; "" where that of from is not told, or that of to when it is reached at its
 * floating one.
 *
 * errors  -EINVAL to has none, with the mend
 */
int place_path_addresses(const struct place_path *path, struct end_info *ret_from,
                         struct end_info *ret_to, struct err *err);

/* It is a namespace of this machine, which can be looked into. */
bool place_path_is_local(const struct resource *resource);
bool place_path_is_here(const struct resource *from, const struct resource *to);

/* Both ends share their CPUs: namespaces of this machine, or two agents on one host. */
bool place_path_same_machine(const struct resource *from, const struct resource *to);
