/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/node_cpu.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * CPU of machines on which no agent of ours runs, from what watches them already: Ganglia's gmond and Prometheus' node
 * exporter. A thread for each reads it when a window begins, now and then in it, and when it ends. Whatever a monitor does, it
 * holds up nobody: each reading has a deadline, and one that failed last time is not waited for.
 *
 * units   ns of our CLOCK_MONOTONIC
 */
enum {
    MONITOR_MAX = 16,
    MONITOR_ANSWER_S = 2, /* a reading may take so long */
    MONITOR_EVERY_S = 5,  /* from one reading to the next in a window */
    MONITOR_GMOND_PORT = 8649,
};

struct monitor_spec {
    enum node_cpu_source source;   /* NODE_CPU_GMOND or NODE_CPU_EXPORTER */
    char host[64];                 /* gmond: a name or an address */
    uint16_t port;                 /* gmond */
    char url[256];                 /* node exporter */
    char name[NODE_CPU_NAME_SIZE]; /* what people call it: host and port, nothing else of a URL */
};

/*
 * "HOST", "HOST:PORT", "[ADDR]:PORT" or an IPv6 address alone are a gmond; "http://…" and "https://…" a node exporter. A user
 * or password in a URL is refused, as others could read it (~/.netrc is read instead); of a query only collect[]=NAME is taken.
 *
 * errors  -EINVAL with a sentence
 */
int monitor_spec_parse(const char *text, struct monitor_spec *ret_spec, struct err *err);

struct monitors;

/* errors  -ENOENT a library that is needed is not there; -ENOMEM, -EAGAIN */
int monitors_open(const struct monitor_spec *specs, unsigned n, struct monitors **ret_monitors,
                  struct err *err);
/* A window is to come; what was of another before it is forgotten. baseline: a gmond's values count however old they are. */
void monitors_begin(struct monitors *monitors, uint64_t start_ns, uint64_t end_ns, bool baseline);
/*
 * What was seen in it, at least one entry for each monitor, waiting for the last readings until deadline_ns. An entry
 * without a number says why in its note.
 */
void monitors_end(struct monitors *monitors, uint64_t deadline_ns, struct node_cpus *nodes);
/* End the threads. One that does not end in time (it may hang in a name's resolution) is left to end by itself. Takes NULL. */
void monitors_close(struct monitors *monitors);
