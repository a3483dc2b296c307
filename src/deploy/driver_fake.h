/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deploy/driver.h"

#include <stddef.h>

/*
 * A cloud in memory, for tests of plan/ with faults at every step. Programs are really started, on this machine, and every
 * address is this machine's: agents of one run can measure each other.
 *
 * shape   one cloud a process, not for several threads; what stays when a run is closed can be counted
 *
 * The log has a line a call of a hook, in order:
 *
 *     open RUN | close | probe | create KIND:NAME | destroy KIND:NAME | spawn NAME | clean TEXT
 *
 * and " failed" behind it when the call did.
 */
extern const struct driver driver_fake;

/* An empty cloud without faults and with an empty log. */
void driver_fake_reset(void);

/*
 * Ask for a fault; several may be asked for.
 *
 *     fail CALL          the call fails (EIO), where CALL is as in the log or only its first word: "fail create vm:client-2",
 *                        "fail probe", "fail spawn"; a create that fails leaves its resource half made, so that a missing
 *                        destroy shows in driver_fake_n_left(); a destroy that fails leaves it there
 *     fail step N        the N-th call of all, from 1, fails
 *     die spawn NAME     the program is started and at once killed; without NAME every one
 *
 * errors  -EINVAL a text that is none of these; -ENOSPC too many
 */
int driver_fake_fault(const char *text);

/* Lent until the next call of the driver. */
const char *driver_fake_log(void);
/* How many calls there were. */
unsigned driver_fake_n_steps(void);
/* Resources that are there, half made ones too. */
size_t driver_fake_n_left(void);
/* Programs that were started through spawn. */
unsigned driver_fake_n_spawned(void);
