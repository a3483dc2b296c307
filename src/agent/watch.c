/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/watch.h"
#include "agent/agent.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "capture/keys.h"
#include "capture/live.h"
#include "wire/hop_message.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    WATCH_KEYS = 8192,  /* packets a blob, at most */
    WATCH_FLOWS = 1024, /* flows a blob, at most */
    WATCH_WAIT_MS = 50, /* for packets: also how late a quiet point's clock is heard of */
    WATCH_STACK_BYTES = 256 * 1024,
};

struct watch {
    struct channel *channel; /* lent by the agent */
    uint32_t id;
    unsigned n_points;
    struct live *live; /* owned */
    bool has_thread;   /* keys go out from it */
    pthread_t thread;
    struct seen *seen; /* owned; the thread's, WATCH_KEYS of them */
    uint8_t *blob;     /* owned; the thread's */
    int failed;        /* the thread's; read after it was joined */
    struct err failure;
};

static int watch_send_keys(struct watch *w, unsigned point, unsigned n, uint64_t heard_ns,
                           struct err *err)
{
    char buf[128];
    struct line_out out;

    for (unsigned i = 0; i < n; i++)
        keys_pack(&w->seen[i], w->blob + (size_t)i * KEYS_BYTES);
    line_begin(&out, buf, sizeof buf, w->id, "keys");
    line_put_u64(&out, "point", point);
    line_put_u64(&out, "heard_ns", heard_ns);
    return channel_send(w->channel, &out, w->blob, (size_t)n * KEYS_BYTES, err);
}

/* The words of flows that are new since the last time. */
static int watch_send_flows(struct watch *w, struct err *err)
{
    struct seen_flow words;
    unsigned n = 0;
    uint32_t flow;
    int more = 1;

    while (more > 0) {
        char buf[64];
        struct line_out out;
        int r;

        for (n = 0; n < WATCH_FLOWS && (more = live_flow(w->live, &flow, &words)) > 0; n++)
            keys_pack_flow(flow, &words, w->blob + (size_t)n * KEYS_FLOW_BYTES);
        if (n == 0)
            break;
        line_begin(&out, buf, sizeof buf, w->id, "flows");
        r = channel_send(w->channel, &out, w->blob, (size_t)n * KEYS_FLOW_BYTES, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Until watch_tell() has stopped the rings and they are empty. */
static void *watch_thread(void *arg)
{
    struct watch *w = arg;
    int r = 0;

    while (r >= 0) {
        unsigned point = 0;
        uint64_t heard_ns = 0;
        int n = live_read(w->live, (uint64_t)WATCH_WAIT_MS * CLOCK_MS, &point, w->seen, WATCH_KEYS,
                          &heard_ns, &w->failure);

        r = n;
        if (n > 0)
            r = watch_send_flows(w, &w->failure);
        if (r >= 0 && (n > 0 || heard_ns))
            r = watch_send_keys(w, point, (unsigned)n, heard_ns, &w->failure);
    }
    w->failed = r == -ENODATA ? 0 : r;
    if (w->failed)
        agent_tell(w->channel, w->id, "failed", w->failed, &w->failure);
    return NULL;
}

static int watch_begin_thread(struct watch *w, struct err *err)
{
    pthread_attr_t attr;
    int r;

    w->seen = calloc(WATCH_KEYS, sizeof *w->seen);
    w->blob = malloc((size_t)WATCH_KEYS * KEYS_BYTES);
    if (!w->seen || !w->blob)
        return err_set(err, ENOMEM, "memory for captured packets");
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WATCH_STACK_BYTES);
    r = pthread_create(&w->thread, &attr, watch_thread, w);
    pthread_attr_destroy(&attr);
    w->has_thread = r == 0;
    return r ? err_set(err, r, "a thread for captured packets") : 0;
}

int watch_new(struct channel *channel, uint32_t id, const struct live_options *options,
              struct watch **ret_watch, struct err *err)
{
    struct watch *w = calloc(1, sizeof *w);
    char buf[1024];
    struct line_out out;
    int r;

    if (!w)
        return err_set(err, ENOMEM, "memory for a watch");
    w->channel = channel;
    w->id = id;
    w->n_points = options->n_points;
    r = live_open(options, &w->live, err);
    if (r == 0) {
        /* Before the first of the keys. */
        line_begin(&out, buf, sizeof buf, id, "ok");
        line_put(&out, "source", live_source_name[live_used(w->live)]);
        line_put(&out, "why", live_why(w->live));
        r = channel_send(channel, &out, NULL, 0, err);
    }
    if (r == 0 && live_used(w->live) == LIVE_AF_PACKET)
        r = watch_begin_thread(w, err);
    if (r < 0) {
        watch_free(w);
        return r;
    }
    *ret_watch = w;
    return 0;
}

uint32_t watch_id(const struct watch *watch) { return watch->id; }

static int watch_send_hops(struct channel *channel, uint32_t id, const struct hops *hops,
                           struct err *err)
{
    AUTO(free_p) uint8_t *blob = NULL;
    size_t n_blob = 0;
    char buf[64];
    struct line_out out;
    int r = hop_message_pack(hops, &blob, &n_blob, err);

    if (r < 0)
        return r;
    line_begin(&out, buf, sizeof buf, id, "hops");
    return channel_send(channel, &out, blob, n_blob, err);
}

int watch_tell(struct watch *w, uint32_t id, struct err *err)
{
    struct hops hops = {0};
    int r = 0;

    if (w->has_thread) {
        live_stop(w->live);
        pthread_join(w->thread, NULL);
        w->has_thread = false;
        hops.n_points = w->n_points;
        live_points(w->live, hops.points);
        live_mark_vanished(w->live, &hops);
        text_copy(hops.source, sizeof hops.source, live_source_name[live_used(w->live)]);
        if (w->failed) {
            if (err)
                *err = w->failure;
            r = w->failed;
        }
    } else {
        /* Points end one after the other: from here on none sees anything new. */
        live_stop(w->live);
        /* Nothing of ours is at the interfaces when the answer is heard of. */
        r = live_detach(w->live, err);
        if (r == 0)
            r = live_hops(w->live, &hops, err);
    }
    live_stamp(live_used(w->live), hops.instrument.stamp, sizeof hops.instrument.stamp);
    if (r == 0)
        r = watch_send_hops(w->channel, id, &hops, err);
    hops_done(&hops);
    return r;
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    if (watch->has_thread) {
        live_stop(watch->live);
        pthread_join(watch->thread, NULL);
    }
    live_close(watch->live);
    free(watch->seen);
    free(watch->blob);
    free(watch);
}

int watch_calibrate(struct channel *channel, uint32_t id, enum live_source source,
                    unsigned n_points, struct err *err)
{
    struct hops hops = {0};
    int r = live_calibrate(source, n_points, &hops.instrument, err);

    return r < 0 ? r : watch_send_hops(channel, id, &hops, err);
}
