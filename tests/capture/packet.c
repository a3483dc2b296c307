/* SPDX-License-Identifier: Apache-2.0 */
#include "packet.h"

#include "layer4.h"

#include <string.h>

enum {
    TYPE_IP4 = 0x0800,
    TYPE_IP6 = 0x86dd,
    TYPE_ARP = 0x0806,
    TYPE_VLAN = 0x8100,
    TYPE_QINQ = 0x88a8,
    TYPE_LLDP = 0x88cc,
    TYPE_BRIDGED = 0x6558,
};

/* The innermost packet's IP header, and what of the transport comes behind it. */
struct inner {
    const struct item *item;
    struct layer4 l4;
    unsigned hops;        /* that it has behind it */
    unsigned offset, len; /* of the transport, what this frame has */
    bool fragment, more_fragments;
};

unsigned packet_link(const struct scenario_point *point)
{
    switch (point->encap) {
    case ENCAP_COOKED:
        return 113;
    case ENCAP_COOKED2:
        return 276;
    case ENCAP_RAW:
        return 101;
    default:
        return 1;
    }
}

unsigned packet_frames(const struct simulation *sim, const struct sight *sight)
{
    return sim->items[sight->item].flags & ITEM_FRAGMENTS ? PACKET_FRAGMENTS : 1;
}

static uint8_t *put_ethernet(uint8_t *at, bool reverse, unsigned type)
{
    at = put32(put16(at, 0x0200), reverse ? 0xaa000001u : 0xbb000002u);
    at = put32(put16(at, 0x0200), reverse ? 0xbb000002u : 0xaa000001u);
    return put16(at, type);
}

static uint8_t *put_ip4(uint8_t *at, unsigned total, unsigned id, unsigned fragment, unsigned ttl,
                        unsigned protocol, const uint8_t *from, const uint8_t *to)
{
    uint8_t *start = at;

    at = put16(put16(at, 0x4500), total);
    at = put16(put16(at, id), fragment);
    at = put16(put8(put8(at, ttl), protocol), 0);
    memcpy(at, from, 4);
    memcpy(at + 4, to, 4);
    put16(start + 10, ~layer4_fold(layer4_sum(0, start, 20)) & 0xffff);
    return at + 8;
}

static uint8_t *put_ip6(uint8_t *at, unsigned behind, unsigned next, unsigned hop_limit,
                        uint32_t label, const uint8_t *from, const uint8_t *to)
{
    at = put32(at, 0x60000000u | label);
    at = put16(at, behind);
    at = put8(put8(at, next), hop_limit);
    memcpy(at, from, 16);
    memcpy(at + 16, to, 16);
    return at + 32;
}

static unsigned inner_extensions(const struct simulation *sim, const struct inner *inner)
{
    return (sim->scenario->extension ? 8u : 0) +
           (inner->fragment || sim->scenario->extension ? 8u : 0);
}

static unsigned inner_total(const struct simulation *sim, const struct inner *inner)
{
    return inner->l4.family == 6 ? 40 + inner_extensions(sim, inner) + inner->len : 20 + inner->len;
}

static uint8_t *put_inner6(const struct simulation *sim, const struct inner *inner, uint8_t *at)
{
    bool extension = sim->scenario->extension;
    unsigned next = inner->fragment ? 44 : extension ? 60 : inner->l4.protocol;
    unsigned behind = inner_extensions(sim, inner) + inner->len;

    at = put_ip6(at, behind, extension ? 0 : next, 64 - inner->hops, 0x12300u + inner->item->flow,
                 inner->l4.from, inner->l4.to);
    if (extension) /* hop-by-hop: padding alone */
        at = put32(put32(at, next << 24 | 0x000104), 0);
    if (inner->fragment) {
        at = put8(put8(at, inner->l4.protocol), 0);
        at = put16(at, inner->offset | inner->more_fragments);
        at = put32(at, inner->item->seq);
    } else if (extension) { /* destination options: padding */
        at = put32(put32(at, (uint32_t)inner->l4.protocol << 24 | 0x000104), 0);
    }
    return at;
}

