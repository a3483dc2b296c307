/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/match_internal.h"

#include <errno.h>
#include <stdlib.h>

unsigned count_way(const struct match *m, const struct rec *rec, unsigned point)
{
    if (m->clocks_apart || rec->at[point] == rec->at[rec->first]) {
        /* Which of two was first is not to be told by their clocks alone, nor by stamps that are coarser than the way is long. */
        int way = flow_way(m, rec->flow);

        if (way >= 0)
            return (unsigned)way;
    }
    return m->place[point] < m->place[rec->first];
}

static void count_in_interval(struct match *m, struct side *side, uint64_t from_ns, int64_t ns)
{
    struct hop_interval *interval = series_interval(m, side, from_ns);

    if (!interval)
        return;
    if (interval->matched == 0 || ns < interval->min_ns)
        interval->min_ns = ns;
    if (interval->matched == 0 || ns > interval->max_ns)
        interval->max_ns = ns;
    interval->matched++;
    interval->sum_ns += (double)ns;
}

/* RFC 4737 section 3.3: less than one that came before. */
static inline bool count_reordered(const struct match *m, const struct rec *rec, unsigned from,
                                   bool *any, uint64_t *last_ns, uint32_t *last_order,
                                   uint32_t *last_pos)
{
    bool by_time = rec->first != from || m->clocks_apart, late;
    uint64_t ns = rec->at[from];
    int32_t ahead = (int32_t)(rec->order - *last_order);

    if (*any) {
        if (by_time ? ns != *last_ns : ahead != 0)
            late = by_time ? ns < *last_ns : ahead < 0;
        else
            late = rec->flags & REC_TCP && rec->order == *last_order &&
                   (int32_t)(rec->pos - *last_pos) < 0;
        if (late)
            return true;
    }
    *any = true;
    *last_ns = ns;
    *last_order = rec->order;
    *last_pos = rec->pos;
    return false;
}

static int count_in_flow(struct match *m, struct side *side, struct rec *rec, unsigned from,
                         int64_t ns)
{
    struct side_flow *state;
    struct hop_flow *flow = flow_of_side(m, side, rec->flow, &state);

    if (!flow) {
        side->hop.more_flows++;
        return 0;
    }
    flow->reordered += count_reordered(m, rec, from, &state->any, &state->last_ns,
                                       &state->last_order, &state->last_pos);
    if (rec->flags & REC_AMBIGUOUS) {
        flow->ambiguous++;
        return 0;
    }
    flow->matched++;
    return delay_add(&flow->delay, ns);
}

/* Seen at both ends of a hop. In place: it is done for each packet. */
static inline __attribute__((always_inline)) int
count_pair(struct match *m, struct side *side, struct rec *rec, unsigned from, unsigned to)
{
    uint64_t from_ns = rec->at[from];
    int64_t ns = (int64_t)(rec->at[to] - from_ns);
    struct hop *hop = &side->hop;
    int r = 0;

    if (from_ns < side->first_match_ns)
        side->first_match_ns = from_ns;
    if (from_ns > side->last_match_ns) {
        side->last_match_ns = from_ns;
        hop->lost += side->later_lost;
        side->later_lost = 0;
    }
    if (count_reordered(m, rec, from, &side->any, &side->last_ns, &side->last_order,
                        &side->last_pos)) {
        hop->reordered++;
        rec->flags |= REC_REORDERED;
    }
    if (m->options.per_flow)
        r = count_in_flow(m, side, rec, from, ns);
    if (rec->flags & REC_AMBIGUOUS) {
        hop->ambiguous++;
        return r;
    }
    hop->matched++;
    if (m->options.interval_ns)
        count_in_interval(m, side, from_ns, ns);
    return r < 0 ? r : delay_add(&hop->delay, ns);
}

