/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "capture/seen.h"
#include "capture/source.h"
#include "model/hop.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Pair the packets of N points: how long each stretch took, what was lost, duplicated and reordered on it.
 *
 * One pass in time order over all points (clocks corrected). A packet is remembered from the point that sees it first
 * until it has been seen at the last, or for a window. Equal keys at one point are a chain: retransmits, told apart by IP
 * ID, else oldest first. Where segmentation or receive offload has cut or merged packets, pieces are found by position.
 *
 * units   ns; wall clock of the points, corrected by their offset
 * errors  -ENOMEM; -EINVAL options that cannot be
 * owns    match_free() ends it, takes NULL
 * source  RFC 7679, 7680, 5560, 4737
 */
enum match_nat { MATCH_NAT_AUTO, MATCH_NAT_NO, MATCH_NAT_YES };

/* One packet's way. */
struct match_packet {
    const struct seen_flow *flow; /* NULL not known */
    uint32_t pos, len, id;
    uint8_t first;                  /* point that saw it first */
    uint16_t points;                /* bit k: point k saw it */
    uint64_t at_ns[HOP_MAX_POINTS]; /* corrected time at each of those */
    bool ambiguous, reordered, merged;
    bool backward; /* against the order of the points */
    uint8_t n_duplicates;
};

struct match_options {
    uint64_t
        window_ns; /* a packet is awaited so long; 0 found out: 8 times the p99.9, 5 ms to 1 s, 100 ms at first */
    enum match_nat nat;            /* AUTO: by trial on the first packets */
    uint8_t order[HOP_MAX_POINTS]; /* of the points, forward direction */
    bool order_given;              /* else learnt from the packets */
    bool per_flow;
    uint64_t interval_ns; /* of the series; 0 none */
    /* Times of a point that never go back by so much are no matter: several CPUs stamp packets, and hand them over, each by itself. */
    uint64_t backward_ns;
    /* Every packet of which something is known at the end, in order of its end; NULL not wanted. */
    void (*on_packet)(void *arg, const struct match_packet *packet);
    void *arg;
};

struct match;

int match_new(unsigned n_points, const struct match_options *options, struct match **ret_match,
              struct err *err);
void match_free(struct match *match);

/* ---- files: the matcher reads ---- */

/*
 * Read all sources to their ends and match. A source that breaks ends there: the others go on to that time, the result is
 * what was measured so far, and the error is returned. names are the points'.
 *
 * owns    ret_hops: ended by the caller with hops_done(), also after an error
 */
int match_sources(struct match *match, struct source *const sources[], const char *const names[],
                  struct hops *ret_hops, struct err *err);

/*
 * How the clock of each point stands to the first one's, from traffic both ways: fills offset, skew and bound of the
 * points. Reads the sources to their ends: open them again for match_sources(). One-way traffic: skew only, and the
 * bound is UINT64_MAX. errors: -ENODATA too few packets were seen at both
 */
int match_offsets(struct source *const sources[], unsigned n, struct hop_point ret_points[],
                  struct err *err);
/* The same of keys: next gives those of a point one after the other; false behind the last. */
typedef bool match_next_fn(void *arg, unsigned point, struct seen *ret_seen);
int match_offsets_keys(match_next_fn *next, void *arg, unsigned n, struct hop_point ret_points[],
                       struct err *err);
/* Take times of a point as that much too late (at its first packet) and skewed; before anything is matched. */
void match_set_offset(struct match *match, unsigned point, const struct hop_point *offset);

/* ---- live: packets are handed in ---- */

/*
 * Packets of one point, in time order; payload (NULL: not there) of those that other hosts may have merged is lent for
 * the call, n bytes of it. Matches as far as every point has been heard of: packets are kept until then.
 */
int match_add(struct match *match, unsigned point, const struct seen *seen, const uint8_t *payload,
              uint32_t n_payload, struct err *err);
/* A flow's words, once. */
void match_add_flow(struct match *match, uint32_t flow, const struct seen_flow *words);
/* The point's clock has come so far, and it watched, though it saw nothing: the others need not wait for it. UINT64_MAX: it has ended. */
int match_heard(struct match *match, unsigned point, uint64_t ts_ns, struct err *err);
/* The point watched from then to then by its clock, whatever is handed in; the others wait for it all the same. */
void match_watched(struct match *match, unsigned point, uint64_t first_ns, uint64_t last_ns);
/* No more will come: what is left is matched. names are for sentences, NULL: numbers; the points' own and counters are the caller's. */
int match_end(struct match *match, const char *const names[], struct hops *ret_hops,
              struct err *err);
