/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/live_parts.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "capture/live_netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

/*
 * Datagrams over loopback interfaces of namespaces of our own, from this thread to itself, in short bursts: one namespace
 * is bare and one is watched, in turns, and what a burst takes at its best is compared. A third one has all points at one
 * hook, so that nothing lies between them but the instrument.
 */
enum {
    BURST = 192,    /* fits into a receive buffer */
    TOTAL_MS = 220, /* all bursts together */
    MAX_BURSTS = 4096,
    PAYLOAD = 22 /* a frame of 64 bytes */
};

/* A loopback of its own, and a socket there that is connected to itself. */
struct bed {
    int ns;
    int fd;
    struct live_bpf *bpf;
    struct live_ring *ring;
};

static int bed_in_netns(void *arg, struct err *err)
{
    struct bed *bed = arg;
    struct sockaddr_in me = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    socklen_t size = sizeof me;

    bed->ns = live_netns_open("", err);
    if (bed->ns < 0)
        return bed->ns;
    bed->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bed->fd < 0 || ioctl(bed->fd, SIOCSIFFLAGS, &up) < 0 ||
        bind(bed->fd, (struct sockaddr *)&me, sizeof me) < 0 ||
        getsockname(bed->fd, (struct sockaddr *)&me, &size) < 0 ||
        connect(bed->fd, (struct sockaddr *)&me, sizeof me) < 0)
        return err_set(err, errno, "a socket on a loopback of its own");
    return 0;
}

static int bed_open(struct bed *bed, struct err *err)
{
    return live_netns_do(-1, bed_in_netns, bed, err);
}

static void bed_done(struct bed *bed)
{
    live_bpf_close(bed->bpf);
    live_ring_close(bed->ring);
    close_p(&bed->fd);
    close_p(&bed->ns);
    *bed = (struct bed){.ns = -1, .fd = -1};
}

/* The descriptor as a name: another thread of this process opens it by that. */
static void bed_options(unsigned n_points, struct live_options *ret)
{
    ret->n_points = n_points;
    for (unsigned p = 0; p < n_points; p++) {
        snprintf(ret->points[p].name, sizeof ret->points[p].name, "calibration %u", p);
        snprintf(ret->points[p].ifname, sizeof ret->points[p].ifname, "lo");
    }
}

struct watch {
    struct bed *bed;
    enum live_source source;
    const struct live_options *options;
    bool (*spots)[2];
};

/* Runs inside the bed's namespace: "" is that. */
static int watch_in_netns(void *arg, struct err *err)
{
    struct watch *w = arg;

    if (w->source == LIVE_AF_PACKET)
        return live_ring_open(w->options, false, &w->bed->ring, err);
    return live_bpf_open_spots(w->options, w->source, w->spots, &w->bed->bpf, err);
}

static int bed_watch(struct bed *bed, enum live_source source, const struct live_options *options,
                     bool (*spots)[2], struct err *err)
{
    struct watch w = {bed, source, options, spots};

    return live_netns_do(bed->ns, watch_in_netns, &w, err);
}

/* One burst out and in again; ns a packet, of sending alone. */
static double burst(const struct bed *bed, uint64_t *number)
{
    uint8_t payload[PAYLOAD] = {0};
    uint64_t start_ns = clock_mono_ns(), ns;

    for (unsigned i = 0; i < BURST; i++) {
        ++*number;
        memcpy(payload, number, sizeof *number);
        send(bed->fd, payload, sizeof payload, 0);
    }
    ns = clock_mono_ns() - start_ns;
    while (recv(bed->fd, payload, sizeof payload, 0) >= 0)
        ;
    return (double)ns / BURST;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* What is seldom undercut: whoever interrupted a burst made it longer, never shorter. */
static double low(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, by_value);
    return n ? values[n / 10] : 0;
}

/* Rings are emptied between bursts, and nobody looks at what was in them. */
static int empty(struct bed *bed, struct err *err)
{
    static struct seen seen[256];
    uint64_t heard_ns;
    unsigned point;
    int r;

    while ((r = live_ring_read(bed->ring, 0, &point, seen, 256, &heard_ns, err)) > 0)
        ;
    return r == -ENODATA ? 0 : r;
}

static double cost(struct bed *bare, struct bed *watched, uint64_t *ret_n, struct err *err)
{
    static double without[MAX_BURSTS], with[MAX_BURSTS];
    uint64_t end_ns = clock_mono_ns() + (uint64_t)TOTAL_MS * CLOCK_MS * 2 / 3, number = 0;
    unsigned n = 0;

    while (n < MAX_BURSTS && (clock_mono_ns() < end_ns || n < 20)) {
        without[n] = burst(bare, &number);
        with[n++] = burst(watched, &number);
        if (watched->ring && empty(watched, err) < 0)
            break;
    }
    *ret_n = (uint64_t)n * BURST;
    return low(with, n) - low(without, n);
}

