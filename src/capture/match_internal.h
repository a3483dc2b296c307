/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/match.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/*
 * What the files match_*.c share; nobody else includes this.
 *
 *     match.c          options in, packets in, the merge by time
 *     match_read.c     sources to packets
 *     match_trial.c    the first packets: NAT, order of the points, how their clocks stand
 *     match_table.c    packets that are remembered: a ring in order of first sight, a hash by key, one by base
 *     match_pair.c     a packet meets the table
 *     match_count.c    pairs and what did not become one, counted
 *     match_series.c   numbers over time
 *     match_end.c      what is left at the end; the answer
 *     match_offsets.c  clocks
 */

enum rec_flags {
    REC_AMBIGUOUS = 1,
    REC_REORDERED = 2,
    REC_MERGED = 4, /* seen as a piece of something */
    REC_COVER = 8,  /* in the hash by base */
    REC_KEPT = 16,  /* cover_next is a number of m->kept: its payload */
    REC_UNLINKED = 32,
    REC_TCP = 64,
    REC_FRAGMENT = 128,
};

/*
 * A packet, or a piece of one, that is remembered. Numbers of records (u32, 0 none) count on without end; the record is at its
 * number modulo the ring's room. Followed by its times at the points.
 */
struct rec {
    uint64_t base;
    uint32_t order; /* in which it was first seen */
    uint32_t pos, len, flow;
    uint32_t next_key;   /* leaders: the next of the same slot, of another key */
    uint32_t twin_next;  /* the next of the same key, younger */
    uint32_t twin_last;  /* leaders: the youngest */
    uint32_t cover_next; /* the next of the same slot by base */
    uint16_t points, id;
    uint8_t first, flags, n_duplicates;
    bool repeats; /* equal to one that was seen at that point before and nowhere else */
    uint64_t at[];
};

/* A hop in one direction, while it is counted. */
struct side {
    struct hop hop;
    uint64_t last_ns; /* reordering: the largest so far, by time where from is no first point … */
    uint32_t last_order; /* … else by order, pieces by position */
    uint32_t last_pos;
    bool any;
    uint64_t first_match_ns, last_match_ns; /* at from: losses count between */
    uint64_t beyond;     /* seen at from alone, when to may not have watched: not counted as lost */
    uint64_t later_lost; /* beyond what is deferred: count when a match follows, */
    uint64_t unrelated;  /* and when anything was matched: to watched then */
    uint64_t
        alike; /* lost, as the counts tell, or still under way when a capture ended: which of many nothing tells */
    int64_t longest_ns; /* see match_pair.c */
    uint64_t longest_until;
    struct side_flow *flows; /* owned; beside hop.flows */
    uint32_t *flow_index;    /* owned; by number of the flow: in hop.flows, less one */
    uint32_t n_flow_index;
};

struct side_flow {
    uint64_t last_ns;
    uint32_t last_order, last_pos;
    bool any;
};

/* What is known of a flow: which way it goes. */
struct flow_state {
    uint32_t flow; /* 0 empty */
    uint32_t number;
    uint32_t votes[2];
};

/* What is found out when it is not given; see match_options. */
static const uint64_t MATCH_WINDOW_FIRST = 100000000, MATCH_WINDOW_LEAST = 5000000,
                      MATCH_WINDOW_MOST = 1000000000;
enum {
    MATCH_RECORDS_MANY = 1 << 15,
    MATCH_RECENT =
        8, /* a packet that has passed all points is awaited once more for that part of the window */
};

enum {
    FLOWS_MAX = 1 << 16,
    DEFERRED_MAX = 1 << 20,
    TWINS_LOOKED_AT = 256,
    COVERS_LOOKED_AT = 4096
};

/* Not to be decided when it was forgotten. */
struct deferred {
    uint64_t ns;
    uint32_t flow;
    uint8_t point;
    bool unknown; /* the direction: else lost on that side */
    bool repeats, ambiguous;
    uint8_t way, hop;
};

/* Waits for its turn. */
struct waiting {
    struct seen seen;
    uint32_t payload_at, n_payload;
};

struct queue {
    struct waiting *all; /* owned */
    uint32_t at, n, room;
    uint8_t *payload; /* owned */
    uint32_t n_payload, room_payload;
    uint64_t corrected_ns; /* of all[at], by the first point's clock */
    uint64_t heard_ns;     /* raw: it will send nothing before */
    uint64_t latest_ns;    /* merge time of the last one taken out: times that go back do not */
    bool ended;
};

