/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/channel.h"

/*
 * Serve one controller over a pair of file descriptors until the pipe closes, "quit" comes, or the controller has been
 * silent for MESSAGE_ORPHAN_S. docs/protocol.md describes every line.
 *
 * errors  returns an exit code: 0 the controller ended it, 1 it was silent, spoke another tongue, or memory ran out
 */
int agent_serve(int in_fd, int out_fd);

/* "<id> ok", "<id> error code= text=". */
void agent_ok(struct channel *channel, uint32_t id);
void agent_error(struct channel *channel, uint32_t id, int code, const struct err *err);
