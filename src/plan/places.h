/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/scenario.h"

/*
 * Hosts and VMs that are there already, and which of them stand for the ends of scenarios. No I/O.
 *
 * Of VMs a pair is taken by its labels: the same or another net, the same or another node; with floating addresses the one that
 * is reached needs one. Of several pairs that of the first server, and of its clients the first: in the order given.
 * Two hosts are groups 7: the first is the server. One host alone has two agents and is measured within itself.
 * A VM with a floating address, else the first, is measured with the external host.
 */
enum place_role { PLACE_HOST, PLACE_VM, PLACE_EXTERNAL };

enum { PLACES_MAX = 24 };

struct place {
    enum place_role role;
    bool twin;                /* the same host as the one before it: a second agent there */
    struct resource resource; /* its name is unique; there is set by places_point() */
    struct resource_there there;
};

struct places {
    struct place place[PLACES_MAX];
    unsigned n;
};

/*
 * One more. label is what it is called (cut, and made unique with "#2"), "" what its endpoint says. node and network are a
 * VM's labels, "" none. there is copied; its password goes over to places.
 *
 * errors  -EINVAL with a sentence: too many, a third host, a second external host
 */
int places_add(struct places *places, enum place_role role, const char *label, const char *node,
               const char *network, const struct resource_there *there, struct err *err);
/* All are named: one host alone becomes two ends. errors: -EINVAL what is missing beside them */
int places_complete(struct places *places, struct err *err);
/* Wipes the passwords. Takes a zeroed one. */
void places_done(struct places *places);

/*
 * The table's rows with the ends that they have: names of places, lent by them. ret_why is NULL, or why a row has none;
 * ret_asked says whether places were named that are for such rows.
 */
void places_fill(const struct places *places, struct scenario ret_rows[SCENARIO_COUNT],
                 const char *ret_why[SCENARIO_COUNT], bool ret_asked[SCENARIO_COUNT]);

/* Its resource, as a driver takes it; lent by places. */
const struct resource *places_resource(const struct places *places, unsigned i);

/* Wipes and frees the password. */
void places_wipe(struct resource_there *there);

/* How it is named, without its password: "ssh://root@10.0.0.5?if=eth5", "exec:podman exec -i c". Returns ret. */
const char *places_show(const struct resource_there *there, char *ret, size_t size);
