/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/hop_watch.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "wire/hop_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOP_WATCH_ANSWER_S = 10, /* attaching, and measuring the instrument */
    HOP_WATCH_END_S = 20,    /* the rest of the keys may be much */
    HOP_WATCH_STOP_S = 5,    /* the same when somebody has asked for the end */
    HOP_WATCH_DRAIN_MS = 200,
    HOP_WATCH_CLOCK_ASKS = 8,
};

static void hop_watch_fail(struct hop_watch *w, int r, const struct err *err)
{
    if (w->failure.code)
        return;
    w->failure = *err;
    if (!w->failure.code)
        w->failure.code = r < 0 ? -r : EPROTO;
}

/* Lines under the id of a watch: how it goes on, and keys. */
static void hop_watch_hear(void *arg, const struct message *message)
{
    struct hop_place *place = arg;
    struct hop_watch *w = place->watch;
    const struct line *line = &message->line;
    const char *source = line_get(line, "source"), *why = line_get(line, "why");
    uint64_t point = 0, heard = 0;
    struct err err = {0};
    int r = 0;

    if (line_is(line, "ok")) {
        text_copy(place->source, sizeof place->source, source ? source : "");
        text_copy(place->why, sizeof place->why, why ? why : "");
        text_tame(place->why);
    } else if (line_is(line, "keys")) {
        if (line_get_u64(line, "point", &point) < 0 || point >= place->options.n_points ||
            line_get_u64(line, "heard_ns", &heard) < 0)
            r = err_say(&err, "%s: packets of no point", place->peer->name);
        else
            r = w->sink->keys(w->sink->arg, place->point[point], heard, message->blob,
                              message->n_blob, &err);
    } else if (line_is(line, "flows")) {
        r = w->sink->flows(w->sink->arg, message->blob, message->n_blob, &err);
    }
    if (r < 0)
        hop_watch_fail(w, r, &err);
}

/* The answer to "unwatch" or "calibrate". */
static void hop_watch_hear_hops(void *arg, const struct message *message)
{
    struct hop_place *place = arg;
    struct err err = {0};
    int r;

    if (!line_is(&message->line, "hops"))
        return;
    hops_done(&place->seen);
    r = hop_message_unpack(message->blob, message->n_blob, &place->seen, &err);
    if (r < 0)
        hop_watch_fail(place->watch, err_wrap(&err, r, "%s", place->peer->name), &err);
}

/* One request that is answered by "hops". */
static int hop_watch_ask(struct hop_place *place, struct line_out *out, uint64_t seconds,
                         struct err *err)
{
    struct hop_watch *w = place->watch;
    struct call call = {.on_message = hop_watch_hear_hops, .arg = place}, *calls[] = {&call};
    int r = peer_send(place->peer, out, &call, err);

    if (r == 0)
        r = peer_wait(w->set, calls, 1, clock_mono_ns() + seconds * CLOCK_S, err);
    call_done(&call);
    if (r == 0 && w->failure.code) {
        if (err)
            *err = w->failure;
        r = -w->failure.code;
    }
    return r;
}

static int hop_watch_calibrate(struct hop_place *place, struct err *err)
{
    struct hop_watch *w = place->watch;
    char buf[128];
    struct line_out out;
    int r;

    peer_begin(place->peer, &out, buf, sizeof buf, "calibrate");
    line_put(&out, "source", place->source);
    line_put_u64(&out, "points", place->options.n_points);
    r = hop_watch_ask(place, &out, HOP_WATCH_ANSWER_S, err);
    if (r == 0)
        w->instrument = place->seen.instrument;
    hops_done(&place->seen);
    return r;
}

static int hop_watch_begin(struct hop_place *place, struct err *err)
{
    struct call *calls[] = {&place->call};
    AUTO(free_p) uint8_t *filter = NULL;
    AUTO(free_p) char *buf = malloc(LINE_MAX_BYTES);
    size_t n_filter = 0;
    struct line_out out;
    int r = buf ? hop_message_pack_filter(&place->options, &filter, &n_filter, err)
                : err_set(err, ENOMEM, "memory for a watch");

    if (r < 0)
        return r;
    peer_begin(place->peer, &out, buf, LINE_MAX_BYTES, "watch");
    hop_message_put_options(&out, &place->options);
    place->call = (struct call){.on_message = hop_watch_hear, .arg = place};
    r = peer_send_blob(place->peer, &out, filter, n_filter, &place->call, err);
    if (r == 0)
        r = peer_wait(place->watch->set, calls, 1,
                      clock_mono_ns() + (uint64_t)HOP_WATCH_ANSWER_S * CLOCK_S, err);
    place->watching = r == 0;
    return r;
}

static int hop_watch_end(struct hop_place *place, uint64_t seconds, struct err *err)
{
    char buf[64];
    struct line_out out;
    int r = 0;

    if (place->watching) {
        peer_begin(place->peer, &out, buf, sizeof buf, "unwatch");
        line_put_u64(&out, "watch", place->call.id);
        r = hop_watch_ask(place, &out, seconds, err);
    }
    place->watching = false;
    call_done(&place->call);
    return r;
}

