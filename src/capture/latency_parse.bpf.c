/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A packet's key, for latency.bpf.c alone, which it is a part of: Ethernet and VLAN, IPv4 and IPv6, one tunnel, then
 * TCP or what has no positions. Read straight from the buffer's head.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include "capture/latency_shared.h"

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NTOHS(x) __builtin_bswap16(x)
#define NTOHL(x) __builtin_bswap32(x)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#undef NTOHS
#undef NTOHL
#define NTOHS(x) (x)
#define NTOHL(x) (x)
#endif

#define CONSTANT(number)                                                                           \
    __extension__({                                                                                \
        __u64 constant_;                                                                           \
        asm volatile("%0 = %1 ll" : "=r"(constant_) : "i"((LATENCY_CONSTANT) + (number)));         \
        constant_;                                                                                 \
    })

/*
 * A number is made unknown to the verifier, which follows each value that it knows on a way of its own: without this the ways
 * through optional headers multiply beyond what it is ready to walk. A pointer's distance to itself is never known.
 */
#define FORGET(number, pointer) asm volatile("%0 += %1\n\t%0 -= %1" : "+r"(number) : "r"(pointer))

enum parsed { PARSED_OK, PARSED_NOT, PARSED_FRAGMENT, PARSED_OTHER, PARSED_SHORT };

enum {
    TCP = 6,
    UDP = 17,
    ICMP = 1,
    ICMP6 = 58,
    SCTP = 132,
    IPIP = 4,
    IP6IP = 41,
    GRE = 47,
    ETH_IP = 0x0800,
    ETH_IP6 = 0x86dd,
    ETH_VLAN = 0x8100,
    ETH_QINQ = 0x88a8,
    ETH_BRIDGED = 0x6558,
    PORT_VXLAN = 4789,
    PORT_VXLAN_OLD = 8472,
    PORT_GENEVE = 6081,
    TCP_SYN = 2,
    TCP_KEPT = 0x3f, /* ECE and CWR may be changed on the way */
    UDP_BYTES = 32,
    PULLED = 192
};

struct key {
    __u64 base; /* without position */
    __u64 flow;
    __u32 pos;
    __u32 len;
    __u16 id;
    __u16 tcp;
};

static long (*const skb_pull_data)(struct __sk_buff *skb,
                                   __u32 len) = (void *)BPF_FUNC_skb_pull_data;

INLINE int parse_plain(struct __sk_buff *skb, struct key *k, enum parsed *ret);
APART enum parsed parse(struct __sk_buff *skb, struct key *k);
INLINE int match(const struct key *k, enum parsed parsed);

/* Comes first: a filter that the loader puts in front runs into it. Always "go on": tcx's next and clsact's unspec. */
SECTION("programs") int latency(struct __sk_buff *skb)
{
    struct key k = {};
    enum parsed parsed;

    if (!LIKELY(parse_plain(skb, &k, &parsed)))
        parsed = parse(skb, &k);
    /* What was asked for is in a page behind the head of the buffer. */
    if (UNLIKELY(parsed == PARSED_SHORT)) {
        __u32 n = skb->len < PULLED ? skb->len : PULLED;

        parsed = PARSED_NOT;
        if (skb_pull_data(skb, n) == 0)
            parsed = parse(skb, &k);
    }
    match(&k, parsed);
    return -1;
}

INLINE __u64 mix(__u64 h, __u64 word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
    return h ^ (h >> 32);
}

/* Packet bytes lie at any address; the machines that have BPF read them so. */
#define U64(p) (*(__u64 *)(p))
#define U32(p) (*(__u32 *)(p))
#define U16(p) (*(__u16 *)(p))
#define U8(p) (*(__u8 *)(p))

/* Multiplications that do not wait for each other. */
INLINE __u64 mix4(__u64 h, __u64 a, __u64 b, __u64 c, __u64 d)
{
    h = (h ^ a) * 0x9e3779b97f4a7c15ULL + (b ^ 0x2545f4914f6cdd1dULL) * 0xbf58476d1ce4e5b9ULL +
        (c ^ 0x5851f42d4c957f2dULL) * 0x94d049bb133111ebULL +
        (d ^ 0x14057b7ef767814fULL) * 0xd6e8feb86659fd93ULL;
    return h ^ (h >> 32);
}

