/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/decode.h"
#include "capture/match_internal.h"

#include <errno.h>

enum {
    KEPT_MOST = 64 << 10,
    /* Of a hop so many delays are known before one is called too long. */
    OVERDUE_LEARN = 64,
    OVERDUE_PERCENTILE = 1024,
    OVERDUE_AGAIN = 4096,
    OVERDUE_SPREADS = 8,
    OVERDUE_NS = 1000,
    OVERDUE_KEPT = 32, /* of a key: older ones are awaited no more */
};

/* A packet while it is paired: what is left of it. */
struct arrival {
    struct match *m;
    const struct seen *seen;
    uint64_t ns, base;
    uint32_t pos, left;
    uint16_t id;
    uint8_t point;
    const uint8_t *payload; /* of what is left */
    uint32_t n_payload;
    /* Of the first piece, for what was merged: */
    uint32_t n_pieces, piece_len;
    uint64_t first_at[HOP_MAX_POINTS];
    uint16_t first_points;
    uint32_t last; /* number of the last piece's record */
};

/* What to do with one that has this key: */
enum choice { CHOOSE_NEW, CHOOSE_PAIR, CHOOSE_DUPLICATE };

/*
 * The longest that a packet takes on a hop and does not surprise: its longest delay so far, but for a thousandth, and 8 times
 * what lies between that and the shortest, so that it does not matter how the clocks stand. INT64_MAX: not known.
 */
static int64_t pair_longest(struct side *side)
{
    const struct delay *d = &side->hop.delay;
    int64_t most = d->max, beyond;

    if (d->count < OVERDUE_LEARN)
        return INT64_MAX;
    if (d->count >= OVERDUE_PERCENTILE) {
        if (d->count < side->longest_until)
            return side->longest_ns;
        side->longest_until = d->count + OVERDUE_AGAIN;
        most = delay_percentile(d, 0.999);
    }
    if (__builtin_sub_overflow(most, d->min, &beyond) ||
        __builtin_mul_overflow(beyond, (int64_t)OVERDUE_SPREADS, &beyond) ||
        __builtin_add_overflow(beyond, most, &beyond) || beyond > INT64_MAX - OVERDUE_NS)
        beyond = INT64_MAX - OVERDUE_NS;
    side->longest_ns = beyond + OVERDUE_NS;
    return side->longest_ns;
}

/* It should have been at this point long ago, by what others took from where it was seen last. */
static bool pair_overdue(const struct arrival *a, const struct rec *rec)
{
    struct match *m = a->m;
    unsigned way = count_way(m, rec, a->point), last = m->n - 1;
    unsigned k = way ? last - m->place[a->point] : m->place[a->point];
    int64_t longest_ns = 0;

    while (k-- > 0) {
        int64_t hop_ns = pair_longest(&m->side[way][k]);
        unsigned from = count_point(m, way, k);

        if (hop_ns == INT64_MAX || __builtin_add_overflow(longest_ns, hop_ns, &longest_ns))
            return false;
        if (rec->points >> from & 1)
            return (int64_t)(a->ns - rec->at[from]) > longest_ns;
    }
    return false;
}

/* What is known of the twins that have the packet's ID and await its point; numbers, 0 none. */
struct alike {
    uint32_t open, second; /* the oldest two that nothing tells apart */
    bool near;             /* these were seen at the point right before */
    uint32_t overdue;      /* the oldest of those that should have come long ago */
    unsigned n_overdue;
};

/* It was seen at the point right before this one, and what was not is lost there more likely than it is here. */
static bool pair_near(const struct arrival *a, const struct rec *rec)
{
    const struct match *m = a->m;
    unsigned way, k;

    if (m->n == 2)
        return true;
    way = count_way(m, rec, a->point);
    k = way ? m->n - 1 - m->place[a->point] : m->place[a->point];
    return k > 0 && rec->points >> count_point(m, way, k - 1) & 1;
}

static void pair_alike(const struct arrival *a, uint32_t number, struct alike *alike)
{
    const struct rec *rec = match_rec(a->m, number), *open;
    bool near = pair_near(a, rec);

    if (pair_overdue(a, rec)) {
        alike->overdue = alike->overdue ? alike->overdue : number;
        alike->n_overdue++;
    } else if (!alike->open || (near && !alike->near)) {
        alike->open = number;
        alike->second = 0;
        alike->near = near;
    } else if (near == alike->near && !alike->second) {
        open = match_rec(a->m, alike->open);
        /* What TCP sent again in other pieces is told by its length. */
        if (open->first == rec->first && (open->len == rec->len || !(rec->flags & REC_TCP)))
            alike->second = number;
    }
}

