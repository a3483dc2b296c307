/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate.h"

#include <stdlib.h>
#include <string.h>

enum {
    SIMULATE_MARGIN_NS = 10000000, /* no troubles so near to the start and the end */
    SIMULATE_SERIAL_NS = 300,      /* between pieces of what was cut */
    SIMULATE_MERGE_NS = 400,       /* from the last segment to the merged packet */
    SIMULATE_WAIT_NS = 60000,      /* the first segment waits no longer for others */
    PASSAGE_MOST_NS = 2000000,     /* beyond the base: the tail ends there */
};

/* Of one hop, one direction. */
struct passage {
    struct simulation *sim;
    const struct scenario_hop *hop;
    unsigned number; /* of the hop, in the files' order */
    int64_t last_ns; /* when the one before came out of the queue */
    struct sights *out;
};

static bool passage_troubled(const struct passage *p, int64_t ns)
{
    return p->sim->scenario->edge_losses ||
           (ns >= SIMULATE_MARGIN_NS && ns <= p->sim->end_ns - SIMULATE_MARGIN_NS);
}

static int64_t passage_delay(const struct passage *p)
{
    struct random *random = &p->sim->random;
    const struct scenario_hop *hop = p->hop;
    int64_t ns = hop->base_ns + random_exponential(random, (double)hop->mean_ns);

    if (random_chance(random, hop->heavy))
        ns += (int64_t)((double)hop->heavy_ns * pow(random_share(random), -0.7));
    return ns < hop->base_ns + PASSAGE_MOST_NS ? ns : hop->base_ns + PASSAGE_MOST_NS;
}

/* A packet that is to be lost is lost on one hop, which its number tells. */
static bool passage_loses(const struct passage *p, uint32_t item, int64_t ns)
{
    const struct simulation *sim = p->sim;

    if (sim->items[item].flags & ITEM_LOST && random_mix(item) % (sim->n_points - 1) == p->number)
        return true;
    return passage_troubled(p, ns) && random_chance(&p->sim->random, p->hop->loss);
}

/* It waits behind the one before it, unless it takes another way. */
static void passage_leave(struct passage *p, const struct sight *in, uint32_t item, unsigned n,
                          int64_t ready_ns)
{
    struct random *random = &p->sim->random;
    int64_t ns = ready_ns;

    if (passage_troubled(p, in->ns) && random_chance(random, p->hop->reorder))
        ns += p->hop->reorder_ns / 2 + random_exponential(random, (double)p->hop->reorder_ns / 2);
    else if (ns <= p->last_ns)
        ns = p->last_ns = p->last_ns + 1 + random_below(random, 200);
    else
        p->last_ns = ns;
    sights_add(p->out, ns, item, n)->copy = in->copy;
    if (in->copy == 0 && n == 1 && passage_troubled(p, in->ns) &&
        random_chance(random, p->hop->duplicate))
        sights_add(p->out, ns + 800 + random_below(random, 100000), item, 1)->copy = 1;
}

static void passage_take(struct passage *p, const struct sight *in)
{
    int64_t ready = in->ns + passage_delay(p);
    uint32_t item = in->item;

    if (in->n == 1 || !p->hop->cut) {
        if (!passage_loses(p, item, in->ns))
            passage_leave(p, in, item, in->n, ready);
        return;
    }
    for (unsigned i = 0; i < in->n; i++, item = p->sim->items[item].next) {
        if (!passage_loses(p, item, in->ns))
            passage_leave(p, in, item, 1, ready + (int64_t)i * SIMULATE_SERIAL_NS);
    }
}

/* ---- receive offload ---- */

struct merging {
    uint32_t first, last;
    unsigned n;
    int64_t first_ns, last_ns;
};

static void merging_flush(struct merging *m, struct sights *out)
{
    if (m->n > 0)
        sights_add(out, m->last_ns + SIMULATE_MERGE_NS, m->first, m->n);
    m->n = 0;
}

/* What receive offload of Linux asks: next in order, the same acknowledgement and time stamp, no longer than the first. */
static bool merging_fits(const struct simulation *sim, const struct merging *m,
                         const struct sight *in)
{
    const struct item *last = &sim->items[m->last];

    return m->n > 0 && m->n < SIMULATE_MAX_MERGED && in->copy == 0 && in->n == 1 &&
           last->next == in->item && last->len == sim->items[m->first].len &&
           sim->items[in->item].len <= last->len && in->ns - m->first_ns < SIMULATE_WAIT_NS;
}

