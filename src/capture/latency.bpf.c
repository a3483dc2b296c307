/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Pairs packets in the kernel: one program a hook of a point. A packet's key is looked up in a table that all points share;
 * when another point has it, the time since goes into a histogram of the CPU. Nothing is copied, nothing is changed.
 *
 * Written for the verifier of Linux 4.19: no loops, no global data, no BTF; functions but the first are called.
 *
 * source  key as capture/seen.h; RFC 791, 8200, 9293, 768, 792, 7348, 8926, 2784, 7637, 2003; IEEE 802.1Q
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include "capture/latency_shared.h"

#include "capture/latency_parse.bpf.c"

static void *(*const map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*const ktime_get_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;

/* The loader knows them by name; what they hold is in latency_shared.h. */
int latency_config SECTION("maps");
int latency_table SECTION("maps");
int latency_spill SECTION("maps");
int latency_spots SECTION("maps");
int latency_pairs SECTION("maps");
int latency_order SECTION("maps");

/* ---- the table ---- */

INLINE struct latency_bucket *table_bucket(__u64 key)
{
    __u32 i = (__u32)(key >> 20) & (LATENCY_TABLE_BUCKETS - 1);

    return map_lookup(&latency_table, &i);
}

INLINE struct latency_bucket *spill_bucket(__u64 key)
{
    __u32 i = (__u32)(key >> 40) & (LATENCY_SPILL_BUCKETS - 1);

    return map_lookup(&latency_spill, &i);
}

/* Retransmits of TCP have the same key: the sender's IP ID tells them apart where it sets one. */
INLINE struct latency_slot *bucket_find(struct latency_bucket *b, __u64 key, __u16 id)
{
    if (b->slot[0].key == key && (b->slot[0].id == id || !id || !b->slot[0].id))
        return &b->slot[0];
    if (b->slot[1].key == key && (b->slot[1].id == id || !id || !b->slot[1].id))
        return &b->slot[1];
    return 0;
}

INLINE int slot_free(const struct latency_slot *s, __u64 now, __u64 window)
{
    return (s->flags & LATENCY_DONE) || (__s64)(now - s->last_ns) > (__s64)window;
}

/* The slot to be overwritten; NULL both are awaited. */
INLINE struct latency_slot *bucket_free(struct latency_bucket *b, __u64 now, __u64 window)
{
    int free0 = slot_free(&b->slot[0], now, window), free1 = slot_free(&b->slot[1], now, window);

    if (free0 && (!free1 || b->slot[0].last_ns <= b->slot[1].last_ns))
        return &b->slot[0];
    return free1 ? &b->slot[1] : 0;
}

INLINE __u64 *spill_until(void)
{
    __u32 zero = 0;
    struct latency_config *c = map_lookup(&latency_config, &zero);

    return c ? &c->spill_until : 0;
}

/* A slot for a new key. */
INLINE struct latency_slot *table_take(struct latency_bucket *b, __u64 key, __u64 now,
                                       struct latency_spot *spot)
{
    __u64 window = CONSTANT(LATENCY_WINDOW_NS), *until;
    struct latency_slot *s = bucket_free(b, now, window);

    if (LIKELY(s))
        return s;
    b = spill_bucket(key);
    until = spill_until();
    if (!b || !until)
        return 0;
    *until = now + window;
    s = bucket_free(b, now, window);
    if (s)
        return s;
    spot->overflow++;
    return b->slot[0].last_ns <= b->slot[1].last_ns ? &b->slot[0] : &b->slot[1];
}

INLINE void slot_write(struct latency_slot *s, __u64 key, __u64 now, __u32 me, const struct key *k)
{
    s->key = 0; /* whoever else looks meanwhile shall not take the old for the new */
    s->first_ns = now;
    s->last_ns = now;
    s->mask = (__u16)(1U << me);
    s->id = k->id;
    s->len = (__u16)(k->len > 0xffff ? 0xffff : k->len);
    s->spots = (__u8)(me << 4 | me);
    s->flags = 0;
    *(volatile __u64 *)&s->key = key;
}

/* ---- what is counted ---- */

INLINE __u32 bucket_of(__u64 v)
{
    __u64 x = v;
    __u32 bits = 0;

    if (v < (2U << LATENCY_SUB_BITS))
        return (__u32)v;
    if (v >= 1ULL << LATENCY_MAX_BITS)
        return LATENCY_BUCKETS - 1;
    /* There is no instruction for the highest bit. */
    if (x >> 32) {
        bits += 32;
        x >>= 32;
    }
    if (x >> 16) {
        bits += 16;
        x >>= 16;
    }
    if (x >> 8) {
        bits += 8;
        x >>= 8;
    }
    if (x >> 4) {
        bits += 4;
        x >>= 4;
    }
    if (x >> 2) {
        bits += 2;
        x >>= 2;
    }
    if (x >> 1)
        bits += 1;
    bits -= LATENCY_SUB_BITS;
    return ((bits + 1) << LATENCY_SUB_BITS) + (__u32)(v >> bits) - (1U << LATENCY_SUB_BITS);
}

INLINE void pair_add(struct latency_pair *pair, __u64 ns)
{
    __u64 square = ns > 0xffffffffULL ? ~0ULL : ns * ns;
    __u64 i = bucket_of(ns);

    FORGET(i, pair);
    if (pair->count == 0 || ns < pair->min)
        pair->min = ns;
    if (ns > pair->max)
        pair->max = ns;
    pair->count++;
    pair->sum += ns;
    pair->squares_low += square;
    pair->squares_high += pair->squares_low < square;
    if (i < LATENCY_BUCKETS)
        pair->bucket[i]++;
}

/* RFC 4737: reordered is what left before one of its flow that came before. */
INLINE void pair_order(struct latency_pair *pair, __u32 spot, __u64 flow, __u64 left_ns)
{
    __u32 i = spot * LATENCY_FLOWS + (__u32)(flow >> 32) % LATENCY_FLOWS;
    struct latency_order *o = map_lookup(&latency_order, &i);

    if (!o)
        return;
    if (o->flow == flow && left_ns < o->max_ns) {
        pair->reordered++;
        return;
    }
    o->flow = flow;
    o->max_ns = left_ns;
}

INLINE __u64 key_at(const struct key *k, __u32 pos) { return mix(k->base, pos) | 1; }

/* Along the parts of a merged segment. */
struct walk {
    struct latency_pair *pair;
    __u64 base;
    __u32 pos;
    __u32 left;
    __u32 bits; /* of the point that sees it */
};

/* The next part: gone as far as here, and not timed. 0 there is none. */
SECTION("programs") APART int take_merged(struct walk *w)
{
    __u64 key = mix(w->base, w->pos) | 1;
    struct latency_bucket *b = table_bucket(key);
    struct latency_slot *s;
    __u64 *until;

    if (!b)
        return 0;
    s = bucket_find(b, key, 0);
    until = spill_until();
    if (!s && until && *until) {
        b = spill_bucket(key);
        if (!b)
            return 0;
        s = bucket_find(b, key, 0);
    }
    if (!s || (s->mask & w->bits) || (s->flags & (LATENCY_DONE | LATENCY_AMBIGUOUS)))
        return 0;
    s->flags |= LATENCY_DONE;
    w->pair->merged++;
    if (s->len == 0 || s->len >= w->left)
        return 0;
    w->pos += s->len;
    w->left -= s->len;
    return 1;
}

#define MERGED_STEP                                                                                \
    if (!take_merged(&w))                                                                          \
        return;
#define MERGED_STEPS MERGED_STEP MERGED_STEP MERGED_STEP MERGED_STEP MERGED_STEP

/* Up to 45 more segments of 1448 bytes make 64 KB. */
INLINE void walk_merged(struct latency_pair *pair, const struct key *k, __u32 n, __u32 bits)
{
    struct walk w = {
        .pair = pair, .base = k->base, .pos = k->pos + n, .left = k->len - n, .bits = bits};

    MERGED_STEPS MERGED_STEPS MERGED_STEPS MERGED_STEPS MERGED_STEPS MERGED_STEPS MERGED_STEPS
        MERGED_STEPS MERGED_STEPS
}

/* What is behind this piece of a segment that was longer is awaited under its own position. */
INLINE void expect_rest(const struct key *k, __u32 rest, __u64 now, struct latency_spot *spot)
{
    __u64 key = key_at(k, k->pos + k->len);
    struct latency_bucket *b = table_bucket(key);
    struct latency_slot *s;

    if (!b)
        return;
    s = bucket_find(b, key, 0);
    if (s && !slot_free(s, now, CONSTANT(LATENCY_WINDOW_NS)))
        return;
    s = table_take(b, key, now, spot);
    if (!s)
        return;
    s->key = 0;
    s->first_ns = s->last_ns = now;
    s->mask = 0;
    s->id = 0;
    s->len = (__u16)rest;
    s->spots = 0;
    s->flags = LATENCY_PIECE;
    *(volatile __u64 *)&s->key = key;
}

/* The packet was at this point before. */
INLINE void seen_again(struct latency_slot *s, __u64 key, __u64 now, __u32 me, const struct key *k,
                       struct latency_spot *spot)
{
    if (!(s->mask & 1U << me)) {
        spot->returned++;
    } else if (s->spots >> 4 != me) {
        spot->duplicated++;
    } else if (s->mask == 1U << me) {
        /* Its equal may be lost or still on its way: nobody knows which of them comes. */
        spot->ambiguous += 2;
        s->flags |= LATENCY_AMBIGUOUS;
        s->last_ns = now;
    } else if (!(s->flags & LATENCY_DONE)) {
        spot->ambiguous++;
        s->flags |= LATENCY_AMBIGUOUS;
        s->last_ns = now;
    } else {
        /* Sent anew, and the earlier one has come. */
        slot_write(s, key, now, me, k);
        spot->first++;
    }
}

INLINE void hop(struct latency_slot *s, __u64 now, __u32 me, const struct key *k,
                struct latency_spot *spot)
{
    __u32 n = CONSTANT(LATENCY_N_POINTS), last = s->spots & 15, first = s->spots >> 4;
    __u32 i = (last >> 1) * n + (me >> 1), mask, all = (1U << (2 * n)) - 1;
    struct latency_pair *pair = map_lookup(&latency_pairs, &i);
    __u64 left_ns = s->last_ns;
    __u32 len = s->len;

    if (!pair)
        return;
    pair_add(pair, now - left_ns);
    pair->from_hook[last & 1]++;
    pair->to_hook[me & 1]++;
    if (n > 2 && last == first)
        pair->from_first++;
    pair_order(pair, me, k->flow, left_ns);
    mask = s->mask | 1U << me;
    s->mask = (__u16)mask;
    s->spots = (__u8)(first << 4 | me);
    s->last_ns = now;
    if (((mask | mask >> 1) & 0x5555 & all) == (0x5555 & all))
        s->flags |= LATENCY_DONE;
    if (n > 2) {
        struct latency_pair *whole;

        i = n * n + (first >> 1) * n + (me >> 1);
        whole = map_lookup(&latency_pairs, &i);
        if (whole) {
            pair_add(whole, now - s->first_ns);
            whole->from_hook[first & 1]++;
            whole->to_hook[me & 1]++;
            pair_order(whole, 2 * n + me, k->flow, s->first_ns);
        }
    }
    if (LIKELY(!k->tcp || k->len == len))
        return;
    s->len = (__u16)(k->len > 0xffff ? 0xffff : k->len);
    if (k->len < len)
        expect_rest(k, len - k->len, now, spot);
    else if (len != 0)
        walk_merged(pair, k, len, 3U << (me & ~1U));
}

INLINE void found(struct latency_slot *s, __u64 key, __u64 now, __u32 me, const struct key *k,
                  struct latency_spot *spot)
{
    __u32 bits = 3U << (me & ~1U);

    if (UNLIKELY(s->flags & LATENCY_AMBIGUOUS)) {
        spot->ambiguous++;
        s->last_ns = now;
    } else if (UNLIKELY(s->flags & LATENCY_PIECE)) {
        __u32 rest = s->len;

        slot_write(s, key, now, me, k);
        spot->cut++;
        if (k->len < rest)
            expect_rest(k, rest - k->len, now, spot);
    } else if (s->mask & bits) {
        seen_again(s, key, now, me, k, spot);
    } else {
        hop(s, now, me, k, spot);
    }
}

INLINE int match(const struct key *k, enum parsed parsed)
{
    __u32 me = CONSTANT(LATENCY_POINT) * 2 + CONSTANT(LATENCY_HOOK), zero = 0;
    struct latency_spot *spot = map_lookup(&latency_spots, &me);
    struct latency_config *config = map_lookup(&latency_config, &zero);
    __u64 now = ktime_get_ns(), window = CONSTANT(LATENCY_WINDOW_NS), key;
    struct latency_bucket *b;
    struct latency_slot *s;

    if (!spot || !config)
        return 0;
    if (UNLIKELY(parsed != PARSED_OK)) {
        if (now < config->start_ns || now >= config->stop_ns)
            return 0;
        if (parsed == PARSED_OTHER)
            spot->not_selected++;
        else
            spot->unparsed++;
        if (parsed == PARSED_FRAGMENT)
            spot->fragments++;
        return 0;
    }
    key = key_at(k, k->pos);
    b = table_bucket(key);
    if (!b)
        return 0;
    s = bucket_find(b, key, k->id);
    if (!s) {
        if (UNLIKELY(now < config->spill_until)) {
            struct latency_bucket *spilled = spill_bucket(key);

            if (spilled)
                s = bucket_find(spilled, key, k->id);
        }
    }
    if (s && (__s64)(now - s->last_ns) > (__s64)window)
        s->flags = LATENCY_DONE; /* too old: as if it had not been there */
    else if (s) {
        /* On its way when counting began: of no point, so that none misses it. */
        if (UNLIKELY(s->first_ns < config->start_ns))
            return 0;
        spot->seen++;
        spot->last_ns = now;
        if (UNLIKELY(spot->first_ns == 0))
            spot->first_ns = now;
        found(s, key, now, me, k, spot);
        return 0;
    }
    if (now >= config->stop_ns)
        return 0;
    if (LIKELY(!s))
        s = table_take(b, key, now, spot);
    if (!s)
        return 0;
    slot_write(s, key, now, me, k);
    if (UNLIKELY(now < config->start_ns))
        return 0;
    spot->seen++;
    spot->first++;
    spot->last_ns = now;
    if (UNLIKELY(now < config->early_until))
        spot->early++;
    if (UNLIKELY(spot->first_ns == 0))
        spot->first_ns = now;
    return 0;
}

/* Helpers that only programs of a free licence may call are not used; the kernel wants to know all the same. */
char latency_license[] SECTION("license") = "Dual BSD/GPL";
