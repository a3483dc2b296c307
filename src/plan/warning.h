/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"

#include <stdbool.h>

/*
 * What a reader must know beside a measurement's numbers: writes its warning, several with "; " between. After
 * limit_judge(). No I/O.
 */
void warning_judge(struct measurement *m, bool v6);
