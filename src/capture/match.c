/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/match.h"

#include "base/auto.h"
#include "capture/match_internal.h"

#include <errno.h>
#include <stdlib.h>

enum {
    TRIAL_PACKETS = 8192, /* of each point: the first ones tell NAT and order */
    AHEAD = 8, /* the table's memory is asked for so many packets before it is looked at */
};

static int match_check(unsigned n, const struct match_options *options, struct err *err)
{
    uint32_t points = 0;

    if (n < 2 || n > HOP_MAX_POINTS)
        return err_say(err, "packets are matched between 2 to %d points, not %u", HOP_MAX_POINTS,
                       n);
    if (!options->order_given)
        return 0;
    for (unsigned k = 0; k < n; k++)
        points |= options->order[k] < n ? 1U << options->order[k] : 0;
    if (points != (1U << n) - 1)
        return err_say(err, "the order has to name each of the %u points once", n);
    return 0;
}

static void match_free_p(struct match **m) { match_free(*m); }

int match_new(unsigned n_points, const struct match_options *options, struct match **ret_match,
              struct err *err)
{
    AUTO(match_free_p) struct match *m = NULL;
    uint8_t own_order[HOP_MAX_POINTS];
    int r = match_check(n_points, options, err);

    if (r < 0)
        return r;
    m = calloc(1, sizeof *m);
    if (!m)
        return err_set(err, ENOMEM, "matching packets");
    m->options = *options;
    m->n = n_points;
    m->all = (uint16_t)((1U << n_points) - 1);
    m->nat = options->nat == MATCH_NAT_YES;
    m->window_ns = options->window_ns ? options->window_ns : MATCH_WINDOW_FIRST;
    for (unsigned k = 0; k < n_points; k++) {
        own_order[k] = (uint8_t)k;
        m->side[0][k].first_match_ns = m->side[1][k].first_match_ns = UINT64_MAX;
        m->point[k].near_there_ns = INT64_MAX;
        m->point[k].near_back_ns = INT64_MIN;
    }
    for (unsigned k = 0; k < HOP_MAX_POINTS; k++)
        m->next_ns[k] = UINT64_MAX;
    trial_set_order(m, options->order_given ? options->order : own_order);
    if (table_init(m) < 0)
        return err_set(err, ENOMEM, "matching packets");
    *ret_match = TAKE(m);
    return 0;
}

void match_free(struct match *m)
{
    if (!m)
        return;
    for (unsigned k = 0; k < m->n; k++) {
        free(m->queue[k].all);
        free(m->queue[k].payload);
    }
    table_done(m);
    count_done(m);
    flow_done(m);
    free(m);
}

void match_set_offset(struct match *m, unsigned point, const struct hop_point *offset)
{
    m->point[point].has_offset = offset->has_offset;
    m->point[point].offset_ns = offset->offset_ns;
    m->point[point].skew = offset->skew_share;
    m->point[point].origin_ns = offset->first_ns;
}

/* Merge time of what is first in the queue. */
static inline void match_head(struct match *m, unsigned point)
{
    struct queue *q = &m->queue[point];
    const struct point_state *p = &m->point[point];
    uint64_t ns = UINT64_MAX;

    if (q->at < q->n) {
        q->corrected_ns = match_corrected(p, q->all[q->at].seen.ts_ns);
        ns = q->corrected_ns - (uint64_t)p->align_ns;
        ns = ns > q->latest_ns ? ns : q->latest_ns;
    }
    m->next_ns[m->place[point]] = ns;
}

void match_heads(struct match *m)
{
    for (unsigned k = 0; k < m->n; k++)
        match_head(m, k);
}

/* What was matched makes room. */
static void match_compact(struct queue *q)
{
    uint32_t first = q->at < q->n ? q->all[q->at].payload_at : q->n_payload;

    memmove(q->all, q->all + q->at, (q->n - q->at) * sizeof *q->all);
    q->n -= q->at;
    q->at = 0;
    memmove(q->payload, q->payload + first, q->n_payload - first);
    q->n_payload -= first;
    for (uint32_t i = 0; i < q->n; i++)
        q->all[i].payload_at -= first;
}

