/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/hop.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Which points of one machine are to be watched, and how. Asked by the controller, carried by wire/, done by
 * capture/live.h on an agent.
 */
enum {
    LIVE_NETNS_SIZE = 64,
    LIVE_IFNAME_SIZE = 16,
    LIVE_MAX_KERNEL_POINTS = 8,
    LIVE_MAX_FILTER = 4096
};

struct live_point {
    char name[HOP_NAME_SIZE];    /* in results and errors */
    char netns[LIVE_NETNS_SIZE]; /* "" our own; "name:vm1"; "pid:123" that process's */
    char ifname[LIVE_IFNAME_SIZE];
};

enum live_source { LIVE_AUTO, LIVE_TCX, LIVE_CLSACT, LIVE_AF_PACKET, LIVE_SOURCE_COUNT };
/* "auto", "tcx", "clsact", "af_packet". */
extern const char *const live_source_name[LIVE_SOURCE_COUNT];

/* One instruction of a classic BPF filter, as libpcap compiles it for Ethernet. */
struct live_insn {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

struct live_options {
    struct live_point points[HOP_MAX_POINTS];
    unsigned n_points;
    enum live_source source;
    bool
        keys_only; /* points of several machines: keys for a matcher elsewhere, never pairs in the kernel */
    int nat;            /* -1 by trial, 0 no, 1 yes: as enum match_nat */
    uint64_t window_ns; /* an unmatched packet is remembered so long; 0 100 ms */
    struct live_insn
        filter[LIVE_MAX_FILTER]; /* on the frame as it is at each point; n_filter 0: all */
    unsigned n_filter;
    /* On the innermost packet, for traffic of our own inside a tunnel: */
    uint8_t protocol; /* IP's number; 0 any */
    uint16_t port;    /* of either end; 0 any */
};
