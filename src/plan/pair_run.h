/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "deploy/driver.h"
#include "model/measurement.h"
#include "plan/measure.h"
#include "plan/node_cpu.h"
#include "plan/repeat.h"
#include "plan/tool_run.h"

/*
 * One pair of endpoints that are there already: start an agent at each, find the address, measure.
 */
enum { PAIR_MAX_ASKS = 24 };

/* Something that is done around the measuring: call go(go_arg, err) for it, or do without. Its answer is the test's. */
struct pair_around {
    void *arg;
    int (*call)(void *arg, const struct measure_path *path,
                int (*go)(void *go_arg, struct err *err), void *go_arg, struct err *err);
};

struct pair_options {
    struct endpoint_text from, to;
    const char *from_text, *to_text;                      /* lent: as the user wrote them */
    struct endpoint_text more[MEASURE_MAX_RECEIVERS - 1]; /* multicast: receivers besides to */
    const char *more_text[MEASURE_MAX_RECEIVERS - 1];
    uint32_t n_more;
    char address[FLOW_ADDRESS_SIZE]; /* of TO, as FROM reaches it; "" found out */
    char group[FLOW_ADDRESS_SIZE];   /* of multicast */
    bool ipv6;
    char agent[256];
    int32_t nice; /* of the agents; 0 as they are */
    struct measure_ask asks[PAIR_MAX_ASKS];
    unsigned n_asks;
    bool under_load;           /* asks[0] is the probe, stream loads the path */
    struct measure_ask stream; /* of under_load */
    enum tool tool;            /* what measures; TOOL_NONE we do */
    bool no_preflight;         /* the ports are not tried before */
    struct repeat_options repeat;
    struct node_cpu_options cpu;
    void (*on_talk)(void *arg,
                    const char *text); /* words for the user while it runs; may be NULL */
    const struct pair_around *around;  /* lent; NULL nothing */
    enum remote_host_keys host_keys;   /* of ssh:// endpoints */
    char known_hosts[256];             /* the only file of known hosts that counts; "" theirs */
    char ssh_config[256];              /* read instead of the user's own; "" that */
    char agent_there[256]; /* the agent as ssh:// hosts have it; "" agent is put there */
    bool become;           /* agents of ssh:// hosts run as root, by sudo */
    const char *password;  /* lent: of ssh:// endpoints, tried before keys; NULL none */
};

enum pair_end { PAIR_DONE, PAIR_FAILED, PAIR_ENVIRONMENT, PAIR_UNREACHABLE, PAIR_INTERRUPTED };

/*
 * Fills run's nodes and its one scenario, "test".
 *
 * returns PAIR_ENVIRONMENT an agent could not be started, or no data port is free at TO; PAIR_UNREACHABLE a host is not reached over SSH or not entered, TO
 *         has no address or nobody answers there
 */
enum pair_end pair_run(const struct pair_options *options, int interrupt_fd,
                       const struct measure_watch *watch, struct run_result *run, struct err *err);

/* What pair_run() is made of, for who does other things at endpoints. */

/* Start a program at an endpoint. owns: ret: the caller ends it with spawned_end() */
int pair_run_spawn(const struct pair_options *options, const struct endpoint_text *endpoint,
                   char *const argv[], struct spawned *ret, struct err *err);
/*
 * Start an agent there, called name among the run's nodes, and learn its clock and facts. text is what the user wrote.
 *
 * errors  -EHOSTUNREACH a host is not reached over SSH, or not entered; -ENOPKG no agent can run there; -ECANCELED
 */
int pair_run_agent(const struct pair_options *options, const struct endpoint_text *endpoint,
                   const char *text, const char *name, struct peer_set *set, struct run_result *run,
                   struct peer **ret_peer, struct err *err);
/* Reach that host already, so that several are reached together: pair_run_agent() then waits for it. spawn_ssh_ahead_end() after all. */
void pair_run_ahead(const struct pair_options *options, const struct endpoint_text *endpoint);
/* The address by which FROM most likely speaks to TO. errors: -EHOSTUNREACH it has none */
int pair_run_own_address(const struct pair_options *options, const struct measure_path *path,
                         char *ret, size_t size, struct err *err);
