/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Values of quantities: what is not set was not measured, which is not the same as 0.
 *
 * units   by the name's suffix, see metrics.def
 * owns    nothing; a zeroed struct is an empty set
 */
enum metric {
#define METRIC(name, number, heading, source) METRIC_##name,
#include "model/metrics.def"
#undef METRIC
    METRIC_COUNT_
};

struct metric_info {
    const char *name;
    const char *heading;
    const char *source;
    bool real; /* a double, else a whole number */
};

extern const struct metric_info metric_table[METRIC_COUNT_];

struct metric_set {
    bool has[METRIC_COUNT_];
    union {
        uint64_t count;
        double real;
    } value[METRIC_COUNT_];
};

/* Set; the number is converted to the metric's own kind. A real that is not finite is not set. */
void metric_put(struct metric_set *set, enum metric m, uint64_t count);
void metric_put_real(struct metric_set *set, enum metric m, double real);
/* Add to what is there, or set. */
void metric_add(struct metric_set *set, enum metric m, uint64_t count);
/* 0 when not set. */
uint64_t metric_get(const struct metric_set *set, enum metric m);
double metric_get_real(const struct metric_set *set, enum metric m);

/* The metric of that name; -ENOENT. */
int metric_find(const char *name);
