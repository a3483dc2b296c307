/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include "packet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trace {
    FILE *file; /* owned */
    char path[4096];
    enum scenario_format format;
    unsigned link, snaplen;
    bool big;
    uint64_t n;
};

static void trace_failed(const struct trace *t)
{
    fprintf(stderr, "generate: %s: %s\n", t->path, strerror(errno));
    exit(1);
}

static void put(struct trace *t, const void *data, size_t n)
{
    if (fwrite(data, 1, n, t->file) != n)
        trace_failed(t);
}

static void put_word(struct trace *t, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    uint8_t big[4] = {b[3], b[2], b[1], b[0]};

    put(t, t->big ? big : b, 4);
}

static void put_half(struct trace *t, unsigned v)
{
    uint8_t b[2] = {(uint8_t)v, (uint8_t)(v >> 8)}, big[2] = {b[1], b[0]};

    put(t, t->big ? big : b, 2);
}

/* ---- pcap ---- */

static bool trace_micro(const struct trace *t)
{
    return t->format == FORMAT_PCAP_US || t->format == FORMAT_PCAP_US_BIG;
}

static void pcap_start(struct trace *t)
{
    put_word(t, trace_micro(t) ? 0xa1b2c3d4 : 0xa1b23c4d);
    put_half(t, 2);
    put_half(t, 4);
    put_word(t, 0);
    put_word(t, 0);
    put_word(t, t->snaplen);
    put_word(t, t->link);
}

static void pcap_frame(struct trace *t, int64_t ns, const uint8_t *frame, unsigned n)
{
    unsigned kept = n < t->snaplen ? n : t->snaplen;

    put_word(t, (uint32_t)(ns / 1000000000));
    put_word(t, (uint32_t)(ns % 1000000000 / (trace_micro(t) ? 1000 : 1)));
    put_word(t, kept);
    put_word(t, n);
    put(t, frame, kept);
}

/* ---- pcapng ---- */

/* Interfaces of FORMAT_PCAPNG_MANY: 0 nanoseconds, 1 picoseconds since TRACE_EPOCH_S, 2 microseconds and no traffic. */
static void pcapng_interface(struct trace *t, int resolution, bool offset, const char *name)
{
    unsigned n_name = ((unsigned)strlen(name) + 3) / 4 * 4;
    unsigned len = 20 + 4 + n_name + (resolution >= 0 ? 8 : 0) + (offset ? 12 : 0) + 4;
    char padded[16] = {0};

    snprintf(padded, sizeof padded, "%s", name);
    put_word(t, 1);
    put_word(t, len);
    put_half(t, t->link);
    put_half(t, 0);
    put_word(t, t->snaplen);
    put_half(t, 2); /* if_name */
    put_half(t, (unsigned)strlen(name));
    put(t, padded, n_name);
    if (resolution >= 0) { /* if_tsresol */
        uint8_t value[4] = {(uint8_t)resolution, 0, 0, 0};

        put_half(t, 9);
        put_half(t, 1);
        put(t, value, 4);
    }
    if (offset) { /* if_tsoffset, 64 bits of seconds */
        put_half(t, 14);
        put_half(t, 8);
        put_word(t, t->big ? 0 : TRACE_EPOCH_S);
        put_word(t, t->big ? TRACE_EPOCH_S : 0);
    }
    put_word(t, 0); /* opt_endofopt */
    put_word(t, len);
}

static void pcapng_start(struct trace *t)
{
    put_word(t, 0x0a0d0d0a);
    put_word(t, 28);
    put_word(t, 0x1a2b3c4d);
    put_half(t, 1);
    put_half(t, 0);
    put_word(t, 0xffffffff);
    put_word(t, 0xffffffff);
    put_word(t, 28);
    pcapng_interface(t, t->format == FORMAT_PCAPNG_BIG ? -1 : 9, false, "eth0");
    if (t->format == FORMAT_PCAPNG_MANY) {
        pcapng_interface(t, 12, true, "eth1");
        pcapng_interface(t, -1, false, "other0");
    }
}

