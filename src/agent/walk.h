/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "wire/channel.h"

/*
 * "path": which interfaces a packet crosses here, told from this machine's tables (host/path.h). Answered by "ID ok" with
 * the points in order, how the walk ended, and the packet as it was there.
 *
 * errors  -EINVAL a question that makes no sense; of path_find()
 */
int walk_answer(struct channel *channel, const struct line *line, struct err *err);
