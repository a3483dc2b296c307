/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/rate_search.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A path as arithmetic: a sender with a highest rate and stalls, a token bucket with a queue, loss by chance. A trial is
 * sent through it datagram by datagram (or, above some rate, in lumps), and gives what the agents would report.
 */
struct bottleneck {
    double rate_bps;    /* of payload; 0 none */
    double burst_bytes; /* let through at once */
    double queue_ns;    /* at rate_bps */
    double sender_bps;  /* the most the sender can */
    double random_loss; /* share */
    double
        lossless_bps; /* CPU-bound path: above it each bit more that is offered costs collapse bits; 0 none */
    double collapse;
    double stall_ns; /* the sender stands still so long, in the middle of the trials in stalls */
    uint32_t stalls; /* bit k: trial k */
    uint32_t spoils; /* bit k: in trial k the sender does half of what it should, late */
    double held_ns;  /* of the duration: the sender's socket was full */
    uint32_t payload_bytes;
    /* state */
    unsigned n_trials;
    uint64_t seed;
    uint64_t elapsed_ns;
};

static inline double bottleneck_chance(struct bottleneck *b)
{
    b->seed ^= b->seed << 13;
    b->seed ^= b->seed >> 7;
    b->seed ^= b->seed << 17;
    return (double)(b->seed >> 11) / 9007199254740992.0;
}

/* The lumps of a trial, at most so many. */
enum { BOTTLENECK_LUMPS = 200000, BOTTLENECK_OVERHEAD_NS = 12000000 };

struct bottleneck_sums {
    double n, early_n, late_n, early, late, sx, sy, sxx, sxy;
};

static inline void bottleneck_delay(struct bottleneck_sums *q, double at, double duration,
                                    double delay)
{
    q->n += 1;
    q->sx += at;
    q->sy += delay;
    q->sxx += at * at;
    q->sxy += at * delay;
    if (at < duration / 8) {
        q->early_n += 1;
        q->early += delay;
    } else if (at >= duration * 7 / 8) {
        q->late_n += 1;
        q->late += delay;
    }
}

static inline struct rate_search_seen bottleneck_trial(struct bottleneck *b,
                                                       const struct rate_search_step *step)
{
    const double duration = (double)step->duration_ns, warmup = (double)step->warmup_ns;
    const bool spoiled = b->spoils >> b->n_trials & 1;
    const double stall = b->stalls >> b->n_trials & 1 ? b->stall_ns : 0;
    double asked = step->rate_bps ? (double)step->rate_bps : b->sender_bps,
           bps = fmin(asked, b->sender_bps) * (spoiled ? 0.5 : 1), unit = 8.0 * b->payload_bytes,
           lump = fmax(1, ceil((duration + warmup) * bps / 1e9 / unit / BOTTLENECK_LUMPS)),
           gap = lump * unit / bps * 1e9, tokens = b->burst_bytes * 8, last = 0, wait = 0,
           forward = b->rate_bps, got = 0;
    struct bottleneck_sums q = {0};
    struct rate_search_seen seen = {0};
    double slope;

    if (b->lossless_bps > 0)
        forward = bps > b->lossless_bps
                      ? fmax(b->lossless_bps / 10,
                             b->lossless_bps - b->collapse * (bps - b->lossless_bps))
                      : 0;
    for (double at = 0; at < warmup + duration; at += gap) {
        const bool inside = at >= warmup;
        double need = lump * unit;
        bool lost = false;

        /* The queue drains and tokens come while time passes, also while the sender stands still. */
        if (stall > 0 && at >= warmup + duration / 2 && at < warmup + duration / 2 + stall)
            continue;
        if (forward > 0) {
            double passed = at - last;

            wait -= passed;
            if (wait < 0) {
                tokens = fmin(b->burst_bytes * 8, tokens - wait * forward / 1e9);
                wait = 0;
            }
            last = at;
            if (wait == 0 && tokens >= need) {
                tokens -= need;
            } else if (wait + need / forward * 1e9 > b->queue_ns + need / forward * 1e9) {
                lost = true;
            } else {
                wait += (need - tokens) / forward * 1e9;
                tokens = 0;
            }
        }
        for (double k = 0; k < lump; k++) {
            bool mine = lost || (b->random_loss > 0 && bottleneck_chance(b) < b->random_loss);

            seen.sent += inside;
            seen.lost += inside && mine;
        }
        if (inside && !lost)
            bottleneck_delay(&q, at - warmup, duration, wait);
        /* It arrives when it has waited: inside the receiver's window or behind it. */
        if (!lost && at + wait >= warmup && at + wait < warmup + duration)
            got += lump * (1 - b->random_loss);
    }
    slope = q.n * q.sxx - q.sx * q.sx;
    seen.offered_bps = (double)seen.sent * unit / duration * 1e9;
    seen.received_bps = got * unit / duration * 1e9;
    seen.delay_slope = slope > 0 ? (q.n * q.sxy - q.sx * q.sy) / slope : 0;
    seen.delay_growth_ns =
        q.early_n > 0 && q.late_n > 0 ? q.late / q.late_n - q.early / q.early_n : 0;
    seen.latest_ns = spoiled ? 20000000 : stall > 0 ? (uint64_t)stall : 50000;
    seen.blocked_ns = (uint64_t)(b->held_ns * duration);
    b->n_trials++;
    b->elapsed_ns += step->duration_ns + step->warmup_ns + BOTTLENECK_OVERHEAD_NS;
    return seen;
}
