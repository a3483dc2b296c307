/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Payload that is sent without being copied: a few pages, put into a pipe once, from which each send takes references
 * (tee) that the socket carries away (splice).
 *
 * On veth this beats sendfile() from a memfd, which looks its pages up again each time, by two fifths in rate and CPU;
 * and MSG_ZEROCOPY by more, whose pages veth and loopback copy when they deliver.
 *
 * The socket is given 16 pages at a time, whatever the call asks for. So each page holds a sixteenth of the largest packet
 * that TCP builds: with full pages every such packet is followed by one of a few hundred bytes, which costs as much.
 *
 * units   bytes
 * owns    descriptors; tcp_pages_done() closes them. The pages live until the last packet that carries them is gone.
 * source  tee(2), splice(2); splice_to_socket() in fs/splice.c
 */
struct tcp_pages {
    int source[2]; /* owned; never read, so always full */
    int out[2];    /* owned; what the sockets take from */
    size_t size;   /* bytes that source holds */
    size_t left;   /* in out */
};

/*
 * For connections of that MSS, 0 unknown; others work as well, only slower. 0 or -errno: the kernel refuses one of the
 * calls, or has no pipe left for this user.
 */
int tcp_pages_init(struct tcp_pages *pages, uint32_t mss_bytes);
/* The largest packet that TCP builds of such segments before the device cuts it; arithmetic only. */
uint32_t tcp_pages_unit(uint32_t mss_bytes);
/* Takes a zeroed one too, when its init was never called. */
void tcp_pages_done(struct tcp_pages *pages);

/*
 * Send at most most bytes; as a send(): what the socket took, or -1 and errno. Without wait it returns when the socket is
 * full; before Linux 6.5 that takes O_NONBLOCK of the socket, too.
 */
ssize_t tcp_pages_send(struct tcp_pages *pages, int fd, size_t most, bool wait);
