/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "interop/foreign_flow.h"
#include "interop/iperf3_message.h"
#include "interop/serve.h"
#include "traffic/stamp_reflect.h"

#include <pthread.h>

/*
 * What the thread that takes connections and the threads of tests share; interop/ only.
 */
enum serve_phase { SERVE_ASKING, SERVE_STREAMS, SERVE_RUNNING };

struct serve_test {
    struct serve *serve; /* lent */
    int fd; /* owned; iperf3: control connection; iperf2: the stream, or -1 once the engine has it */
    union socket_address peer, local;
    bool udp; /* iperf2: what the stream is; iperf3: what the parameters say */
    char cookie[IPERF3_COOKIE];
    struct serve_report report;

    /* Under the lock. */
    enum serve_phase phase;
    int stream_fds[IPERF3_MAX_STREAMS];  /* owned; until the engine has them */
    uint64_t orders[IPERF3_MAX_STREAMS]; /* by which they were accepted */
    uint32_t n_streams, n_wanted;
    int came_fd; /* owned; eventfd: a stream came */
    bool over;   /* the thread is about to end */

    pthread_t thread;
    struct serve_test *next;
};

struct serve {
    struct serve_options options;
    serve_report_fn *on_report;
    void *arg;
    int stop_fd;                                            /* owned; eventfd: tests are to end */
    int over_fd;                                            /* owned; eventfd: a test is over */
    int iperf3_fd, iperf3_udp_fd, iperf2_fd, iperf2_udp_fd; /* owned; -1 none */
    struct serve_pending *pending;                          /* owned */
    uint32_t n_pending;
    uint64_t n_accepted;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct serve_test *tests; /* owned; under lock */
    uint32_t n_tests;         /* under lock */
    uint32_t n_reports;       /* of tests in which traffic began; under lock */
    int stamp_fd;             /* owned; -1 none */
    struct stamp_reflector stamp;
};

/* serve.c: the test's result, told once; then the thread ends. */
void serve_tell(struct serve_test *test);

/* Bodies of the threads. */
void iperf3_server_test(struct serve_test *test);
void iperf2_server_test(struct serve_test *test);

/* serve_socket.c */

/* The interface that is served alone; "" none. */
const char *serve_device(const struct serve_options *options);

/* A bound socket; UDP ones can share the port with the connected ones made by serve_udp_connected(). */
int serve_bind(const struct serve_options *options, int type, uint16_t port, int *ret_fd,
               struct err *err);
/* An address without its family's differences. */
void serve_address(const union socket_address *address, struct in6_addr *ret_address,
                   uint16_t *ret_port);
bool serve_same_host(const union socket_address *a, const union socket_address *b);
bool serve_allowed(const struct serve_options *options, const union socket_address *peer);
/* Words for the report. */
void serve_name_client(struct serve_report *report, const union socket_address *peer);
