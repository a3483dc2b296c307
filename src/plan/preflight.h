/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/probe.h"
#include "plan/measure.h"
#include "plan/tool_run.h"

/*
 * Before anything is measured: does each client reach the data ports that its tests will use? The servers' agents open doors
 * where the sessions will listen, the clients' agents knock at all of them together, and what each side saw says where it
 * fails. The client begins everything, whichever way payload goes, so one knock tells of both directions.
 *
 * order   preflight_ask() for each thing to be measured, preflight_run() once, then preflight_why()
 * units   a knock that nobody answers takes PREFLIGHT_WAIT_MS, all of them together; one that is answered a round trip or two
 */
enum { PREFLIGHT_MAX = PROBE_NUMBERS, PREFLIGHT_NEEDS = 6, PREFLIGHT_WAIT_MS = 2000 };

struct preflight_knock {
    struct peer *client, *server;    /* lent */
    char address[FLOW_ADDRESS_SIZE]; /* of the server, as the client reaches it */
    char bind[FLOW_ADDRESS_SIZE];    /* the client's own, or its interface */
    char from[FLOW_ADDRESS_SIZE];    /* the client's address as far as it is known */
    bool udp, v6;
    bool may_be_taken; /* somebody else finds another port later */
    uint16_t port, port_last;
    uint32_t dscp;
    uint32_t
        nth; /* of the doors that are open at once with the same words: sessions that run together */
    bool pending;
    char why[280]; /* a sentence; "" it is reached, or could not be found out */
    int code;      /* errno of why */
};

struct preflight {
    struct preflight_knock knock[PREFLIGHT_MAX];
    uint32_t n;
};

/* The knocks on which one test depends. */
struct preflight_needs {
    uint16_t knock[PREFLIGHT_NEEDS];
    uint32_t n;
};

/*
 * What a measurement needs: nothing when it has no port (ICMP, multicast), or no agent of ours at the far end. from: the
 * client's address when it is known, else "". stream: what runs together with ask, or NULL.
 */
void preflight_ask(struct preflight *preflight, struct preflight_needs *needs,
                   const struct measure_path *path, const char *from, enum tool tool,
                   const struct measure_ask *ask, const struct measure_ask *stream);

/*
 * Knock. An agent that does not know how, or is gone, leaves its part open: then the test itself will tell.
 *
 * errors  -ECANCELED a signal came; -ENOMEM
 */
int preflight_run(struct preflight *preflight, struct peer_set *set, struct err *err);

/* Why what needs these cannot work, all sentences in one with "; " between them, as far as they fit: 0 it can, else -errno. */
int preflight_why(const struct preflight *preflight, const struct preflight_needs *needs,
                  struct err *err);
