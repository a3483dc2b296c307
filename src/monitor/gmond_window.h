/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "model/node_cpu.h"
#include "monitor/gmond_xml.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What several readings of a gmond say of one window. A gmond tells the last value it was sent and how old that is; it measures
 * every 20 s or so, and a value that hardly changed is sent again after 90 s only. So a value counts only when it is certain
 * to have been measured after the window began; the rest is told to be old. Arithmetic, no I/O.
 *
 * units   ns of our CLOCK_MONOTONIC
 */
struct gmond_seen {
    char name[NODE_CPU_NAME_SIZE];
    double sum[CPU_MODE_COUNT];
    uint32_t n[CPU_MODE_COUNT];
    double sum_busy, max_busy;
    uint32_t n_samples;
    uint64_t sample_ns; /* when the last sample was measured */
    uint64_t newest_ns; /* when the newest value was, of the window or not */
    bool has_newest, split;
    uint32_t n_cpus;
};

struct gmond_window {
    uint64_t start_ns, end_ns;
    bool any_age;            /* values of before count too: a baseline */
    struct gmond_seen *seen; /* owned */
    uint32_t n;
};

/* One reading. errors: -ENOMEM */
int gmond_window_add(struct gmond_window *window, const struct gmond_hosts *hosts,
                     uint64_t read_ns);
/* An entry for each host. errors: -ENOMEM */
int gmond_window_nodes(const struct gmond_window *window, struct node_cpus *nodes);
void gmond_window_done(struct gmond_window *window);
