/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "traffic/datagram.h"
#include "traffic/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * A UDP relay in the client's way to the server. It only touches datagrams of the session, never
 * the handshake.
 */
struct relay {
    int client_fd, server_fd; /* owned */
    uint16_t port;
    uint32_t tag;
    int stop_fd; /* owned */
    pthread_t thread;
    /* what it does; 0 never */
    unsigned drop_each, copy_each, hold_each, drop_ends;
    ssize_t drop_large; /* whatever of the session is at least so long */
    unsigned merge;     /* so many measured ones leave as one, as GRO would put them together */
    bool replay; /* the first measured one once more with each later trial's, and a stranger */
    /* what it did */
    uint64_t n_measured, dropped, copied, overtaken, strangers, n_ends;
    uint8_t held[2048], first[2048];
    ssize_t held_bytes, first_bytes;
    uint8_t merged[65536];
    size_t merged_bytes, merged_each;
    unsigned n_merged;
    uint32_t first_trial;
};

static inline void relay_out_merged(struct relay *relay)
{
    int each = (int)relay->merged_each;

    if (relay->n_merged == 0)
        return;
    assert_int_equal(setsockopt(relay->server_fd, IPPROTO_UDP, UDP_SEGMENT, &each, sizeof each), 0);
    assert_int_equal(send(relay->server_fd, relay->merged, relay->merged_bytes, 0),
                     relay->merged_bytes);
    relay->n_merged = 0;
    relay->merged_bytes = 0;
}

/* Measured ones are all of one size; a shorter one, END, may be the last of a message. */
static inline void relay_out(struct relay *relay, const uint8_t *bytes, ssize_t n)
{
    bool joins = relay->n_merged && (size_t)n <= relay->merged_each;

    if (relay->merge && (joins || n > DATAGRAM_BYTES)) {
        if (relay->n_merged == 0)
            relay->merged_each = (size_t)n;
        memcpy(relay->merged + relay->merged_bytes, bytes, (size_t)n);
        relay->merged_bytes += (size_t)n;
        if (++relay->n_merged == relay->merge || (size_t)n < relay->merged_each)
            relay_out_merged(relay);
        return;
    }
    assert_int_equal(send(relay->server_fd, bytes, (size_t)n, 0), n);
}

static inline void relay_flush(struct relay *relay)
{
    if (relay->held_bytes)
        relay_out(relay, relay->held, relay->held_bytes);
    relay->held_bytes = 0;
}

static inline void relay_replay(struct relay *relay, const struct datagram *d, const uint8_t *bytes,
                                ssize_t n)
{
    uint8_t foreign[2048];

    if (!relay->first_bytes) {
        memcpy(relay->first, bytes, (size_t)n);
        relay->first_bytes = n;
        relay->first_trial = d->trial;
    } else if (d->trial != relay->first_trial) {
        relay_out(relay, relay->first, relay->first_bytes);
        memcpy(foreign, bytes, (size_t)n);
        foreign[0] ^= 1;
        relay_out(relay, foreign, n);
        relay->strangers++;
    }
}

static inline void relay_measured(struct relay *relay, const struct datagram *d,
                                  const uint8_t *bytes, ssize_t n)
{
    uint64_t k = ++relay->n_measured;

    if (relay->drop_each && k % relay->drop_each == 0) {
        relay->dropped++;
        return;
    }
    if (relay->replay)
        relay_replay(relay, d, bytes, n);
    if (relay->hold_each && k % relay->hold_each == 0 && !relay->held_bytes) {
        memcpy(relay->held, bytes, (size_t)n);
        relay->held_bytes = n;
        return;
    }
    relay_out(relay, bytes, n);
    if (relay->held_bytes)
        relay->overtaken++;
    relay_flush(relay);
    if (relay->copy_each && k % relay->copy_each == 0) {
        relay_out(relay, bytes, n);
        relay->copied++;
    }
}

static inline void relay_in(struct relay *relay, const uint8_t *bytes, ssize_t n)
{
    struct datagram d = {0};

    if (n >= DATAGRAM_BYTES)
        datagram_read(bytes, &d);
    if (relay->drop_large && n >= relay->drop_large)
        return;
    if (d.tag != relay->tag) {
        relay_out(relay, bytes, n);
    } else if (d.flags == DATAGRAM_MEASURED) {
        relay_measured(relay, &d, bytes, n);
    } else {
        relay_flush(relay);
        if (d.flags != DATAGRAM_END || ++relay->n_ends > relay->drop_ends)
            relay_out(relay, bytes, n);
    }
}

static inline void *relay_main(void *arg)
{
    struct relay *relay = arg;
    struct pollfd p[3] = {
        {.fd = relay->client_fd, .events = POLLIN},
        {.fd = relay->server_fd, .events = POLLIN},
        {.fd = relay->stop_fd, .events = POLLIN},
    };
    struct sockaddr_in client = {0};
    uint8_t bytes[2048];

    while (poll(p, 3, -1) >= 0 && !p[2].revents) {
        socklen_t len = sizeof client;
        ssize_t n = recvfrom(relay->client_fd, bytes, sizeof bytes, MSG_DONTWAIT,
                             (struct sockaddr *)&client, &len);

        if (n >= 0)
            relay_in(relay, bytes, n);
        n = recv(relay->server_fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n >= 0)
            sendto(relay->client_fd, bytes, (size_t)n, 0, (struct sockaddr *)&client,
                   sizeof client);
    }
    return NULL;
}

static inline void relay_start(struct relay *relay, uint16_t server_port, uint32_t tag)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    relay->tag = tag;
    relay->stop_fd = eventfd(0, EFD_CLOEXEC);
    relay->client_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    relay->server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(relay->client_fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(relay->client_fd, (struct sockaddr *)&at, &len), 0);
    relay->port = ntohs(at.sin_port);
    at.sin_port = htons(server_port);
    assert_int_equal(connect(relay->server_fd, (struct sockaddr *)&at, sizeof at), 0);
    socket_receive_buffer(relay->client_fd, 8 << 20);
    pthread_create(&relay->thread, NULL, relay_main, relay);
}

static inline void relay_stop(struct relay *relay)
{
    eventfd_write(relay->stop_fd, 1);
    pthread_join(relay->thread, NULL);
    close(relay->client_fd);
    close(relay->server_fd);
    close(relay->stop_fd);
}
