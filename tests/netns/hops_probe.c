/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hops-probe [OPTION…] POINT…: watches points as the agent does and prints what it counted, for hops_live.bats and
 * hops_speed.sh. POINT is [name:NS|pid:N]/IFNAME.
 *
 *   --source NAME    auto, tcx, clsact, af_packet
 *   --nat -1|0|1     --window MS    --protocol N    --port N
 *   --filter TEXT    instructions as `tcpdump -ddd` prints them, commas for line ends
 *   --calibrate      only that
 *   --drop CAPS      without those capabilities first: net_admin, net_raw, bpf, sys_admin, by commas
 *
 * Says "ready SOURCE" when packets count; a line "stop" (or the end of stdin) ends it; "hops" prints and goes on.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "capture/live.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

enum { DRAIN_MS = 150, BATCH = 1024 };

static int fail(const struct err *err)
{
    fprintf(stderr, "hops-probe: %s\n", err->text);
    return 1;
}

static int drop(const char *names)
{
    static const struct {
        const char *name;
        int cap;
    } rows[] = {{"net_admin", 12}, {"net_raw", 13}, {"sys_admin", 21}, {"bpf", 39}};
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strstr(names, rows[i].name)) {
            unsigned bit = 1U << (rows[i].cap % 32);

            data[rows[i].cap / 32].effective &= ~bit;
            data[rows[i].cap / 32].permitted &= ~bit;
            data[rows[i].cap / 32].inheritable &= ~bit;
        }
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int read_filter(const char *text, struct live_options *o)
{
    char *at;
    unsigned n = (unsigned)strtoul(text, &at, 10);

    for (unsigned i = 0; i < n && i < LIVE_MAX_FILTER && *at; i++) {
        unsigned long v[4];

        for (unsigned k = 0; k < 4; k++) {
            at += strspn(at, ", \n");
            v[k] = strtoul(at, &at, 10);
        }
        o->filter[i] =
            (struct live_insn){(uint16_t)v[0], (uint8_t)v[1], (uint8_t)v[2], (uint32_t)v[3]};
        o->n_filter = i + 1;
    }
    return o->n_filter == n ? 0 : -EINVAL;
}

static void read_point(const char *text, struct live_point *p)
{
    const char *slash = strrchr(text, '/');

    snprintf(p->name, sizeof p->name, "%s", text);
    if (slash)
        snprintf(p->netns, sizeof p->netns, "%.*s", (int)(slash - text), text);
    snprintf(p->ifname, sizeof p->ifname, "%s", slash ? slash + 1 : text);
}

static int parse(int argc, char **argv, struct live_options *o, bool *ret_calibrate)
{
    o->nat = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--calibrate") == 0) {
            *ret_calibrate = true;
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            read_point(argv[i], &o->points[o->n_points++]);
            continue;
        }
        if (strcmp(argv[i], "--source") == 0)
            for (unsigned s = 0; s < LIVE_SOURCE_COUNT; s++)
                if (strcmp(value, live_source_name[s]) == 0)
                    o->source = (enum live_source)s;
        if (strcmp(argv[i], "--nat") == 0)
            o->nat = atoi(value);
        if (strcmp(argv[i], "--window") == 0)
            o->window_ns = strtoull(value, NULL, 10) * CLOCK_MS;
        if (strcmp(argv[i], "--protocol") == 0)
            o->protocol = (uint8_t)atoi(value);
        if (strcmp(argv[i], "--port") == 0)
            o->port = (uint16_t)atoi(value);
        if (strcmp(argv[i], "--filter") == 0 && read_filter(value, o) < 0)
            return -EINVAL;
        if (strcmp(argv[i], "--drop") == 0 && drop(value) < 0)
            return -EPERM;
        i++;
    }
    return 0;
}

