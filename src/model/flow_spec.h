/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What is asked of one side of a session, and of each trial in it.
 *
 * A session is prepared once (sockets, tokens) and then started any number of times; each start is a trial with a rate
 * and times of its own. A trial starts at a given monotonic time; its window is [start + warmup, start + warmup +
 * duration); the sender goes on for tail_ns after it so that the receiver's window is loaded to its end.
 *
 * units   ns; bit/s of payload; bytes of payload
 */
enum flow_kind {
    FLOW_TCP_STREAM,
    FLOW_UDP_STREAM,
    FLOW_ICMP_ECHO,
    FLOW_TCP_RR,
    FLOW_UDP_RR,
    FLOW_TCP_CRR,   /* connect, one request, one response, close */
    FLOW_STAMP,     /* two-way delay by RFC 8762 packets; the server reflects */
    FLOW_MULTICAST, /* a UDP stream to a group; each receiver is a server of its own */
    FLOW_KIND_COUNT
};

/* "tcp_stream" …; as on the wire and in JSON. */
extern const char *const flow_kind_name[FLOW_KIND_COUNT];
/* The kind of that name; -ENOENT. */
int flow_kind_find(const char *name);
/* One side asks and counts answers: its sent part is the whole result. Else payload streams from a sender to a receiver. */
bool flow_kind_asks(enum flow_kind kind);

enum flow_role {
    FLOW_CLIENT,
    FLOW_SERVER
}; /* the client opens the connections, whichever way the data goes */

/* Bits: which way payload goes. All but TCP and UDP streams are always forward. */
enum flow_direction { FLOW_FORWARD = 1, FLOW_REVERSE = 2, FLOW_BOTH = 3 };

/* How a TCP stream's payload gets in and out of the kernel. */
enum flow_io {
    FLOW_IO_APP, /* written and read as an application does: both ends copy */
    FLOW_IO_LEAN, /* sent from pages that are there, dropped in the receiver's kernel: the path alone */
    FLOW_IO_COUNT
};
/* "app", "lean". */
extern const char *const flow_io_name[FLOW_IO_COUNT];

/* Who is at the server's end. */
enum flow_peer {
    FLOW_PEER_AGENT,
    FLOW_PEER_IPERF3, /* an iperf3 server: TCP and UDP streams */
    FLOW_PEER_IPERF2, /* an iperf 2 server: TCP and UDP streams, forward only */
    FLOW_PEER_STAMP,  /* a reflector of RFC 8762, or TWAMP light: FLOW_STAMP */
    FLOW_PEER_COUNT
};
/* "agent", "iperf3" … */
extern const char *const flow_peer_name[FLOW_PEER_COUNT];

enum {
    FLOW_TOKEN_BYTES = 16,
    FLOW_MAX_FLOWS = 4096,
    FLOW_UDP_HEADER = 32,      /* smallest datagram payload of a UDP stream or UDP RR */
    FLOW_MAX_DATAGRAM = 65507, /* largest UDP payload over IPv4; IPv6 takes 65527 */
    FLOW_MAX_WRITE = 16 << 20, /* largest TCP write */
    FLOW_MAX_RR = 1 << 20,     /* largest TCP request or response */
    FLOW_MAX_INTERVALS = 36000,
    FLOW_MAX_WINDOW = 1 << 30,
    FLOW_PIN_EXACT =
        0x8000,         /* in pin: all threads on the CPU of the number pin - 1, without this bit */
    FLOW_MAX_GSO = 128, /* datagrams of one send call as one, UDP_MAX_SEGMENTS */
    FLOW_STAMP_BYTES = 44, /* smallest STAMP packet */
    FLOW_CC_SIZE = 16,
    FLOW_ADDRESS_SIZE = 64,
    FLOW_PORT = 5001, /* first data port, VMTP's */
    FLOW_PORT_LAST = 5031,
};

struct flow_spec {
    enum flow_kind kind;
    enum flow_role role;
    enum flow_direction direction;
    uint32_t n_flows;
    uint32_t
        payload_bytes; /* TCP: bytes a write; UDP: a datagram; ICMP: after the ICMP header; RR: request and response */
    uint16_t port;      /* server: first port to try; client: where to connect; 0 any */
    uint16_t port_last; /* server: last port to try */
    char address
        [FLOW_ADDRESS_SIZE]; /* client: literal to connect to; server: literal to bind, or "0.0.0.0", "::"; multicast: both the group */
    char cc[FLOW_CC_SIZE];   /* TCP congestion control to set; "" leaves the machine's default */
    /* From one request to the next, by an absolute schedule; 0 as soon as the answer is here. ICMP, RR, CRR, STAMP. */
    uint64_t gap_ns;
    uint64_t connect_ns; /* how long opening and token exchange may take */
    enum flow_peer peer;
    enum flow_io io; /* TCP stream */
    uint32_t
        pin; /* flow k's thread on the (pin - 1 + k)-th CPU that is allowed, or FLOW_PIN_EXACT; 0 the scheduler's choice */
    uint32_t mss_bytes;    /* TCP_MAXSEG; 0 the path's */
    uint32_t window_bytes; /* SO_SNDBUF and SO_RCVBUF; 0 TCP: autotuned, UDP: the largest allowed */
    uint32_t dscp;         /* 0 … 63, of every packet of this side */
    uint32_t gso;          /* UDP stream: datagrams of one send call as one; 1 each by itself */
    uint32_t ttl;          /* multicast: hops; 0 is 1 */
    bool nodelay;          /* TCP stream: TCP_NODELAY; RR and CRR have it always */
    bool imix; /* UDP stream: flow_imix instead of payload_bytes, which is its largest */
    bool spin; /* RR, CRR, STAMP: wait for bytes by asking again and again, not asleep */
    /* Client: own address, or an interface's name; "" any. Of a multicast receiver the interface that it joins on. */
    char bind[FLOW_ADDRESS_SIZE];
    uint8_t token[FLOW_TOKEN_BYTES];
};

struct flow_trial {
    uint32_t
        number; /* 1 …; datagrams carry it, so that stragglers of one trial do not count in the next */
    uint64_t start_ns; /* CLOCK_MONOTONIC of the machine that is told */
    uint64_t warmup_ns;
    uint64_t duration_ns;
    uint64_t tail_ns;
    uint64_t interval_ns; /* of the series; 0 none */
    uint64_t rate_bps;    /* payload, each direction, all flows together; 0 as fast as it goes */
    uint64_t count;       /* ICMP, RR: stop after so many; 0 by time */
};

/*
 * The simple Internet mix, 7:4:1 of small, middle and large IP packets, as payloads of UDP over IPv4: 60 (the least our
 * header leaves; the mix has 40), 576 and 1500 bytes of IP. One round of it, spread evenly.
 */
enum { FLOW_IMIX_ROUND = 12 };
extern const uint16_t flow_imix[FLOW_IMIX_ROUND];
uint32_t flow_imix_largest(void);
/* Bytes of a payload, of a mix the mean. */
double flow_spec_mean_payload(const struct flow_spec *spec);

/* A sentence for what cannot be, or 0. The same checks on both ends of the wire. */
int flow_spec_check(const struct flow_spec *spec, struct err *err);
int flow_trial_check(const struct flow_spec *spec, const struct flow_trial *trial, struct err *err);
