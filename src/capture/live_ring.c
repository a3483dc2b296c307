/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/live_parts.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "capture/decode.h"
#include "capture/live_netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/*
 * A ring of blocks for each point (TPACKET_V3): the kernel fills a block, and hands it over when it is full or its time
 * is up.
 *
 * source  Documentation/networking/packet_mmap.rst; net/packet/af_packet.c
 */
enum {
    BLOCK_SIZE = 1 << 20,
    N_BLOCKS = 64,
    /* Two IPv6 headers with VXLAN between, TCP with all its options: 14+40+8+8+14+40+60 = 184. */
    SNAPLEN = 192,
    RETIRE_MS = 40,
    /* A packet is handed over within two of those; on a busy machine its timer may be late. */
    HEARD_MS = 8 * RETIRE_MS,
    MAX_FLOWS = 1 << 16,
    SETTLE_MS = 100,    /* what is on its way at the start has passed a ring by then */
    UNDER_WAY_MS = 500, /* and has come to all others */
    STOP_AHEAD_MS = 5,  /* who reads knows the end by then */
    MAX_UNDER_WAY = 1 << 14
};

struct ring_point {
    int fd;
    uint8_t *blocks;                   /* mapped */
    unsigned block;                    /* whose turn it is */
    const struct tpacket3_hdr *packet; /* next in the block; NULL the block is not begun */
    uint32_t left;                     /* packets in the block from there on */
    uint16_t link;                     /* LINKTYPE_… */
    uint64_t last_ns;                  /* of what was handed out */
    bool broken;                       /* the interface is gone */
    struct hop_point counts;
};

struct ring_flow {
    uint32_t flow;
    struct seen_flow words;
};

struct live_ring {
    struct live_options options;
    struct ring_point points[HOP_MAX_POINTS];
    unsigned turn; /* the point to be looked at first */
    /* CLOCK_MONOTONIC: from then on an empty ring stays empty; 0 not stopped. Who stops is not who reads. */
    _Atomic uint64_t dry_ns;
    /*
     * Rings end one after the other, too. Wall clock; 0 not known yet: what was stamped from then on counts at no point. Else packets would
     * pass the first one unseen and be seen by the others.
     */
    _Atomic uint64_t stop_ns;
    uint64_t open_ns;         /* wall clock: all points are watched */
    unsigned n_begun, n_told; /* points of which its begin and its end were handed out */
    /*
     * Rings begin one after the other. Packets count from when all do (wall clock; 0 all): what passed some point earlier is remembered,
     * so that it is missed at none.
     */
    uint64_t start_ns;
    uint64_t *under_way; /* owned; MAX_UNDER_WAY keys, the newest of their place */
    /* Flows that were given, by open addressing; 0 none. */
    uint32_t *known; /* owned; 2 * MAX_FLOWS */
    unsigned n_known;
    struct ring_flow *flows; /* owned: of the last answer */
    unsigned n_flows, room_flows, next_flow;
};

/* ---- open ---- */

