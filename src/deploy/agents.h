/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/sha256.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The agents that this program has inside, as they were when it was built: static, one for each machine that there was a
 * compiler for. A build with sanitizers has none for its own machine.
 */
struct agent_image {
    const char *name; /* of the machine, as `uname -m` says */
    uint16_t machine; /* e_machine of its ELF header */
    const uint8_t *bytes;
    size_t size;
    char hash[SHA256_TEXT_SIZE];
};

/* The i-th, or NULL behind the last. Constant, for all threads. */
const struct agent_image *agents_at(unsigned i);
/* The one for that machine, or NULL. */
const struct agent_image *agents_find(uint16_t machine);

/* "x86_64" … of an e_machine; "another machine" */
const char *agents_machine_name(uint16_t machine);

/*
 * The agent of this machine as a file without a name, for a program that has lost its neighbour: a path that works in this
 * process and in those that it starts. It is there until this process ends.
 *
 * errors  -ENOENT there is none inside; those of memfd_create(2)
 */
int agents_file(char *ret_path, size_t size, struct err *err);