struct point_state {
    uint64_t seen, unmatched, backward, backward_most_ns, first_ns, last_ns, last_raw_ns;
    uint64_t heard_first_ns, heard_last_ns; /* raw: it watched then, whatever it saw; 0 not told */
    /* The clock: told by the user, */
    bool has_offset;
    int64_t offset_ns;
    double skew;
    uint64_t origin_ns; /* first time, from which the skew counts */
    /* and found out, for the order of the merge alone. */
    int64_t align_ns, apart_ns; /* now, and at first */
    bool apart;
    int64_t near_there_ns,
        near_back_ns; /* of late: least from the first point here, most the other way */
    uint32_t n_near;
};

struct kept {
    uint8_t *data; /* owned */
    uint32_t n, at;
};

struct match {
    struct match_options options;
    unsigned n;
    uint16_t all;
    bool decided; /* nat, order and align are known */
    bool nat;
    bool splits; /* some packets are cut or merged below the usual size */
    bool clocks_apart;
    bool failed_memory;
    uint8_t order[HOP_MAX_POINTS], place[HOP_MAX_POINTS];
    uint8_t found_order[HOP_MAX_POINTS]; /* by the packets, whatever was given */
    bool has_found_order;
    struct queue queue[HOP_MAX_POINTS];
    uint64_t next_ns
        [HOP_MAX_POINTS]; /* by place: merge time of what is first there; UINT64_MAX nothing */
    struct point_state point[HOP_MAX_POINTS];
    uint64_t now_ns;    /* merge time */
    uint64_t forget_ns; /* when it is worth while to look again for what is too old */

    /* the table */
    uint8_t *recs; /* owned; room records of stride bytes */
    size_t stride;
    uint32_t room, mask, head, tail;
    uint32_t *slots;  /* owned; by key */
    uint32_t *covers; /* owned; by base */
    uint32_t slot_shift;
    uint32_t next_order;
    struct kept *kept; /* owned */
    uint32_t n_kept, first_free_kept, n_covers;
    uint32_t recent; /* complete records before this one are to be found no more */
    uint64_t window_ns;
    uint32_t n_paired, n_slow, n_slower;

    /* the counts */
    struct side side[2][HOP_MAX_POINTS];
    uint64_t start_ns;
    struct flow_state *flows; /* owned; hashed by flow */
    uint32_t n_flows, room_flows;
    struct seen_flow *words; /* owned; by number of the flow */
    uint8_t *has_words;      /* owned */
    uint32_t room_words;
    const char *const *names;  /* lent for the answer; NULL none */
    struct deferred *deferred; /* owned */
    uint32_t n_deferred, room_deferred;
    char warning[HOP_WARNING_SIZE];
};

static inline struct rec *match_rec(const struct match *m, uint32_t number)
{
    return (struct rec *)(void *)(m->recs + (size_t)(number & m->mask) * m->stride);
}

static inline uint64_t match_base(const struct match *m, const struct seen *seen)
{
    return m->nat ? seen->base_nat : seen->base;
}

static inline uint64_t match_hash(uint64_t base, uint32_t pos)
{
    return (base ^ (uint64_t)pos << 20) * 0x9e3779b97f4a7c15ULL;
}

/* ---- match_table.c ---- */

int table_init(struct match *m);
void table_done(struct match *m);
static inline uint32_t table_slot(const struct match *m, uint64_t base, uint32_t pos)
{
    return (uint32_t)(match_hash(base, pos) >> m->slot_shift);
}
/* The oldest of those with that key; 0 none. */
static inline uint32_t table_find(const struct match *m, uint64_t base, uint32_t pos)
{
    uint32_t number = m->slots[table_slot(m, base, pos)];

    while (number) {
        const struct rec *rec = match_rec(m, number);

        if (rec->base == base && rec->pos == pos)
            break;
        number = rec->next_key;
    }
    return number;
}
/* A new record behind all others, not linked; 0 without memory. Moves records: pointers to any are void. */
uint32_t table_take_more(struct match *m);
static inline uint32_t table_take(struct match *m)
{
    return m->head && m->head - m->tail < m->room - 1 ? m->head++ : table_take_more(m);
}
void table_link(struct match *m, uint32_t number);
/* The same when there is none of its key. */
static inline void table_link_first(struct match *m, uint32_t number)
{
    struct rec *rec = match_rec(m, number);
    uint32_t *slot = &m->slots[table_slot(m, rec->base, rec->pos)];

    rec->twin_next = 0;
    rec->twin_last = number;
    rec->next_key = *slot;
    *slot = number;
}
void table_unlink(struct match *m, uint32_t number);
void table_cover(struct match *m, uint32_t number);
/* One of that base that reaches over pos and was not seen at the point; 0 none. */
uint32_t table_covering(const struct match *m, uint64_t base, uint32_t pos, unsigned point);
/* Cut a record in two at pos: the number of the second part, linked; 0 without memory. Moves records. */
uint32_t table_split(struct match *m, uint32_t number, uint32_t pos, uint64_t base,
                     uint32_t key_pos);
