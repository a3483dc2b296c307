/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/hop.h"
#include "model/live_options.h"
#include "wire/line.h"

/*
 * What is to be watched, and what was seen: lines and blobs ↔ live_options, hops.
 *
 * errors  readers refuse with a sentence what is missing, no number or out of bounds; -EBADMSG a blob that is none of ours
 */

/* Keys of a "watch"; the filter goes into a blob of 8 bytes an instruction, NULL and 0 when there is none. */
void hop_message_put_options(struct line_out *out, const struct live_options *options);
/* owns  ret_blob: freed by the caller */
int hop_message_pack_filter(const struct live_options *options, uint8_t **ret_blob, size_t *ret_n,
                            struct err *err);
int hop_message_get_options(const struct line *line, const uint8_t *blob, size_t n_blob,
                            struct live_options *ret_options, struct err *err);

/* The blob of a "hops": points, hops and instrument. owns  ret_blob: freed by the caller */
int hop_message_pack(const struct hops *hops, uint8_t **ret_blob, size_t *ret_n, struct err *err);
/* owns  ret_hops: hops_done() by the caller, also when reading failed */
int hop_message_unpack(const uint8_t *blob, size_t n_blob, struct hops *ret_hops, struct err *err);
