/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/tcp_open.h"
#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    TCP_HELLO_S = 2,      /* a connection that has not said hello by then is dropped */
    TCP_MAX_PENDING = 64, /* more wait in the kernel's queue */
};

static void tcp_set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* A client's flow on its way: connecting, then waiting for the welcome. */
struct tcp_opening {
    uint64_t begin_ns;
    bool connected, welcomed;
    uint8_t welcome[TOKEN_WELCOME_BYTES];
    size_t n_welcome;
};

static int tcp_say_hello(const struct engine *engine, struct flow *flow, struct tcp_opening *o,
                         struct err *err)
{
    uint8_t hello[TOKEN_HELLO_BYTES];
    int code = 0;
    socklen_t len = sizeof code;

    if (getsockopt(flow->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code)
        return err_set(err, code, "connecting to %s port %u", engine->spec.address,
                       engine->spec.port);
    o->connected = true;
    flow->connect_ns = clock_mono_ns() - o->begin_ns;
    token_write_hello(&engine->spec, flow->index, hello);
    /* The first bytes of a connection always find room. */
    if (send(flow->fd, hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello)
        return err_set(err, errno, "flow %u: saying hello", flow->index);
    return 0;
}

static int tcp_start_connect(struct engine *engine, struct flow *flow, struct tcp_opening *o,
                             struct err *err)
{
    const struct flow_spec *spec = &engine->spec;
    union socket_address address;
    socklen_t len;
    int r;

    r = socket_address(spec->address, spec->port, &address, &len, err);
    if (r < 0)
        return r;
    flow->fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (flow->fd < 0)
        return socket_none(spec, errno, err);
    r = socket_prepare(flow->fd, spec, err);
    if (r == 0)
        r = socket_set_cc(flow->fd, spec->cc, err);
    if (r < 0)
        return r;
    o->begin_ns = clock_mono_ns();
    if (connect(flow->fd, &address.any, len) < 0 && errno != EINPROGRESS)
        return err_set(err, errno, "connecting to %s port %u", spec->address, spec->port);
    return 0;
}

static int tcp_read_welcome(const struct engine *engine, struct flow *flow, struct tcp_opening *o,
                            struct err *err)
{
    ssize_t n =
        recv(flow->fd, o->welcome + o->n_welcome, sizeof o->welcome - o->n_welcome, MSG_DONTWAIT);
    int unsent = 0;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n == 0 && ioctl(flow->fd, SIOCOUTQ, &unsent) == 0 && unsent > 0)
        return err_set(err, ETIMEDOUT, "flow %u: our hello did not come through", flow->index);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return err_set(err, EACCES, "flow %u: the server closed the connection at our hello",
                       flow->index);
    if (n < 0)
        return err_set(err, errno, "flow %u: waiting for the server's welcome", flow->index);
    o->n_welcome += (size_t)n;
    if (o->n_welcome < sizeof o->welcome)
        return 0;
    if (!token_is_welcome(&engine->spec, flow->index, o->welcome))
        return err_set(err, EACCES, "flow %u: what answers there is not our server", flow->index);
    o->welcomed = true;
    tcp_set_blocking(flow->fd);
    return 0;
}

/* Poll all flows that are still on their way, and the stop. Returns 1 when there is something, 0 to look again. */
static int tcp_poll(const struct engine *engine, struct pollfd *polls, uint32_t n,
                    uint64_t deadline_ns)
{
    int r;

    polls[n] = (struct pollfd){.fd = engine->stop_fd, .events = POLLIN};
    r = poll(polls, n + 1, clock_ms_until(deadline_ns));
    if (r < 0)
        return errno == EINTR ? 0 : -errno;
    if (r > 0 && polls[n].revents)
        return -ECANCELED;
    if (r == 0)
        return clock_mono_ns() >= deadline_ns ? -ETIMEDOUT : 0;
    return 1;
}

static int tcp_open_client(struct engine *engine, struct err *err)
{
    uint64_t deadline = clock_mono_ns() + engine->spec.connect_ns;
    uint32_t n = engine->n_flows, n_left = n;
    AUTO(free_p) struct tcp_opening *openings = calloc(n, sizeof *openings);
    AUTO(free_p) struct pollfd *polls = calloc(n + 1, sizeof *polls);
    int r = 0;

    if (!openings || !polls)
        return err_set(err, ENOMEM, "opening %u flows", n);
    for (uint32_t i = 0; i < n && r == 0; i++)
        r = tcp_start_connect(engine, &engine->flows[i], &openings[i], err);
    while (r >= 0 && n_left) {
        for (uint32_t i = 0; i < n; i++)
            polls[i] = (struct pollfd){.fd = openings[i].welcomed ? -1 : engine->flows[i].fd,
                                       .events = openings[i].connected ? POLLIN : POLLOUT};
        r = tcp_poll(engine, polls, n, deadline);
        if (r < 0)
            return err_set(err, r, "%u of %u flows to %s port %u were not ready", n_left, n,
                           engine->spec.address, engine->spec.port);
        for (uint32_t i = 0; i < n && r >= 0; i++) {
            if (!polls[i].revents)
                continue;
            if (openings[i].connected)
                r = tcp_read_welcome(engine, &engine->flows[i], &openings[i], err);
            else
                r = tcp_say_hello(engine, &engine->flows[i], &openings[i], err);
            n_left -= openings[i].welcomed;
        }
    }
    return r < 0 ? r : 0;
}

int tcp_open(struct engine *engine, struct err *err)
{
    if (engine->spec.role == FLOW_CLIENT)
        return tcp_open_client(engine, err);
    engine->listen_fd = socket_bind_range(&engine->spec, SOCK_STREAM, &engine->port, err);
    return engine->listen_fd < 0 ? engine->listen_fd : 0;
}

/* A connection that has not proved the token yet. */
struct tcp_pending {
    int fd;
    uint64_t deadline_ns;
    uint8_t hello[TOKEN_HELLO_BYTES];
    size_t n_hello;
};

struct tcp_door {
    struct tcp_pending pending[TCP_MAX_PENDING];
    uint32_t n_pending;
    uint32_t n_left; /* flows still missing */
};

static void tcp_drop(struct tcp_door *door, uint32_t i)
{
    if (door->pending[i].fd >= 0)
        close(door->pending[i].fd);
    door->pending[i] = door->pending[--door->n_pending];
}

static int tcp_take(struct engine *engine, struct tcp_door *door)
{
    while (door->n_pending < TCP_MAX_PENDING) {
        int fd = accept4(engine->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        /* Without descriptors or memory it would stay readable for ever; all else is this one connection's bad luck. */
        if (fd < 0)
            return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM
                       ? -errno
                       : 0;
        door->pending[door->n_pending++] = (struct tcp_pending){
            .fd = fd, .deadline_ns = clock_mono_ns() + TCP_HELLO_S * (uint64_t)CLOCK_S};
    }
    return 0;
}

/* 1 a flow is there, 0 not all has come, -EACCES it is none of ours. */
static int tcp_read_hello(struct engine *engine, struct tcp_pending *p)
{
    ssize_t n = recv(p->fd, p->hello + p->n_hello, sizeof p->hello - p->n_hello, MSG_DONTWAIT);
    uint8_t welcome[TOKEN_WELCOME_BYTES];
    struct token_hello hello;
    struct flow *flow;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -EACCES;
    p->n_hello += (size_t)n;
    if (p->n_hello < sizeof p->hello)
        return 0;
    if (token_read_hello(&engine->spec, p->hello, &hello) < 0 || hello.kind != engine->spec.kind ||
        hello.flow_index >= engine->n_flows || engine->flows[hello.flow_index].fd >= 0)
        return -EACCES;
    token_write_welcome(&engine->spec, hello.flow_index, welcome);
    if (send(p->fd, welcome, sizeof welcome, MSG_NOSIGNAL) != sizeof welcome)
        return -EACCES;
    flow = &engine->flows[hello.flow_index];
    flow->fd = TAKE_FD(p->fd);
    tcp_set_blocking(flow->fd);
    return 1;
}

/* Look at one pending connection. */
static void tcp_look(struct engine *engine, struct tcp_door *door, uint32_t i, bool readable)
{
    int r = readable ? tcp_read_hello(engine, &door->pending[i]) : 0;

    if (r == 0 && clock_mono_ns() < door->pending[i].deadline_ns)
        return;
    if (r == 1)
        door->n_left--;
    else
        engine->refused++;
    tcp_drop(door, i);
}

/* Wait for something at the door; pending ones are looked at from the last, as dropping one moves the last. */
static int tcp_door_step(struct engine *engine, struct tcp_door *door, uint64_t deadline_ns)
{
    struct pollfd polls[TCP_MAX_PENDING + 2];
    uint64_t until = deadline_ns;
    uint32_t n = door->n_pending;
    int r;

    for (uint32_t i = 0; i < n; i++) {
        polls[i] = (struct pollfd){.fd = door->pending[i].fd, .events = POLLIN};
        if (door->pending[i].deadline_ns < until)
            until = door->pending[i].deadline_ns;
    }
    polls[n] =
        (struct pollfd){.fd = n < TCP_MAX_PENDING ? engine->listen_fd : -1, .events = POLLIN};
    r = tcp_poll(engine, polls, n + 1, until);
    if (r < 0 && (r != -ETIMEDOUT || clock_mono_ns() >= deadline_ns))
        return r;
    for (uint32_t i = n; i-- > 0;)
        tcp_look(engine, door, i, r > 0 && polls[i].revents);
    if (r > 0 && polls[n].revents)
        return tcp_take(engine, door);
    return 0;
}

int tcp_accept(struct engine *engine, struct err *err)
{
    uint64_t deadline = clock_mono_ns() + engine->spec.connect_ns;
    AUTO(free_p) struct tcp_door *door = calloc(1, sizeof *door);
    int r = 0;

    if (!door)
        return err_set(err, ENOMEM, "accepting");
    door->n_left = engine->n_flows;
    while (door->n_left && r == 0)
        r = tcp_door_step(engine, door, deadline);
    engine->refused += door->n_pending;
    while (door->n_pending)
        tcp_drop(door, door->n_pending - 1);
    close(engine->listen_fd);
    engine->listen_fd = -1;
    if (r == -EMFILE)
        return socket_none(&engine->spec, EMFILE, err);
    return r < 0 ? err_set(err, r, "%u of %u flows did not come to port %u", door->n_left,
                           engine->n_flows, engine->port)
                 : 0;
}
