/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "interop/foreign_flow.h"
#include "interop/iperf3_message.h"
#include "model/result.h"

/*
 * Between our parts of a result and iperf3's streams.
 */

/* One of the client's data connections: connected, and the server knows which test it is of. The caller closes it. */
int iperf3_open_tcp(const struct flow_spec *spec, const char cookie[IPERF3_COOKIE], int stop_fd,
                    uint64_t deadline_ns, int *ret_fd, struct err *err);
int iperf3_open_udp(const struct flow_spec *spec, int stop_fd, uint64_t deadline_ns, int *ret_fd,
                    struct err *err);

/* What this side tells of its flows; flows is NULL when they are the engine's own, not foreign ones. */
void iperf3_results_make(const struct engine *engine, const struct foreign_flow *flows,
                         const struct flow_result parts[FLOW_PART_COUNT],
                         struct iperf3_results *ret_results);

/*
 * What the server tells of its side, as a part: FLOW_FAR_RECEIVED of the forward flows or FLOW_FAR_SENT of the reverse
 * ones. late_ns: so long after our last datagram it was told to stop.
 *
 * errors  -ENOMEM; -EBADMSG a stream is missing
 */
int iperf3_far_part(const struct engine *engine, const struct foreign_flow *flows,
                    const struct iperf3_results *results, enum flow_part part, uint64_t late_ns,
                    struct flow_result *ret_result, struct err *err);

/* Our own received part, once it is known how many datagrams the server sent. */
void iperf3_near_loss(const struct engine *engine, const struct foreign_flow *flows,
                      const struct iperf3_results *results, struct flow_result *result);

/* sent and received to lost and its share. */
void iperf3_put_loss(struct metric_set *m, uint64_t sent, uint64_t received);
