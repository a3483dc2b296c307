/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "plan/hop_watch.h"

/*
 * The matcher behind plan's struct hop_sink: keys that agents send are paired here. Of one machine they are paired as they
 * come; of several they are kept until the end, in a file without a name, because how their clocks stand is told from all
 * of them.
 *
 * owns    hops_sink_free() ends it; takes NULL
 */
struct hops_sink;

struct hops_sink_options {
    bool learn_order;   /* else the points' own order */
    int nat;            /* -1 by trial, 0 no, 1 yes */
    uint64_t window_ns; /* 0 found out */
    bool per_flow;
    uint64_t interval_ns;
};

int hops_sink_new(const struct hops_sink_options *options, struct hops_sink **ret_sink,
                  struct err *err);
void hops_sink_free(struct hops_sink *sink);
/* The hooks; lent as long as the sink is. */
const struct hop_sink *hops_sink_hooks(struct hops_sink *sink);
