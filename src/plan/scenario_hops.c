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

static int way_find(const struct scenario_hops *h, const struct measure_path *path,
                    const struct measure_ask *ask, struct hop_path *found, struct err *err)
{
    int r;

    *found = (struct hop_path){.peer = path->client,
                               .n_places = h->n_places,
                               .from = h->from,
                               .to = path->address,
                               .nat_to = h->nat_to};
    memcpy(found->places, h->places, h->n_places * sizeof *h->places);
    r = hop_path_find(path->set, found, err);
    if (r == -EAGAIN) {
        /* Somebody on the way has not been heard of for a while. */
        r = way_requests(path, ask, err);
        if (r == 0)
            r = hop_path_find(path->set, found, err);
    }
    if (r == 0 && !found->arrived)
        r = err_set(err, EHOSTUNREACH, "the way to %s is lost: %s", path->address, found->text);
    return r;
}

static int way_watch(const struct scenario_hops *h, const struct measure_path *path,
                     const struct measure_ask *ask, const struct hop_path *found,
                     struct hops *ret_hops, struct err *err)
{
    AUTO(free_p) struct hop_place *place = calloc(1, sizeof *place);
    struct hop_watch watch;
    struct err closing = {0};
    int r, closed;

    if (!place)
        return err_set(err, ENOMEM, "memory for points");
    place->peer = path->client;
    place->options.nat = h->nat_to[0] != 0;
    place->options.protocol = way_protocol(ask->spec.kind, path->address);
    place->options.n_points = found->n_points;
    for (unsigned i = 0; i < found->n_points; i++) {
        place->options.points[i] = found->points[i];
        place->point[i] = (uint8_t)i;
    }
    r = hop_watch_open(&watch, path->set, place, 1, true, h->sink, err);
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
    AUTO(free_p) struct hop_path *found = calloc(1, sizeof *found);
    struct hops *seen = calloc(1, sizeof *seen);
    char left_out[256] = "";
    int r = found && seen ? way_find(hops, path, ask, found, err)
                          : err_set(err, ENOMEM, "memory for hops");

    if (r == 0 && found && seen) {
        hop_path_thin(found, LIVE_MAX_KERNEL_POINTS, left_out, sizeof left_out);
        r = way_watch(hops, path, ask, found, seen, err);
        hop_path_say(seen, left_out);
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
