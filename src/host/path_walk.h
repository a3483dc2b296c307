/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host/path_view.h"

/*
 * The walk's state, and what its parts have in common. Inside host/ only.
 *
 * A packet stands at an interface, going out or coming in, or is with a place's routing. Each step looks at the tables and
 * says the next one, or ends the walk with a sentence; a part returns 0 in both cases and a negative errno when a table could
 * not be had.
 */
enum path_step { PATH_STEP_OUT, PATH_STEP_IN, PATH_STEP_ROUTE, PATH_STEP_END };

struct path_walker {
    const struct path_view *view;
    const struct path_question *question;
    struct path *path; /* its packet is the one that walks */
    struct err *err;
    enum path_step step;
    unsigned place;
    const struct path_link *link; /* lent by the view; NULL in the place where it originates */
    bool nat;                     /* still to be translated */
    struct path_address nat_from, nat_to;
    bool routed;                  /* by a place on the way: its source may have changed */
    char missing[PATH_TEXT_SIZE]; /* why the frame's MAC is not known */
    struct path_packet
        crossed[PATH_MAX_POINTS]; /* the packet at each point: the same again is a loop */
};

static inline struct path_layer *path_walk_layer(struct path_walker *w)
{
    return &w->path->packet.layer[w->path->packet.n_layers - 1];
}

/* Cross an interface, and stand there. */
int path_walk_out(struct path_walker *w, unsigned place, const struct path_link *link);
int path_walk_in(struct path_walker *w, unsigned place, const struct path_link *link);
int path_walk_end(struct path_walker *w, enum path_end end, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "node1/eth0" */
enum { PATH_WHERE_SIZE = 64, PATH_MAC_SIZE = 18, PATH_ADDRESS_SIZE = 48 };
const char *path_walk_where(const struct path_walker *w, unsigned place,
                            const struct path_link *link, char ret[PATH_WHERE_SIZE]);
const char *path_walk_mac(const uint8_t mac[6], char ret[PATH_MAC_SIZE]);
const char *path_walk_address(const struct path_address *address, char ret[PATH_ADDRESS_SIZE]);

/* An interface by its number; NULL none. */
int path_walk_link(struct path_walker *w, unsigned place, uint32_t index,
                   const struct path_link **ret_link);
/* The place that an interface's lower one (or underlay) is in: -1 none of ours. */
int path_walk_lower_place(struct path_walker *w, unsigned place, const struct path_link *link,
                          int *ret_place);
/* The lower interface, or a veth's peer. When it is nowhere, the walk has ended: NULL. */
int path_walk_lower(struct path_walker *w, const struct path_link *link, unsigned *ret_place,
                    const struct path_link **ret_link);

/* The first interface of any place that answers yes (1); this place first. NULL none. */
typedef int path_walk_match(struct path_walker *w, unsigned place, const struct path_link *link);
int path_walk_search(struct path_walker *w, path_walk_match *match, unsigned *ret_place,
                     const struct path_link **ret_link);

/* ---- what kinds of interfaces do (path_kind.c) ---- */

/* With a packet that leaves by w->link. */
int path_kind_out(struct path_walker *w);
/* With one that came in at it. */
int path_kind_in(struct path_walker *w);

/* ---- bridges and VXLAN (path_bridge.c) ---- */

/* From one of its ports, or (NULL) from the place's own stack. */
int path_bridge_forward(struct path_walker *w, const struct path_link *bridge,
                        const struct path_link *port);
int path_bridge_encapsulate(struct path_walker *w);
/* The outer address is local in w->place. */
int path_bridge_decapsulate(struct path_walker *w);
