/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "plan/peer.h"

/*
 * The address at which one agent's machine reaches another's: the one that is named (?addr=), that of the interface that is
 * named (?if=), the one by which we are connected to TO ourselves, an address of TO in a network that FROM is in too, or its
 * first. own: only one that TO itself has, as behind a floating address.
 *
 * at is where TO is; both have told their facts.
 *
 * errors  -EHOSTUNREACH it has none
 */
int peer_address(const struct endpoint_text *at, const struct peer *from, const struct peer *to,
                 bool v6, bool own, char *ret, size_t size);

/* Of lists "ADDRESS/PREFIX …": TO's address in a network that FROM is in too, else its first. false: it has none */
bool peer_address_pick(const char *from_list, const char *to_list, int family, char *ret,
                       size_t size);
