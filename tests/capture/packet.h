/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "simulate.h"

/*
 * Bytes of what a point sees: headers as they are there (NAT, hop limit, tunnel, checksums), payload that only flow and number
 * tell.
 *
 * source  RFC 791, 8200, 9293, 768, 792, 4443, 9260, 7348, 8926, 2784, 2890, 7637, 2003; IEEE 802.1Q;
 *         tcpdump.org/linktypes.html
 */
enum { PACKET_MAX = 70000, PACKET_FRAGMENTS = 3 };

/* LINKTYPE_ of a point. */
unsigned packet_link(const struct scenario_point *point);
/* How many frames a sight is: datagrams that were sent in fragments are several. */
unsigned packet_frames(const struct simulation *sim, const struct sight *sight);
/* frame: 0 to packet_frames() less one. Returns the length on the wire; buf has PACKET_MAX. */
unsigned packet_build(const struct simulation *sim, unsigned point, const struct sight *sight,
                      unsigned frame, uint8_t *buf);
/* A frame that is no traffic. */
unsigned packet_foreign(const struct simulation *sim, unsigned point, unsigned kind, uint8_t *buf);
