/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors that do not do what they should: the real ones are in tests/live/monitor.bats. */
#include "base/clock.h"
#include "monitor/monitor.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A server that says the same to everybody, and then closes, goes on for ever, or says nothing more. */
enum fault_end { FAULT_CLOSE, FAULT_FOR_EVER, FAULT_HANG };

struct fault {
    const char *spec; /* %u is the port */
    const char *says;
    enum fault_end end;
    const char *words; /* of the note that comes of it */
    int fd;
    uint16_t port;
    pthread_t thread;
    atomic_bool stop;
};

static void fault_answer(struct fault *f, int fd)
{
    char request[2048];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    /* Who speaks HTTP asks first. */
    if (strncmp(f->spec, "http", 4) == 0 && poll(&p, 1, 1000) == 1 &&
        recv(fd, request, sizeof request, 0) <= 0)
        return;
    send(fd, f->says, strlen(f->says), MSG_NOSIGNAL);
    while (f->end != FAULT_CLOSE && !atomic_load(&f->stop)) {
        if (f->end == FAULT_FOR_EVER && send(fd, "\n   ", 4, MSG_NOSIGNAL) < 0)
            return;
        poll(NULL, 0, 1);
    }
}

static void *fault_thread(void *arg)
{
    struct fault *f = arg;

    while (!atomic_load(&f->stop)) {
        struct pollfd p = {.fd = f->fd, .events = POLLIN};
        int fd;

        if (poll(&p, 1, 10) != 1)
            continue;
        fd = accept(f->fd, NULL, NULL);
        if (fd < 0)
            continue;
        fault_answer(f, fd);
        close(fd);
    }
    return NULL;
}

/* says NULL: nobody listens. */
static void fault_begin(struct fault *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&a, &len), 0);
    f->port = ntohs(a.sin_port);
    if (!f->says)
        return;
    assert_int_equal(listen(f->fd, 8), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, fault_thread, f), 0);
}

static void fault_end(struct fault *f)
{
    atomic_store(&f->stop, true);
    if (f->says)
        pthread_join(f->thread, NULL);
    close(f->fd);
}

static struct fault faults[] = {
    {.spec = "127.0.0.1:%u", .words = "Connection refused"},
    {.spec = "http://127.0.0.1:%u/metrics", .words = "127.0.0.1"},
    {.spec = "127.0.0.1:%u", .says = "", .words = "sent nothing"},
    {.spec = "127.0.0.1:%u", .says = "<GANGLIA_XML VERSION=\"3\"><HOST NA", .words = "cut off"},
    {.spec = "127.0.0.1:%u", .says = "<html></html>", .words = "not gmond's"},
    {.spec = "127.0.0.1:%u", .says = "SSH-2.0-x\r\n", .words = "not XML"},
    {.spec = "127.0.0.1:%u",
     .says = "<GANGLIA_XML VERSION=\"3\">",
     .end = FAULT_FOR_EVER,
     .words = ""},
    {.spec = "127.0.0.1:%u", .says = "<GANGLIA_XML", .end = FAULT_HANG, .words = ""},
    {.spec = "http://127.0.0.1:%u/metrics",
     .says = "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n",
     .words = "HTTP 404"},
    {.spec = "http://127.0.0.1:%u/metrics",
     .says = "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n"
             "Connection: close\r\n\r\n",
     .words = "names another address"},
    {.spec = "http://127.0.0.1:%u/metrics",
     .says = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<html>\n</html>\n",
     .words = "no node exporter"},
    {.spec = "http://127.0.0.1:%u/metrics",
     .says = "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\nConnection: close\r\n\r\nnode_cpu",
     .words = "transfer closed"},
    {.spec = "http://127.0.0.1:%u/metrics", .says = "+OK\r\n", .words = "does not speak HTTP"},
    {.spec = "http://127.0.0.1:%u/metrics",
     .says = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
     .end = FAULT_FOR_EVER,
     .words = ""},
};
enum { N_FAULTS = sizeof faults / sizeof *faults };

static void test_a_monitor_that_fails_is_told_and_holds_up_nobody(void **state)
{
    struct monitor_spec specs[N_FAULTS];
    struct monitors *monitors = NULL;
    struct node_cpus nodes = {0};
    uint64_t now;

    (void)state;
    for (unsigned i = 0; i < N_FAULTS; i++) {
        char text[80];

        fault_begin(&faults[i]);
        snprintf(text, sizeof text, faults[i].spec, faults[i].port);
        assert_int_equal(monitor_spec_parse(text, &specs[i], NULL), 0);
    }
    assert_int_equal(monitors_open(specs, N_FAULTS, &monitors, NULL), 0);
    now = clock_mono_ns();
    /* Long enough that those who answer at all have done so on a busy machine. */
    monitors_begin(monitors, now, now + CLOCK_MS, false);
    monitors_end(monitors, now + 10 * (uint64_t)CLOCK_S, &nodes);
    assert_int_equal(nodes.n, N_FAULTS);
    for (unsigned i = 0; i < N_FAULTS; i++) {
        assert_false(nodes.node[i].has_busy);
        assert_string_equal(nodes.node[i].node, specs[i].name);
        assert_true(nodes.node[i].note[0]);
        if (!strstr(nodes.node[i].note, faults[i].words))
            fail_msg("fault %u: '%s' lacks '%s'", i, nodes.node[i].note, faults[i].words);
    }
    node_cpus_done(&nodes);
    /* All have failed: none is waited for, whatever the deadline. */
    now = clock_mono_ns();
    monitors_begin(monitors, now, now + CLOCK_MS, false);
    monitors_end(monitors, UINT64_MAX / 4, &nodes);
    assert_int_equal(nodes.n, N_FAULTS);
    node_cpus_done(&nodes);
    monitors_close(monitors);
    for (unsigned i = 0; i < N_FAULTS; i++)
        fault_end(&faults[i]);
}

static void test_none_is_none(void **state)
{
    struct monitors *monitors = NULL;
    struct node_cpus nodes = {0};

    (void)state;
    assert_int_equal(monitors_open(NULL, 0, &monitors, NULL), 0);
    monitors_begin(monitors, 1, 2, false);
    monitors_end(monitors, 3, &nodes);
    assert_int_equal(nodes.n, 0);
    monitors_close(monitors);
    monitors_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_is_none),
        cmocka_unit_test(test_a_monitor_that_fails_is_told_and_holds_up_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
