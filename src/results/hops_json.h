/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/hop.h"

#include <jansson.h>

/*
 * Hops as JSON: what a document of its own says, and what stands inside a run's. Tables are drawn from the same
 * (hops_table.h), so that a saved one is shown as it was when it was measured.
 *
 * shape   {"hops": [{"from", "to", "whole"?, "matched", "lost", "loss_share", "lost_is_bound"?, "duplicated", "reordered",
 *         "only_later", "ambiguous", "delay_ns": {"min", "mean", "stddev", "p50", "p90", "p99", "p999", "p9999", "max",
 *         "count"}, "hold_ns"?, "path_ns"?, "interval_ns"?, "series"?, "flows"?, "more_flows"?}],
 *         "points": [{"name", "source", "seen", "unparsed", "fragments", "unmatched", "kernel_drops", "overflow",
 *         "backward", "first_ns", "last_ns", "offset_ns", "skew_share", "offset_bound_ns", "offset_packets"}],
 *         "source", "instrument", "nat", "window_ns", "warning"}
 *         A key is null where there is no value, and "missing" beside it says why. Keys are fixed: more may come
 * units   by the suffix of the key; shares 0…1
 * errors  NULL: no memory
 * owns    the answer: the caller ends it with json_decref()
 */
json_t *hops_json(const struct hops *hops);
/* The same with "schema" in front: a document of its own. */
json_t *hops_json_document(const struct hops *hops);
