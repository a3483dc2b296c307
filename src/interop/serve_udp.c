/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "interop/foreign_datagram.h"
#include "interop/serve_test.h"
#include "traffic/stamp.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

/*
 * UDP has no connections: a client's first datagram comes to the port that all clients use. From then on it has a socket
 * of its own, connected to it, which shares that port.
 */
enum {
    SERVE_UDP_BUFFER = 8 << 20, /* of one stream, at most; the kernel doubles what it is asked */
    SERVE_UDP_TEST = 32 << 20,  /* of all streams of one test */
    SERVE_UDP_ALL = 128 << 20,  /* of all tests, above what every socket has: */
    SERVE_UDP_BUFFER_MIN = 208 << 10,
    SERVE_UDP_PART = 4, /* a test gets this part of what the others have left */
    SERVE_REQUEST_BYTES = 8,
};
#define SERVE_REPLY "6789"

int serve_udp_share(struct serve_test *test, uint32_t n_streams)
{
    struct serve *serve = test->serve;
    uint32_t bytes = (SERVE_UDP_ALL - serve->udp_bytes) / SERVE_UDP_PART;

    n_streams = n_streams ? n_streams : 1;
    if (test->udp_bytes == 0) {
        bytes = bytes < SERVE_UDP_TEST ? bytes : SERVE_UDP_TEST;
        bytes /= n_streams;
        bytes = bytes < SERVE_UDP_BUFFER ? bytes : SERVE_UDP_BUFFER;
        test->udp_bytes = bytes * n_streams;
        serve->udp_bytes += test->udp_bytes;
    }
    bytes = test->udp_bytes / n_streams;
    return (int)(bytes > SERVE_UDP_BUFFER_MIN ? bytes : SERVE_UDP_BUFFER_MIN);
}

/* The first socket of a port was bound with nobody beside it: only our own come from now on. */
void serve_udp_share_ports(struct serve *serve)
{
    const int fds[] = {serve->iperf3_udp_fd, serve->iperf2_udp_fd}, on = 1;
    socklen_t len = sizeof serve->iperf2_local;

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (serve->iperf2_udp_fd < 0)
        return;
    getsockname(serve->iperf2_udp_fd, &serve->iperf2_local.any, &len);
    socket_receive_buffer(serve->iperf2_udp_fd, SERVE_UDP_BUFFER);
    stamp_enable(serve->iperf2_udp_fd);
}

