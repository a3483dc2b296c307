/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * How many bytes a receiver waits for before it is woken (SO_RCVLOWAT): what comes in a millisecond.
 *
 * A fast path then wakes it for a megabyte and not for each 64 KiB, which costs a fast sender more than the receiver; a
 * slow one, or one that has slowed down, wakes it as ever, so that bytes are counted when they come. Never so much that
 * the window could be shut before it is there.
 *
 * units   bytes
 */
struct tcp_lowat {
    uint32_t bytes; /* in force; 1 to begin with, as on every socket */
    uint32_t most;
    uint64_t come; /* since it was looked at last; whoever reads adds to it */
};

/* For one of n_flows sockets; window_bytes is what was asked for, 0 when the kernel tunes it. */
void tcp_lowat_init(struct tcp_lowat *lowat, int fd, uint32_t n_flows, uint32_t window_bytes);
/* Set it by what has come in that time. */
void tcp_lowat_adapt(struct tcp_lowat *lowat, int fd, uint64_t over_ns);
/* As it was: woken for every byte. */
void tcp_lowat_end(struct tcp_lowat *lowat, int fd);

/* What a path that brings come bytes in over_ns wants; arithmetic only. */
uint32_t tcp_lowat_for(uint64_t come, uint64_t over_ns, uint32_t most);