static int match_queue_room(struct queue *q, uint32_t n_payload)
{
    if (q->at == q->n) {
        q->at = q->n = 0;
        q->n_payload = 0;
    } else if (q->n == q->room && q->at > q->n / 2) {
        match_compact(q);
    }
    if (q->n == q->room) {
        uint32_t room = q->room ? q->room * 2 : 1024;
        struct waiting *all = reallocarray(q->all, room, sizeof *all);

        if (!all)
            return -ENOMEM;
        q->all = all;
        q->room = room;
    }
    if (q->room_payload - q->n_payload < n_payload) {
        uint64_t room = (uint64_t)q->room_payload * 2 + n_payload;
        uint8_t *payload = room > UINT32_MAX ? NULL : realloc(q->payload, (size_t)room);

        if (!payload)
            return -ENOMEM;
        q->payload = payload;
        q->room_payload = (uint32_t)room;
    }
    return 0;
}

struct waiting *match_queue_more(struct match *m, unsigned point, uint32_t n_payload)
{
    struct queue *q = &m->queue[point];

    return match_queue_room(q, n_payload) < 0 ? NULL : &q->all[q->n];
}

int match_queue_added(struct match *m, unsigned point, const uint8_t *payload, uint32_t n_payload)
{
    struct queue *q = &m->queue[point];
    struct point_state *p = &m->point[point];
    struct waiting *w;
    uint64_t ns;

    if (n_payload) {
        struct seen seen = q->all[q->n].seen;

        w = match_queue_more(m, point, n_payload);
        if (!w)
            return -ENOMEM;
        w->seen = seen;
        memcpy(q->payload + q->n_payload, payload, n_payload);
    }
    w = &q->all[q->n];
    w->seen.point = (uint8_t)point;
    w->payload_at = q->n_payload;
    w->n_payload = n_payload;
    q->n_payload += n_payload;
    ns = w->seen.ts_ns;
    if (p->seen++ == 0) {
        p->first_ns = p->last_ns = ns;
        if (p->origin_ns == 0)
            p->origin_ns = ns;
    }
    if (ns < p->last_raw_ns) {
        p->backward++;
        if (p->last_raw_ns - ns > p->backward_most_ns)
            p->backward_most_ns = p->last_raw_ns - ns;
        p->first_ns = ns < p->first_ns ? ns : p->first_ns;
    }
    p->last_raw_ns = ns;
    p->last_ns = ns > p->last_ns ? ns : p->last_ns;
    q->n++;
    if (q->n - q->at == 1)
        match_head(m, point);
    return 0;
}

static uint64_t match_rec_time(const struct match *m, const struct rec *rec)
{
    return rec->at[rec->first] - (uint64_t)m->point[rec->first].align_ns;
}

/* Not often, so that many are looked at in a row; but soon, where packets are few. */
enum { FORGETS_A_WINDOW = 256, FORGET_AHEAD = 8 };

/*
 * Of records that are complete only duplicates are awaited, for a shorter time: the hash stays small, and all of it in a
 * fast memory.
 */
static void match_forget_complete(struct match *m, uint64_t before_ns)
{
    for (; m->recent != m->head; m->recent++) {
        struct rec *rec = match_rec(m, m->recent);
        const struct rec *ahead = match_rec(m, m->recent + FORGET_AHEAD);

        if (m->recent == 0)
            continue;
        if ((int64_t)(before_ns - match_rec_time(m, rec)) <= 0)
            return;
        __builtin_prefetch(&m->slots[table_slot(m, ahead->base, ahead->pos)]);
        if (rec->points == m->all)
            table_forget(m, m->recent);
    }
}

static int match_forget(struct match *m, uint64_t before_ns)
{
    int r = 0;

    for (; m->tail != m->head && r == 0; m->tail++) {
        struct rec *rec = match_rec(m, m->tail);
        bool over = m->recent != m->tail && rec->points == m->all;

        if (m->tail == 0)
            continue;
        if (!over && (int64_t)(before_ns - match_rec_time(m, rec)) <= 0)
            break;
        r = count_forgotten(m, rec);
        table_forget(m, m->tail);
        if (m->recent == m->tail)
            m->recent++;
    }
    return r;
}

static int match_forget_old(struct match *m)
{
    m->forget_ns = m->now_ns + m->window_ns / FORGETS_A_WINDOW;
    if (m->now_ns <= m->window_ns)
        return 0;
    match_forget_complete(m, m->now_ns - m->window_ns / MATCH_RECENT);
    return match_forget(m, m->now_ns - m->window_ns);
}