/* How long packets have to be remembered: 8 times the delay of all but a thousandth. */
static inline void count_window(struct match *m, const struct rec *rec)
{
    const struct point_state *first = &m->point[rec->first];
    uint64_t waited = m->now_ns - (rec->at[rec->first] - (uint64_t)first->align_ns);

    if (waited > m->window_ns / 8 && waited <= m->now_ns)
        m->n_slow++;
    if (waited > m->window_ns / 32 && waited <= m->now_ns)
        m->n_slower++;
    if (++m->n_paired < 4096)
        return;
    if (m->n_slow > m->n_paired / 1024 && m->window_ns < MATCH_WINDOW_MOST)
        m->window_ns *= 2;
    /* Shorter than at first only where that many do not fit into a fast memory. */
    else if (m->n_slower <= m->n_paired / 1024 && m->window_ns > MATCH_WINDOW_LEAST &&
             (m->window_ns > MATCH_WINDOW_FIRST || m->head - m->tail > MATCH_RECORDS_MANY))
        m->window_ns /= 2;
    m->n_paired = m->n_slow = m->n_slower = 0;
}

/* Clocks that are apart drift, too: what the merge goes by follows them. */
static void count_align(struct match *m, const struct rec *rec, unsigned point, unsigned way)
{
    unsigned other = point ? point : (unsigned)__builtin_ctz(rec->points & ~1U);
    struct point_state *p = &m->point[other];
    int64_t ns;

    if (!(rec->points & 1) || p->has_offset)
        return;
    ns = (int64_t)(rec->at[other] - rec->at[0]);
    if ((m->place[other] > m->place[0]) == !way)
        p->near_there_ns = ns < p->near_there_ns ? ns : p->near_there_ns;
    else
        p->near_back_ns = ns > p->near_back_ns ? ns : p->near_back_ns;
    if (++p->n_near < 256)
        return;
    p->align_ns = trial_align(p->near_there_ns, p->near_back_ns, p->align_ns);
    p->near_there_ns = INT64_MAX;
    p->near_back_ns = INT64_MIN;
    p->n_near = 0;
}

int count_sight(struct match *m, struct rec *rec, unsigned point)
{
    unsigned way = count_way(m, rec, point), last = m->n - 1;
    unsigned k = way ? last - m->place[point] : m->place[point];
    int r = 0;

    /* The second point tells, when it has another time. */
    if ((m->clocks_apart || rec->at[point] != rec->at[rec->first]) &&
        !(rec->points & ~(1U << point) & ~(1U << rec->first))) {
        struct flow_state *state = flow_add(m, rec->flow);

        if (state)
            state->votes[way]++;
    }
    if (m->clocks_apart)
        count_align(m, rec, point, way);
    if (m->options.window_ns == 0)
        count_window(m, rec);
    /* Of two points that is all. */
    if (m->n == 2)
        return count_pair(m, &m->side[way][0], rec, m->order[way], m->order[!way]);
    if (k > 0 && rec->points >> count_point(m, way, k - 1) & 1)
        r = count_pair(m, &m->side[way][k - 1], rec, count_point(m, way, k - 1), point);
    if (r == 0 && k < last && rec->points >> count_point(m, way, k + 1) & 1)
        r = count_pair(m, &m->side[way][k], rec, point, count_point(m, way, k + 1));
    if (r == 0 && (k == 0 || k == last)) {
        unsigned from = count_point(m, way, 0), to = count_point(m, way, last);

        if (rec->points >> from & rec->points >> to & 1)
            r = count_pair(m, &m->side[way][last], rec, from, to);
    }
    return r;
}

int count_duplicate(struct match *m, struct rec *rec, unsigned point)
{
    unsigned way = count_way(m, rec, point), last = m->n - 1;
    unsigned k = way ? last - m->place[point] : m->place[point];
    struct side *sides[2] = {NULL, NULL};

    if (rec->n_duplicates < UINT8_MAX)
        rec->n_duplicates++;
    if (k > 0 && rec->points >> count_point(m, way, k - 1) & 1)
        sides[0] = &m->side[way][k - 1];
    if (m->n > 2 && k == last && rec->points >> count_point(m, way, 0) & 1)
        sides[1] = &m->side[way][last];
    for (unsigned i = 0; i < 2; i++) {
        struct side_flow *state;
        struct hop_flow *flow;

        if (!sides[i])
            continue;
        sides[i]->hop.duplicated++;
        flow = m->options.per_flow ? flow_of_side(m, sides[i], rec->flow, &state) : NULL;
        if (flow)
            flow->duplicated++;
    }
    return 0;
}

