/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/text_match.h"

#include "base/auto.h"
#include "base/text.h"
#include "capture/text_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MATCH_DAY (86400 * 1000000000LL)

#define TEXT_MATCH_NONE UINT32_MAX

enum {
    TEXT_MATCH_SAMPLE = 200,
    /* A text that stands for so many lines on average is no sequence number, unless it is one that wraps. */
    TEXT_MATCH_MOST_LINES = 10,
    TEXT_MATCH_ENOUGH = 1000,
};

/* A line that fits. */
struct text_seen {
    int64_t ns;
    uint32_t key : 31; /* small: a log has millions of these */
    uint32_t paired : 1;
    uint32_t next; /* the next one of this key in the first log */
};

/* A text of the sequence column. Told by its 64 bits: two of a million texts share them once in 40 million logs. */
struct text_key {
    uint64_t hash;
    uint32_t last, next; /* in the first log; next is still to be paired */
    uint32_t n[2];       /* in each log */
};

struct text_place {
    uint32_t tag; /* high half of its hash */
    uint32_t key; /* NONE: empty */
};

struct text_side {
    const char *name; /* lent */
    struct text_seen *seen;
    uint32_t n, room;
    uint64_t n_lines, n_no_time, n_no_seq, n_back;
    int64_t prev_ns, first_ns, last_ns;
    bool dated, undated;
    char sample[TEXT_MATCH_SAMPLE]; /* the first line that has columns */
};

struct text_match {
    const struct text_match_options *options; /* lent */
    struct text_side side[2];
    struct text_key *keys; /* owned */
    uint32_t n_keys;
    struct text_place *table; /* owned; a power of two of them */
    uint32_t table_size;
    char some_text[48]; /* the first of them, for words */
};

static void text_match_free(struct text_match *m)
{
    free(m->side[0].seen);
    free(m->side[1].seen);
    free(m->keys);
    free(m->table);
}

static uint64_t text_match_hash(struct text_piece text)
{
    uint64_t h = 0xcbf29ce484222325;

    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (unsigned char)text.text[i]) * 0x100000001b3;
    /* FNV-1a leaves its last letters in the low bits; the table looks at those. */
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93;
    return h ^ h >> 32;
}

/* Where a hash stands, or the empty place where it would. */
static uint32_t text_match_place(const struct text_match *m, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (m->table_size - 1), tag = (uint32_t)(hash >> 32);

    /* The tag is looked at first: keys lie elsewhere, and each look there waits for memory. */
    while (m->table[at].key != TEXT_MATCH_NONE &&
           (m->table[at].tag != tag || m->keys[m->table[at].key].hash != hash))
        at = (at + 1) & (m->table_size - 1);
    return at;
}

/* Twice the places when half of them are taken, and room for as many keys. */
static int text_match_grow(struct text_match *m)
{
    uint32_t size = m->table_size ? m->table_size * 2 : 1 << 12;
    struct text_place *table;
    struct text_key *keys;

    if (m->table && m->keys && m->n_keys < m->table_size / 2)
        return 0;
    if (size == 0)
        return -ENOMEM;
    keys = reallocarray(m->keys, size / 2, sizeof *keys);
    if (!keys)
        return -ENOMEM;
    m->keys = keys;
    table = malloc(size * sizeof *table);
    if (!table)
        return -ENOMEM;
    memset(table, 0xff, size * sizeof *table);
    free(m->table);
    m->table = table;
    m->table_size = size;
    for (uint32_t k = 0; k < m->n_keys; k++)
        table[text_match_place(m, keys[k].hash)] =
            (struct text_place){(uint32_t)(keys[k].hash >> 32), k};
    return 0;
}