int table_keep(struct match *m, uint32_t number, const uint8_t *payload, uint32_t n);
/* The record is to be found no more; it keeps its place. */
void table_forget_more(struct match *m, uint32_t number);
static inline void table_forget(struct match *m, uint32_t number)
{
    struct rec *rec = match_rec(m, number);
    uint32_t *slot = &m->slots[table_slot(m, rec->base, rec->pos)];

    if ((rec->flags & (REC_KEPT | REC_COVER | REC_UNLINKED)) == REC_UNLINKED)
        return;
    /* The only one of its key, and the first of its slot: unlinked in place. */
    if (!(rec->flags & (REC_KEPT | REC_COVER)) && *slot == number && !rec->twin_next) {
        *slot = rec->next_key;
        rec->flags |= REC_UNLINKED;
        rec->twin_last = 0;
        return;
    }
    table_forget_more(m, number);
}
/* ---- match_pair.c ---- */

/* Bytes of payload that one Ethernet frame holds: more was not cut yet, or merged. */
enum { PAIR_LARGEST_USUAL = 1460 };

/* A record of what was seen nowhere before, or of a piece of it. */
static inline void pair_write(struct match *m, struct rec *rec, const struct seen *seen,
                              uint64_t base, uint32_t pos, uint32_t len, uint16_t id, uint64_t ns)
{
    rec->base = base;
    rec->order = m->next_order++;
    rec->pos = pos;
    rec->len = len;
    rec->flow = seen->flow;
    rec->cover_next = 0;
    rec->points = (uint16_t)(1U << seen->point);
    rec->id = id;
    rec->first = seen->point;
    rec->flags = (uint8_t)((seen->flags & SEEN_TCP ? REC_TCP : 0) |
                           (seen->flags & SEEN_FRAGMENT ? REC_FRAGMENT : 0));
    rec->n_duplicates = 0;
    rec->repeats = false;
    rec->at[seen->point] = ns;
}

/* All that a packet may be: several pieces, a part of something, a duplicate, one of many that are equal. */
int pair_packet(struct match *m, const struct seen *seen, uint64_t ns, const uint8_t *payload,
                uint32_t n_payload);

/* ---- match_count.c ---- */

/* The record was seen at a point as well: at[point] is set. */
int count_sight(struct match *m, struct rec *rec, unsigned point);
int count_duplicate(struct match *m, struct rec *rec, unsigned point);
/* Of several at the points before, merged at this one. */
int count_merged(struct match *m, const struct rec *rec, unsigned point, const uint64_t *first_at,
                 uint16_t first_points);
/* The record is forgotten. */
int count_forgotten(struct match *m, struct rec *rec);
/* Which way the record goes: 0 forward, 1 backward. */
unsigned count_way(const struct match *m, const struct rec *rec, unsigned point);
/* Point k of the way. */
static inline unsigned count_point(const struct match *m, unsigned way, unsigned k)
{
    return m->order[way ? m->n - 1 - k : k];
}
void count_done(struct match *m);
/* Decide what was put off. */
void count_deferred(struct match *m);

/* ---- match_series.c ---- */

/* The part of a hop's series that a time falls into; NULL beyond the most, or without memory. */
struct hop_interval *series_interval(struct match *m, struct side *side, uint64_t ns);

/* ---- flows, in match_flow.c ---- */

static inline uint32_t flow_slot(const struct match *m, uint32_t flow)
{
    return (uint32_t)((flow * 0x9e3779b1U) >> 8) & (m->room_flows - 1);
}
struct flow_state *flow_find(const struct match *m, uint32_t flow);
struct flow_state *flow_add_more(struct match *m, uint32_t flow);
/* NULL: of flow 0, or of too many. */
static inline struct flow_state *flow_add(struct match *m, uint32_t flow)
{
    if (m->room_flows && flow && m->flows[flow_slot(m, flow)].flow == flow)
        return &m->flows[flow_slot(m, flow)];
    return flow_add_more(m, flow);
}
const struct seen_flow *flow_words(const struct match *m, uint32_t flow);
/* 0, 1, or -1 when nothing is known of it or its counterpart. */
int flow_way(const struct match *m, uint32_t flow);
/* The side's entry of a flow; NULL too many, or no memory. */
struct hop_flow *flow_of_side(struct match *m, struct side *side, uint32_t flow,
                              struct side_flow **ret_state);
void flow_done(struct match *m);

/* ---- match_trial.c ---- */

