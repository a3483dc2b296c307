/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rate_search.h"
#include "base/clock.h"
#include "base/stat.h"

#include <math.h>

enum {
    BLAST_MS = 80,
    BLAST_WARMUP_MS = 20,
    BLASTS = 3,
    PROBE_MIN_MS = 60,
    PROBE_MAX_MS = 400,
    PROBE_DATAGRAMS = 350, /* a probe aims at so many: 1 lost of 350 is 0.3 % */
    REFINE_DATAGRAMS = 300,
    REFINE_MAX_MS = 300,
    MAX_PROBES = 14,
    MAX_AGAIN = 2,
    MAX_CONFIRMS = 4,
    SEARCH_MAX_MS = 2950, /* with all confirming trials */
};

/*
 * A sender late by more than late_ns and below sender_share of the rate says nothing about the path; with its socket full
 * for held_share of the time, the path held it. A queue counts as filling when delay grew by more than 1.5 ms and 1 % of
 * the probe: less is scheduling on a busy machine. A confirming trial is longer and sees smaller slopes.
 */
static const double sender_share = 0.97, late_ns = 4e6, held_share = 0.2, growth_ns = 1.5e6,
                    growth_share = 0.01, confirm_growth_ns = 3e6, confirm_slope = 0.002,
                    confirm_share = 0.985;
/* A sender that has offered that much more before can do it: it was disturbed. */
static const double able = 1.2;
/* Bounds this near each other end the search. */
static const double width = 1.018;
/*
 * Below the estimate by a little, so that the probe does not sit on the edge. A rate that much above it is one that the
 * path must show to be too much; and once it has, the estimate is trusted.
 */
static const double below_estimate = 0.995, near_estimate = 0.985, above_estimate = 1.08,
                    trusted_estimate = 1.15;
/* Of the sender's best: so that pacing has room. */
static const double below_sender = 0.995;
/* An offered rate this far above what arrived has used up what a shaper lets through at once. */
static const double refine_factor = 4;
static const double max_bps = 1e13;

const char *const rate_search_verdict_name[] = {
    [PROBE_UNDER] = "under",     [PROBE_OVER] = "over",     [PROBE_UNSURE] = "unsure",
    [PROBE_SPOILED] = "spoiled", [PROBE_SENDER] = "sender",
};

/* Numbers from afar: no NaN, nothing negative, nothing absurd. */
static double sane_rate(double bps) { return bps > 0 ? fmin(bps, max_bps) : 0; }

static struct rate_search_seen sane_seen(const struct rate_search_seen *seen)
{
    struct rate_search_seen sane = *seen;

    if (sane.lost > sane.sent)
        sane.lost = sane.sent;
    sane.offered_bps = sane_rate(seen->offered_bps);
    sane.received_bps = sane_rate(seen->received_bps);
    if (!isfinite(sane.delay_slope))
        sane.delay_slope = 0;
    if (!isfinite(sane.delay_growth_ns))
        sane.delay_growth_ns = 0;
    return sane;
}

/* Ten datagrams a second: below it there is nothing to search. */
static double slowest(const struct rate_search *s) { return 8.0 * s->payload_bytes * 10; }

void rate_search_init(struct rate_search *s, double loss_target, uint32_t payload_bytes,
                      uint64_t budget_ns)
{
    *s = (struct rate_search){.loss_target = loss_target,
                              .payload_bytes = payload_bytes,
                              .budget_ns = budget_ns,
                              .gallop = above_estimate,
                              .limit = RATE_SEARCH_PATH};
}

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* How long n datagrams take. */
static double datagrams_ns(const struct rate_search *s, double n, double bps)
{
    return n * 8.0 * s->payload_bytes / bps * 1e9;
}

static struct rate_search_step next_step(const struct rate_search *s)
{
    struct rate_search_step step = {.rate_bps = (uint64_t)s->next_bps};
    double ns;

