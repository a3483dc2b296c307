/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/channel.h"

/*
 * Serve one controller over a pair of file descriptors until the pipe closes, "quit" comes, or the controller has been
 * silent for MESSAGE_ORPHAN_S. docs/protocol.md describes every line.
 *
 * errors  returns an exit code: 0 the controller ended it, 1 it was silent, did not read, sent what cannot be cut into
 *         lines, or memory ran out. A session that does not end when it should is ended with the whole process, by SIGALRM.
 */
int agent_serve(int in_fd, int out_fd);

/* "<id> ok"; "<id> <verb> code= text=" with the verbs "error" and "failed". */
void agent_ok(struct channel *channel, uint32_t id);
void agent_tell(struct channel *channel, uint32_t id, const char *verb, int code,
                const struct err *err);
