/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "traffic/endpoint.h"

/*
 * Streams as iperf3 and iperf2 have them, as hooks for engine_adopt_as(): the engine's threads, counters and merging,
 * with datagrams of their form. Both roles use them.
 *
 * A trial of a server's side has no end of its own: it ends by the engine's stop. Then receivers go on until nothing
 * has come for FOREIGN_QUIET_NS: what the sender had handed over before it said "end" is counted too.
 *
 * shape   a worker writes the foreign_flow of its own flows, in the end; read them when engine_run() is back
 * units   ns; begin_ns and end_ns by CLOCK_MONOTONIC (arrivals of datagrams: as stamp.h has them)
 * errors  as the engine's: a flow that failed, and why; ETIMEDOUT also for idle_ns and proof_ns
 * owns    nothing: side, flows and proven are lent by who adopts, until engine_close()
 */
enum foreign_form {
    FOREIGN_IPERF3,      /* u32 s, u32 us, u32 number */
    FOREIGN_IPERF3_WIDE, /* u32 s, u32 us, u64 number */
    FOREIGN_IPERF2,      /* s32 number, u32 s, u32 us, s32 high half; then a client's header */
};

enum {
    FOREIGN_QUIET_NS = 20000000,
    FOREIGN_QUIET_MOST_NS = 500000000,
    IPERF2_WIDE_NUMBERS = 0x08000000, /* flag of an iperf2 client's header: the high half counts */
    IPERF2_DATAGRAM_BYTES = 16,
    IPERF2_HEADER_BYTES = 40, /* datagram's and client's header */
    FOREIGN_PROOF = 3,        /* datagrams; fewer are no test: nobody has to receive to send them */
};

/* What a worker leaves of its flow. */
struct foreign_flow {
    uint64_t bytes;   /* in the window */
    uint64_t total;   /* datagrams: sender: sent; receiver: the highest number */
    uint64_t omitted; /* of them before the window */
    uint64_t received, lost,
        reordered; /* receiver of datagrams: in the window; lost below the highest number */
    double jitter_ns;
    uint64_t begin_ns, end_ns; /* of the counting; end 0: it never began */
    uint64_t retransmits;      /* TCP sender */
    bool finished;             /* iperf2: its last datagram came */
};

/* engine->arg */
struct foreign_side {
    enum foreign_form form;
    bool skip_copy; /* TCP receivers drop in the kernel */
    bool
        until_finished; /* iperf2 server: over when all flows are finished, or closed by the peer */
    uint64_t idle_ns;   /* nothing moved for so long: over, with ETIMEDOUT; 0 never */
    uint64_t proof_ns;  /* iperf2 server, UDP: over after so long, unless it is proven; 0 never */
    _Atomic bool *proven;       /* lent, NULL none; set when FOREIGN_PROOF datagrams have come */
    struct foreign_flow *flows; /* lent; one a flow of the engine */
};

extern const struct endpoint_ops foreign_udp, foreign_tcp;

static inline struct foreign_side *foreign_side_of(const struct worker *worker)
{
    return worker->engine->arg;
}
