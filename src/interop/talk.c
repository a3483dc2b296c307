/* SPDX-License-Identifier: Apache-2.0 */
#include "interop/talk.h"
#include "base/auto.h"
#include "base/clock.h"
#include "traffic/endpoint.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Until fd has one of the events. 0, -ECANCELED, -ETIMEDOUT: also when it has them but the time was over before. */
static int talk_wait(const struct talk *talk, short events, uint64_t deadline_ns)
{
    while (clock_mono_ns() < deadline_ns) {
        struct pollfd p[2] = {{.fd = talk->stop_fd, .events = POLLIN},
                              {.fd = talk->fd, .events = events}};
        int n = poll(p, 2, clock_ms_until(deadline_ns));

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0 && p[0].revents)
            return -ECANCELED;
        if (n > 0 && p[1].revents)
            return 0;
    }
    return -ETIMEDOUT;
}

int talk_connect(const struct flow_spec *spec, int type, int stop_fd, uint64_t deadline_ns,
                 int *ret_fd, struct err *err)
{
    union socket_address address;
    socklen_t len;
    AUTO(close_p) int fd = -1;
    int code = 0, r = socket_address(spec->address, spec->port, &address, &len, err);

    if (r < 0)
        return r;
    fd = socket(address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, errno, "opening a socket");
    r = socket_prepare(fd, spec, err);
    if (r == 0 && type == SOCK_STREAM)
        r = socket_set_cc(fd, spec->cc, err);
    if (r < 0)
        return r;
    if (connect(fd, &address.any, len) < 0) {
        const struct talk talk = {fd, stop_fd};

        if (errno != EINPROGRESS)
            return err_set(err, errno, "connecting");
        r = talk_wait(&talk, POLLOUT, deadline_ns);
        if (r < 0)
            return err_set(err, r, "connecting");
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &(socklen_t){sizeof code});
        if (code)
            return err_set(err, code, "connecting");
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int talk_send(const struct talk *talk, const void *bytes, size_t n, uint64_t deadline_ns,
              const char *what, struct err *err)
{
    const char *from = bytes;

    while (n > 0) {
        ssize_t sent = send(talk->fd, from, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        int r = 0;

        if (sent < 0 && errno == EAGAIN)
            r = talk_wait(talk, POLLOUT, deadline_ns);
        else if (sent < 0 && errno != EINTR)
            r = errno == EPIPE ? -ECONNRESET : -errno;
        if (r < 0)
            return err_set(err, r, "sending %s", what);
        from += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

ssize_t talk_take(const struct talk *talk, void *bytes, size_t size, uint64_t deadline_ns)
{
    for (;;) {
        int r = talk_wait(talk, POLLIN, deadline_ns);
        ssize_t n;

        if (r < 0)
            return r;
        n = recv(talk->fd, bytes, size, MSG_DONTWAIT);
        if (n >= 0)
            return n;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
}

int talk_receive(const struct talk *talk, void *bytes, size_t n, uint64_t deadline_ns,
                 const char *what, struct err *err)
{
    char *to = bytes;

    while (n > 0) {
        ssize_t got = talk_take(talk, to, n, deadline_ns);

        if (got == 0)
            return err_set(err, ECONNRESET, "it closed the connection instead of sending %s", what);
        if (got < 0)
            return err_set(err, (int)got, "waiting for %s", what);
        to += got;
        n -= (size_t)got;
    }
    return 0;
}

int talk_send_text(const struct talk *talk, const char *text, size_t n, uint64_t deadline_ns,
                   const char *what, struct err *err)
{
    const uint32_t length = htobe32((uint32_t)n);
    int r = talk_send(talk, &length, sizeof length, deadline_ns, what, err);

    return r < 0 ? r : talk_send(talk, text, n, deadline_ns, what, err);
}

int talk_receive_text(const struct talk *talk, size_t most, uint64_t deadline_ns, const char *what,
                      char **ret_text, size_t *ret_n, struct err *err)
{
    AUTO(free_p) char *text = NULL;
    uint32_t length = 0;
    int r = talk_receive(talk, &length, sizeof length, deadline_ns, what, err);

    if (r < 0)
        return r;
    length = be32toh(length);
    if (length > most)
        return err_set(err, EMSGSIZE, "%s are said to have %u bytes, more than %zu", what, length,
                       most);
    text = malloc((size_t)length + 1);
    if (!text)
        return err_set(err, ENOMEM, "memory for %s", what);
    r = talk_receive(talk, text, length, deadline_ns, what, err);
    if (r < 0)
        return r;
    text[length] = 0;
    *ret_text = TAKE(text);
    *ret_n = length;
    return 0;
}

int talk_join(int a_fd, int b_fd)
{
    struct epoll_event e = {.events = EPOLLIN};
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return -errno;
    if ((a_fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, a_fd, &e) < 0) ||
        (b_fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, b_fd, &e) < 0)) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}
