/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * A decimal number of another program, "12", "0.5", "1.2345e+06", whatever the locale: digits, a point, an exponent. No
 * sign but a minus in front, no NaN, no infinity: those are false. All n bytes must be of it.
 */
bool number_parse(const char *text, size_t n, double *ret_number);
