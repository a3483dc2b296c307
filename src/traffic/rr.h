/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/clock.h"
#include "traffic/endpoint.h"
#include "traffic/tick.h"

/*
 * What the files of request and response share: one flow of a worker, and whole messages over it.
 *
 * shape   rr_wire.c moves messages, endpoint_rr.c asks one after the other and answers, rr_open.c asks by a schedule
 */
enum {
    RR_CALL_MS = 100, /* a blocking call lasts no longer: it has to see stop */
    RR_TIMEOUT_NS = 200 * CLOCK_MS,
    RR_QUIET_NS =
        100 * CLOCK_MS, /* a server's trial is over after so long a silence past its end */
    RR_UDP_BUFFER = 4 << 20,
    RR_SPINS = 64, /* empty reads of a spinner before it looks at the clock and offers its CPU */
};

struct rr {
    struct worker *worker;
    struct flow *flow;
    struct tick tick;
    uint8_t *buffer; /* owned; n_buffer: payload_bytes */
    size_t n_buffer;
    bool tcp;
    int flags;         /* of recv: MSG_DONTWAIT for a spinner */
    uint32_t spins;    /* empty reads since the last look */
    uint64_t count;    /* transactions to do in the window; UINT64_MAX by time */
    uint64_t done;     /* client: so many are; server: also those of the warm-up */
    uint64_t moved_ns; /* when the last one was, or the start */
    uint64_t now_ns;
    uint64_t patience_ns; /* silence of the peer that is an error */
    uint64_t sequence;    /* UDP: of the last request */
    uint64_t timeouts;    /* UDP, in the window */
    int64_t drops;        /* UDP: the socket's before the trial; negative not known */
};

/* What a wait for bytes ended with. */
enum rr_end { RR_GOT, RR_NOTHING, RR_OVER };

int rr_init(struct rr *rr, struct worker *worker);
void rr_done(struct rr *rr);

/* The clock, and the edges that have passed. */
void rr_look(struct rr *rr);
/* The peer has been silent for too long; the flow has failed then. */
bool rr_stalled(struct rr *rr, uint64_t since_ns);
/* A message has come or gone: count it at now_ns. */
void rr_done_one(struct rr *rr);
void rr_fail(struct rr *rr, int code, const char *what);
/* The flow has failed with an errno of a socket call, unless the server is over anyway. */
void rr_broken(struct rr *rr, int code);
bool rr_stopped(const struct rr *rr);

/*
 * All bytes of one message of a stream. A message that has begun is waited for past the trial's end.
 */
enum rr_end rr_tcp_receive(struct rr *rr);
bool rr_tcp_send(struct rr *rr);
/* The next datagram of this trial; what is none, older, or not ours is not looked at. */
enum rr_end rr_udp_receive(struct rr *rr, uint64_t until_ns);
/* False: the flow has failed. What a full buffer does not take is lost like on the path. */
bool rr_udp_send(struct rr *rr);
/* The header of the next request. */
void rr_udp_number(struct rr *rr);

/* Of UDP: asked and not answered. */
void rr_report_loss(struct rr *rr, uint64_t asked, uint64_t answered);

/* Of UDP: what our own full socket dropped in this trial. */
void rr_report_drops(struct rr *rr);

/* rr_open.c: the client's trial when there is a schedule. Errors are the flow's. */
void rr_open_ask(struct rr *rr);
