/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/live_options.h"
#include "plan/peer.h"

#include <stdbool.h>

/*
 * Which interfaces of one machine a packet crosses on its way, asked of the agent there.
 *
 * shape   places are network namespaces that may lie on the way; the one that it starts in is `from`
 * errors  of peer.h; what the agent says; -EAGAIN a neighbour is not known yet: one packet each way, and ask again;
 *         -EHOSTUNREACH the packet would not arrive
 */
enum { HOP_PATH_PLACES = 40, HOP_PATH_POINTS = 32 };

struct hop_path_place {
    char name[32];
    char netns[LIVE_NETNS_SIZE];
};

struct hop_path {
    struct peer *peer;
    struct hop_path_place places[HOP_PATH_PLACES];
    unsigned n_places, from;
    const char *to;     /* lent */
    const char *nat_to; /* lent; "" none */

    struct live_point points[HOP_PATH_POINTS]; /* found; names are "place/interface" */
    bool tunnelled[HOP_PATH_POINTS];
    unsigned n_points;
    bool arrived; /* else it leaves the machine, or is lost sight of: */
    char text[256];
};

int hop_path_find(struct peer_set *set, struct hop_path *path, struct err *err);

/*
 * At most max of them: the ends always stay; what lies inside a tunnel goes first, then the middle. What was left out is said
 * in ret_text; "" nothing was.
 */
void hop_path_thin(struct hop_path *path, unsigned max, char *ret_text, size_t size);
/* One thing more that a reader of hops must know. */
void hop_path_say(struct hops *hops, const char *text);