static int filter_attach(int fd, const struct live_insn *filter, unsigned n, struct err *err)
{
    struct sock_filter all = {.code = BPF_RET | BPF_K, .k = SNAPLEN};
    AUTO(free_p) struct sock_filter *insns = calloc(n + 1, sizeof *insns);
    struct sock_fprog program = {.len = (unsigned short)(n ? n : 1), .filter = n ? insns : &all};

    if (!insns)
        return err_set(err, ENOMEM, "filter");
    /* What a filter returns is how much is kept. */
    for (unsigned i = 0; i < n; i++) {
        insns[i] = (struct sock_filter){filter[i].code, filter[i].jt, filter[i].jf, filter[i].k};
        if (insns[i].code == (BPF_RET | BPF_K) && insns[i].k > SNAPLEN)
            insns[i].k = SNAPLEN;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
        return err_set(err, errno == ENOMEM ? errno : EINVAL,
                       "the kernel does not take the filter");
    return 0;
}

static int ring_make(struct ring_point *p, struct err *err)
{
    struct tpacket_req3 request = {.tp_block_size = BLOCK_SIZE,
                                   .tp_block_nr = N_BLOCKS,
                                   .tp_frame_size = 2048,
                                   .tp_frame_nr = N_BLOCKS * (BLOCK_SIZE / 2048),
                                   .tp_retire_blk_tov = RETIRE_MS};
    int version = TPACKET_V3;
    void *map;

    if (setsockopt(p->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0)
        return err_set(err, errno, "TPACKET_V3");
    if (setsockopt(p->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0)
        return err_set(err, errno, "a ring of %d MiB", N_BLOCKS * (BLOCK_SIZE >> 20));
    /* Populated at once: page faults in the middle of traffic cost more than all of reading. */
    map = mmap(NULL, (size_t)BLOCK_SIZE * N_BLOCKS, PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_POPULATE, p->fd, 0);
    if (map == MAP_FAILED)
        return err_set(err, errno, "mapping the ring");
    p->blocks = map;
    return 0;
}

struct work {
    struct live_ring *ring;
    unsigned point;
};

static int open_point(void *arg, struct err *err)
{
    struct work *w = arg;
    const struct live_options *o = &w->ring->options;
    struct ring_point *p = &w->ring->points[w->point];
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct live_netns_link link;
    int r = live_netns_find(o->points[w->point].ifname, &link, err);

    if (r < 0)
        return r;
    if (o->n_filter > 0 && !link.ethernet)
        return err_set(err, EINVAL, "a filter is for Ethernet, and %s has no Ethernet header",
                       o->points[w->point].ifname);
    p->link = link.ethernet ? DECODE_ETHERNET : DECODE_RAW;
    /* Protocol 0: nothing comes before the ring is there. */
    p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return err_set(err, errno,
                       errno == EPERM ? "a packet socket: that needs CAP_NET_RAW"
                                      : "a packet socket");
    r = filter_attach(p->fd, o->filter, o->n_filter, err);
    if (r >= 0)
        r = ring_make(p, err);
    if (r < 0)
        return r;
    address.sll_ifindex = (int)link.ifindex;
    if (bind(p->fd, (struct sockaddr *)&address, sizeof address) < 0)
        return err_set(err, errno, "binding to %s", o->points[w->point].ifname);
    return 0;
}

static void ring_settle(struct live_ring *ring);

int live_ring_open(const struct live_options *options, bool settle, struct live_ring **ret_ring,
                   struct err *err)
{
    struct live_ring *ring = calloc(1, sizeof *ring);
    int r = 0;

    if (!ring)
        return err_set(err, ENOMEM, "points");
    ring->options = *options;
    for (unsigned p = 0; p < HOP_MAX_POINTS; p++)
        ring->points[p].fd = -1;
    ring->known = calloc(2 * (size_t)MAX_FLOWS, sizeof *ring->known);
    if (!ring->known)
        r = err_set(err, ENOMEM, "flows");
    for (unsigned p = 0; r >= 0 && p < options->n_points; p++) {
        AUTO(close_p) int ns = live_netns_open(options->points[p].netns, err);
        struct work work = {.ring = ring, .point = p};

        r = ns < 0 ? ns : live_netns_do(ns, open_point, &work, err);
        if (r < 0)
            err_wrap(err, r, "point %s", options->points[p].name);
        text_copy(ring->points[p].counts.name, HOP_NAME_SIZE, options->points[p].name);
        text_copy(ring->points[p].counts.source, sizeof ring->points[p].counts.source,
                  live_source_name[LIVE_AF_PACKET]);
        ring->points[p].counts.has_kernel_drops = true;
    }
    ring->under_way = r >= 0 && settle ? calloc(MAX_UNDER_WAY, sizeof *ring->under_way) : NULL;
    if (r >= 0 && settle && !ring->under_way)
        r = err_set(err, ENOMEM, "points");
    if (r < 0) {
        live_ring_close(ring);
        return r;
    }
    if (settle)
        ring_settle(ring);
    ring->open_ns = settle ? ring->start_ns : clock_wall_ns();
    *ret_ring = ring;
    return 0;
}

void live_ring_close(struct live_ring *ring)
{
    if (!ring)
        return;
    for (unsigned p = 0; p < ring->options.n_points; p++) {
        if (ring->points[p].blocks)
            munmap(ring->points[p].blocks, (size_t)BLOCK_SIZE * N_BLOCKS);
        close_p(&ring->points[p].fd);
    }
    free(ring->under_way);
    free(ring->known);
    free(ring->flows);
    free(ring);
}

/* ---- flows ---- */

/* True the first time. */
static bool flow_is_new(struct live_ring *ring, uint32_t flow)
{
    uint32_t name = flow ? flow : 1, i = name * 0x9e3779b1U % (2 * MAX_FLOWS);

    while (ring->known[i] && ring->known[i] != name)
        i = (i + 1) % (2 * MAX_FLOWS);
    if (ring->known[i] || ring->n_known == MAX_FLOWS)
        return false;
    ring->known[i] = name;
    ring->n_known++;
    return true;
}

/* Without memory a flow has no words: its packets count all the same. */
static void flow_note(struct live_ring *ring, uint32_t flow, const struct frame *frame)
{
    struct seen_flow words;

    if (!flow_is_new(ring, flow) || decode_flow(frame, &words) != DECODE_OK)
        return;
    if (ring->n_flows == ring->room_flows) {
        unsigned room = ring->room_flows ? 2 * ring->room_flows : 64;
        struct ring_flow *grown = reallocarray(ring->flows, room, sizeof *grown);

        if (!grown)
            return;
        ring->flows = grown;
        ring->room_flows = room;
    }
    ring->flows[ring->n_flows++] = (struct ring_flow){flow, words};
}

int live_ring_flow(struct live_ring *ring, uint32_t *ret_flow, struct seen_flow *ret_words)
{
    if (ring->next_flow == ring->n_flows)
        return 0;
    *ret_flow = ring->flows[ring->next_flow].flow;
    *ret_words = ring->flows[ring->next_flow++].words;
    return 1;
}

/* ---- read ---- */

static struct tpacket_block_desc *block_of(const struct ring_point *p)
{
    return (struct tpacket_block_desc *)(p->blocks + (size_t)p->block * BLOCK_SIZE);
}

static bool block_ready(const struct ring_point *p)
{
    return __atomic_load_n(&block_of(p)->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

static void block_return(struct ring_point *p)
{
    __atomic_store_n(&block_of(p)->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    p->block = (p->block + 1) % N_BLOCKS;
    p->packet = NULL;
}

static void packet_frame(const struct ring_point *p, const struct tpacket3_hdr *h,
                         struct frame *ret)
{
    const struct sockaddr_ll *address =
        (const struct sockaddr_ll *)((const uint8_t *)h + TPACKET_ALIGN(sizeof *h));

    *ret = (struct frame){.ts_ns = (uint64_t)h->tp_sec * CLOCK_S + h->tp_nsec,
                          .data = (const uint8_t *)h + h->tp_mac,
                          .n = h->tp_snaplen,
                          .wire_len = h->tp_len,
                          .link = p->link,
                          .outgoing = address->sll_pkttype == PACKET_OUTGOING};
}

/* On the innermost packet, as the programs in the kernel select. */
static bool selected(const struct live_options *o, const struct frame *frame)
{
    struct seen_flow f;

    if (o->protocol == 0 && o->port == 0)
        return true;
    if (decode_flow(frame, &f) != DECODE_OK)
        return false;
    if (o->protocol && f.protocol != o->protocol)
        return false;
    return o->port == 0 || f.from_port == o->port || f.to_port == o->port;
}

/* The same behind NAT; never 0. */
static uint64_t under_way_key(const struct seen *seen)
{
    return ((seen->base_nat ^ (uint64_t)seen->pos * 0x9e3779b97f4a7c15ULL) *
            0xff51afd7ed558ccdULL) |
           1;
}

static uint64_t *under_way_slot(const struct live_ring *ring, uint64_t key)
{
    return &ring->under_way[key >> 40 & (MAX_UNDER_WAY - 1)];
}

/* It passed a point before all were watched. */
static bool under_way(const struct live_ring *ring, const struct seen *seen)
{
    uint64_t key = under_way_key(seen);

    return ring->under_way && seen->ts_ns < ring->start_ns + (uint64_t)UNDER_WAY_MS * CLOCK_MS &&
           *under_way_slot(ring, key) == key;
}

/* Nothing counts from then on, nor is heard of. */
static uint64_t ring_end(const struct live_ring *ring)
{
    uint64_t stop_ns = ring->stop_ns;

    return stop_ns ? stop_ns : UINT64_MAX;
}

static uint64_t until_end(const struct live_ring *ring, uint64_t ns)
{
    uint64_t end_ns = ring_end(ring);

    return ns < end_ns ? ns : end_ns;
}

/* One packet of a block: true it is in ret. */
static bool packet_take(struct live_ring *ring, unsigned point, const struct tpacket3_hdr *h,
                        struct seen *ret)
{
    struct hop_point *c = &ring->points[point].counts;
    struct frame frame;
    enum decode_result r;

    packet_frame(&ring->points[point], h, &frame);
    r = decode_frame(&frame, ret, NULL, NULL);
    if (frame.ts_ns < ring->start_ns) {
        uint64_t key = under_way_key(ret);

        if (r == DECODE_OK)
            *under_way_slot(ring, key) = key;
        return false;
    }
    if (frame.ts_ns >= ring_end(ring))
        return false;
    if (r != DECODE_OK) {
        c->unparsed++;
        c->fragments += r == DECODE_FRAGMENT;
        return false;
    }
    if (!selected(&ring->options, &frame) || under_way(ring, ret))
        return false;
    ret->point = (uint8_t)point;
    c->seen++;
    c->first_ns = c->first_ns ? c->first_ns : frame.ts_ns;
    /* Stamps are of the wall clock, which somebody may set. */
    c->backward += frame.ts_ns < c->last_ns;
    c->last_ns = frame.ts_ns;
    flow_note(ring, ret->flow, &frame);
    return true;
}

static uint64_t packet_ns(const struct tpacket3_hdr *h)
{
    return (uint64_t)h->tp_sec * CLOCK_S + h->tp_nsec;
}

static void block_begin(struct ring_point *p)
{
    const struct tpacket_block_desc *d = block_of(p);

    if (p->packet)
        return;
    p->left = d->hdr.bh1.num_pkts;
    p->packet = (const struct tpacket3_hdr *)((const uint8_t *)d + d->hdr.bh1.offset_to_first_pkt);
}

static void packet_next(struct ring_point *p)
{
    p->packet =
        (const struct tpacket3_hdr *)((const uint8_t *)p->packet + p->packet->tp_next_offset);
    p->left--;
}

static unsigned point_read(struct live_ring *ring, unsigned point, struct seen *ret_seen,
                           unsigned n)
{
    struct ring_point *p = &ring->points[point];
    unsigned got = 0;

    while (got < n && block_ready(p)) {
        block_begin(p);
        while (p->left > 0 && got < n) {
            p->last_ns = until_end(ring, packet_ns(p->packet));
            got += packet_take(ring, point, p->packet, &ret_seen[got]);
            packet_next(p);
        }
        if (p->left == 0)
            block_return(p);
    }
    return got;
}

/*
 * Of one ring, all that came before packets count. Looked at, not taken: what waited for its CPU after it was stamped stands behind
 * others that were stamped later.
 */
static void point_settle(struct live_ring *ring, unsigned point)
{
    struct ring_point look = ring->points[point];
    struct seen none;

    for (unsigned i = 0; i < N_BLOCKS && block_ready(&look); i++) {
        for (block_begin(&look); look.left > 0; packet_next(&look))
            if (packet_ns(look.packet) < ring->start_ns)
                packet_take(ring, point, look.packet, &none);
        look.packet = NULL;
        look.block = (look.block + 1) % N_BLOCKS;
    }
}

static void ring_settle(struct live_ring *ring)
{
    clock_sleep_until(clock_mono_ns() + (uint64_t)SETTLE_MS * CLOCK_MS);
    ring->start_ns = clock_wall_ns();
    /* Blocks with what came until now have been handed over by then. */
    clock_sleep_until(clock_mono_ns() + (uint64_t)HEARD_MS * CLOCK_MS);
    for (unsigned p = 0; p < ring->options.n_points; p++)
        point_settle(ring, p);
}

static void take_drops(struct ring_point *p)
{
    struct tpacket_stats_v3 stats;
    socklen_t n = sizeof stats;

    /* Reading clears them. */
    if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &n) == 0)
        p->counts.kernel_drops += stats.tp_drops;
}

static int ring_wait(struct live_ring *ring, uint64_t timeout_ns)
{
    struct pollfd fds[HOP_MAX_POINTS];
    unsigned n = 0;
    uint64_t ms = (timeout_ns + CLOCK_MS - 1) / CLOCK_MS;

    for (unsigned p = 0; p < ring->options.n_points; p++)
        if (!ring->points[p].broken)
            fds[n++] = (struct pollfd){.fd = ring->points[p].fd, .events = POLLIN};
    if (poll(fds, n, ms > 60000 ? 60000 : (int)ms) < 0 && errno != EINTR)
        return -errno;
    for (unsigned p = 0; p < ring->options.n_points; p++) {
        int error = 0;
        socklen_t size = sizeof error;

        /* ENETDOWN: the interface went down or away; what the ring holds stays good, and it may come up again. */
        for (unsigned i = 0; i < n; i++)
            if (fds[i].fd == ring->points[p].fd && (fds[i].revents & POLLERR))
                getsockopt(ring->points[p].fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error == ENODEV)
            ring->points[p].broken = true;
    }
    return 0;
}

/* One round over the points. */
static unsigned ring_round(struct live_ring *ring, unsigned *ret_point, struct seen *ret_seen,
                           unsigned n)
{
    for (unsigned i = 0; i < ring->options.n_points; i++) {
        unsigned point = (ring->turn + i) % ring->options.n_points;
        unsigned got = point_read(ring, point, ret_seen, n);

        if (got > 0) {
            ring->turn = point + 1;
            *ret_point = point;
            return got;
        }
    }
    return 0;
}

int live_ring_read(struct live_ring *ring, uint64_t timeout_ns, unsigned *ret_point,
                   struct seen *ret_seen, unsigned n, uint64_t *ret_heard_ns, struct err *err)
{
    uint64_t asked_ns = clock_wall_ns();
    uint64_t dry_ns = ring->dry_ns;
    bool dry = dry_ns && clock_mono_ns() >= dry_ns;
    unsigned got;
    int r;

    ring->n_flows = ring->next_flow = 0;
    /* Each is watched from here on: when others are busy, a quiet one is heard of late. */
    if (ring->n_begun < ring->options.n_points) {
        *ret_point = ring->n_begun++;
        *ret_heard_ns = ring->open_ns;
        return 0;
    }
    got = ring_round(ring, ret_point, ret_seen, n);
    /* All has come: each point was watched until the end, whatever it saw last. */
    while (got == 0 && dry && ring->n_told < ring->options.n_points) {
        struct ring_point *p = &ring->points[ *ret_point = ring->n_told++];

        *ret_heard_ns = ring->stop_ns;
        if (!p->broken)
            return 0;
    }
    if (got == 0 && dry)
        return -ENODATA;
    if (got == 0) {
        uint64_t now_ns = clock_mono_ns();

        if (dry_ns && now_ns + timeout_ns > dry_ns)
            timeout_ns = dry_ns > now_ns ? dry_ns - now_ns : 0;
        r = ring_wait(ring, timeout_ns);
        if (r < 0)
            return err_set(err, r, "waiting for packets");
        asked_ns = clock_wall_ns();
        got = ring_round(ring, ret_point, ret_seen, n);
    }
    if (got > 0) {
        *ret_heard_ns = ring->points[*ret_point].last_ns;
        return (int)got;
    }
    /* Nothing anywhere: the next point in turn has been silent up to a while ago. */
    *ret_point = ring->turn = (ring->turn + 1) % ring->options.n_points;
    *ret_heard_ns = until_end(ring, asked_ns - (uint64_t)HEARD_MS * CLOCK_MS);
    if (*ret_heard_ns < ring->points[*ret_point].last_ns)
        *ret_heard_ns = ring->points[*ret_point].last_ns;
    return 0;
}

void live_ring_stop(struct live_ring *ring)
{
    struct sock_filter none = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &none};

    if (ring->dry_ns)
        return;
    /* Known before anything can be stamped so late; kept from the CPU for longer than that, once more. */
    do
        ring->stop_ns = clock_wall_ns() + (uint64_t)STOP_AHEAD_MS * CLOCK_MS;
    while (clock_wall_ns() >= ring->stop_ns);
    clock_sleep_until(clock_mono_ns() + (uint64_t)(STOP_AHEAD_MS + 1) * CLOCK_MS);
    for (unsigned p = 0; p < ring->options.n_points; p++)
        setsockopt(ring->points[p].fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    ring->dry_ns = clock_mono_ns() + (uint64_t)HEARD_MS * CLOCK_MS;
}

void live_ring_points(struct live_ring *ring, struct hop_point ret_points[])
{
    for (unsigned p = 0; p < ring->options.n_points; p++) {
        take_drops(&ring->points[p]);
        ret_points[p] = ring->points[p].counts;
    }
}
