/* SPDX-License-Identifier: Apache-2.0 */
#include "model/metric.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define NUMBER_COUNT false
#define NUMBER_REAL true
const struct metric_info metric_table[METRIC_COUNT_] = {
#define METRIC(name, number, heading, source) {#name, heading, source, NUMBER_##number},
#include "model/metrics.def"
#undef METRIC
};

/* To the nearest whole number there is; a double may be far outside of them. */
static uint64_t metric_whole(double real)
{
    if (!(real > 0))
        return 0;
    return real < 0x1p64 ? (uint64_t)real : UINT64_MAX;
}

void metric_put(struct metric_set *set, enum metric m, uint64_t count)
{
    set->has[m] = true;
    if (metric_table[m].real)
        set->value[m].real = (double)count;
    else
        set->value[m].count = count;
}

void metric_put_real(struct metric_set *set, enum metric m, double real)
{
    if (!isfinite(real))
        return;
    set->has[m] = true;
    if (metric_table[m].real)
        set->value[m].real = real;
    else
        set->value[m].count = metric_whole(real + 0.5);
}

void metric_add(struct metric_set *set, enum metric m, uint64_t count)
{
    if (metric_table[m].real)
        metric_put_real(set, m, metric_get_real(set, m) + (double)count);
    else
        metric_put(set, m, metric_get(set, m) + count);
}

uint64_t metric_get(const struct metric_set *set, enum metric m)
{
    if (!set->has[m])
        return 0;
    return metric_table[m].real ? metric_whole(set->value[m].real) : set->value[m].count;
}

double metric_get_real(const struct metric_set *set, enum metric m)
{
    if (!set->has[m])
        return 0;
    return metric_table[m].real ? set->value[m].real : (double)set->value[m].count;
}

int metric_find(const char *name)
{
    for (int m = 0; m < METRIC_COUNT_; m++)
        if (strcmp(metric_table[m].name, name) == 0)
            return m;
    return -ENOENT;
}
