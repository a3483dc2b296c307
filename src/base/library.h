/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stddef.h>

/*
 * A shared library that few commands need: opened when the first of its functions is, so that the others neither start
 * slower nor hold its memory (libssh and libpcap bring twelve libraries along).
 *
 * shape   rows name functions, and where their pointers stand in table
 * errors  -ENOENT it is not there, or lacks a function, with the package that has it
 * owns    it stays open
 */
struct library_row {
    const char *name;
    size_t offset; /* of the pointer, in table */
};

int library_open(const char *soname, const char *package, const struct library_row rows[],
                 size_t n_rows, void *table, struct err *err);