static int count_hold(struct match *m, struct side *side, const struct rec *last, unsigned from,
                      unsigned to, const uint64_t *first_at)
{
    int r = 0;

    (void)m;
    /* Was one packet at from already: nothing waited for anything. */
    if (first_at[from] == last->at[from])
        return 0;
    r = delay_add(&side->hop.hold, (int64_t)(last->at[from] - first_at[from]));
    return r < 0 ? r : delay_add(&side->hop.path, (int64_t)(last->at[to] - last->at[from]));
}

int count_merged(struct match *m, const struct rec *rec, unsigned point, const uint64_t *first_at,
                 uint16_t first_points)
{
    unsigned way = count_way(m, rec, point), last = m->n - 1;
    unsigned k = way ? last - m->place[point] : m->place[point];
    uint16_t both = first_points & rec->points;
    unsigned from = k > 0 ? count_point(m, way, k - 1) : 0;
    int r = 0;

    if (k > 0 && both >> from & 1)
        r = count_hold(m, &m->side[way][k - 1], rec, from, point, first_at);
    from = count_point(m, way, 0);
    if (r == 0 && m->n > 2 && k == last && both >> from & 1)
        r = count_hold(m, &m->side[way][last], rec, from, point, first_at);
    return r;
}

static void count_lost_now(struct match *m, struct side *side, uint64_t ns, uint32_t flow)
{
    side->hop.lost++;
    if (m->options.per_flow) {
        struct side_flow *state;
        struct hop_flow *entry = flow_of_side(m, side, flow, &state);

        if (entry)
            entry->lost++;
        else
            side->hop.more_flows++;
    }
    if (m->options.interval_ns) {
        struct hop_interval *interval = series_interval(m, side, ns);

        if (interval)
            interval->lost++;
    }
}

static int count_defer(struct match *m, const struct deferred *deferred)
{
    if (m->n_deferred == m->room_deferred) {
        uint32_t room = m->room_deferred ? m->room_deferred * 2 : 256;
        struct deferred *grown;

        if (m->room_deferred == DEFERRED_MAX)
            return -ENOSPC;
        grown = reallocarray(m->deferred, room, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        m->deferred = grown;
        m->room_deferred = room;
    }
    m->deferred[m->n_deferred++] = *deferred;
    return 0;
}

/* Anything was seen at two points, or they are known to have watched together: else files may have nothing to do with each other. */
static bool count_related(const struct match *m)
{
    bool related = m->point[0].heard_last_ns != 0;

    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k < m->n; k++)
            related |= m->side[way][k].hop.matched || m->side[way][k].hop.ambiguous;
    return related;
}

/*
 * Would the hop's to have seen what left its from at ns? By what it saw or said before and after; or when that takes no time.
 */
static bool count_watched(const struct match *m, unsigned way, unsigned hop, uint64_t ns,
                          bool no_time)
{
    const struct hop *of = &m->side[way][hop].hop;
    unsigned last = m->n - 1, from = count_point(m, way, hop < last ? hop : 0);
    const struct point_state *p = &m->point[count_point(m, way, hop < last ? hop + 1 : last)];
    int64_t align_ns = m->point[from].align_ns, latest_ns = (int64_t)m->window_ns, begin, end, at;
    uint64_t first_ns = p->seen ? p->first_ns : UINT64_MAX, last_ns = p->last_ns;

    if (p->heard_first_ns && p->heard_first_ns < first_ns)
        first_ns = p->heard_first_ns;
    if (p->heard_last_ns > last_ns)
        last_ns = p->heard_last_ns;
    if (first_ns == UINT64_MAX)
        return false;
    if (of->delay.count)
        latest_ns = of->delay.max - (p->align_ns - align_ns);
    if (no_time)
        latest_ns = 0;
    begin = (int64_t)match_corrected(p, first_ns) - p->align_ns;
    end = (int64_t)match_corrected(p, last_ns) - p->align_ns;
    at = (int64_t)ns - align_ns;
    return at >= begin && at + latest_ns <= end;
}

