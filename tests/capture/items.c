/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate.h"

#include <stdlib.h>
#include <string.h>

enum {
    ITEMS_START_NS = 20000000, /* data begin then: handshakes are over */
    ITEMS_GAP_NS = 1500,       /* between the segments of a burst */
    ITEMS_TICK_NS = 1000000,   /* of the timestamps option */
};

static struct item *item_new(struct simulation *sim, uint32_t flow, int64_t sent_ns)
{
    struct item *item;

    if (sim->n_items == sim->room_items) {
        size_t room = sim->room_items ? sim->room_items * 2 : 4096;
        struct item *items = realloc(sim->items, room * sizeof *items);

        if (!items)
            abort();
        sim->items = items;
        sim->room_items = room;
    }
    item = &sim->items[sim->n_items++];
    memset(item, 0, sizeof *item);
    item->flow = flow;
    item->sent_ns = sent_ns;
    item->next = ITEM_NONE;
    return item;
}

/* Protocols by their weights, but always the same number of each. */
static enum simulate_protocol flow_protocol(const struct scenario *s, unsigned i)
{
    double share = ((double)i + 0.5) / (double)s->n_flows * (s->tcp + s->udp + s->icmp + s->sctp);

    if (share < s->tcp)
        return PROTOCOL_TCP;
    if (share < s->tcp + s->udp)
        return PROTOCOL_UDP;
    return share < s->tcp + s->udp + s->icmp ? PROTOCOL_ICMP : PROTOCOL_SCTP;
}

void items_flows(struct simulation *sim)
{
    const struct scenario *s = sim->scenario;

    sim->flows = calloc(s->n_flows, sizeof *sim->flows);
    if (!sim->flows)
        abort();
    for (unsigned i = 0; i < s->n_flows; i++) {
        struct simulate_flow *flow = &sim->flows[i];

        flow->protocol = flow_protocol(s, i);
        flow->ipv6 = (double)((i * 7 + 3) % 10) < s->ipv6 * 10;
        flow->port[0] = (uint16_t)(40000 + i);
        flow->port[1] = (uint16_t)(flow->protocol == PROTOCOL_UDP ? 5201 : 5001);
        flow->nat_port = (uint16_t)(20000 + random_below(&sim->random, 9000) * 2 + i % 2);
        for (unsigned side = 0; side < 2; side++) {
            flow->seq[side] = (uint32_t)random_next(&sim->random);
            if (s->wrap)
                flow->seq[side] = 0u - 2000 - random_below(&sim->random, 60000);
            flow->id[side] = (uint16_t)random_next(&sim->random);
        }
        flow->ts_offset = (uint32_t)random_next(&sim->random);
    }
}

static uint16_t flow_next_id(const struct simulation *sim, struct simulate_flow *flow, int side)
{
    if (sim->scenario->no_id || flow->ipv6)
        return 0;
    /* Like a kernel it counts over 0, which then reads as no ID: only what IDs alone tell apart must not meet it. */
    if (++flow->id[side] == 0 && sim->scenario->same_payload)
        flow->id[side] = 1;
    return flow->id[side];
}

static void item_stamp(const struct simulate_flow *flow, struct item *item)
{
    bool reverse = item->flags & ITEM_REVERSE;

    item->ts_value =
        flow->ts_offset * (reverse ? 3 : 1) + (uint32_t)(item->sent_ns / ITEMS_TICK_NS);
    item->ts_echo = flow->ts_offset * (reverse ? 1 : 3) + (uint32_t)(item->sent_ns / ITEMS_TICK_NS);
}

static uint16_t item_length(struct simulation *sim, const struct simulate_flow *flow)
{
    const struct scenario *s = sim->scenario;

    if (s->payload_max <= s->payload || (s->burst > 1 && flow->protocol != PROTOCOL_SCTP))
        return s->payload;
    return (uint16_t)(s->payload + random_below(&sim->random, s->payload_max - s->payload + 1u));
}

