/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "simulate.h"

/*
 * What a matcher must find, from the simulation itself. The definitions stand in truth.c.
 *
 * errors  aborts the program with a sentence
 */
void truth_write(const struct simulation *sim, uint64_t seed, const char *dir);