static int text_match_key(struct text_match *m, struct text_piece text, uint32_t *ret_key)
{
    uint64_t hash = text_match_hash(text);
    uint32_t at;

    if (text_match_grow(m) < 0)
        return -ENOMEM;
    at = text_match_place(m, hash);
    if (m->table[at].key == TEXT_MATCH_NONE) {
        m->keys[m->n_keys] =
            (struct text_key){.hash = hash, .last = TEXT_MATCH_NONE, .next = TEXT_MATCH_NONE};
        m->table[at] = (struct text_place){(uint32_t)(hash >> 32), m->n_keys++};
    }
    *ret_key = m->table[at].key;
    return 0;
}

/* A time of day to time: the day is the one that makes the least step from the line before. */
static int64_t text_match_unroll(struct text_side *side, int64_t ns)
{
    int64_t step = side->n ? ns - side->prev_ns % TEXT_MATCH_DAY : ns;
    int64_t day_ns = side->n ? side->prev_ns - side->prev_ns % TEXT_MATCH_DAY : TEXT_MATCH_DAY;

    if (side->n && step < -TEXT_MATCH_DAY / 2)
        day_ns += TEXT_MATCH_DAY;
    else if (side->n && step > TEXT_MATCH_DAY / 2 && day_ns > 0)
        day_ns -= TEXT_MATCH_DAY;
    return day_ns + ns;
}

static int text_match_keep(struct text_match *m, unsigned which, uint32_t key, int64_t ns,
                           struct err *err)
{
    struct text_side *side = &m->side[which];
    struct text_key *k = &m->keys[key];

    if (side->n == side->room) {
        uint32_t room = side->room ? side->room * 2 : 1 << 12;
        struct text_seen *grown;

        if (side->room >= UINT32_MAX / 2)
            return err_set(err, EFBIG, "%s has more than 2 G lines", side->name);
        grown = reallocarray(side->seen, room, sizeof *grown);
        if (!grown)
            return err_set(err, ENOMEM, "keeping the lines of %s", side->name);
        side->seen = grown;
        side->room = room;
    }
    if (side->n && ns < side->prev_ns)
        side->n_back++;
    if (side->n == 0 || ns < side->first_ns)
        side->first_ns = ns;
    if (side->n == 0 || ns > side->last_ns)
        side->last_ns = ns;
    side->prev_ns = ns;
    side->seen[side->n] =
        (struct text_seen){.ns = ns, .key = key & 0x7fffffff, .next = TEXT_MATCH_NONE};
    k->n[which]++;
    if (which == 0) {
        if (k->last == TEXT_MATCH_NONE)
            k->next = side->n;
        else
            side->seen[k->last].next = side->n;
        k->last = side->n;
    }
    side->n++;
    return 0;
}

/* One line; one that does not fit is counted. */
static int text_match_line(struct text_match *m, unsigned which, struct text_piece line,
                           struct err *err)
{
    const struct text_match_options *o = m->options;
    struct text_side *side = &m->side[which];
    struct text_piece day = {"", 0}, time, seq;
    uint32_t key;
    int64_t ns;
    int r;

    side->n_lines++;
    if (!side->sample[0] && line.n)
        snprintf(side->sample, sizeof side->sample, "%.*s",
                 line.n < sizeof side->sample ? (int)line.n : (int)sizeof side->sample - 1,
                 line.text);
    if (o->time_col)
        text_log_column(line, o->time_col - 1, &day);
    r = text_log_column(line, o->time_col, &time) ? text_log_time(day, time, &ns) : -EINVAL;
    if (r < 0) {
        side->n_no_time++;
        return 0;
    }
    if (!text_log_column(line, o->seq_col, &seq) ||
        !text_log_split(seq, o->seq_split, o->seq_index, &seq)) {
        side->n_no_seq++;
        return 0;
    }
    if (r == 1) {
        side->undated = true;
        ns = text_match_unroll(side, ns);
    } else {
        side->dated = true;
    }
    if (text_match_key(m, seq, &key) < 0)
        return err_set(err, ENOMEM, "keeping the lines of %s", side->name);
    if (!m->some_text[0])
        snprintf(m->some_text, sizeof m->some_text, "%.*s",
                 seq.n < sizeof m->some_text ? (int)seq.n : (int)sizeof m->some_text - 1, seq.text);
    return text_match_keep(m, which, key, ns, err);
}

