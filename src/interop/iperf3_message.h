/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/flow_spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What iperf3's two sides tell each other: states, and parameters and results as JSON. Texts to structs and back; no I/O.
 *
 * units   as iperf3 has them: seconds, bits a second, bytes
 * source  esnet/iperf, src/iperf_api.h and iperf_api.c; its parameter and result JSON since 3.1
 */
enum iperf3_state {
    IPERF3_TEST_START = 1,
    IPERF3_TEST_RUNNING = 2,
    IPERF3_TEST_END = 4,
    IPERF3_PARAM_EXCHANGE = 9,
    IPERF3_CREATE_STREAMS = 10,
    IPERF3_SERVER_TERMINATE = 11,
    IPERF3_CLIENT_TERMINATE = 12,
    IPERF3_EXCHANGE_RESULTS = 13,
    IPERF3_DISPLAY_RESULTS = 14,
    IPERF3_DONE = 16,
    IPERF3_ACCESS_DENIED = -1,
    IPERF3_SERVER_ERROR = -2,
};

enum {
    IPERF3_PORT = 5201,
    IPERF3_COOKIE = 37, /* 36 characters and a NUL */
    IPERF3_MAX_PARALLEL = 128,
    IPERF3_MAX_STREAMS = 2 * IPERF3_MAX_PARALLEL,
    IPERF3_MAX_PARAMS = 8192,
    IPERF3_MAX_RESULTS = 1 << 20,
    IPERF3_TCP_BYTES = 128 << 10, /* a write or read when nothing is said */
};

/* Numbers of errors that a server tells after IPERF3_SERVER_ERROR. */
enum iperf3_error {
    IPERF3_IEDURATION = 5,
    IPERF3_IENUMSTREAMS = 6,
    IPERF3_IEBLOCKSIZE = 7,
    IPERF3_IEBUFSIZE = 8,
    IPERF3_IEMSS = 10,
    IPERF3_IEUDPBLOCKSIZE = 20,
    IPERF3_IETOS = 21,
    IPERF3_IERECVPARAMS = 114,
    IPERF3_IESTREAMCONNECT = 203,
    IPERF3_IESETCONGESTION = 134,
};
/* In words, for the ones a client is likely to meet; NULL others. */
const char *iperf3_error_words(int number);

struct iperf3_params {
    bool udp, reverse, bidirectional, nodelay;
    bool counters_64bit;     /* UDP header of 16 bytes instead of 12 */
    bool get_server_output;  /* the client wants the server's own words */
    bool skip_copy;          /* receivers may drop in the kernel */
    uint32_t omit_s, time_s; /* time 0: no limit */
    uint64_t bytes, blocks;  /* the client ends after so many; 0 no limit */
    uint32_t parallel;
    uint32_t len;
    uint32_t window_bytes, mss_bytes, tos;
    uint64_t bandwidth_bps; /* of each stream; 0 no limit */
    char congestion[FLOW_CC_SIZE];
    char version[32]; /* of the client */
};

/* Length written, or -ENOSPC. */
int iperf3_params_write(const struct iperf3_params *params, char *ret_text, size_t size);
/*
 * Keys that are not known, and values of a wrong type, are passed over, as iperf3 does.
 *
 * errors  -EBADMSG not JSON; -EINVAL out of range; *ret_number is then what IPERF3_SERVER_ERROR says
 */
int iperf3_params_read(const char *text, size_t n, struct iperf3_params *ret_params,
                       int *ret_number, struct err *err);

/* Of one stream, one side. -1 stands for "cannot tell". */
struct iperf3_stream {
    int id;
    double bytes, retransmits, jitter_s, errors, packets;
    double omitted_errors, omitted_packets; /* -1: not told */
    double end_s;                           /* 0: not told */
};

struct iperf3_results {
    double cpu_total, cpu_user, cpu_system; /* percent */
    int has_retransmits;                    /* 1 yes, 0 no, -1 this side receives */
    char congestion[FLOW_CC_SIZE];
    uint32_t n_streams;
    struct iperf3_stream streams[IPERF3_MAX_STREAMS];
};

/* Streams are numbered 1, 3, 4, 5 …: 2 is never used, a slip of the first version that both ends repeat. */
static inline int iperf3_stream_id(uint32_t index) { return index == 0 ? 1 : (int)index + 2; }

/* output: the server's own words, or NULL. Length written, or -ENOSPC. */
int iperf3_results_write(const struct iperf3_results *results, const char *output, char *ret_text,
                         size_t size);
/* errors  -EBADMSG not JSON, or no streams in it */
int iperf3_results_read(const char *text, size_t n, struct iperf3_results *ret_results,
                        struct err *err);
/* The stream of that number, or NULL. */
const struct iperf3_stream *iperf3_results_find(const struct iperf3_results *results, int id);
