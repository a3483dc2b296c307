/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/decode.h"
#include "capture/decode_layers.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "packets.h"

enum { SYN = 2, ACK = 16, PSH = 8, UDP = 17, TCP = 6, FROM = 0x0a000001, TO = 0x0a000002 };

/* A copy of exactly that length, so that a sanitizer sees what is read beyond. */
static enum decode_result decode(const struct packet *p, uint16_t link, struct seen *ret_seen)
{
    struct frame frame = packet_frame(p, link);
    uint8_t *copy = malloc(p->n ? p->n : 1);
    enum decode_result r;

    assert_non_null(copy);
    memcpy(copy, frame.data, p->n);
    frame.data = copy;
    memset(ret_seen, 0, sizeof *ret_seen);
    r = decode_frame(&frame, ret_seen, NULL, NULL);
    free(copy);
    return r;
}

static void assert_same(const struct seen *a, const struct seen *b)
{
    assert_int_equal(a->base, b->base);
    assert_int_equal(a->base_nat, b->base_nat);
    assert_int_equal(a->pos, b->pos);
    assert_int_equal(a->len, b->len);
    assert_int_equal(a->flow, b->flow);
}

static void inner_udp(struct packet *p)
{
    packet_payload(p, 100, 3);
    packet_udp(p, 5000, 6000);
    packet_ip4(p, UDP, 9, FROM, TO);
}

static void outer_udp(struct packet *p, unsigned port)
{
    packet_udp(p, 12345, port);
    packet_ip4(p, UDP, 1, 0xc0a80001, 0xc0a80002);
    packet_ethernet(p, 0x0800);
}

static void outer_ip(struct packet *p, uint8_t protocol)
{
    packet_ip4(p, protocol, 1, 0xc0a80001, 0xc0a80002);
    packet_ethernet(p, 0x0800);
}

/* What may be around it: each adds its layers to a packet that begins with IP, and says the link type. */
static uint16_t in_ethernet(struct packet *p)
{
    packet_ethernet(p, 0x0800);
    return 1;
}

static uint16_t in_vlan(struct packet *p)
{
    packet_u16(packet_front(p, 4) + 2, 0x0800);
    packet_ethernet(p, 0x8100);
    return 1;
}

static uint16_t in_qinq(struct packet *p)
{
    packet_u16(packet_front(p, 4) + 2, 0x0800);
    packet_u16(packet_front(p, 4) + 2, 0x8100);
    packet_ethernet(p, 0x88a8);
    return 1;
}

static uint16_t in_cooked(struct packet *p)
{
    packet_u16(packet_front(p, 16) + 14, 0x0800);
    return 113;
}

static uint16_t in_cooked2(struct packet *p)
{
    packet_u16(packet_front(p, 20), 0x0800);
    return 276;
}

static uint16_t in_raw(struct packet *p)
{
    (void)p;
    return 101;
}
static uint16_t in_raw_old(struct packet *p)
{
    (void)p;
    return 12;
}
static uint16_t in_ipv4(struct packet *p)
{
    (void)p;
    return 228;
}

static uint16_t in_loopback(struct packet *p)
{
    packet_front(p, 4)[0] = 2;
    return 0;
}

static uint16_t in_vxlan(struct packet *p)
{
    packet_ethernet(p, 0x0800);
    packet_front(p, 8)[0] = 8;
    outer_udp(p, 4789);
    return 1;
}

static uint16_t in_vxlan_linux(struct packet *p)
{
    in_vlan(p);
    packet_front(p, 8)[0] = 8;
    outer_udp(p, 8472);
    return 1;
}

static uint16_t in_geneve(struct packet *p)
{
    uint8_t *geneve;

    packet_ethernet(p, 0x0800);
    geneve = packet_front(p, 16);
    geneve[0] = 2; /* two words of options */
    packet_u16(geneve + 2, 0x6558);
    outer_udp(p, 6081);
    return 1;
}

static uint16_t in_gre(struct packet *p)
{
    packet_u16(packet_front(p, 4) + 2, 0x0800);
    outer_ip(p, 47);
    return 1;
}

static uint16_t in_gre_all(struct packet *p)
{
    uint8_t *gre = packet_front(p, 16);

    packet_u16(gre, 0xb000); /* checksum, key, sequence */
    packet_u16(gre + 2, 0x0800);
    outer_ip(p, 47);
    return 1;
}

