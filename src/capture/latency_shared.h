/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the programs in the kernel (latency.bpf.c) and their loader (bpf_load.c) both see: maps and their values.
 *
 * shape   a spot is one hook of one point: point * 2 + hook. Values are plain 64-bit words in the machine's order.
 * units   ns of CLOCK_MONOTONIC
 * source  buckets are those of base/hist.h, cut off at 2^36 ns
 */
enum {
    LATENCY_MAX_POINTS = 8,
    LATENCY_INGRESS = 0,
    LATENCY_EGRESS = 1,
    LATENCY_SUB_BITS = 6,
    LATENCY_MAX_BITS = 36,
    LATENCY_BUCKETS = (LATENCY_MAX_BITS - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS,
    LATENCY_TABLE_BUCKETS = 512,    /* 32 KB: what is on its way stays in the first cache */
    LATENCY_SPILL_BUCKETS = 131072, /* for queues and losses: looked at only while it is in use */
    LATENCY_FLOWS = 1024,           /* a spot, for reordering */
};

/* Maps, in the order in which the loader makes them. */
enum latency_map {
    LATENCY_CONFIG, /* array[1] of struct latency_config */
    LATENCY_TABLE,  /* array of struct latency_bucket */
    LATENCY_SPILL,  /* the same, larger */
    LATENCY_SPOTS,  /* per-CPU array[2 n] of struct latency_spot */
    LATENCY_PAIRS, /* per-CPU array[n n] of struct latency_pair, by from * n + to; twice for more than 2 points: wholes */
    LATENCY_ORDER, /* array[LATENCY_FLOWS 2 n], twice as PAIRS: struct latency_order */
    LATENCY_MAP_COUNT,
};

/*
 * Words that the loader patches: the program loads each as a 64-bit immediate of LATENCY_CONSTANT + its number, so one
 * object serves every point, without maps of constants, which kernels before 5.2 have not.
 */
#define LATENCY_CONSTANT 0x564e50455246ULL << 16
enum latency_constant {
    LATENCY_POINT,
    LATENCY_HOOK,
    LATENCY_N_POINTS,
    LATENCY_NAT,       /* 1: keys without addresses and ports */
    LATENCY_RAW,       /* 1: the interface has no Ethernet header */
    LATENCY_PROTOCOL,  /* 0: any */
    LATENCY_PORT,      /* 0: any */
    LATENCY_WINDOW_NS, /* at most LATENCY_MAX_WINDOW_NS */
    LATENCY_CONSTANT_COUNT,
};
#define LATENCY_MAX_WINDOW_NS 4000000000ULL /* squares of what is shorter fit into 64 bits */

/* One cache line. */
struct latency_config {
    unsigned long long
        start_ns; /* packets first seen earlier do not count, here nor at a later point */
    unsigned long long stop_ns; /* nor later; those on their way are still awaited */
    unsigned long long
        spill_until; /* by the programs: something in the spill table may be looked for */
    unsigned long long
        early_until; /* until then one may have passed a point before anything was at it */
    unsigned long long unused[4];
};

enum latency_slot_flags {
    LATENCY_DONE = 1,      /* seen at all points: the slot may be taken */
    LATENCY_AMBIGUOUS = 2, /* several that nothing tells apart */
    LATENCY_PIECE = 4,     /* the rest of a segment that was cut: seen as its own nowhere yet */
};

struct latency_slot {
    unsigned long long key; /* 0 empty */
    unsigned long long first_ns, last_ns;
    unsigned short mask; /* of spots */
    unsigned short id;   /* IP ID of TCP; 0 none */
    unsigned short len;  /* of TCP payload, as the last point saw it */
    unsigned char spots; /* first << 4 | last */
    unsigned char flags;
};

/* One cache line: two slots that a key may be in. */
struct latency_bucket {
    struct latency_slot slot[2];
};

struct latency_spot {
    /* What each packet touches stands together. */
    unsigned long long seen;  /* with a key and selected */
    unsigned long long first; /* of seen: nowhere before */
    unsigned long long
        early; /* of first: so soon that it may have passed others before the programs were there */
    unsigned long long first_ns, last_ns;
    unsigned long long unparsed;     /* no IP, cut short, malformed; fragments too */
    unsigned long long fragments;    /* later ones, without ports */
    unsigned long long not_selected; /* another protocol or port */
    unsigned long long duplicated;   /* of seen: here before */
    unsigned long long ambiguous;    /* of seen */
    unsigned long long returned;     /* of seen: at the point's other hook before */
    unsigned long long
        cut; /* of seen: pieces behind the first of a segment that was cut on the way */
    unsigned long long overflow; /* a packet still awaited was forgotten for one from here */
};

struct latency_pair {
    unsigned long long count; /* timed */
    unsigned long long min, max, sum;
    unsigned long long squares_low, squares_high; /* 128 bits */
    unsigned long long from_hook[2];              /* of count */
    unsigned long long to_hook[2];
    unsigned long long
        from_first; /* of count: from the point that saw it first; 0 for two points: all */
    unsigned long long merged;    /* not timed: came as a later part of a merged segment */
    unsigned long long reordered; /* of count */
    unsigned long long bucket[LATENCY_BUCKETS];
};

struct latency_order {
    unsigned long long flow;
    unsigned long long max_ns; /* latest time at from of those that came */
};