/* The hop's to is known to have watched just then: so it had not come when the watch ended, and nothing is amiss. */
static bool count_on_its_way(const struct match *m, unsigned way, unsigned hop, uint64_t ns)
{
    unsigned last = m->n - 1;
    unsigned to = count_point(m, way, hop < last ? hop + 1 : last);

    return m->point[to].heard_last_ns && count_watched(m, way, hop, ns, true);
}

/* A packet that was not seen at all points. */
struct missing {
    uint16_t points;
    uint32_t flow;
    const uint64_t *at; /* lent: its times at those points */
    bool repeats, ambiguous;
    bool now; /* decide: nothing more will come */
};

/* As many are put off as may be: what is known by now decides, as the end would; else how many they are is kept, and no more. */
static void count_crowded(struct match *m, unsigned way, unsigned hop, uint64_t ns, uint32_t flow)
{
    struct side *side = &m->side[way][hop];
    bool watched = count_watched(m, way, hop, ns, false);

    if (watched && count_related(m))
        count_lost_now(m, side, ns, flow);
    else if (watched)
        side->unrelated++;
    else if (side->first_match_ns <= side->last_match_ns && ns > side->last_match_ns)
        side->later_lost++;
    else
        side->beyond++;
}

/*
 * Seen at the hop's from at ns and nowhere behind. It counts between the first and last packet that came, and as long as the
 * other point is known to have watched; what is behind the last one so far is put off unless it is now or never. Of many that
 * are alike the last ones are left, whichever were lost: those before the last that came count, as a bound.
 */
static int count_lost(struct match *m, unsigned way, unsigned hop, const struct missing *missing,
                      uint64_t ns)
{
    struct side *side = &m->side[way][hop];
    bool any = side->first_match_ns <= side->last_match_ns;
    int r;

    if (any && ns >= side->first_match_ns && ns <= side->last_match_ns) {
        count_lost_now(m, side, ns, missing->flow);
        return 0;
    }
    if (missing->now) {
        bool watched = count_related(m) && count_watched(m, way, hop, ns, false);
        bool alike = (missing->ambiguous || missing->repeats) && side->hop.ambiguous &&
                     count_watched(m, way, hop, ns, true);

        if (watched || alike)
            count_lost_now(m, side, ns, missing->flow);
        else if (!count_on_its_way(m, way, hop, ns))
            side->beyond++;
        side->alike += !watched && alike;
        return 0;
    }
    r = count_defer(m, &(struct deferred){.ns = ns,
                                          .flow = missing->flow,
                                          .repeats = missing->repeats,
                                          .ambiguous = missing->ambiguous,
                                          .way = (uint8_t)way,
                                          .hop = (uint8_t)hop});
    if (r == -ENOSPC)
        count_crowded(m, way, hop, ns, missing->flow);
    return r == -ENOMEM ? r : 0;
}

/*
 * What the points of a packet that goes that way say of the hops. What only repeats another one at a point behind the first is
 * a duplicate of something that was not seen before.
 */
static int count_missing(struct match *m, unsigned way, const struct missing *missing)
{
    unsigned last = m->n - 1, points = missing->points;
    bool before = false;
    int r = 0;

    for (unsigned k = 0; k < last && r == 0; k++) {
        unsigned from = count_point(m, way, k), to = count_point(m, way, k + 1);
        bool behind = false;

        before |= points >> from & 1;
        for (unsigned i = k + 1; i <= last; i++)
            behind |= points >> count_point(m, way, i) & 1;
        if (points >> from & 1 && !behind)
            r = count_lost(m, way, k, missing, missing->at[from]);
        if (points >> to & 1 && !before && !missing->repeats)
            m->side[way][k].hop.only_later++;
    }
    if (m->n > 2 && r == 0) {
        unsigned from = count_point(m, way, 0), to = count_point(m, way, last);

        if (points >> from & ~(points >> to) & 1)
            r = count_lost(m, way, last, missing, missing->at[from]);
        if (points >> to & ~(points >> from) & 1 && !missing->repeats)
            m->side[way][last].hop.only_later++;
    }
    return r;
}