static void print_hops(const struct hops *h)
{
    for (uint32_t i = 0; i < h->n_hops; i++) {
        const struct hop *hop = &h->hops[i];
        const struct delay *d = &hop->delay;

        printf(
            "hop from=%s to=%s whole=%d matched=%llu lost=%llu bound=%d duplicated=%llu "
            "reordered=%llu "
            "only_later=%llu ambiguous=%llu count=%llu min=%lld p1=%lld p50=%lld p99=%lld max=%lld "
            "mean=%.1f stddev=%.1f\n",
            h->points[hop->from].name, h->points[hop->to].name, hop->whole,
            (unsigned long long)hop->matched, (unsigned long long)hop->lost, hop->lost_is_bound,
            (unsigned long long)hop->duplicated, (unsigned long long)hop->reordered,
            (unsigned long long)hop->only_later, (unsigned long long)hop->ambiguous,
            (unsigned long long)d->count, (long long)d->min, (long long)delay_percentile(d, 0.01),
            (long long)delay_percentile(d, 0.5), (long long)delay_percentile(d, 0.99),
            (long long)d->max, delay_mean(d), delay_stddev(d));
    }
    printf("nat=%d warning=%s\n", h->nat, h->warning);
}

static void print_points(const struct hop_point *points, unsigned n)
{
    for (unsigned p = 0; p < n; p++)
        printf("point name=%s source=%s seen=%llu unparsed=%llu fragments=%llu unmatched=%llu "
               "drops=%llu overflow=%llu\n",
               points[p].name, points[p].source, (unsigned long long)points[p].seen,
               (unsigned long long)points[p].unparsed, (unsigned long long)points[p].fragments,
               (unsigned long long)points[p].unmatched, (unsigned long long)points[p].kernel_drops,
               (unsigned long long)points[p].overflow);
}

/* ---- keys of rings, paired the plain way: all are kept, sorted, and taken in turn ---- */

struct keys {
    struct seen *seen; /* owned */
    size_t n, room;
};

static bool by_nat;

static int by_key(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    uint64_t kx = by_nat ? x->base_nat : x->base, ky = by_nat ? y->base_nat : y->base;

    if (kx != ky)
        return kx < ky ? -1 : 1;
    if (x->pos != y->pos)
        return x->pos < y->pos ? -1 : 1;
    return x->ts_ns < y->ts_ns ? -1 : x->ts_ns > y->ts_ns;
}

static int keys_add(struct keys *k, const struct seen *seen, size_t n)
{
    if (k->n + n > k->room) {
        size_t room = (k->n + n) * 2;
        struct seen *grown = reallocarray(k->seen, room, sizeof *grown);

        if (!grown)
            return -ENOMEM;
        k->seen = grown;
        k->room = room;
    }
    memcpy(k->seen + k->n, seen, n * sizeof *seen);
    k->n += n;
    return 0;
}

static int same(const struct seen *x, const struct seen *y)
{
    return (by_nat ? x->base_nat == y->base_nat : x->base == y->base) && x->pos == y->pos;
}

/* Two points: hops 0 to 1 and 1 to 0. What has no partner is lost by the hook it passed: the one of the matched ones. */
static int pair_keys(struct keys k[2], struct hops *hops)
{
    uint64_t way[2][2] = {{0}}, alone[2][2] = {{0}};
    struct delay delay[2] = {{0}};
    size_t b = 0;

    for (unsigned p = 0; p < 2; p++)
        qsort(k[p].seen, k[p].n, sizeof *k[p].seen, by_key);
    for (size_t a = 0; a < k[0].n; a++) {
        const struct seen *x = &k[0].seen[a];

        for (; b < k[1].n && !same(x, &k[1].seen[b]) && by_key(&k[1].seen[b], x) < 0; b++)
            alone[1][(k[1].seen[b].flags & SEEN_OUTGOING) != 0]++;
        if (b < k[1].n && same(x, &k[1].seen[b])) {
            int64_t ns = (int64_t)(k[1].seen[b].ts_ns - x->ts_ns);
            unsigned back = ns < 0;

            way[back][((back ? &k[1].seen[b] : x)->flags & SEEN_OUTGOING) != 0]++;
            if (delay_add(&delay[back], back ? -ns : ns) < 0)
                return -ENOMEM;
            b++;
        } else {
            alone[0][(x->flags & SEEN_OUTGOING) != 0]++;
        }
    }
    for (; b < k[1].n; b++)
        alone[1][(k[1].seen[b].flags & SEEN_OUTGOING) != 0]++;
    for (unsigned back = 0; back < 2; back++) {
        struct hop *hop = hops_add(hops);
        unsigned hook = way[back][1] > way[back][0];

        if (!hop)
            return -ENOMEM;
        hop->from = (uint8_t)back;
        hop->to = (uint8_t)!back;
        hop->matched = delay[back].count;
        hop->lost = alone[back][hook];
        hop->delay = delay[back];
    }
    return 0;
}

