/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/clock.h"
#include "base/text.h"
#include "traffic/endpoint.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Both sides of a session, each in a thread of the test, over loopback on a port of the kernel's choice. */
struct pair_side {
    struct flow_spec spec;
    struct flow_trial trial;
    struct engine *engine; /* owned */
    int stop_fd;           /* owned; eventfd */
    struct flow_result result[FLOW_PART_COUNT];
    bool has[FLOW_PART_COUNT];
    engine_interval_fn *on_interval;
    void *arg;
    int r;
    struct err err;
    pthread_t thread;
};

struct pair {
    struct pair_side client, server;
};

static inline void *pair_accept_main(void *arg)
{
    struct pair_side *side = arg;

    side->r = engine_accept(side->engine, &side->err);
    return NULL;
}

static inline void *pair_run_main(void *arg)
{
    struct pair_side *side = arg;

    side->r = engine_run(side->engine, &side->trial, side->on_interval, side->arg, side->result,
                         side->has, &side->err);
    return NULL;
}

static inline struct flow_spec pair_spec(enum flow_kind kind, const char *address,
                                         enum flow_direction direction, uint32_t n_flows,
                                         uint32_t payload_bytes)
{
    struct flow_spec spec = {
        .kind = kind,
        .direction = direction,
        .n_flows = n_flows,
        .payload_bytes = payload_bytes,
        .connect_ns = 10 * (uint64_t)CLOCK_S,
        .token = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    };

    text_copy(spec.address, sizeof spec.address, address);
    return spec;
}

/* The server listens; nobody has come yet. */
static inline void pair_listen(struct pair *pair, struct flow_spec spec)
{
    *pair = (struct pair){0};
    spec.role = FLOW_SERVER;
    pair->server.spec = spec;
    pair->server.stop_fd = eventfd(0, EFD_CLOEXEC);
    pair->client.stop_fd = eventfd(0, EFD_CLOEXEC);
    if (engine_open(&pair->server.spec, pair->server.stop_fd, &pair->server.engine,
                    &pair->server.err) < 0)
        fail_msg("%s", pair->server.err.text);
    assert_true(engine_port(pair->server.engine) > 0);
    pair->client.spec = spec;
    pair->client.spec.role = FLOW_CLIENT;
    pair->client.spec.port = engine_port(pair->server.engine);
}

static inline void pair_accept_begin(struct pair *pair)
{
    assert_int_equal(0,
                     pthread_create(&pair->server.thread, NULL, pair_accept_main, &pair->server));
}

static inline void pair_connect(struct pair *pair)
{
    struct pair_side *c = &pair->client;

    if (engine_open(&c->spec, c->stop_fd, &c->engine, &c->err) < 0)
        fail_msg("%s", c->err.text);
    pthread_join(pair->server.thread, NULL);
    if (pair->server.r < 0)
        fail_msg("%s", pair->server.err.text);
}

static inline void pair_open(struct pair *pair, struct flow_spec spec)
{
    pair_listen(pair, spec);
    pair_accept_begin(pair);
    pair_connect(pair);
}

static inline void pair_forget(struct pair_side *side)
{
    for (int part = 0; part < FLOW_FAR_SENT; part++) {
        if (side->has[part])
            flow_result_done(&side->result[part]);
        side->has[part] = false;
    }
}

static inline void pair_close(struct pair *pair)
{
    pair_forget(&pair->client);
    pair_forget(&pair->server);
    engine_close(pair->client.engine);
    engine_close(pair->server.engine);
    close(pair->client.stop_fd);
    close(pair->server.stop_fd);
}

static inline void pair_run_begin(struct pair_side *side, const struct flow_trial *trial)
{
    pair_forget(side);
    side->trial = *trial;
    side->trial.start_ns = clock_mono_ns() + 10 * CLOCK_MS;
    side->err = (struct err){0};
    assert_int_equal(0, pthread_create(&side->thread, NULL, pair_run_main, side));
}

static inline void pair_join(struct pair_side *side) { pthread_join(side->thread, NULL); }

static inline void pair_run_both(struct pair *pair, const struct flow_trial *trial)
{
    pair_run_begin(&pair->server, trial);
    pair_run_begin(&pair->client, trial);
    pair_join(&pair->client);
    pair_join(&pair->server);
}

static inline void pair_check(const struct pair *pair)
{
    if (pair->client.r < 0)
        fail_msg("client: %s", pair->client.err.text);
    if (pair->server.r < 0)
        fail_msg("server: %s", pair->server.err.text);
}

/* A trial that has to go well. */
static inline void pair_run_once(struct pair *pair, const struct flow_trial *trial)
{
    pair_run_both(pair, trial);
    pair_check(pair);
}

/* Has every part of this side counted something; in each of its intervals? */
static inline bool pair_has_counted(const struct pair_side *side, bool in_each)
{
    for (int part = 0; part < FLOW_FAR_SENT; part++) {
        const struct flow_result *result = &side->result[part];

        if (!side->has[part])
            continue;
        if (metric_get(&result->metrics, METRIC_bytes) == 0 &&
            metric_get(&result->metrics, METRIC_packets) == 0)
            return false;
        for (uint32_t i = 0; in_each && i < result->n_intervals; i++)
            if (result->intervals[i].bytes == 0)
                return false;
    }
    return true;
}