/* May it be that the point sends something before that merge time? */
static bool match_awaits(const struct match *m, unsigned point, uint64_t ns)
{
    const struct queue *q = &m->queue[point];
    const struct point_state *p = &m->point[point];

    return q->at == q->n && !q->ended &&
           (q->heard_ns == 0 || match_corrected(p, q->heard_ns) - (uint64_t)p->align_ns < ns);
}

/* The point whose packet is the next; -1 none may be yet. */
static inline int match_next(const struct match *m, uint64_t limit_ns)
{
    uint64_t least = m->next_ns[0];
    unsigned next = 0;
    bool empty = least == UINT64_MAX;

    for (unsigned k = 1; k < m->n; k++) {
        empty |= m->next_ns[k] == UINT64_MAX;
        if (m->next_ns[k] < least) {
            least = m->next_ns[k];
            next = k;
        }
    }
    if (least >= limit_ns)
        return -1;
    for (unsigned k = 0; empty && k < m->n; k++)
        if (match_awaits(m, k, least))
            return -1;
    return m->order[next];
}

int match_advance(struct match *m, uint64_t limit_ns)
{
    int point;

    while ((point = match_next(m, limit_ns)) >= 0) {
        struct queue *q = &m->queue[point];
        const struct waiting *w = &q->all[q->at];
        int r = 0;

        if (q->at + AHEAD < q->n) {
            const struct seen *ahead = &w[AHEAD].seen;

            __builtin_prefetch(&m->slots[table_slot(m, match_base(m, ahead), ahead->pos)]);
        }
        if (m->start_ns == 0)
            m->start_ns = q->corrected_ns;
        m->now_ns = q->latest_ns = m->next_ns[m->place[point]];
        if (m->now_ns > m->forget_ns)
            r = match_forget_old(m);
        if (r == 0)
            r = pair_packet(m, &w->seen, q->corrected_ns,
                            w->n_payload ? q->payload + w->payload_at : NULL, w->n_payload);
        if (r < 0)
            return r;
        q->at++;
        match_head(m, (unsigned)point);
    }
    return 0;
}

int match_flush(struct match *m)
{
    int r = match_forget(m, UINT64_MAX / 2 + m->now_ns / 2);

    if (r == 0)
        count_deferred(m);
    return r;
}

/* ---- live ---- */

static int match_live(struct match *m, struct err *err)
{
    uint32_t least = UINT32_MAX, most = 0;
    int r;

    if (!m->decided) {
        for (unsigned k = 0; k < m->n; k++) {
            uint32_t n = m->queue[k].n - m->queue[k].at;

            least = m->queue[k].ended || n >= least ? least : n;
            most = n > most ? n : most;
        }
        if (least < TRIAL_PACKETS && most < 8 * TRIAL_PACKETS)
            return 0;
        (void)trial_decide(m);
        m->decided = true;
        match_heads(m);
    }
    r = match_advance(m, UINT64_MAX);
    return r < 0 ? err_set(err, r, "matching packets") : 0;
}

int match_add(struct match *m, unsigned point, const struct seen *seen, const uint8_t *payload,
              uint32_t n_payload, struct err *err)
{
    struct waiting *w;

    if (point >= m->n)
        return err_say(err, "there is no point %u", point);
    w = match_queue_next(m, point);
    if (w)
        w->seen = *seen;
    if (!w || match_queue_added(m, point, payload, payload ? n_payload : 0) < 0)
        return err_set(err, ENOMEM, "matching packets");
    return match_live(m, err);
}

int match_heard(struct match *m, unsigned point, uint64_t ts_ns, struct err *err)
{
    if (point >= m->n)
        return err_say(err, "there is no point %u", point);
    if (ts_ns > m->queue[point].heard_ns)
        m->queue[point].heard_ns = ts_ns;
    return match_live(m, err);
}

int match_end(struct match *m, struct hops *ret_hops, struct err *err)
{
    int r;

    for (unsigned k = 0; k < m->n; k++)
        m->queue[k].ended = true;
    r = match_live(m, err);
    if (r == 0)
        r = match_flush(m);
    return r < 0 ? err_set(err, r, "matching packets") : match_answer(m, ret_hops, err);
}
