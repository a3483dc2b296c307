/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/engine.h"

/*
 * A session whose far end is another program's server: spec->peer says which, spec->address and port where. Each trial
 * is a whole test of that program's; nothing stays open between two.
 */

/* What cannot be asked of that peer: -EINVAL with a sentence. */
int foreign_check(const struct flow_spec *spec, struct err *err);

/*
 * Run one test. This side's parts are FLOW_SENT and FLOW_RECEIVED as of engine_run(); what the peer says of its own side
 * is FLOW_FAR_RECEIVED (forward) and FLOW_FAR_SENT (reverse). It begins when the peer is ready, not at trial->start_ns,
 * and has no tail.
 *
 * errors  as engine_run(), and of the peer: a sentence with its address, its port and what was wrong
 */
int foreign_run(const struct flow_spec *spec, const struct flow_trial *trial, int stop_fd,
                engine_interval_fn *on_interval, void *arg,
                struct flow_result ret_result[FLOW_PART_COUNT], bool ret_has[FLOW_PART_COUNT],
                struct err *err);

/* The same for each peer. */
int iperf3_client_run(const struct flow_spec *spec, const struct flow_trial *trial, int stop_fd,
                      engine_interval_fn *on_interval, void *arg,
                      struct flow_result ret_result[FLOW_PART_COUNT], bool ret_has[FLOW_PART_COUNT],
                      struct err *err);
int iperf2_client_run(const struct flow_spec *spec, const struct flow_trial *trial, int stop_fd,
                      engine_interval_fn *on_interval, void *arg,
                      struct flow_result ret_result[FLOW_PART_COUNT], bool ret_has[FLOW_PART_COUNT],
                      struct err *err);
