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
    /* Keys alone have none, and no memory for it. */
    if (q->n_payload > first)
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

/* Behind what the queue has already; its entry may move, and is returned. */
struct waiting *match_queue_payload(struct match *m, unsigned point, const uint8_t *payload,
                                    uint32_t n_payload)
{
    struct queue *q = &m->queue[point];
    struct seen seen = q->all[q->n].seen;
    struct waiting *w = match_queue_more(m, point, n_payload);

    if (!w)
        return NULL;
    w->seen = seen;
    memcpy(q->payload + q->n_payload, payload, n_payload);
    return w;
}

/* The point's first packet, or one whose time goes back. */
void match_odd_time(struct point_state *p, uint64_t ns)
{
    if (p->seen == 0) {
        p->first_ns = ns;
        if (p->origin_ns == 0)
            p->origin_ns = ns;
        return;
    }
    p->backward++;
    if (p->last_raw_ns - ns > p->backward_most_ns)
        p->backward_most_ns = p->last_raw_ns - ns;
    p->first_ns = ns < p->first_ns ? ns : p->first_ns;
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
        /* Of one that came through there is nothing to be said but to those who want to know of each. */
        if (rec->points != m->all || m->options.on_packet)
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

/*
 * Which place's packet is the next, and up to which merge time its further ones are, too; -1 none may be yet. Of equal times
 * the first place's is first.
 */
static int match_next(const struct match *m, uint64_t limit_ns, uint64_t *ret_until_ns)
{
    uint64_t until_ns = limit_ns;
    unsigned next = 0;
    bool empty = false;

    for (unsigned k = 1; k < m->n; k++)
        if (m->next_ns[k] < m->next_ns[next])
            next = k;
    if (m->next_ns[next] >= limit_ns)
        return -1;
    for (unsigned k = 0; k < m->n; k++) {
        uint64_t ns = m->next_ns[k];

        if (k == next)
            continue;
        if (ns == UINT64_MAX) {
            empty = true;
            if (match_awaits(m, m->order[k], m->next_ns[next]))
                return -1;
        } else if (ns + (k > next) < until_ns) {
            until_ns = ns + (k > next);
        }
    }
    /* An empty queue is asked again before each packet. */
    *ret_until_ns = empty ? 0 : until_ns;
    return (int)next;
}

/*
 * What nearly every packet does: nobody has its key, and it is remembered; or one has, of the same ID and length, and awaits
 * this point. False: it is not so simple, and nothing was done. pair_packet() would have done the same.
 */
static inline bool match_usual(struct match *m, const struct seen *seen, uint64_t ns, int *ret_r)
{
    uint64_t base = match_base(m, seen);
    uint32_t number = table_find(m, base, seen->pos);
    uint16_t id = seen->flags & SEEN_HAS_ID ? seen->id : 0, bit = (uint16_t)(1U << seen->point);
    struct rec *rec;

    if (number) {
        rec = match_rec(m, number);
        if (rec->twin_next || rec->id != id || rec->len != seen->len || rec->points & bit ||
            rec->flags & REC_AMBIGUOUS)
            return false;
        rec->at[seen->point] = ns;
        rec->points |= bit;
        *ret_r = count_sight(m, rec, seen->point);
        return true;
    }
    if (m->splits || m->n_covers || seen->len > PAIR_LARGEST_USUAL)
        return false;
    number = table_take(m);
    if (!number)
        return false;
    rec = match_rec(m, number);
    pair_write(m, rec, seen, base, seen->pos, seen->len, id, ns);
    table_link_first(m, number);
    *ret_r = 0;
    return true;
}

/* The first packet of that place's queue. */
static inline int match_one(struct match *m, unsigned place)
{
    unsigned point = m->order[place];
    struct queue *q = &m->queue[point];
    const struct waiting *w = &q->all[q->at];
    int r = 0;

    if (q->at + AHEAD < q->n) {
        const struct seen *ahead = &w[AHEAD].seen;

        __builtin_prefetch(&m->slots[table_slot(m, match_base(m, ahead), ahead->pos)]);
    }
    if (m->start_ns == 0)
        m->start_ns = q->corrected_ns;
    m->now_ns = q->latest_ns = m->next_ns[place];
    if (m->now_ns > m->forget_ns)
        r = match_forget_old(m);
    if (r == 0 && !match_usual(m, &w->seen, q->corrected_ns, &r))
        r = pair_packet(m, &w->seen, q->corrected_ns,
                        w->n_payload ? q->payload + w->payload_at : NULL, w->n_payload);
    if (r < 0)
        return r;
    q->at++;
    match_head(m, point);
    return 0;
}

int match_advance(struct match *m, uint64_t limit_ns)
{
    uint64_t until_ns;
    int place;

    /*
     * Branches, on purpose: that it is the same point's turn again is known early, and foretells what the packet will find in
     * the table, which is known late.
     */
    while ((place = match_next(m, limit_ns, &until_ns)) >= 0)
        do {
            int r = match_one(m, (unsigned)place);

            if (r < 0)
                return r;
        } while (m->next_ns[place] < until_ns);
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

void match_watched(struct match *m, unsigned point, uint64_t first_ns, uint64_t last_ns)
{
    struct point_state *p = &m->point[point];

    p->heard_first_ns = p->heard_first_ns ? p->heard_first_ns : first_ns;
    p->heard_last_ns = last_ns > p->heard_last_ns ? last_ns : p->heard_last_ns;
}

int match_heard(struct match *m, unsigned point, uint64_t ts_ns, struct err *err)
{
    if (point >= m->n)
        return err_say(err, "there is no point %u", point);
    if (ts_ns > m->queue[point].heard_ns)
        m->queue[point].heard_ns = ts_ns;
    if (ts_ns != UINT64_MAX)
        match_watched(m, point, ts_ns, ts_ns);
    return match_live(m, err);
}

int match_end(struct match *m, const char *const names[], struct hops *ret_hops, struct err *err)
{
    int r;

    m->names = names;
    for (unsigned k = 0; k < m->n; k++)
        m->queue[k].ended = true;
    r = match_live(m, err);
    if (r == 0)
        r = match_flush(m);
    r = r < 0 ? err_set(err, r, "matching packets") : match_answer(m, ret_hops, err);
    m->names = NULL;
    return r;
}
