/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "capture/match_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Delays above that nobody takes for delays: clocks are apart. */
static const int64_t trial_too_long_ns = 1000000000;
/* One so far from the middle of all says nothing of a clock. */
static const int64_t trial_odd_ns = 100000000;
/* What the packets so far did not show, a little. */
static const int64_t trial_margin_ns = 2000;

static int trial_by_key(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

static int trial_by_key_nat(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;

    return (x->key_nat > y->key_nat) - (x->key_nat < y->key_nat);
}

static int trial_by_time(const void *a, const void *b)
{
    const struct sample_pair *x = a, *y = b;

    return (x->x_ns > y->x_ns) - (x->x_ns < y->x_ns);
}

static bool trial_alone(const struct sample *all, size_t n, size_t i, bool nat)
{
    uint64_t key = nat ? all[i].key_nat : all[i].key;

    return !(i > 0 && (nat ? all[i - 1].key_nat : all[i - 1].key) == key) &&
           !(i + 1 < n && (nat ? all[i + 1].key_nat : all[i + 1].key) == key);
}

int trial_pairs(struct sample *a, size_t n_a, struct sample *b, size_t n_b, bool nat,
                struct sample_pairs *ret_pairs)
{
    int (*by)(const void *, const void *) = nat ? trial_by_key_nat : trial_by_key;
    size_t n = 0, j = 0;
    struct sample_pair *all = calloc((n_a < n_b ? n_a : n_b) + 1, sizeof *all);

    if (!all)
        return -ENOMEM;
    qsort(a, n_a, sizeof *a, by);
    qsort(b, n_b, sizeof *b, by);
    for (size_t i = 0; i < n_a; i++) {
        while (j < n_b && by(&b[j], &a[i]) < 0)
            j++;
        if (j == n_b)
            break;
        if (by(&b[j], &a[i]) != 0 || !trial_alone(a, n_a, i, nat) || !trial_alone(b, n_b, j, nat))
            continue;
        all[n++] = (struct sample_pair){.x_ns = a[i].ns,
                                        .y_ns = (int64_t)(b[j].ns - a[i].ns),
                                        .flow = a[i].flow,
                                        .flow_other = b[j].flow,
                                        .way = 2,
                                        .cut = a[i].len != b[j].len};
    }
    qsort(all, n, sizeof *all, trial_by_time);
    *ret_pairs = (struct sample_pairs){.all = all, .n = n};
    return 0;
}

/* Two flows that answer each other. */
struct conversation {
    uint32_t id;   /* of both: the even one, 0 empty */
    int32_t votes; /* of the even one's packets that go to the other point */
    bool has[2];
    uint64_t x_ns[2];
    int64_t y_ns[2];
};

static struct conversation *trial_conversation(struct conversation *all, size_t mask, uint32_t flow)
{
    uint32_t id = flow | 1;
    size_t at = (id * 0x9e3779b1U >> 4) & mask;

    while (all[at].id && all[at].id != id)
        at = (at + 1) & mask;
    all[at].id = id;
    return &all[at];
}

/*
 * Whatever the clocks say, a packet's difference has the delay added when it goes to the other point, and taken away
 * when it comes from there: of two flows that answer each other, the larger goes there.
 */
bool trial_ways(struct sample_pairs *pairs)
{
    AUTO(free_p) struct conversation *all = NULL;
    size_t room = 64;
    bool both = false;

    while (room < pairs->n * 2)
        room *= 2;
    all = calloc(room, sizeof *all);
    if (!all)
        return false;
    for (size_t i = 0; i < pairs->n; i++) {
        const struct sample_pair *pair = &pairs->all[i];
        struct conversation *c = trial_conversation(all, room - 1, pair->flow);
        unsigned side = pair->flow & 1;

        if (c->has[!side] && pair->x_ns - c->x_ns[!side] < (uint64_t)trial_too_long_ns &&
            pair->y_ns != c->y_ns[!side]) {
            c->votes += (pair->y_ns > c->y_ns[!side]) == !side ? 1 : -1;
            both = true;
        }
        c->has[side] = true;
        c->x_ns[side] = pair->x_ns;
        c->y_ns[side] = pair->y_ns;
    }
    for (size_t i = 0; i < pairs->n; i++) {
        struct sample_pair *pair = &pairs->all[i];
        int32_t votes = trial_conversation(all, room - 1, pair->flow)->votes;

        if (votes)
            pair->way = (votes > 0) == !(pair->flow & 1) ? 0 : 1;
    }
    return both;
}

int64_t trial_align(int64_t there_ns, int64_t back_ns, int64_t now_ns)
{
    if (there_ns == INT64_MAX && back_ns == INT64_MIN)
        return now_ns;
    if (back_ns == INT64_MIN)
        return there_ns - trial_margin_ns;
    if (there_ns == INT64_MAX)
        return back_ns + trial_margin_ns;
    return back_ns + (there_ns - back_ns) / 2;
}

static int trial_by_flow(const void *a, const void *b)
{
    const struct sample_pair *x = a, *y = b;

    if (x->flow != y->flow)
        return x->flow > y->flow ? 1 : -1;
    return (x->y_ns > y->y_ns) - (x->y_ns < y->y_ns);
}

/*
 * A flow that nobody answers, its differences from the least to the most: by their sign. Where they have both the clocks are
 * apart a little, and what is longer than usual tells: delays have a floor and no ceiling.
 */
static uint8_t trial_way_by_sign(const struct sample_pair *all, size_t n, bool forward)
{
    int64_t middle = all[n / 2].y_ns;

    if (forward || middle < -trial_too_long_ns)
        return 0;
    if (n >= 16 && all[n / 32].y_ns < 0 && all[n - 1 - n / 32].y_ns > 0)
        return all[n - 1 - n / 32].y_ns - middle < middle - all[n / 32].y_ns;
    return middle < 0;
}

static void trial_ways_by_sign(struct sample_pairs *pairs, bool forward)
{
    size_t end;

    qsort(pairs->all, pairs->n, sizeof *pairs->all, trial_by_flow);
    for (size_t i = 0; i < pairs->n; i = end) {
        uint8_t way;

        for (end = i; end < pairs->n && pairs->all[end].flow == pairs->all[i].flow;)
            end++;
        way = trial_way_by_sign(&pairs->all[i], end - i, forward);
        for (size_t k = i; k < end; k++)
            if (pairs->all[k].way == 2)
                pairs->all[k].way = way;
    }
}

static int trial_by_difference(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The middle one of the differences: a record whose time is wrong does not move it. */
static int64_t trial_middle(const struct sample_pairs *pairs)
{
    AUTO(free_p) int64_t *all = calloc(pairs->n + 1, sizeof *all);
    int64_t middle = 0;

    if (!all || pairs->n == 0)
        return 0;
    for (size_t i = 0; i < pairs->n; i++)
        all[i] = pairs->all[i].y_ns;
    qsort(all, pairs->n, sizeof *all, trial_by_difference);
    middle = all[pairs->n / 2];
    return middle;
}

/* How the clock of point p stands to that of q, which is known; votes for the ways when that is not to be told by time. */
static void trial_clock(struct match *m, unsigned q, unsigned p, struct sample_pairs *pairs)
{
    int64_t there = INT64_MAX, back = INT64_MIN, middle = trial_middle(pairs);
    bool both = trial_ways(pairs);
    bool swapped = m->place[p] < m->place[q];

    trial_ways_by_sign(pairs, m->options.order_given && !both && !swapped);
    for (size_t i = 0; i < pairs->n; i++) {
        const struct sample_pair *pair = &pairs->all[i];

        m->splits |= pair->cut;
        /* One so far from the others says nothing of the clock, but that it was set, or a time written wrong. */
        if (pair->y_ns < middle - trial_odd_ns || pair->y_ns > middle + trial_odd_ns)
            continue;
        if (pair->way == 0)
            there = pair->y_ns < there ? pair->y_ns : there;
        else
            back = pair->y_ns > back ? pair->y_ns : back;
    }
    m->point[p].align_ns = m->point[q].align_ns;
    if (there >= 0 && back <= 0 && (there == INT64_MAX || there < trial_too_long_ns) &&
        (back == INT64_MIN || back > -trial_too_long_ns))
        return;
    m->clocks_apart = true;
    m->point[p].align_ns += trial_align(there, back, 0);
    for (size_t i = 0; i < pairs->n; i++) {
        const struct sample_pair *pair = &pairs->all[i];
        unsigned way = pair->way ^ swapped;
        struct flow_state *state = flow_add(m, pair->flow);

        if (state)
            state->votes[way]++;
        state = pair->flow_other == pair->flow ? NULL : flow_add(m, pair->flow_other);
        if (state)
            state->votes[way]++;
    }
}

struct trial {
    struct sample *samples[HOP_MAX_POINTS]; /* owned */
    size_t n[HOP_MAX_POINTS];
    struct sample_pairs pairs[HOP_MAX_POINTS]; /* with the point before that it shares most with */
    uint8_t with[HOP_MAX_POINTS];
};

static void trial_done(struct trial *t)
{
    for (unsigned p = 0; p < HOP_MAX_POINTS; p++) {
        free(t->samples[p]);
        free(t->pairs[p].all);
    }
}

static int trial_samples(const struct match *m, struct trial *t)
{
    for (unsigned p = 0; p < m->n; p++) {
        const struct queue *q = &m->queue[p];

        t->n[p] = q->n - q->at;
        t->samples[p] = calloc(t->n[p] + 1, sizeof *t->samples[p]);
        if (!t->samples[p])
            return -ENOMEM;
        for (size_t i = 0; i < t->n[p]; i++) {
            sample_set(&t->samples[p][i], &q->all[q->at + i].seen);
            t->samples[p][i].ns = match_corrected(&m->point[p], t->samples[p][i].ns);
        }
    }
    return 0;
}

/* Pairs of each point with the first one, or with one in between that it shares more with. */
static size_t trial_all_pairs(const struct match *m, struct trial *t, bool nat)
{
    size_t n = 0;

    for (unsigned p = 1; p < m->n; p++) {
        free(t->pairs[p].all);
        t->pairs[p] = (struct sample_pairs){0};
        for (unsigned q = 0; q < p; q++) {
            struct sample_pairs pairs;

            if (q > 0 && t->pairs[p].n > 0)
                break;
            if (trial_pairs(t->samples[q], t->n[q], t->samples[p], t->n[p], nat, &pairs) < 0)
                return n;
            free(t->pairs[p].all);
            t->pairs[p] = pairs;
            t->with[p] = (uint8_t)q;
        }
        n += t->pairs[p].n;
    }
    return n;
}

/* More than that there cannot be. */
static size_t trial_most_pairs(const struct match *m, const struct trial *t)
{
    size_t n = 0;

    for (unsigned p = 1; p < m->n; p++)
        n += t->n[p] < t->n[0] ? t->n[p] : t->n[0];
    return n;
}

/* ---- order of more than two points ---- */

struct place {
    uint32_t flow;
    uint8_t point;
    int64_t y_ns;
};

static int trial_by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->flow != y->flow)
        return x->flow > y->flow ? 1 : -1;
    if (x->point != y->point)
        return x->point > y->point ? 1 : -1;
    return (x->y_ns > y->y_ns) - (x->y_ns < y->y_ns);
}

