/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/repeat.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/stat.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/random.h>

enum { REPEAT_LEAST_INTERVAL = 6, REPEAT_LEAST_OUTLIER = 5 };

static const double outlier_mads = 3 * 1.4826, resolution_share = 0.01;

int repeat_check(const struct repeat_options *o, struct err *err)
{
    if (o->until_share <= 0)
        return 0;
    if (o->n < REPEAT_LEAST_INTERVAL)
        return err_say(err,
                       "--until needs --repeat N, its limit, of at least %d: fewer values have no "
                       "95 %% interval of their median",
                       REPEAT_LEAST_INTERVAL);
    return 0;
}

uint32_t repeat_rounds(const struct repeat_options *o) { return o->n > 1 ? o->n : 1; }

struct repeat_record repeat_begin(const struct repeat_options *o)
{
    struct repeat_record record = {.n = repeat_rounds(o),
                                   .until_share = o->until_share,
                                   .shuffled = o->n > 1 || o->seed_set,
                                   .seed = o->seed};
    uint32_t drawn;

    if (record.shuffled && !o->seed_set) {
        /* 32 bits: a number that a person may type again. */
        if (getrandom(&drawn, sizeof drawn, GRND_NONBLOCK) != sizeof drawn)
            drawn = (uint32_t)clock_wall_ns();
        record.seed = drawn;
    }
    return record;
}

static uint64_t repeat_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Evenly 0 … k - 1. */
static unsigned repeat_below(uint64_t *state, unsigned k)
{
    uint64_t spare = (UINT64_MAX % k + 1) % k, number;

    do
        number = repeat_random(state);
    while (number > UINT64_MAX - spare);
    return (unsigned)(number % k);
}

void repeat_shuffle(uint64_t *state, unsigned *ret_order, unsigned n)
{
    assert(n <= REPEAT_MAX_ORDER);
    for (unsigned i = 0; i < n; i++)
        ret_order[i] = i;
    for (unsigned i = n; i > 1; i--) {
        unsigned k = repeat_below(state, i), moved = ret_order[i - 1];

        ret_order[i - 1] = ret_order[k];
        ret_order[k] = moved;
    }
}

/* The group of a measurement, as the first of its kind has it; a new one when there is none. */
static int repeat_group(struct scenario_result *s, uint32_t index, struct err *err)
{
    struct measurement *m = &s->measurements[index];
    struct repeats *grown;

    for (uint32_t i = 0; i < index; i++)
        if (s->measurements[i].group && measurement_same(&s->measurements[i], m)) {
            m->group = s->measurements[i].group;
            return 0;
        }
    grown = realloc(s->repeats, (s->n_repeats + 1) * sizeof *grown);
    if (!grown)
        return err_set(err, ENOMEM, "memory for repetitions");
    s->repeats = grown;
    s->repeats[s->n_repeats] = (struct repeats){.measured = measurement_measured(m)};
    m->group = ++s->n_repeats;
    return 0;
}

static uint32_t repeat_values(const struct scenario_result *s, uint32_t group, double *ret)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_measurements; i++)
        if (s->measurements[i].group == group && measurement_value(&s->measurements[i], &ret[n]))
            n++;
    return n;
}

static void repeat_outliers(struct scenario_result *s, uint32_t group, double beyond)
{
    struct repeats *repeats = &s->repeats[group - 1];

    repeats->n_outliers = 0;
    for (uint32_t i = 0; i < s->n_measurements; i++) {
        struct measurement *m = &s->measurements[i];
        double value;

        if (m->group != group)
            continue;
        m->outlier = repeats->n >= REPEAT_LEAST_OUTLIER && measurement_value(m, &value) &&
                     fabs(value - repeats->median) > beyond;
        repeats->n_outliers += m->outlier;
    }
}

/* values: room for every measurement. */
static void repeat_summarise(struct scenario_result *s, uint32_t group, double *values)
{
    struct repeats *repeats = &s->repeats[group - 1];
    struct stat_interval interval = {0};

    repeats->n = repeat_values(s, group, values);
    repeats->median = stat_median(values, repeats->n);
    repeats->has_interval = stat_median_interval(values, repeats->n, &interval);
    repeats->low = interval.low;
    repeats->high = interval.high;
    repeats->width_share = repeats->has_interval && repeats->median > 0
                               ? (interval.high - interval.low) / repeats->median
                               : 0;
    repeat_outliers(s, group,
                    fmax(outlier_mads * stat_mad(values, repeats->n, repeats->median),
                         resolution_share * fabs(repeats->median)));
}

int repeat_add(struct scenario_result *s, uint32_t first, uint32_t repetition, struct err *err)
{
    AUTO(free_p) double *values = NULL;
    int r = 0;

    for (uint32_t i = first; i < s->n_measurements && r == 0; i++) {
        s->measurements[i].repetition = repetition;
        r = repeat_group(s, i, err);
    }
    if (r < 0 || s->n_measurements == 0)
        return r;
    values = calloc(s->n_measurements, sizeof *values);
    if (!values)
        return err_set(err, ENOMEM, "memory for repetitions");
    for (uint32_t group = 1; group <= s->n_repeats; group++)
        repeat_summarise(s, group, values);
    return 0;
}

bool repeat_is_narrow(const struct scenario_result *s, uint32_t first, uint32_t n, double share)
{
    for (uint32_t i = first; i < first + n && i < s->n_measurements; i++) {
        const struct repeats *repeats =
            s->measurements[i].group ? &s->repeats[s->measurements[i].group - 1] : NULL;

        if (!repeats || !repeats->has_interval || repeats->median <= 0 ||
            repeats->width_share > share)
            return false;
    }
    return n > 0;
}

void repeat_end(struct scenario_result *s, uint32_t first, uint32_t n, enum repeat_end end)
{
    for (uint32_t i = first; i < first + n && i < s->n_measurements; i++) {
        uint32_t group = s->measurements[i].group;

        if (group && s->repeats[group - 1].end == REPEAT_GOES_ON)
            s->repeats[group - 1].end = end;
    }
}
