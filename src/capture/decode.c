/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/decode.h"

#include "capture/cursor.h"
#include "capture/decode_layers.h"

enum {
    IP_ICMP = 1,
    IP_TCP = 6,
    IP_UDP = 17,
    IP_ICMPV6 = 58,
    IP_SCTP = 132,
    TCP_FLAGS = 0x3f, /* URG ACK PSH RST SYN FIN */
    TCP_SYN = 2,
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_SACK = 5,
    OPTION_TIMES = 8,
    TCP_BYTES = 20,
    UDP_BYTES = 8,
    ICMP_BYTES = 8,
    SCTP_BYTES = 12,
    ICMP_POS_BYTES = 24,
};

/* NOP NOP TIMES 10: how nearly every segment begins its options. */
static const uint32_t usual_options = 0x0101080a;

static uint64_t hash_mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
    return h ^ h >> 32;
}

static uint64_t hash_bytes(uint64_t h, const uint8_t *bytes, size_t n)
{
    uint8_t last[8] = {0};

    h = hash_mix(h, n);
    for (; n >= 8; bytes += 8, n -= 8)
        h = hash_mix(h, cursor_word(bytes));
    if (n == 0)
        return h;
    memcpy(last, bytes, n);
    return hash_mix(h, cursor_word(last));
}

/* Never 0: no ID is told from any. */
static uint64_t hash_id(uint16_t id) { return hash_mix(0x6a09e667f3bcc909ULL, id); }

uint64_t decode_step_id(uint64_t base, uint16_t from, uint16_t to)
{
    return base ^ (from ? hash_id(from) : 0) ^ (to ? hash_id(to) : 0);
}

uint32_t decode_payload_pos(const uint8_t *payload, uint32_t n)
{
    return (uint32_t)(hash_bytes(0xbb67ae8584caa73bULL, payload,
                                 n < DECODE_POS_BYTES ? n : DECODE_POS_BYTES) >>
                      16);
}

/* With what is known of a usual frame beforehand the compiler leaves out most of the rest: hence in place. */
#define IN_PLACE static inline __attribute__((always_inline))

IN_PLACE uint64_t hash_end(const uint8_t *address, uint8_t n_address, uint16_t port)
{
    if (n_address == 4)
        return (uint64_t)cursor_be32(address) << 16 | port;
    return hash_mix(hash_mix(port, cursor_word(address)), cursor_word(address + 8));
}

/* Both directions hash alike but for the lowest bit. */
IN_PLACE uint64_t hash_flow(const struct layers *l, uint16_t from_port, uint16_t to_port)
{
    uint64_t from = hash_end(l->from, l->n_address, from_port);
    uint64_t to = hash_end(l->to, l->n_address, to_port);
    uint64_t low = from < to ? from : to, high = from < to ? to : from;
    uint64_t h = hash_mix(hash_mix(low ^ (uint64_t)l->protocol << 56 ^ (uint64_t)l->family << 48,
                                   0x3c6ef372fe94f82bULL),
                          high);

    return (h & ~1ULL) | (from > to);
}

/* What both kinds of base have in common is in nat; the base proper is of the flow too. */
IN_PLACE void key_set(struct seen *seen, uint64_t nat, uint64_t flow, uint64_t mixed_id)
{
    seen->base_nat = nat ^ mixed_id;
    seen->base = hash_mix(nat, flow) ^ mixed_id;
    /* 0 and 1 are for nobody. */
    seen->flow = (uint32_t)flow < 2 ? (uint32_t)flow | 2 : (uint32_t)flow;
}

/* Times, and SACK blocks; the rest (MSS, window scale) is only in a SYN, and routers change it. */
static uint64_t hash_options(uint64_t h, const uint8_t *option, const uint8_t *end)
{
    while (option < end && *option != OPTION_END) {
        ptrdiff_t n;

        if (*option == OPTION_NOP) {
            option++;
            continue;
        }
        if (end - option < 2 || option[1] < 2 || end - option < option[1])
            break;
        n = option[1];
        if (*option == OPTION_TIMES && n == 10)
            h = hash_mix(h, cursor_word(option + 2));
        else if (*option == OPTION_SACK)
            h = hash_bytes(h, option, (size_t)n);
        option += n;
    }
    return h;
}

