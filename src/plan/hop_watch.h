/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/hop.h"
#include "model/live_options.h"
#include "plan/peer.h"

#include <stdbool.h>

/*
 * Points on one or several machines under watch while traffic passes: an agent a machine, each with its points. On one
 * machine packets are paired in its kernel where that can be; else their keys come here and go into a sink, which is
 * what plan/ knows of the matcher.
 *
 * errors  of peer.h, and what the agents say
 * owns    hop_watch_close() ends what hop_watch_open() began, also when that failed half way
 */
enum { HOP_WATCH_PLACES = 8 };

/* Where keys go. Errors end the watch. */
struct hop_sink {
    void *arg;
    /* So many points, on so many machines: before anything else, and again for each watch. */
    int (*begin)(void *arg, unsigned n_points, unsigned n_machines, struct err *err);
    /* Packets of a point, in the bytes of capture/keys.h; all that it saw up to heard_ns of its clock is here. */
    int (*keys)(void *arg, unsigned point, uint64_t heard_ns, const uint8_t *bytes, size_t n,
                struct err *err);
    int (*flows)(void *arg, const uint8_t *bytes, size_t n, struct err *err);
    /*
     * All have come: pair them. points has what is known of each, also how its clock stood to the first one's.
     * owns    ret_hops: the caller's, also after an error
     */
    int (*end)(void *arg, const struct hop_point points[], unsigned n_points, struct hops *ret_hops,
               struct err *err);
};

struct hop_place {
    struct peer *peer;
    struct live_options options;   /* its points */
    uint8_t point[HOP_MAX_POINTS]; /* which of the watch's points each is */
    struct call call;              /* kept while it goes on: keys come under its id */
    char source[16], why[480];     /* what the agent took, and why nothing better */
    struct hops seen;              /* owned; what the agent told at the end */
    struct hop_watch *watch;       /* lent */
    bool watching;
};

struct hop_watch {
    struct peer_set *set;        /* lent */
    const struct hop_sink *sink; /* lent */
    struct hop_place *places;    /* lent */
    unsigned n_places, n_points;
    struct hop_instrument instrument;
    struct err failure; /* of the sink, or of what came */
};

/*
 * Measure the instrument where it will be used, and attach to all points; packets count from when this returns. A
 * place's options have its points in them; keys_only is set here when there are several places.
 */
int hop_watch_open(struct hop_watch *watch, struct peer_set *set, struct hop_place places[],
                   unsigned n_places, bool calibrate, const struct hop_sink *sink, struct err *err);
/*
 * Let what is under way arrive, detach, and tell what was seen.
 *
 * owns    ret_hops: hops_done() by the caller, also after an error
 */
int hop_watch_close(struct hop_watch *watch, struct hops *ret_hops, struct err *err);
