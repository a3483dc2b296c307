/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/decode_layers.h"

enum {
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    TYPE_VLAN = 0x8100,     /* IEEE 802.1Q */
    TYPE_VLAN_OUT = 0x88a8, /* IEEE 802.1ad */
    TYPE_VLAN_OLD = 0x9100,
    TYPE_BRIDGED = 0x6558, /* an Ethernet frame in GRE or Geneve */
    IP_HOP_BY_HOP = 0,
    IP_IPIP = 4,
    IP_UDP = 17,
    IP_IPV6 = 41,
    IP_ROUTING = 43,
    IP_FRAGMENT = 44,
    IP_GRE = 47,
    IP_AH = 51,
    IP_DESTINATION = 60,
    IP_MOBILITY = 135,
    PORT_VXLAN = 4789,
    PORT_VXLAN_LINUX = 8472,
    PORT_GENEVE = 6081,
    IP_MORE_FRAGMENTS = 0x2000,
    IP_OFFSET = 0x1fff,
    ETHERNET_BYTES = 14,
    IPV6_BYTES = 40,
    UDP_BYTES = 8,
    GRE_CHECKSUM = 0x8000,
    GRE_ROUTING = 0x4000,
    GRE_KEY = 0x2000,
    GRE_SEQUENCE = 0x1000,
    GRE_VERSION = 7,
    COOKED_OUTGOING = 4,
};

/* Bytes from here to the end of the frame as it was, not as it was captured. */
static uint32_t wire_left(const struct frame *frame, const uint8_t *at)
{
    uint32_t offset = (uint32_t)(at - frame->data);
    uint32_t whole = frame->wire_len > frame->n ? frame->wire_len : frame->n;

    return whole - offset;
}

/* Tags behind an EtherType. */
static enum decode_result layers_tags(struct cursor *c, uint16_t *type)
{
    for (unsigned n = 0; *type == TYPE_VLAN || *type == TYPE_VLAN_OUT || *type == TYPE_VLAN_OLD;
         n++) {
        const uint8_t *tag = cursor_take(c, 4);

        if (!tag)
            return DECODE_SHORT;
        if (n == LAYERS_MAX_TAGS)
            return DECODE_BAD;
        *type = cursor_be16(tag + 2);
    }
    return DECODE_OK;
}

static enum decode_result layers_ethernet(struct cursor *c, uint16_t *ret_type)
{
    const uint8_t *header = cursor_take(c, ETHERNET_BYTES);

    if (!header)
        return DECODE_SHORT;
    *ret_type = cursor_be16(header + 12);
    return layers_tags(c, ret_type);
}

/* RFC 791 */
static enum decode_result layers_ipv4(const struct frame *frame, struct cursor *c, struct layers *l)
{
    const uint8_t *ip = c->at;
    uint32_t header, total;
    uint16_t fragment;

    if (cursor_left(c) < 20)
        return DECODE_SHORT;
    header = (ip[0] & 15U) * 4;
    total = cursor_be16(ip + 2);
    if (ip[0] >> 4 != 4 || header < 20)
        return DECODE_BAD;
    /* Linux writes no length where it does not fit: what is larger than 64 KiB, before it is segmented. */
    if (total == 0)
        total = wire_left(frame, ip);
    if (total < header)
        return DECODE_BAD;
    cursor_limit(c, total);
    if (!cursor_take(c, header))
        return DECODE_SHORT;
    fragment = cursor_be16(ip + 6);
    if (fragment & IP_OFFSET)
        return DECODE_FRAGMENT;
    l->first_fragment = fragment & IP_MORE_FRAGMENTS;
    l->family = 4;
    l->n_address = 4;
    l->from = ip + 12;
    l->to = ip + 16;
    l->id = cursor_be16(ip + 4);
    l->protocol = ip[9];
    l->l4_len = total - header;
    return DECODE_OK;
}

/* RFC 4302: of IPv4 and IPv6; the length is in words of 4, less 2. */
static enum decode_result layers_authentication(struct cursor *c, struct layers *l)
{
    const uint8_t *ah = c->at;
    uint32_t n;

    if (cursor_left(c) < 12)
        return DECODE_SHORT;
    n = (ah[1] + 2U) * 4;
    if (n < 12 || l->l4_len < n)
        return DECODE_BAD;
    if (!cursor_take(c, n))
        return DECODE_SHORT;
    l->protocol = ah[0];
    l->l4_len -= n;
    return DECODE_OK;
}

