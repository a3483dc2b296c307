/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Run a program of this machine's to its end, without a shell, and take what it writes to stdout. Its stdin and stderr are
 * /dev/null and its language is C. It is looked for in the system's own folders: what PATH says is not asked.
 *
 * shape   argv[0] is the program's name; ret has at most size - 1 bytes and ends with 0, what is more is dropped
 * errors  -ENOENT there is no such program; -ETIMEDOUT: it and its children were killed at the deadline
 * returns its exit code; 128 + signal when a signal ended it
 */
int command_run(const char *const argv[], char *ret, size_t size, uint64_t deadline_ns);
