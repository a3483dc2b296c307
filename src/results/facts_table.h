/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/*
 * The facts of a saved run's machines for people: a heading a machine, a paragraph a group, what is missing and why, what
 * changed while the run went on. Any JSON is taken; what is not as it should be is left out.
 */
void facts_table_print(const json_t *document, FILE *out);
/* Only what changed, a line each: nothing at all when nothing did. indent stands in front. */
void facts_table_changes(const json_t *document, const char *indent, FILE *out);
