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
    FURTHER_PROBES = 3, /* of a further target */
    MAX_AGAIN = 2,
    MAX_CONFIRMS = 4,
    CONFIRM_MS = 500,     /* a short one */
    GRACE_MS = 500,       /* for another when a rate did not hold */
    SEARCH_MAX_MS = 2450, /* with all confirming trials but a target's first */
};

/*
 * A sender late by more than late_ns and below sender_share of the rate says nothing about the path; with its socket full
 * for held_share of the time, the path held it. A queue counts as filling when delay grew by more than 1.5 ms and 1 % of
 * the probe: less is scheduling on a busy machine. A confirming trial is longer and sees smaller slopes.
 */
static const double sender_share = 0.97, late_ns = 4e6, held_share = 0.2, growth_ns = 1.5e6,
                    growth_share = 0.01, confirm_growth_ns = 3e6, confirm_slope = 0.002,
                    confirm_share = 0.9925;
/*
 * So much of a short or a long trial without a CPU is a disturbance. A sender at its limit that waits for spare_share of
 * the time is not: making and handing over datagrams leaves less than half of that outside the kernel.
 */
static const double away_share = 0.1, confirm_away_share = 0.03, spare_share = 0.3;
/* What a filling queue will lose is a line through few points: that much beyond the target is too much. */
static const double future_share = 1.15;
/* A sender that has offered that much more before can do it: it was disturbed. */
static const double able = 1.2;
/* Bounds this near each other end the search. */
static const double width = 1.018;
/*
 * Below the estimate by a little, so that the probe does not sit on the edge: the less datagrams it was made of, the more.
 * A rate that much above it is one that the path must show to be too much; and once it has, the estimate is trusted.
 */
static const double least_below = 0.002, most_below = 0.005, near_estimate = 0.985,
                    above_estimate = 1.08, trusted_estimate = 1.15;
/* Of the sender's best: so that pacing has room. */
static const double below_sender = 0.995;
static const double most_chance = 0.01;
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
    sane.busy_share = seen->busy_share > 0 ? fmin(seen->busy_share, 1) : 0;
    sane.spare_share = seen->spare_share > 0 ? fmin(seen->spare_share, 1) : 0;
    return sane;
}

/* Ten datagrams a second: below it there is nothing to search. */
static double slowest(const struct rate_search *s) { return 8.0 * s->payload_bytes * 10; }

void rate_search_init(struct rate_search *s, double loss_target, double payload_bytes,
                      uint64_t budget_ns)
{
    *s = (struct rate_search){.loss_target = loss_target,
                              .payload_bytes = payload_bytes,
                              .budget_ns = budget_ns,
                              .most_ns = SEARCH_MAX_MS * (uint64_t)CLOCK_MS,
                              .grace_ns = GRACE_MS * (uint64_t)CLOCK_MS,
                              .most_probes = MAX_PROBES,
                              .gallop = above_estimate,
                              .limit = RATE_SEARCH_PATH};
}

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* The rate that is thought to lose just the target: what arrives of too much is the same however much it was. */
static double expected(const struct rate_search *s)
{
    return s->estimate_bps / (1 - fmin(s->loss_target, 0.5));
}

/* A rate to try in the light of it. */
static double below_expected(const struct rate_search *s)
{
    double pps = fmax(s->estimate_bps / 8 / s->payload_bytes, 1);
    /* By how much chance may raise the loss of a confirming trial. */
    double chance = sqrt(s->loss_target * 1e3 / pps / CONFIRM_MS);

    return expected(s) * (1 - clamp(1e3 / pps / BLAST_MS, least_below, most_below) -
                          fmin(1.5 * chance, most_chance));
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
                    : (struct rate_search_step){.merged = s->merged,
                                                .duration_ns = (uint64_t)BLAST_MS * CLOCK_MS,
                                                .warmup_ns = (uint64_t)BLAST_WARMUP_MS * CLOCK_MS};
    return true;
}

static double lost_share(const struct rate_search_seen *seen)
{
    return seen->sent ? (double)seen->lost / (double)seen->sent : 1;
}

/* The share of a trial in which the sender was neither working nor waiting for room. */
static double away(const struct rate_search_seen *seen, uint64_t duration_ns)
{
    double away = 1 - seen->busy_share - (double)seen->blocked_ns / (double)duration_ns;

    return seen->busy_share > 0 && away > 0 ? away : 0;
}

/* What will be lost when the queue that is filling is full: it takes in 1 + slope of what it lets out. */
static double future_loss(const struct rate_search_seen *seen)
{
    double slope = fmax(seen->delay_slope, 0);

    return fmin(1, lost_share(seen) + slope / (1 + slope));
}

/* Did a queue fill that will lose too much? */
static bool queue_grew(const struct rate_search_seen *seen, uint64_t duration_ns, double target)
{
    return seen->delay_growth_ns > growth_ns &&
           seen->delay_growth_ns > growth_share * (double)duration_ns &&
           seen->delay_slope > growth_share && future_loss(seen) > future_share * target;
}

