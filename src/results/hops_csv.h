/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/*
 * Hops (as hops_json() makes them) as comma-separated values: a line of names, then one a hop and direction.
 *
 * units   by the suffix of the column's name; a value that is not there is an empty field
 * source  RFC 4180: lines end in CR LF, a quote inside quotes is doubled
 */
void hops_csv_print(const json_t *hops, FILE *out);
