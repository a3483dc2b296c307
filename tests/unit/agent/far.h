/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/agent.h"
#include "base/clock.h"
#include "wire/channel.h"
#include "wire/message.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * An agent in a thread of the test, and the controller's end of its socket. What both files of tests do with it.
 */
enum { FAR_WAIT_MS = 30000 };

struct far {
    struct channel channel;
    pthread_t thread;
    int ends[2]; /* ours, the agent's */
    int exit_code;
    struct message message; /* what far_next() read last */
};

static inline void *far_thread(void *arg)
{
    struct far *far = arg;

    far->exit_code = agent_serve(far->ends[1], far->ends[1]);
    close(far->ends[1]);
    return NULL;
}

/* The next message but beats, or the channel's error. */
static inline int far_next(struct far *far)
{
    const uint64_t deadline = clock_mono_ns() + (uint64_t)FAR_WAIT_MS * CLOCK_MS;

    for (;;) {
        struct pollfd pfd = {.fd = far->channel.in_fd, .events = POLLIN};
        int r = channel_next(&far->channel, &far->message, NULL);

        /* Beats alone could go on for ever. */
        assert_true(clock_mono_ns() < deadline);
        if (r > 0 && line_is(&far->message.line, "beat"))
            continue;
        if (r != 0)
            return r;
        assert_int_equal(poll(&pfd, 1, clock_ms_until(deadline)), 1);
        r = channel_fill(&far->channel, NULL);
        if (r < 0)
            return r;
    }
}

static inline uint64_t far_number(const struct far *far, const char *key)
{
    uint64_t n = 0;

    assert_int_equal(line_get_u64(&far->message.line, key, &n), 0);
    return n;
}

/* The next message, which must be this one; intervals are passed over. */
static inline void far_expect(struct far *far, uint32_t id, const char *verb)
{
    do
        assert_int_equal(far_next(far), 1);
    while (line_is(&far->message.line, "interval"));
    if (far->message.line.id != id || !line_is(&far->message.line, verb)) {
        const char *text = line_get(&far->message.line, "text");

        print_message("expected %u %s, came %u %s: %s\n", id, verb, far->message.line.id,
                      far->message.line.verb, text ? text : "");
    }
    assert_int_equal(far->message.line.id, id);
    assert_string_equal(far->message.line.verb, verb);
}

/* The same with the code of an error or failed, and a word of its sentence. */
static inline void far_expect_fault(struct far *far, uint32_t id, const char *verb, int code,
                                    const char *word)
{
    const char *text;

    far_expect(far, id, verb);
    text = line_get(&far->message.line, "text");
    assert_non_null(text);
    if (far_number(far, "code") != (uint64_t)code || !strstr(text, word))
        print_message("expected %d with '%s', came: %s\n", code, word, text);
    assert_int_equal(far_number(far, "code"), code);
    assert_non_null(strstr(text, word));
}

static inline void far_write(const struct far *far, const char *text)
{
    assert_int_equal(write(far->ends[0], text, strlen(text)), strlen(text));
}

static inline void far_init(struct far *far)
{
    *far = (struct far){.exit_code = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far->ends), 0);
    assert_int_equal(channel_init(&far->channel, far->ends[0], far->ends[0], NULL), 0);
    assert_int_equal(pthread_create(&far->thread, NULL, far_thread, far), 0);
    far_expect(far, 0, "hello");
}

/* Close our end as a controller that ends does, and wait for the agent. */
static inline void far_done(struct far *far, int exit_code)
{
    shutdown(far->ends[0], SHUT_RDWR);
    pthread_join(far->thread, NULL);
    assert_int_equal(far->exit_code, exit_code);
    channel_done(&far->channel);
    close(far->ends[0]);
}

static inline struct flow_spec far_spec(enum flow_role role, uint16_t port)
{
    struct flow_spec spec = {
        .kind = FLOW_TCP_STREAM,
        .role = role,
        .direction = FLOW_FORWARD,
        .n_flows = 1,
        .payload_bytes = 16384,
        .port = port,
        .address = "127.0.0.1",
        .connect_ns = 20ULL * CLOCK_S,
        .token = "0123456789abcde",
    };

    return spec;
}

static inline void far_prepare(struct far *far, uint32_t id, const struct flow_spec *spec)
{
    char buf[1024];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, id, "prepare");
    message_put_spec(&out, spec);
    assert_int_equal(channel_send(&far->channel, &out, NULL, 0, NULL), 0);
}

/* A trial of duration_ns that starts now. */
static inline void far_start(struct far *far, uint32_t id, uint32_t session, uint64_t duration_ns)
{
    const struct flow_trial trial = {.number = id,
                                     .start_ns = clock_mono_ns() + 5ULL * CLOCK_MS,
                                     .duration_ns = duration_ns,
                                     .interval_ns = 100ULL * CLOCK_MS};
    char buf[512];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, id, "start");
    line_put_u64(&out, "session", session);
    message_put_trial(&out, &trial);
    assert_int_equal(channel_send(&far->channel, &out, NULL, 0, NULL), 0);
}

static inline void far_stop(struct far *far, uint32_t id, uint32_t session)
{
    char buf[64];
    struct line_out out;

    line_begin(&out, buf, sizeof buf, id, "stop");
    line_put_u64(&out, "session", session);
    assert_int_equal(channel_send(&far->channel, &out, NULL, 0, NULL), 0);
}

/* A server that listens on a port of the kernel's choice, which is returned. */
static inline uint16_t far_listen(struct far *far, uint32_t id)
{
    const struct flow_spec spec = far_spec(FLOW_SERVER, 0);

    far_prepare(far, id, &spec);
    far_expect(far, id, "ok");
    assert_in_range(far_number(far, "port"), 1, UINT16_MAX);
    return (uint16_t)far_number(far, "port");
}

/* A port of 127.0.0.1 that takes connections and never says a word on them. Returns the socket. */
static inline int far_mute_port(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof address;

    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Two agents with a session each, id 1, connected to each other. */
static inline void far_pair(struct far *server, struct far *client)
{
    struct flow_spec spec;

    far_init(server);
    far_init(client);
    spec = far_spec(FLOW_CLIENT, far_listen(server, 1));
    far_prepare(client, 1, &spec);
    far_expect(client, 1, "ok");
    far_expect(client, 1, "ready");
    far_expect(server, 1, "ready");
}