/* One piece of data of a flow; ports, IDs and numbers go on. */
static uint32_t item_data(struct simulation *sim, uint32_t f, bool reverse, int64_t ns,
                          unsigned len)
{
    const struct scenario *s = sim->scenario;
    struct simulate_flow *flow = &sim->flows[f];
    struct item *item = item_new(sim, f, ns);

    item->flags = reverse ? ITEM_REVERSE : 0;
    item->len = (uint16_t)len;
    item->seq = flow->seq[reverse];
    item->ack = flow->seq[!reverse];
    item->id = flow_next_id(sim, flow, reverse);
    if (flow->protocol == PROTOCOL_TCP)
        flow->seq[reverse] += len;
    else
        flow->seq[reverse]++;
    if (s->same_payload && flow->protocol == PROTOCOL_UDP)
        item->flags |= ITEM_SAME;
    if (flow->protocol == PROTOCOL_UDP && random_chance(&sim->random, s->fragmented)) {
        item->flags |= ITEM_FRAGMENTS;
        item->len = 4000;
    }
    item_stamp(flow, item);
    return sim->n_items - 1;
}

static void item_resend(struct simulation *sim, uint32_t i, struct sights *sent)
{
    const struct scenario *s = sim->scenario;
    bool lost = s->resend_kind == RESEND_LOST ||
                (s->resend_kind == RESEND_HALF && random_chance(&sim->random, 0.5));
    struct item *again, old = sim->items[i];
    struct simulate_flow *flow = &sim->flows[old.flow];
    bool reverse = old.flags & ITEM_REVERSE;

    again = item_new(sim, old.flow, old.sent_ns + s->resend_after_ns);
    again->flags = (uint8_t)((old.flags & ITEM_REVERSE) | ITEM_RESENT | ITEM_PUSH);
    again->len = (uint16_t)(s->resend_longer ? 2 * old.len : old.len);
    again->seq = old.seq;
    again->ack = old.ack;
    again->id = flow_next_id(sim, flow, reverse);
    item_stamp(flow, again);
    if (lost)
        sim->items[i].flags |= ITEM_LOST;
    sights_add(sent, again->sent_ns, sim->n_items - 1, 1);
}

/* A burst is what one write hands out: segments that follow each other, one time stamp, PSH on the last. */
static unsigned items_burst(struct simulation *sim, uint32_t f, bool reverse, int64_t ns,
                            struct sights *sent)
{
    const struct scenario *s = sim->scenario;
    const struct simulate_flow *flow = &sim->flows[f];
    bool many = s->burst > 1 && (flow->protocol == PROTOCOL_TCP || flow->protocol == PROTOCOL_UDP);
    unsigned n = many ? 1 + random_below(&sim->random, s->burst) : 1;
    uint32_t first = sim->n_items;

    for (unsigned i = 0; i < n; i++) {
        unsigned len = item_length(sim, flow);
        uint32_t now;

        /* The last one may be shorter. */
        if (n > 1 && i == n - 1 && random_chance(&sim->random, 0.5))
            len = 33 + random_below(&sim->random, len - 33);
        now = item_data(sim, f, reverse, ns, len);
        if (i > 0)
            sim->items[now - 1].next = now;
        if (i == n - 1)
            sim->items[now].flags |= ITEM_PUSH;
        if (!s->super)
            sights_add(sent, ns + (int64_t)i * ITEMS_GAP_NS, now, 1);
    }
    if (s->super)
        sights_add(sent, ns, first, n);
    for (uint32_t i = first; i < first + n && flow->protocol == PROTOCOL_TCP; i++) {
        if (random_chance(&sim->random, s->resend))
            item_resend(sim, i, sent);
    }
    return n;
}

