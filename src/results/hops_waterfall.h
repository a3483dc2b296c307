/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/*
 * Where the time goes, drawn: for each direction with more than one hop a bar a hop, each beginning where the one before
 * ended, then their sum beside the whole.
 *
 * shape   hops as hops_json() makes them; whatever is missing or of another type is left out. Lines of at most 100
 *         columns unless names are long; indent stands in front of each
 */
void hops_waterfall_print(const json_t *hops, const char *indent, FILE *out);
