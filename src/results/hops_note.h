/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/*
 * What a reader of hops must know beside the numbers: how they were taken and how far they are off, clocks, losses that are
 * bounds, packets that are in no delay, warnings.
 *
 * shape   hops as hops_json() makes them. note is called once a sentence, in order; text is lent for the call and has no
 *         control characters
 */
void hops_note_each(const json_t *hops, void (*note)(void *arg, const char *text), void *arg);
