/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "capture/seen.h"
#include "model/hop.h"
#include "model/live_options.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Points of this machine, watched while packets pass. Three sources, best first:
 *
 *     tcx        programs at both hooks of each interface pair packets in the kernel; none is copied (Linux 6.6)
 *     clsact     the same by the older hook (4.19)
 *     af_packet  rings of copied heads, decoded here and handed out as keys for a matcher elsewhere
 *
 * Only the agent uses this. One thread calls; live_read() may block in its own.
 *
 * units   ns; wall clock of this machine (CLOCK_REALTIME) in what is handed out
 * errors  -ENODEV no such interface; -ENOENT no such namespace; -EPERM rights (the sentence says which capability);
 *         -EOPNOTSUPP a source that this kernel has not; -EINVAL a filter that the kernel does not take
 * owns    live_close() detaches and frees; takes NULL. When the process dies nothing stays: links and sockets are held by
 *         file descriptors, and a clsact filter is removed by live_close() and named in the error when that fails
 */
struct live;

/* Attach to all points; packets count from now on. What the options leave open is in ret_live. */
int live_open(const struct live_options *options, struct live **ret_live, struct err *err);
/* Away from all points, while what was counted is kept; the error names a clsact filter that could not be taken away. */
int live_detach(struct live *live, struct err *err);
void live_close(struct live *live);
/* Which it became: never LIVE_AUTO. */
enum live_source live_used(const struct live *live);
/* Why not a better one, in words; "" it is the best. */
const char *live_why(const struct live *live);

/*
 * Sources in the kernel: what was paired so far, points and hops (both directions where packets went both ways, a whole
 * when there are more than two points). Call it after the traffic has drained.
 *
 * owns    ret_hops: the caller's, hops_done()
 */
int live_hops(struct live *live, struct hops *ret_hops, struct err *err);

/*
 * af_packet: keys of packets that came since, of one point, in time order; at most n, 0 none within timeout_ns. Rings that have
 * nothing more after live_stop() give -ENODATA. ret_heard_ns: the point's clock, up to which all it saw has been
 * handed out.
 */
int live_read(struct live *live, uint64_t timeout_ns, unsigned *ret_point, struct seen *ret_seen,
              unsigned n, uint64_t *ret_heard_ns, struct err *err);
/* The words of a flow that live_read() gave first with its last answer: 1 and one of them, 0 no more. */
int live_flow(struct live *live, uint32_t *ret_flow, struct seen_flow *ret_words);
/* No new packets: what is in the rings is still handed out. Waits until blocks have been retired. */
void live_stop(struct live *live);
/*
 * Interfaces that are not there any more, or not the same: their points are marked, it is said in the warning, and losses of hops next to them
 * become bounds. live_hops() has done it; for rings, after live_points().
 */
void live_mark_vanished(const struct live *live, struct hops *hops);
/* What each point saw and lost so far: name, source, seen, unparsed, kernel_drops, overflow, first and last time. */
void live_points(const struct live *live, struct hop_point ret_points[]);

/* Where on a packet's way a source takes the time, in words. */
void live_stamp(enum live_source source, char *ret, size_t size);
/*
 * What the instrument costs and how far it is off on this machine, measured in a network namespace of its own made for that
 * and gone with it: a few 100 ms. source is what live_used() says. Without the right to make a namespace: -EPERM.
 */
int live_calibrate(enum live_source source, unsigned n_points,
                   struct hop_instrument *ret_instrument, struct err *err);
