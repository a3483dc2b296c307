/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/hops_sink.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "capture/keys.h"
#include "capture/match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SINK_CHUNK = 4096,     /* keys read at once */
    SINK_BACKWARD_MS = 100 /* longer than a packet waits for its CPU after it was stamped */
};

struct sink_point {
    FILE *kept;                             /* owned; of several machines: its keys, in order */
    uint64_t n, first_ns, last_ns;          /* of all that came */
    uint64_t heard_first_ns, heard_last_ns; /* it watched then, whatever came; 0 not told */
};

struct hops_sink {
    struct hops_sink_options options;
    struct hop_sink hooks;
    struct match *match; /* owned; of one machine: fed as keys come */
    unsigned n_points;
    bool several;
    struct sink_point points[HOP_MAX_POINTS];
    uint8_t *flows; /* owned; of several machines */
    size_t n_flows, flows_size;
};

static int sink_match_new(const struct hops_sink *s, struct match_options *options,
                          struct match **ret_match, struct err *err)
{
    options->window_ns = s->options.window_ns;
    options->backward_ns = (uint64_t)SINK_BACKWARD_MS * CLOCK_MS;
    options->nat = s->options.nat < 0 ? MATCH_NAT_AUTO
                   : s->options.nat   ? MATCH_NAT_YES
                                      : MATCH_NAT_NO;
    options->order_given = !s->options.learn_order;
    for (unsigned i = 0; i < s->n_points; i++)
        options->order[i] = (uint8_t)i;
    return match_new(s->n_points, options, ret_match, err);
}

static int sink_begin(void *arg, unsigned n_points, unsigned n_machines, struct err *err)
{
    struct hops_sink *s = arg;
    struct match_options options = {.per_flow = s->options.per_flow,
                                    .interval_ns = s->options.interval_ns};

    /* Once for each watch. */
    match_free(TAKE(s->match));
    for (unsigned i = 0; i < HOP_MAX_POINTS; i++) {
        fclose_p(&s->points[i].kept);
        s->points[i] = (struct sink_point){0};
    }
    s->n_flows = 0;
    s->n_points = n_points;
    s->several = n_machines > 1;
    if (!s->several)
        return sink_match_new(s, &options, &s->match, err);
    for (unsigned i = 0; i < n_points; i++) {
        s->points[i].kept = tmpfile();
        if (!s->points[i].kept)
            return err_set(err, errno, "a file for the packets of a point");
    }
    return 0;
}

static void sink_heard(struct sink_point *p, uint64_t heard_ns)
{
    p->heard_first_ns = p->heard_first_ns ? p->heard_first_ns : heard_ns;
    p->heard_last_ns = heard_ns > p->heard_last_ns ? heard_ns : p->heard_last_ns;
}

static int sink_keys(void *arg, unsigned point, uint64_t heard_ns, const uint8_t *bytes, size_t n,
                     struct err *err)
{
    struct hops_sink *s = arg;
    int r = 0;

    if (n % KEYS_BYTES || point >= s->n_points)
        return err_set(err, EBADMSG, "packets of a point");
    for (size_t i = 0; i < n && r == 0; i += KEYS_BYTES) {
        struct sink_point *p = &s->points[point];
        struct seen seen;

        keys_unpack(bytes + i, point, &seen);
        p->first_ns = p->n++ ? p->first_ns : seen.ts_ns;
        p->last_ns = seen.ts_ns;
        if (!s->several)
            r = match_add(s->match, point, &seen, NULL, 0, err);
    }
    if (s->several)
        sink_heard(&s->points[point], heard_ns);
    if (s->several)
        return n && fwrite(bytes, 1, n, s->points[point].kept) != n
                   ? err_set(err, errno, "keeping the packets of a point")
                   : 0;
    return r == 0 && heard_ns ? match_heard(s->match, point, heard_ns, err) : r;
}

static void sink_name_flows(const struct hops_sink *s, struct match *match, const uint8_t *bytes,
                            size_t n)
{
    (void)s;
    for (size_t i = 0; i + KEYS_FLOW_BYTES <= n; i += KEYS_FLOW_BYTES) {
        struct seen_flow words;
        uint32_t flow;

        keys_unpack_flow(bytes + i, &flow, &words);
        match_add_flow(match, flow, &words);
    }
}

static int sink_flows(void *arg, const uint8_t *bytes, size_t n, struct err *err)
{
    struct hops_sink *s = arg;

    if (n % KEYS_FLOW_BYTES)
        return err_set(err, EBADMSG, "flows of a point");
    if (!s->several) {
        sink_name_flows(s, s->match, bytes, n);
        return 0;
    }
    if (s->n_flows + n > s->flows_size) {
        size_t size = 2 * (s->n_flows + n);
        uint8_t *grown = realloc(s->flows, size);

        if (!grown)
            return err_set(err, ENOMEM, "memory for flows");
        s->flows = grown;
        s->flows_size = size;
    }
    memcpy(s->flows + s->n_flows, bytes, n);
    s->n_flows += n;
    return 0;
}