static int text_match_read(struct text_match *m, unsigned which, FILE *in, struct err *err)
{
    struct text_log log;
    struct text_piece line;
    int r = text_log_init(&log, in, TEXT_MATCH_LINE, err);

    if (r == 0) {
        while ((r = text_log_line(&log, &line, err)) > 0) {
            r = text_match_line(m, which, line, err);
            if (r < 0)
                break;
        }
    }
    text_log_done(&log);
    return r < 0 ? err_wrap(err, r, "%s", m->side[which].name) : 0;
}

/* Where "seq" stands in a line, the column behind it; else -1. */
static int text_match_seq_column(const char *line)
{
    const struct text_piece all = {line, strlen(line)};
    struct text_piece word;

    for (uint32_t col = 0; text_log_column(all, col, &word); col++)
        if (word.n == 3 && memcmp(word.text, "seq", 3) == 0)
            return (int)col + 1;
    return -1;
}

/* The columns are not what the user thinks: say so rather than a number. */
static int text_match_check(const struct text_match *m, struct err *err)
{
    const struct text_match_options *o = m->options;
    const struct text_side *a = &m->side[0];
    char hint[120] = "", sample[TEXT_MATCH_SAMPLE], seen[sizeof m->some_text];
    int column;

    for (unsigned i = 0; i < 2; i++) {
        const struct text_side *s = &m->side[i];

        text_copy(sample, sizeof sample, s->sample);
        text_tame(sample);
        if (s->n_lines == 0)
            return err_set(err, ENODATA, "%s has no line", s->name);
        if (s->n == 0 && s->n_no_time == s->n_lines)
            return err_say(err, "no line of %s has a time in column %u (the first is 0): '%s'",
                           s->name, o->time_col, sample);
        if (s->n == 0)
            return err_say(err, "no line of %s has a sequence number in column %u%s%s: '%s'",
                           s->name, o->seq_col, o->seq_split[0] ? ", split by " : "", o->seq_split,
                           sample);
    }
    if (a->n < 2 || m->n_keys >= TEXT_MATCH_ENOUGH ||
        (m->n_keys > 1 && (uint64_t)m->n_keys * TEXT_MATCH_MOST_LINES > a->n))
        return 0;
    column = text_match_seq_column(a->sample);
    if (column >= 0 && (uint32_t)column != o->seq_col)
        snprintf(hint, sizeof hint, "; in this log the sequence number follows 'seq': --seq-col %d",
                 column);
    text_copy(seen, sizeof seen, m->some_text);
    text_tame(seen);
    if (m->n_keys == 1)
        return err_say(err,
                       "column %u is '%s' in each of the %u lines of %s: it tells no packet from "
                       "another%s",
                       o->seq_col, seen, a->n, a->name, hint);
    return err_say(
        err,
        "column %u has only %u different texts ('%s' is one) in the %u lines of %s: it does "
        "not tell packets apart%s",
        o->seq_col, m->n_keys, seen, a->n, a->name, hint);
}

/* Times of day: whole days are put to one log, so that both began on one day. */
static void text_match_align(struct text_match *m)
{
    struct text_side *a = &m->side[0], *b = &m->side[1];
    struct text_side *moved = !b->dated ? b : a;
    int64_t apart, days;

    if ((a->dated && b->dated) || a->n == 0 || b->n == 0)
        return;
    apart = b->seen[0].ns - m->options->offset_ns - a->seen[0].ns;
    days = (apart + (apart < 0 ? -TEXT_MATCH_DAY : TEXT_MATCH_DAY) / 2) / TEXT_MATCH_DAY;
    if (moved == b)
        days = -days;
    for (uint32_t i = 0; days && i < moved->n; i++)
        moved->seen[i].ns += days * TEXT_MATCH_DAY;
    moved->first_ns += days * TEXT_MATCH_DAY;
    moved->last_ns += days * TEXT_MATCH_DAY;
}

