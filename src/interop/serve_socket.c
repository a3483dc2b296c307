/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/text.h"
#include "interop/serve_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { SERVE_BACKLOG = 512 };

int serve_net_parse(const char *text, struct serve_net *ret_net, struct err *err)
{
    char address[FLOW_ADDRESS_SIZE];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    struct serve_net net = {0};
    uint64_t bits;
    int family;

    if (n >= sizeof address)
        return err_say(err, "'%.60s' is not a network", text);
    memcpy(address, text, n);
    address[n] = 0;
    family = text_address(address, err);
    if (family < 0)
        return family;
    bits = family == AF_INET ? 32 : 128;
    if (slash && text_count(slash + 1, 0, bits, &bits, err) < 0)
        return err_wrap(err, -EINVAL, "'%.60s'", text);
    if (family == AF_INET) {
        memset(net.address + 10, 0xff, 2);
        inet_pton(AF_INET, address, net.address + 12);
        bits += 96;
    } else {
        inet_pton(AF_INET6, address, net.address);
    }
    net.bits = (uint32_t)bits;
    *ret_net = net;
    return 0;
}

bool serve_net_has(const struct serve_net *net, const struct in6_addr *address)
{
    uint32_t whole = net->bits / 8, rest = net->bits % 8;

    if (memcmp(net->address, address->s6_addr, whole) != 0)
        return false;
    return rest == 0 || (net->address[whole] ^ address->s6_addr[whole]) >> (8 - rest) == 0;
}

void serve_address(const union socket_address *address, struct in6_addr *ret_address,
                   uint16_t *ret_port)
{
    if (address->any.sa_family == AF_INET6) {
        *ret_address = address->v6.sin6_addr;
        *ret_port = ntohs(address->v6.sin6_port);
        return;
    }
    memset(ret_address, 0, sizeof *ret_address);
    memset(ret_address->s6_addr + 10, 0xff, 2);
    memcpy(ret_address->s6_addr + 12, &address->v4.sin_addr, 4);
    *ret_port = ntohs(address->v4.sin_port);
}

bool serve_same_host(const union socket_address *a, const union socket_address *b)
{
    struct in6_addr x, y;
    uint16_t port;

    serve_address(a, &x, &port);
    serve_address(b, &y, &port);
    return memcmp(&x, &y, sizeof x) == 0;
}

bool serve_allowed(const struct serve_options *options, const union socket_address *peer)
{
    struct in6_addr address;
    uint16_t port;

    serve_address(peer, &address, &port);
    for (uint32_t i = 0; i < options->n_nets; i++)
        if (serve_net_has(&options->nets[i], &address))
            return true;
    return options->n_nets == 0;
}

void serve_name_client(struct serve_report *report, const union socket_address *peer)
{
    struct in6_addr address;

    serve_address(peer, &address, &report->client_port);
    if (IN6_IS_ADDR_V4MAPPED(&address))
        inet_ntop(AF_INET, address.s6_addr + 12, report->client, sizeof report->client);
    else
        inet_ntop(AF_INET6, &address, report->client, sizeof report->client);
}

static int serve_bind_address(const char *address, const char *device, int type, uint16_t port,
                              int *ret_fd, struct err *err)
{
    union socket_address local;
    AUTO(close_p) int fd = -1;
    int on = 1, off = 0, r;
    socklen_t len;

    r = socket_address(address, port, &local, &len, err);
    if (r < 0)
        return r;
    fd = socket(local.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, errno, "opening a socket");
    if (local.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off); /* "::" takes IPv4 too */
    /* For streams this only jumps over TIME_WAIT; for datagrams it would share the port with whoever asks for it. */
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (device[0] &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
        return err_set(err, errno, "binding to interface %s", device);
    if (bind(fd, &local.any, len) < 0 || (type == SOCK_STREAM && listen(fd, SERVE_BACKLOG) < 0))
        return err_set(err, errno, "%s port %u", type == SOCK_STREAM ? "TCP" : "UDP", port);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

const char *serve_device(const struct serve_options *options)
{
    return options->bind[0] && text_address(options->bind, NULL) < 0 ? options->bind : "";
}

int serve_bind(const struct serve_options *options, int type, uint16_t port, int *ret_fd,
               struct err *err)
{
    const char *device = serve_device(options);
    int r;

    if (options->bind[0] && !device[0])
        return serve_bind_address(options->bind, "", type, port, ret_fd, err);
    r = serve_bind_address("::", device, type, port, ret_fd, err);
    /* A machine without IPv6. */
    if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL)
        r = serve_bind_address("0.0.0.0", device, type, port, ret_fd, err);
    return r;
}
