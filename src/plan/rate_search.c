/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/rate_search.h"
#include "base/clock.h"
#include "base/stat.h"

#include <math.h>

enum {
    BLAST_MS = 80,
    PROBE_MIN_MS = 60,
    PROBE_MAX_MS = 400,
    PROBE_DATAGRAMS = 350, /* a probe aims at so many: 1 lost of 350 is 0.3 % */
    MAX_PROBES = 14,
    MAX_AGAIN = 2,
    MAX_CONFIRMS = 4,
};

/*
 * A sender late by more than this and below 97 % of the rate says nothing about the path. A queue counts as filling
 * when delay grew by more than 1.5 ms and 1 % of the probe: less is scheduling on a busy machine.
 */
static const double sender_share = 0.97, late_ns = 4e6, growth_ns = 1.5e6, growth_share = 0.01;
/* Close enough: the answer is the received rate, so this is the error by which the offered rate may be low. */
static const double width = 1.012;

const char *const rate_search_verdict_name[] = {
    [PROBE_UNDER] = "under",     [PROBE_OVER] = "over",     [PROBE_UNSURE] = "unsure",
    [PROBE_SPOILED] = "spoiled", [PROBE_SENDER] = "sender",
};

void rate_search_init(struct rate_search *s, double loss_target, uint32_t payload_bytes,
                      uint64_t budget_ns)
{
    *s = (struct rate_search){.loss_target = loss_target,
                              .payload_bytes = payload_bytes,
                              .budget_ns = budget_ns,
                              .limit = RATE_SEARCH_PATH};
}

static uint64_t probe_length(const struct rate_search *s, double bps)
{
    double ns = PROBE_DATAGRAMS * 8.0 * s->payload_bytes / bps * 1e9;

    ns *= 1u << s->again;
    if (ns < PROBE_MIN_MS * 1e6 * (1u << s->again))
        ns = PROBE_MIN_MS * 1e6 * (1u << s->again);
    return ns > PROBE_MAX_MS * 1e6 ? (uint64_t)PROBE_MAX_MS * CLOCK_MS : (uint64_t)ns;
}

bool rate_search_next(struct rate_search *s, struct rate_search_step *ret_step)
{
    if (s->done)
        return false;
    if (!s->blasted) {
        *ret_step = (struct rate_search_step){.duration_ns = (uint64_t)BLAST_MS * CLOCK_MS,
                                              .warmup_ns = (uint64_t)BLAST_MS * CLOCK_MS / 4};
        return true;
    }
    ret_step->rate_bps = (uint64_t)s->next_bps;
    ret_step->duration_ns = probe_length(s, s->next_bps);
    ret_step->warmup_ns = ret_step->duration_ns / 4;
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
    double share = seen->sent ? (double)seen->lost / (double)seen->sent : 0;
    bool slow = step->rate_bps && seen->offered_bps < sender_share * (double)step->rate_bps;

    if (seen->sent == 0 || (slow && (double)seen->latest_ns > late_ns && s->again < MAX_AGAIN))
        return PROBE_SPOILED;
    if (loss.low > s->loss_target || (queue_grew(seen, step->duration_ns) && share > 0))
        return PROBE_OVER;
    if (queue_grew(seen, step->duration_ns))
        return PROBE_OVER;
    if (share > s->loss_target)
        return s->again < MAX_AGAIN ? PROBE_UNSURE : PROBE_OVER;
    return slow || !step->rate_bps ? PROBE_SENDER : PROBE_UNDER;
}

static void finish(struct rate_search *s, double answer_bps)
{
    s->done = true;
    s->answer_bps = answer_bps;
}

/* Where to look next, between what was fine and what was too much. */
static void close_in(struct rate_search *s)
{
    bool spent = s->spent_ns >= s->budget_ns || s->n_probes >= MAX_PROBES;

    s->again = 0;
    if (s->low_bps > 0 && s->high_bps > 0 && (s->high_bps / s->low_bps <= width || spent)) {
        finish(s, s->low_bps);
    } else if (spent) {
        finish(s, s->low_bps > 0 ? s->low_bps : s->next_bps);
    } else if (s->low_bps > 0 && s->high_bps > 0) {
        /* An estimate from dispersion that lies inside beats the middle. */
        if (s->next_bps <= s->low_bps * 1.002 || s->next_bps >= s->high_bps * 0.998)
            s->next_bps = (s->low_bps + s->high_bps) / 2;
    } else if (s->low_bps > 0) {
        s->next_bps = s->low_bps * 1.15;
    }
}

static void seen_over(struct rate_search *s, double rate_bps, const struct rate_search_seen *seen)
{
    if (s->high_bps == 0 || rate_bps < s->high_bps)
        s->high_bps = rate_bps;
    /* What was fine once is not fine at or above what is too much now. */
    if (s->low_bps >= s->high_bps)
        s->low_bps = 0;
    /*
     * An overloaded bottleneck forwards just what it can: that rate is the estimate. Half a percent below it, so that
     * the next probe does not sit on the edge; and never less than 3 % below the rate that was too much, or a path
     * that loses by chance would hold the search in place.
     */
    s->next_bps = seen->received_bps * 0.995;
    if (s->next_bps > s->high_bps * 0.992)
        s->next_bps = s->high_bps * 0.97;
    if (s->next_bps < s->high_bps / 10)
        s->next_bps = s->high_bps / 10;
}

enum rate_search_verdict rate_search_seen(struct rate_search *s,
                                          const struct rate_search_step *step,
                                          const struct rate_search_seen *seen)
{
    enum rate_search_verdict v = judge(s, step, seen);
    double rate = step->rate_bps ? (double)step->rate_bps : seen->offered_bps;

    s->spent_ns += step->duration_ns + step->warmup_ns;
    s->n_probes++;
    if (seen->offered_bps > s->sender_bps)
        s->sender_bps = seen->offered_bps;
    if (!s->blasted && v == PROBE_SPOILED) {
        if (s->n_probes >= MAX_AGAIN + 1)
            finish(s, 8.0 * s->payload_bytes * 10);
        return v;
    }
    s->blasted = true;
    switch (v) {
    case PROBE_SPOILED:
    case PROBE_UNSURE:
        s->again++;
        if (s->n_probes >= MAX_PROBES)
            close_in(s);
        return v;
    case PROBE_SENDER:
        /* The path took all the sender could offer. */
        s->limit = RATE_SEARCH_SENDER;
        finish(s, fmax(seen->offered_bps * (step->rate_bps ? 1 : 0.97), s->low_bps));
        return v;
    case PROBE_OVER:
        seen_over(s, rate, seen);
        break;
    case PROBE_UNDER:
        if (rate > s->low_bps)
            s->low_bps = rate;
        break;
    }
    close_in(s);
    return v;
}

bool rate_search_confirm(struct rate_search *s, const struct rate_search_seen *seen)
{
    double share = seen->sent ? (double)seen->lost / (double)seen->sent : 1;
    double excess;

    s->n_confirms++;
    if (seen->sent && share <= s->loss_target)
        return true;
    if (s->n_confirms >= MAX_CONFIRMS)
        return false;
    /* Down by what was lost above the target, and half a percent; received says it directly when it is lower. */
    excess = share > s->loss_target ? share - s->loss_target : 0;
    s->answer_bps *= 1 - fmin(0.5, excess + 0.005);
    if (s->answer_bps < 8.0 * s->payload_bytes)
        s->answer_bps = 8.0 * s->payload_bytes;
    return false;
}
