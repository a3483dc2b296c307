/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <math.h>
#include <stdint.h>

/*
 * Numbers that are the same on every machine for one seed.
 *
 * source  SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014
 */
struct random {
    uint64_t state;
};

static inline uint64_t random_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t random_next(struct random *r)
{
    return random_mix(r->state += 0x9e3779b97f4a7c15u);
}

/* More than 0, less than 1. */
static inline double random_share(struct random *r)
{
    return ((double)(random_next(r) >> 12) + 0.5) / 4503599627370496.0;
}

static inline uint32_t random_below(struct random *r, uint32_t n)
{
    return (uint32_t)(((random_next(r) >> 32) * n) >> 32);
}

/* A chance of 0 draws no number, so that scenarios without a trouble do not depend on it. */
static inline int random_chance(struct random *r, double share)
{
    return share > 0 && random_share(r) < share;
}

static inline int64_t random_exponential(struct random *r, double mean)
{
    return (int64_t)(-mean * log(random_share(r)));
}