/*
 * An answering server is done 100 ms after its window; a client that gets its CPU later than that asks nobody. What it
 * asked waits in the connection: both sides anew.
 */
static inline bool pair_missed(struct pair *pair)
{
    struct pair was = *pair;

    if (pair->client.r != -ETIMEDOUT || pair->server.r < 0 ||
        pair->client.spec.kind == FLOW_TCP_STREAM)
        return false;
    pair_close(pair);
    pair_listen(pair, was.server.spec);
    text_copy(pair->client.spec.address, sizeof pair->client.spec.address, was.client.spec.address);
    pair_accept_begin(pair);
    pair_connect(pair);
    pair->client.on_interval = was.client.on_interval;
    pair->client.arg = was.client.arg;
    return true;
}

/*
 * The window is cut by the clock, and on a busy machine, the more so under a sanitizer, our threads may be ready to move
 * data only when it is over. That is nothing to look at, so the trial is done once more, twice as long, until both sides
 * have counted, and so many bytes have been received. Who does not come to that in 20 s does not work. The trial that was
 * done is in pair->client.trial.
 */
enum { PAIR_LONGEST_S = 20, PAIR_MISSES = 8 };

static inline void pair_run_until(struct pair *pair, const struct flow_trial *trial, bool in_each,
                                  uint64_t bytes)
{
    struct flow_trial t = *trial;
    int misses = 0;

    for (;;) {
        pair_run_both(pair, &t);
        if (++misses > PAIR_MISSES || !pair_missed(pair)) {
            pair_check(pair);
            if (t.count || (pair_has_counted(&pair->client, in_each) &&
                            pair_has_counted(&pair->server, in_each) &&
                            (bytes == 0 || metric_get(&pair->server.result[FLOW_RECEIVED].metrics,
                                                      METRIC_bytes) > bytes)))
                return;
        }
        if (t.duration_ns > PAIR_LONGEST_S * (uint64_t)CLOCK_S && t.count == 0)
            fail_msg("not enough was counted in %u ms", (unsigned)(t.duration_ns / CLOCK_MS));
        t.duration_ns *= t.count ? 1 : 2;
        t.interval_ns *= t.count ? 1 : 2;
        t.number += 1000; /* what is on its way still is no part of the next one */
    }
}

static inline void pair_run(struct pair *pair, const struct flow_trial *trial)
{
    pair_run_until(pair, trial, false, 0);
}

static inline void pair_stop(struct pair_side *side)
{
    assert_int_equal(0, eventfd_write(side->stop_fd, 1));
}

/* Of one pair only the client begins a trial, of the other only the server: each says after 3 s that nothing comes. */
static inline void pair_check_silence(struct flow_spec asking_spec, const char *asking_says,
                                      struct flow_spec answering_spec, const char *answering_says)
{
    const struct flow_trial hour = {.number = 1, .duration_ns = 3600 * (uint64_t)CLOCK_S};
    struct pair asking, answering;

    pair_open(&asking, asking_spec);
    pair_open(&answering, answering_spec);
    pair_run_begin(&asking.client, &hour);
    pair_run_begin(&answering.server, &hour);
    pair_join(&asking.client);
    assert_int_equal(-ETIMEDOUT, asking.client.r);
    assert_non_null(strstr(asking.client.err.text, asking_says));
    pair_join(&answering.server);
    assert_int_equal(-ETIMEDOUT, answering.server.r);
    assert_non_null(strstr(answering.server.err.text, answering_says));
    pair_close(&asking);
    pair_close(&answering);
}

static inline uint64_t pair_count(const struct pair_side *side, enum flow_part part, enum metric m)
{
    assert_true(side->has[part]);
    assert_true(side->result[part].metrics.has[m]);
    return metric_get(&side->result[part].metrics, m);
}

static inline bool pair_has(const struct pair_side *side, enum flow_part part, enum metric m)
{
    return side->has[part] && side->result[part].metrics.has[m];
}

/* Round trips counted one by one; 0 where none were asked for. */
static inline uint64_t pair_rtt_count(const struct pair_side *side, enum flow_part part)
{
    const struct hist *rtt = side->result[part].rtt;

    return rtt ? rtt->count : 0;
}

/* A stream keeps to a rate over any stretch of time, but for what may be caught up (20 ms) and one write a flow. */
static inline void pair_run_paced(struct pair *pair, struct flow_trial trial, uint64_t rate_bps,
                                  bool in_each)
{
    uint64_t most;

    trial.rate_bps = rate_bps;
    pair_run_until(pair, &trial, in_each, 0);
    most = rate_bps / 8 * (pair->client.trial.duration_ns / CLOCK_MS + 20) / 1000 +
           pair->client.spec.n_flows * (uint64_t)10000;
    assert_in_range(pair_count(&pair->client, FLOW_SENT, METRIC_bytes), 1, most);
}
