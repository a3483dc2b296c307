/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"

/*
 * What the kernel tells about a TCP connection, and how a flow's trial went by it.
 *
 * shape   a field that this kernel does not fill (its answer is shorter) is missing, not 0
 * units   in the names
 * source  struct tcp_info in include/uapi/linux/tcp.h; tcp_get_info() in net/ipv4/tcp.c
 */
enum tcp_field {
    TCP_FIELD_RTT_NS, /* missing, too, as long as there was no sample */
    TCP_FIELD_CWND_PACKETS,
    TCP_FIELD_SND_MSS_BYTES,
    TCP_FIELD_RCV_MSS_BYTES,
    TCP_FIELD_PMTU_BYTES,
    TCP_FIELD_RCV_SPACE_BYTES,
    TCP_FIELD_LOST,
    TCP_FIELD_TOTAL_RETRANS,
    TCP_FIELD_BUSY_NS,
    TCP_FIELD_RWND_LIMITED_NS,
    TCP_FIELD_SNDBUF_LIMITED_NS,
    TCP_FIELD_SND_WND_BYTES,
    TCP_FIELD_BYTES_ACKED, /* the SYN counts as one */
    TCP_FIELD_COUNT,
};

struct tcp_sample {
    bool has[TCP_FIELD_COUNT];
    uint64_t value[TCP_FIELD_COUNT];
};

/* Cut an answer of the kernel; arithmetic only. */
void tcp_info_parse(const void *bytes, size_t n, struct tcp_sample *ret_sample);
/* 0 or -errno. */
int tcp_info_read(int fd, struct tcp_sample *ret_sample);
/* The congestion control in force; "" when it cannot be told. */
void tcp_info_congestion(int fd, char ret_cc[FLOW_CC_SIZE]);

/* A flow's samples over one trial; zeroed to begin with. Neither allocates nor formats. */
struct tcp_watch {
    struct tcp_sample begin; /* at the window's start */
    struct tcp_sample last;  /* a sender's */
    bool begun, ended;
    uint32_t slot; /* of the tally, when sampled last */
    uint64_t retransmits;
    uint64_t cwnd_max_bytes;
};

/*
 * Sample now; the flow's tally has been advanced to now. A sender's samples go into flow->rtt and the finished interval;
 * at the window's end (or in tcp_watch_end(), when the trial was cut short) flow->metrics is filled.
 */
void tcp_watch_sample(struct tcp_watch *watch, struct flow *flow);
void tcp_watch_end(struct tcp_watch *watch, struct flow *flow);