/* RFC 9293 */
IN_PLACE enum decode_result key_tcp(const struct layers *l, struct seen *seen,
                                    struct cursor *payload)
{
    const uint8_t *tcp = payload->at;
    uint32_t header;
    uint64_t nat, mixed_id = 0;

    if (cursor_left(payload) < TCP_BYTES)
        return DECODE_SHORT;
    header = (tcp[12] >> 4) * 4U;
    if (header < TCP_BYTES || l->l4_len < header)
        return DECODE_BAD;
    if (!cursor_take(payload, header))
        return DECODE_SHORT;
    seen->len = l->l4_len - header;
    seen->pos = cursor_be32(tcp + 4);
    seen->flags |= SEEN_TCP;
    nat = cursor_be32(tcp + 8) | (uint64_t)IP_TCP << 32;
    if (header == TCP_BYTES + 12 && cursor_be32(tcp + TCP_BYTES) == usual_options &&
        !(tcp[13] & TCP_SYN))
        nat = hash_mix(nat, cursor_word(tcp + TCP_BYTES + 4));
    else if (!(tcp[13] & TCP_SYN))
        nat = hash_options(nat, tcp + TCP_BYTES, tcp + header);
    /* Merging changes flags and window, and makes up IDs, but takes only what has a payload. */
    if (seen->len == 0) {
        nat = hash_mix(nat, (uint64_t)(tcp[13] & TCP_FLAGS) << 16 | cursor_be16(tcp + 14));
        if (seen->flags & SEEN_HAS_ID)
            mixed_id = hash_id(l->id);
    }
    key_set(seen, hash_mix(nat, 0), hash_flow(l, cursor_be16(tcp), cursor_be16(tcp + 2)), mixed_id);
    return DECODE_OK;
}

/*
 * All that is told by its first bytes: header bytes of which some are in the base, then the payload.
 */
static void key_payload(const struct layers *l, struct seen *seen, struct cursor *payload,
                        uint32_t n_header, uint32_t n_wanted)
{
    size_t n = cursor_left(payload);

    seen->len = l->l4_len > n_header ? l->l4_len - n_header : 0;
    if (n > seen->len)
        n = seen->len;
    payload->end = payload->at + n;
    if (n < n_wanted && n < seen->len)
        seen->flags |= SEEN_CUT;
    seen->pos = decode_payload_pos(payload->at, (uint32_t)(n < n_wanted ? n : n_wanted));
}

/* RFC 768 */
static enum decode_result key_udp(const struct layers *l, struct seen *seen, struct cursor *payload,
                                  uint64_t mixed_id)
{
    const uint8_t *udp = cursor_take(payload, UDP_BYTES);

    if (!udp)
        return DECODE_SHORT;
    if (l->l4_len < UDP_BYTES)
        return DECODE_BAD;
    seen->flags |= SEEN_UDP;
    key_payload(l, seen, payload, UDP_BYTES, DECODE_POS_BYTES);
    key_set(seen, hash_mix(0, IP_UDP), hash_flow(l, cursor_be16(udp), cursor_be16(udp + 2)),
            mixed_id);
    return DECODE_OK;
}

/*
 * RFC 792, 4443: type, code and the second word (identifier and number of an echo), not the checksum. NAT may change the
 * identifier.
 */
static enum decode_result key_icmp(const struct layers *l, struct seen *seen,
                                   struct cursor *payload, uint64_t mixed_id)
{
    const uint8_t *icmp = cursor_take(payload, ICMP_BYTES);
    uint64_t nat;

    if (!icmp)
        return DECODE_SHORT;
    if (l->l4_len < ICMP_BYTES)
        return DECODE_BAD;
    key_payload(l, seen, payload, ICMP_BYTES, ICMP_POS_BYTES);
    nat = (uint64_t)icmp[0] << 40 | (uint64_t)icmp[1] << 32 | cursor_be16(icmp + 6);
    key_set(seen, hash_mix(nat, l->protocol), hash_flow(l, 0, 0), mixed_id);
    seen->base ^= hash_mix(1, cursor_be16(icmp + 4));
    return DECODE_OK;
}

