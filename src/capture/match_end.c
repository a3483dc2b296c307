/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/text.h"
#include "capture/match_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { END_ORDER = 256 };
/* Nobody takes that for a wrong order: a clock is wrong. */
static const int64_t end_clock_ns = 1000000000;

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
            char by[TEXT_SHORT];

            end_warn(m,
                     "no packet was seen at two points: that of %s begins %s after that of %s has "
                     "ended",
                     end_name(m, later ? k : 0, a), text_show_span((double)gap, by),
                     end_name(m, later ? 0 : k, b));
            return;
        }
    }
    end_warn(m, "no packet was seen at two points");
}

/* ---- order and clocks ---- */

/* So many neighbours of the order used stand in the found one the other way about; the first of them is told. */
static unsigned end_inverted(const struct match *m, bool reverse, unsigned *ret_first)
{
    unsigned place[HOP_MAX_POINTS] = {0}, n = 0;

    for (unsigned k = 0; k < m->n; k++)
        place[m->found_order[k]] = reverse ? m->n - 1 - k : k;
    for (unsigned k = m->n - 1; k-- > 0;)
        if (place[m->order[k]] > place[m->order[k + 1]]) {
            *ret_first = k;
            n++;
        }
    return n;
}

/* A hop of which half of the packets were seen at its end first, or take longer than the whole way. */
static bool end_odd_hop(const struct match *m, unsigned *ret_from, unsigned *ret_to)
{
    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k + 1 < m->n; k++) {
            const struct delay *d = &m->side[way][k].hop.delay,
                               *all = &m->side[way][m->n - 1].hop.delay;
            unsigned from = count_point(m, way, k), to = count_point(m, way, k + 1);
            int64_t middle = delay_percentile(d, 0.5);

            if (m->point[from].has_offset || m->point[to].has_offset)
                continue;
            *ret_from = from;
            *ret_to = to;
            if ((middle < 0 && middle > -end_clock_ns) ||
                (m->n > 2 && all->count && middle > delay_percentile(all, 0.5)))
                return true;
        }
    return false;
}

static void end_order_text(const struct match *m, const uint8_t *order, bool reverse,
                           char ret[END_ORDER])
{
    size_t used = 0;
    char name[16];

    for (unsigned k = 0; k < m->n && used < END_ORDER; k++) {
        unsigned point = order[reverse ? m->n - 1 - k : k];

        used += (size_t)snprintf(ret + used, END_ORDER - used, "%s%s", k ? "," : "",
                                 end_name(m, point, name));
    }
}

/* The order was given, and the packets contradict it; true when that was told. */
static bool end_order(struct match *m)
{
    unsigned from, to, first = 0, first_back = 0, n = 0, n_back = 0;
    char text[END_ORDER] = "", a[16], b[16];
    uint8_t order[HOP_MAX_POINTS];
    bool back = false;

    if (!m->options.order_given || !end_odd_hop(m, &from, &to))
        return false;
    if (m->has_found_order) {
        n = end_inverted(m, false, &first);
        n_back = end_inverted(m, true, &first_back);
        back = n_back < n;
    }
    if (n && n_back) {
        from = m->order[back ? first_back : first];
        to = m->order[(back ? first_back : first) + 1];
        end_order_text(m, m->found_order, back, text);
    } else if (m->n == 2) {
        order[0] = (uint8_t)to;
        order[1] = (uint8_t)from;
        end_order_text(m, order, false, text);
    } else {
        return false;
    }
    end_warn(m,
             "the order given puts %s before %s, but packets are seen at %s first: --order %s, or "
             "a clock is wrong: --offset auto",
             end_name(m, from, a), end_name(m, to, b), end_name(m, to, b), text);
    return true;
}

static void end_clocks(struct match *m, bool order_told)
{
    char name[16], first[16], by[TEXT_SHORT];

    for (unsigned k = 1; k < m->n; k++) {
        int64_t ns = m->point[k].apart_ns;

        if (!m->point[k].apart || m->point[k].has_offset ||
            (order_told && llabs(ns) < end_clock_ns))
            continue;
        end_warn(m,
                 "the clock of point %s is about %s %s that of point %s: delays are by the "
                 "points' own clocks, --offset auto takes that out",
                 end_name(m, k, name), text_show_span((double)llabs(ns), by),
                 ns < 0 ? "behind" : "ahead of", end_name(m, 0, first));
    }
}

/* What was left out of the losses of a hop, because its far end may not have watched. */
static void end_beyond(struct match *m, unsigned way, unsigned k)
{
    const struct side *side = &m->side[way][k];
    uint64_t n = side->beyond + side->later_lost;
    unsigned end = count_point(m, way, k + 1);
    char from[16], to[16];

    if (n && m->point[end].seen == 0)
        end_warn(m,
                 "%s saw none of %" PRIu64 " packets of %s, and may not have been watching: they "
                 "are not among LOST",
                 end_name(m, end, to), n, end_name(m, count_point(m, way, k), from));
    else if (n)
        end_warn(m,
                 "%" PRIu64 " packets of %s were seen before the first or after the last that %s "
                 "saw, which may not have been watching: they are not among LOST",
                 n, end_name(m, count_point(m, way, k), from), end_name(m, end, to));
}

/* Of packets that are alike some did not come, and they were the last ones seen: where in the capture they were lost is not known. */
static void end_alike(struct match *m)
{
    uint64_t n = 0;

    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k < m->n; k++) {
            struct side *side = &m->side[way][k];

            side->hop.lost_is_bound |= side->alike != 0;
            n += k + 1 < m->n ? side->alike : 0;
        }
    if (n)
        end_warn(m,
                 "%" PRIu64 " of the LOST are among packets that nothing tells apart, or were "
                 "still under way at the end: a bound; --window TIME tells, if shorter than such "
                 "packets are apart and longer than any delay",
                 n);
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
    char name[16], by[TEXT_SHORT];
    int r = 0;

    end_clocks(m, end_order(m));
    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k < m->n; k++)
            used[way] |= end_used(&m->side[way][k]);
    for (unsigned k = 0; k < m->n; k++) {
        const struct point_state *p = &m->point[k];
        bool backward = p->backward && p->backward_most_ns >= m->options.backward_ns;

        hops.points[k] = (struct hop_point){.seen = p->seen,
                                            .unmatched = p->unmatched,
                                            .backward = backward ? p->backward : 0,
                                            .first_ns = p->first_ns,
                                            .last_ns = p->last_ns};
        if (backward)
            end_warn(m, "times of point %s go back %" PRIu64 " times, by up to %s",
                     end_name(m, k, name), p->backward,
                     text_show_span((double)p->backward_most_ns, by));
    }
    if (!used[0] && !used[1])
        end_nothing(m);
    end_alike(m);
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
