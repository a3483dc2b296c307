/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

/*
 * SIGINT, SIGTERM and SIGHUP as a readable descriptor: they are blocked from now on, for all threads made later. SIGPIPE
 * is ignored: an agent that went, or a reader of stdout, must not end the run without its result.
 * Returns the descriptor (never closed: it lives as long as the process).
 */
int interrupt_open(struct err *err);
/* The signal that came, or 0. */
int interrupt_taken(int fd);
