/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/channel.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    CHANNEL_FIRST_SIZE = 32 * 1024,
    CHANNEL_ROOM_S = 5,   /* for the other side to take a byte */
    CHANNEL_WHOLE_S = 60, /* for a whole message, which a slow line may carry slowly */
    CHANNEL_CHUNK = 4096, /* what a pipe takes without blocking once poll says there is room */
};

int channel_init(struct channel *channel, int in_fd, int out_fd, struct err *err)
{
    int flags = fcntl(in_fd, F_GETFL);

    *channel = (struct channel){.in_fd = in_fd, .out_fd = out_fd};
    if (flags < 0 || fcntl(in_fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(err, errno, "making the control pipe non-blocking");
    channel->buf = malloc(CHANNEL_FIRST_SIZE);
    if (!channel->buf)
        return err_set(err, ENOMEM, "memory for the control pipe");
    channel->size = CHANNEL_FIRST_SIZE;
    pthread_mutex_init(&channel->send_lock, NULL);
    channel->last_sent_ns = channel->last_read_ns = clock_mono_ns();
    return 0;
}

void channel_done(struct channel *channel)
{
    if (!channel->buf)
        return;
    free(channel->buf);
    pthread_mutex_destroy(&channel->send_lock);
    *channel = (struct channel){.in_fd = -1, .out_fd = -1};
}

/* Bytes given out are dropped at the next read, not before: messages point into them. */
static void channel_compact(struct channel *channel)
{
    if (channel->taken == 0)
        return;
    memmove(channel->buf, channel->buf + channel->taken, channel->used - channel->taken);
    channel->used -= channel->taken;
    channel->taken = 0;
}

static int channel_grow(struct channel *channel)
{
    const size_t most = CHANNEL_MAX_BLOB + LINE_MAX_BYTES + 1;
    size_t size = channel->size * 2 > most ? most : channel->size * 2;
    char *grown;

    if (channel->size >= most)
        return -E2BIG;
    grown = realloc(channel->buf, size);
    if (!grown)
        return -ENOMEM;
    channel->buf = grown;
    channel->size = size;
    return 0;
}

int channel_fill(struct channel *channel, struct err *err)
{
    ssize_t n;
    int r;

    channel_compact(channel);
    if (channel->used == channel->size && (r = channel_grow(channel)) < 0)
        return err_set(err, r, "room for a message on the control pipe");
    n = read(channel->in_fd, channel->buf + channel->used, channel->size - channel->used);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0
                                                 : err_set(err, errno, "reading the control pipe");
    if (n == 0)
        return err_set(err, EPIPE, "the control pipe was closed");
    channel->used += (size_t)n;
    channel->last_read_ns = clock_mono_ns();
    return 1;
}

/*
 * How many bytes follow the line p[len]; its last word says so, whatever the rest of the line is worth. 1 it says so,
 * 0 nothing follows, -E2BIG.
 */
static int channel_blob(const char *p, size_t len, size_t *ret_n)
{
    static const char key[] = " blob=";
    size_t at = len, n = 0;

    while (at > 0 && p[at - 1] >= '0' && p[at - 1] <= '9')
        at--;
    *ret_n = 0;
    if (at == len || at < sizeof key - 1 ||
        memcmp(p + at - (sizeof key - 1), key, sizeof key - 1) != 0)
        return 0;
    for (; at < len; at++) {
        n = n * 10 + (size_t)(p[at] - '0');
        if (n > CHANNEL_MAX_BLOB)
            return -E2BIG;
    }
    *ret_n = n;
    return 1;
}

/* The line text[len] becomes ret_message->line. A blob= that the count of bytes did not see is refused. */
static int channel_cut(char *text, size_t len, bool counted, struct message *ret_message,
                       struct err *err)
{
    const bool has_nul = memchr(text, 0, len);
    enum line_fault fault = has_nul ? LINE_BAD_VALUE : line_cut(text, len, &ret_message->line);

    if (fault != LINE_OK) {
        err_say(err, "the line '%.60s' %s", text, line_fault_words[fault]);
        return -EBADMSG;
    }
    if (!counted && line_get(&ret_message->line, "blob")) {
        err_say(err, "the line '%.60s' has a blob= that is no number, or not at its end", text);
        return -EBADMSG;
    }
    return 0;
}

int channel_next(struct channel *channel, struct message *ret_message, struct err *err)
{
    char *p = channel->buf + channel->taken, *end;
    size_t left = channel->used - channel->taken, len, n_blob;
    int counted;

    end = memchr(p, '\n', left > LINE_MAX_BYTES ? LINE_MAX_BYTES + 1 : left);
    if (!end && left > LINE_MAX_BYTES)
        return err_set(err, E2BIG, "a line longer than %d bytes on the control pipe",
                       LINE_MAX_BYTES);
    if (!end)
        return 0;
    len = (size_t)(end - p);
    counted = channel_blob(p, len, &n_blob);
    if (counted < 0)
        return err_set(err, E2BIG, "a blob of more than %d bytes on the control pipe",
                       CHANNEL_MAX_BLOB);
    if (left < len + 1 + n_blob)
        return 0;
    channel->taken += len + 1 + n_blob;
    *end = 0;
    if (channel_cut(p, len, counted > 0, ret_message, err) < 0)
        return -EBADMSG;
    ret_message->blob = n_blob ? (const uint8_t *)end + 1 : NULL;
    ret_message->n_blob = n_blob;
    return 1;
}

/* Wait for room, at most CHANNEL_ROOM_S and not beyond end_ns. The descriptor may be a blocking one. */
static int channel_room(struct channel *channel, uint64_t end_ns)
{
    uint64_t until_ns = clock_mono_ns() + (uint64_t)CHANNEL_ROOM_S * CLOCK_S;
    int n;

    if (until_ns > end_ns)
        until_ns = end_ns;
    do {
        struct pollfd pfd = {.fd = channel->out_fd, .events = POLLOUT};

        n = poll(&pfd, 1, clock_ms_until(until_ns));
    } while (n < 0 && errno == EINTR);
    return n > 0 ? 0 : n < 0 ? -errno : -ETIMEDOUT;
}

static int channel_write(struct channel *channel, const struct iovec *parts, size_t n_parts)
{
    const uint64_t end_ns = clock_mono_ns() + (uint64_t)CHANNEL_WHOLE_S * CLOCK_S;

    for (size_t i = 0; i < n_parts; i++) {
        const char *p = parts[i].iov_base;
        size_t left = parts[i].iov_len;

        while (left) {
            int r = channel_room(channel, end_ns);
            ssize_t n;

            if (r < 0)
                return r;
            n = write(channel->out_fd, p, left < CHANNEL_CHUNK ? left : CHANNEL_CHUNK);
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                return -errno;
            if (n > 0) {
                p += n;
                left -= (size_t)n;
            }
        }
    }
    return 0;
}

int channel_send(struct channel *channel, struct line_out *line, const void *blob, size_t n_blob,
                 struct err *err)
{
    struct iovec parts[2];
    size_t len;
    int r;

    if (n_blob > CHANNEL_MAX_BLOB)
        return err_set(err, E2BIG, "a blob of %zu bytes", n_blob);
    if (n_blob)
        line_put_u64(line, "blob", n_blob);
    len = line_end(line);
    if (len == 0 || len > LINE_MAX_BYTES + 1)
        return err_set(err, E2BIG, "a line longer than %zu bytes",
                       line->size < LINE_MAX_BYTES ? line->size : (size_t)LINE_MAX_BYTES);
    parts[0] = (struct iovec){line->buf, len};
    parts[1] = (struct iovec){(void *)(uintptr_t)blob, n_blob};
    pthread_mutex_lock(&channel->send_lock);
    if (channel->send_error == 0)
        channel->send_error = channel_write(channel, parts, n_blob ? 2 : 1);
    r = channel->send_error;
    channel->last_sent_ns = clock_mono_ns();
    pthread_mutex_unlock(&channel->send_lock);
    return r < 0 ? err_set(err, r, "writing to the control pipe") : 0;
}
