/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdint.h>

/*
 * A STAMP reflector (RFC 8762, stateless) on a UDP socket of the caller; needs no session and no
 * token.
 *
 *     bind a socket; stamp_reflector_init(); as often as it is readable: stamp_reflect(); stamp_reflector_done()
 *
 * Answers test packets only, each with as many bytes as it had and from the address it came to;
 * answers of other reflectors, short ones, and what came by broadcast or multicast are ignored. So
 * nothing is amplified and no two reflectors keep each other busy.
 *
 * shape   one reflector a thread; the socket may be connected or not, of IPv4, IPv6, or both
 * owns    its buffers; the socket stays the caller's and has to stay open
 */
enum { STAMP_REFLECT_PORT = 862 };

struct stamp_reflector {
    int fd;             /* lent by the caller of stamp_reflector_init() */
    uint8_t *bytes;     /* owned; the packet */
    uint16_t error;     /* error estimate of this machine's clock, read again each second */
    uint64_t looked_ns; /* CLOCK_MONOTONIC, when it was */
    uint16_t ssid;      /* 0: that of the test packet is returned, as RFC 8972 has it */
    uint64_t reflected; /* packets answered so far */
    uint64_t ignored;   /* no test packets, or answers that could not leave */
    uint64_t bytes_in;  /* of the one that was answered last */
};

/* Set the socket up (kernel stamps, TTL, addresses). errors  -ENOMEM; what setsockopt(2) said */
int stamp_reflector_init(struct stamp_reflector *r, int fd, struct err *err);
void stamp_reflector_done(struct stamp_reflector *r);

/* Answer what waits in the socket, at most 64 packets. Returns how many were read, 0 none; -errno. Never blocks. */
int stamp_reflect(struct stamp_reflector *r);

/*
 * One packet; flags is 0 (blocks as the socket does) or MSG_DONTWAIT. Returns 1 answered, 0 ignored, -EAGAIN none,
 * another -errno: the socket is broken.
 */
int stamp_reflect_one(struct stamp_reflector *r, int flags);

/* The error estimate of this machine's wall clock, as adjtimex(2) knows it, in NTP's format (Z 0). */
uint16_t stamp_reflect_clock(void);
