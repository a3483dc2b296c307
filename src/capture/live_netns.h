/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Doing things in another network namespace on a thread of its own, so that no other thread moves.
 *
 * errors  -ENOENT no such namespace; -EPERM entering it needs CAP_SYS_ADMIN; -ENODEV no such interface
 */

/* "" our own, "name:vm1", "pid:123". Returns a descriptor, the caller's: it keeps the namespace alive while it is open. */
int live_netns_open(const char *netns, struct err *err);
/* Run fn in it; returns what fn does. ns negative: in a new one, which lives as long as what fn opens there. */
int live_netns_do(int ns, int (*fn)(void *arg, struct err *err), void *arg, struct err *err);

/* An interface of the namespace that the calling thread is in. */
struct live_netns_link {
    uint32_t ifindex;
    uint16_t type; /* ARPHRD_… */
    bool ethernet; /* frames begin with an Ethernet header; else with IP's */
};
int live_netns_find(const char *ifname, struct live_netns_link *ret_link, struct err *err);