/* A block that a reader does not know, and statistics. */
static void pcapng_between(struct trace *t)
{
    put_word(t, 0x0bad);
    put_word(t, 20);
    put_word(t, 0xdeadbeef);
    put_word(t, 0xffffffff);
    put_word(t, 20);
    put_word(t, 5);
    put_word(t, 24);
    put_word(t, 2);
    put_word(t, 0);
    put_word(t, 0);
    put_word(t, 24);
}

static void pcapng_frame(struct trace *t, int64_t ns, bool reverse, const uint8_t *frame,
                         unsigned n)
{
    static const uint8_t zeros[4];
    bool many = t->format == FORMAT_PCAPNG_MANY;
    unsigned kept = n < t->snaplen ? n : t->snaplen, pad = (4 - kept % 4) % 4;
    unsigned len = 32 + kept + pad + (many ? 12 : 0);
    uint64_t time = (uint64_t)ns;

    if (t->format == FORMAT_PCAPNG_BIG)
        time /= 1000;
    else if (many && reverse)
        time = (time - TRACE_EPOCH_S * 1000000000ull) * 1000;
    if (many && t->n % 1000 == 0)
        pcapng_between(t);
    put_word(t, 6);
    put_word(t, len);
    put_word(t, many && reverse ? 1 : 0);
    put_word(t, (uint32_t)(time >> 32));
    put_word(t, (uint32_t)time);
    put_word(t, kept);
    put_word(t, n);
    put(t, frame, kept);
    put(t, zeros, pad);
    if (many) { /* epb_flags: inbound or outbound */
        put_half(t, 2);
        put_half(t, 4);
        put_word(t, reverse ? 1 : 2);
        put_word(t, 0);
    }
    put_word(t, len);
}

/* ---- any ---- */

static void trace_frame(struct trace *t, int64_t ns, bool reverse, const uint8_t *frame, unsigned n)
{
    if (t->format >= FORMAT_PCAPNG)
        pcapng_frame(t, ns, reverse, frame, n);
    else
        pcap_frame(t, ns, frame, n);
    t->n++;
}

void trace_name(const struct simulation *sim, unsigned point, char *buf, unsigned size)
{
    bool ng = sim->scenario->point[point].format >= FORMAT_PCAPNG;

    snprintf(buf, size, "%c.%s", (char)('A' + point), ng ? "pcapng" : "pcap");
}

void trace_write(const struct simulation *sim, unsigned point, const char *dir)
{
    static uint8_t frame[PACKET_MAX];
    const struct scenario_point *p = &sim->scenario->point[point];
    struct trace t = {.format = p->format, .link = packet_link(p)};
    char name[16];

    t.snaplen = p->snaplen ? p->snaplen : 262144;
    t.big = t.format == FORMAT_PCAP_NS_BIG || t.format == FORMAT_PCAP_US_BIG ||
            t.format == FORMAT_PCAPNG_BIG;
    trace_name(sim, point, name, sizeof name);
    snprintf(t.path, sizeof t.path, "%s/%s", dir, name);
    t.file = fopen(t.path, "we");
    if (!t.file)
        trace_failed(&t);
    setvbuf(t.file, NULL, _IOFBF, 1 << 20);
    if (t.format >= FORMAT_PCAPNG)
        pcapng_start(&t);
    else
        pcap_start(&t);
    for (size_t i = 0; i < sim->at[point].n; i++) {
        const struct sight *sight = &sim->at[point].all[i];
        bool reverse = sim->items[sight->item].flags & ITEM_REVERSE;
        int64_t ns = simulate_clock(sim, point, sight->ns) + TRACE_EPOCH_S * 1000000000ll;
        unsigned n_frames = packet_frames(sim, sight);

        if (sight->foreign)
            trace_frame(&t, ns, reverse, frame, packet_foreign(sim, point, sight->foreign, frame));
        for (unsigned k = 0; k < n_frames; k++) {
            unsigned n = packet_build(sim, point, sight, k, frame);

            trace_frame(&t, ns, reverse, frame, n);
        }
    }
    if (fclose(t.file) != 0)
        trace_failed(&t);
}
