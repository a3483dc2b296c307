/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/match_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { TABLE_ROOM = 1 << 12, SLOTS_A_RECORD = 2 };

static int table_slots(struct match *m, uint32_t room)
{
    uint32_t n = room * SLOTS_A_RECORD;
    uint32_t *slots = calloc(n, sizeof *slots), *covers = calloc(n, sizeof *covers);

    if (!slots || !covers) {
        free(slots);
        free(covers);
        return -ENOMEM;
    }
    free(m->slots);
    free(m->covers);
    m->slots = slots;
    m->covers = covers;
    m->slot_shift = 64 - (uint32_t)__builtin_ctz(n);
    return 0;
}

int table_init(struct match *m)
{
    m->stride = sizeof(struct rec) + m->n * sizeof(uint64_t);
    m->recs = aligned_alloc(64, (TABLE_ROOM * m->stride + 63) & ~(size_t)63);
    if (!m->recs || table_slots(m, TABLE_ROOM) < 0)
        return -ENOMEM;
    m->room = TABLE_ROOM;
    m->mask = TABLE_ROOM - 1;
    m->head = m->tail = m->recent = 1;
    return 0;
}

void table_done(struct match *m)
{
    for (uint32_t i = 0; i < m->n_kept; i++)
        free(m->kept[i].data);
    free(m->kept);
    free(m->recs);
    free(m->slots);
    free(m->covers);
}

/* Twice the room: numbers stay, so that links stay. */
static int table_grow(struct match *m)
{
    uint32_t room = m->room * 2;
    uint8_t *recs;

    if (m->room >= 1U << 30)
        return -ENOMEM;
    recs = aligned_alloc(64, ((size_t)room * m->stride + 63) & ~(size_t)63);
    if (!recs || table_slots(m, room) < 0) {
        free(recs);
        return -ENOMEM;
    }
    for (uint32_t number = m->tail; number != m->head; number++)
        memcpy(recs + (size_t)(number & (room - 1)) * m->stride, match_rec(m, number), m->stride);
    free(m->recs);
    m->recs = recs;
    m->room = room;
    m->mask = room - 1;
    /* Slots are others now: leaders go to theirs, and so do those by base. */
    for (uint32_t number = m->tail; number != m->head; number++) {
        struct rec *rec = match_rec(m, number);

        if (number == 0)
            continue;
        if (rec->twin_last) {
            uint32_t *slot = &m->slots[table_slot(m, rec->base, rec->pos)];

            rec->next_key = *slot;
            *slot = number;
        }
        if (rec->flags & REC_COVER) {
            rec->flags &= (uint8_t)~REC_COVER;
            m->n_covers--;
            table_cover(m, number);
        }
    }
    return 0;
}

uint32_t table_take_more(struct match *m)
{
    uint32_t number;

    if (m->head - m->tail >= m->room - 1 && table_grow(m) < 0)
        return 0;
    /* 0 is nobody. */
    if (m->head == 0) {
        memset(match_rec(m, 0), 0, m->stride);
        match_rec(m, 0)->flags = REC_UNLINKED;
        match_rec(m, 0)->points = m->all;
        m->head = 1;
    }
    number = m->head++;
    return number;
}

void table_link(struct match *m, uint32_t number)
{
    struct rec *rec = match_rec(m, number), *leader;
    uint32_t first = table_find(m, rec->base, rec->pos);

    if (!first) {
        table_link_first(m, number);
        return;
    }
    leader = match_rec(m, first);
    rec->twin_next = 0;
    rec->twin_last = 0;
    rec->next_key = 0;
    match_rec(m, leader->twin_last)->twin_next = number;
    leader->twin_last = number;
}

/* The leader of a key goes: the next twin leads, or none does. */
static void table_unlink_leader(struct match *m, uint32_t *link, struct rec *leader)
{
    if (leader->twin_next) {
        struct rec *next = match_rec(m, leader->twin_next);

        next->twin_last = leader->twin_last;
        next->next_key = leader->next_key;
        *link = leader->twin_next;
    } else {
        *link = leader->next_key;
    }
}

