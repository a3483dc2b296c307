/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/text.h"
#include "model/ports.h"
#include "traffic/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#ifndef SO_MEMINFO /* musl */
#define SO_MEMINFO 55
#endif

enum { SOCKET_BACKLOG = 2 * FLOW_MAX_FLOWS };

int socket_address(const char *text, uint16_t port, union socket_address *ret_address,
                   socklen_t *ret_len, struct err *err)
{
    union socket_address address = {0};
    int family = text_address(text, err);

    if (family < 0)
        return family;
    if (family == AF_INET) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        inet_pton(AF_INET, text, &address.v4.sin_addr);
        *ret_len = sizeof address.v4;
    } else {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        inet_pton(AF_INET6, text, &address.v6.sin6_addr);
        *ret_len = sizeof address.v6;
    }
    *ret_address = address;
    return 0;
}

/* What the kernel of this namespace offers, on one line; "?" when it does not say. */
static void socket_list_cc(char *ret, size_t size)
{
    AUTO(close_p)
    int fd = open("/proc/sys/net/ipv4/tcp_available_congestion_control", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

    if (n > 0)
        ret[n] = '\0';
    else
        text_copy(ret, size, "?");
    ret[strcspn(ret, "\n")] = '\0';
}

int socket_set_cc(int fd, const char *cc, struct err *err)
{
    char list[160];
    int code;

    if (!cc[0] || setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, (socklen_t)strlen(cc)) == 0)
        return 0;
    code = errno;
    socket_list_cc(list, sizeof list);
    return err_set(err, code, "congestion control '%s' (this machine offers: %s)", cc, list);
}

/* A client's own address, or the interface that its packets leave by. */
static int socket_bind_own(int fd, const struct flow_spec *spec, struct err *err)
{
    int domain = AF_UNSPEC, on = 1;
    union socket_address address;
    socklen_t len;
    int r;

    if (!spec->bind[0] || spec->role != FLOW_CLIENT)
        return 0;
    if (text_address(spec->bind, NULL) < 0) {
        if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, spec->bind, (socklen_t)strlen(spec->bind)) <
            0)
            return err_set(err, errno, "binding to interface %s", spec->bind);
        return 0;
    }
    r = socket_address(spec->bind, 0, &address, &len, err);
    if (r < 0)
        return r;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
    if (domain != address.any.sa_family)
        return err_set(err, EAFNOSUPPORT, "own address %s and peer %s are not of one family",
                       spec->bind, spec->address);
    /* The port is chosen when it is known whom to: several flows may then share one. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, &address.any, len) < 0)
        return err_set(err, errno, "binding to %s", spec->bind);
    return 0;
}

/* The field of IPv4 and that of IPv6: a socket of IPv6 may carry both. */
static void socket_set_dscp(int fd, uint32_t dscp)
{
    int tos = (int)dscp << 2, domain = AF_INET;

    if (dscp == 0)
        return;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain});
    setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    if (domain == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
}

int socket_prepare(int fd, const struct flow_spec *spec, struct err *err)
{
    int mss = (int)spec->mss_bytes, on = 1;

    socket_set_dscp(fd, spec->dscp);
    if (spec->window_bytes) {
        socket_receive_buffer(fd, (int)spec->window_bytes);
        socket_send_buffer(fd, (int)spec->window_bytes);
    }
    if (mss && setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss) < 0)
        return err_set(err, errno, "an MSS of %d", mss);
    if (spec->nodelay)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket_bind_own(fd, spec, err);
}

/* One port: a socket that nobody shares, or -errno. */
static int socket_bind_one(const struct flow_spec *spec, int type, uint16_t port, int *ret_fd,
                           struct err *err)
{
    union socket_address address;
    AUTO(close_p) int fd = -1;
    int on = 1, off = 0;
    socklen_t len;
    int r;