struct ballot {
    uint8_t order[HOP_MAX_POINTS];
    size_t votes;
};

/* The order in which a flow's packets reach the points, by their middle differences; its first file's end first. */
static bool trial_flow_order(const struct match *m, const struct place *all, size_t n,
                             struct ballot *ret_ballot)
{
    int64_t middle[HOP_MAX_POINTS] = {0};
    uint16_t has = 1;
    struct ballot b = {.votes = n};
    bool back;

    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && all[end].point == all[i].point;)
            end++;
        middle[all[i].point] = all[i + (end - i) / 2].y_ns;
        has |= (uint16_t)(1U << all[i].point);
    }
    if (has != m->all)
        return false;
    for (unsigned k = 0; k < m->n; k++) {
        unsigned at = k;

        for (; at > 0 && middle[b.order[at - 1]] > middle[k]; at--)
            b.order[at] = b.order[at - 1];
        b.order[at] = (uint8_t)k;
    }
    back = b.order[0] > b.order[m->n - 1];
    for (unsigned k = 0; back && k < m->n / 2; k++) {
        uint8_t swap = b.order[k];

        b.order[k] = b.order[m->n - 1 - k];
        b.order[m->n - 1 - k] = swap;
    }
    *ret_ballot = b;
    return true;
}

enum { BALLOTS = 32 };