static enum decode_result layers_extension(struct cursor *c, struct layers *l)
{
    const uint8_t *header = c->at;
    uint32_t n;

    if (cursor_left(c) < 8)
        return DECODE_SHORT;
    n = l->protocol == IP_FRAGMENT ? 8 : (header[1] + 1U) * 8;
    if (l->l4_len < n)
        return DECODE_BAD;
    if (l->protocol == IP_FRAGMENT) {
        uint16_t fragment = cursor_be16(header + 2);

        if (fragment & 0xfff8)
            return DECODE_FRAGMENT;
        l->first_fragment = fragment & 1;
    }
    if (!cursor_take(c, n))
        return DECODE_SHORT;
    l->protocol = header[0];
    l->l4_len -= n;
    return DECODE_OK;
}

/* RFC 8200 */
static enum decode_result layers_ipv6(const struct frame *frame, struct cursor *c, struct layers *l)
{
    const uint8_t *ip = cursor_take(c, IPV6_BYTES);

    if (!ip)
        return DECODE_SHORT;
    if (ip[0] >> 4 != 6)
        return DECODE_BAD;
    /* 0: a jumbogram, RFC 2675; on Linux what was not segmented yet. */
    l->l4_len = cursor_be16(ip + 4);
    if (l->l4_len == 0)
        l->l4_len = wire_left(frame, c->at);
    cursor_limit(c, l->l4_len);
    l->first_fragment = false;
    l->family = 6;
    l->n_address = 16;
    l->from = ip + 8;
    l->to = ip + 24;
    l->id = 0;
    l->protocol = ip[6];
    return DECODE_OK;
}

static enum decode_result layers_extensions(struct cursor *c, struct layers *l)
{
    for (unsigned n = 0; n < LAYERS_MAX_EXTENSIONS; n++) {
        enum decode_result r;

        if (l->protocol == IP_AH)
            r = layers_authentication(c, l);
        else if (l->family == 6 && (l->protocol == IP_HOP_BY_HOP || l->protocol == IP_ROUTING ||
                                    l->protocol == IP_FRAGMENT || l->protocol == IP_DESTINATION ||
                                    l->protocol == IP_MOBILITY))
            r = layers_extension(c, l);
        else
            return DECODE_OK;
        if (r != DECODE_OK)
            return r;
    }
    return DECODE_BAD;
}

/* GRE and NVGRE, RFC 2784, 2890, 7637: what is inside; 0 it is not for us to open. */
static uint16_t layers_gre(struct cursor *c)
{
    struct cursor inner = *c;
    const uint8_t *gre = cursor_take(&inner, 4);
    uint16_t flags;
    size_t more;

    if (!gre)
        return 0;
    flags = cursor_be16(gre);
    if (flags & (GRE_VERSION | GRE_ROUTING))
        return 0;
    more = (flags & GRE_CHECKSUM ? 4U : 0U) + (flags & GRE_KEY ? 4U : 0U) +
           (flags & GRE_SEQUENCE ? 4U : 0U);
    if (!cursor_take(&inner, more))
        return 0;
    *c = inner;
    return cursor_be16(gre + 2);
}

/* VXLAN, RFC 7348, and Geneve, RFC 8926, told by their port and looked at before they are believed. */
static uint16_t layers_udp_tunnel(struct cursor *c)
{
    struct cursor inner = *c;
    const uint8_t *udp = cursor_take(&inner, UDP_BYTES), *tunnel;
    uint16_t port;

    if (!udp)
        return 0;
    port = cursor_be16(udp + 2);
    if (port != PORT_VXLAN && port != PORT_VXLAN_LINUX && port != PORT_GENEVE)
        return 0;
    tunnel = cursor_take(&inner, 8);
    if (!tunnel)
        return 0;
    if (port != PORT_GENEVE) {
        if (!(tunnel[0] & 8) || tunnel[7] != 0)
            return 0;
        *c = inner;
        return TYPE_BRIDGED;
    }
    if (tunnel[0] >> 6 != 0 || !cursor_take(&inner, (tunnel[0] & 0x3fU) * 4))
        return 0;
    *c = inner;
    return cursor_be16(tunnel + 2);
}

