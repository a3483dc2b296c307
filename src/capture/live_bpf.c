/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/live_parts.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "capture/bpf_filter.h"
#include "capture/bpf_load.h"
#include "capture/bpf_sys.h"
#include "capture/bpf_tc.h"
#include "capture/live_netns.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    DEFAULT_WINDOW_MS = 100,
    TRIAL_MS = 20,      /* the trial of keys is looked at so often */
    TRIAL_MATCHES = 64, /* and decided by so many pairs */
    MAX_SETS = 2
};

/* One program at one hook. */
struct attachment {
    unsigned set, point;
    int link; /* tcx; -1 clsact, or none */
    bool has_tc;
    struct bpf_tc tc;
};

struct live_bpf {
    struct live_options options;
    enum live_source source;
    bool spots[LATENCY_MAX_POINTS][2];
    struct live_netns_link links[LATENCY_MAX_POINTS];
    uint64_t netns_inode[LATENCY_MAX_POINTS];
    uint64_t *filter; /* owned */
    size_t n_filter;
    /* With NAT by trial both keys are tried at once, each with tables of its own, until one is known to be wrong. */
    struct bpf_load sets[MAX_SETS];
    bool nat[MAX_SETS];
    unsigned n_sets;
    struct attachment at[MAX_SETS * LATENCY_MAX_POINTS * 2];
    unsigned n_at;
    uint64_t start_ns, early_until_ns;
    pthread_t trial;
    bool has_trial;
    bool trial_ended;     /* under lock */
    pthread_mutex_t lock; /* of sets and attachments while the trial runs */
    pthread_cond_t ended;
};

static uint64_t window_of(const struct live_options *o)
{
    uint64_t ns = o->window_ns ? o->window_ns : (uint64_t)DEFAULT_WINDOW_MS * CLOCK_MS;

    return ns < LATENCY_MAX_WINDOW_NS ? ns : LATENCY_MAX_WINDOW_NS;
}

/* ---- attach ---- */

struct work {
    struct live_bpf *b;
    unsigned point;
};

static int find_link(void *arg, struct err *err)
{
    struct work *w = arg;
    const struct live_point *p = &w->b->options.points[w->point];
    int r = live_netns_find(p->ifname, &w->b->links[w->point], err);

    return r < 0 ? r : 0;
}

static int attach_one(struct live_bpf *b, unsigned set, unsigned point, unsigned hook,
                      struct err *err)
{
    struct attachment *at = &b->at[b->n_at];
    int program = b->sets[set].programs[point][hook], r;

    *at = (struct attachment){.set = set, .point = point, .link = -1};
    if (b->source == LIVE_CLSACT) {
        r = bpf_tc_attach(b->links[point].ifindex, hook == LATENCY_EGRESS, program, &at->tc, err);
        at->has_tc = r >= 0;
    } else {
        r = bpf_sys_link(program, b->links[point].ifindex,
                         hook == LATENCY_EGRESS ? BPF_SYS_TCX_EGRESS : BPF_SYS_TCX_INGRESS);
        at->link = r;
        if (r == -EINVAL || r == -EBADF || r == -E2BIG)
            r = err_set(err, EOPNOTSUPP, "this kernel has no tcx (Linux 6.6 has)");
        else if (r < 0)
            r = err_set(err, r,
                        r == -EPERM ? "a tcx link: that needs CAP_NET_ADMIN" : "a tcx link");
    }
    if (r < 0)
        return r;
    b->n_at++;
    return 0;
}

static int attach_point(void *arg, struct err *err)
{
    struct work *w = arg;
    struct live_bpf *b = w->b;
    int r = 0;

    for (unsigned set = 0; r >= 0 && set < b->n_sets; set++)
        for (unsigned hook = 0; r >= 0 && hook < 2; hook++)
            if (b->spots[w->point][hook])
                r = attach_one(b, set, w->point, hook, err);
    return r;
}

/* In the point's namespace, which is left again at once: it is not kept from being deleted. */
static int at_point(struct live_bpf *b, unsigned point, int (*fn)(void *arg, struct err *err),
                    struct err *err)
{
    const struct live_point *p = &b->options.points[point];
    AUTO(close_p) int ns = live_netns_open(p->netns, err);
    struct work work = {.b = b, .point = point};
    struct stat st;
    int r = ns;

    if (r >= 0 && fstat(ns, &st) == 0) {
        if (b->netns_inode[point] == 0)
            b->netns_inode[point] = st.st_ino;
        else if (b->netns_inode[point] != st.st_ino)
            r = err_set(err, ENOENT, "its namespace is another one by now");
    }
    if (r >= 0)
        r = live_netns_do(ns, fn, &work, err);
    return r < 0 ? err_wrap(err, r, "point %s", p->name) : 0;
}

