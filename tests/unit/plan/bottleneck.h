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
    double stall_ns;   /* the sender stands still so long, in the middle of the trials in stalls */
    uint32_t stalls;   /* bit k: trial k */
    uint32_t spoils;   /* bit k: in trial k the sender does half of what it should, late */
    double held_share; /* of the time the sender's socket was full */
    double
        takes_bps; /* the path's interrupts take the sender's CPU, so that it offers no more; 0 never */
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

static inline double bottleneck_slope(const struct bottleneck_sums *q)
{
    double d = q->n * q->sxx - q->sx * q->sx;

    return d > 0 ? (q->n * q->sxy - q->sx * q->sy) / d : 0;
}

/* Token bucket and queue while a trial runs. */
struct bottleneck_queue {
    double forward_bps; /* 0: everything passes */
    double tokens;      /* bits that pass at once */
    double wait_ns;     /* of who comes now */
    double last_ns;
};

/* A lump of bits comes at a time. False: there is no room. */
static inline bool bottleneck_pass(const struct bottleneck *b, struct bottleneck_queue *q,
                                   double at_ns, double bits)
{
    if (q->forward_bps <= 0)
        return true;
    q->wait_ns -= at_ns - q->last_ns;
    q->last_ns = at_ns;
    if (q->wait_ns < 0) {
        q->tokens = fmin(b->burst_bytes * 8, q->tokens - q->wait_ns * q->forward_bps / 1e9);
        q->wait_ns = 0;
    }
    if (q->wait_ns == 0 && q->tokens >= bits) {
        q->tokens -= bits;
        return true;
    }
    if (q->wait_ns > b->queue_ns)
        return false;
    q->wait_ns += (bits - q->tokens) / q->forward_bps * 1e9;
    q->tokens = 0;
    return true;
}

/* What a path forwards of so much: a CPU-bound one less, the more comes. 0: all. */
static inline double bottleneck_forward(const struct bottleneck *b, double bps)
{
    if (b->lossless_bps <= 0)
        return b->rate_bps;
    if (bps <= b->lossless_bps)
        return 0;
    return fmax(b->lossless_bps / 10, b->lossless_bps - b->collapse * (bps - b->lossless_bps));
}

/* What is lost of a lump. */
static inline uint32_t bottleneck_lost(struct bottleneck *b, uint32_t lump, bool passes)
{
    uint32_t n = passes ? 0 : lump;

    for (uint32_t k = 0; passes && b->random_loss > 0 && k < lump; k++)
        n += bottleneck_chance(b) < b->random_loss;
    return n;
}

static inline struct rate_search_seen bottleneck_trial(struct bottleneck *b,
                                                       const struct rate_search_step *step)
{
    const double duration = (double)step->duration_ns, warmup = (double)step->warmup_ns,
                 unit = 8.0 * b->payload_bytes;
    const bool spoiled = b->spoils >> b->n_trials & 1;
    const double stall = b->stalls >> b->n_trials & 1 ? b->stall_ns : 0,
                 stall_at = warmup + duration / 2;
    const double able = b->takes_bps > 0 ? fmin(b->sender_bps, b->takes_bps) : b->sender_bps,
                 asked = step->rate_bps ? (double)step->rate_bps : able,
                 bps = fmin(asked, able) * (spoiled ? 0.5 : 1);
    const uint32_t lump = 1 + (uint32_t)((duration + warmup) * bps / 1e9 / unit / BOTTLENECK_LUMPS);
    const double gap = lump * unit / bps * 1e9;
    const uint64_t n_lumps = (uint64_t)ceil((warmup + duration) / gap);
    struct bottleneck_queue queue = {.forward_bps = bottleneck_forward(b, bps),
                                     .tokens = b->burst_bytes * 8};
    struct bottleneck_sums sums = {0};
    struct rate_search_seen seen = {0};
    double got = 0;

    for (uint64_t i = 0; i < n_lumps; i++) {
        const double at = (double)i * gap;
        const bool inside = at >= warmup;
        bool passes;
        uint32_t lost;

        /* The queue drains and tokens come while the sender stands still. */
        if (at >= stall_at && at < stall_at + stall)
            continue;
        passes = bottleneck_pass(b, &queue, at, lump * unit);
        lost = bottleneck_lost(b, lump, passes);
        seen.sent += inside ? lump : 0;
        seen.lost += inside ? lost : 0;
        if (inside && passes)
            bottleneck_delay(&sums, at - warmup, duration, queue.wait_ns);
        /* It arrives when it has waited: inside the receiver's window or behind it. */
        if (at + queue.wait_ns >= warmup && at + queue.wait_ns < warmup + duration)
            got += lump - lost;
    }
    seen.offered_bps = (double)seen.sent * unit / duration * 1e9;
    seen.received_bps = got * unit / duration * 1e9;
    seen.delay_slope = bottleneck_slope(&sums);
    seen.delay_growth_ns = sums.early_n > 0 && sums.late_n > 0
                               ? sums.late / sums.late_n - sums.early / sums.early_n
                               : 0;
    seen.latest_ns = spoiled ? 20000000 : stall > 0 ? (uint64_t)stall : 50000;
    seen.blocked_ns = (uint64_t)(b->held_share * duration);
    seen.busy_share = spoiled ? 0.5 : 1 - b->held_share;
    seen.spare_share = asked < able ? 1 - fmin(1, asked / b->sender_bps) : 0.02;
    b->n_trials++;
    b->elapsed_ns += step->duration_ns + step->warmup_ns + BOTTLENECK_OVERHEAD_NS;
    return seen;
}
