/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/flow_spec.h"
#include "model/result.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Counters of one flow over a trial, cut at the window's and the intervals' edges. Slot 0 is before the window, slots 1
 * … n are the intervals (one when no series is asked), slot n+1 is after it. Only the flow's thread writes; the engine
 * reads finished slots while it runs (relaxed, each field for itself).
 *
 * units   ns of CLOCK_MONOTONIC, payload bytes
 * owns    slots; tally_init() allocates, tally_done() frees
 */
struct tally {
    struct flow_interval *slots;
    uint32_t n_slots; /* n + 2 */
    uint32_t slot;    /* the one being filled */
    uint64_t edge_ns; /* where it ends; UINT64_MAX for the last */
    uint64_t window_start_ns, window_end_ns, step_ns;
    uint64_t last_ns; /* when something was counted last; 0 never */
};

int tally_init(struct tally *tally, const struct flow_trial *trial);
void tally_done(struct tally *tally);

/* Go on to the slot that now lies in. True when at least one edge was passed: the moment to sample. */
bool tally_advance(struct tally *tally, uint64_t now_ns);

static inline bool tally_in_window(const struct tally *tally)
{
    return tally->slot > 0 && tally->slot < tally->n_slots - 1;
}

/* Count at a time; returns what tally_advance() says. */
static inline bool tally_add(struct tally *tally, uint64_t now_ns, uint64_t bytes, uint64_t packets)
{
    bool edge = now_ns >= tally->edge_ns && tally_advance(tally, now_ns);
    struct flow_interval *s = &tally->slots[tally->slot];

    __atomic_store_n(&s->bytes, s->bytes + bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&s->packets, s->packets + packets, __ATOMIC_RELAXED);
    tally->last_ns = now_ns;
    return edge;
}

/* Sums over the window. */
struct flow_interval tally_window(const struct tally *tally);
