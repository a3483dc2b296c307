/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sections of vnperf-hops(1) between options and examples, and what stands in EXIT STATUS. */
extern const char *const hops_man[];
extern const char hops_man_exit[];
