/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/live_options.h"
#include "wire/channel.h"

/*
 * Points of this machine under watch, for the controller.
 *
 *     watch    → "ID ok source=… why=…"; where packets are not paired in the kernel, "ID keys point=… heard_ns=…" and
 *                "ID flows" with blobs as they come, from a thread of its own, and "ID failed …" when that cannot go on
 *     unwatch  → what is left of these, then "ID hops" with a blob, the points alone where the matcher is elsewhere, and "ID ok"
 *
 * errors  of capture/live.h
 */
struct watch;

/* Attach; packets count from now on. The answer has been sent when this returns 0. id is the request's, and from now on the watch's. */
int watch_new(struct channel *channel, uint32_t id, const struct live_options *options,
              struct watch **ret_watch, struct err *err);
uint32_t watch_id(const struct watch *watch);
/* Detach, and tell what was seen under the id of the one who asks; the rest of the keys goes before it. */
int watch_tell(struct watch *watch, uint32_t id, struct err *err);
/* Takes NULL. */
void watch_free(struct watch *watch);

/* What the instrument costs here, told as "ID hops" with nothing but it. */
int watch_calibrate(struct channel *channel, uint32_t id, enum live_source source,
                    unsigned n_points, struct err *err);
