/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "capture/decode.h"
#include "capture/match_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BATCH =
        256, /* packets are decoded at a time: they stay in the fastest memory until they are matched */
    READ_TRIAL = 8192,
    READ_TRIAL_MOST = 65536,
};

struct reading {
    struct match *m;
    struct source *const *sources;
    uint64_t unparsed[HOP_MAX_POINTS], fragments[HOP_MAX_POINTS], no_time[HOP_MAX_POINTS];
    uint64_t odd_link[HOP_MAX_POINTS];
    uint32_t link[HOP_MAX_POINTS];
    bool want_words;
    uint64_t limit_ns; /* merge time at which a source broke */
    int r;
    struct err err;
};

static void read_odd(struct reading *reading, unsigned point, const struct frame *frame,
                     enum decode_result result)
{
    reading->unparsed[point]++;
    if (result == DECODE_FRAGMENT)
        reading->fragments[point]++;
    if (result == DECODE_LINK) {
        reading->odd_link[point]++;
        reading->link[point] = frame->link;
    }
}

static int read_one(struct reading *reading, unsigned point, const struct frame *frame)
{
    struct match *m = reading->m;
    struct waiting *w = match_queue_next(m, point);
    const uint8_t *payload;
    uint32_t n_payload;
    enum decode_result result;

    if (!w)
        return -ENOMEM;
    result = decode_frame(frame, &w->seen, &payload, &n_payload);
    if (result != DECODE_OK) {
        read_odd(reading, point, frame, result);
        return 0;
    }
    if (frame->ts_ns == 0) {
        reading->unparsed[point]++;
        reading->no_time[point]++;
        return 0;
    }
    if (reading->want_words && !flow_words(m, w->seen.flow)) {
        struct seen_flow words;

        if (decode_flow(frame, &words) == DECODE_OK)
            match_add_flow(m, w->seen.flow, &words);
    }
    /* Only datagrams are found by what is further behind. */
    if (!(w->seen.flags & SEEN_UDP) || n_payload <= 1)
        n_payload = 0;
    return match_queue_added(m, point, payload, n_payload);
}

/* The source is at its end, or broke: then the others go on to that time only. */
static void read_end(struct reading *reading, unsigned point, int r, const struct err *err)
{
    struct match *m = reading->m;
    const struct queue *q = &m->queue[point];
    const struct point_state *p = &m->point[point];
    uint64_t ns = 0;

    m->queue[point].ended = true;
    if (r == 0)
        return;
    if (reading->r == 0) {
        reading->r = r;
        reading->err = *err;
    }
    if (p->seen)
        ns = match_corrected(p, p->last_ns) - (uint64_t)p->align_ns + 1;
    (void)q;
    if (ns < reading->limit_ns)
        reading->limit_ns = ns;
}

static int read_some(struct reading *reading, unsigned point, uint32_t n)
{
    struct queue *q = &reading->m->queue[point];

    struct frame frame;
    struct err err = {0};

    while (!q->ended && q->n - q->at < n) {
        int r = source_next(reading->sources[point], &frame, &err);

        if (r <= 0) {
            read_end(reading, point, r, &err);
            return 0;
        }
        r = read_one(reading, point, &frame);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_all(struct reading *reading, uint32_t n)
{
    int r = 0;

    for (unsigned k = 0; k < reading->m->n && r == 0; k++)
        r = read_some(reading, k, n);
    return r;
}

/*
 * The first packets tell NAT, order and clocks. Where one capture began much earlier than another they have none in common:
 * then what is earlier is matched, with nothing, until both were watching.
 */
static int read_trial(struct reading *reading)
{
    struct match *m = reading->m;
    uint32_t n = READ_TRIAL;
    int r;

    for (;;) {
        uint64_t earliest_end = UINT64_MAX, latest_start = 0;
        bool more = false;

        r = read_all(reading, n);
        if (r < 0 || trial_decide(m))
            break;
        for (unsigned k = 0; k < m->n; k++) {
            const struct queue *q = &m->queue[k];

            more |= !q->ended;
            if (q->at == q->n)
                continue;
            if (q->all[q->at].seen.ts_ns > latest_start)
                latest_start = q->all[q->at].seen.ts_ns;
            if (!q->ended && q->all[q->n - 1].seen.ts_ns < earliest_end)
                earliest_end = q->all[q->n - 1].seen.ts_ns;
        }
        if (!more)
            break;
        if (earliest_end < latest_start) {
            r = match_advance(m, earliest_end + 1);
            if (r < 0)
                return r;
            n = READ_TRIAL;
        } else if (n < READ_TRIAL_MOST) {
            n *= 2;
        } else {
            break;
        }
    }
    m->decided = true;
    match_heads(m);
    return r;
}

static int read_match(struct reading *reading)
{
    struct match *m = reading->m;
    int r = read_trial(reading);

    while (r == 0) {
        bool more = false;

        for (unsigned k = 0; k < m->n && r == 0; k++)
            if (m->queue[k].at == m->queue[k].n)
                r = read_some(reading, k, READ_BATCH);
        if (r < 0)
            return r;
        r = match_advance(m, reading->limit_ns);
        for (unsigned k = 0; k < m->n; k++)
            more |= !m->queue[k].ended && m->queue[k].at == m->queue[k].n;
        if (!more)
            break;
    }
    return r == 0 ? match_flush(m) : r;
}

static void read_name(struct reading *reading, const char *const names[], struct hops *hops)
{
    for (unsigned k = 0; k < hops->n_points; k++) {
        struct hop_point *p = &hops->points[k];
        const struct source *source = reading->sources[k];
        const struct point_state *state = &reading->m->point[k];
        size_t used = strlen(hops->warning);

        snprintf(p->name, sizeof p->name, "%s", names[k]);
        snprintf(p->source, sizeof p->source, "file");
        p->unparsed = reading->unparsed[k];
        p->fragments = reading->fragments[k];
        p->no_time = reading->no_time[k];
        p->has_kernel_drops = source->has_drops;
        p->kernel_drops = source->drops;
        p->has_offset = state->has_offset;
        p->offset_ns = state->offset_ns;
        p->skew_share = state->skew;
        if (reading->odd_link[k])
            snprintf(hops->warning + used, sizeof hops->warning - used,
                     "%s%s has packets of link type %" PRIu32 ", which is not known",
                     used ? "; " : "", names[k], reading->link[k]);
        used = strlen(hops->warning);
        if (reading->no_time[k])
            snprintf(hops->warning + used, sizeof hops->warning - used,
                     "%s%s has packets without a time", used ? "; " : "", names[k]);
        for (unsigned i = 0; source->drops && i < hops->n_hops; i++)
            hops->hops[i].lost_is_bound = true;
    }
}

int match_sources(struct match *m, struct source *const sources[], const char *const names[],
                  struct hops *ret_hops, struct err *err)
{
    struct reading reading = {.m = m,
                              .sources = sources,
                              .limit_ns = UINT64_MAX,
                              .want_words = m->options.per_flow || m->options.on_packet};
    int r;

    *ret_hops = (struct hops){0};
    m->names = names;
    r = read_match(&reading);
    if (r < 0)
        return err_set(err, r, "matching packets");
    r = match_answer(m, ret_hops, err);
    m->names = NULL;
    if (r < 0)
        return r;
    read_name(&reading, names, ret_hops);
    if (reading.r < 0 && err)
        *err = reading.err;
    return reading.r;
}
