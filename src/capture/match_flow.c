/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/match_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct flow_state *flow_find(const struct match *m, uint32_t flow)
{
    if (m->room_flows == 0)
        return NULL;
    for (uint32_t i = flow_slot(m, flow);; i = (i + 1) & (m->room_flows - 1)) {
        struct flow_state *state = &m->flows[i];

        if (state->flow == flow)
            return state;
        if (state->flow == 0)
            return NULL;
    }
}

static int flow_grow(struct match *m)
{
    struct flow_state *old = m->flows;
    uint32_t n_old = m->room_flows, room = n_old ? n_old * 2 : 256;
    struct flow_state *flows = calloc(room, sizeof *flows);

    if (!flows)
        return -ENOMEM;
    m->flows = flows;
    m->room_flows = room;
    for (uint32_t i = 0; i < n_old; i++) {
        uint32_t at;

        if (!old[i].flow)
            continue;
        for (at = flow_slot(m, old[i].flow); flows[at].flow;)
            at = (at + 1) & (room - 1);
        flows[at] = old[i];
    }
    free(old);
    return 0;
}

struct flow_state *flow_add_more(struct match *m, uint32_t flow)
{
    struct flow_state *state = flow_find(m, flow);
    uint32_t at;

    if (state || flow == 0)
        return state;
    if (m->n_flows == FLOWS_MAX || (m->n_flows * 2 >= m->room_flows && flow_grow(m) < 0))
        return NULL;
    for (at = flow_slot(m, flow); m->flows[at].flow;)
        at = (at + 1) & (m->room_flows - 1);
    m->flows[at] = (struct flow_state){.flow = flow, .number = m->n_flows++};
    return &m->flows[at];
}

const struct seen_flow *flow_words(const struct match *m, uint32_t flow)
{
    const struct flow_state *state = flow_find(m, flow);

    if (!state || state->number >= m->room_words || !m->has_words[state->number])
        return NULL;
    return &m->words[state->number];
}

void match_add_flow(struct match *m, uint32_t flow, const struct seen_flow *words)
{
    struct flow_state *state = flow_add(m, flow);

    if (!state)
        return;
    if (state->number >= m->room_words) {
        uint32_t room = (state->number + 64) * 2;
        struct seen_flow *all = reallocarray(m->words, room, sizeof *all);
        uint8_t *has = realloc(m->has_words, room);

        m->words = all ? all : m->words;
        m->has_words = has ? has : m->has_words;
        if (!all || !has)
            return;
        memset(has + m->room_words, 0, room - m->room_words);
        m->room_words = room;
    }
    m->words[state->number] = *words;
    m->has_words[state->number] = 1;
}

int flow_way(const struct match *m, uint32_t flow)
{
    const struct flow_state *state = flow_find(m, flow);

    if (state && state->votes[0] != state->votes[1])
        return state->votes[1] > state->votes[0];
    state = flow_find(m, flow ^ 1);
    if (state && state->votes[0] != state->votes[1])
        return state->votes[0] > state->votes[1];
    return -1;
}

static void flow_end(char ret_text[64], const struct seen_flow *words, const uint8_t *address,
                     uint16_t port)
{
    char text[INET6_ADDRSTRLEN] = "?";
    bool ports = words->protocol == 6 || words->protocol == 17 || words->protocol == 132;

    inet_ntop(words->family == 6 ? AF_INET6 : AF_INET, address, text, sizeof text);
    if (!ports)
        snprintf(ret_text, 64, "%s", text);
    else
        snprintf(ret_text, 64, words->family == 6 ? "[%s]:%u" : "%s:%u", text, port);
}

static void flow_name(struct hop_flow *flow, const struct seen_flow *words)
{
    if (!words)
        return;
    flow->protocol = words->protocol;
    flow_end(flow->from, words, words->from, words->from_port);
    flow_end(flow->to, words, words->to, words->to_port);
}

static int flow_room(struct side *side)
{
    struct hop *hop = &side->hop;
    uint32_t room = hop->room_flows ? hop->room_flows * 2 : 16;
    struct hop_flow *flows;
    struct side_flow *states;

    if (hop->n_flows < hop->room_flows)
        return 0;
    flows = reallocarray(hop->flows, room, sizeof *flows);
    hop->flows = flows ? flows : hop->flows;
    states = reallocarray(side->flows, room, sizeof *states);
    side->flows = states ? states : side->flows;
    if (!flows || !states)
        return -ENOMEM;
    hop->room_flows = room;
    return 0;
}

struct hop_flow *flow_of_side(struct match *m, struct side *side, uint32_t flow,
                              struct side_flow **ret_state)
{
    struct flow_state *state = flow_add(m, flow);
    struct hop *hop = &side->hop;
    uint32_t number;

    if (!state)
        return NULL;
    number = state->number;
    if (number >= side->n_flow_index) {
        uint32_t n = (number + 64) * 2;
        uint32_t *index = reallocarray(side->flow_index, n, sizeof *index);

        if (!index)
            return NULL;
        memset(index + side->n_flow_index, 0, (n - side->n_flow_index) * sizeof *index);
        side->flow_index = index;
        side->n_flow_index = n;
    }
    if (!side->flow_index[number]) {
        if (hop->n_flows == HOP_MAX_FLOWS || flow_room(side) < 0)
            return NULL;
        hop->flows[hop->n_flows] = (struct hop_flow){0};
        side->flows[hop->n_flows] = (struct side_flow){0};
        flow_name(&hop->flows[hop->n_flows], flow_words(m, flow));
        side->flow_index[number] = ++hop->n_flows;
    }
    *ret_state = &side->flows[side->flow_index[number] - 1];
    return &hop->flows[side->flow_index[number] - 1];
}

void flow_done(struct match *m)
{
    free(m->flows);
    free(m->words);
    free(m->has_words);
}
