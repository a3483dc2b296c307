/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/icmp_packet.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ICMP_REQUEST_4 = 8,
    ICMP_ANSWER_4 = 0,
    ICMP_REQUEST_6 = 128,
    ICMP_ANSWER_6 = 129,
    ICMP_IP_MIN = 20,
};

uint64_t icmp_packet_sum(const uint8_t *bytes, size_t n)
{
    uint64_t sum = 0;

    for (; n >= 2; bytes += 2, n -= 2) {
        uint16_t word;

        memcpy(&word, bytes, 2);
        sum += word;
    }
    if (n) {
        uint16_t word = 0;

        memcpy(&word, bytes, 1);
        sum += word;
    }
    return sum;
}

int icmp_packet_init(struct icmp_packet *packet, bool v6, size_t payload_bytes)
{
    uint32_t filler = 2463534242;
    struct icmp_packet p = {.v6 = v6, .size = ICMP_PACKET_HEADER + payload_bytes};

    p.bytes = calloc(1, p.size);
    if (!p.bytes)
        return -ENOMEM;
    p.bytes[0] = v6 ? ICMP_REQUEST_6 : ICMP_REQUEST_4;
    /* Noise (xorshift), so that a path that compresses gains nothing. */
    for (size_t i = ICMP_PACKET_HEADER; i < p.size; i++) {
        filler ^= filler << 13;
        filler ^= filler >> 17;
        filler ^= filler << 5;
        p.bytes[i] = (uint8_t)(filler >> 24);
    }
    if (p.size > ICMP_PACKET_HEAD)
        p.filler_sum = icmp_packet_sum(p.bytes + ICMP_PACKET_HEAD, p.size - ICMP_PACKET_HEAD);
    *packet = p;
    return 0;
}

void icmp_packet_done(struct icmp_packet *packet)
{
    if (!packet)
        return;
    free(packet->bytes);
    *packet = (struct icmp_packet){0};
}

void icmp_packet_write(struct icmp_packet *packet, uint16_t id, uint16_t sequence,
                       const struct icmp_mark *mark)
{
    uint8_t *b = packet->bytes;
    uint16_t check = 0;
    uint64_t sum;

    id = htobe16(id);
    sequence = htobe16(sequence);
    memcpy(b + 2, &check, 2);
    memcpy(b + 4, &id, 2);
    memcpy(b + 6, &sequence, 2);
    if (packet->size >= ICMP_PACKET_HEAD) {
        const uint32_t tag = htobe32(mark->tag), trial = htobe32(mark->trial);
        const uint64_t number = htobe64(mark->number), departure = htobe64(mark->departure_ns);

        memcpy(b + 8, &tag, 4);
        memcpy(b + 12, &trial, 4);
        memcpy(b + 16, &number, 8);
        memcpy(b + 24, &departure, 8);
    }
    if (packet->v6)
        return;
    sum = packet->filler_sum +
          icmp_packet_sum(b, packet->size < ICMP_PACKET_HEAD ? packet->size : ICMP_PACKET_HEAD);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    check = (uint16_t)~sum;
    memcpy(b + 2, &check, 2);
}

int icmp_packet_read(const uint8_t *bytes, size_t n, bool v6, bool with_ip,
                     struct icmp_answer *ret_answer)
{
    struct icmp_answer a = {0};
    size_t ip = 0;
    uint16_t word;

    if (with_ip) {
        if (n < ICMP_IP_MIN)
            return -EBADMSG;
        ip = (size_t)(bytes[0] & 15) * 4;
        if (ip < ICMP_IP_MIN)
            return -EBADMSG;
    }
    if (n < ip + ICMP_PACKET_HEADER || bytes[ip] != (v6 ? ICMP_ANSWER_6 : ICMP_ANSWER_4))
        return -EBADMSG;
    bytes += ip;
    memcpy(&word, bytes + 4, 2);
    a.id = be16toh(word);
    memcpy(&word, bytes + 6, 2);
    a.sequence = be16toh(word);
    a.has_mark = n >= ip + ICMP_PACKET_HEAD;
    if (a.has_mark) {
        uint32_t tag, trial;
        uint64_t number, departure;

        memcpy(&tag, bytes + 8, 4);
        memcpy(&trial, bytes + 12, 4);
        memcpy(&number, bytes + 16, 8);
        memcpy(&departure, bytes + 24, 8);
        a.mark =
            (struct icmp_mark){be32toh(tag), be32toh(trial), be64toh(number), be64toh(departure)};
    }
    *ret_answer = a;
    return 0;
}
