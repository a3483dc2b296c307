/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/udp_open.h"
#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    UDP_HELLO_FIRST_NS = 25 * CLOCK_MS, /* the first repetition; doubled from one to the next … */
    UDP_HELLO_NS = 100 * CLOCK_MS,      /* … up to this */
    UDP_SILENCE_NS =
        5 *
        UDP_HELLO_NS, /* no hello for so long: the client has its welcome, what got lost was its echo */
    UDP_ROUNDS = 64, /* datagrams taken from one socket before the others have their turn */
};

static int udp_set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

/* Poll n sockets and the stop. Returns how many have something; 0 at the time, which may not be the end. */
static int udp_poll(const struct engine *engine, struct pollfd *polls, uint32_t n,
                    uint64_t until_ns)
{
    int r;

    polls[n] = (struct pollfd){.fd = engine->stop_fd, .events = POLLIN};
    r = poll(polls, n + 1, clock_ms_until(until_ns));
    if (r < 0)
        return errno == EINTR ? 0 : -errno;
    return polls[n].revents ? -ECANCELED : r;
}

/* A client's flow on its way. */
struct udp_opening {
    uint64_t next_ns, step_ns; /* of its hello */
    bool welcomed;
};

static int udp_connect(struct engine *engine, struct flow *flow, struct err *err)
{
    const struct flow_spec *spec = &engine->spec;
    union socket_address address;
    socklen_t len;
    int r = socket_address(spec->address, spec->port, &address, &len, err);

    if (r < 0)
        return r;
    flow->fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (flow->fd < 0)
        return socket_none(spec, errno, err);
    r = socket_prepare(flow->fd, spec, err);
    if (r < 0)
        return r;
    if (connect(flow->fd, &address.any, len) < 0)
        return err_set(err, errno, "reaching %s port %u", spec->address, spec->port);
    return 0;
}

