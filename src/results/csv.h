/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/*
 * A run as comma-separated values: a line of names, then one a measurement, and one for a scenario without any.
 *
 * units   by the suffix of the column's name; a value that is not there is an empty field
 * source  RFC 4180: lines end in CR LF, a quote inside quotes is doubled
 */
void csv_print(const json_t *document, FILE *out);
