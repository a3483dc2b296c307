/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/probe.h"

/*
 * Doors on data ports that answer whoever knows the token, and remember who came; a thread serves them until they are shut, or
 * by itself PROBE_DOORS_S long.
 *
 * errors  -ENOMEM, -EMFILE …; that a door's port is taken is an error of that door alone
 * owns    ret_doors: ended by probe_doors_shut()
 */
enum { PROBE_DOORS_S = 30 };

struct probe_house;

int probe_doors_open(const struct probe_doors *ask, struct probe_opened ret_opened[PROBE_MAX_DOORS],
                     struct probe_house **ret_house, struct err *err);

/* Close them: their ports are free afterwards. ret_heard may be NULL, house too. */
void probe_doors_shut(struct probe_house *house, struct probe_heard ret_heard[PROBE_MAX_DOORS]);