static int udp_say_hello(const struct engine *engine, struct flow *flow, struct udp_opening *o,
                         uint64_t now, struct err *err)
{
    uint8_t hello[TOKEN_HELLO_BYTES];

    token_write_hello(&engine->spec, flow->index, hello);
    if (send(flow->fd, hello, sizeof hello, MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
        errno != ENOBUFS)
        return err_set(err, errno, "saying hello to %s port %u", engine->spec.address,
                       engine->spec.port);
    o->step_ns = o->step_ns ? o->step_ns * 2 : UDP_HELLO_FIRST_NS;
    if (o->step_ns > UDP_HELLO_NS)
        o->step_ns = UDP_HELLO_NS;
    o->next_ns = now + o->step_ns;
    return 0;
}

static int udp_read_welcome(const struct engine *engine, struct flow *flow, struct udp_opening *o,
                            struct err *err)
{
    uint8_t bytes[TOKEN_WELCOME_BYTES + 1];

    for (int i = 0; i < UDP_ROUNDS && !o->welcomed; i++) {
        ssize_t n = recv(flow->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0)
            return err_set(err, errno, "waiting for the welcome of %s port %u",
                           engine->spec.address, engine->spec.port);
        o->welcomed =
            n == TOKEN_WELCOME_BYTES && token_is_welcome(&engine->spec, flow->index, bytes);
    }
    if (!o->welcomed)
        return 0;
    /* Its echo lets the server stop listening for lost hellos at once. */
    if (send(flow->fd, bytes, TOKEN_WELCOME_BYTES, MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
        errno != ENOBUFS)
        return err_set(err, errno, "answering the welcome");
    return udp_set_blocking(flow->fd);
}

/* One round over all flows: hellos that are due, then wait. */
static int udp_open_step(struct engine *engine, struct udp_opening *openings, struct pollfd *polls,
                         uint64_t deadline_ns, struct err *err)
{
    uint64_t now = clock_mono_ns(), until = deadline_ns;
    uint32_t n_left = 0;
    int r;

    for (uint32_t i = 0; i < engine->n_flows; i++) {
        struct udp_opening *o = &openings[i];

        polls[i] = (struct pollfd){.fd = o->welcomed ? -1 : engine->flows[i].fd, .events = POLLIN};
        if (o->welcomed)
            continue;
        n_left++;
        r = now >= o->next_ns ? udp_say_hello(engine, &engine->flows[i], o, now, err) : 0;
        if (r < 0)
            return r;
        until = o->next_ns < until ? o->next_ns : until;
    }
    if (n_left == 0)
        return 1;
    if (now >= deadline_ns)
        return err_set(err, ETIMEDOUT, "%s port %u has not answered on %u of %u flows",
                       engine->spec.address, engine->spec.port, n_left, engine->n_flows);
    r = udp_poll(engine, polls, engine->n_flows, until);
    if (r < 0)
        return err_set(err, r, "waiting for %s port %u", engine->spec.address, engine->spec.port);
    for (uint32_t i = 0; i < engine->n_flows && r >= 0; i++)
        if (polls[i].fd >= 0 && polls[i].revents)
            r = udp_read_welcome(engine, &engine->flows[i], &openings[i], err);
    return r < 0 ? r : 0;
}

static int udp_open_client(struct engine *engine, struct err *err)
{
    uint64_t deadline = clock_mono_ns() + engine->spec.connect_ns;
    AUTO(free_p) struct udp_opening *openings = calloc(engine->n_flows, sizeof *openings);
    AUTO(free_p) struct pollfd *polls = calloc(engine->n_flows + 1, sizeof *polls);
    int r = 0;

    if (!openings || !polls)
        return err_set(err, ENOMEM, "opening %u flows", engine->n_flows);
    for (uint32_t i = 0; i < engine->n_flows && r == 0; i++)
        r = udp_connect(engine, &engine->flows[i], err);
    while (r == 0)
        r = udp_open_step(engine, openings, polls, deadline, err);
    return r < 0 ? r : 0;
}

int udp_open(struct engine *engine, struct err *err)
{
    int on = 1;

    if (engine->spec.role == FLOW_CLIENT)
        return udp_open_client(engine, err);
    engine->listen_fd = socket_bind_range(&engine->spec, SOCK_DGRAM, &engine->port, err);
    if (engine->listen_fd < 0)
        return engine->listen_fd;
    /* Which of our addresses a hello came to: answers have to come from there. Only one of the two fits the family. */
    setsockopt(engine->listen_fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    setsockopt(engine->listen_fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    /* The port is ours alone by now; from here on the flows' sockets may join it. */
    if (setsockopt(engine->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return err_set(err, errno, "sharing port %u among flows", engine->port);
    return 0;
}

/* A datagram at the server's port: from whom, and to which address of ours. */
struct udp_visit {
    uint8_t bytes[TOKEN_HELLO_BYTES + 1]; /* one more, to know longer ones */
    ssize_t n;
    union socket_address from, to;
    socklen_t from_len;
};

static void udp_visit_to(struct udp_visit *v, struct msghdr *m, uint16_t port)
{
    v->to = (union socket_address){.any.sa_family = v->from.any.sa_family};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct in_pktinfo info4;
        struct in6_pktinfo info6;

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
            v->from.any.sa_family == AF_INET) {
            memcpy(&info4, CMSG_DATA(c), sizeof info4);
            v->to.v4.sin_addr = info4.ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&info6, CMSG_DATA(c), sizeof info6);
            v->to.v6.sin6_addr = info6.ipi6_addr;
            if (IN6_IS_ADDR_LINKLOCAL(&info6.ipi6_addr))
                v->to.v6.sin6_scope_id = (uint32_t)info6.ipi6_ifindex;
        }
    }
    if (v->to.any.sa_family == AF_INET)
        v->to.v4.sin_port = htons(port);
    else
        v->to.v6.sin6_port = htons(port);
}

/* The next datagram that waits, or -errno. */
static int udp_visit_read(const struct engine *engine, struct udp_visit *v)
{
    union {
        char bytes[256];
        struct cmsghdr align;
    } control;
    struct iovec io = {.iov_base = v->bytes, .iov_len = sizeof v->bytes};
    struct msghdr m = {.msg_name = &v->from,
                       .msg_namelen = sizeof v->from,
                       .msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};

    v->n = recvmsg(engine->listen_fd, &m, MSG_DONTWAIT);
    if (v->n < 0)
        return -errno;
    v->from_len = m.msg_namelen;
    udp_visit_to(v, &m, engine->port);
    return 0;
}

/* A flow the server has taken, or not yet. */
struct udp_taken {
    bool confirmed;
    uint64_t heard_ns; /* its last hello */
};

static void udp_welcome(const struct engine *engine, struct flow *flow, struct udp_taken *taken)
{
    uint8_t welcome[TOKEN_WELCOME_BYTES];

    token_write_welcome(&engine->spec, flow->index, welcome);
    taken->heard_ns = clock_mono_ns();
    /* When it is lost here or later, the next hello brings another. */
    (void)!send(flow->fd, welcome, sizeof welcome, MSG_NOSIGNAL);
}

/* A socket on the server's port for one client. */
static int udp_take(struct engine *engine, struct flow *flow, const struct udp_visit *v,
                    struct err *err)
{
    AUTO(close_p)
    int fd = socket(v->from.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t to_len = v->to.any.sa_family == AF_INET ? sizeof v->to.v4 : sizeof v->to.v6;
    int on = 1, off = 0, r;
    char drop;

    if (fd < 0)
        return socket_none(&engine->spec, errno, err);
    r = socket_prepare(fd, &engine->spec, err);
    if (r < 0)
        return r;
    if (v->from.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &v->to.any, to_len) < 0)
        return err_set(err, errno, "flow %u: joining port %u", flow->index, engine->port);
    if (connect(fd, &v->from.any, v->from_len) < 0)
        return err_set(err, errno, "flow %u: connecting back", flow->index);
    /* Between bind and connect it took what was meant for others. Their hellos come again. */
    while (recv(fd, &drop, sizeof drop, MSG_DONTWAIT) >= 0)
        ;
    flow->fd = TAKE_FD(fd);
    return 0;
}

/* What waits at the common port. */
static int udp_door(struct engine *engine, struct udp_taken *taken, struct err *err)
{
    for (int i = 0; i < UDP_ROUNDS; i++) {
        struct udp_visit v;
        struct token_hello hello;
        struct flow *flow;
        int r;

        if (udp_visit_read(engine, &v) < 0)
            return 0; /* nothing more; an ICMP error of somebody's is nothing to us */
        if (v.n != TOKEN_HELLO_BYTES || token_read_hello(&engine->spec, v.bytes, &hello) < 0 ||
            hello.kind != engine->spec.kind || hello.flow_index >= engine->n_flows) {
            engine->refused++;
            continue;
        }
        flow = &engine->flows[hello.flow_index];
        r = flow->fd < 0 ? udp_take(engine, flow, &v, err) : 0;
        if (r < 0)
            return r;
        udp_welcome(engine, flow, &taken[flow->index]);
    }
    return 0;
}

/* What waits on a flow that was taken: a repeated hello, or the echo. */
static void udp_listen(struct engine *engine, struct flow *flow, struct udp_taken *taken)
{
    for (int i = 0; i < UDP_ROUNDS && !taken->confirmed; i++) {
        uint8_t bytes[TOKEN_HELLO_BYTES + 1];
        ssize_t n = recv(flow->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        struct token_hello hello;

        if (n < 0)
            return;
        if (n == TOKEN_WELCOME_BYTES && token_is_welcome(&engine->spec, flow->index, bytes))
            taken->confirmed = true;
        else if (n == TOKEN_HELLO_BYTES && token_read_hello(&engine->spec, bytes, &hello) == 0 &&
                 hello.flow_index == flow->index)
            udp_welcome(engine, flow, taken);
        else
            engine->refused++;
    }
}

/* One round: wait for hellos and echoes. 1 when all flows are there and know it. */
static int udp_accept_step(struct engine *engine, struct udp_taken *taken, struct pollfd *polls,
                           uint64_t deadline_ns, struct err *err)
{
    uint64_t now = clock_mono_ns(), until = deadline_ns;
    uint32_t n = engine->n_flows, n_left = 0, n_missing = 0;
    int r;

    for (uint32_t i = 0; i < n; i++) {
        struct flow *flow = &engine->flows[i];

        if (flow->fd >= 0 && now >= taken[i].heard_ns + UDP_SILENCE_NS)
            taken[i].confirmed = true;
        n_left += !taken[i].confirmed;
        n_missing += flow->fd < 0;
        if (flow->fd >= 0 && !taken[i].confirmed && taken[i].heard_ns + UDP_SILENCE_NS < until)
            until = taken[i].heard_ns + UDP_SILENCE_NS;
        polls[i] = (struct pollfd){.fd = taken[i].confirmed ? -1 : flow->fd, .events = POLLIN};
    }
    if (n_left == 0)
        return 1;
    if (now >= deadline_ns)
        return err_set(err, ETIMEDOUT, "%u of %u flows did not come to port %u",
                       n_missing ? n_missing : n_left, n, engine->port);
    polls[n] = (struct pollfd){.fd = engine->listen_fd, .events = POLLIN};
    r = udp_poll(engine, polls, n + 1, until);
    if (r == -EINVAL) /* poll(2): more than this process may have open */
        return socket_none(&engine->spec, EMFILE, err);
    if (r < 0)
        return err_set(err, r, "waiting for flows at port %u", engine->port);
    for (uint32_t i = 0; i < n; i++)
        if (polls[i].fd >= 0 && polls[i].revents)
            udp_listen(engine, &engine->flows[i], &taken[i]);
    r = polls[n].revents ? udp_door(engine, taken, err) : 0;
    return r < 0 ? r : 0;
}

int udp_accept(struct engine *engine, struct err *err)
{
    uint64_t deadline = clock_mono_ns() + engine->spec.connect_ns;
    AUTO(free_p) struct udp_taken *taken = calloc(engine->n_flows, sizeof *taken);
    AUTO(free_p) struct pollfd *polls = calloc(engine->n_flows + 2, sizeof *polls);
    int r = 0;

    if (!taken || !polls)
        return err_set(err, ENOMEM, "accepting %u flows", engine->n_flows);
    while (r == 0)
        r = udp_accept_step(engine, taken, polls, deadline, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < engine->n_flows; i++) {
        r = udp_set_blocking(engine->flows[i].fd);
        if (r < 0)
            return err_set(err, r, "flow %u: preparing its socket", i);
    }
    /* The flows' sockets keep the port. */
    close(engine->listen_fd);
    engine->listen_fd = -1;
    return 0;
}