static uint16_t in_nvgre(struct packet *p)
{
    uint8_t *gre;

    packet_ethernet(p, 0x0800);
    gre = packet_front(p, 8);
    packet_u16(gre, 0x2000);
    packet_u16(gre + 2, 0x6558);
    outer_ip(p, 47);
    return 1;
}

static uint16_t in_ipip(struct packet *p)
{
    outer_ip(p, 4);
    return 1;
}

static uint16_t in_4in6(struct packet *p)
{
    packet_ip6(p, 4, 1, 2);
    packet_ethernet(p, 0x86dd);
    return 1;
}

static uint16_t in_padding(struct packet *p)
{
    packet_ethernet(p, 0x0800);
    /* 6 bytes behind, as short frames have: move it all to the front. */
    memmove(p->bytes + p->at - 6, p->bytes + p->at, p->n);
    p->at -= 6;
    memset(p->bytes + p->at + p->n, 0xee, 6);
    p->n += 6;
    return 1;
}

static uint16_t (*const around[])(struct packet *p) = {
    in_ethernet, in_vlan,  in_qinq,     in_cooked, in_cooked2, in_raw,
    in_raw_old,  in_ipv4,  in_loopback, in_vxlan,  in_geneve,  in_gre,
    in_gre_all,  in_nvgre, in_ipip,     in_4in6,   in_padding, in_vxlan_linux};

static void test_a_packet_has_one_key_whatever_is_around_it(void **state)
{
    struct packet p;
    struct seen plain, other;

    (void)state;
    inner_udp(&p);
    assert_int_equal(decode(&p, 101, &plain), DECODE_OK);
    assert_int_equal(plain.len, 100);
    assert_true(plain.flags & SEEN_UDP);
    assert_true(plain.flags & SEEN_HAS_ID);
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        uint16_t link;

        inner_udp(&p);
        link = around[i](&p);
        assert_int_equal(decode(&p, link, &other), DECODE_OK);
        assert_same(&plain, &other);
    }
}

static void test_cut_anywhere_it_is_short_or_its_key_is_complete(void **state)
{
    struct packet p;
    struct seen whole, cut;

    (void)state;
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        uint16_t link;
        unsigned n;

        packet_payload(&p, 100, 3);
        packet_tcp(&p, 1000, ACK, NULL, 0);
        packet_ip4(&p, TCP, 9, FROM, TO);
        link = around[i](&p);
        assert_int_equal(decode(&p, link, &whole), DECODE_OK);
        n = p.n;
        for (p.n = 0; p.n < n; p.n++) {
            enum decode_result r = decode(&p, link, &cut);

            /* A tunnel whose inside is cut off early is told by what carries it. */
            if (r == DECODE_OK && cut.flags & SEEN_TCP)
                assert_same(&whole, &cut);
            else
                assert_true(r == DECODE_SHORT || r == DECODE_OK);
        }
    }
}

static void test_what_changes_on_the_way_is_not_in_the_key(void **state)
{
    struct packet p;
    struct seen before, after;

    (void)state;
    packet_payload(&p, 64, 1);
    packet_tcp(&p, 5, ACK | PSH, NULL, 0);
    packet_ip4(&p, TCP, 9, FROM, TO);
    assert_int_equal(decode(&p, 101, &before), DECODE_OK);
    p.bytes[p.at + 1] = 3;                   /* ECN */
    p.bytes[p.at + 8] = 12;                  /* TTL */
    packet_u16(p.bytes + p.at + 10, 0x1234); /* IP checksum */
    packet_u16(p.bytes + p.at + 36, 0xbeef); /* TCP checksum */
    packet_u16(p.bytes + p.at + 34, 77);     /* window: merging takes the last one's */
    p.bytes[p.at + 33] = ACK;                /* flags: likewise */
    assert_int_equal(decode(&p, 101, &after), DECODE_OK);
    assert_same(&before, &after);
    packet_u32(p.bytes + p.at + 12, 0x01020304); /* NAT */
    packet_u16(p.bytes + p.at + 20, 1025);
    assert_int_equal(decode(&p, 101, &after), DECODE_OK);
    assert_int_equal(before.base_nat, after.base_nat);
    assert_int_not_equal(before.base, after.base);
}