static int detach_tcs(struct live_bpf *b, unsigned set, unsigned point, struct err *err);

struct detach {
    struct live_bpf *b;
    unsigned set, point;
};

static int detach_in_netns(void *arg, struct err *err)
{
    struct detach *d = arg;

    return detach_tcs(d->b, d->set, d->point, err);
}

/* The qdisc that we made stays while another program of ours hangs on it: that one takes it away then. */
static void hand_on_qdisc(struct live_bpf *b, struct attachment *at)
{
    for (unsigned i = 0; at->tc.made_qdisc && i < b->n_at; i++) {
        struct attachment *other = &b->at[i];

        if (other == at || !other->has_tc || other->tc.ifindex != at->tc.ifindex ||
            b->netns_inode[other->point] != b->netns_inode[at->point])
            continue;
        other->tc.made_qdisc = true;
        at->tc.made_qdisc = false;
    }
}

static int detach_tcs(struct live_bpf *b, unsigned set, unsigned point, struct err *err)
{
    int r = 0;

    for (unsigned i = b->n_at; i > 0; i--) {
        struct attachment *at = &b->at[i - 1];
        int one;

        if (!at->has_tc || at->point != point || (set < MAX_SETS && at->set != set))
            continue;
        hand_on_qdisc(b, at);
        one = bpf_tc_detach(&at->tc, r < 0 ? NULL : err);
        at->has_tc = false;
        if (one < 0 && r >= 0)
            r = err_wrap(err, one, "filter '%s' of %s", "vnperf", b->options.points[point].ifname);
    }
    return r;
}

/* One set, or MAX_SETS all. */
static int detach_set(struct live_bpf *b, unsigned set, struct err *err)
{
    int r = 0;

    for (unsigned i = 0; i < b->n_at; i++) {
        struct attachment *at = &b->at[i];

        if (set < MAX_SETS && at->set != set)
            continue;
        close_p(&at->link);
        at->link = -1;
    }
    for (unsigned p = 0; p < b->options.n_points && b->source == LIVE_CLSACT; p++) {
        AUTO(close_p) int ns = live_netns_open(b->options.points[p].netns, NULL);
        struct detach d = {.b = b, .set = set, .point = p};
        struct stat st;
        int one;

        /* A namespace that is gone took its filters along. */
        if (ns < 0 || fstat(ns, &st) < 0 || st.st_ino != b->netns_inode[p])
            continue;
        one = live_netns_do(ns, detach_in_netns, &d, r < 0 ? NULL : err);
        if (one < 0 && r >= 0)
            r = err_wrap(err, one, "point %s", b->options.points[p].name);
    }
    return r;
}

/* ---- which key: by trial ---- */

static uint64_t set_matches(const struct bpf_load *set)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 2 * set->n_points; i++) {
        struct latency_spot s;

        if (bpf_load_spot(set, i, &s) >= 0 && s.seen > s.first)
            n += s.seen - s.first -
                 (s.duplicated + s.returned + s.cut < s.seen - s.first
                      ? s.duplicated + s.returned + s.cut
                      : s.seen - s.first);
    }
    return n;
}

static void drop_set(struct live_bpf *b, unsigned loser)
{
    detach_set(b, loser, NULL);
    bpf_load_done(&b->sets[loser]);
    if (loser == 0) {
        b->sets[0] = b->sets[1];
        b->sets[1] = (struct bpf_load){0};
        b->nat[0] = b->nat[1];
    }
    for (unsigned i = 0; i < b->n_at; i++)
        b->at[i].set = 0;
    b->n_sets = 1;
}

/*
 * Addresses and ports in the key unless a sixteenth more is found without: of 8 points with one translation between, that is a
 * sixth. Packets pass while it is read, so that what is read later is more.
 */
static bool decide(struct live_bpf *b, bool at_last)
{
    uint64_t nat, plain, nat_later;
    bool more;

    if (b->n_sets < 2)
        return true;
    nat = set_matches(&b->sets[1]);
    plain = set_matches(&b->sets[0]);
    nat_later = set_matches(&b->sets[1]);
    if (!at_last && plain < TRIAL_MATCHES && nat < TRIAL_MATCHES)
        return false;
    more = nat > plain + plain / 16;
    if (!at_last && !more && nat_later > plain + plain / 16)
        return false;
    drop_set(b, more ? 0 : 1);
    return true;
}

