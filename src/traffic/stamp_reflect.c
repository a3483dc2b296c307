/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/stamp_reflect.h"
#include "base/clock.h"
#include "traffic/stamp_packet.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>

enum {
    STAMP_REFLECT_ROOM = 65536, /* the largest datagram */
    STAMP_REFLECT_TURN = 64,
    STAMP_REFLECT_TTL = 255, /* so that the other end can count hops; RFC 5357 section 4.2.1 */
    STAMP_REFLECT_CONTROL = 256,
};

uint16_t stamp_reflect_clock(void)
{
    struct timex t = {0};
    int state = adjtimex(&t);
    bool synchronised = state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);

    /* maxerror is in µs; a clock that nobody has set says 16 s. */
    return stamp_packet_error(synchronised, state < 0 || t.maxerror < 0
                                                ? 16 * (uint64_t)CLOCK_S
                                                : (uint64_t)t.maxerror * CLOCK_US);
}

int stamp_reflector_init(struct stamp_reflector *r, int fd, struct err *err)
{
    const int on = 1, ttl = STAMP_REFLECT_TTL;
    int domain = AF_INET;

    *r = (struct stamp_reflector){.fd = fd, .error = stamp_reflect_clock()};
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain}) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0)
        return err_set(err, errno, "asking for the times of arrival");
    /* Those of IPv4 are for what comes over it to a socket of both, too. */
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    if (domain == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof ttl);
    }
    r->looked_ns = clock_mono_ns();
    r->bytes = malloc(STAMP_REFLECT_ROOM);
    return r->bytes ? 0 : err_set(err, ENOMEM, "preparing to reflect");
}

void stamp_reflector_done(struct stamp_reflector *r)
{
    if (!r)
        return;
    free(r->bytes);
    *r = (struct stamp_reflector){.fd = -1};
}

/* What the kernel says about a packet. */
struct stamp_arrival {
    uint64_t wall_ns; /* 0 not known */
    uint8_t ttl;
    bool has_v4, has_v6, to_many;
    struct in_pktinfo v4;
    struct in6_pktinfo v6;
};

static void stamp_read_v4(struct cmsghdr *c, struct stamp_arrival *a)
{
    int ttl;

    if (c->cmsg_type == IP_TTL) {
        memcpy(&ttl, CMSG_DATA(c), sizeof ttl);
        a->ttl = (uint8_t)ttl;
    } else if (c->cmsg_type == IP_PKTINFO) {
        memcpy(&a->v4, CMSG_DATA(c), sizeof a->v4);
        a->has_v4 = true;
        /* The address that an answer would have is another one: it came by broadcast or multicast. */
        a->to_many =
            a->v4.ipi_spec_dst.s_addr && a->v4.ipi_spec_dst.s_addr != a->v4.ipi_addr.s_addr;
        a->v4.ipi_spec_dst = a->v4.ipi_addr;
        a->v4.ipi_ifindex = 0;
    }
}

static void stamp_read_v6(struct cmsghdr *c, struct stamp_arrival *a)
{
    int hops;

    if (c->cmsg_type == IPV6_HOPLIMIT) {
        memcpy(&hops, CMSG_DATA(c), sizeof hops);
        a->ttl = (uint8_t)hops;
    } else if (c->cmsg_type == IPV6_PKTINFO) {
        memcpy(&a->v6, CMSG_DATA(c), sizeof a->v6);
        a->has_v6 = true;
        a->to_many |= IN6_IS_ADDR_MULTICAST(&a->v6.ipi6_addr);
        if (!IN6_IS_ADDR_LINKLOCAL(&a->v6.ipi6_addr))
            a->v6.ipi6_ifindex = 0;
    }
}

static void stamp_read_control(struct msghdr *m, struct stamp_arrival *a)
{
    *a = (struct stamp_arrival){0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec ts;

            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            a->wall_ns = (uint64_t)ts.tv_sec * CLOCK_S + (uint64_t)ts.tv_nsec;
        } else if (c->cmsg_level == IPPROTO_IP) {
            stamp_read_v4(c, a);
        } else if (c->cmsg_level == IPPROTO_IPV6) {
            stamp_read_v6(c, a);
        }
    }
}

/* The address it came to is the one the answer leaves from. */
static void stamp_write_source(const struct stamp_arrival *a, uint8_t *control, struct msghdr *m)
{
    struct cmsghdr *c;

    m->msg_control = a->has_v4 || a->has_v6 ? control : NULL;
    m->msg_controllen = a->has_v4   ? CMSG_SPACE(sizeof a->v4)
                        : a->has_v6 ? CMSG_SPACE(sizeof a->v6)
                                    : 0;
    c = CMSG_FIRSTHDR(m);
    if (!c)
        return;
    memset(control, 0, m->msg_controllen);
    if (a->has_v4) {
        *c = (struct cmsghdr){
            .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof a->v4)};
        memcpy(CMSG_DATA(c), &a->v4, sizeof a->v4);
    } else {
        *c = (struct cmsghdr){.cmsg_level = IPPROTO_IPV6,
                              .cmsg_type = IPV6_PKTINFO,
                              .cmsg_len = CMSG_LEN(sizeof a->v6)};
        memcpy(CMSG_DATA(c), &a->v6, sizeof a->v6);
    }
}

static void stamp_look_at_clock(struct stamp_reflector *r)
{
    uint64_t now = clock_mono_ns();

    if (now < r->looked_ns + CLOCK_S)
        return;
    r->looked_ns = now;
    r->error = stamp_reflect_clock();
}

int stamp_reflect_one(struct stamp_reflector *r, int flags)
{
    _Alignas(struct cmsghdr) uint8_t control[STAMP_REFLECT_CONTROL];
    struct sockaddr_storage from;
    struct iovec iov = {r->bytes, STAMP_REFLECT_ROOM};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof from,
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(r->fd, &m, flags);
    struct stamp_answer answer = {.error = r->error};
    struct stamp_arrival arrival;

    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (stamp_packet_read_test(r->bytes, (size_t)n, &answer.test) < 0) {
        r->ignored++;
        return 0;
    }
    stamp_read_control(&m, &arrival);
    answer.sequence = answer.test.sequence;
    answer.ssid = r->ssid ? r->ssid : answer.test.ssid;
    answer.ttl = arrival.ttl;
    stamp_write_source(&arrival, control, &m);
    iov.iov_len = (size_t)n;
    m.msg_flags = 0;
    answer.sent_ns = clock_wall_ns();
    /* Not known, or the clock was set back meanwhile. */
    answer.received_ns =
        arrival.wall_ns && arrival.wall_ns < answer.sent_ns ? arrival.wall_ns : answer.sent_ns;
    stamp_packet_write_answer(&answer, r->bytes);
    if (arrival.to_many || sendmsg(r->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        r->ignored++;
        return 0;
    }
    r->reflected++;
    r->bytes_in = (uint64_t)n;
    return 1;
}

int stamp_reflect(struct stamp_reflector *r)
{
    int n = 0;

    stamp_look_at_clock(r);
    while (n < STAMP_REFLECT_TURN) {
        int got = stamp_reflect_one(r, MSG_DONTWAIT);

        if (got == -EAGAIN || got == -EWOULDBLOCK)
            return n;
        /* Somebody's port was closed when our answer came; that is read once and over. */
        if (got < 0 && got != -ECONNREFUSED && got != -EHOSTUNREACH && got != -ENETUNREACH)
            return got;
        n++;
    }
    return n;
}