static void test_what_tells_packets_apart_is_in_the_key(void **state)
{
    static const uint8_t times[12] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    static const uint8_t later[12] = {1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 2};
    static const uint8_t apart[12] = {8, 10, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0};
    struct packet p;
    struct seen a, b, c;

    (void)state;
    packet_payload(&p, 64, 1);
    packet_tcp(&p, 5, ACK, times, 12);
    packet_ip4(&p, TCP, 9, FROM, TO);
    assert_int_equal(decode(&p, 101, &a), DECODE_OK);
    packet_payload(&p, 64, 1);
    packet_tcp(&p, 5, ACK, later, 12);
    packet_ip4(&p, TCP, 10, FROM, TO);
    assert_int_equal(decode(&p, 101, &b), DECODE_OK);
    assert_int_equal(a.pos, b.pos);
    assert_int_not_equal(a.base, b.base);
    /* The same option elsewhere in the list. */
    packet_payload(&p, 64, 1);
    packet_tcp(&p, 5, ACK, apart, 12);
    packet_ip4(&p, TCP, 10, FROM, TO);
    assert_int_equal(decode(&p, 101, &c), DECODE_OK);
    assert_same(&b, &c);
    /* In a SYN they do not count. */
    packet_payload(&p, 0, 1);
    packet_tcp(&p, 5, SYN, times, 12);
    packet_ip4(&p, TCP, 9, FROM, TO);
    assert_int_equal(decode(&p, 101, &a), DECODE_OK);
    packet_payload(&p, 0, 1);
    packet_tcp(&p, 5, SYN, later, 12);
    packet_ip4(&p, TCP, 9, FROM, TO);
    assert_int_equal(decode(&p, 101, &b), DECODE_OK);
    assert_same(&a, &b);
}

static void test_an_acknowledgement_is_told_by_id_and_window(void **state)
{
    struct packet p;
    struct seen a, b;

    (void)state;
    packet_payload(&p, 0, 1);
    packet_tcp(&p, 5, ACK, NULL, 0);
    packet_ip4(&p, TCP, 9, FROM, TO);
    assert_int_equal(decode(&p, 101, &a), DECODE_OK);
    packet_u16(p.bytes + p.at + 4, 10);
    assert_int_equal(decode(&p, 101, &b), DECODE_OK);
    assert_int_not_equal(a.base, b.base);
    assert_int_equal(decode_step_id(a.base, 9, 10), b.base);
    assert_int_equal(decode_step_id(a.base_nat, 9, 10), b.base_nat);
    packet_u16(p.bytes + p.at + 4, 9);
    packet_u16(p.bytes + p.at + 34, 501);
    assert_int_equal(decode(&p, 101, &b), DECODE_OK);
    assert_int_not_equal(a.base, b.base);
    packet_u16(p.bytes + p.at + 34, 500);
    packet_u16(p.bytes + p.at + 4, 0);
    assert_int_equal(decode(&p, 101, &b), DECODE_OK);
    assert_int_equal(decode_step_id(a.base, 9, 0), b.base);
}

static void test_ipv6_extension_headers_are_passed(void **state)
{
    struct packet p;
    struct seen plain, other;
    uint8_t *ah;

    (void)state;
    packet_payload(&p, 50, 2);
    packet_udp(&p, 1, 2);
    packet_ip6(&p, UDP, 1, 2);
    assert_int_equal(decode(&p, 229, &plain), DECODE_OK);
    packet_payload(&p, 50, 2);
    packet_udp(&p, 1, 2);
    packet_front(&p, 8)[0] = UDP; /* fragment header of a whole packet */
    packet_front(&p, 16)[0] = 44; /* destination options */
    p.bytes[p.at + 1] = 1;
    ah = packet_front(&p, 24);
    ah[0] = 60;
    ah[1] = 4;
    packet_front(&p, 24)[0] = 51; /* routing */
    p.bytes[p.at + 1] = 2;
    packet_front(&p, 8)[0] = 43; /* hop by hop */
    packet_ip6(&p, 0, 1, 2);
    assert_int_equal(decode(&p, 229, &other), DECODE_OK);
    assert_same(&plain, &other);
}

static void test_only_the_first_fragment_has_a_key(void **state)
{
    struct packet p;
    struct seen whole, first, later;

    (void)state;
    packet_payload(&p, 64, 2);
    packet_udp(&p, 1, 2);
    packet_ip4(&p, UDP, 4, FROM, TO);
    assert_int_equal(decode(&p, 101, &whole), DECODE_OK);
    packet_u16(p.bytes + p.at + 6, 0x2000);
    assert_int_equal(decode(&p, 101, &first), DECODE_OK);
    assert_true(first.flags & SEEN_FRAGMENT);
    assert_same(&whole, &first);
    packet_u16(p.bytes + p.at + 6, 0x2008);
    assert_int_equal(decode(&p, 101, &later), DECODE_FRAGMENT);
    packet_payload(&p, 64, 2);
    packet_u16(packet_front(&p, 8) + 2, 0x0100);
    p.bytes[p.at] = UDP;
    packet_ip6(&p, 44, 1, 2);
    assert_int_equal(decode(&p, 101, &later), DECODE_FRAGMENT);
}

