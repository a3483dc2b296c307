/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deploy/driver.h"

#include <stdbool.h>

/*
 * Which paths and tests there are: the table of groups 1 to 8, with VMTP's numbers and names.
 */
enum scenario_protocol {
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    PROTOCOL_ICMP,
    PROTOCOL_MULTICAST,
    PROTOCOL_COUNT
};

struct scenario {
    const char *id;
    const char *name;
    enum scenario_protocol protocol;
    const char *from, *to; /* names of resources */
    bool floating;         /* to is reached at its floating address */
    bool inter_node;
    bool different_network;
    bool tenant;      /* groups 1 to 6: the scenario is about placement of two VMs */
    const char *more; /* multicast: one more receiver of that path; NULL none */
    const char *bind; /* from's own address or interface, where it was named; NULL, "" not */
};

/* The usual ones come first; those of multicast are part of a run that asks for them. */
enum { SCENARIO_USUAL = 23, SCENARIO_COUNT = 30 };
extern const struct scenario scenario_table[SCENARIO_COUNT];
extern const char *const scenario_protocol_name[PROTOCOL_COUNT]; /* "tcp" … */

/* Everything that some scenario needs, in the order to make it. */
enum { SCENARIO_RESOURCES = 11 };
extern const struct resource scenario_resources[SCENARIO_RESOURCES];

/* Does the scenario need the resource (as an end, as its network or node, or on its way)? */
bool scenario_needs(const struct scenario *scenario, const struct resource *resource);

/* The group of multicast when none is given: VMTP's, and one of the same number for IPv6. */
const char *scenario_group(bool v6);
/* Do the patterns name a multicast scenario by its whole id? "2" and "2.*" do not. */
bool scenario_names_multicast(const char *patterns);

/* Does "1.1,2.*,7" name the id? A pattern is an id, a group, or a group with ".*". */
bool scenario_matches(const char *patterns, const char *id);
/* -EINVAL with a sentence when a pattern is malformed or names no scenario. */
int scenario_check_patterns(const char *patterns, struct err *err);
