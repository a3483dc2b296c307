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
 *     while (rate_search_may_confirm(&s, elapsed_ns, cost_ns))
 *         … run a long trial at s.answer_bps, tell rate_search_confirm() …
 *     rate_search_target(&s, larger_loss_target, budget_ns, …);
 *         … and the same two loops: all that was seen counts for each target …
 *
 * First a blast as fast as the sender can. When it was too much, what arrived of it is the first estimate: an overloaded
 * bottleneck forwards just what it can (dispersion). Then short probes show that the path carries the estimate, and
 * that it does not carry much more. When the path took all of the blast, the sender seems to be the limit. The blast is
 * repeated in both cases, because a sender that was kept from its CPU for a moment looks like a lower limit; the better
 * one counts, and two senders' limits that differ much ask for a third. A sender that had no CPU for part of the blast
 * says nothing.
 *
 * The answer for a target of 0 is the highest rate that no queue grows at. With a target above 0 it is near the rate at
 * which that share is lost, and its loss lies at or below the target: a queue that fills counts as what will be lost when
 * it is full.
 *
 * units   bit/s of payload
 * source  pathload (growing one-way delay), MLRsearch (short trials first); thresholds are our own measurements
 */
enum rate_search_limit { RATE_SEARCH_PATH, RATE_SEARCH_SENDER };

enum rate_search_verdict { PROBE_UNDER, PROBE_OVER, PROBE_UNSURE, PROBE_SPOILED, PROBE_SENDER };
extern const char *const rate_search_verdict_name[];

struct rate_search_step {
    uint64_t rate_bps; /* 0: as fast as it goes */
    bool merged;       /* and as many datagrams a call as may be */
    uint64_t warmup_ns;
    uint64_t duration_ns;
};

/* What a trial showed. */
struct rate_search_seen {
    uint64_t sent, lost;
    double offered_bps, received_bps;
    double delay_slope; /* ns per ns */
    double delay_growth_ns;
    uint64_t latest_ns;  /* the sender's worst lateness */
    uint64_t blocked_ns; /* the sender waited for room in its socket */
    double busy_share;   /* of the window the sender's thread had a CPU; 0 not known */
    double spare_share; /* of the window it had one and was not in its kernel: it waited spinning */
};

/* One trial, for the targets to come. */
struct rate_search_note {
    struct rate_search_seen seen;
    double rate_bps;
    uint64_t duration_ns;
    bool blast, held, spoiled;
};

enum { RATE_SEARCH_NOTES = 48 };

struct rate_search {
    double loss_target;
    double payload_bytes; /* of a mix the mean */
    uint64_t budget_ns;   /* of all probes together */
    uint64_t spent_ns;
    uint64_t most_ns;  /* the search, with confirming trials that are not a target's first */
    uint64_t grace_ns; /* beyond it, when a rate did not hold */
    unsigned n_probes, most_probes;
    unsigned n_blasts; /* of this kind */
    bool
        merges; /* set by the caller: above some rate the sender puts several datagrams into a call */
    bool merged;     /* the blasts do so: one by one the sender was the limit */
    bool blasted;    /* the blasts have said what they can */
    bool refining;   /* the coming probe makes the estimate of a slow path more exact */
    double low_bps;  /* highest rate that was fine; 0 none yet */
    double high_bps; /* lowest rate that was too much; 0 none yet */
    double
        estimate_bps; /* what arrived when it was too much, at the lowest such rate; 0 none yet */
    double blast_bps; /* what arrived of the best blast that was too much; 0 none yet */
    double next_bps;
    double gallop;     /* factor of the next step up */
    double sender_bps; /* most the sender ever managed */
    unsigned again;    /* how often the current rate was doubled in length or repeated */
    bool done;
    enum rate_search_limit limit;
    bool disturbed; /* every blast lost its CPU: a sender's limit is not one to rely on */
    double answer_bps;
    unsigned n_confirms; /* of this target */
    bool lowered;        /* the last of them did not hold */
    struct rate_search_note notes[RATE_SEARCH_NOTES];
    unsigned n_notes;
};

void rate_search_init(struct rate_search *s, double loss_target, double payload_bytes,
                      uint64_t budget_ns);
/*
 * On to a larger target, elapsed_ns after the search began: the bounds are those that what was seen gives for it. There
 * may be a few more probes, of budget_ns together, unless the time is used up already. The search may take more_ns
 * longer, and both times together once more when a rate does not hold.
 */
void rate_search_target(struct rate_search *s, double loss_target, uint64_t budget_ns,
                        uint64_t elapsed_ns, uint64_t more_ns);
/* The next probe; false when answer_bps is ready to be confirmed. */
bool rate_search_next(struct rate_search *s, struct rate_search_step *ret_step);
enum rate_search_verdict rate_search_seen(struct rate_search *s,
                                          const struct rate_search_step *step,
                                          const struct rate_search_seen *seen);

/*
 * What the confirming trial said: the rate holds; answer_bps is lower now; or the sender was kept from its schedule, so
 * that the trial says less than it could: nothing speaks against the rate, and a repetition may show it.
 *
 * A sender that could offer no more, and yet at that rate had much of its CPU's time left, was held by what lies behind
 * its socket (a shaper whose timer interrupts it for each packet of a queue): then limit becomes the path.
 */
enum rate_search_confirmed { CONFIRM_HOLDS, CONFIRM_LOWER, CONFIRM_DISTURBED };

/* May there be a (further) confirming trial that takes cost_ns, elapsed_ns after the search began? A target's first may. */
bool rate_search_may_confirm(const struct rate_search *s, uint64_t elapsed_ns, uint64_t cost_ns);
enum rate_search_confirmed rate_search_confirm(struct rate_search *s, uint64_t duration_ns,
                                               const struct rate_search_seen *seen);
