/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "random.h"
#include "scenario.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Packets on their way along a row of points: who sent what and when, and when each point saw it.
 *
 * shape   an item is the smallest piece that any point sees; a sight is a frame at a point: one item, or several that are one
 *         packet there (next to each other in their flow)
 * units   ns since the start; recorded times are by the point's clock and as exact as its file keeps them
 * owns    simulate_done() frees
 */
#define ITEM_NONE UINT32_MAX
enum { SIMULATE_MAX_MERGED = 16 };
enum simulate_protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP, PROTOCOL_SCTP };
enum simulate_flags {
    ITEM_SYN = 1,
    ITEM_PUSH = 2,
    ITEM_REVERSE = 4,
    ITEM_RESENT = 8,
    ITEM_LOST = 16, /* is to be lost somewhere */
    ITEM_SAME = 32, /* its payload is as all others' */
    ITEM_FRAGMENTS = 64
};
enum simulate_foreign { FOREIGN_NONE, FOREIGN_ARP, FOREIGN_LLDP, FOREIGN_BAD_IP };

struct item {
    int64_t sent_ns;
    int64_t seen_ns[SCENARIO_MAX_POINTS]; /* recorded, of the first sight */
    uint32_t flow, seq, ack, ts_value, ts_echo;
    uint32_t next; /* that follows it in its flow without a gap, sent together; ITEM_NONE */
    uint16_t len, id;
    uint8_t flags;
    uint8_t sights[SCENARIO_MAX_POINTS];
};

struct sight {
    int64_t ns;
    uint32_t item;
    uint8_t n; /* items */
    uint8_t copy;
    uint8_t foreign; /* a frame of that kind stands before it */
};

struct sights {
    struct sight *all; /* owned */
    size_t n, room;
};

struct simulate_flow {
    enum simulate_protocol protocol;
    bool ipv6;
    uint16_t port[2];   /* of client and server; ICMP: port[0] is the id */
    uint16_t nat_port;  /* the client's behind NAT */
    uint32_t seq[2];    /* next, client's and server's */
    uint16_t id[2];     /* likewise of the IP ID */
    uint32_t ts_offset; /* of the timestamps option */
};

struct simulation {
    const struct scenario *scenario;
    struct random random;
    unsigned n_points;
    uint32_t n_packets;
    int64_t end_ns;
    struct simulate_flow *flows; /* owned */
    struct item *items;          /* owned */
    uint32_t n_items;
    size_t room_items;
    struct sights at[SCENARIO_MAX_POINTS]; /* in the order of the file */
};

/* Aborts without memory: a tool for tests. */
void simulate_run(struct simulation *sim);
void simulate_done(struct simulation *sim);

/* The point's clock, as its file keeps it. */
int64_t simulate_clock(const struct simulation *sim, unsigned point, int64_t ns);
/* ITEM_NONE behind the last. */
static inline uint32_t simulate_member(const struct simulation *sim, uint32_t item, unsigned i)
{
    while (i-- > 0)
        item = sim->items[item].next;
    return item;
}

/* sights.c */
struct sight *sights_add(struct sights *sights, int64_t ns, uint32_t item, unsigned n);
/* By time; what is equal stays in its order, and is then told apart by a nanosecond. */
void sights_sort(struct sights *sights);

/* items.c: the flows and what they send. */
void items_flows(struct simulation *sim);
void items_send(struct simulation *sim, bool reverse, struct sights *sent);
/* Acknowledgements and echo replies to what came to the last point. */
void items_answer(struct simulation *sim, const struct sights *arrived, struct sights *sent);
