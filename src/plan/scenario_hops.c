/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/scenario_hops.h"
#include "base/auto.h"
#include "base/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static uint8_t way_protocol(enum flow_kind kind, const char *address)
{
    if (kind == FLOW_ICMP_ECHO)
        return strchr(address, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    return kind == FLOW_UDP_RR ? IPPROTO_UDP : IPPROTO_TCP;
}

/* The requests; that they went through is all that is wanted of them. */
static int way_requests(const struct measure_path *path, const struct measure_ask *ask,
                        struct err *err)
{
    struct scenario_result scratch = {0};
    int r = measure(path, ask, NULL, &scratch, err);

    scenario_result_done(&scratch);
    return r;
}

/* Somebody on the way may not have been heard of for a while: some requests, and once more. */
static int way_walk(const struct measure_path *path, const struct measure_ask *ask,
                    struct hop_path *found, struct err *err)
{
    int r = hop_path_find(path->set, found, err);

    if (r != -EAGAIN)
        return r;
    r = way_requests(path, ask, err);
    return r == 0 ? hop_path_find(path->set, found, err) : r;
}

static int way_find(const struct scenario_hops *h, const struct measure_path *path,
                    const struct measure_ask *ask, struct hop_path *found, struct err *err)
{
    int r;

    *found = (struct hop_path){.peer = path->client,
                               .n_places = h->n_places,
                               .from = h->from,
                               .to = path->address,
                               .nat_to = h->far ? "" : h->nat_to};
    memcpy(found->places, h->places, h->n_places * sizeof *h->places);
    r = way_walk(path, ask, found, err);
    if (r == 0 && !found->arrived && !h->far)
        r = err_set(err, EHOSTUNREACH, "the way to %s is lost: %s", path->address, found->text);
    return r;
}

/* From the far end back; that routes are the same both ways is taken for granted where nobody can look. */
static int way_find_back(const struct scenario_hops *h, const struct measure_path *path,
                         const struct measure_ask *ask, struct hop_path *found, struct err *err)
{
    int r;

    if (!h->back_to[0])
        return err_set(err, EHOSTUNREACH, "the way back from %s: who sends tells no address",
                       h->far->name);
    *found = (struct hop_path){.peer = h->far, .n_places = 1, .to = h->back_to, .nat_to = ""};
    found->places[0] = h->far_place;
    r = way_walk(path, ask, found, err);
    return r < 0 ? err_wrap(err, r, "the way back from %s", h->far->name) : r;
}

static void way_place(const struct scenario_hops *h, const struct measure_path *path,
                      const struct measure_ask *ask, const struct hop_path *found, bool backward,
                      unsigned first, struct hop_place *place)
{
    place->peer = found->peer;
    place->options.nat = h->nat_to[0] != 0;
    place->options.protocol = way_protocol(ask->spec.kind, path->address);
    place->options.n_points = found->n_points;
    for (unsigned i = 0; i < found->n_points; i++) {
        place->options.points[i] = found->points[backward ? found->n_points - 1 - i : i];
        place->point[i] = (uint8_t)(first + i);
    }
}

/* n_ways is 1, or 2 with the second one backward. */
static int way_watch(const struct scenario_hops *h, const struct measure_path *path,
                     const struct measure_ask *ask, const struct hop_path ways[], unsigned n_ways,
                     struct hops *ret_hops, struct err *err)
{
    AUTO(free_p) struct hop_place *places = calloc(n_ways, sizeof *places);
    struct hop_watch watch;
    struct err closing = {0};
    unsigned first = 0;
    int r, closed;

    if (!places)
        return err_set(err, ENOMEM, "memory for points");
    for (unsigned i = 0; i < n_ways; i++) {
        way_place(h, path, ask, &ways[i], i > 0, first, &places[i]);
        first += ways[i].n_points;
    }
    r = hop_watch_open(&watch, path->set, places, n_ways, true, h->sink, err);
    if (r == 0)
        r = way_requests(path, ask, err);
    closed = hop_watch_close(&watch, ret_hops, &closing);
    if (r == 0 && closed < 0 && err)
        *err = closing;
    return r < 0 ? r : closed;
}

int scenario_hops_measure(const struct scenario_hops *hops, const struct measure_path *path,
                          const struct measure_ask *ask, struct scenario_result *scenario,
                          struct err *err)
{
    unsigned n_ways = hops->far ? 2 : 1;
    AUTO(free_p) struct hop_path *ways = calloc(2, sizeof *ways);
    struct hops *seen = calloc(1, sizeof *seen);
    char left_out[2][256] = {"", ""};
    int r = ways && seen ? way_find(hops, path, ask, &ways[0], err)
                         : err_set(err, ENOMEM, "memory for hops");

    if (r == 0 && ways && n_ways == 2)
        r = way_find_back(hops, path, ask, &ways[1], err);
    if (r == 0 && ways && seen) {
        for (unsigned i = 0; i < n_ways; i++)
            hop_path_thin(&ways[i], n_ways == 1 ? LIVE_MAX_KERNEL_POINTS : HOP_MAX_POINTS / 2,
                          left_out[i], sizeof left_out[i]);
        r = way_watch(hops, path, ask, ways, n_ways, seen, err);
        for (unsigned i = 0; i < n_ways; i++)
            hop_path_say(seen, left_out[i]);
    }
    if (seen && seen->n_points) {
        hops_done(scenario->hops);
        free(scenario->hops);
        scenario->hops = TAKE(seen);
    }
    hops_done(seen);
    free(seen);
    return r < 0 ? err_wrap(err, r, "hops") : 0;
}