struct layer {
    __u8 *data;    /* where the frame begins */
    __u8 *p;       /* what is next */
    __u64 address; /* hash of both */
    __u32 len;     /* from p on */
    __u32 id;
    __u16 ethertype;
    __u8 protocol;
};

/* On to p, which is at most so far in as a head may reach. */
INLINE void layer_move(struct layer *l, __u8 *p)
{
    __u64 at = (__u64)(p - l->data) & 0x3ff;

    FORGET(at, l->data);
    l->p = l->data + (at & 0x3ff);
}

/* Where len has the bit n: n bytes more into the hash, and on behind them. 0 they are not there. */
INLINE int hash_step(struct layer *l, void *end, __u32 len, __u32 n, __u64 *h)
{
    __u8 *p = l->p;

    if (len & n) {
        if ((void *)(p + n) > end)
            return 0;
#pragma unroll
        for (__u32 i = 0; i + 8 <= n; i += 8)
            *h = mix(*h, U64(p + i));
        if (n < 8)
            *h = mix(*h, n == 4 ? U32(p) : n == 2 ? U16(p) : U8(p));
        p += n;
    }
    layer_move(l, p);
    return 1;
}

/* The first bytes of a payload of len; of a short one its two ends, which may lie over each other. */
INLINE enum parsed hash_payload(struct layer *l, void *end, __u32 len, __u64 *h)
{
    __u8 *p = l->p;

    if (len >= UDP_BYTES) {
        if ((void *)(p + UDP_BYTES) > end)
            return PARSED_SHORT;
        *h = mix4(*h, U64(p), U64(p + 8), U64(p + 16), U64(p + 24));
        return PARSED_OK;
    }
    if (len >= 8) {
        __u8 *second = p, *third = p, *tail = p + ((len - 8) & 31);

        if (len > 16) {
            second = p + 8;
            third = p + ((len - 16) & 15);
        }
        if ((void *)(p + 16) > end || (void *)(third + 8) > end || (void *)(tail + 8) > end) {
            if (len >= 16 || (void *)(p + 8) > end || (void *)(tail + 8) > end)
                return PARSED_SHORT;
            second = third = p;
        }
        *h = mix4(*h, U64(p), U64(second), U64(third), U64(tail));
        return PARSED_OK;
    }
    return hash_step(l, end, len, 4, h) && hash_step(l, end, len, 2, h) &&
                   hash_step(l, end, len, 1, h)
               ? PARSED_OK
               : PARSED_SHORT;
}

/* Options of TCP whole: time stamps and SACK are in them, and merging wants them equal. */
INLINE enum parsed hash_options(struct layer *l, void *end, __u32 len, __u64 *h)
{
    return hash_step(l, end, len, 32, h) && hash_step(l, end, len, 16, h) &&
                   hash_step(l, end, len, 8, h) && hash_step(l, end, len, 4, h)
               ? PARSED_OK
               : PARSED_SHORT;
}

/* What decisions left of them. */
INLINE void layer_forget(struct layer *l)
{
    __u64 len = l->len & 0xfffff, id = l->id & 0xffff, protocol = l->protocol,
          ethertype = l->ethertype;

    FORGET(len, l->data);
    FORGET(id, l->data);
    FORGET(protocol, l->data);
    FORGET(ethertype, l->data);
    l->len = len & 0xfffff;
    l->id = id & 0xffff;
    l->protocol = protocol & 0xff;
    l->ethertype = ethertype & 0xffff;
}

/* Up to two tags in the frame; one that the interface took out is in the buffer's own field, and of no interest. */
INLINE enum parsed parse_ethernet(struct layer *l, void *end)
{
    if ((void *)(l->p + 14) > end)
        return PARSED_SHORT;
    l->ethertype = NTOHS(U16(l->p + 12));
    l->p += 14;
    if (UNLIKELY(l->ethertype == ETH_VLAN || l->ethertype == ETH_QINQ)) {
        if ((void *)(l->p + 4) > end)
            return PARSED_SHORT;
        l->ethertype = NTOHS(U16(l->p + 2));
        l->p += 4;
        if (l->ethertype == ETH_VLAN) {
            if ((void *)(l->p + 4) > end)
                return PARSED_SHORT;
            l->ethertype = NTOHS(U16(l->p + 2));
            l->p += 4;
        }
    }
    return PARSED_OK;
}