int hop_watch_open(struct hop_watch *watch, struct peer_set *set, struct hop_place places[],
                   unsigned n_places, bool calibrate, const struct hop_sink *sink, struct err *err)
{
    int r;

    *watch = (struct hop_watch){.set = set, .sink = sink, .places = places, .n_places = n_places};
    for (unsigned i = 0; i < n_places; i++) {
        places[i].watch = watch;
        places[i].options.keys_only |= n_places > 1;
        watch->n_points += places[i].options.n_points;
    }
    r = sink->begin(sink->arg, watch->n_points, n_places, err);
    for (unsigned i = 0; i < n_places && r == 0; i++) {
        if (n_places > 1)
            r = peer_ask_clock(set, places[i].peer, HOP_WATCH_CLOCK_ASKS, err);
        if (r == 0)
            r = hop_watch_begin(&places[i], err);
    }
    /* Beside the watch, before there is traffic: only now is it known which instrument is in use. What it cannot measure
       is said to be unknown, and costs no result. */
    if (r == 0 && calibrate) {
        struct err why = {0};

        if (hop_watch_calibrate(&places[0], &why) == -ECANCELED)
            r = err_set(err, ECANCELED, "a signal came");
        watch->failure = (struct err){0};
    }
    return r;
}

/* What the agents say of their points, in the watch's order. */
static void hop_watch_points(const struct hop_watch *w, struct hop_point ret_points[])
{
    const struct peer *first = w->places[0].peer;

    for (unsigned i = 0; i < w->n_places; i++) {
        const struct hop_place *place = &w->places[i];

        for (unsigned k = 0; k < place->options.n_points; k++) {
            struct hop_point *p = &ret_points[place->point[k]];

            *p = k < place->seen.n_points ? place->seen.points[k] : (struct hop_point){0};
            text_copy(p->name, sizeof p->name, place->options.points[k].name);
            text_copy(p->source, sizeof p->source, place->source);
            if (place->peer == first)
                continue;
            p->has_offset = true;
            p->offset_ns = place->peer->wall_offset_ns - first->wall_offset_ns;
            p->offset_bound_ns = place->peer->offset_error_ns + first->offset_error_ns;
        }
    }
}

/* Until nothing sent meanwhile can still be under way. */
static int hop_watch_drain(struct hop_watch *w, struct err *err)
{
    uint64_t until = clock_mono_ns() + (uint64_t)HOP_WATCH_DRAIN_MS * CLOCK_MS;
    int r = 0;

    while (r == 0 && clock_mono_ns() < until)
        r = peer_pump(w->set, until, err);
    return r;
}

static void hop_watch_say_source(const struct hop_watch *w, struct hops *hops)
{
    bool mixed = false;
    size_t used;

    /* What is paired there has it already. */
    for (unsigned i = 0; i < w->n_places; i++)
        if (w->places[i].seen.warning[0])
            text_add(hops->warning, sizeof hops->warning, "%s%s", hops->warning[0] ? "; " : "",
                     w->places[i].seen.warning);
    used = strlen(hops->warning);
    for (unsigned i = 1; i < w->n_places; i++)
        mixed |= strcmp(w->places[i].source, w->places[0].source) != 0;
    text_copy(hops->source, sizeof hops->source, mixed ? "mixed" : w->places[0].source);
    if (w->instrument.measured)
        hops->instrument = w->instrument;
    else if (!hops->instrument.stamp[0])
        text_copy(hops->instrument.stamp, sizeof hops->instrument.stamp,
                  w->places[0].seen.instrument.stamp);
    for (unsigned i = 0; i < w->n_places && used < sizeof hops->warning; i++) {
        int n;

        /* That several machines' packets are paired here is how it is meant to be. */
        if (!w->places[i].why[0] || w->places[i].options.keys_only)
            continue;
        n = snprintf(hops->warning + used, sizeof hops->warning - used, "%s%s: %s",
                     used ? "; " : "", w->places[i].peer->name, w->places[i].why);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* r: what happened before. What was seen until a signal came is fetched all the same, and the signal does not cut that short. */
static int hop_watch_end_all(struct hop_watch *w, int r, struct err *first)
{
    const int interrupt_fd = w->set->interrupt_fd;
    const bool interrupted = r == -ECANCELED;

    if (interrupted)
        w->set->interrupt_fd = -1;
    for (unsigned i = 0; i < w->n_places; i++) {
        struct err why = {0};
        int ended =
            hop_watch_end(&w->places[i], interrupted ? HOP_WATCH_STOP_S : HOP_WATCH_END_S, &why);

        if (ended < 0 && r == 0) {
            r = ended;
            *first = why;
        }
    }
    w->set->interrupt_fd = interrupt_fd;
    return r;
}

int hop_watch_close(struct hop_watch *watch, struct hops *ret_hops, struct err *err)
{
    struct hop_point points[HOP_MAX_POINTS] = {0};
    bool in_kernel = watch->n_places == 1 && strcmp(watch->places[0].source, "af_packet") != 0 &&
                     !watch->places[0].options.keys_only;
    struct err first = {0};
    int r = hop_watch_drain(watch, &first);

    *ret_hops = (struct hops){0};
    r = hop_watch_end_all(watch, r, &first);
    /* Empty where the agent did not answer. */
    if (watch->n_places && in_kernel) {
        *ret_hops = watch->places[0].seen;
        watch->places[0].seen = (struct hops){0};
    } else if (watch->n_places && !in_kernel) {
        struct err why = {0};
        int ended;

        /* A machine that went away does not take along what was seen until then. */
        hop_watch_points(watch, points);
        ended = watch->sink->end(watch->sink->arg, points, watch->n_points, ret_hops, &why);
        if (ended < 0 && r == 0) {
            r = ended;
            first = why;
        }
    }
    if (ret_hops->n_points)
        hop_watch_say_source(watch, ret_hops);
    for (unsigned i = 0; i < watch->n_places; i++)
        hops_done(&watch->places[i].seen);
    if (r < 0 && err)
        *err = first;
    return r;
}
