/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"
#include "traffic/machine.h"

/*
 * Flows and workers of one trial to the result of a part; called after they are joined.
 *
 * units   window_ns is what was really counted: shorter than asked when the trial was cut short
 */
struct merge_input {
    const struct engine *engine;
    const struct flow_trial *trial;
    const struct worker *workers;
    uint32_t n_workers;
    uint64_t window_ns;
    bool has_machine;
    struct machine_cpu machine_begin, machine_end; /* at the window's edges */
};

/*
 * errors  -ENOMEM
 * owns    ret_result: ended with flow_result_done()
 */
int merge_part(const struct merge_input *in, enum flow_part part, struct flow_result *ret_result);

/* One interval of a part, all its flows together; also while the workers run, once it is over. */
struct flow_interval merge_interval(const struct engine *engine, enum flow_part part,
                                    uint32_t index);

static inline bool merge_is_of(const struct flow *flow, enum flow_part part)
{
    return flow->sends == (part == FLOW_SENT);
}