/* The order in which most packets reach them; false: not to be told. */
static bool trial_order(const struct match *m, const struct trial *t,
                        uint8_t ret_order[HOP_MAX_POINTS])
{
    AUTO(free_p) struct place *all = NULL;
    struct ballot ballots[BALLOTS], b;
    size_t n = 0, n_ballots = 0, best = 0, k;

    for (unsigned p = 1; p < m->n; p++)
        n += t->pairs[p].n;
    all = calloc(n + 1, sizeof *all);
    if (!all)
        return false;
    n = 0;
    for (unsigned p = 1; p < m->n; p++)
        for (size_t i = 0; t->with[p] == 0 && i < t->pairs[p].n; i++)
            all[n++] = (struct place){t->pairs[p].all[i].flow, (uint8_t)p, t->pairs[p].all[i].y_ns};
    qsort(all, n, sizeof *all, trial_by_place);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && all[end].flow == all[i].flow;)
            end++;
        if (!trial_flow_order(m, all + i, end - i, &b))
            continue;
        for (k = 0; k < n_ballots && memcmp(ballots[k].order, b.order, m->n) != 0;)
            k++;
        if (k == BALLOTS)
            continue;
        if (k == n_ballots)
            ballots[n_ballots++] = (struct ballot){.votes = 0};
        memcpy(ballots[k].order, b.order, sizeof b.order);
        ballots[k].votes += b.votes;
        best = ballots[k].votes > ballots[best].votes ? k : best;
    }
    if (n_ballots)
        memcpy(ret_order, ballots[best].order, HOP_MAX_POINTS);
    return n_ballots > 0;
}

