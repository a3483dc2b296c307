/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/flow_spec.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Does a host reach another's port? One agent opens doors, others knock at them with the token, and the first one says what
 * it has heard: so a silence has a place.
 */
enum {
    PROBE_MAX_DOORS = 8,
    PROBE_MAX_KNOCKS = 48, /* a key each in one line */
    PROBE_NUMBERS = 256,   /* knocks of a whole preflight have numbers of their own */
    PROBE_MAX_HALF = 8,
};

struct probe_door {
    bool udp, v6;             /* v6: "::", which takes IPv4 too */
    uint16_t port, port_last; /* the first that is free; port_last 0: port alone */
};

struct probe_doors {
    struct probe_door door[PROBE_MAX_DOORS];
    uint32_t n;
    uint8_t token[FLOW_TOKEN_BYTES];
};

/* What became of a door: the port it has, or an errno. */
struct probe_opened {
    uint16_t port;
    int error;
};

/* What came to a door. */
struct probe_heard {
    uint8_t number[PROBE_NUMBERS / 8]; /* bit k: a hello of knock k that proved the token */
    /* TCP: who asked for a connection and never took the answer (SYN_RECV), each once */
    char half[PROBE_MAX_HALF][FLOW_ADDRESS_SIZE];
    uint32_t n_half;
};

static inline bool probe_has_heard(const struct probe_heard *heard, uint32_t number)
{
    return number < PROBE_NUMBERS && heard->number[number / 8] >> number % 8 & 1;
}

struct probe_knock {
    bool udp;
    uint16_t port;
    uint32_t number;                 /* below PROBE_NUMBERS */
    uint32_t dscp;                   /* as the traffic's own packets have it */
    char address[FLOW_ADDRESS_SIZE]; /* a literal */
    char bind[FLOW_ADDRESS_SIZE];    /* own address or interface; "" any */
};

struct probe_knocks {
    struct probe_knock knock[PROBE_MAX_KNOCKS];
    uint32_t n;
    uint64_t wait_ns; /* all of them together */
    uint8_t token[FLOW_TOKEN_BYTES];
};

enum probe_end {
    PROBE_REACHED,   /* the door proved that it knows the token */
    PROBE_SILENT,    /* nothing came back */
    PROBE_CONNECTED, /* TCP: the connection stood, but our hello had no answer */
    PROBE_STRANGER,  /* something else answers there */
    PROBE_ERROR,     /* an errno: refused by RST or ICMP, no route, our own rule … */
    PROBE_END_COUNT
};
/* "reached", "silent" … */
extern const char *const probe_end_name[PROBE_END_COUNT];

struct probe_answer {
    enum probe_end end;
    int error; /* of PROBE_ERROR, positive */
};
