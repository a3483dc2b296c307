/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/hist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where on a path the time goes: points that saw packets, and the stretches (hops) between them. Plain data, filled by
 * capture/ (offline and on an agent), carried by wire/, kept and shown by results/.
 *
 * shape   a hop has a direction: from one point to the next that packets reach; traffic both ways gives two hops
 * units   nanoseconds; a delay may be negative where two clocks disagree
 * owns    hops_done() frees all; zeroed structs are empty
 * source  one-way delay RFC 7679, loss RFC 7680, duplication RFC 5560, reordering RFC 4737
 */
enum { HOP_NAME_SIZE = 96, HOP_MAX_POINTS = 16, HOP_MAX_FLOWS = 4096, HOP_WARNING_SIZE = 800 };

/* Delays with either sign; exact but for the percentiles, which are at most 0.8 % off. */
struct delay {
    uint64_t count;
    int64_t min, max;
    int64_t
        origin; /* the first one: sums are of what lies beyond it, so that clocks a day apart cost no digits */
    double sum, sum_squares; /* see origin; delay_mean() and delay_stddev() tell */
    struct hist *positive;   /* owned; NULL none: delays of 0 and more */
    struct hist *negative;   /* owned; NULL none: the magnitudes of those below 0 */
};
/* errors: -ENOMEM */
int delay_add(struct delay *d, int64_t ns);
int delay_merge(struct delay *d, const struct delay *other);
double delay_mean(const struct delay *d);
double delay_stddev(const struct delay *d);
/* The delay below or at which the share (0…1) lies; 0 when empty. */
int64_t delay_percentile(const struct delay *d, double share);
void delay_done(struct delay *d);

/* A point, and what it saw. */
struct hop_point {
    char name[HOP_NAME_SIZE]; /* as the user named it: a file, "netns:vm1/eth0" */
    char source[16];          /* "file", "tcx", "clsact", "af_packet" */
    uint64_t seen;            /* packets with a key */
    uint64_t unparsed;        /* frames without one: no IP, cut short, malformed */
    uint64_t fragments;       /* of unparsed: later fragments of a datagram */
    uint64_t no_time;   /* of unparsed: packets of a file that have no time; known to who read it */
    uint64_t unmatched; /* seen here and at no other point */
    uint64_t kernel_drops; /* the kernel had no room: losses are bounds then */
    bool has_kernel_drops;
    bool vanished;              /* its interface went away while it was watched */
    uint64_t overflow;          /* table or ring of ours had no room */
    uint64_t backward;          /* records whose time went back */
    uint64_t first_ns, last_ns; /* wall clock of the point; 0 nothing seen */
    bool has_offset;            /* its clock against the first point's was estimated */
    int64_t offset_ns;          /* to be subtracted from its times, at first_ns */
    double skew_share;          /* and so much more a second */
    uint64_t offset_bound_ns;   /* most that the offset is off; UINT64_MAX no bound */
    uint64_t n_offset_packets;  /* that it was estimated from */
};

/* One part of a hop's series. */
struct hop_interval {
    uint64_t matched, lost;
    int64_t min_ns, max_ns; /* meaningless when matched is 0 */
    double sum_ns;
};

struct hop_flow {
    uint8_t protocol;      /* IP's number */
    char from[64], to[64]; /* "10.0.0.1:5001", "[fd00::1]:5001", or an address */
    uint64_t matched, lost, duplicated, reordered, ambiguous;
    struct delay delay;
};

struct hop {
    uint8_t from, to; /* points */
    bool
        whole; /* from the first point of the path to the last, beside the hops that it consists of */
    uint64_t matched; /* seen at both, and told apart: as many delays */
    uint64_t
        lost; /* seen at from, and at no later point, between the first and last that came to to */
    uint64_t duplicated; /* seen at to again */
    uint64_t
        reordered; /* RFC 4737 type-P-reordered, by the order at from, over all flows; of a flow by its own */
    uint64_t only_later; /* seen at to and at no earlier point */
    uint64_t ambiguous;  /* equal packets that nothing tells apart: not in delay */
    bool lost_is_bound;  /* something was not captured: lost is at most this */
    struct delay delay;
    struct delay hold,
        path; /* of packets that were merged on the way: waiting for the last, and the last one's own */
    uint64_t interval_ns;           /* 0 no series */
    uint64_t series_start_ns;       /* wall clock at from */
    struct hop_interval *intervals; /* owned */
    uint32_t n_intervals;
    struct hop_flow *flows; /* owned */
    uint32_t n_flows, room_flows;
    uint64_t more_flows; /* packets of flows beyond HOP_MAX_FLOWS */
};

/* What the instrument itself costs, measured before the run. */
struct hop_instrument {
    bool measured;
    double cost_ns;          /* CPU a packet for all points together */
    int64_t bias_ns;         /* what a hop of no length would read, median */
    uint64_t bias_spread_ns; /* p99 less p1 of that */
    uint64_t n_packets;      /* that told it */
    char stamp[240];         /* where on the way the time is taken, in words */
};

struct hops {
    struct hop_point points[HOP_MAX_POINTS];
    uint32_t n_points;
    struct hop
        *hops; /* owned; the first file's or point's direction first, hops before their whole */
    uint32_t n_hops;
    bool nat;           /* keys without addresses and ports */
    uint64_t window_ns; /* how long an unmatched packet was remembered */
    struct hop_instrument instrument;
    char source[16];                /* live: what all points are, or "mixed" */
    char warning[HOP_WARNING_SIZE]; /* what a reader must know; "" nothing */
};

void hop_done(struct hop *hop);
void hops_done(struct hops *hops);
/* Pairs at all hops, and packets of which the pair could not be told. */
uint64_t hops_paired(const struct hops *hops);
/* It lost some, and others were not seen before it: so look packets that were longer on their way than they were awaited. */
static inline bool hop_looks_late(const struct hop *hop) { return hop->lost && hop->only_later; }
/* Losses of hops that look late are bounds, and the warning says so and names --window. */
void hops_late_bounds(struct hops *hops);
/* The hop between two points, or NULL. */
struct hop *hops_find(const struct hops *hops, unsigned from, unsigned to, bool whole);
/* Room for one more, zeroed; NULL without memory. Valid until the next call. */
struct hop *hops_add(struct hops *hops);