static uint8_t *put_inner(const struct simulation *sim, const struct inner *inner, uint8_t *at)
{
    if (inner->l4.family == 6) {
        at = put_inner6(sim, inner, at);
    } else {
        unsigned fragment =
            inner->fragment ? inner->offset / 8 | (inner->more_fragments ? 0x2000u : 0) : 0x4000;
        uint8_t *start = at;

        at = put_ip4(at, inner_total(sim, inner), inner->item->id, fragment, 64 - inner->hops,
                     inner->l4.protocol, inner->l4.from, inner->l4.to);
        /* Congestion is marked on the way. */
        if (inner->hops > 0 && inner->item->seq % 16 == 0) {
            start[1] = 3;
            put16(start + 10, 0);
            put16(start + 10, ~layer4_fold(layer4_sum(0, start, 20)) & 0xffff);
        }
    }
    memcpy(at, inner->l4.data + inner->offset, inner->len);
    return at + inner->len;
}

/* ---- what stands around it ---- */

struct outer {
    unsigned tunnel; /* bytes of the tunnel's own header, UDP's included */
    unsigned protocol;
    bool bridged, ip6;
};

static struct outer outer_of(enum scenario_encap encap, bool inner6)
{
    switch (encap) {
    case ENCAP_VXLAN:
    case ENCAP_VXLAN_LINUX:
    case ENCAP_VLAN_VXLAN:
        return (struct outer){16, 17, true, false};
    case ENCAP_VXLAN_OVER_6:
        return (struct outer){16, 17, true, true};
    case ENCAP_GENEVE:
        return (struct outer){24, 17, true, false};
    case ENCAP_GRE:
        return (struct outer){4, 47, false, false};
    case ENCAP_GRE_KEY:
        return (struct outer){12, 47, false, false};
    case ENCAP_NVGRE:
        return (struct outer){8, 47, true, false};
    case ENCAP_IPIP:
        return (struct outer){0, inner6 ? 41 : 4, false, false};
    default:
        return (struct outer){0};
    }
}

static uint8_t *put_tunnel(enum scenario_encap encap, const struct inner *inner, unsigned type,
                           unsigned behind, uint8_t *at)
{
    bool geneve = encap == ENCAP_GENEVE;

    switch (encap) {
    case ENCAP_GRE:
        return put32(at, type);
    case ENCAP_GRE_KEY:
        return put32(put32(put32(at, 0x30000000u | type), 0x4711), inner->item->seq);
    case ENCAP_NVGRE:
        return put32(put32(at, 0x20000000u | TYPE_BRIDGED), 0x4711u << 8 | 7);
    case ENCAP_IPIP:
        return at;
    default:
        break;
    }
    at = put16(at, 49152 + inner->item->flow % 1000);
    at = put16(at, geneve ? 6081 : encap == ENCAP_VXLAN_LINUX ? 8472 : 4789);
    at = put16(put16(at, behind), 0);
    if (geneve) {
        at = put32(put32(at, 0x02000000u | TYPE_BRIDGED), 0x4711u << 8);
        return put32(put32(at, 0x01020301), inner->item->seq); /* an option of four bytes */
    }
    return put32(put32(at, 0x08000000), 0x4711u << 8);
}

static uint8_t *put_outer(const struct simulation *sim, enum scenario_encap encap,
                          const struct inner *inner, unsigned type, uint8_t *at)
{
    static const uint8_t a4[4] = {172, 16, 0, 1}, b4[4] = {172, 16, 0, 2};
    static const uint8_t a6[16] = {0xfd, 0xaa, [15] = 1}, b6[16] = {0xfd, 0xaa, [15] = 2};
    struct outer outer = outer_of(encap, inner->l4.family == 6);
    bool reverse = inner->item->flags & ITEM_REVERSE;
    unsigned behind = outer.tunnel + (outer.bridged ? 14 : 0) + inner_total(sim, inner);

    if (!outer.protocol)
        return at;
    if (outer.ip6)
        at = put_ip6(at, behind, outer.protocol, 64, 0, reverse ? b6 : a6, reverse ? a6 : b6);
    else
        at = put_ip4(at, 20 + behind, inner->item->seq * 7 & 0xffff, 0x4000, 64, outer.protocol,
                     reverse ? b4 : a4, reverse ? a4 : b4);
    at = put_tunnel(encap, inner, type, behind, at);
    return outer.bridged ? put_ethernet(at, reverse, type) : at;
}