/* ---- several machines ---- */

struct sink_reader {
    uint8_t buf[SINK_CHUNK * KEYS_BYTES];
    size_t n, at; /* bytes */
    bool has;
    struct seen next;
};

/* The next key of a point; false behind the last. */
static bool sink_read(struct sink_point *point, unsigned index, struct sink_reader *reader)
{
    if (reader->at == reader->n) {
        reader->n = fread(reader->buf, KEYS_BYTES, SINK_CHUNK, point->kept) * KEYS_BYTES;
        reader->at = 0;
    }
    reader->has = reader->at < reader->n;
    if (reader->has) {
        keys_unpack(reader->buf + reader->at, index, &reader->next);
        reader->at += KEYS_BYTES;
    }
    return reader->has;
}

/* Feed all that was kept, in the order of the clocks as they are thought to be: so the matcher keeps little. */
static int sink_feed(struct hops_sink *s, struct match *match, const struct hop_point points[],
                     struct err *err)
{
    AUTO(free_p) struct sink_reader *readers = calloc(s->n_points, sizeof *readers);
    int r = 0;

    if (!readers)
        return err_set(err, ENOMEM, "memory for packets");
    for (unsigned i = 0; i < s->n_points; i++) {
        rewind(s->points[i].kept);
        sink_read(&s->points[i], i, &readers[i]);
    }
    while (r == 0) {
        int first = -1;
        int64_t first_ns = 0;

        for (unsigned i = 0; i < s->n_points; i++) {
            int64_t ns = (int64_t)readers[i].next.ts_ns - points[i].offset_ns;

            if (!readers[i].has || (first >= 0 && ns >= first_ns))
                continue;
            first = (int)i;
            first_ns = ns;
        }
        if (first < 0)
            break;
        r = match_add(match, (unsigned)first, &readers[first].next, NULL, 0, err);
        if (!sink_read(&s->points[first], (unsigned)first, &readers[first]) && r == 0)
            r = match_heard(match, (unsigned)first, UINT64_MAX, err);
    }
    return r;
}

/* What is left is matched, and sentences have the points' names. */
static int sink_answer(const struct hops_sink *s, struct match *match,
                       const struct hop_point points[], struct hops *ret_hops, struct err *err)
{
    const char *names[HOP_MAX_POINTS];

    for (unsigned i = 0; i < s->n_points; i++)
        names[i] = points[i].name;
    return match_end(match, names, ret_hops, err);
}

/* When each point watched, but for how far the clocks may be from what they are taken for. */
static void sink_watched(const struct hops_sink *s, struct match *match,
                         const struct hop_point points[])
{
    uint64_t bound_ns = 0;

    for (unsigned i = 0; i < s->n_points; i++)
        if (points[i].has_offset && points[i].offset_bound_ns > bound_ns)
            bound_ns = points[i].offset_bound_ns;
    for (unsigned i = 0; i < s->n_points; i++) {
        const struct sink_point *p = &s->points[i];

        if (p->heard_first_ns && (p->heard_last_ns - p->heard_first_ns) / 2 > bound_ns)
            match_watched(match, i, p->heard_first_ns + bound_ns, p->heard_last_ns - bound_ns);
    }
}

static int sink_pass(struct hops_sink *s, struct match_options *options,
                     const struct hop_point points[], struct hops *ret_hops, struct err *err)
{
    struct match *match = NULL;
    int r = sink_match_new(s, options, &match, err);

    if (r < 0)
        return r;
    for (unsigned i = 1; i < s->n_points; i++)
        if (points[i].has_offset)
            match_set_offset(match, i, &points[i]);
    sink_name_flows(s, match, s->flows, s->n_flows);
    sink_watched(s, match, points);
    r = sink_feed(s, match, points, err);
    if (r == 0)
        r = sink_answer(s, match, points, ret_hops, err);
    match_free(match);
    return r;
}

struct sink_next {
    struct hops_sink *s;
    struct sink_reader *readers; /* one a point */
};

static bool sink_next(void *arg, unsigned point, struct seen *ret_seen)
{
    struct sink_next *next = arg;

    if (!sink_read(&next->s->points[point], point, &next->readers[point]))
        return false;
    *ret_seen = next->readers[point].next;
    return true;
}

/*
 * How the clocks stand, from packets that went both ways. Where these do not tell, or not better, it stays with what the agents'
 * clocks said over their pipes.
 */