static bool was_held(const struct rate_search_seen *seen, uint64_t duration_ns, uint64_t rate_bps)
{
    bool slow = !rate_bps || seen->offered_bps < sender_share * (double)rate_bps;

    return slow && (double)seen->blocked_ns > held_share * (double)duration_ns;
}

static enum rate_search_verdict judge(const struct rate_search *s,
                                      const struct rate_search_step *step,
                                      const struct rate_search_seen *seen)
{
    struct stat_interval loss = stat_share_interval(seen->lost, seen->sent);
    double share = lost_share(seen), rate = (double)step->rate_bps;
    bool slow =
        step->rate_bps &&
        seen->offered_bps<sender_share * rate, gone = away(seen, step->duration_ns)> away_share;

    if (seen->sent == 0)
        return PROBE_SPOILED;
    if (was_held(seen, step->duration_ns, step->rate_bps) || loss.low > s->loss_target)
        return PROBE_OVER;
    if (!step->rate_bps && gone && s->n_blasts + 1 < BLASTS)
        return PROBE_SPOILED;
    if (slow && s->again < MAX_AGAIN &&
        ((double)seen->latest_ns > late_ns || s->sender_bps > able * rate || gone))
        return PROBE_SPOILED;
    if (queue_grew(seen, step->duration_ns, s->loss_target)) {
        /* Delay also grows when the machine is busy: at a rate that should be fine once is not enough. */
        bool strange = step->rate_bps && s->estimate_bps > 0 && rate < expected(s) * 1.01;

        return strange && s->again == 0 ? PROBE_UNSURE : PROBE_OVER;
    }
    if (share > s->loss_target)
        return s->again < MAX_AGAIN ? PROBE_UNSURE : PROBE_OVER;
    return slow || !step->rate_bps ? PROBE_SENDER : PROBE_UNDER;
}

