/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/gmond.h"
#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { GMOND_CHUNK_BYTES = 65536 };

static int gmond_wait(int fd, short events, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, clock_ms_until(deadline_ns));

        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (clock_mono_ns() >= deadline_ns)
            return -ETIMEDOUT;
    }
}

static int gmond_connect_to(const struct addrinfo *a, uint64_t deadline_ns)
{
    AUTO(close_p)
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    socklen_t len = sizeof(int);
    int fault = 0, r;

    if (fd < 0)
        return -errno;
    if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return -errno;
        r = gmond_wait(fd, POLLOUT, deadline_ns);
        if (r < 0)
            return r;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &len) < 0)
            return -errno;
        if (fault)
            return -fault;
    }
    return TAKE_FD(fd);
}

/* The first address that answers; the descriptor. */
static int gmond_connect(const char *host, uint16_t port, uint64_t deadline_ns, struct err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char service[8];
    int r;

    snprintf(service, sizeof service, "%u", port);
    r = getaddrinfo(host, service, &hints, &list);
    if (r != 0) {
        err_say(err, "%s", gai_strerror(r));
        if (err)
            err->code = EHOSTUNREACH;
        return -EHOSTUNREACH;
    }
    r = -EHOSTUNREACH;
    for (const struct addrinfo *a = list; a && r < 0 && r != -ETIMEDOUT; a = a->ai_next)
        r = gmond_connect_to(a, deadline_ns);
    freeaddrinfo(list);
    return r < 0 ? err_set(err, r, "connecting") : r;
}

static int gmond_feed(int fd, struct gmond_xml *xml, uint64_t deadline_ns, struct err *err)
{
    char chunk[GMOND_CHUNK_BYTES];

    for (;;) {
        int r = gmond_wait(fd, POLLIN, deadline_ns);
        ssize_t n;

        if (r < 0)
            return err_set(err, r, "waiting for its answer");
        n = recv(fd, chunk, sizeof chunk, 0);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_set(err, errno, "reading its answer");
        if (n > 0 && (r = gmond_xml_feed(xml, chunk, (size_t)n, err)) < 0)
            return r;
        /* It may never come to an end. */
        if (clock_mono_ns() >= deadline_ns)
            return err_set(err, ETIMEDOUT, "reading its answer");
    }
}

int gmond_read(const char *host, uint16_t port, uint64_t timeout_ns, struct gmond_hosts *ret_hosts,
               uint64_t *ret_at_ns, struct err *err)
{
    uint64_t deadline = clock_mono_ns() + timeout_ns;
    struct gmond_xml *xml = NULL;
    AUTO(close_p) int fd = -1;
    int r = gmond_xml_new(&xml, err);

    if (r < 0)
        return r;
    fd = gmond_connect(host, port, deadline, err);
    r = fd < 0 ? fd : gmond_feed(fd, xml, deadline, err);
    if (r == 0)
        r = gmond_xml_end(xml, ret_hosts, err);
    if (r == 0)
        *ret_at_ns = clock_mono_ns();
    gmond_xml_free(xml);
    return r;
}