/* All that are overdue, and one came: nothing tells which. */
static void pair_doubt(const struct arrival *a, uint32_t number)
{
    for (unsigned n = 0; number && n < TWINS_LOOKED_AT; n++) {
        struct rec *rec = match_rec(a->m, number);

        if (!(rec->points >> a->point & 1) && rec->id == a->id)
            rec->flags |= REC_AMBIGUOUS;
        number = rec->twin_next;
    }
}

/* Which of those with its ID; 0 none. done: another of them was seen here before. */
static uint32_t pair_of_alike(const struct arrival *a, const struct alike *alike, bool done)
{
    if (!alike->open) {
        if (alike->n_overdue > 1 || (alike->overdue && done))
            pair_doubt(a, alike->overdue);
        return alike->overdue;
    }
    if (alike->second) {
        match_rec(a->m, alike->open)->flags |= REC_AMBIGUOUS;
        match_rec(a->m, alike->second)->flags |= REC_AMBIGUOUS;
    }
    if (alike->n_overdue > OVERDUE_KEPT)
        table_unlink(a->m, alike->overdue);
    return alike->open;
}

/*
 * Of the twins: one that awaits this point, with the same IP ID if there is one, else the oldest; but for those that await
 * it for so long that they must be lost, as long as another does. When all were seen here it is a duplicate of the one with
 * its ID, and new where none has that.
 */
static enum choice pair_choose(const struct arrival *a, uint32_t leader, uint32_t *ret_number)
{
    uint16_t bit = (uint16_t)(1U << a->point);
    uint32_t open = 0, done = 0, number = leader;
    struct alike alike = {0};
    unsigned n_open = 0;

    for (unsigned n = 0; number && n < TWINS_LOOKED_AT && !(alike.second && alike.near); n++) {
        const struct rec *rec = match_rec(a->m, number);
        bool same = rec->id == a->id;

        if (rec->points & bit) {
            done = rec->first != a->point && (same || a->id == 0 || rec->id == 0) ? number : done;
        } else if (same) {
            pair_alike(a, number, &alike);
        } else {
            open = open ? open : number;
            n_open++;
        }
        number = rec->twin_next;
    }
    *ret_number = pair_of_alike(a, &alike, done);
    if (*ret_number)
        return CHOOSE_PAIR;
    if (n_open > 1)
        match_rec(a->m, open)->flags |= REC_AMBIGUOUS;
    *ret_number = open ? open : done;
    return open ? CHOOSE_PAIR : done ? CHOOSE_DUPLICATE : CHOOSE_NEW;
}

/*
 * The record is the youngest of its key. Equal ones that have got to their end are of no more use, but for the youngest, of
 * which there may be a duplicate.
 */
static void pair_tidy_twins(struct match *m, uint32_t number, uint32_t youngest)
{
    struct rec *rec = match_rec(m, number), *twin;
    uint32_t other = table_find(m, rec->base, rec->pos);

    for (; other != number; other = table_find(m, rec->base, rec->pos)) {
        twin = match_rec(m, other);
        if (twin->points != m->all || twin->id != rec->id)
            break;
        table_unlink(m, other);
    }
    if (other == number)
        return;
    twin = match_rec(m, youngest);
    if (youngest != other && twin->points == m->all && twin->id == rec->id)
        table_unlink(m, youngest);
    for (unsigned n = 0; n < TWINS_LOOKED_AT && other != number; n++) {
        twin = match_rec(m, other);
        if (twin->first == rec->first && twin->id == rec->id && twin->points != m->all) {
            rec->repeats = true;
            return;
        }
        other = twin->twin_next;
    }
}

