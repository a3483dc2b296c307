/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sections of vnperf-match(1) between options and examples, and what stands in EXIT STATUS. */
extern const char *const match_man[];
extern const char match_man_exit[];
