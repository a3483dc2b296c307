/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Find the agent program: what the user said, else vnperf-agent beside this program, else the one that is inside it, as a
 * path that works in this process and in those that it starts (deploy/agents.h). errors: a sentence that says how to mend it
 */
int where_agent(const char *asked, char *ret_path, size_t size, struct err *err);
/* Is that path the one inside? Only what this process itself starts can take it. */
bool where_agent_is_inside(const char *path);
