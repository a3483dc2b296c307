/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/fact_round.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "plan/places.h"
#include "plan/run_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FACT_ROUND_S = 6, FACT_ROUND_NODE_S = 15 };

static bool fact_round_named(const struct node_result *node, const char *name)
{
    return strncmp(node->name, name, sizeof((struct peer *)0)->name - 1) == 0;
}

/* The agent of a node; NULL it has none, or it has gone. */
static struct peer *fact_round_peer(const struct peer_set *set, const struct run_result *run,
                                    uint32_t index)
{
    uint32_t k = 0;

    if (run->nodes[index].error[0])
        return NULL;
    for (uint32_t i = 0; i < index; i++)
        k += !run->nodes[i].error[0] && fact_round_named(&run->nodes[i], run->nodes[index].name);
    for (unsigned i = 0; i < set->n_peers; i++)
        if (fact_round_named(&run->nodes[index], set->peers[i]->name) && k-- == 0)
            return set->peers[i]->gone ? NULL : set->peers[i];
    return NULL;
}

/* A question and where its answer goes. */
struct fact_question {
    struct call call;
    struct facts facts;
};

static void fact_round_send(struct peer *peer, const struct node_result *node,
                            struct fact_question *question)
{
    char buf[256];
    struct line_out out;

    peer_begin(peer, &out, buf, sizeof buf, "facts");
    if (node->address[0])
        line_put(&out, "address", node->address);
    if (node->role >= NODE_CONTROLLER)
        line_put_u64(&out, "node", 1);
    question->call.facts = &question->facts;
    if (peer_send(peer, &out, &question->call, NULL) < 0)
        question->call.state = CALL_FAILED;
}

/* Until each question has its answer, or has failed for itself, or time is over. errors: -ECANCELED */
static int fact_round_wait(struct peer_set *set, struct fact_question *questions, uint32_t n,
                           uint64_t deadline_ns)
{
    for (;;) {
        struct call *waiting[RUN_MAX_NODES];
        uint32_t n_waiting = 0;
        int r;

        for (uint32_t i = 0; i < n; i++)
            if (questions[i].call.state == CALL_WAITING)
                waiting[n_waiting++] = &questions[i].call;
        if (n_waiting == 0)
            return 0;
        r = peer_wait(set, waiting, n_waiting, deadline_ns, NULL);
        if (r == -ECANCELED || r == -ETIMEDOUT)
            return r;
        /* One has failed: the others go on. */
        if (r < 0 && clock_mono_ns() >= deadline_ns)
            return -ETIMEDOUT;
    }
}

static void fact_round_take(struct node_result *node, const struct fact_question *question,
                            bool after)
{
    if (question->call.state != CALL_OK)
        return;
    if (!after) {
        node->facts = question->facts;
        return;
    }
    node->n_changes =
        facts_changes(&node->facts, &question->facts, node->changes, FACT_CHANGES_MAX);
    node->compared = true;
}

static int fact_round(struct peer_set *set, struct run_result *run, bool after)
{
    AUTO(free_p) struct fact_question *questions = calloc(run->n_nodes + 1, sizeof *questions);
    uint64_t wait_s = FACT_ROUND_S;
    int r;

    if (!questions)
        return 0;
    for (uint32_t i = 0; i < run->n_nodes; i++) {
        struct peer *peer = fact_round_peer(set, run, i);

        if (!peer)
            continue;
        if (run->nodes[i].role >= NODE_CONTROLLER)
            wait_s = FACT_ROUND_NODE_S;
        fact_round_send(peer, &run->nodes[i], &questions[i]);
    }
    r = fact_round_wait(set, questions, run->n_nodes, clock_mono_ns() + wait_s * CLOCK_S);
    for (uint32_t i = 0; i < run->n_nodes; i++) {
        fact_round_take(&run->nodes[i], &questions[i], after);
        call_done(&questions[i].call);
    }
    return r == -ECANCELED ? r : 0;
}

int fact_round_before(struct peer_set *set, struct run_result *run)
{
    return fact_round(set, run, false);
}

int fact_round_after(struct peer_set *set, struct run_result *run)
{
    return fact_round(set, run, true);
}

void fact_round_machine(struct run_result *run, const struct peer *peer, bool node_of_run,
                        const char *address)
{
    struct node_result *node;

    if (run->n_nodes == RUN_MAX_NODES)
        return;
    node = &run->nodes[run->n_nodes++];
    node->role = node_of_run ? NODE_MEASURED : NODE_ENDPOINT;
    text_copy(node->name, sizeof node->name, peer->name);
    text_copy(node->address, sizeof node->address, address);
}

void fact_round_address(struct run_result *run, const char *name, unsigned k, const char *address)
{
    for (uint32_t i = 0; i < run->n_nodes; i++) {
        if (!fact_round_named(&run->nodes[i], name) || k-- != 0)
            continue;
        text_copy(run->nodes[i].address, sizeof run->nodes[i].address, address);
        return;
    }
}

static int fact_round_reach(const struct fact_asks *asks, struct pair_options *reach,
                            struct peer_set *set, struct run_result *run, fact_round_talk *talk,
                            void *arg)
{
    for (uint32_t i = 0; i < asks->n && run->n_nodes < RUN_MAX_NODES; i++) {
        const struct fact_ask *ask = &asks->ask[i];
        struct node_result *node = &run->nodes[run->n_nodes];
        struct peer *peer = NULL;
        struct err err = {0};
        char text[512];
        int r;

        reach->password = ask->there.password;
        r = pair_run_agent(reach, &ask->there.at, ask->text, ask->text, set, run, &peer, &err);

        if (r == -ECANCELED)
            return r;
        if (r < 0) {
            /* Results do not wait for facts: the run goes on without them. */
            *node = (struct node_result){0};
            text_copy(node->name, sizeof node->name, ask->text);
            text_copy(node->error, sizeof node->error, err.text);
            run->n_nodes++;
            snprintf(text, sizeof text, "no facts of %s: %.400s", ask->text, err.text);
            if (talk)
                talk(arg, text);
        }
        node->role = ask->role;
    }
    return 0;
}

int fact_round_begin(const struct run_options *options, struct peer_set *set,
                     struct run_result *run, fact_round_talk *talk, void *arg)
{
    AUTO(free_p) struct pair_options *reach = calloc(1, sizeof *reach); /* large */
    int r = 0;

    if (reach) {
        reach->nice = options->nice;
        reach->host_keys = options->host_keys;
        reach->become = options->become;
        text_copy(reach->agent, sizeof reach->agent, options->agent);
        text_copy(reach->agent_there, sizeof reach->agent_there, options->agent_there);
        text_copy(reach->known_hosts, sizeof reach->known_hosts, options->known_hosts);
        text_copy(reach->ssh_config, sizeof reach->ssh_config, options->ssh_config);
        r = fact_round_reach(&options->fact_asks, reach, set, run, talk, arg);
    }
    return r < 0 ? r : fact_round_before(set, run);
}

void fact_asks_done(struct fact_asks *asks)
{
    for (uint32_t i = 0; i < asks->n; i++)
        places_wipe(&asks->ask[i].there);
    *asks = (struct fact_asks){0};
}
