/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "capture/match_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void end_warn(struct match *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void end_warn(struct match *m, const char *fmt, ...)
{
    size_t used = strlen(m->warning);
    va_list ap;

    if (used && used + 2 < sizeof m->warning) {
        memcpy(m->warning + used, "; ", 3);
        used += 2;
    }
    va_start(ap, fmt);
    vsnprintf(m->warning + used, sizeof m->warning - used, fmt, ap);
    va_end(ap);
}

static const char *end_name(const struct match *m, unsigned point, char buf[16])
{
    if (m->names)
        return m->names[point];
    snprintf(buf, 16, "%u", point + 1);
    return buf;
}

/* What a reader has to know who sees that nothing was matched. */
static void end_nothing(struct match *m)
{
    char a[16], b[16];

    for (unsigned k = 0; k < m->n; k++)
        if (m->point[k].seen == 0) {
            end_warn(m, "point %s saw no packets", end_name(m, k, a));
            return;
        }
    for (unsigned k = 1; k < m->n; k++) {
        const struct point_state *first = &m->point[0], *p = &m->point[k];

        if (p->first_ns > first->last_ns || first->first_ns > p->last_ns) {
            bool later = p->first_ns > first->last_ns;
            uint64_t gap = later ? p->first_ns - first->last_ns : first->first_ns - p->last_ns;

            end_warn(m,
                     "no packet was seen at two points: that of %s begins %" PRIu64 ".%03" PRIu64
                     " s after that of %s has ended",
                     end_name(m, later ? k : 0, a), gap / 1000000000, gap / 1000000 % 1000,
                     end_name(m, later ? 0 : k, b));
            return;
        }
    }
    end_warn(m, "no packet was seen at two points");
}

/* What was left out of the losses of a hop, because its far end may not have watched. */
static void end_beyond(struct match *m, unsigned way, unsigned k)
{
    const struct side *side = &m->side[way][k];
    uint64_t n = side->beyond + side->later_lost;
    char from[16], to[16];

    if (n)
        end_warn(m,
                 "%" PRIu64 " packets of %s were seen before the first or after the last that %s "
                 "saw, which may not have been watching: they are not among LOST",
                 n, end_name(m, count_point(m, way, k), from),
                 end_name(m, count_point(m, way, k + 1), to));
}

static bool end_used(const struct side *side)
{
    const struct hop *hop = &side->hop;

    return hop->matched || hop->ambiguous || hop->duplicated || hop->lost;
}

/* The hops of a way: each, then the whole. */
static int end_way(struct match *m, unsigned way, struct hops *hops)
{
    for (unsigned k = 0; k < m->n; k++) {
        bool whole = k == m->n - 1;
        struct hop *hop;

        if (whole && m->n == 2)
            return 0;
        hop = hops_add(hops);
        if (!hop)
            return -ENOMEM;
        *hop = m->side[way][k].hop;
        m->side[way][k].hop = (struct hop){0};
        hop->from = (uint8_t)count_point(m, way, whole ? 0 : k);
        hop->to = (uint8_t)count_point(m, way, whole ? k : k + 1);
        hop->whole = whole;
        hop->interval_ns = m->options.interval_ns;
        hop->series_start_ns = m->options.interval_ns ? m->start_ns : 0;
    }
    return 0;
}

int match_answer(struct match *m, struct hops *ret_hops, struct err *err)
{
    struct hops hops = {.n_points = m->n, .nat = m->nat, .window_ns = m->window_ns};
    bool used[2] = {false, false};
    char name[16];
    int r = 0;

    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k < m->n; k++)
            used[way] |= end_used(&m->side[way][k]);
    for (unsigned k = 0; k < m->n; k++) {
        const struct point_state *p = &m->point[k];

        hops.points[k] = (struct hop_point){.seen = p->seen,
                                            .unmatched = p->unmatched,
                                            .backward = p->backward,
                                            .first_ns = p->first_ns,
                                            .last_ns = p->last_ns};
        if (p->backward)
            end_warn(m, "times of point %s go back %" PRIu64 " times, by up to %.3g ms",
                     end_name(m, k, name), p->backward, (double)p->backward_most_ns / 1e6);
    }
    if (!used[0] && !used[1])
        end_nothing(m);
    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k + 1 < m->n && used[way]; k++)
            end_beyond(m, way, k);
    if (used[0] || !used[1])
        r = end_way(m, 0, &hops);
    if (used[1] && r == 0)
        r = end_way(m, 1, &hops);
    snprintf(hops.warning, sizeof hops.warning, "%s", m->warning);
    if (r < 0) {
        hops_done(&hops);
        return err_set(err, r, "matching packets");
    }
    *ret_hops = hops;
    return 0;
}