void table_unlink(struct match *m, uint32_t number)
{
    struct rec *rec = match_rec(m, number);
    uint32_t *link = &m->slots[table_slot(m, rec->base, rec->pos)], last;
    struct rec *leader;

    if (rec->flags & REC_UNLINKED)
        return;
    rec->flags |= REC_UNLINKED;
    for (; *link; link = &match_rec(m, *link)->next_key) {
        leader = match_rec(m, *link);
        if (leader->base == rec->base && leader->pos == rec->pos)
            break;
    }
    if (!*link)
        return;
    leader = match_rec(m, *link);
    if (leader == rec) {
        table_unlink_leader(m, link, rec);
        rec->twin_last = 0;
        return;
    }
    for (last = *link; match_rec(m, last)->twin_next != number;)
        last = match_rec(m, last)->twin_next;
    match_rec(m, last)->twin_next = rec->twin_next;
    if (leader->twin_last == number)
        leader->twin_last = last;
}

static uint32_t table_cover_slot(const struct match *m, uint64_t base)
{
    return table_slot(m, base, 0);
}

void table_cover(struct match *m, uint32_t number)
{
    struct rec *rec = match_rec(m, number);
    uint32_t *slot = &m->covers[table_cover_slot(m, rec->base)];

    if (rec->flags & (REC_COVER | REC_KEPT))
        return;
    m->n_covers++;
    rec->cover_next = *slot;
    rec->flags |= REC_COVER;
    *slot = number;
}

uint32_t table_covering(const struct match *m, uint64_t base, uint32_t pos, unsigned point)
{
    uint32_t number = m->covers[table_cover_slot(m, base)];

    for (unsigned n = 0; number && n < COVERS_LOOKED_AT; n++) {
        const struct rec *rec = match_rec(m, number);

        if (rec->base == base && pos - rec->pos < rec->len && !(rec->points >> point & 1))
            return number;
        number = rec->cover_next;
    }
    return 0;
}

static void table_uncover(struct match *m, uint32_t number)
{
    struct rec *rec = match_rec(m, number);
    uint32_t *link = &m->covers[table_cover_slot(m, rec->base)];

    while (*link && *link != number)
        link = &match_rec(m, *link)->cover_next;
    if (*link)
        *link = rec->cover_next;
    m->n_covers--;
    rec->flags &= (uint8_t)~REC_COVER;
}

uint32_t table_split(struct match *m, uint32_t number, uint32_t pos, uint64_t base,
                     uint32_t key_pos)
{
    uint32_t second = table_take(m);
    struct rec *rec = match_rec(m, number), *rest;
    uint32_t n = pos - rec->pos;

    if (!second)
        return 0;
    rest = match_rec(m, second);
    memcpy(rest, rec, m->stride);
    rest->flags &= (uint8_t) ~(REC_COVER | REC_KEPT | REC_UNLINKED);
    rest->base = base;
    rest->pos = key_pos;
    rest->len = rec->len - n;
    rest->id = (uint16_t)(rec->id ? rec->id + 1 : 0);
    rest->flags |= REC_MERGED;
    rec->len = n;
    rec->flags |= REC_MERGED;
    table_link(m, second);
    if (rec->flags & REC_COVER)
        table_cover(m, second);
    return second;
}

int table_keep(struct match *m, uint32_t number, const uint8_t *payload, uint32_t n)
{
    struct rec *rec = match_rec(m, number);
    uint8_t *data = malloc(n);
    uint32_t i = m->first_free_kept;

    while (i < m->n_kept && m->kept[i].data)
        i++;
    for (uint32_t k = 0; i == m->n_kept && k < m->first_free_kept; k++)
        if (!m->kept[k].data)
            i = k;
    m->first_free_kept = i;
    if (i == m->n_kept) {
        uint32_t room = m->n_kept ? m->n_kept * 2 : 64;
        struct kept *grown = reallocarray(m->kept, room, sizeof *grown);

        if (!grown || !data) {
            free(data);
            m->kept = grown ? grown : m->kept;
            return -ENOMEM;
        }
        memset(grown + m->n_kept, 0, (room - m->n_kept) * sizeof *grown);
        m->kept = grown;
        m->n_kept = room;
    }
    if (!data)
        return -ENOMEM;
    memcpy(data, payload, n);
    m->kept[i] = (struct kept){.data = data, .n = n};
    rec->cover_next = i;
    rec->flags |= REC_KEPT;
    return 0;
}

void table_forget_more(struct match *m, uint32_t number)
{
    struct rec *rec = match_rec(m, number);

    if (rec->flags & REC_KEPT) {
        free(m->kept[rec->cover_next].data);
        m->kept[rec->cover_next].data = NULL;
        rec->flags &= (uint8_t)~REC_KEPT;
    }
    if (rec->flags & REC_COVER)
        table_uncover(m, number);
    table_unlink(m, number);
}