INLINE enum parsed parse_ip4(struct layer *l, void *end, __u32 frame_left)
{
    __u8 *p = l->p;
    __u32 head, total;

    if ((void *)(p + 20) > end)
        return PARSED_SHORT;
    if ((U8(p) & 0xf0) != 0x40)
        return PARSED_NOT;
    head = (U8(p) & 15) * 4;
    total = NTOHS(U16(p + 2));
    /* Large segments have none (BIG TCP). */
    if (total == 0)
        total = frame_left;
    if (head < 20 || total < head)
        return PARSED_NOT;
    if (U16(p + 6) & NTOHS(0x1fff))
        return PARSED_FRAGMENT;
    l->id = U16(p + 4);
    l->protocol = U8(p + 9);
    l->address = mix(0x1234, U64(p + 12));
    l->len = total - head;
    layer_move(l, p + head);
    return PARSED_OK;
}

/* One extension header; protocol is what comes next. */
INLINE enum parsed parse_extension(struct layer *l, void *end)
{
    __u32 len;

    if (LIKELY(l->protocol != 0 && l->protocol != 43 && l->protocol != 60 && l->protocol != 44 &&
               l->protocol != 51))
        return PARSED_OK;
    if ((void *)(l->p + 8) > end)
        return PARSED_SHORT;
    len = (U8(l->p + 1) + 1) * 8;
    if (l->protocol == 44) {
        if (U16(l->p + 2) & NTOHS(0xfff8))
            return PARSED_FRAGMENT;
        l->id = U32(l->p + 4);
        len = 8;
    } else if (l->protocol == 51) {
        len = (U8(l->p + 1) + 2) * 4;
    }
    l->protocol = U8(l->p);
    if (len > l->len)
        return PARSED_NOT;
    l->len -= len;
    layer_move(l, l->p + len);
    layer_forget(l);
    return PARSED_OK;
}

INLINE enum parsed parse_ip6(struct layer *l, void *end, __u32 frame_left)
{
    enum parsed r;
    __u8 *p = l->p;

    if ((void *)(p + 40) > end)
        return PARSED_SHORT;
    if ((U8(p) & 0xf0) != 0x60)
        return PARSED_NOT;
    l->protocol = U8(p + 6);
    l->id = 0;
    l->address = mix(mix(mix(mix(0x1236, U64(p + 8)), U64(p + 16)), U64(p + 24)), U64(p + 32));
    l->len = NTOHS(U16(p + 4));
    if (l->len == 0)
        l->len = frame_left < 40 ? 0 : frame_left - 40;
    l->p += 40;
    r = parse_extension(l, end);
    if (r == PARSED_OK)
        r = parse_extension(l, end);
    return r == PARSED_OK ? parse_extension(l, end) : r;
}

INLINE enum parsed parse_ip(struct layer *l, void *end, struct __sk_buff *skb)
{
    __u32 left = skb->len - (__u32)(__u64)(l->p - (__u8 *)(__u64)skb->data);

    if (LIKELY(l->ethertype == ETH_IP))
        return parse_ip4(l, end, left);
    if (l->ethertype == ETH_IP6)
        return parse_ip6(l, end, left);
    return PARSED_NOT;
}