static struct hop_interval *text_match_interval(struct hop *hop, int64_t ns)
{
    uint64_t at;

    if (!hop->interval_ns)
        return NULL;
    at = ((uint64_t)ns - hop->series_start_ns) / hop->interval_ns;
    return at < hop->n_intervals ? &hop->intervals[at] : NULL;
}

static int text_match_series(const struct text_match *m, struct hop *hop, struct err *err)
{
    const struct text_side *a = &m->side[0];
    uint64_t interval_ns = m->options->interval_ns, n;

    if (!interval_ns || a->n == 0)
        return 0;
    n = (uint64_t)(a->last_ns - a->first_ns) / interval_ns + 1;
    if (n > TEXT_MATCH_MAX_INTERVALS)
        return err_say(err, "a series of %llu intervals is too long (at most %d)",
                       (unsigned long long)n, TEXT_MATCH_MAX_INTERVALS);
    hop->intervals = calloc(n, sizeof *hop->intervals);
    if (!hop->intervals)
        return err_set(err, ENOMEM, "a series");
    hop->n_intervals = (uint32_t)n;
    hop->interval_ns = interval_ns;
    hop->series_start_ns = (uint64_t)a->first_ns;
    return 0;
}

static int text_match_pair(struct hop *hop, const struct text_seen *a, int64_t delay_ns)
{
    struct hop_interval *v = text_match_interval(hop, a->ns);

    if (delay_add(&hop->delay, delay_ns) < 0)
        return -ENOMEM;
    hop->matched++;
    if (v) {
        if (v->matched == 0 || delay_ns < v->min_ns)
            v->min_ns = delay_ns;
        if (v->matched == 0 || delay_ns > v->max_ns)
            v->max_ns = delay_ns;
        v->matched++;
        v->sum_ns += (double)delay_ns;
    }
    return 0;
}

/* The second log in its order against the first. */
static int text_match_pairs(struct text_match *m, struct hop *hop, struct err *err)
{
    struct text_side *a = &m->side[0], *b = &m->side[1];
    int64_t furthest = -1;

    for (uint32_t i = 0; i < b->n; i++) {
        struct text_key *k = &m->keys[b->seen[i].key];
        uint32_t at = k->next;
        struct text_seen *sent;

        if (at == TEXT_MATCH_NONE) {
            if (k->n[0])
                hop->duplicated++;
            else
                hop->only_later++;
            continue;
        }
        sent = &a->seen[at];
        sent->paired = 1;
        k->next = sent->next;
        if (k->n[0] > 1 && k->n[0] != k->n[1]) {
            hop->ambiguous++;
            continue;
        }
        if (text_match_pair(hop, sent, b->seen[i].ns - m->options->offset_ns - sent->ns) < 0)
            return err_set(err, ENOMEM, "delays");
        if (at < furthest)
            hop->reordered++;
        else
            furthest = at;
    }
    return 0;
}

__attribute__((format(printf, 2, 3))) static void text_match_warn(struct hops *hops,
                                                                  const char *fmt, ...)
{
    size_t used = strlen(hops->warning);
    va_list ap;

    if (used && used + 2 < sizeof hops->warning) {
        memcpy(hops->warning + used, "; ", 3);
        used += 2;
    }
    va_start(ap, fmt);
    vsnprintf(hops->warning + used, sizeof hops->warning - used, fmt, ap);
    va_end(ap);
}

