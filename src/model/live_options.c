/* SPDX-License-Identifier: Apache-2.0 */
#include "model/live_options.h"

const char *const live_source_name[LIVE_SOURCE_COUNT] = {"auto", "tcx", "clsact", "af_packet"};