static uint8_t *put_link(enum scenario_encap encap, bool reverse, unsigned type, uint8_t *at)
{
    switch (encap) {
    case ENCAP_COOKED:
        at = put16(put16(put16(at, reverse ? 0 : 4), 1), 6);
        at = put16(put32(put16(at, 0x0200), 0xaa000001u), 0);
        return put16(at, type);
    case ENCAP_COOKED2:
        at = put32(put16(put16(at, type), 0), 3);
        at = put8(put8(put16(at, 1), reverse ? 0 : 4), 6);
        return put16(put32(put16(at, 0x0200), 0xaa000001u), 0);
    case ENCAP_RAW:
        return at;
    case ENCAP_VLAN:
    case ENCAP_VLAN_VXLAN:
        return put16(put16(put_ethernet(at, reverse, TYPE_VLAN), 100), type);
    case ENCAP_QINQ:
        at = put16(put_ethernet(at, reverse, TYPE_QINQ), 200);
        return put16(put16(put16(at, TYPE_VLAN), 0x6064), type);
    default:
        return put_ethernet(at, reverse, type);
    }
}

unsigned packet_build(const struct simulation *sim, unsigned point, const struct sight *sight,
                      unsigned frame, uint8_t *buf)
{
    static uint8_t transport[PACKET_MAX];
    enum scenario_encap encap = sim->scenario->point[point].encap;
    struct inner inner = {.item = &sim->items[sight->item], .l4.data = transport};
    bool reverse = inner.item->flags & ITEM_REVERSE;
    unsigned type, outer_type;
    struct outer outer;
    uint8_t *at;

    layer4_build(sim, point, sight, &inner.l4);
    inner.hops = reverse ? sim->n_points - 1 - point : point;
    inner.len = inner.l4.len;
    if (packet_frames(sim, sight) > 1) {
        unsigned part = (inner.l4.len / PACKET_FRAGMENTS + 7) / 8 * 8;

        inner.fragment = true;
        inner.more_fragments = frame < PACKET_FRAGMENTS - 1;
        inner.offset = frame * part;
        inner.len = inner.more_fragments ? part : inner.l4.len - inner.offset;
    }
    type = inner.l4.family == 6 ? TYPE_IP6 : TYPE_IP4;
    outer = outer_of(encap, inner.l4.family == 6);
    outer_type = !outer.protocol ? type : outer.ip6 ? TYPE_IP6 : TYPE_IP4;
    at = put_link(encap, reverse, outer_type, buf);
    at = put_outer(sim, encap, &inner, type, at);
    at = put_inner(sim, &inner, at);
    return (unsigned)(at - buf);
}

unsigned packet_foreign(const struct simulation *sim, unsigned point, unsigned kind, uint8_t *buf)
{
    enum scenario_encap encap = sim->scenario->point[point].encap;
    uint8_t *at = buf;

    /* Without a link header only IP can stand there: one with a version that is none. */
    if (encap == ENCAP_RAW) {
        memset(at, 0x33, 40);
        return 40;
    }
    if (kind == FOREIGN_ARP) {
        at = put_link(encap, false, TYPE_ARP, at);
        at = put32(put32(at, 0x00010800), 0x06040001);
        memset(at, 0x0a, 20);
        return (unsigned)(at + 20 - buf);
    }
    if (kind == FOREIGN_LLDP) {
        at = put_link(encap, false, TYPE_LLDP, at);
        at = put32(put32(put8(at, 2), 0x07040200), 0xaa000001u);
        memset(at, 0, 40);
        return (unsigned)(at + 40 - buf);
    }
    at = put_link(encap, false, TYPE_IP4, at);
    memset(at, 0, 46);
    *at = 0x43; /* a header of 12 bytes */
    return (unsigned)(at + 46 - buf);
}
