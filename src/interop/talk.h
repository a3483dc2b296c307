/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/flow_spec.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A few bytes to and fro over a non-blocking socket, each with a deadline and a stop.
 *
 * errors  -ECANCELED stop_fd became readable; -ETIMEDOUT; -ECONNRESET the peer closed it (also in the middle of
 *         something); others of the socket. what says in the sentence what was being done
 * units   deadlines by CLOCK_MONOTONIC, ns
 */
struct talk {
    int fd;      /* lent by the caller */
    int stop_fd; /* lent by the caller; -1 none */
};

/* A connection to spec->address and port with what the spec asks of every socket; type SOCK_STREAM or SOCK_DGRAM. */
int talk_connect(const struct flow_spec *spec, int type, int stop_fd, uint64_t deadline_ns,
                 int *ret_fd, struct err *err);

int talk_send(const struct talk *talk, const void *bytes, size_t n, uint64_t deadline_ns,
              const char *what, struct err *err);
int talk_receive(const struct talk *talk, void *bytes, size_t n, uint64_t deadline_ns,
                 const char *what, struct err *err);
/* What comes next: a datagram, or some bytes; how many, 0 also for a stream's end. Deadline and stop go before data. */
ssize_t talk_take(const struct talk *talk, void *bytes, size_t size, uint64_t deadline_ns);

/* iperf3's JSON: 4 bytes of length, big-endian, and the text. */
int talk_send_text(const struct talk *talk, const char *text, size_t n, uint64_t deadline_ns,
                   const char *what, struct err *err);
/* errors: -EMSGSIZE longer than most; owns ret_text: the caller frees it */
int talk_receive_text(const struct talk *talk, size_t most, uint64_t deadline_ns, const char *what,
                      char **ret_text, size_t *ret_n, struct err *err);

/* Both descriptors as one that can be polled; the caller closes it. A negative one is left out. -errno. */
int talk_join(int a_fd, int b_fd);