static void test_what_is_no_packet_is_told(void **state)
{
    struct packet p;
    struct seen seen;

    (void)state;
    packet_payload(&p, 46, 1);
    packet_ethernet(&p, 0x0806);
    assert_int_equal(decode(&p, 1, &seen), DECODE_NOT_IP);
    inner_udp(&p);
    assert_int_equal(decode(&p, 147, &seen), DECODE_LINK);
    p.bytes[p.at] = 0x43;
    assert_int_equal(decode(&p, 101, &seen), DECODE_BAD); /* a header of 12 bytes */
    p.bytes[p.at] = 0x45;
    packet_u16(p.bytes + p.at + 2, 19);
    assert_int_equal(decode(&p, 101, &seen), DECODE_BAD); /* less in all than its header */
    packet_payload(&p, 10, 1);
    packet_tcp(&p, 1, ACK, NULL, 0);
    p.bytes[p.at + 12] = 0x40;
    packet_ip4(&p, TCP, 1, FROM, TO);
    assert_int_equal(decode(&p, 101, &seen), DECODE_BAD); /* a TCP header of 16 bytes */
}

static void test_nesting_has_an_end(void **state)
{
    struct packet p;
    struct seen seen;

    (void)state;
    packet_payload(&p, 8, 1);
    packet_udp(&p, 1, 2);
    packet_ip4(&p, UDP, 1, FROM, TO);
    for (int i = 0; i < 50; i++)
        packet_ip4(&p, 4, 1, FROM, TO);
    assert_int_equal(decode(&p, 101, &seen), DECODE_BAD);
    inner_udp(&p);
    for (int i = 0; i < 50; i++)
        packet_u16(packet_front(&p, 4) + 2, i ? 0x8100 : 0x0800);
    packet_ethernet(&p, 0x8100);
    assert_int_equal(decode(&p, 1, &seen), DECODE_BAD);
}

static void test_a_payload_that_was_cut_off_is_told(void **state)
{
    struct packet p;
    struct seen seen;

    (void)state;
    inner_udp(&p);
    p.n = 20 + 8 + 31;
    assert_int_equal(decode(&p, 101, &seen), DECODE_OK);
    assert_true(seen.flags & SEEN_CUT);
    assert_int_equal(seen.len, 100);
    p.n++;
    assert_int_equal(decode(&p, 101, &seen), DECODE_OK);
    assert_false(seen.flags & SEEN_CUT);
}

static void test_what_was_not_segmented_yet_has_no_length(void **state)
{
    struct packet p;
    struct seen seen;
    struct frame frame;

    (void)state;
    packet_payload(&p, 100, 1);
    packet_tcp(&p, 1, ACK, NULL, 0);
    packet_ip4(&p, TCP, 1, FROM, TO);
    packet_u16(p.bytes + p.at + 2, 0);
    frame = packet_frame(&p, 101);
    frame.wire_len = 100040;
    assert_int_equal(decode_frame(&frame, &seen, NULL, NULL), DECODE_OK);
    assert_int_equal(seen.len, 100000);
}

static void test_flows_of_both_directions_know_each_other(void **state)
{
    struct packet p;
    struct seen there, back;
    struct seen_flow words;
    struct frame frame;

    (void)state;
    packet_payload(&p, 10, 1);
    packet_udp(&p, 5000, 6000);
    packet_ip4(&p, UDP, 0, FROM, TO);
    assert_int_equal(decode(&p, 101, &there), DECODE_OK);
    frame = packet_frame(&p, 101);
    assert_int_equal(decode_flow(&frame, &words), DECODE_OK);
    assert_int_equal(words.protocol, UDP);
    assert_int_equal(words.family, 4);
    assert_int_equal(words.from_port, 5000);
    assert_int_equal(words.to_port, 6000);
    assert_int_equal(words.from[3], 1);
    assert_int_equal(words.to[3], 2);
    packet_payload(&p, 10, 1);
    packet_udp(&p, 6000, 5000);
    packet_ip4(&p, UDP, 0, TO, FROM);
    assert_int_equal(decode(&p, 101, &back), DECODE_OK);
    assert_int_equal(there.flow, back.flow ^ 1);
    assert_int_not_equal(there.base, back.base);
}

