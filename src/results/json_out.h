/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdio.h>

/*
 * Write a JSON document for people and programs: keys in their order, an indent of one, a newline at the end.
 *
 * errors  the errno of the write that failed (-ENOSPC, -EPIPE), also when only the last flush or close notices
 */
int json_out_write(const json_t *document, FILE *out, struct err *err);
/* The same on one line. */
int json_out_line(const json_t *document, FILE *out, struct err *err);
/* To a file, which is made or replaced; "-" is stdout. */
int json_out_file(const json_t *document, const char *path, struct err *err);

/* 15 digits read back as what was measured and do not show 0.1 as 0.10000000000000001. */
#define JSON_OUT_FLAGS (JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY)