static void *trial_run(void *arg)
{
    struct live_bpf *b = arg;

    pthread_mutex_lock(&b->lock);
    while (!b->trial_ended && !decide(b, false)) {
        uint64_t until_ns = clock_wall_ns() + (uint64_t)TRIAL_MS * CLOCK_MS;
        struct timespec until = {.tv_sec = (time_t)(until_ns / CLOCK_S),
                                 .tv_nsec = (long)(until_ns % CLOCK_S)};

        pthread_cond_timedwait(&b->ended, &b->lock, &until);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static void trial_end(struct live_bpf *b)
{
    if (!b->has_trial)
        return;
    pthread_mutex_lock(&b->lock);
    b->trial_ended = true;
    pthread_cond_signal(&b->ended);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->trial, NULL);
    b->has_trial = false;
}

/* ---- open, close ---- */

static int translate(struct live_bpf *b, struct err *err)
{
    const struct live_options *o = &b->options;
    int r;

    if (o->n_filter == 0)
        return 0;
    for (unsigned p = 0; p < o->n_points; p++)
        if (!b->links[p].ethernet)
            return err_set(err, EINVAL,
                           "point %s: a filter is for Ethernet, and %s has no Ethernet header",
                           o->points[p].name, o->points[p].ifname);
    b->filter = calloc(BPF_FILTER_ROOM(o->n_filter), sizeof *b->filter);
    if (!b->filter)
        return err_set(err, ENOMEM, "filter");
    r = bpf_filter_translate(o->filter, o->n_filter, b->filter, BPF_FILTER_ROOM(o->n_filter), err);
    if (r < 0)
        return err_wrap(err, r, "filter");
    b->n_filter = (size_t)r;
    return 0;
}

static int load_sets(struct live_bpf *b, struct err *err)
{
    struct bpf_load_options load = {.n_points = b->options.n_points,
                                    .protocol = b->options.protocol,
                                    .port = b->options.port,
                                    .window_ns = window_of(&b->options),
                                    .filter = b->filter,
                                    .n_filter = b->n_filter};
    int r = 0;

    memcpy(load.spots, b->spots, sizeof load.spots);
    for (unsigned p = 0; p < b->options.n_points; p++)
        load.raw[p] = !b->links[p].ethernet;
    b->nat[0] = b->options.nat == 1;
    b->nat[1] = true;
    for (unsigned set = 0; r >= 0 && set < (b->options.nat < 0 ? 2 : 1); set++) {
        load.nat = b->nat[set];
        r = bpf_load(&load, &b->sets[set], err);
        if (r >= 0)
            b->n_sets++;
    }
    return r;
}

static int start(struct live_bpf *b, bool settle, struct err *err)
{
    uint64_t attached_ns = clock_mono_ns();
    int r = 0;

    /* So long that what is on its way has passed a point that watches already. */
    if (settle)
        clock_sleep_until(attached_ns + (uint64_t)DEFAULT_WINDOW_MS * CLOCK_MS);
    b->start_ns = clock_mono_ns();
    b->early_until_ns = attached_ns + window_of(&b->options);
    for (unsigned set = 0; r >= 0 && set < b->n_sets; set++)
        r = bpf_load_span(&b->sets[set], b->start_ns, UINT64_MAX, b->early_until_ns, err);
    if (r < 0 || b->n_sets < 2)
        return r;
    r = pthread_create(&b->trial, NULL, trial_run, b);
    b->has_trial = r == 0;
    return r ? err_set(err, r, "a thread for the trial of keys") : 0;
}

static int open_spots(const struct live_options *options, enum live_source source, bool (*spots)[2],
                      bool settle, struct live_bpf **ret_bpf, struct err *err)
{
    struct live_bpf *b;
    int r = 0;

    if (options->n_points > LATENCY_MAX_POINTS)
        return err_set(err, EOPNOTSUPP, "the kernel pairs at most %d points, not %u",
                       LATENCY_MAX_POINTS, options->n_points);
    b = calloc(1, sizeof *b);
    if (!b)
        return err_set(err, ENOMEM, "points");
    b->options = *options;
    b->source = source;
    memcpy(b->spots, spots, sizeof b->spots);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->ended, NULL);
    for (unsigned p = 0; r >= 0 && p < options->n_points; p++)
        r = at_point(b, p, find_link, err);
    if (r >= 0)
        r = translate(b, err);
    if (r >= 0)
        r = load_sets(b, err);
    for (unsigned p = 0; r >= 0 && p < options->n_points; p++)
        r = at_point(b, p, attach_point, err);
    if (r >= 0)
        r = start(b, settle, err);
    if (r < 0) {
        live_bpf_close(b);
        return r;
    }
    *ret_bpf = b;
    return 0;
}

/* Of calibration: there is no traffic yet. */
int live_bpf_open_spots(const struct live_options *options, enum live_source source,
                        bool (*spots)[2], struct live_bpf **ret_bpf, struct err *err)
{
    return open_spots(options, source, spots, false, ret_bpf, err);
}

int live_bpf_open(const struct live_options *options, enum live_source source,
                  struct live_bpf **ret_bpf, struct err *err)
{
    bool spots[LATENCY_MAX_POINTS][2];

    memset(spots, true, sizeof spots);
    return open_spots(options, source, spots, true, ret_bpf, err);
}