/* What a packet carries as an EtherType; 0 it is the innermost. */
static uint16_t layers_inside(struct cursor *c, const struct layers *l)
{
    switch (l->protocol) {
    case IP_IPIP:
        return TYPE_IPV4;
    case IP_IPV6:
        return TYPE_IPV6;
    case IP_GRE:
        return layers_gre(c);
    case IP_UDP:
        return layers_udp_tunnel(c);
    default:
        return 0;
    }
}

/* From an EtherType down to the innermost IP. */
static enum decode_result layers_down(const struct frame *frame, struct cursor *c, uint16_t type,
                                      struct layers *l)
{
    for (unsigned depth = 0; depth < LAYERS_MAX_DEPTH; depth++) {
        enum decode_result r;
        uint16_t inside;

        if (type == TYPE_BRIDGED) {
            r = layers_ethernet(c, &type);
            if (r != DECODE_OK)
                return r;
        }
        if (type == TYPE_IPV4)
            r = layers_ipv4(frame, c, l);
        else if (type == TYPE_IPV6)
            r = layers_ipv6(frame, c, l);
        else
            return DECODE_NOT_IP;
        if (r == DECODE_OK && (l->family == 6 || l->protocol == IP_AH))
            r = layers_extensions(c, l);
        if (r != DECODE_OK)
            return r;
        l->l4 = *c;
        inside = layers_inside(c, l);
        /* Something that is no IP and no Ethernet, in GRE: the packet that carries it is the innermost. */
        if (inside != TYPE_IPV4 && inside != TYPE_IPV6 && inside != TYPE_BRIDGED)
            return DECODE_OK;
        type = inside;
    }
    return DECODE_BAD;
}

static enum decode_result layers_raw(const struct cursor *c, uint16_t *ret_type)
{
    if (cursor_left(c) < 1)
        return DECODE_SHORT;
    *ret_type = c->at[0] >> 4 == 4 ? TYPE_IPV4 : c->at[0] >> 4 == 6 ? TYPE_IPV6 : 0;
    return *ret_type ? DECODE_OK : DECODE_NOT_IP;
}

/* BSD's loopback: an address family in the order of the machine that captured, or of the network. What follows tells it, too. */
static enum decode_result layers_loopback(struct cursor *c, uint16_t *ret_type)
{
    return cursor_take(c, 4) ? layers_raw(c, ret_type) : DECODE_SHORT;
}

/* LINUX_SLL: type, link type, address, protocol in 16 bytes; LINUX_SLL2: protocol first, type at 10, in 20. */
static enum decode_result layers_cooked(struct cursor *c, unsigned n, unsigned protocol_at,
                                        unsigned kind_at, unsigned kind_bytes, uint16_t *ret_type,
                                        bool *ret_outgoing)
{
    const uint8_t *header = cursor_take(c, n);

    if (!header)
        return DECODE_SHORT;
    *ret_outgoing = header[kind_at + kind_bytes - 1] == COOKED_OUTGOING;
    *ret_type = cursor_be16(header + protocol_at);
    return layers_tags(c, ret_type);
}

enum decode_result decode_layers(const struct frame *frame, struct layers *ret_layers)
{
    struct cursor c = {frame->data, frame->data + frame->n};
    enum decode_result r;
    uint16_t type = 0;

    ret_layers->outgoing = frame->outgoing == 1;
    switch (frame->link) {
    case DECODE_ETHERNET:
        r = layers_ethernet(&c, &type);
        break;
    case DECODE_COOKED:
        r = layers_cooked(&c, 16, 14, 0, 2, &type, &ret_layers->outgoing);
        break;
    case DECODE_COOKED2:
        r = layers_cooked(&c, 20, 0, 10, 1, &type, &ret_layers->outgoing);
        break;
    case DECODE_RAW:
    case DECODE_RAW_OLD:
    case DECODE_RAW_BSD:
    case DECODE_IPV4:
    case DECODE_IPV6:
        r = layers_raw(&c, &type);
        break;
    case DECODE_NULL:
    case DECODE_LOOP:
        r = layers_loopback(&c, &type);
        break;
    default:
        return DECODE_LINK;
    }
    return r == DECODE_OK ? layers_down(frame, &c, type, ret_layers) : r;
}
