/* SPDX-License-Identifier: Apache-2.0 */
#include "layer4.h"

#include <string.h>

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_PSH = 8, TCP_ACK = 16 };

uint32_t layer4_sum(uint32_t sum, const uint8_t *data, unsigned n)
{
    uint64_t wide = sum;

    for (; n > 1; n -= 2, data += 2)
        wide += (uint32_t)data[0] << 8 | data[1];
    if (n)
        wide += (uint32_t)data[0] << 8;
    while (wide >> 32)
        wide = (wide & 0xffffffff) + (wide >> 32);
    return layer4_fold((uint32_t)wide);
}

/* Equal for what is sent again and for the echo of a request, else never. */
static uint8_t *put_payload(const struct simulation *sim, const struct item *item, uint8_t *at)
{
    const struct simulate_flow *flow = &sim->flows[item->flow];
    bool reverse = item->flags & ITEM_REVERSE && flow->protocol != PROTOCOL_ICMP;
    struct random stream = {
        random_mix((uint64_t)item->flow << 40 | (uint64_t)item->seq << 1 | reverse) ^
        flow->ts_offset};
    unsigned n = item->len;

    if (item->flags & ITEM_SAME) {
        memset(at, 'X', n);
        return at + n;
    }
    for (; n > 0;) {
        uint64_t word = random_next(&stream);
        unsigned part = n < 8 ? n : 8;

        memcpy(at, &word, part);
        at += part;
        n -= part;
    }
    return at;
}

static uint8_t *put_tcp_options(const struct simulation *sim, const struct item *item, bool clamped,
                                uint8_t *at)
{
    bool stamps = !sim->scenario->no_timestamps;

    if (item->flags & ITEM_SYN) {
        at = put16(put16(at, 0x0204), clamped ? 1410 : 1460);
        at = put16(at, 0x0402); /* SACK permitted */
        at = put32(put16(at, 0x080a), stamps ? item->ts_value : 1);
        at = put32(at, 0);
        return put32(at, 0x01030307); /* NOP, window scale */
    }
    if (stamps)
        at = put32(put32(put32(at, 0x0101080a), item->ts_value), item->ts_echo);
    /* A block of selective acknowledgement now and then. */
    if (item->len == 0 && item->flags & ITEM_REVERSE && item->ack % 5 == 0)
        at = put32(put32(put32(at, 0x0101050a), item->ack + 2896), item->ack + 4344);
    return at;
}

static uint8_t *put_tcp(const struct simulation *sim, const struct sight *sight, bool clamped,
                        uint8_t *at)
{
    const struct item *item = &sim->items[sight->item];
    const struct item *last = &sim->items[simulate_member(sim, sight->item, sight->n - 1u)];
    unsigned flags = item->flags & ITEM_SYN ? TCP_SYN : TCP_ACK;
    uint8_t *offset, *start = at - 4;

    if (item->flags & ITEM_SYN && item->flags & ITEM_REVERSE)
        flags |= TCP_ACK;
    if (last->flags & ITEM_PUSH)
        flags |= TCP_PSH;
    at = put32(put32(at, item->seq), item->ack);
    offset = at;
    at = put8(put8(at, 0), flags);
    at = put16(at, 512 + (item->len ? 0 : (item->ack >> 9) % 256));
    at = put32(at, 0); /* checksum, urgent pointer */
    at = put_tcp_options(sim, item, clamped, at);
    *offset = (uint8_t)((at - start) / 4 << 4);
    return at;
}

