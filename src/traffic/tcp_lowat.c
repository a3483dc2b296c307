/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/tcp_lowat.h"
#include "base/clock.h"
#include "traffic/endpoint.h"

enum {
    LOWAT_MOST = 1 << 20,
    LOWAT_MOST_MANY =
        256 << 10, /* with many flows: what waits in all of them is memory, and late */
    LOWAT_FEW = 4,
    LOWAT_LEAST = 16 << 10, /* below that a wake-up is worth its bytes */
};

uint32_t tcp_lowat_for(uint64_t come, uint64_t over_ns, uint32_t most)
{
    double want = over_ns ? (double)come * CLOCK_MS / (double)over_ns : 0;
    uint32_t bytes = most;

    /* A power of two below most: it is not set anew for every small change. */
    while (bytes >= LOWAT_LEAST && bytes > want)
        bytes /= 2;
    return bytes >= LOWAT_LEAST ? bytes : 1;
}

static void lowat_set(struct tcp_lowat *lowat, int fd, uint32_t bytes)
{
    int value = (int)bytes;

    if (bytes == lowat->bytes)
        return;
    lowat->bytes = bytes;
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value);
}

void tcp_lowat_init(struct tcp_lowat *lowat, int fd, uint32_t n_flows, uint32_t window_bytes)
{
    *lowat =
        (struct tcp_lowat){.bytes = 1, .most = n_flows > LOWAT_FEW ? LOWAT_MOST_MANY : LOWAT_MOST};
    /* Half of a buffer is window, and no more than half of that may wait to be read. The kernel cuts at the whole window. */
    if (window_bytes) {
        int buffer = socket_receive_buffer(fd, 0);

        if (buffer >= 0 && (uint32_t)buffer / 4 < lowat->most)
            lowat->most = (uint32_t)buffer / 4;
    }
}

void tcp_lowat_adapt(struct tcp_lowat *lowat, int fd, uint64_t over_ns)
{
    lowat_set(lowat, fd, tcp_lowat_for(lowat->come, over_ns, lowat->most));
    lowat->come = 0;
}

void tcp_lowat_end(struct tcp_lowat *lowat, int fd) { lowat_set(lowat, fd, 1); }