static void items_handshake(struct simulation *sim, bool reverse, struct sights *sent)
{
    for (uint32_t f = 0; f < sim->scenario->n_flows; f++) {
        struct simulate_flow *flow = &sim->flows[f];
        int64_t ns = 1000000 + (int64_t)f * 10000;
        struct item *item;

        if (flow->protocol != PROTOCOL_TCP)
            continue;
        item = item_new(sim, f, reverse ? ns + 5000000 : ns);
        item->flags = reverse ? ITEM_SYN | ITEM_REVERSE : ITEM_SYN;
        item->seq = flow->seq[reverse] - 1;
        item->ack = reverse ? flow->seq[0] : 0;
        item->id = flow_next_id(sim, flow, reverse);
        item_stamp(flow, item);
        sights_add(sent, item->sent_ns, sim->n_items - 1, 1);
        if (reverse || sim->scenario->two_way == ONE_WAY)
            continue;
        item = item_new(sim, f, ns + 10000000);
        item->seq = flow->seq[0];
        item->ack = flow->seq[1];
        item->id = flow_next_id(sim, flow, 0);
        item_stamp(flow, item);
        sights_add(sent, item->sent_ns, sim->n_items - 1, 1);
    }
}

void items_send(struct simulation *sim, bool reverse, struct sights *sent)
{
    const struct scenario *s = sim->scenario;
    int64_t ns = ITEMS_START_NS;
    double mean_ns = 1e9 / s->rate_pps;
    uint32_t room = sim->n_packets;

    /* Once, so that five million do not double it over and over. */
    if (!sim->items) {
        sim->room_items = (size_t)room * (s->two_way == ONE_WAY ? 11 : 22) / 10 + 4096;
        sim->items = malloc(sim->room_items * sizeof *sim->items);
        if (!sim->items)
            abort();
    }
    items_handshake(sim, reverse, sent);
    for (uint32_t n = 0; n < room;) {
        uint32_t f = random_below(&sim->random, s->n_flows);
        uint32_t made;

        if (reverse && sim->flows[f].protocol == PROTOCOL_ICMP)
            f = 0;
        made = items_burst(sim, f, reverse, ns, sent);
        ns += 1 + random_exponential(&sim->random, mean_ns * made);
        n += made;
    }
    sights_sort(sent);
    if (ns > sim->end_ns)
        sim->end_ns = ns;
}

/* The last item as it is, but for the IP ID: the receiver says again what it waits for. */
static void item_again(struct simulation *sim, int64_t ns, struct sights *sent)
{
    struct item old = sim->items[sim->n_items - 1], *item = item_new(sim, old.flow, ns);

    *item = old;
    item->sent_ns = ns;
    item->id = flow_next_id(sim, &sim->flows[old.flow], 1);
    sights_add(sent, ns, sim->n_items - 1, 1);
}

void items_answer(struct simulation *sim, const struct sights *arrived, struct sights *sent)
{
    uint32_t n_items = sim->n_items;
    uint8_t *seen = calloc(n_items + 1u, 1);
    uint32_t n_data = 0;

    if (!seen)
        abort();
    for (size_t i = 0; i < arrived->n; i++) {
        uint32_t at = simulate_member(sim, arrived->all[i].item, arrived->all[i].n - 1u);
        struct item *item, data = sim->items[at];
        struct simulate_flow *flow = &sim->flows[data.flow];
        unsigned n_again;
        int64_t ns = arrived->all[i].ns + 2000 + random_exponential(&sim->random, 5000);

        if (seen[at]++ || data.flags & ITEM_SYN || data.len == 0)
            continue;
        if (flow->protocol != PROTOCOL_ICMP && (flow->protocol != PROTOCOL_TCP || ++n_data % 2 ||
                                                sim->scenario->two_way != TWO_WAY_ACKS))
            continue;
        item = item_new(sim, data.flow, ns);
        item->flags = ITEM_REVERSE;
        item->id = flow_next_id(sim, flow, 1);
        if (flow->protocol == PROTOCOL_ICMP) {
            item->seq = data.seq;
            item->len = data.len;
        } else {
            item->seq = flow->seq[1];
            item->ack = data.seq + data.len;
        }
        item_stamp(flow, item);
        item->ts_echo = data.ts_value;
        sights_add(sent, ns, sim->n_items - 1, 1);
        n_again = item->ack % 20 == 0 ? sim->scenario->duplicate_acks : 0;
        for (unsigned k = 0; k < n_again; k++)
            item_again(sim, ns + (k + 1) * 7000, sent);
    }
    free(seen);
    if (sim->scenario->two_way == TWO_WAY_ACKS)
        items_handshake(sim, true, sent);
    sights_sort(sent);
}