/* Behind a tunnel's header, when this is one: 1, and l stands before an IP header; 0 no tunnel. */
INLINE int enter_tunnel(struct layer *l, void *end, enum parsed *ret_bad)
{
    int ethernet = 0;

    *ret_bad = PARSED_SHORT;
    if (l->protocol == UDP) {
        __u16 port;
        __u32 options;

        if ((void *)(l->p + 16) > end)
            return 0;
        port = NTOHS(U16(l->p + 2));
        if (LIKELY(port != PORT_VXLAN && port != PORT_VXLAN_OLD && port != PORT_GENEVE))
            return 0;
        if (port == PORT_GENEVE) {
            options = (U8(l->p + 8) & 0x3f) * 4;
            l->ethertype = NTOHS(U16(l->p + 10));
            if ((U8(l->p + 8) & 0xc0) != 0)
                return 0;
            ethernet = l->ethertype == ETH_BRIDGED;
            l->p += 16;
            l->p += options;
        } else {
            if (!(U8(l->p + 8) & 8))
                return 0;
            ethernet = 1;
            l->p += 16;
        }
    } else if (l->protocol == GRE) {
        __u16 flags;

        if ((void *)(l->p + 4) > end)
            return -1;
        flags = NTOHS(U16(l->p));
        l->ethertype = NTOHS(U16(l->p + 2));
        if (flags & 0x4fff) /* routing or another version: not ours to read */
            return 0;
        ethernet = l->ethertype == ETH_BRIDGED;
        if (!ethernet && l->ethertype != ETH_IP && l->ethertype != ETH_IP6)
            return 0;
        l->p += 4;
        if (flags & 0x8000)
            l->p += 4;
        if (flags & 0x2000)
            l->p += 4;
        if (flags & 0x1000)
            l->p += 4;
    } else if (l->protocol == IPIP) {
        l->ethertype = ETH_IP;
    } else if (l->protocol == IP6IP) {
        l->ethertype = ETH_IP6;
    } else {
        return 0;
    }
    if (ethernet) {
        *ret_bad = parse_ethernet(l, end);
        if (*ret_bad != PARSED_OK)
            return -1;
    }
    return 1;
}

/* Ports by the options, in either place. */
INLINE int selected(__u32 protocol, __u32 ports)
{
    __u32 want = CONSTANT(LATENCY_PROTOCOL), port = CONSTANT(LATENCY_PORT);

    if (want != 0 && want != protocol)
        return 0;
    return port == 0 || NTOHS((__u16)ports) == port || NTOHS((__u16)(ports >> 16)) == port;
}

INLINE enum parsed key_tcp(struct layer *l, void *end, struct key *k)
{
    __u64 nat = CONSTANT(LATENCY_NAT), h = TCP, flow;
    __u8 *p = l->p;
    __u32 head, flags;

    if ((void *)(p + 20) > end)
        return PARSED_SHORT;
    if (!selected(TCP, U32(p)))
        return PARSED_OTHER;
    head = (U8(p + 12) >> 4) * 4;
    flags = U8(p + 13) & TCP_KEPT;
    if (head < 20 || head > l->len)
        return PARSED_NOT;
    flow = mix(l->address, (__u64)U32(p) << 8 | TCP);
    if (!nat)
        h = flow;
    h = mix(h, U32(p + 8));
    k->flow = flow;
    k->tcp = 1;
    k->id = (__u16)l->id;
    k->pos = NTOHL(U32(p + 4));
    k->len = l->len - head;
    if (k->len == 0)
        h = mix(h, (__u64)U16(p + 14) << 8 | flags);
    k->base = h;
    /* Clamping on the way changes a SYN's options. */
    if (flags & TCP_SYN)
        return PARSED_OK;
    layer_move(l, p + 20);
    return hash_options(l, end, head - 20, &k->base);
}

INLINE enum parsed key_udp(struct layer *l, void *end, struct key *k)
{
    __u32 said, ports;
    __u8 *p = l->p;

    if ((void *)(p + 8) > end)
        return PARSED_SHORT;
    ports = U32(p);
    if (!selected(UDP, ports))
        return PARSED_OTHER;
    said = NTOHS(U16(p + 4));
    if (l->len < 8)
        return PARSED_NOT;
    /* Padding behind it is not payload; large ones say 0. */
    if (said < 8 || said > l->len)
        said = l->len;
    k->flow = mix(l->address, (__u64)ports << 8 | UDP);
    k->base = mix(CONSTANT(LATENCY_NAT) ? UDP : k->flow, l->id);
    k->len = said - 8;
    l->p = p + 8;
    return hash_payload(l, end, k->len, &k->base);
}

