/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "deploy/driver.h"
#include "deploy/lab_keeper.h"
#include "deploy/lab_net.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The parts of the lab driver share this: what a lab is (here), how commands are run in it (lab_command.c), how its
 * resources are made and removed (lab_make.c), and the hooks that plan/ calls (driver_lab.c).
 */
enum {
    LAB_PATH_SIZE = 256,
    LAB_PLACES_MAX = 256,
    LAB_DESCRIBED_SIZE = 64,
    LAB_OUTPUT_SIZE = 16384,
};

/* A resource that create was called for; with a network namespace unless it is a network. */
struct lab_place {
    bool used;
    struct resource resource;
    int netns_fd;           /* owned; -1 none (yet) */
    unsigned number;        /* of its kind, from 1 */
    struct lab_place *node; /* VM, router, external host: lent by the table; where its links end */
    struct lab_vm_net vm;
    bool floats; /* its floating address is in the router */
};

struct driver_state {
    char ip[LAB_PATH_SIZE], nft[LAB_PATH_SIZE];
    bool v6;
    driver_explain_fn *tell; /* set: commands are told and not run, and there is no keeper */
    void *tell_arg;
    struct lab_keeper keeper;       /* owned */
    char first[LAB_DESCRIBED_SIZE]; /* the resource that stands for the keeper in the ledger */
    struct lab_place place[LAB_PLACES_MAX];
    unsigned n_vms;                           /* so far; numbers are not used again */
    unsigned next_host[LAB_NETWORKS_MAX + 1]; /* by number of the network */
    unsigned next_floating;
    int *agent; /* owned; pidfds of what was spawned */
    size_t n_agents;
};

/* A place in use of that kind (-1 any) and name (NULL any), or NULL. */
struct lab_place *lab_make_find(struct driver_state *lab, int kind, const char *name);

enum lab_tool { LAB_IP, LAB_IP_FORCE, LAB_NFT };

struct lab_command {
    enum lab_tool tool;
    const struct lab_place *in;
    const struct lab_place *other; /* seen as fd 7; NULL none */
    const struct lab_text *text;
    int (*prepare)(const void *arg, char detail[SPAWN_DETAIL_SIZE]);
    const void *prepare_arg;
};

/* Run it; anything but success is an error, in the words of the tool. */
int lab_command_do(struct driver_state *lab, const struct lab_command *c, struct err *err);
/* Lines for `ip` that remove what may not be there (any more). */
int lab_command_undo(struct driver_state *lab, const struct lab_place *in,
                     const struct lab_text *text, struct err *err);
/* Wait until a link carries packets; until a node has nothing left but its underlay. errors: -ETIMEDOUT */
int lab_command_wait_link(struct driver_state *lab, const struct lab_place *in, const char *link,
                          struct err *err);
int lab_command_wait_bare(struct driver_state *lab, const struct lab_place *node, struct err *err);
/* The prepare of a first command in a new namespace: its settings; arg is its struct lab_place. */
int lab_command_settings(const void *arg, char detail[SPAWN_DETAIL_SIZE]);

/* A row for the resource, not made yet. errors: -EEXIST, -EINVAL it cannot have another of that kind */
int lab_make_place(struct driver_state *lab, const struct resource *resource,
                   struct lab_place **ret_place, struct err *err);
/* Make what the row says; after a failure lab_make_remove() and lab_make_drop() find what is there. */
int lab_make(struct driver_state *lab, struct lab_place *p, struct err *err);
/* What a resource has in nodes and in the router beside the ends of its own links. */
int lab_make_remove(struct driver_state *lab, struct lab_place *p, struct err *err);
/* Let go of its namespace, which is its end, and of its row. */
void lab_make_drop(struct lab_place *p);
