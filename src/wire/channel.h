/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "wire/line.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Lines, and counted blobs behind them, over a pair of file descriptors. A line whose last key is blob=N is followed by
 * N bytes.
 *
 * Reading is for one thread; channel_send() may be called by several.
 *
 * errors  -EPIPE, -ECONNRESET the other side is gone; -ETIMEDOUT; -EBADMSG a line that is none: reading goes on behind it
 */
enum { CHANNEL_MAX_BLOB = 4 << 20 };

struct channel {
    int in_fd;  /* lent */
    int out_fd; /* lent */
    char *buf;  /* owned */
    size_t size, used, taken;
    pthread_mutex_t send_lock;
    int send_error;                /* negative errno of the send that failed; under send_lock */
    _Atomic uint64_t last_sent_ns; /* monotonic */
    uint64_t last_read_ns;
};

struct message {
    struct line line;    /* points into the channel: valid until the next channel call */
    const uint8_t *blob; /* likewise; NULL when there is none */
    size_t n_blob;
};

/* Makes in_fd non-blocking. */
int channel_init(struct channel *channel, int in_fd, int out_fd, struct err *err);
void channel_done(struct channel *channel);

/* Read what is there. 0 nothing now, 1 something came, -EPIPE the end. */
int channel_fill(struct channel *channel, struct err *err);

/* The next whole message of what was read: 1, 0 none yet, -EBADMSG (cut off: skipped), -E2BIG (cannot go on). */
int channel_next(struct channel *channel, struct message *ret_message, struct err *err);

/*
 * Send a line made with line_begin() … (without line_end()), with an optional blob.
 *
 * errors  -ETIMEDOUT no room for 5 s, or not all gone after 60 s; -E2BIG too much: nothing was sent. Any other failure
 *         is for good, as a line may have been cut off: every later call fails the same way.
 */
int channel_send(struct channel *channel, struct line_out *line, const void *blob, size_t n_blob,
                 struct err *err);