    if (s->refining) {
        ns = clamp(datagrams_ns(s, REFINE_DATAGRAMS, s->estimate_bps), PROBE_MIN_MS * 1e6,
                   REFINE_MAX_MS * 1e6);
        step.duration_ns = (uint64_t)ns;
        step.warmup_ns = step.duration_ns / 10;
        return step;
    }
    ns = clamp(datagrams_ns(s, PROBE_DATAGRAMS, s->next_bps), PROBE_MIN_MS * 1e6,
               PROBE_MAX_MS * 1e6);
    ns = fmin(ns * (1u << s->again), PROBE_MAX_MS * 1e6);
    step.duration_ns = (uint64_t)ns;
    /*
     * Above the estimate the warm-up is as long as the probe: it uses up what a shaper lets through at once, which would
     * hide that the rate is too much.
     */
    step.warmup_ns = s->next_bps > s->estimate_bps &&
                             s->next_bps < s->estimate_bps * trusted_estimate && s->again == 0
                         ? step.duration_ns
                         : step.duration_ns / 4;
    return step;
}

bool rate_search_next(struct rate_search *s, struct rate_search_step *ret_step)
{
    if (s->done)
        return false;
    *ret_step = s->blasted
                    ? next_step(s)
                    : (struct rate_search_step){.duration_ns = (uint64_t)BLAST_MS * CLOCK_MS,
                                                .warmup_ns = (uint64_t)BLAST_WARMUP_MS * CLOCK_MS};
    return true;
}

static bool queue_grew(const struct rate_search_seen *seen, uint64_t duration_ns)
{
    return seen->delay_growth_ns > growth_ns &&
           seen->delay_growth_ns > growth_share * (double)duration_ns &&
           seen->delay_slope > growth_share;
}

static enum rate_search_verdict judge(const struct rate_search *s,
                                      const struct rate_search_step *step,
                                      const struct rate_search_seen *seen)
{
    struct stat_interval loss = stat_share_interval(seen->lost, seen->sent);
    double share = seen->sent ? (double)seen->lost / (double)seen->sent : 0,
           rate = (double)step->rate_bps;
    bool slow = step->rate_bps && seen->offered_bps < sender_share * rate;

    if (seen->sent == 0)
        return PROBE_SPOILED;
    if ((slow || !step->rate_bps) &&
        (double)seen->blocked_ns > held_share * (double)step->duration_ns)
        return PROBE_OVER;
    if (loss.low > s->loss_target)
        return PROBE_OVER;
    if (slow && s->again < MAX_AGAIN &&
        ((double)seen->latest_ns > late_ns || s->sender_bps > able * rate))
        return PROBE_SPOILED;
    if (queue_grew(seen, step->duration_ns)) {
        /* Delay also grows when the machine is busy: at a rate that should be fine once is not enough. */
        bool strange = step->rate_bps && s->estimate_bps > 0 && rate < s->estimate_bps * 1.01;

        return strange && s->again == 0 ? PROBE_UNSURE : PROBE_OVER;
    }
    if (share > s->loss_target)
        return s->again < MAX_AGAIN ? PROBE_UNSURE : PROBE_OVER;
    return slow || !step->rate_bps ? PROBE_SENDER : PROBE_UNDER;
}

/* The highest rate that was fine, or a little below an estimate that is better than it; the confirming trial will tell. */
static void finish(struct rate_search *s)
{
    double estimate = s->estimate_bps * below_estimate;

    s->done = true;
    if (s->limit == RATE_SEARCH_SENDER)
        s->answer_bps = fmax(s->sender_bps * below_sender, s->low_bps);
    else if (s->low_bps > 0 && (s->low_bps >= s->estimate_bps * near_estimate ||
                                (s->high_bps > 0 && estimate >= s->high_bps)))
        s->answer_bps = estimate < s->high_bps ? fmax(s->low_bps, estimate) : s->low_bps;
    else if (estimate > 0 && (s->high_bps == 0 || estimate < s->high_bps))
        s->answer_bps = estimate;
    else
        s->answer_bps = s->low_bps > 0 ? s->low_bps : s->next_bps;
    s->answer_bps = clamp(s->answer_bps, slowest(s), max_bps);
}

/* Are the bounds near enough? */
static bool near_enough(const struct rate_search *s)
{
    if (s->low_bps <= 0 || s->high_bps <= 0)
        return false;
    return s->high_bps / s->low_bps <= width || (s->low_bps >= s->estimate_bps * near_estimate &&
                                                 s->high_bps <= s->estimate_bps * trusted_estimate);
}