int live_bpf_detach(struct live_bpf *b, struct err *err)
{
    trial_end(b);
    return detach_set(b, MAX_SETS, err);
}

void live_bpf_close(struct live_bpf *b)
{
    if (!b)
        return;
    live_bpf_detach(b, NULL);
    for (unsigned set = 0; set < MAX_SETS; set++)
        bpf_load_done(&b->sets[set]);
    pthread_cond_destroy(&b->ended);
    pthread_mutex_destroy(&b->lock);
    free(b->filter);
    free(b);
}

int live_bpf_stop(struct live_bpf *b, struct err *err)
{
    uint64_t now_ns = clock_mono_ns();
    int r = 0;

    pthread_mutex_lock(&b->lock);
    for (unsigned set = 0; r >= 0 && set < b->n_sets; set++)
        r = bpf_load_span(&b->sets[set], b->start_ns, now_ns, b->early_until_ns, err);
    pthread_mutex_unlock(&b->lock);
    return r;
}

/* ---- what was counted ---- */

struct snapshot {
    struct latency_spot spots[2 * LATENCY_MAX_POINTS];
    uint64_t waiting[2 * LATENCY_MAX_POINTS];
    struct latency_pair *pairs; /* owned */
    struct live_counts counts;
};

static void snapshot_done(struct snapshot *s) { free(s->pairs); }

static int snapshot_take(const struct bpf_load *set, struct snapshot *ret)
{
    unsigned n = set->n_points, wholes = n > 2 ? 2 : 1;
    int r = bpf_load_waiting(set, (uint64_t)DEFAULT_WINDOW_MS * CLOCK_MS, ret->waiting);

    ret->pairs = calloc((size_t)n * n * wholes, sizeof *ret->pairs);
    if (!ret->pairs)
        return -ENOMEM;
    for (unsigned i = 0; r >= 0 && i < 2 * n; i++)
        r = bpf_load_spot(set, i, &ret->spots[i]);
    for (unsigned i = 0; r >= 0 && i < n * n * wholes; i++)
        r = bpf_load_pair(set, i, &ret->pairs[i]);
    ret->counts =
        (struct live_counts){.n_points = n,
                             .spots = ret->spots,
                             .pairs = ret->pairs,
                             .wholes = wholes == 2 ? ret->pairs + (size_t)n * n : NULL,
                             .waiting = ret->waiting,
                             .wall_offset_ns = (int64_t)(clock_wall_ns() - clock_mono_ns())};
    return r;
}

static void name_point(const struct live_bpf *b, unsigned p, struct hop_point *ret)
{
    text_copy(ret->name, sizeof ret->name, b->options.points[p].name);
    text_copy(ret->source, sizeof ret->source, live_source_name[b->source]);
}

int live_bpf_hops(struct live_bpf *b, struct hops *ret_hops, struct err *err)
{
    AUTO(snapshot_done) struct snapshot s = {0};
    int r;

    trial_end(b);
    decide(b, true);
    r = snapshot_take(&b->sets[0], &s);
    if (r < 0)
        return err_set(err, r, "reading what the kernel counted");
    r = live_hops_build(&s.counts, ret_hops, err);
    if (r < 0)
        return r;
    for (unsigned p = 0; p < b->options.n_points; p++)
        name_point(b, p, &ret_hops->points[p]);
    ret_hops->nat = b->nat[0];
    ret_hops->window_ns = window_of(&b->options);
    text_copy(ret_hops->source, sizeof ret_hops->source, live_source_name[b->source]);
    return 0;
}

void live_bpf_points(struct live_bpf *b, struct hop_point ret_points[])
{
    AUTO(snapshot_done) struct snapshot s = {0};
    unsigned n = b->options.n_points, best = 0;
    int r = 0;

    pthread_mutex_lock(&b->lock);
    /* While both keys are tried, either set has seen all. */
    for (unsigned i = 0; r >= 0 && i < 2 * n; i++)
        r = bpf_load_spot(&b->sets[best], i, &s.spots[i]);
    s.pairs = calloc((size_t)n * n, sizeof *s.pairs);
    pthread_mutex_unlock(&b->lock);
    s.counts = (struct live_counts){.n_points = n,
                                    .spots = s.spots,
                                    .pairs = s.pairs,
                                    .waiting = s.waiting,
                                    .wall_offset_ns = (int64_t)(clock_wall_ns() - clock_mono_ns())};
    for (unsigned p = 0; p < n; p++) {
        ret_points[p] = (struct hop_point){0};
        name_point(b, p, &ret_points[p]);
        if (r >= 0 && s.pairs)
            live_hops_point(&s.counts, p, &ret_points[p]);
        ret_points[p].unmatched = 0; /* known with the pairs only: live_hops() */
    }
}
