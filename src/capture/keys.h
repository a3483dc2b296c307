/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/seen.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Packets and flows as an agent sends them to the matcher: the same bytes on every machine, little endian.
 *
 * shape   KEYS_BYTES a packet, its point left out; KEYS_FLOW_BYTES a flow: its hash, then its words
 */
enum { KEYS_BYTES = 40, KEYS_FLOW_BYTES = 42 };

void keys_pack(const struct seen *seen, uint8_t *ret_bytes);
void keys_unpack(const uint8_t *bytes, unsigned point, struct seen *ret_seen);
void keys_pack_flow(uint32_t flow, const struct seen_flow *words, uint8_t *ret_bytes);
void keys_unpack_flow(const uint8_t *bytes, uint32_t *ret_flow, struct seen_flow *ret_words);
