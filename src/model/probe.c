/* SPDX-License-Identifier: Apache-2.0 */
#include "model/probe.h"

const char *const probe_end_name[PROBE_END_COUNT] = {[PROBE_REACHED] = "reached",
                                                     [PROBE_SILENT] = "silent",
                                                     [PROBE_CONNECTED] = "connected",
                                                     [PROBE_STRANGER] = "stranger",
                                                     [PROBE_ERROR] = "error"};