static struct keys keys[HOP_MAX_POINTS];

/* What came within so much, or until the ring is dry. */
static int drain(struct live *live, uint64_t wait_ns, struct err *err)
{
    static struct seen batch[BATCH];
    uint64_t heard_ns;
    unsigned point;
    int r = live_read(live, wait_ns, &point, batch, BATCH, &heard_ns, err);

    if (r > 0 && keys_add(&keys[point], batch, (size_t)r) < 0)
        return -ENOMEM;
    return r;
}

static int keys_hops(struct live *live, struct hops *hops, struct err *err)
{
    int r;

    live_stop(live);
    while ((r = drain(live, CLOCK_S, err)) >= 0)
        ;
    return r == -ENODATA ? pair_keys(keys, hops) : r;
}

/* ---- the run ---- */

static int wait_line(struct live *live, char *line, size_t size, struct err *err)
{
    for (;;) {
        struct pollfd in = {.fd = 0, .events = POLLIN};
        int r = 0;

        if (live_used(live) == LIVE_AF_PACKET)
            r = drain(live, 20 * CLOCK_MS, err);
        if (r < 0)
            return r;
        if (poll(&in, 1, live_used(live) == LIVE_AF_PACKET ? 0 : -1) > 0) {
            ssize_t n = read(0, line, size - 1);

            line[n > 0 ? n : 0] = 0;
            return 0;
        }
    }
}

static int answer(struct live *live, unsigned n, bool last, struct err *err)
{
    struct hop_point points[HOP_MAX_POINTS];
    struct hops hops = {0};
    int r;

    if (live_used(live) == LIVE_AF_PACKET) {
        r = n == 2 && last ? keys_hops(live, &hops, err) : 0;
        live_points(live, points);
        memcpy(hops.points, points, sizeof hops.points);
        for (unsigned p = 0; p < n;
             p++) /* the plain way cannot tell the lost from those that only pass by */
            hops.points[p] = points[p];
    } else {
        if (last) {
            live_stop(live);
            clock_sleep_until(clock_mono_ns() + (uint64_t)DRAIN_MS * CLOCK_MS);
        }
        r = live_hops(live, &hops, err);
        memcpy(points, hops.points, sizeof points);
    }
    if (r < 0)
        return r;
    print_points(points, n);
    print_hops(&hops);
    puts("end");
    fflush(stdout);
    hops_done(&hops);
    return 0;
}

static int calibrate(const struct live_options *o)
{
    struct hop_instrument i = {0};
    struct err err = {0};
    uint64_t start_ns = clock_mono_ns();

    if (live_calibrate(o->source, 2, &i, &err) < 0)
        return fail(&err);
    printf("calibrated cost=%.1f bias=%lld spread=%llu packets=%llu ms=%llu stamp=%s\n", i.cost_ns,
           (long long)i.bias_ns, (unsigned long long)i.bias_spread_ns,
           (unsigned long long)i.n_packets,
           (unsigned long long)(clock_mono_ns() - start_ns) / CLOCK_MS, i.stamp);
    return 0;
}

int main(int argc, char **argv)
{
    static struct live_options options;
    struct live *live = NULL;
    struct err err = {0};
    bool only_calibrate = false;
    char line[64];
    int r = parse(argc, argv, &options, &only_calibrate);

    if (r < 0) {
        fprintf(stderr, "hops-probe: bad options\n");
        return 2;
    }
    if (only_calibrate)
        return calibrate(&options);
    by_nat = options.nat == 1;
    if (live_open(&options, &live, &err) < 0)
        return fail(&err);
    printf("ready %s %s\n", live_source_name[live_used(live)], live_why(live));
    fflush(stdout);
    for (;;) {
        r = wait_line(live, line, sizeof line, &err);
        if (r >= 0)
            r = answer(live, options.n_points, strncmp(line, "hops", 4) != 0, &err);
        if (r < 0 || strncmp(line, "hops", 4) != 0)
            break;
    }
    if (r >= 0)
        r = live_detach(live, &err);
    live_close(live);
    for (unsigned p = 0; p < HOP_MAX_POINTS; p++)
        free(keys[p].seen);
    return r < 0 ? fail(&err) : 0;
}
