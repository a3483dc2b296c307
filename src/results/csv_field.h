/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/*
 * One field of comma-separated values, in quotes where it needs them; a value that is not there is an empty field.
 *
 * source  RFC 4180: a quote inside quotes is doubled
 */
void csv_field_text(const char *text, FILE *out);
void csv_field_value(const json_t *value, FILE *out);
