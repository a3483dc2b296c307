/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stddef.h>

/*
 * Find the agent program: what the user said, else vnperf-agent beside this program, else in the folder where
 * `make install` puts it. errors: a sentence that says how to mend it
 */
int where_agent(const char *asked, char *ret_path, size_t size, struct err *err);
