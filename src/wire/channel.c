/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/channel.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CHANNEL_FIRST_SIZE = 32 * 1024, CHANNEL_SEND_S = 5 };

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

    channel_compact(channel);
    if (channel->used == channel->size && channel_grow(channel) < 0)
        return err_set(err, E2BIG, "a message on the control pipe");
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

/* How many bytes follow the line that ends at p + len; its last word says so. */
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
    return 0;
}

int channel_next(struct channel *channel, struct message *ret_message, struct err *err)
{
    char *p = channel->buf + channel->taken, *end;
    size_t left = channel->used - channel->taken, len, n_blob;
    enum line_fault fault;

    end = memchr(p, '\n', left);
    if (!end && left > LINE_MAX_BYTES)
        return err_set(err, E2BIG, "a line longer than %d bytes on the control pipe",
                       LINE_MAX_BYTES);
    if (!end)
        return 0;
    len = (size_t)(end - p);
    if (channel_blob(p, len, &n_blob) < 0)
        return err_set(err, E2BIG, "a blob of more than %d bytes on the control pipe",
                       CHANNEL_MAX_BLOB);
    if (left < len + 1 + n_blob)
        return 0;
    channel->taken += len + 1 + n_blob;
    *end = 0;
    fault = memchr(p, 0, len) ? LINE_BAD_VALUE : line_cut(p, len, &ret_message->line);
    if (fault != LINE_OK) {
        err_say(err, "the line '%.60s' %s", p, line_fault_words[fault]);
        return -EBADMSG;
    }
    ret_message->blob = n_blob ? (const uint8_t *)end + 1 : NULL;
    ret_message->n_blob = n_blob;
    return 1;
}

static int channel_write(struct channel *channel, const struct iovec *parts, size_t n_parts,
                         struct err *err)
{
    uint64_t deadline = clock_mono_ns() + (uint64_t)CHANNEL_SEND_S * CLOCK_S;

    for (size_t i = 0; i < n_parts; i++) {
        const char *p = parts[i].iov_base;
        size_t left = parts[i].iov_len;

        while (left) {
            struct pollfd pfd = {.fd = channel->out_fd, .events = POLLOUT};
            ssize_t n;

            if (poll(&pfd, 1, clock_ms_until(deadline)) == 0)
                return err_set(err, ETIMEDOUT, "writing to the control pipe");
            n = write(channel->out_fd, p, left < 4096 ? left : 4096);
            if (n < 0 && errno != EAGAIN && errno != EINTR)
                return err_set(err, errno, "writing to the control pipe");
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

    if (n_blob)
        line_put_u64(line, "blob", n_blob);
    len = line_end(line);
    if (len == 0)
        return err_set(err, E2BIG, "a line longer than %zu bytes", line->size);
    parts[0] = (struct iovec){line->buf, len};
    parts[1] = (struct iovec){(void *)(uintptr_t)blob, n_blob};
    pthread_mutex_lock(&channel->send_lock);
    r = channel_write(channel, parts, n_blob ? 2 : 1, err);
    channel->last_sent_ns = clock_mono_ns();
    pthread_mutex_unlock(&channel->send_lock);
    return r;
}