/* Lines of the first log before or after all that the second knows of: it may not have looked then. */
static void text_match_lost(struct text_match *m, struct hops *hops, struct hop *hop)
{
    const struct text_side *a = &m->side[0];
    uint32_t begin = 0, end = a->n, outside;

    while (begin < a->n && !a->seen[begin].paired)
        begin++;
    while (end > begin && !a->seen[end - 1].paired)
        end--;
    for (uint32_t i = 0; i < a->n; i++) {
        struct hop_interval *v = text_match_interval(hop, a->seen[i].ns);

        if (a->seen[i].paired)
            continue;
        hop->lost++;
        hops->points[0].unmatched++;
        if (v)
            v->lost++;
    }
    outside = hop->matched + hop->ambiguous ? begin + a->n - end : 0;
    if (outside) {
        hop->lost_is_bound = true;
        text_match_warn(
            hops,
            "%u of the lost lines of %.60s stand before the first or behind the last that "
            "%.60s has too: it may have begun later or ended earlier",
            outside, m->side[0].name, m->side[1].name);
    }
}

static void text_match_points(const struct text_match *m, struct hops *hops)
{
    hops->n_points = 2;
    memcpy(hops->source, "text", 5);
    for (unsigned i = 0; i < 2; i++) {
        const struct text_side *s = &m->side[i];
        struct hop_point *p = &hops->points[i];

        text_copy(p->name, sizeof p->name, s->name);
        memcpy(p->source, "text", 5);
        p->seen = s->n;
        p->unparsed = s->n_no_time + s->n_no_seq;
        p->backward = s->n_back;
        p->first_ns = s->n && s->first_ns > 0 ? (uint64_t)s->first_ns : 0;
        p->last_ns = s->n && s->last_ns > 0 ? (uint64_t)s->last_ns : 0;
    }
    hops->points[1].unmatched = 0;
    if (m->options->offset_ns) {
        hops->points[1].has_offset = true;
        hops->points[1].offset_ns = m->options->offset_ns;
        hops->points[1].offset_bound_ns = UINT64_MAX;
    }
}

/* What the delays themselves say about the logs. */
static void text_match_doubts(struct hops *hops, const struct hop *hop)
{
    uint64_t below = hop->delay.negative ? hop->delay.negative->count : 0;

    if (!below)
        return;
    if (below == hop->delay.count)
        text_match_warn(hops,
                        "every packet is in %.60s first: give it first, or its clock is behind",
                        hops->points[1].name);
    else
        text_match_warn(hops,
                        "%llu of %llu packets are in %.60s first: the clocks differ, or the logs "
                        "hold both directions (log one of them)",
                        (unsigned long long)below, (unsigned long long)hop->delay.count,
                        hops->points[1].name);
}

static int text_match_result(struct text_match *m, struct hops *hops, struct err *err)
{
    struct hop *hop;
    int r;

    text_match_align(m);
    text_match_points(m, hops);
    hop = hops_add(hops);
    if (!hop)
        return err_set(err, ENOMEM, "a hop");
    hop->to = 1;
    r = text_match_series(m, hop, err);
    if (r == 0)
        r = text_match_pairs(m, hop, err);
    if (r < 0)
        return r;
    hops->points[1].unmatched = hop->only_later;
    text_match_lost(m, hops, hop);
    text_match_doubts(hops, hop);
    return 0;
}

int text_match(FILE *const logs[2], const char *const names[2],
               const struct text_match_options *options, struct hops *ret_hops, struct err *err)
{
    struct text_match m = {.options = options, .side = {{.name = names[0]}, {.name = names[1]}}};
    struct hops hops = {0};
    int read_r = 0, r = 0;

    for (unsigned i = 0; i < 2; i++) {
        struct err *which = read_r < 0 ? NULL : err;

        r = text_match_read(&m, i, logs[i], which);
        if (r < 0 && read_r == 0)
            read_r = r;
    }
    r = read_r == -ENOMEM || read_r == -EFBIG ? read_r
                                              : text_match_check(&m, read_r < 0 ? NULL : err);
    if (r == 0)
        r = text_match_result(&m, &hops, read_r < 0 ? NULL : err);
    text_match_free(&m);
    *ret_hops = hops;
    return read_r < 0 ? read_r : r;
}