static void simulate_merge(const struct simulation *sim, struct sights *at)
{
    struct merging *flows = calloc(sim->scenario->n_flows, sizeof *flows);
    struct sights out = {0};

    if (!flows)
        abort();
    for (size_t i = 0; i < at->n; i++) {
        const struct sight *in = &at->all[i];
        struct merging *m = &flows[sim->items[in->item].flow];
        enum simulate_protocol protocol = sim->flows[sim->items[in->item].flow].protocol;

        if (merging_fits(sim, m, in)) {
            m->last = in->item;
            m->n++;
            m->last_ns = in->ns;
            continue;
        }
        merging_flush(m, &out);
        if (in->copy > 0 || in->n > 1 || sim->items[in->item].flags & ITEM_SYN ||
            sim->items[in->item].len == 0 ||
            (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)) {
            struct sight *alone = sights_add(&out, in->ns + SIMULATE_MERGE_NS, in->item, in->n);
            alone->copy = in->copy;
            continue;
        }
        *m = (struct merging){in->item, in->item, 1, in->ns, in->ns};
    }
    for (uint32_t f = 0; f < sim->scenario->n_flows; f++)
        merging_flush(&flows[f], &out);
    free(flows);
    free(at->all);
    *at = out;
    sights_sort(at);
}

/* ---- the path ---- */

static void sights_append(struct sights *to, const struct sights *from)
{
    for (size_t i = 0; i < from->n; i++) {
        struct sight *sight = sights_add(to, 0, 0, 0);

        *sight = from->all[i];
    }
}

/* From end to end, leaving at every point what passes it; ret_arrived: at the end. */
static void simulate_way(struct simulation *sim, bool reverse, struct sights *sent,
                         struct sights *ret_arrived)
{
    struct sights now = *sent;

    for (unsigned i = 0; i < sim->n_points; i++) {
        unsigned point = reverse ? sim->n_points - 1 - i : i;
        struct sights next = {0};
        struct passage passage = {.sim = sim, .out = &next};

        sights_append(&sim->at[point], &now);
        if (i == sim->n_points - 1)
            break;
        passage.number = reverse ? point - 1 : point;
        passage.hop = &sim->scenario->hop[passage.number];
        for (size_t k = 0; k < now.n; k++)
            passage_take(&passage, &now.all[k]);
        free(now.all);
        now = next;
        sights_sort(&now);
        if (passage.hop->merge && !reverse)
            simulate_merge(sim, &now);
    }
    *ret_arrived = now;
}

int64_t simulate_clock(const struct simulation *sim, unsigned point, int64_t ns)
{
    const struct scenario_point *p = &sim->scenario->point[point];
    int64_t at = ns + p->offset_ns + (int64_t)(p->skew * (double)ns);
    bool micro = p->format == FORMAT_PCAP_US || p->format == FORMAT_PCAP_US_BIG ||
                 p->format == FORMAT_PCAPNG_BIG;

    /* All times are far after 1970: less means down. */
    return micro ? at - ((at % 1000) + 1000) % 1000 : at;
}

/* What the capture at a point has of all that passed there. */
static void simulate_capture(struct simulation *sim, unsigned point)
{
    const struct scenario_point *p = &sim->scenario->point[point];
    struct sights *at = &sim->at[point];
    int64_t start = (int64_t)((double)sim->end_ns * p->start);
    int64_t end = p->end > 0 ? (int64_t)((double)sim->end_ns * p->end) : INT64_MAX;
    size_t n = 0;

    sights_sort(at);
    for (size_t i = 0; i < at->n; i++) {
        struct sight *sight = &at->all[i];

        if (sight->ns < start || sight->ns >= end || random_chance(&sim->random, p->gap))
            continue;
        if (random_chance(&sim->random, p->foreign))
            sight->foreign = (uint8_t)(FOREIGN_ARP + random_below(&sim->random, 3));
        for (unsigned k = 0; k < sight->n; k++) {
            struct item *item = &sim->items[simulate_member(sim, sight->item, k)];

            if (item->sights[point]++ == 0)
                item->seen_ns[point] = simulate_clock(sim, point, sight->ns);
        }
        at->all[n++] = *sight;
    }
    at->n = n;
}

void simulate_run(struct simulation *sim)
{
    struct sights sent = {0}, arrived = {0}, answers = {0}, ignored = {0};

    items_flows(sim);
    items_send(sim, false, &sent);
    if (sim->scenario->two_way == TWO_WAY_DATA)
        items_send(sim, true, &answers);
    simulate_way(sim, false, &sent, &arrived);
    items_answer(sim, &arrived, &answers);
    if (answers.n > 0)
        simulate_way(sim, true, &answers, &ignored);
    free(arrived.all);
    free(ignored.all);
    for (unsigned i = 0; i < sim->n_points; i++)
        simulate_capture(sim, i);
}

void simulate_done(struct simulation *sim)
{
    for (unsigned i = 0; i < sim->n_points; i++)
        free(sim->at[i].all);
    free(sim->flows);
    free(sim->items);
}
