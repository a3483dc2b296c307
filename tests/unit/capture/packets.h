/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/decode.h"

#include <stdint.h>
#include <string.h>

/* Frames by hand, from the inside to the outside: each layer is put in front of what is there. */
enum { PACKET_ROOM = 4096 };

struct packet {
    uint8_t bytes[PACKET_ROOM];
    unsigned at, n; /* bytes[at … at + n) */
};

static inline uint8_t *packet_front(struct packet *p, unsigned n)
{
    p->at -= n;
    p->n += n;
    memset(p->bytes + p->at, 0, n);
    return p->bytes + p->at;
}

static inline void packet_u16(uint8_t *b, unsigned v)
{
    b[0] = (uint8_t)(v >> 8);
    b[1] = (uint8_t)v;
}

static inline void packet_u32(uint8_t *b, uint32_t v)
{
    packet_u16(b, v >> 16);
    packet_u16(b + 2, v & 0xffff);
}

/* n bytes that a seed tells. */
static inline void packet_payload(struct packet *p, unsigned n, unsigned seed)
{
    p->at = PACKET_ROOM;
    p->n = 0;
    packet_front(p, n);
    for (unsigned i = 0; i < n; i++)
        p->bytes[p->at + i] = (uint8_t)(seed * 131 + i * 7 + (seed >> 8) + 1);
}

/* Acknowledgement 77, window 500; options in front of the payload: n_options bytes, a multiple of 4. */
static inline void packet_tcp(struct packet *p, uint32_t seq, uint8_t flags, const uint8_t *options,
                              unsigned n_options)
{
    uint8_t *tcp = packet_front(p, 20 + n_options);

    packet_u16(tcp, 40000);
    packet_u16(tcp + 2, 80);
    packet_u32(tcp + 4, seq);
    packet_u32(tcp + 8, 77);
    tcp[12] = (uint8_t)((20 + n_options) / 4 << 4);
    tcp[13] = flags;
    packet_u16(tcp + 14, 500);
    if (n_options)
        memcpy(tcp + 20, options, n_options);
}

static inline void packet_udp(struct packet *p, unsigned from, unsigned to)
{
    unsigned n = p->n + 8;
    uint8_t *udp = packet_front(p, 8);

    packet_u16(udp, from);
    packet_u16(udp + 2, to);
    packet_u16(udp + 4, n);
}

static inline void packet_ip4(struct packet *p, uint8_t protocol, uint16_t id, uint32_t from,
                              uint32_t to)
{
    unsigned n = p->n + 20;
    uint8_t *ip = packet_front(p, 20);

    ip[0] = 0x45;
    packet_u16(ip + 2, n);
    packet_u16(ip + 4, id);
    ip[8] = 64;
    ip[9] = protocol;
    packet_u32(ip + 12, from);
    packet_u32(ip + 16, to);
}

static inline void packet_ip6(struct packet *p, uint8_t next, uint8_t from, uint8_t to)
{
    unsigned n = p->n;
    uint8_t *ip = packet_front(p, 40);

    ip[0] = 0x60;
    packet_u16(ip + 4, n);
    ip[6] = next;
    ip[7] = 64;
    ip[8] = ip[24] = 0xfd;
    ip[23] = from;
    ip[39] = to;
}

static inline void packet_ethernet(struct packet *p, unsigned type)
{
    packet_u16(packet_front(p, 14) + 12, type);
}

static inline struct frame packet_frame(const struct packet *p, uint16_t link)
{
    return (struct frame){.ts_ns = 1000,
                          .data = p->bytes + p->at,
                          .n = p->n,
                          .wire_len = p->n,
                          .link = link,
                          .outgoing = 2};
}