/* A hop of no length: programs say it themselves. */
static int bias(struct bed *bed, struct hop_instrument *ret, struct err *err)
{
    uint64_t end_ns = clock_mono_ns() + (uint64_t)TOTAL_MS * CLOCK_MS / 3, number = 0;
    struct hops hops = {0};
    const struct hop *best = NULL;
    int r;

    for (unsigned i = 0; i < 16 || clock_mono_ns() < end_ns; i++)
        burst(bed, &number);
    r = live_bpf_hops(bed->bpf, &hops, err);
    if (r < 0)
        return r;
    /* The older hook runs the last one that came first. */
    for (uint32_t i = 0; i < hops.n_hops; i++)
        if (!best || hops.hops[i].matched > best->matched)
            best = &hops.hops[i];
    if (best && best->matched > 0) {
        ret->bias_ns = delay_percentile(&best->delay, 0.5);
        ret->bias_spread_ns =
            (uint64_t)(delay_percentile(&best->delay, 0.99) - delay_percentile(&best->delay, 0.01));
        ret->n_packets += best->matched;
    } else {
        r = err_set(err, ENODATA, "no packet came over a loopback");
    }
    hops_done(&hops);
    return r;
}

/* tpacket_rcv() takes the stamp that the stack took; this tells where. */
void live_stamp(enum live_source source, char *ret, size_t size)
{
    AUTO(fclose_p) FILE *f = NULL;
    int prequeue = 1;

    if (source != LIVE_AF_PACKET) {
        snprintf(ret, size, "in the %s program, before the packet's key is looked up",
                 live_source_name[source]);
        return;
    }
    f = fopen("/proc/sys/net/core/netdev_tstamp_prequeue", "re");
    if (f && fscanf(f, "%d", &prequeue) != 1)
        prequeue = 1;
    snprintf(
        ret, size,
        "out: handed to the driver; in: %s the backlog queue (netdev_tstamp_prequeue=%d), and what "
        "comes out of a tunnel keeps the time of its outer packet",
        prequeue ? "before" : "behind", prequeue);
}

static int calibrate_bpf(enum live_source source, unsigned n_points, struct bed beds[3],
                         struct hop_instrument *ret, struct err *err)
{
    static struct live_options options;
    bool at_one[LATENCY_MAX_POINTS][2] = {{false}}, along[LATENCY_MAX_POINTS][2] = {{false}};
    int r;

    options = (struct live_options){0};
    bed_options(2, &options);
    /* Sending passes one hook and receiving the other. */
    at_one[0][LATENCY_EGRESS] = at_one[1][LATENCY_EGRESS] = true;
    r = bed_watch(&beds[2], source, &options, at_one, err);
    if (r >= 0)
        r = bias(&beds[2], ret, err);
    if (r < 0)
        return r;
    bed_options(n_points, &options);
    for (unsigned p = 0; p < n_points; p++)
        along[p][p < (n_points + 1) / 2 ? LATENCY_EGRESS : LATENCY_INGRESS] = true;
    return bed_watch(&beds[1], source, &options, along, err);
}

/*
 * Loopback shows a packet to a ring twice, so one ring there has the work of two points. A hop reads longer by what
 * copying costs at its beginning: half of that.
 */
static int calibrate_ring(struct bed beds[3], struct err *err)
{
    static struct live_options options;

    options = (struct live_options){0};
    bed_options(1, &options);
    return bed_watch(&beds[1], LIVE_AF_PACKET, &options, NULL, err);
}

int live_calibrate(enum live_source source, unsigned n_points,
                   struct hop_instrument *ret_instrument, struct err *err)
{
    struct hop_instrument instrument = {0};
    struct bed beds[3] = {{-1, -1, NULL, NULL}, {-1, -1, NULL, NULL}, {-1, -1, NULL, NULL}};
    uint64_t n = 0;
    int r = 0;

    if (source != LIVE_AF_PACKET)
        n_points = n_points > LATENCY_MAX_POINTS ? LATENCY_MAX_POINTS : n_points < 2 ? 2 : n_points;
    for (unsigned i = 0; r >= 0 && i < ARRAY_SIZE(beds); i++)
        r = bed_open(&beds[i], err);
    if (r >= 0)
        r = source == LIVE_AF_PACKET ? calibrate_ring(beds, err)
                                     : calibrate_bpf(source, n_points, beds, &instrument, err);
    if (r >= 0) {
        double ns = cost(&beds[0], &beds[1], &n, err);

        instrument.cost_ns = ns > 0 ? ns : 0;
        instrument.n_packets += n;
        if (source == LIVE_AF_PACKET) {
            instrument.bias_ns = (int64_t)(instrument.cost_ns / 2);
            instrument.bias_spread_ns = (uint64_t)instrument.bias_ns;
            instrument.cost_ns *= n_points / 2.0;
        }
        live_stamp(source, instrument.stamp, sizeof instrument.stamp);
        if (source == LIVE_AF_PACKET)
            text_add(instrument.stamp, sizeof instrument.stamp,
                     "; the bias is reckoned from what copying costs, not measured");
        instrument.measured = true;
        *ret_instrument = instrument;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(beds); i++)
        bed_done(&beds[i]);
    return r < 0 ? err_wrap(err, r, "calibration") : 0;
}