/* A packet, cut down to what tells pairs. */
struct sample {
    uint64_t key, key_nat, ns;
    uint32_t flow, len;
};

struct sample_pair {
    uint64_t x_ns;             /* at the first of the two points */
    int64_t y_ns;              /* at the other, less x */
    uint32_t flow, flow_other; /* at the first, and at the other */
    uint8_t way;               /* 0 from the first to the other, 1 back, 2 not known */
    bool cut;                  /* lengths differ */
};

struct sample_pairs {
    struct sample_pair *all; /* owned */
    size_t n;
};

/* n of both are kept, in order of time at a; keys that are there twice are left out. a and b are sorted by key afterwards. */
int trial_pairs(struct sample *a, size_t n_a, struct sample *b, size_t n_b, bool nat,
                struct sample_pairs *ret_pairs);
/* Find out their ways; true when both ways were seen in one conversation at least. */
bool trial_ways(struct sample_pairs *pairs);
static inline void sample_set(struct sample *sample, const struct seen *seen)
{
    sample->key = match_hash(seen->base, seen->pos) ^ seen->base >> 32;
    sample->key_nat = match_hash(seen->base_nat, seen->pos) ^ seen->base_nat >> 32;
    sample->ns = seen->ts_ns;
    sample->flow = seen->flow;
    sample->len = seen->len;
}
/*
 * How far the clock of a point is ahead so that packets come there after and go from there before: there_ns the least
 * difference of those that go there, back_ns the most of those that come from there; INT64_MAX, INT64_MIN there are none.
 */
int64_t trial_align(int64_t there_ns, int64_t back_ns, int64_t now_ns);
/* A point's time by the first one's clock, as far as the user told. */
static inline uint64_t match_corrected(const struct point_state *p, uint64_t ns)
{
    if (!p->has_offset)
        return ns;
    return ns - (uint64_t)p->offset_ns -
           (uint64_t)(int64_t)(p->skew * (double)(int64_t)(ns - p->origin_ns));
}
/* From what waits in the queues; false: nothing was to be seen in both of any two. */
bool trial_decide(struct match *m);
void trial_set_order(struct match *m, const uint8_t *order);

/* ---- match.c ---- */

/*
 * Room for one more at the end of the queue, and for its payload; NULL without memory. What is then written to ->seen counts
 * with match_queue_added().
 */
struct waiting *match_queue_more(struct match *m, unsigned point, uint32_t n_payload);
static inline struct waiting *match_queue_next(struct match *m, unsigned point)
{
    struct queue *q = &m->queue[point];

    return q->n < q->room && q->at < q->n ? &q->all[q->n] : match_queue_more(m, point, 0);
}
struct waiting *match_queue_payload(struct match *m, unsigned point, const uint8_t *payload,
                                    uint32_t n_payload);
void match_odd_time(struct point_state *p, uint64_t ns);

/* Merge time of what is first in the queue. */
static inline void match_head(struct match *m, unsigned point)
{
    struct queue *q = &m->queue[point];
    const struct point_state *p = &m->point[point];
    uint64_t ns = UINT64_MAX;

    if (q->at < q->n) {
        q->corrected_ns = match_corrected(p, q->all[q->at].seen.ts_ns);
        ns = q->corrected_ns - (uint64_t)p->align_ns;
        ns = ns > q->latest_ns ? ns : q->latest_ns;
    }
    m->next_ns[m->place[point]] = ns;
}

static inline int match_queue_added(struct match *m, unsigned point, const uint8_t *payload,
                                    uint32_t n_payload)
{
    struct queue *q = &m->queue[point];
    struct point_state *p = &m->point[point];
    struct waiting *w =
        n_payload ? match_queue_payload(m, point, payload, n_payload) : &q->all[q->n];
    uint64_t ns;

    if (!w)
        return -ENOMEM;
    w->seen.point = (uint8_t)point;
    w->payload_at = q->n_payload;
    w->n_payload = n_payload;
    q->n_payload += n_payload;
    ns = w->seen.ts_ns;
    if (p->seen == 0 || ns < p->last_raw_ns)
        match_odd_time(p, ns);
    p->seen++;
    p->last_raw_ns = ns;
    p->last_ns = ns > p->last_ns ? ns : p->last_ns;
    if (q->n++ == q->at)
        match_head(m, point);
    return 0;
}
/* Match what may be: until some point has nothing waiting and may still send. limit_ns: merge time not to be passed. */
int match_advance(struct match *m, uint64_t limit_ns);
/* The clocks are known better: so is what comes first. */
void match_heads(struct match *m);
int match_flush(struct match *m);
int match_answer(struct match *m, struct hops *ret_hops, struct err *err);
