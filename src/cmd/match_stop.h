/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/source.h"

#include <stdbool.h>

/*
 * Ctrl-C and SIGTERM end all sources where they are, so that what was read until then is matched and shown. The second
 * signal ends the program as ever. One reading at a time.
 *
 * With `piped` one of them comes through a pipe: who writes into it has got the same Ctrl-C and ends it, and all that it
 * wrote is still to be read. Then the signal is only remembered.
 *
 * owns    nothing: sources are lent from begin to end; costs nothing while they are read
 */
void match_stop_begin(struct source *const sources[], unsigned n, bool piped);
/* Sources are as they were. Returns the signal that came, 0 none. */
int match_stop_end(void);