/* One step up, but not beyond the middle of the bounds. */
static void gallop(struct rate_search *s)
{
    s->next_bps = s->low_bps * s->gallop;
    s->gallop = fmin(s->gallop * s->gallop, 4);
    if (s->high_bps > 0)
        s->next_bps = fmin(s->next_bps, sqrt(s->low_bps * s->high_bps));
}

/* End when the bounds are near enough or there is no time for the next probe. */
static void close_in(struct rate_search *s)
{
    struct rate_search_step step;

    s->next_bps = clamp(s->next_bps, slowest(s), max_bps);
    step = next_step(s);
    if (near_enough(s) || s->n_probes >= MAX_PROBES ||
        s->spent_ns + step.duration_ns + step.warmup_ns > s->budget_ns)
        finish(s);
}

static void seen_over(struct rate_search *s, const struct rate_search_step *step, double rate_bps,
                      const struct rate_search_seen *seen)
{
    double n = seen->received_bps / 8 / s->payload_bytes * (double)step->duration_ns / 1e9;
    bool refined = s->refining;

    if (s->high_bps == 0 || rate_bps < s->high_bps || refined || !step->rate_bps) {
        s->high_bps = rate_bps;
        /* Of two blasts the better: a hole in what was sent makes it smaller, nothing larger. */
        if (!step->rate_bps)
            s->blast_bps = fmax(s->blast_bps, seen->received_bps);
        s->estimate_bps = step->rate_bps ? seen->received_bps : s->blast_bps;
        /*
         * A little more than of the blast: either the path does better with less to do, or a shaper let something through
         * at once. Which of the two is open, so the middle.
         */
        if (s->estimate_bps > s->blast_bps && s->estimate_bps < s->blast_bps * 1.025 && !refined)
            s->estimate_bps = (s->estimate_bps + s->blast_bps) / 2;
        s->corrected = false;
    }
    /* What was fine once is not fine at or above what is too much now. */
    if (s->low_bps >= s->high_bps)
        s->low_bps = 0;
    s->gallop = above_estimate;
    s->refining =
        !step->rate_bps && n > 0 && n < REFINE_DATAGRAMS / 2.0 && s->high_bps > 2 * s->estimate_bps;
    s->next_bps = s->estimate_bps * below_estimate;
    /* A slow path's second look is the refining. */
    if (!step->rate_bps && s->n_blasts < 2 && !s->refining) {
        s->blasted = false;
        return;
    }
    if (s->refining)
        s->next_bps = fmin(s->estimate_bps * refine_factor, s->high_bps);
    else if (s->estimate_bps <= 0)
        s->next_bps = s->high_bps / 10;
    /* Never less than 3 % below what was too much, or a path that loses by chance would hold the search in place. */
    else if (s->next_bps > s->high_bps * 0.992)
        s->next_bps = s->high_bps * 0.97;
    if (s->low_bps > 0 && s->next_bps <= s->low_bps * 1.004)
        gallop(s);
    close_in(s);
    /* A path so slow has no time for more: the confirming trial tells more than a probe. */
    if (refined)
        finish(s);
}

static void seen_under(struct rate_search *s, double rate_bps, const struct rate_search_seen *seen)
{
    /* A cautious guess: what chance added must not make the estimate too large. */
    double least = stat_share_interval(seen->lost, seen->sent).low,
           share = (least + (double)seen->lost / (double)seen->sent) / 2;

    s->refining = false;
    if (rate_bps > s->low_bps)
        s->low_bps = rate_bps;
    if (s->high_bps > 0 && s->low_bps >= s->high_bps)
        s->high_bps = 0;
    /* Loss by chance that the target allows has made the estimate smaller too. */
    if (share > 0 && rate_bps <= s->estimate_bps && !s->corrected) {
        s->corrected = true;
        s->estimate_bps /= 1 - share;
    }
    s->next_bps = s->estimate_bps * below_estimate;
    if (s->next_bps <= s->low_bps * 1.004 || (s->high_bps > 0 && s->next_bps >= s->high_bps))
        gallop(s);
    close_in(s);
}

