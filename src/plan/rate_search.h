/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The highest rate whose loss keeps a target: what was seen at a rate → the next rate to try. No I/O.
 *
 *     rate_search_init(&s, loss_target, payload_bytes, budget_ns);
 *     while (rate_search_next(&s, &step))
 *         … run a trial of step, tell rate_search_seen() what came of it …
 *
 * First a blast as fast as the sender can: what arrives of it is the first estimate (dispersion). Then short probes
 * that close in between the highest rate that was fine and the lowest that was too much. The caller confirms
 * s.answer_bps with a trial of full length and tells rate_search_confirm(), which says yes or a lower rate.
 *
 * units   bit/s of payload
 * source  pathload (growing one-way delay), MLRsearch (short trials first); thresholds are our own measurements
 */
enum rate_search_limit { RATE_SEARCH_PATH, RATE_SEARCH_SENDER };

enum rate_search_verdict { PROBE_UNDER, PROBE_OVER, PROBE_UNSURE, PROBE_SPOILED, PROBE_SENDER };
extern const char *const rate_search_verdict_name[];

struct rate_search_step {
    uint64_t rate_bps; /* 0: as fast as it goes */
    uint64_t warmup_ns;
    uint64_t duration_ns;
};

/* What a trial showed. */
struct rate_search_seen {
    uint64_t sent, lost;
    double offered_bps, received_bps;
    double delay_slope; /* ns per ns */
    double delay_growth_ns;
    uint64_t latest_ns; /* the sender's worst lateness */
};

struct rate_search {
    double loss_target;
    uint32_t payload_bytes;
    uint64_t budget_ns; /* of all probes together */
    uint64_t spent_ns;
    unsigned n_probes;
    bool blasted;
    double low_bps;  /* highest rate that was fine; 0 none yet */
    double high_bps; /* lowest rate that was too much; 0 none yet */
    double next_bps;
    double sender_bps; /* most the sender ever managed */
    unsigned again;    /* how often the current rate was doubled in length or repeated */
    bool done;
    enum rate_search_limit limit;
    double answer_bps;
    unsigned n_confirms;
};

void rate_search_init(struct rate_search *s, double loss_target, uint32_t payload_bytes,
                      uint64_t budget_ns);
/* The next probe; false when answer_bps is ready to be confirmed. */
bool rate_search_next(struct rate_search *s, struct rate_search_step *ret_step);
enum rate_search_verdict rate_search_seen(struct rate_search *s,
                                          const struct rate_search_step *step,
                                          const struct rate_search_seen *seen);
/* The confirming trial at answer_bps: true, it holds; false, answer_bps is lower now and to be confirmed again. */
bool rate_search_confirm(struct rate_search *s, const struct rate_search_seen *seen);