/* RFC 9260: verification tag, then chunks, of which a DATA chunk has its TSN in the first bytes. */
static enum decode_result key_sctp(const struct layers *l, struct seen *seen,
                                   struct cursor *payload, uint64_t mixed_id)
{
    const uint8_t *sctp = cursor_take(payload, SCTP_BYTES);

    if (!sctp)
        return DECODE_SHORT;
    if (l->l4_len < SCTP_BYTES)
        return DECODE_BAD;
    key_payload(l, seen, payload, SCTP_BYTES, DECODE_POS_BYTES);
    key_set(seen, hash_mix(cursor_be32(sctp + 4), IP_SCTP),
            hash_flow(l, cursor_be16(sctp), cursor_be16(sctp + 2)), mixed_id);
    return DECODE_OK;
}

static enum decode_result key_other(const struct layers *l, struct seen *seen,
                                    struct cursor *payload)
{
    uint64_t mixed_id = l->id ? hash_id(l->id) : 0;

    switch (l->protocol) {
    case IP_UDP:
        return key_udp(l, seen, payload, mixed_id);
    case IP_ICMP:
    case IP_ICMPV6:
        return key_icmp(l, seen, payload, mixed_id);
    case IP_SCTP:
        return key_sctp(l, seen, payload, mixed_id);
    default:
        key_payload(l, seen, payload, 0, DECODE_POS_BYTES);
        key_set(seen, hash_mix(1, l->protocol), hash_flow(l, 0, 0), mixed_id);
        return DECODE_OK;
    }
}

/* The key of what is innermost. */
IN_PLACE enum decode_result decode_key(const struct frame *frame, const struct layers *l,
                                       struct seen *ret_seen, const uint8_t **ret_payload,
                                       uint32_t *ret_n_payload)
{
    struct cursor payload = l->l4;
    enum decode_result r;

    ret_seen->ts_ns = frame->ts_ns;
    ret_seen->id = l->id;
    ret_seen->point = 0;
    ret_seen->flags = (uint8_t)((l->outgoing ? SEEN_OUTGOING : 0) | (l->id ? SEEN_HAS_ID : 0) |
                                (l->first_fragment ? SEEN_FRAGMENT : 0));
    if (l->protocol == IP_TCP)
        r = key_tcp(l, ret_seen, &payload);
    else
        r = key_other(l, ret_seen, &payload);
    if (r == DECODE_OK && ret_payload) {
        *ret_payload = payload.at;
        *ret_n_payload = (uint32_t)cursor_left(&payload);
    }
    return r;
}

enum decode_result decode_frame_long(const struct frame *frame, struct seen *ret_seen,
                                     const uint8_t **ret_payload, uint32_t *ret_n_payload)
{
    struct layers l;
    enum decode_result r = decode_layers(frame, &l);

    return r == DECODE_OK ? decode_key(frame, &l, ret_seen, ret_payload, ret_n_payload) : r;
}

enum decode_result decode_frame(const struct frame *frame, struct seen *ret_seen,
                                const uint8_t **ret_payload, uint32_t *ret_n_payload)
{
    struct layers l;

    if (layers_usual(frame, IP_TCP, &l))
        return decode_key(frame, &l, ret_seen, ret_payload, ret_n_payload);
    return decode_frame_long(frame, ret_seen, ret_payload, ret_n_payload);
}

enum decode_result decode_flow(const struct frame *frame, struct seen_flow *ret_flow)
{
    struct layers l;
    struct seen_flow flow = {0};
    enum decode_result r = decode_layers(frame, &l);

    if (r != DECODE_OK)
        return r;
    flow.protocol = l.protocol;
    flow.family = l.family;
    memcpy(flow.from, l.from, l.n_address);
    memcpy(flow.to, l.to, l.n_address);
    if (l.protocol == IP_TCP || l.protocol == IP_UDP || l.protocol == IP_SCTP) {
        if (cursor_left(&l.l4) < 4)
            return DECODE_SHORT;
        flow.from_port = cursor_be16(l.l4.at);
        flow.to_port = cursor_be16(l.l4.at + 2);
    }
    *ret_flow = flow;
    return DECODE_OK;
}
