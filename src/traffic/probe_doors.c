/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/probe_doors.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "traffic/endpoint.h"
#include "traffic/probe_half.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum {
    DOORS_GUESTS = 64, /* connections at once; one more takes the place of the oldest */
    DOORS_GUEST_S = 5, /* longer than a knock */
    DOORS_ROUNDS = 64, /* taken from one door before the others have their turn */
    DOORS_STACK_BYTES = 128 * 1024,
};

/* A connection: until it has said its hello, and then until its client closes it. */
struct doors_guest {
    int fd;
    unsigned door;
    uint64_t deadline_ns;
    uint8_t hello[TOKEN_HELLO_BYTES];
    size_t n_hello;
};

struct probe_house {
    struct probe_doors ask;
    int fd[PROBE_MAX_DOORS]; /* owned; -1 it could not be opened */
    uint16_t port[PROBE_MAX_DOORS];
    struct probe_heard heard[PROBE_MAX_DOORS]; /* the thread's until it is joined */
    struct doors_guest guest[DOORS_GUESTS];
    unsigned n_guests;
    int stop_fd; /* owned */
    pthread_t thread;
    bool runs;
};

/* What a door's hellos prove. */
static struct flow_spec doors_spec(const struct probe_house *house, unsigned door)
{
    const struct probe_door *d = &house->ask.door[door];
    struct flow_spec spec = {.kind = d->udp ? FLOW_UDP_RR : FLOW_TCP_RR,
                             .role = FLOW_SERVER,
                             .n_flows = 1,
                             .port = d->port,
                             .port_last = d->port_last};

    text_copy(spec.address, sizeof spec.address, d->v6 ? "::" : "0.0.0.0");
    memcpy(spec.token, house->ask.token, sizeof spec.token);
    return spec;
}

/* Whose hello it is; the welcome that answers it. -1 nobody's of ours. */
static int doors_hello(struct probe_house *house, unsigned door,
                       const uint8_t hello[TOKEN_HELLO_BYTES],
                       uint8_t ret_welcome[TOKEN_WELCOME_BYTES])
{
    struct flow_spec spec = doors_spec(house, door);
    struct token_hello said;

    if (token_read_hello(&spec, hello, &said) < 0 || said.kind != spec.kind ||
        said.flow_index >= PROBE_NUMBERS)
        return -1;
    house->heard[door].number[said.flow_index / 8] |= (uint8_t)(1U << said.flow_index % 8);
    token_write_welcome(&spec, said.flow_index, ret_welcome);
    return (int)said.flow_index;
}

static void doors_leave(struct probe_house *house, unsigned guest)
{
    close(house->guest[guest].fd);
    memmove(&house->guest[guest], &house->guest[guest + 1],
            (--house->n_guests - guest) * sizeof house->guest[0]);
}

static void doors_accept(struct probe_house *house, unsigned door)
{
    for (int i = 0; i < DOORS_ROUNDS; i++) {
        int fd = accept4(house->fd[door], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        if (house->n_guests == DOORS_GUESTS)
            doors_leave(house, 0);
        house->guest[house->n_guests++] = (struct doors_guest){
            .fd = fd,
            .door = door,
            .deadline_ns = clock_mono_ns() + DOORS_GUEST_S * (uint64_t)CLOCK_S};
    }
}

/* False: it is over with this guest. After the welcome nothing more is expected but its end. */
static bool doors_read(struct probe_house *house, struct doors_guest *guest)
{
    uint8_t welcome[TOKEN_WELCOME_BYTES], drop[64];
    size_t left = sizeof guest->hello - guest->n_hello;
    ssize_t n = left ? recv(guest->fd, guest->hello + guest->n_hello, left, MSG_DONTWAIT)
                     : recv(guest->fd, drop, sizeof drop, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0 || !left)
        return false;
    guest->n_hello += (size_t)n;
    if (guest->n_hello < sizeof guest->hello)
        return true;
    return doors_hello(house, guest->door, guest->hello, welcome) >= 0 &&
           send(guest->fd, welcome, sizeof welcome, MSG_NOSIGNAL) == sizeof welcome;
}

/* The answer has to come from the address that the hello went to: what the kernel told of that goes back to it. */
static void doors_own_address(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof info);
            info.ipi_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof info);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof info);
            if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                info.ipi6_ifindex = 0;
            memcpy(CMSG_DATA(c), &info, sizeof info);
        }
    }
}

static void doors_datagrams(struct probe_house *house, unsigned door)
{
    for (int i = 0; i < DOORS_ROUNDS; i++) {
        uint8_t hello[TOKEN_HELLO_BYTES + 1], welcome[TOKEN_WELCOME_BYTES];
        union {
            char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
                       CMSG_SPACE(sizeof(struct in_pktinfo))];
            struct cmsghdr align;
        } control;
        union socket_address from;
        struct iovec io = {.iov_base = hello, .iov_len = sizeof hello};
        struct msghdr m = {.msg_name = &from,
                           .msg_namelen = sizeof from,
                           .msg_iov = &io,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
        ssize_t n = recvmsg(house->fd[door], &m, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n != TOKEN_HELLO_BYTES || doors_hello(house, door, hello, welcome) < 0)
            continue;
        doors_own_address(&m);
        io = (struct iovec){.iov_base = welcome, .iov_len = sizeof welcome};
        /* When it is lost here or later, the next hello brings another. */
        (void)!sendmsg(house->fd[door], &m, MSG_NOSIGNAL);
    }
}

