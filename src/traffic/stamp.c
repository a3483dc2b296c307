/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/stamp.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

int stamp_enable(int fd)
{
    const int on = 1;

    return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0 ? -errno : 0;
}

void stamp_sync(struct stamp *stamp)
{
    uint64_t best = UINT64_MAX;

    /*
     * Being put aside between the readings would shift all stamps of the drain: the closest pair
     * counts.
     */
    for (int i = 0; i < 4 && best > CLOCK_US; i++) {
        uint64_t before = clock_mono_ns(), wall = clock_wall_ns(), after = clock_mono_ns();

        if (after - before < best) {
            best = after - before;
            stamp->ahead_ns = (int64_t)(wall - (before + best / 2));
        }
        stamp->now_ns = after;
    }
}

uint64_t stamp_arrival_ns(struct stamp *stamp, const struct msghdr *message)
{
    int64_t at = (int64_t)stamp->now_ns;
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR((struct msghdr *)message, c)) {
        struct timespec ts;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&ts, CMSG_DATA(c), sizeof ts);
        at = (int64_t)ts.tv_sec * CLOCK_S + ts.tv_nsec - stamp->ahead_ns;
        break;
    }
    if (at > (int64_t)stamp->now_ns)
        at = (int64_t)stamp->now_ns;
    if (at < (int64_t)stamp->newest_ns)
        at = (int64_t)stamp->newest_ns;
    stamp->newest_ns = (uint64_t)at;
    return stamp->newest_ns;
}
