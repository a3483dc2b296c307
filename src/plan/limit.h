/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/measurement.h"
#include "plan/rate_search.h"

/*
 * What held the result where it is: the sender, the receiver, the path, or the rate that was asked for. Writes limit
 * and limit_reason. No I/O.
 *
 * source  tcpi_rwnd_limited, tcpi_sndbuf_limited, tcpi_busy_time (linux/tcp.h); CPU by RUSAGE_THREAD; drops by
 *         SK_MEMINFO_DROPS
 */
void limit_judge(struct measurement *m);