    r = socket_address(spec->address, port, &address, &len, err);
    if (r < 0)
        return r;
    fd = socket(address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return socket_none(spec, errno, err);
    if (address.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off); /* "::" takes IPv4 too */
    r = socket_prepare(fd, spec, err);
    if (r < 0)
        return r;
    /* For streams this only jumps over TIME_WAIT, as a port that somebody listens on stays refused. For datagrams it
       would share the port. */
    if (type == SOCK_STREAM) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        r = socket_set_cc(fd, spec->cc, err);
        if (r < 0)
            return r;
    }
    if (bind(fd, &address.any, len) < 0)
        return err_set(err, errno, "binding %s port %u", spec->address, port);
    if (type == SOCK_STREAM && listen(fd, SOCKET_BACKLOG) < 0)
        return err_set(err, errno, "listening on %s port %u", spec->address, port);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

struct socket_asked {
    const struct flow_spec *spec;
    int type, fd;
    struct err err;
};

static int socket_try(void *arg, uint16_t port)
{
    struct socket_asked *a = arg;

    return socket_bind_one(a->spec, a->type, port, &a->fd, &a->err);
}

int socket_bind_range(const struct flow_spec *spec, int type, uint16_t *ret_port, struct err *err)
{
    struct socket_asked asked = {.spec = spec, .type = type, .fd = -1};
    union socket_address bound = {0};
    socklen_t len = sizeof bound;
    char ports[PORTS_TEXT_SIZE];
    int r = ports_choose(spec->port, spec->port_last, socket_try, &asked);

    if (r == -EADDRINUSE) {
        bool many = spec->port_last > spec->port;

        ports_say(spec->port, spec->port_last, ports);
        err_say(&asked.err, "%s%s %s %s taken (--port names others)", many ? "all of " : "",
                type == SOCK_STREAM ? "TCP" : "UDP", ports, many ? "are" : "is");
        asked.err.code = EADDRINUSE;
    }
    if (r < 0) {
        if (err)
            *err = asked.err;
        return r;
    }
    if (getsockname(asked.fd, &bound.any, &len) < 0) {
        r = err_set(err, errno, "asking for the port");
        close(asked.fd);
        return r;
    }
    *ret_port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return asked.fd;
}

static int socket_buffer(int fd, int force, int plain, int bytes)
{
    int in_force = 0;
    socklen_t len = sizeof in_force;

    if (bytes > 0 && setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
    if (getsockopt(fd, SOL_SOCKET, plain, &in_force, &len) < 0)
        return -errno;
    return in_force;
}

int socket_receive_buffer(int fd, int bytes)
{
    return socket_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, bytes);
}

int socket_send_buffer(int fd, int bytes)
{
    return socket_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bytes);
}

int socket_none(const struct flow_spec *spec, int code, struct err *err)
{
    struct rlimit limit = {0};

    if (code != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set(err, code, "opening a socket");
    return err_set(err, code,
                   "%u flow%s need more than the %llu files this process may have open "
                   "(RLIMIT_NOFILE, ulimit -n)",
                   spec->n_flows, spec->n_flows == 1 ? "" : "s",
                   (unsigned long long)limit.rlim_cur);
}

int socket_timeouts(int fd, unsigned ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) < 0)
        return -errno;
    return 0;
}

int64_t socket_drops(int fd)
{
    uint32_t mem[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof mem;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len) < 0)
        return -errno;
    if (len < (SK_MEMINFO_DROPS + 1) * sizeof mem[0])
        return -ENOTSUP;
    return mem[SK_MEMINFO_DROPS];
}

int socket_path_mtu(int fd)
{
    int mtu = 0, domain = AF_INET;
    socklen_t len = sizeof domain;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
        return -errno;
    len = sizeof mtu;
    if (getsockopt(fd, domain == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
                   domain == AF_INET6 ? IPV6_MTU : IP_MTU, &mtu, &len) < 0)
        return -errno;
    return mtu;
}
