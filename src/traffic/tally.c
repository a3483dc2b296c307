/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/tally.h"

#include <errno.h>
#include <stdlib.h>

int tally_init(struct tally *tally, const struct flow_trial *trial)
{
    uint64_t step = trial->interval_ns ? trial->interval_ns : trial->duration_ns;
    uint64_t n = step ? (trial->duration_ns + step - 1) / step : 1;
    struct tally t = {
        .n_slots = (uint32_t)n + 2,
        .window_start_ns = trial->start_ns + trial->warmup_ns,
        .window_end_ns = trial->start_ns + trial->warmup_ns + trial->duration_ns,
        .step_ns = step,
    };

    t.edge_ns = t.window_start_ns;
    t.slots = calloc(t.n_slots, sizeof *t.slots);
    if (!t.slots)
        return -ENOMEM;
    *tally = t;
    return 0;
}

void tally_done(struct tally *tally)
{
    if (!tally)
        return;
    free(tally->slots);
    *tally = (struct tally){0};
}

bool tally_advance(struct tally *tally, uint64_t now_ns)
{
    uint64_t edge;

    if (now_ns < tally->edge_ns)
        return false;
    if (now_ns >= tally->window_end_ns) {
        tally->slot = tally->n_slots - 1;
        tally->edge_ns = UINT64_MAX;
        return true;
    }
    tally->slot = 1 + (uint32_t)((now_ns - tally->window_start_ns) / tally->step_ns);
    edge = tally->window_start_ns + tally->slot * tally->step_ns;
    tally->edge_ns = edge < tally->window_end_ns ? edge : tally->window_end_ns;
    return true;
}

struct flow_interval tally_window(const struct tally *tally)
{
    struct flow_interval sum = {0};

    for (uint32_t i = 1; i + 1 < tally->n_slots; i++) {
        sum.bytes += tally->slots[i].bytes;
        sum.packets += tally->slots[i].packets;
        sum.retransmits += tally->slots[i].retransmits;
    }
    return sum;
}