/* The highest rate that was fine, or a little below an estimate that is better than it; the confirming trial will tell. */
static void finish(struct rate_search *s)
{
    double estimate = below_expected(s);

    s->done = true;
    if (s->limit == RATE_SEARCH_SENDER)
        s->answer_bps = fmax(s->sender_bps * below_sender, s->low_bps);
    else if (s->low_bps > 0 && (s->low_bps >= expected(s) * near_estimate ||
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
    return s->high_bps / s->low_bps <= width || (s->low_bps >= expected(s) * near_estimate &&
                                                 s->high_bps <= expected(s) * trusted_estimate);
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
    if (near_enough(s) || s->n_probes >= s->most_probes ||
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
    }
    /* What was fine once is not fine at or above what is too much now. */
    if (s->low_bps >= s->high_bps)
        s->low_bps = 0;
    s->gallop = above_estimate;
    s->refining =
        !step->rate_bps && n > 0 && n < REFINE_DATAGRAMS / 2.0 && s->high_bps > 2 * s->estimate_bps;
    s->next_bps = below_expected(s);
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

static void seen_under(struct rate_search *s, double rate_bps)
{
    s->refining = false;
    if (rate_bps > s->low_bps)
        s->low_bps = rate_bps;
    if (s->high_bps > 0 && s->low_bps >= s->high_bps)
        s->high_bps = 0;
    s->next_bps = below_expected(s);
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
        s->next_bps = below_expected(s);
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
    if (!step->rate_bps && s->merges && !s->merged) {
        s->merged = true;
        s->blasted = false;
        s->n_blasts = 0;
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
        s->next_bps = seen->received_bps * (1 - most_below);
    }
    close_in(s);
}

static void note(struct rate_search *s, uint64_t rate_bps, uint64_t duration_ns,
                 const struct rate_search_seen *seen, bool spoiled)
{
    if (s->n_notes == RATE_SEARCH_NOTES)
        return;
    s->notes[s->n_notes++] = (struct rate_search_note){
        .seen = *seen,
        .rate_bps = rate_bps ? (double)rate_bps : seen->offered_bps,
        .duration_ns = duration_ns,
        .blast = rate_bps == 0,
        .held = was_held(seen, duration_ns, rate_bps),
        .spoiled = spoiled,
    };
}

static void seen_offered(struct rate_search *s, const struct rate_search_step *step,
                         const struct rate_search_seen *seen)
{
    if (!step->rate_bps) {
        s->disturbed =
            (s->n_blasts == 0 || s->disturbed) && away(seen, step->duration_ns) > away_share;
        s->n_blasts++;
    }
    s->sender_bps = fmax(s->sender_bps, seen->offered_bps);
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
    seen_offered(s, step, &seen);
    note(s, step->rate_bps, step->duration_ns, &seen, v == PROBE_SPOILED);
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
        seen_under(s, rate);
        return v;
    }
    return v;
}

static bool note_over(const struct rate_search_note *n, double target)
{
    return n->held || stat_share_interval(n->seen.lost, n->seen.sent).low > target ||
           queue_grew(&n->seen, n->duration_ns, target);
}

/* Bounds and estimate from all that was seen. */
static void bounds(struct rate_search *s)
{
    s->low_bps = s->high_bps = s->estimate_bps = s->blast_bps = 0;
    for (unsigned i = 0; i < s->n_notes; i++) {
        const struct rate_search_note *n = &s->notes[i];

        if (n->spoiled || !note_over(n, s->loss_target))
            continue;
        if (n->blast)
            s->blast_bps = fmax(s->blast_bps, n->seen.received_bps);
        if (s->high_bps > 0 && n->rate_bps >= s->high_bps)
            continue;
        s->high_bps = n->rate_bps;
        s->estimate_bps = n->blast ? 0 : n->seen.received_bps;
    }
    if (s->estimate_bps == 0)
        s->estimate_bps = s->blast_bps;
    for (unsigned i = 0; i < s->n_notes; i++) {
        const struct rate_search_note *n = &s->notes[i];
        double rate = fmin(n->rate_bps, n->seen.offered_bps);

        if (!n->spoiled && !note_over(n, s->loss_target) &&
            lost_share(&n->seen) <= s->loss_target && rate > s->low_bps &&
            (s->high_bps == 0 || rate < s->high_bps))
            s->low_bps = rate;
    }
}

void rate_search_target(struct rate_search *s, double loss_target, uint64_t budget_ns,
                        uint64_t elapsed_ns, uint64_t more_ns)
{
    s->loss_target = loss_target;
    s->budget_ns = s->spent_ns + (elapsed_ns < s->most_ns ? budget_ns : 0);
    s->most_ns = (elapsed_ns > s->most_ns ? elapsed_ns : s->most_ns) + more_ns;
    s->grace_ns = more_ns + budget_ns;
    s->lowered = false;
    s->most_probes = s->n_probes + FURTHER_PROBES;
    s->n_confirms = 0;
    s->again = 0;
    s->refining = false;
    s->gallop = above_estimate;
    s->done = false;
    bounds(s);
    s->limit = s->high_bps > 0 ? RATE_SEARCH_PATH : RATE_SEARCH_SENDER;
    if (s->limit == RATE_SEARCH_SENDER) {
        finish(s);
        return;
    }
    s->next_bps = below_expected(s);
    if (s->next_bps <= s->low_bps * 1.004 || s->next_bps >= s->high_bps)
        s->next_bps = s->low_bps > 0 ? sqrt(s->low_bps * s->high_bps) : s->high_bps * 0.97;
    close_in(s);
}

bool rate_search_may_confirm(const struct rate_search *s, uint64_t elapsed_ns, uint64_t cost_ns)
{
    return s->n_confirms == 0 ||
           (s->n_confirms < MAX_CONFIRMS &&
            elapsed_ns + cost_ns <= s->most_ns + (s->lowered ? s->grace_ns : 0));
}

/* Nothing speaks against the rate: was the trial as good as it can be? */
static enum rate_search_confirmed confirm_held(struct rate_search *s, uint64_t duration_ns,
                                               const struct rate_search_seen *seen)
{
    double gone = away(seen, duration_ns);

    if (s->limit == RATE_SEARCH_SENDER && seen->busy_share > 0) {
        if (gone > confirm_away_share)
            return CONFIRM_DISTURBED;
        if (seen->spare_share <= spare_share || s->disturbed)
            return CONFIRM_HOLDS;
        s->limit = RATE_SEARCH_PATH;
    }
    return seen->offered_bps < confirm_share * s->answer_bps ? CONFIRM_DISTURBED : CONFIRM_HOLDS;
}

enum rate_search_confirmed rate_search_confirm(struct rate_search *s, uint64_t duration_ns,
                                               const struct rate_search_seen *far_seen)
{
    struct rate_search_seen seen = sane_seen(far_seen);
    double share = lost_share(&seen), future = future_loss(&seen), excess = 0;

    s->n_confirms++;
    s->lowered = false;
    note(s, (uint64_t)s->answer_bps, duration_ns, &seen, false);
    /* Loss first: it is the question. A queue that still fills hides loss that a longer trial would see. */
    if (share > s->loss_target)
        excess = share - s->loss_target + 0.005;
    else if (seen.delay_growth_ns > confirm_growth_ns &&
             seen.delay_growth_ns > confirm_slope * (double)duration_ns &&
             seen.delay_slope > confirm_slope && future > s->loss_target + confirm_slope)
        excess = future - s->loss_target + 0.002;
    else
        return confirm_held(s, duration_ns, &seen);
    s->lowered = true;
    s->answer_bps = fmax(s->answer_bps * (1 - fmin(0.5, excess)), slowest(s));
    return CONFIRM_LOWER;
}
