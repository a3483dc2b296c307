/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/live.h"

#include "base/auto.h"
#include "base/text.h"
#include "capture/bpf_filter.h"
#include "capture/live_netns.h"
#include "capture/live_parts.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Which interface a point is, as long as it is there. */
struct live_place {
    uint64_t netns_inode;
    uint32_t ifindex; /* 0 none */
};

struct live {
    struct live_options options;
    struct live_place places[HOP_MAX_POINTS];
    enum live_source used;
    char why[480];
    struct live_bpf *bpf;   /* owned; NULL for rings */
    struct live_ring *ring; /* owned; NULL for programs */
};

static int live_open_one(struct live *live, const struct live_options *options,
                         enum live_source source, struct err *err)
{
    int r = source == LIVE_AF_PACKET ? live_ring_open(options, true, &live->ring, err)
                                     : live_bpf_open(options, source, &live->bpf, err);

    if (r >= 0)
        live->used = source;
    return r;
}

/* The user's own mistake is the same with every source. */
static bool live_hopeless(int r) { return r == -ENODEV || r == -ENOENT || r == -ENOMEM; }

static int live_open_best(struct live *live, const struct live_options *options, struct err *err)
{
    char last[sizeof err->text] = "";
    int r = -EOPNOTSUPP;

    for (unsigned source = LIVE_TCX; source < LIVE_SOURCE_COUNT; source++) {
        struct err why = {0};

        r = live_open_one(live, options, (enum live_source)source, &why);
        if (r >= 0)
            return r;
        if (live_hopeless(r) || source == LIVE_AF_PACKET) {
            if (err)
                *err = why;
            return r;
        }
        /* Once what is the same of both. */
        if (last[0] && strcmp(last, why.text) == 0)
            snprintf(live->why, sizeof live->why, "no tcx and no clsact: %s", last);
        else
            text_add(live->why, sizeof live->why, "%sno %s: %s", live->why[0] ? "; " : "",
                     live_source_name[source], why.text);
        text_copy(last, sizeof last, why.text);
    }
    return r;
}

/* ---- interfaces that go away ---- */

struct live_look {
    const char *ifname;
    unsigned ifindex; /* that it had; 0 not known yet */
    struct live_netns_link link;
};

/* By name, and later by its number: it may be called otherwise then. */
static int live_find(void *arg, struct err *err)
{
    struct live_look *look = arg;
    char name[IF_NAMESIZE];

    if (look->ifindex && if_indextoname(look->ifindex, name)) {
        look->link.ifindex = (int)look->ifindex;
        return 0;
    }
    return look->ifindex ? -ENODEV : live_netns_find(look->ifname, &look->link, err);
}

static struct live_place live_look(const struct live_point *point, int ifindex)
{
    AUTO(close_p) int ns = live_netns_open(point->netns, NULL);
    struct live_look look = {.ifname = point->ifname, .ifindex = (unsigned)ifindex};
    struct live_place place = {0};
    struct stat st;

    if (ns < 0 || fstat(ns, &st) < 0 || live_netns_do(ns, live_find, &look, NULL) < 0)
        return place;
    place.netns_inode = st.st_ino;
    place.ifindex = look.link.ifindex;
    return place;
}

void live_mark_vanished(const struct live *live, struct hops *hops)
{
    for (unsigned p = 0; p < live->options.n_points && p < hops->n_points; p++) {
        struct live_place now = live_look(&live->options.points[p], live->places[p].ifindex);

        if (!live->places[p].ifindex)
            continue;
        if (now.ifindex == live->places[p].ifindex &&
            now.netns_inode == live->places[p].netns_inode)
            continue;
        hops->points[p].vanished = true;
        text_add(hops->warning, sizeof hops->warning,
                 "%sinterface %s of %s has vanished: nothing was seen there from then on, and "
                 "losses next to it are at most what is said",
                 hops->warning[0] ? "; " : "", live->options.points[p].ifname,
                 live->options.points[p].name);
    }
    for (uint32_t i = 0; i < hops->n_hops; i++)
        hops->hops[i].lost_is_bound |=
            hops->points[hops->hops[i].from].vanished || hops->points[hops->hops[i].to].vanished;
}

/* ---- open, close ---- */

int live_open(const struct live_options *options, struct live **ret_live, struct err *err)
{
    struct live *live;
    int r;

    if (options->n_points < 1 || options->n_points > HOP_MAX_POINTS)
        return err_say(err, "%u points; 1 to %d may be watched", options->n_points, HOP_MAX_POINTS);
    if (options->keys_only && (options->source == LIVE_TCX || options->source == LIVE_CLSACT))
        return err_say(err, "%s pairs in the kernel and gives no keys",
                       live_source_name[options->source]);
    if (options->n_filter > 0) {
        r = bpf_filter_check(options->filter, options->n_filter, err);
        if (r < 0)
            return err_wrap(err, r, "filter");
    }
    live = calloc(1, sizeof *live);
    if (!live)
        return err_set(err, ENOMEM, "points");
    live->options = *options;
    for (unsigned p = 0; p < options->n_points; p++)
        live->places[p] = live_look(&options->points[p], 0);
    if (options->keys_only) {
        snprintf(live->why, sizeof live->why,
                 "points of several machines are paired where their keys come together");
        r = live_open_one(live, options, LIVE_AF_PACKET, err);
    } else if (options->source == LIVE_AUTO) {
        r = live_open_best(live, options, err);
    } else {
        r = live_open_one(live, options, options->source, err);
    }
    if (r < 0) {
        live_close(live);
        return r;
    }
    *ret_live = live;
    return 0;
}

int live_detach(struct live *live, struct err *err)
{
    if (live->bpf)
        return live_bpf_detach(live->bpf, err);
    return 0;
}

void live_close(struct live *live)
{
    if (!live)
        return;
    live_bpf_close(live->bpf);
    live_ring_close(live->ring);
    free(live);
}

enum live_source live_used(const struct live *live) { return live->used; }

const char *live_why(const struct live *live) { return live->why; }

int live_hops(struct live *live, struct hops *ret_hops, struct err *err)
{
    int r;

    if (!live->bpf)
        return err_set(err, EOPNOTSUPP, "af_packet gives keys, not hops");
    r = live_bpf_hops(live->bpf, ret_hops, err);
    if (r == 0)
        live_mark_vanished(live, ret_hops);
    return r;
}

int live_read(struct live *live, uint64_t timeout_ns, unsigned *ret_point, struct seen *ret_seen,
              unsigned n, uint64_t *ret_heard_ns, struct err *err)
{
    if (!live->ring)
        return err_set(err, EOPNOTSUPP, "programs in the kernel give hops, not keys");
    return live_ring_read(live->ring, timeout_ns, ret_point, ret_seen, n, ret_heard_ns, err);
}

int live_flow(struct live *live, uint32_t *ret_flow, struct seen_flow *ret_words)
{
    return live->ring ? live_ring_flow(live->ring, ret_flow, ret_words) : 0;
}

void live_stop(struct live *live)
{
    if (live->ring)
        live_ring_stop(live->ring);
    else
        live_bpf_stop(live->bpf, NULL);
}

void live_points(const struct live *live, struct hop_point ret_points[])
{
    if (live->ring)
        live_ring_points(live->ring, ret_points);
    else
        live_bpf_points(live->bpf, ret_points);
}
