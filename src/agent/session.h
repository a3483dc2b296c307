/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/flow_spec.h"
#include "wire/channel.h"

#include <stdbool.h>

/*
 * One session of traffic on an agent: a thread of its own that opens the engine, takes the peer's flows, and runs the
 * trials it is told, answering on the channel under the ids of the requests.
 *
 *     prepare  → "ID ok port=N", later "ID ready"; or "ID error …"; or "ID failed …" when it ends by itself later
 *     start    → "ID interval …" while it runs, "ID result part=…" for each part, then "ID ok" or "ID error …", also
 *                when the session ends before it has begun
 */
struct session;

/* Begin; the answer to prepare comes from the thread. id is the request's, and from now on the session's. */
int session_new(struct channel *channel, uint32_t id, const struct flow_spec *spec,
                struct session **ret_session, struct err *err);
uint32_t session_id(const struct session *session);
/* It has ended by itself, and its ports are free: only session_free() is left to do. */
bool session_ended(const struct session *session);
/* Run a trial. errors: -EBUSY one runs or waits; -EINVAL what cannot be, or a start that is not about now; -EPIPE the session has ended */
int session_start(struct session *session, uint32_t id, const struct flow_trial *trial,
                  struct err *err);
/* Stop what runs, end the thread, free. Takes NULL. Waits for the thread: some 100 ms. */
void session_free(struct session *session);