/* It was seen nowhere before; twins: others have its key. */
static int pair_insert(struct arrival *a, uint32_t len, bool twins)
{
    struct match *m = a->m;
    uint32_t number = table_take(m);
    struct rec *rec;

    if (!number)
        return -ENOMEM;
    rec = match_rec(m, number);
    pair_write(m, rec, a->seen, a->base, a->pos, len, a->id, a->ns);
    if (a->n_pieces)
        rec->flags |= REC_MERGED;
    if (twins) {
        uint32_t leader = table_find(m, a->base, a->pos);
        uint32_t youngest = match_rec(m, leader)->twin_last;

        table_link(m, number);
        pair_tidy_twins(m, number, youngest);
    } else {
        table_link_first(m, number);
    }
    if (len > PAIR_LARGEST_USUAL || (m->splits && len > 0)) {
        if (rec->flags & REC_TCP)
            table_cover(m, number);
        else if (a->seen->flags & SEEN_UDP && a->n_payload > 0 && a->n_payload <= KEPT_MOST)
            return table_keep(m, number, a->payload, a->n_payload);
    }
    return 0;
}

/* One that is complete and was ambiguous is of no more use in the chain: others of the key need not pass it. */
static int pair_fill(struct arrival *a, uint32_t number)
{
    struct rec *rec = match_rec(a->m, number);

    rec->at[a->point] = a->ns;
    rec->points |= (uint16_t)(1U << a->point);
    if (a->n_pieces == 0) {
        a->piece_len = rec->len;
        if (rec->len < a->left) {
            a->first_points = rec->points;
            memcpy(a->first_at, rec->at, a->m->n * sizeof rec->at[0]);
        }
    } else {
        rec->flags |= REC_MERGED;
    }
    a->n_pieces++;
    a->last = number;
    if (rec->flags & REC_AMBIGUOUS && rec->points == a->m->all &&
        (rec->twin_next || !rec->twin_last))
        table_unlink(a->m, number);
    return count_sight(a->m, rec, a->point);
}

/* Of a datagram that was not cut yet: the key of what follows the first n bytes; false: not known. */
static bool pair_next_key(struct match *m, const struct rec *rec, uint32_t n, uint32_t id_steps,
                          uint64_t *ret_base, uint32_t *ret_pos)
{
    const struct kept *kept;
    uint32_t at, wanted = n < DECODE_POS_BYTES ? n : DECODE_POS_BYTES;

    if (!(rec->flags & REC_KEPT))
        return false;
    kept = &m->kept[rec->cover_next];
    at = kept->at + n;
    if (at >= kept->n)
        return false;
    if (wanted > rec->len - n)
        wanted = rec->len - n;
    if (wanted > kept->n - at)
        return false;
    *ret_pos = decode_payload_pos(kept->data + at, wanted);
    *ret_base =
        rec->id ? decode_step_id(rec->base, rec->id, (uint16_t)(rec->id + id_steps)) : rec->base;
    return true;
}

/* The record has more than what came of it: the rest goes on waiting, in pieces of that length when it is no stream. */
static int pair_cut(struct arrival *a, uint32_t number, uint32_t n)
{
    struct match *m = a->m;
    struct rec *rec = match_rec(m, number);
    uint64_t base = rec->base;
    uint32_t pos = rec->pos + n;

    if (rec->flags & REC_TCP)
        return table_split(m, number, pos, base, pos) ? 0 : -ENOMEM;
    while (rec->len > n && pair_next_key(m, rec, n, 1, &base, &pos)) {
        uint32_t second = table_split(m, number, rec->pos + n, base, pos);

        if (!second)
            return -ENOMEM;
        /* The payload goes along. */
        rec = match_rec(m, number);
        match_rec(m, second)->cover_next = rec->cover_next;
        match_rec(m, second)->flags |= REC_KEPT;
        m->kept[rec->cover_next].at += n;
        rec->flags &= (uint8_t)~REC_KEPT;
        number = second;
        rec = match_rec(m, number);
    }
    return 0;
}

static bool pair_stream(const struct arrival *a)
{
    return a->seen->flags & SEEN_TCP && a->seen->len > 0;
}

/* May a length that differs mean that it was cut or merged? */
static bool pair_cuttable(const struct arrival *a, const struct rec *rec)
{
    if ((a->seen->flags | (rec->flags & REC_FRAGMENT ? SEEN_FRAGMENT : 0)) & SEEN_FRAGMENT)
        return false;
    return pair_stream(a) || a->seen->flags & SEEN_UDP;
}

