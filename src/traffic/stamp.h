/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

/*
 * The kernel's receive stamps on the monotonic clock: when a datagram reached this machine's stack,
 * however late the thread came to read it.
 *
 * The kernel stamps by the wall clock, which may be stepped. So both clocks are read at each drain,
 * and a converted stamp is held between the last arrival and now: a step spoils one drain by at
 * most the time since the drain before it.
 *
 * units   ns
 * source  SO_TIMESTAMPNS in socket(7)
 */
enum { STAMP_CONTROL_BYTES = CMSG_SPACE(sizeof(struct timespec)) };

struct stamp {
    uint64_t now_ns;    /* monotonic, when the clocks were read */
    int64_t ahead_ns;   /* wall less monotonic */
    uint64_t newest_ns; /* last arrival; stamps do not go back behind it */
};

/* Ask for stamps; 0 or a negative errno. */
int stamp_enable(int fd);

/* Read both clocks: right after the drain's recvmmsg(). */
void stamp_sync(struct stamp *stamp);

/* When the message arrived, monotonic; now_ns when it has no stamp. */
uint64_t stamp_arrival_ns(struct stamp *stamp, const struct msghdr *message);