static int sink_clocks(struct hops_sink *s, struct hop_point points[], char *warning, size_t size)
{
    AUTO(free_p) struct sink_reader *readers = calloc(s->n_points, sizeof *readers);
    struct sink_next next = {s, readers};
    struct hop_point better[HOP_MAX_POINTS] = {0}, told[HOP_MAX_POINTS] = {0};
    struct err err = {0};

    if (!readers)
        return -ENOMEM;
    memcpy(told, points, s->n_points * sizeof *points);
    for (unsigned i = 0; i < s->n_points; i++)
        rewind(s->points[i].kept);
    if (match_offsets_keys(sink_next, &next, s->n_points, better, &err) < 0) {
        snprintf(warning, size, "clocks are compared by the agents' answers alone: %.300s",
                 err.text);
        return 0;
    }
    for (unsigned i = 1; i < s->n_points; i++) {
        unsigned best = i;

        /* Of one machine one clock, whose offset was the same: the best of its points is for all of them. */
        for (unsigned k = 1; k < s->n_points; k++)
            if (told[k].has_offset && told[k].offset_ns == told[i].offset_ns &&
                better[k].offset_bound_ns < better[best].offset_bound_ns)
                best = k;
        if (!told[i].has_offset || better[best].offset_bound_ns >= told[i].offset_bound_ns)
            continue;
        points[i].offset_ns = better[best].offset_ns;
        points[i].skew_share = better[best].skew_share;
        points[i].offset_bound_ns = better[best].offset_bound_ns;
        points[i].n_offset_packets = better[best].n_offset_packets;
        points[i].first_ns = better[best].first_ns;
    }
    return 0;
}

static int sink_end_several(struct hops_sink *s, struct hop_point points[], struct hops *ret_hops,
                            struct err *err)
{
    struct match_options options = {.per_flow = s->options.per_flow,
                                    .interval_ns = s->options.interval_ns};
    char warning[400] = "";
    int r = sink_clocks(s, points, warning, sizeof warning);

    if (r < 0)
        return err_set(err, r, "comparing clocks");
    r = sink_pass(s, &options, points, ret_hops, err);
    if (warning[0])
        text_add(ret_hops->warning, sizeof ret_hops->warning, "%s%s",
                 ret_hops->warning[0] ? "; " : "", warning);
    return r;
}

/* The matcher counts what it was given; what the points say of themselves, and of their clocks, is theirs. */
static void sink_points(const struct hops_sink *s, struct hops *hops,
                        const struct hop_point points[], unsigned n)
{
    bool untold = false;

    hops->n_points = n;
    for (unsigned i = 0; i < n; i++) {
        uint64_t unmatched = hops->points[i].unmatched, backward = hops->points[i].backward;

        hops->points[i] = points[i];
        hops->points[i].unmatched = unmatched;
        hops->points[i].backward = backward;
        /* Its agent went away before it said: then that much came here, and whether more was dropped nobody knows. */
        if (points[i].has_kernel_drops)
            continue;
        untold = true;
        hops->points[i].seen = s->points[i].n;
        hops->points[i].first_ns = s->points[i].first_ns;
        hops->points[i].last_ns = s->points[i].last_ns;
    }
    for (uint32_t i = 0; i < hops->n_hops; i++) {
        struct hop *hop = &hops->hops[i];

        hop->lost_is_bound |= untold;
        hop->lost_is_bound |= points[hop->from].vanished || points[hop->to].vanished;
        for (unsigned k = 0; k < n; k++)
            hop->lost_is_bound |= points[k].kernel_drops || points[k].overflow;
    }
}

static int sink_end(void *arg, const struct hop_point points[], unsigned n_points,
                    struct hops *ret_hops, struct err *err)
{
    struct hops_sink *s = arg;
    struct hop_point mine[HOP_MAX_POINTS] = {0};
    int r;

    memcpy(mine, points, n_points * sizeof *points);
    r = s->several ? sink_end_several(s, mine, ret_hops, err)
                   : sink_answer(s, s->match, mine, ret_hops, err);
    sink_points(s, ret_hops, mine, n_points);
    hops_late_bounds(ret_hops);
    return r;
}

int hops_sink_new(const struct hops_sink_options *options, struct hops_sink **ret_sink,
                  struct err *err)
{
    struct hops_sink *s = calloc(1, sizeof *s);

    if (!s)
        return err_set(err, ENOMEM, "memory for a matcher");
    s->options = *options;
    s->hooks = (struct hop_sink){
        .arg = s, .begin = sink_begin, .keys = sink_keys, .flows = sink_flows, .end = sink_end};
    *ret_sink = s;
    return 0;
}

void hops_sink_free(struct hops_sink *sink)
{
    if (!sink)
        return;
    match_free(sink->match);
    for (unsigned i = 0; i < HOP_MAX_POINTS; i++)
        fclose_p(&sink->points[i].kept);
    free(sink->flows);
    free(sink);
}

const struct hop_sink *hops_sink_hooks(struct hops_sink *sink) { return &sink->hooks; }
