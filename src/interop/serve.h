/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/flow_spec.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Serve other tools' clients: iperf3, iperf2, and STAMP senders. One thread takes connections and first datagrams; each
 * test has a thread of its own (and the engine's workers), so that none waits for another.
 *
 * shape   serve_open(), serve_run() in the caller's thread until the stop, serve_close()
 * errors  a port that is taken is told, also when it is taken by another such server. What goes wrong in a test is in its
 *         report
 * units   times in ns, lengths of windows in s, sizes in bytes
 * owns    its sockets, tests and threads; on_report's arg stays the caller's and has to live until serve_close() is back
 *
 * None of these protocols proves who the client is: whoever reaches the port may send, and be sent to.
 */
enum { SERVE_MAX_NETS = 16, SERVE_MAX_CLIENTS = 1024 };

struct serve_net {
    uint8_t address[16]; /* IPv4 as IPv6 has it mapped */
    uint32_t bits;
};

struct serve_options {
    uint16_t iperf3_port, iperf2_port, stamp_port; /* 0: not served */
    char bind[FLOW_ADDRESS_SIZE];                  /* own address, or an interface's name; "" all */
    bool one;                                      /* end after the first test */
    uint64_t idle_ns; /* a test in which nothing moves for so long ends; 0 never */
    uint32_t max_clients;
    uint32_t n_nets; /* 0: everybody */
    struct serve_net nets[SERVE_MAX_NETS];
};

/* "10.0.0.0/8", "fd00::/8", "192.0.2.1". */
int serve_net_parse(const char *text, struct serve_net *ret_net, struct err *err);
bool serve_net_has(const struct serve_net *net, const struct in6_addr *address);

/* One test that is over. */
struct serve_report {
    const char *tool; /* "iperf3", "iperf2" */
    char client[FLOW_ADDRESS_SIZE];
    uint16_t client_port;
    bool udp;
    enum flow_direction direction;
    uint32_t n_flows;
    double received_s, sent_s; /* lengths of the two directions' windows */
    uint64_t received_bytes, sent_bytes;
    uint64_t received_packets, lost_packets, sent_packets; /* UDP */
    double jitter_ns;                                      /* UDP, received */
    uint64_t retransmits;                                  /* TCP, sent */
    int error;      /* positive errno; 0 it went to its end */
    char what[256]; /* words for it */
};

/*
 * Called when a test is over, by one thread at a time, and not under the lock that serves: others are served meanwhile.
 * Yet the test keeps its place until it is back, so it must not wait for ever. report is lent for the call.
 */
typedef void serve_report_fn(void *arg, const struct serve_report *report);

struct serve;

/* Bind all ports. errors: -EADDRINUSE, -EACCES … with a sentence */
int serve_open(const struct serve_options *options, serve_report_fn *on_report, void *arg,
               struct serve **ret_serve, struct err *err);
/* Until stop_fd becomes readable, or the one test is over. 0, or a negative errno. */
int serve_run(struct serve *serve, int stop_fd, struct err *err);
/* Ends what runs, and waits for it: at most some seconds. Takes NULL. */
void serve_close(struct serve *serve);