/* One round; false when the house is to be shut. */
static bool doors_step(struct probe_house *house, uint64_t deadline_ns)
{
    struct pollfd polls[PROBE_MAX_DOORS + DOORS_GUESTS + 1];
    unsigned n_doors = house->ask.n, n_guests = house->n_guests, n = n_doors + n_guests;
    uint64_t until = deadline_ns, now;

    for (unsigned i = 0; i < n_doors; i++)
        polls[i] = (struct pollfd){.fd = house->fd[i], .events = POLLIN};
    for (unsigned i = 0; i < n_guests; i++) {
        polls[n_doors + i] = (struct pollfd){.fd = house->guest[i].fd, .events = POLLIN};
        if (house->guest[i].deadline_ns < until)
            until = house->guest[i].deadline_ns;
    }
    polls[n] = (struct pollfd){.fd = house->stop_fd, .events = POLLIN};
    if (poll(polls, n + 1, clock_ms_until(until)) < 0)
        return errno == EINTR;
    now = clock_mono_ns();
    if (polls[n].revents || now >= deadline_ns)
        return false;
    /* From the last, as a guest that leaves moves those behind it; new ones come after. */
    for (unsigned i = n_guests; i-- > 0;)
        if ((polls[n_doors + i].revents && !doors_read(house, &house->guest[i])) ||
            now >= house->guest[i].deadline_ns)
            doors_leave(house, i);
    for (unsigned i = 0; i < n_doors; i++)
        if (polls[i].revents)
            (house->ask.door[i].udp ? doors_datagrams : doors_accept)(house, i);
    return true;
}

static void *doors_thread(void *arg)
{
    struct probe_house *house = arg;
    uint64_t deadline = clock_mono_ns() + (uint64_t)PROBE_DOORS_S * CLOCK_S;

    while (doors_step(house, deadline))
        ;
    return NULL;
}

static int doors_bind(struct probe_house *house, struct probe_opened ret_opened[PROBE_MAX_DOORS])
{
    unsigned n_open = 0;
    int on = 1;

    for (unsigned i = 0; i < house->ask.n; i++) {
        struct flow_spec spec = doors_spec(house, i);
        int r = socket_bind_range(&spec, house->ask.door[i].udp ? SOCK_DGRAM : SOCK_STREAM,
                                  &house->port[i], NULL);

        ret_opened[i] =
            (struct probe_opened){.port = r < 0 ? 0 : house->port[i], .error = r < 0 ? -r : 0};
        house->fd[i] = r < 0 ? -1 : r;
        if (r < 0)
            continue;
        n_open++;
        /* Only one of the two fits the family. */
        setsockopt(house->fd[i], IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
        setsockopt(house->fd[i], IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    }
    return (int)n_open;
}

int probe_doors_open(const struct probe_doors *ask, struct probe_opened ret_opened[PROBE_MAX_DOORS],
                     struct probe_house **ret_house, struct err *err)
{
    struct probe_house *house = calloc(1, sizeof *house);
    pthread_attr_t attr;
    int r;

    if (!house)
        return err_set(err, ENOMEM, "memory for doors");
    house->ask = *ask;
    memset(house->fd, -1, sizeof house->fd);
    house->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (house->stop_fd < 0) {
        r = err_set(err, errno, "an eventfd for doors");
        free(house);
        return r;
    }
    doors_bind(house, ret_opened);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, DOORS_STACK_BYTES);
    r = pthread_create(&house->thread, &attr, doors_thread, house);
    pthread_attr_destroy(&attr);
    house->runs = r == 0;
    if (r != 0) {
        probe_doors_shut(house, NULL);
        return err_set(err, r, "a thread for doors");
    }
    *ret_house = house;
    return 0;
}

void probe_doors_shut(struct probe_house *house, struct probe_heard ret_heard[PROBE_MAX_DOORS])
{
    const uint64_t one = 1;

    if (!house)
        return;
    /* Cannot fail: the counter is far from its end. */
    if (house->runs && write(house->stop_fd, &one, sizeof one) == sizeof one)
        pthread_join(house->thread, NULL);
    while (house->n_guests)
        doors_leave(house, house->n_guests - 1);
    for (unsigned i = 0; i < house->ask.n; i++) {
        /* Before it is closed: its half connections go with a listening socket. */
        if (house->fd[i] >= 0 && !house->ask.door[i].udp)
            probe_half_read(house->port[i], &house->heard[i]);
        if (ret_heard)
            ret_heard[i] = house->heard[i];
        close_p(&house->fd[i]);
    }
    close_p(&house->stop_fd);
    free(house);
}