/* The path took all the sender could offer: of the sender's blasts the best counts. */
static void seen_sender(struct rate_search *s, const struct rate_search_step *step, double rate_bps,
                        double best_before)
{
    if (!step->rate_bps && s->high_bps > 0) {
        /* The blast before was too much for the path, this one not even that. */
        s->next_bps = s->estimate_bps * below_estimate;
        close_in(s);
        return;
    }
    if (step->rate_bps && s->high_bps > 0) {
        /* It could more before: it was disturbed, and the path is known to be the limit. */
        if (rate_bps > s->low_bps)
            s->low_bps = rate_bps;
        finish(s);
        return;
    }
    if (!step->rate_bps &&
        (s->n_blasts < 2 ||
         (s->n_blasts < BLASTS && fabs(rate_bps - best_before) > 0.1 * s->sender_bps))) {
        s->blasted = false;
        return;
    }
    s->limit = RATE_SEARCH_SENDER;
    finish(s);
}

/* Again, longer when that helps; after the last blast what arrived of it must do. */
static void seen_nothing_sure(struct rate_search *s, const struct rate_search_step *step,
                              const struct rate_search_seen *seen)
{
    if (!step->rate_bps && s->n_blasts < BLASTS) {
        s->blasted = false;
        return;
    }
    s->again++;
    if (!step->rate_bps) {
        s->again = 0;
        s->next_bps = seen->received_bps * below_estimate;
    }
    close_in(s);
}

enum rate_search_verdict rate_search_seen(struct rate_search *s,
                                          const struct rate_search_step *step,
                                          const struct rate_search_seen *far_seen)
{
    struct rate_search_seen seen = sane_seen(far_seen);
    enum rate_search_verdict v = judge(s, step, &seen);
    double rate = step->rate_bps ? (double)step->rate_bps : seen.offered_bps,
           best_before = s->sender_bps;

    s->spent_ns += step->duration_ns + step->warmup_ns;
    s->n_probes++;
    s->n_blasts += !step->rate_bps;
    s->sender_bps = fmax(s->sender_bps, seen.offered_bps);
    s->blasted = true;
    switch (v) {
    case PROBE_SPOILED:
    case PROBE_UNSURE:
        seen_nothing_sure(s, step, &seen);
        return v;
    case PROBE_SENDER:
        s->again = 0;
        seen_sender(s, step, seen.offered_bps, best_before);
        return v;
    case PROBE_OVER:
        s->again = 0;
        seen_over(s, step, rate, &seen);
        return v;
    case PROBE_UNDER:
        s->again = 0;
        seen_under(s, rate, &seen);
        return v;
    }
    return v;
}

bool rate_search_may_confirm(const struct rate_search *s, uint64_t elapsed_ns, uint64_t cost_ns)
{
    return s->n_confirms == 0 || (s->n_confirms < MAX_CONFIRMS &&
                                  elapsed_ns + cost_ns <= SEARCH_MAX_MS * (uint64_t)CLOCK_MS);
}

enum rate_search_confirmed rate_search_confirm(struct rate_search *s, uint64_t duration_ns,
                                               const struct rate_search_seen *far_seen)
{
    struct rate_search_seen seen = sane_seen(far_seen);
    double share = seen.sent ? (double)seen.lost / (double)seen.sent : 1, excess = 0;

    s->n_confirms++;
    /* Loss first: it is the question. A queue that still fills hides loss that a longer trial would see. */
    if (share > s->loss_target)
        excess = share - s->loss_target + 0.005;
    else if (seen.delay_growth_ns > confirm_growth_ns &&
             seen.delay_growth_ns > confirm_slope * (double)duration_ns &&
             seen.delay_slope > confirm_slope)
        excess = seen.delay_slope + 0.002;
    else if (seen.offered_bps < confirm_share * s->answer_bps)
        return CONFIRM_DISTURBED;
    else
        return CONFIRM_HOLDS;
    s->answer_bps = fmax(s->answer_bps * (1 - fmin(0.5, excess)), slowest(s));
    return CONFIRM_LOWER;
}