static void test_icmp_and_sctp_have_keys(void **state)
{
    struct packet p;
    struct seen a, b;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        packet_payload(&p, 56, 1);
        packet_front(&p, 8)[0] = 8;
        packet_u16(p.bytes + p.at + 4, 99);
        packet_u16(p.bytes + p.at + 6, i);
        packet_ip4(&p, 1, 0, FROM, TO);
        assert_int_equal(decode(&p, 101, i ? &b : &a), DECODE_OK);
    }
    assert_int_equal(a.len, 56);
    assert_int_not_equal(a.base, b.base);
    for (unsigned i = 0; i < 2; i++) {
        packet_payload(&p, 40, i);
        packet_front(&p, 12);
        packet_u32(p.bytes + p.at + 4, 0xabcdef);
        packet_u32(p.bytes + p.at + 8, 0x11111111 * i);
        packet_ip4(&p, 132, 0, FROM, TO);
        assert_int_equal(decode(&p, 101, i ? &b : &a), DECODE_OK);
    }
    assert_int_equal(a.base, b.base);
    assert_int_not_equal(a.pos, b.pos);
}

static void test_pieces_of_a_datagram_have_the_pos_of_their_own(void **state)
{
    struct packet p;
    struct seen seen;

    (void)state;
    inner_udp(&p);
    assert_int_equal(decode(&p, 101, &seen), DECODE_OK);
    assert_int_equal(seen.pos, decode_payload_pos(p.bytes + p.at + 28, 100));
    assert_int_equal(seen.pos, decode_payload_pos(p.bytes + p.at + 28, 32));
    assert_int_not_equal(seen.pos, decode_payload_pos(p.bytes + p.at + 28, 31));
}

/* A usual frame of which up to three bytes are others, and its end is missing. */
static void test_usual_frames_have_the_key_of_the_long_way(void **state)
{
    static const uint8_t times[12] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8};
    uint32_t random = 1;
    unsigned n_keys = 0;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        struct packet p;
        struct seen seen = {0}, other = {0};
        struct frame frame;
        const uint8_t *payload = NULL, *other_payload = NULL;
        uint32_t n = 0, n_other = 0;
        enum decode_result r;

        packet_payload(&p, i % 70, 1);
        packet_tcp(&p, i, i % 64, i % 3 ? times : NULL, i % 3 ? sizeof times : 0);
        packet_ip4(&p, TCP, i % 5 ? i : 0, FROM, TO);
        packet_ethernet(&p, 0x0800);
        for (unsigned k = 0; k < i % 4; k++) {
            random = random * 1664525 + 1013904223;
            p.bytes[p.at + (random >> 16) % 70 % p.n] ^= (uint8_t)(random >> 8);
        }
        frame = packet_frame(&p, 1);
        frame.n -= i % 7 == 0 ? (random >> 12) % (frame.n + 1) : 0;
        r = decode_frame(&frame, &seen, &payload, &n);
        assert_int_equal(decode_frame_long(&frame, &other, &other_payload, &n_other), r);
        if (r != DECODE_OK)
            continue;
        n_keys++;
        assert_memory_equal(&seen, &other, sizeof seen);
        assert_ptr_equal(payload, other_payload);
        assert_int_equal(n, n_other);
    }
    assert_true(n_keys > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_packet_has_one_key_whatever_is_around_it),
        cmocka_unit_test(test_cut_anywhere_it_is_short_or_its_key_is_complete),
        cmocka_unit_test(test_what_changes_on_the_way_is_not_in_the_key),
        cmocka_unit_test(test_what_tells_packets_apart_is_in_the_key),
        cmocka_unit_test(test_an_acknowledgement_is_told_by_id_and_window),
        cmocka_unit_test(test_ipv6_extension_headers_are_passed),
        cmocka_unit_test(test_only_the_first_fragment_has_a_key),
        cmocka_unit_test(test_what_is_no_packet_is_told),
        cmocka_unit_test(test_nesting_has_an_end),
        cmocka_unit_test(test_a_payload_that_was_cut_off_is_told),
        cmocka_unit_test(test_what_was_not_segmented_yet_has_no_length),
        cmocka_unit_test(test_flows_of_both_directions_know_each_other),
        cmocka_unit_test(test_icmp_and_sctp_have_keys),
        cmocka_unit_test(test_pieces_of_a_datagram_have_the_pos_of_their_own),
        cmocka_unit_test(test_usual_frames_have_the_key_of_the_long_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