/* Something has this key. */
static int pair_known(struct arrival *a, enum choice choice, uint32_t number, uint32_t *ret_n)
{
    struct match *m = a->m;
    struct rec *rec = match_rec(m, number);
    uint32_t n = a->left;

    if (choice == CHOOSE_DUPLICATE) {
        *ret_n = pair_cuttable(a, rec) && rec->len < n ? rec->len : n;
        a->piece_len = a->n_pieces == 0 ? rec->len : a->piece_len;
        return count_duplicate(m, rec, a->point);
    }
    if (rec->len != n && pair_cuttable(a, rec)) {
        if (rec->len > n) {
            int r = pair_cut(a, number, n);

            if (r < 0)
                return r;
            match_rec(m, number)->id = a->id;
        } else {
            n = rec->len;
        }
    }
    *ret_n = n;
    return pair_fill(a, number);
}

/* The next piece of what came, or all of it: how many bytes that was. */
static int pair_piece(struct arrival *a, uint32_t *ret_n)
{
    struct match *m = a->m;
    uint32_t leader = table_find(m, a->base, a->pos), number = 0, n = a->left;
    enum choice choice = leader ? pair_choose(a, leader, &number) : CHOOSE_NEW;

    if (choice != CHOOSE_NEW)
        return pair_known(a, choice, number, ret_n);
    if (!leader && m->n_covers && pair_stream(a)) {
        number = table_covering(m, a->base, a->pos, a->point);
        if (number) {
            number = table_split(m, number, a->pos, a->base, a->pos);
            return number ? pair_known(a, CHOOSE_PAIR, number, ret_n) : -ENOMEM;
        }
    }
    /* In the middle of what was merged a piece may be missing that the other point did not see: go on behind it. */
    if (!(a->seen->flags & SEEN_TCP) && a->n_pieces > 0 && a->piece_len < n)
        n = a->piece_len;
    *ret_n = n;
    return pair_insert(a, n, leader != 0);
}

/*
 * IDs count up, and over 0, which reads as none at all; some leave it out. Where it is not certain what was seen tells.
 */
static void pair_next_id(struct arrival *a)
{
    uint16_t next = (uint16_t)(a->id + 1);

    if (a->id == 0 && !(a->seen->flags & SEEN_HAS_ID) &&
        !table_find(a->m, decode_step_id(a->base, 0, 1), a->pos))
        return;
    if (next == 0 && !table_find(a->m, decode_step_id(a->base, a->id, 0), a->pos) &&
        table_find(a->m, decode_step_id(a->base, a->id, 1), a->pos))
        next = 1;
    a->base = decode_step_id(a->base, a->id, next);
    a->id = next;
}

/* What is behind the first n bytes; false: nothing, or nobody can tell its key. */
static bool pair_step(struct arrival *a, uint32_t n)
{
    uint32_t wanted = DECODE_POS_BYTES;

    a->left -= n;
    if (a->left == 0 || n == 0)
        return false;
    if (a->seen->flags & SEEN_TCP) {
        a->pos += n;
        a->id = (uint16_t)(a->id ? a->id + 1 : 0);
        return true;
    }
    if (a->n_payload <= n)
        return false;
    a->payload += n;
    a->n_payload -= n;
    wanted = wanted > a->piece_len ? a->piece_len : wanted;
    wanted = wanted > a->left ? a->left : wanted;
    if (wanted > a->n_payload)
        return false;
    a->pos = decode_payload_pos(a->payload, wanted);
    pair_next_id(a);
    return true;
}

int pair_packet(struct match *m, const struct seen *seen, uint64_t ns, const uint8_t *payload,
                uint32_t n_payload)
{
    struct arrival a;
    uint32_t n = 0;
    int r;

    /* Not all of it: zeroing what only merged packets need costs more than the rest. */
    a.m = m;
    a.seen = seen;
    a.ns = ns;
    a.base = match_base(m, seen);
    a.pos = seen->pos;
    a.left = seen->len;
    a.id = seen->flags & SEEN_HAS_ID ? seen->id : 0;
    a.point = seen->point;
    a.payload = payload;
    a.n_payload = payload ? n_payload : 0;
    a.n_pieces = 0;
    a.piece_len = 0;
    a.last = 0;
    do {
        r = pair_piece(&a, &n);
        if (r < 0)
            return r;
    } while (pair_step(&a, n));
    return a.n_pieces > 1
               ? count_merged(m, match_rec(m, a.last), a.point, a.first_at, a.first_points)
               : 0;
}