void trial_set_order(struct match *m, const uint8_t *order)
{
    for (unsigned k = 0; k < m->n; k++) {
        m->order[k] = order[k];
        m->place[order[k]] = (uint8_t)k;
    }
}

bool trial_decide(struct match *m)
{
    AUTO(trial_done) struct trial t = {0};
    size_t n, n_nat;

    if (trial_samples(m, &t) < 0)
        return false;
    n = trial_all_pairs(m, &t, m->nat);
    if (m->options.nat == MATCH_NAT_AUTO && n + n / 16 < trial_most_pairs(m, &t)) {
        n_nat = trial_all_pairs(m, &t, true);
        m->nat = n_nat > n + n / 16;
        n = m->nat ? n_nat : trial_all_pairs(m, &t, false);
    }
    if (n == 0)
        return false;
    m->has_found_order = m->n > 2 && trial_order(m, &t, m->found_order);
    if (m->has_found_order && !m->options.order_given)
        trial_set_order(m, m->found_order);
    for (unsigned p = 1; p < m->n; p++) {
        int64_t before = m->point[t.with[p]].align_ns;

        if (t.pairs[p].n == 0)
            continue;
        trial_clock(m, t.with[p], p, &t.pairs[p]);
        m->point[p].apart = m->point[p].align_ns != before;
        m->point[p].apart_ns = m->point[p].align_ns;
    }
    return true;
}