static void count_tell(struct match *m, const struct rec *rec)
{
    struct match_packet packet = {.flow = flow_words(m, rec->flow),
                                  .pos = rec->pos,
                                  .len = rec->len,
                                  .id = rec->id,
                                  .first = rec->first,
                                  .points = rec->points,
                                  .ambiguous = rec->flags & REC_AMBIGUOUS,
                                  .reordered = rec->flags & REC_REORDERED,
                                  .merged = rec->flags & REC_MERGED,
                                  .n_duplicates = rec->n_duplicates};
    unsigned others = rec->points & ~(1U << rec->first);

    if (others)
        packet.backward = count_way(m, rec, (unsigned)__builtin_ctz(others)) == 1;
    for (unsigned k = 0; k < m->n; k++)
        if (rec->points >> k & 1)
            packet.at_ns[k] = rec->at[k];
    m->options.on_packet(m->options.arg, &packet);
}

/* Which way a packet of a flow of which nothing is known goes most likely. */
static unsigned count_guess(const struct match *m, unsigned point)
{
    bool ways[2] = {false, false};

    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k < m->n; k++)
            ways[way] |= m->side[way][k].hop.delay.count || m->side[way][k].hop.ambiguous;
    if (ways[0] != ways[1])
        return ways[1];
    return point == m->order[m->n - 1];
}

int count_forgotten(struct match *m, struct rec *rec)
{
    const struct missing missing = {.points = rec->points,
                                    .at = rec->at,
                                    .flow = rec->flow,
                                    .repeats = rec->repeats,
                                    .ambiguous = rec->flags & REC_AMBIGUOUS};
    unsigned other;
    int way, r;

    if (m->options.on_packet && rec->points)
        count_tell(m, rec);
    if (rec->points == m->all)
        return 0;
    if (rec->points & (rec->points - 1)) {
        other = (unsigned)__builtin_ctz(rec->points & ~(1U << rec->first));
        return count_missing(m, count_way(m, rec, other), &missing);
    }
    /* Others of its pieces may have been seen. */
    if (!(rec->flags & REC_MERGED))
        m->point[rec->first].unmatched++;
    way = flow_way(m, rec->flow);
    if (way >= 0)
        return count_missing(m, (unsigned)way, &missing);
    r = count_defer(m, &(struct deferred){.ns = rec->at[rec->first],
                                          .flow = rec->flow,
                                          .point = rec->first,
                                          .unknown = true,
                                          .repeats = rec->repeats,
                                          .ambiguous = missing.ambiguous});
    return r == -ENOSPC ? count_missing(m, count_guess(m, rec->first), &missing) : r;
}

void count_deferred(struct match *m)
{
    for (uint32_t i = 0; i < m->n_deferred; i++) {
        const struct deferred *d = &m->deferred[i];
        uint64_t at[HOP_MAX_POINTS];
        struct missing missing = {.points = (uint16_t)(1U << d->point),
                                  .at = at,
                                  .flow = d->flow,
                                  .repeats = d->repeats,
                                  .ambiguous = d->ambiguous,
                                  .now = true};
        int way;

        if (!d->unknown) {
            (void)count_lost(m, d->way, d->hop, &missing, d->ns);
            continue;
        }
        at[d->point] = d->ns;
        way = flow_way(m, d->flow);
        (void)count_missing(m, way >= 0 ? (unsigned)way : count_guess(m, d->point), &missing);
    }
    m->n_deferred = 0;
    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k < m->n; k++) {
            struct side *side = &m->side[way][k];

            *(count_related(m) ? &side->hop.lost : &side->beyond) += side->unrelated;
            side->unrelated = 0;
        }
}

void count_done(struct match *m)
{
    for (unsigned way = 0; way < 2; way++)
        for (unsigned k = 0; k < m->n; k++) {
            hop_done(&m->side[way][k].hop);
            free(m->side[way][k].flows);
            free(m->side[way][k].flow_index);
        }
    free(m->deferred);
}