/* CRC32c, bit by bit; RFC 9260 appendix A. */
static uint32_t crc32c(const uint8_t *data, unsigned n)
{
    uint32_t crc = 0xffffffff;

    while (n-- > 0) {
        crc ^= *data++;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static uint8_t *put_sctp(const struct item *item, uint8_t *at)
{
    at = put32(at, 0x5eed0000u + item->flow); /* verification tag */
    at = put32(at, 0);                        /* checksum */
    at = put16(at, 0x0003);                   /* DATA, first and last */
    at = put16(at, 16u + item->len);
    at = put32(at, item->seq);
    at = put32(put32(at, item->seq & 0xffff), 0); /* stream 0, its number; no protocol id */
    return at;
}

static void layer4_addresses(const struct simulation *sim, unsigned point, const struct item *item,
                             struct layer4 *l4, unsigned *ret_from_port, unsigned *ret_to_port)
{
    const struct simulate_flow *flow = &sim->flows[item->flow];
    bool reverse = item->flags & ITEM_REVERSE, nat = false;
    uint8_t *client = reverse ? l4->to : l4->from, *server = reverse ? l4->from : l4->to;
    unsigned client_port = flow->port[0];

    for (unsigned i = 0; i <= point; i++)
        nat = nat || sim->scenario->point[i].nat;
    memset(l4->from, 0, sizeof l4->from);
    memset(l4->to, 0, sizeof l4->to);
    l4->family = flow->ipv6 ? 6 : 4;
    if (flow->ipv6) {
        put32(client, nat ? 0xfd000009u : 0xfd000001u);
        put32(client + 12, nat ? 1 : 0x100u + item->flow);
        put32(server, 0xfd000002u);
        put32(server + 12, 0x80u);
    } else {
        put32(client, nat ? 0xc0000201u : 0x0a000100u + 2 + item->flow);
        put32(server, 0x0a000201u);
    }
    if (nat && flow->protocol != PROTOCOL_ICMP)
        client_port = flow->nat_port;
    *ret_from_port = reverse ? flow->port[1] : client_port;
    *ret_to_port = reverse ? client_port : flow->port[1];
}

static void layer4_checksum(const struct simulation *sim, unsigned point, struct layer4 *l4,
                            unsigned offset)
{
    unsigned n_address = l4->family == 6 ? 16 : 4, sum = 0;
    bool pseudo = l4->protocol != 1;

    if (pseudo) {
        sum = layer4_sum(sum, l4->from, n_address);
        sum = layer4_sum(sum, l4->to, n_address);
        sum = layer4_fold(sum + l4->protocol + l4->len);
    }
    if (sim->scenario->point[point].partial && (l4->protocol == 6 || l4->protocol == 17)) {
        /* What the card adds up from: the sum so far, not complemented. */
        put16(l4->data + offset, sum);
        return;
    }
    sum = ~layer4_fold(layer4_sum(sum, l4->data, l4->len)) & 0xffff;
    put16(l4->data + offset, sum || l4->protocol != 17 ? sum : 0xffff);
}

void layer4_build(const struct simulation *sim, unsigned point, const struct sight *sight,
                  struct layer4 *l4)
{
    static const uint8_t number[] = {6, 17, 1, 132};
    static const unsigned checksum_at[] = {16, 6, 2, 8};
    const struct item *item = &sim->items[sight->item];
    const struct simulate_flow *flow = &sim->flows[item->flow];
    unsigned from_port, to_port;
    uint8_t *at = l4->data;

    layer4_addresses(sim, point, item, l4, &from_port, &to_port);
    l4->protocol = number[flow->protocol];
    if (flow->protocol == PROTOCOL_ICMP) {
        unsigned echo = flow->ipv6 ? 128 : 8, reply = flow->ipv6 ? 129 : 0;

        l4->protocol = flow->ipv6 ? 58 : 1;
        at = put32(at, (item->flags & ITEM_REVERSE ? reply : echo) << 24);
        at = put16(put16(at, flow->port[0]), item->seq & 0xffff);
    } else {
        at = put16(put16(at, from_port), to_port);
    }
    if (flow->protocol == PROTOCOL_TCP)
        at = put_tcp(sim, sight, sim->scenario->point[point].nat, at);
    else if (flow->protocol == PROTOCOL_UDP)
        at = put32(at, 0);
    else if (flow->protocol == PROTOCOL_SCTP)
        at = put_sctp(item, at);
    for (unsigned i = 0; i < sight->n; i++)
        at = put_payload(sim, &sim->items[simulate_member(sim, sight->item, i)], at);
    while (flow->protocol == PROTOCOL_SCTP && (at - l4->data) % 4)
        *at++ = 0;
    l4->len = (unsigned)(at - l4->data);
    if (flow->protocol == PROTOCOL_UDP)
        put16(l4->data + 4, l4->len);
    if (flow->protocol == PROTOCOL_SCTP) {
        uint32_t crc = crc32c(l4->data, l4->len);

        put32(l4->data + 8, __builtin_bswap32(crc));
    } else {
        layer4_checksum(sim, point, l4, checksum_at[flow->protocol]);
    }
}