static socklen_t serve_address_size(const union socket_address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

/* A socket that may share the port, not bound yet; -errno. */
static int serve_udp_socket(const struct serve *serve, int family)
{
    const char *device = serve_device(&serve->options);
    AUTO(close_p) int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1, off = 0;

    if (fd < 0)
        return -errno;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (device[0] &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
        return -errno;
    if (stamp_enable(fd) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* The test that waits for a UDP stream from that host; under lock. (Only one of a host waits at a time.) */
static struct serve_test *serve_waits_for(struct serve *serve, const union socket_address *peer)
{
    for (struct serve_test *test = serve->tests; test; test = test->next)
        if (!test->over && test->udp && test->cookie[0] && test->phase == SERVE_STREAMS &&
            test->n_streams < test->n_wanted && serve_same_host(&test->peer, peer))
            return test;
    return NULL;
}

/* A UDP socket of its own for one peer, beside the listener's; -errno. */
static int serve_udp_connected(struct serve_test *test, const union socket_address *peer)
{
    AUTO(close_p) int fd = serve_udp_socket(test->serve, test->local.any.sa_family);
    int bytes;

    if (fd < 0)
        return fd;
    bytes = serve_udp_share(test, test->n_wanted);
    socket_receive_buffer(fd, bytes);
    socket_send_buffer(fd, bytes);
    if (bind(fd, &test->local.any, serve_address_size(&test->local)) < 0 ||
        connect(fd, &peer->any, serve_address_size(peer)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* Clients whose request has been read and who wait for their stream. */
struct serve_requests {
    union socket_address peers[SERVE_ROUNDS];
    uint32_t n;
};

/* What waits in a socket: whose it is. From a socket that has become one client's, its own are left out. */
static void serve_read_requests(const struct serve *serve, int fd, const union socket_address *own,
                                struct serve_requests *requests)
{
    while (requests->n < SERVE_ROUNDS) {
        union socket_address peer = {0};
        struct in6_addr address;
        uint16_t port, own_port = 0;
        char bytes[SERVE_REQUEST_BYTES];

        if (recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, &peer.any, &(socklen_t){sizeof peer}) <
            0)
            return;
        if (own)
            serve_address(own, &address, &own_port);
        serve_address(&peer, &address, &port);
        if (own && port == own_port && serve_same_host(own, &peer))
            continue;
        /* Connected to port 0 it would take everybody's. */
        if (port && serve_allowed(&serve->options, &peer))
            requests->peers[requests->n++] = peer;
    }
}

/*
 * Has that port of that host its stream already? Who waits long asks again (our own client does, iperf3's never), and both
 * requests may be read only when this thread gets its CPU: the second is no second stream. Under lock.
 */
static bool serve_is_repeated(const struct serve *serve, const union socket_address *peer)
{
    struct in6_addr address;
    uint16_t port;

    serve_address(peer, &address, &port);
    for (const struct serve_test *test = serve->tests; test; test = test->next)
        for (uint32_t i = 0; i < test->n_ports && !test->over; i++)
            if (test->ports[i] == port && serve_same_host(&test->peer, peer))
                return true;
    return false;
}

void serve_udp_answer_again(struct serve_test *test)
{
    char bytes[SERVE_REQUEST_BYTES];

    pthread_mutex_lock(&test->serve->lock);
    for (uint32_t i = 0; i < test->n_streams; i++)
        if (recv(test->stream_fds[i], bytes, sizeof bytes, MSG_DONTWAIT) >= 0)
            (void)!send(test->stream_fds[i], SERVE_REPLY, sizeof SERVE_REPLY - 1,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    pthread_mutex_unlock(&test->serve->lock);
}

/*
 * An iperf3 client asks for a UDP stream: a socket for it alone, then the answer, and then it counts: the test goes on
 * when it has all, and they are the engine's.
 */
static void serve_udp_request(struct serve *serve, const union socket_address *peer,
                              struct serve_requests *requests)
{
    AUTO(close_p) int fd = -1;
    struct serve_test *test;

    pthread_mutex_lock(&serve->lock);
    test = serve_is_repeated(serve, peer) ? NULL : serve_waits_for(serve, peer);
    if (test)
        fd = serve_udp_connected(test, peer);
    if (fd >= 0) {
        /* Between bind and connect it may have got another's first datagram: that is not to be lost. */
        serve_read_requests(serve, fd, peer, requests);
        if (send(fd, SERVE_REPLY, sizeof SERVE_REPLY - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
            struct in6_addr address;

            serve_address(peer, &address, &test->ports[test->n_ports++]);
            test->stream_fds[test->n_streams] = TAKE_FD(fd);
            test->orders[test->n_streams++] = serve->n_accepted++;
            eventfd_write(test->came_fd, 1);
        }
    }
    pthread_mutex_unlock(&serve->lock);
}

void serve_iperf3_udp(struct serve *serve)
{
    struct serve_requests requests = {.n = 0};

    serve_read_requests(serve, serve->iperf3_udp_fd, NULL, &requests);
    while (requests.n) {
        const union socket_address peer = requests.peers[--requests.n];

        serve_udp_request(serve, &peer, &requests);
    }
}

int serve_iperf2_listen(struct serve *serve)
{
    const union socket_address *local = &serve->iperf2_local;

    if (serve->iperf2_udp_fd >= 0)
        return 0;
    if (serve->iperf2_next_fd < 0)
        serve->iperf2_next_fd = serve_udp_socket(serve, local->any.sa_family);
    if (serve->iperf2_next_fd < 0)
        return serve->iperf2_next_fd;
    socket_receive_buffer(serve->iperf2_next_fd, SERVE_UDP_BUFFER);
    if (bind(serve->iperf2_next_fd, &local->any, serve_address_size(local)) < 0)
        return -errno;
    serve->iperf2_udp_fd = TAKE_FD(serve->iperf2_next_fd);
    return 0;
}

/*
 * The first datagram of an iperf2 client: it and those behind it wait in the listener's socket, which therefore becomes
 * the client's, and the next listener is a new one. Connected first: were the new one bound before, the client's next
 * datagrams would come to it. Nobody listens between the two calls, and what others have sent to the old socket is
 * dropped by its reader: what that loses is counted as lost by their tests.
 */
void serve_iperf2_udp(struct serve *serve)
{
    union socket_address peer = {0};
    socklen_t len = sizeof peer;
    uint8_t head[FOREIGN_HEAD_BYTES];
    struct foreign_datagram d = {.number = -1};
    struct in6_addr address;
    uint16_t port;
    ssize_t n =
        recvfrom(serve->iperf2_udp_fd, head, sizeof head, MSG_DONTWAIT | MSG_PEEK, &peer.any, &len);
    int fd;

    if (n < 0)
        return;
    serve_address(&peer, &address, &port);
    if (n >= IPERF2_DATAGRAM_BYTES)
        foreign_datagram_read(FOREIGN_IPERF2, head, (uint32_t)n, &d);
    if (serve->iperf2_next_fd < 0)
        serve->iperf2_next_fd = serve_udp_socket(serve, serve->iperf2_local.any.sa_family);
    /* The end of a stream that is over, or nobody's; connected to port 0 it would take everybody's. */
    if (d.number < 0 || !port || serve->iperf2_next_fd < 0 ||
        !serve_allowed(&serve->options, &peer) || !serve_has_room(serve, true) ||
        connect(serve->iperf2_udp_fd, &peer.any, len) < 0) {
        if (recv(serve->iperf2_udp_fd, head, sizeof head, MSG_DONTWAIT) < 0)
            return;
        return;
    }
    fd = TAKE_FD(serve->iperf2_udp_fd);
    /* Tried again by serve_run() when it fails. */
    serve_iperf2_listen(serve);
    if (!serve_begin(serve, fd, &peer, NULL, true))
        close(fd);
}