/* All that have no positions: what stands behind the ports tells one from another. */
INLINE enum parsed key_other(struct layer *l, void *end, struct key *k)
{
    __u64 nat = CONSTANT(LATENCY_NAT);
    __u32 head = 8, ports = 0, kept = 0, len = l->len;
    __u8 *p = l->p;

    if (l->protocol == SCTP)
        head = 12;
    if (len < 8) {
        if (!selected(l->protocol, 0))
            return PARSED_OTHER;
        if (l->protocol == ICMP || l->protocol == ICMP6)
            return PARSED_NOT;
        head = 0;
    } else if (l->protocol == ICMP || l->protocol == ICMP6 || l->protocol == SCTP) {
        if ((void *)(p + 8) > end)
            return PARSED_SHORT;
        ports = U32(p);
        if (l->protocol == SCTP) {
            kept = U32(p + 4);
            if (len < 12)
                return PARSED_NOT;
        } else {
            /* Type and code are the packet's own, the identifier is a port. */
            kept = U16(p) << 16 | U16(p + 6);
            ports = U16(p + 4);
        }
        if (!selected(l->protocol, l->protocol == SCTP ? ports : 0))
            return PARSED_OTHER;
    } else {
        if (!selected(l->protocol, 0))
            return PARSED_OTHER;
        head = 0;
    }
    k->flow = mix(l->address, (__u64)ports << 8 | l->protocol);
    k->base = mix(nat ? l->protocol : k->flow, (__u64)kept << 32 | l->id);
    k->tcp = 0;
    k->id = 0;
    k->pos = 0;
    k->len = len - head;
    layer_move(l, p + head);
    return hash_payload(l, end, k->len, &k->base);
}

/*
 * What nearly all packets are, at offsets that do not vary: IPv4 without options in bare Ethernet, whole, TCP or UDP and no
 * tunnel. Not one answer is another than the long way's; but that way is several cache lines of instructions longer, and
 * those are fetched anew for each packet. 0 it is something else.
 */
INLINE int parse_plain(struct __sk_buff *skb, struct key *k, enum parsed *ret)
{
    __u8 *data = (__u8 *)(__u64)skb->data;
    void *end = (void *)(__u64)skb->data_end;
    struct layer l = {.data = data, .p = data + 34};
    __u32 port;

    if (CONSTANT(LATENCY_RAW) || (void *)(data + 42) > end)
        return 0;
    if (U16(data + 12) != NTOHS(ETH_IP) || U8(data + 14) != 0x45 ||
        (U16(data + 20) & NTOHS(0x3fff)))
        return 0;
    l.len = NTOHS(U16(data + 16)) - 20;
    if (l.len >= 0x10000 - 20) /* it says 0 */
        return 0;
    l.id = U16(data + 18);
    l.address = mix(0x1234, U64(data + 26));
    if (U8(data + 23) == TCP) {
        *ret = key_tcp(&l, end, k);
        return 1;
    }
    port = NTOHS(U16(data + 36));
    if (U8(data + 23) != UDP || port == PORT_VXLAN || port == PORT_VXLAN_OLD || port == PORT_GENEVE)
        return 0;
    *ret = key_udp(&l, end, k);
    return 1;
}

SECTION("programs") APART enum parsed parse(struct __sk_buff *skb, struct key *k)
{
    void *end = (void *)(__u64)skb->data_end;
    struct layer l = {.data = (__u8 *)(__u64)skb->data, .p = (__u8 *)(__u64)skb->data};
    enum parsed r;
    int in;

    k->base = k->flow = 0;
    k->pos = k->len = 0;
    k->id = k->tcp = 0;
    if (CONSTANT(LATENCY_RAW)) {
        l.ethertype = NTOHS((__u16)skb->protocol);
    } else {
        r = parse_ethernet(&l, end);
        if (r != PARSED_OK)
            return r;
    }
    layer_move(&l, l.p);
    layer_forget(&l);
    r = parse_ip(&l, end, skb);
    if (r != PARSED_OK)
        return r;
    layer_move(&l, l.p);
    layer_forget(&l);
    in = enter_tunnel(&l, end, &r);
    if (UNLIKELY(in < 0))
        return r;
    if (UNLIKELY(in > 0)) {
        layer_move(&l, l.p);
        layer_forget(&l);
        r = parse_ip(&l, end, skb);
        if (r != PARSED_OK)
            return r;
        layer_move(&l, l.p);
        layer_forget(&l);
    }
    if (l.protocol == TCP)
        return key_tcp(&l, end, k);
    return l.protocol == UDP ? key_udp(&l, end, k) : key_other(&l, end, k);
}
