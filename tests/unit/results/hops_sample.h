/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/hop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Hops as a matcher would leave them: three points, both ways, numbers that can be told by hand. Hop a to b takes 10000 ns
 * (n - 1 times) and 20000 ns once, b to c half of that.
 */
static void hops_sample_fill(struct delay *d, unsigned n, int64_t ns)
{
    for (unsigned i = 0; i < n; i++)
        if (delay_add(d, i + 1 == n ? 2 * ns : ns) < 0)
            abort();
}

static struct hop *hops_sample_hop(struct hops *hops, unsigned from, unsigned to, bool whole,
                                   unsigned n, int64_t ns)
{
    struct hop *hop = hops_add(hops);

    if (!hop)
        abort();
    hop->from = (uint8_t)from;
    hop->to = (uint8_t)to;
    hop->whole = whole;
    hop->matched = n;
    hops_sample_fill(&hop->delay, n, ns);
    return hop;
}

static struct hops hops_sample(void)
{
    static const char *const names[] = {"pif.pcap", "bridge.pcap", "vif.pcap"};
    struct hops hops = {.n_points = 3, .window_ns = 100000000, .source = "file"};
    struct hop *hop;

    for (unsigned i = 0; i < 3; i++) {
        struct hop_point *p = &hops.points[i];

        snprintf(p->name, sizeof p->name, "%s", names[i]);
        memcpy(p->source, "file", 5);
        p->seen = 1000 - i;
        p->first_ns = 1700000000000000000;
        p->last_ns = 1700000001000000000;
    }
    hop = hops_sample_hop(&hops, 0, 1, false, 100, 10000);
    hop->lost = 1;
    hop = hops_sample_hop(&hops, 1, 2, false, 100, 5000);
    hop->duplicated = 2;
    hop->reordered = 3;
    hops_sample_hop(&hops, 0, 2, true, 100, 15000);
    hops_sample_hop(&hops, 2, 1, false, 10, 6000);
    hops_sample_hop(&hops, 1, 0, false, 10, 6000);
    hops_sample_hop(&hops, 2, 0, true, 10, 12000);
    return hops;
}
