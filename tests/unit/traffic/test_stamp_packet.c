/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "traffic/stamp_packet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DAY UINT64_C(86400000000000)

static void test_a_test_packet_has_the_bytes_of_the_rfc(void **state)
{
    const struct stamp_test test = {0x01020304, 0x05060708090a0b0c, 0x0d0e, 0x0f10};
    uint8_t bytes[STAMP_PACKET_BYTES];
    struct stamp_test back;

    (void)state;
    memset(bytes, 0xff, sizeof bytes);
    stamp_packet_write_test(&test, bytes);
    for (uint8_t i = 0; i < 16; i++)
        assert_int_equal(i + 1, bytes[i]);
    for (size_t i = 16; i < sizeof bytes; i++)
        assert_int_equal(0, bytes[i]);
    assert_int_equal(0, stamp_packet_read_test(bytes, sizeof bytes, &back));
    assert_true(back.sequence == test.sequence && back.time == test.time);
    assert_true(back.error == test.error && back.ssid == test.ssid);
    assert_int_equal(-EBADMSG, stamp_packet_read_test(bytes, sizeof bytes - 1, &back));
    /* Whatever else is in a packet's zeros: then it is an answer, or nothing that we know. */
    for (size_t i = 16; i < sizeof bytes; i++) {
        bytes[i] = 1;
        assert_int_equal(-EBADMSG, stamp_packet_read_test(bytes, sizeof bytes, &back));
        bytes[i] = 0;
    }
}

static void test_an_answer_has_the_bytes_of_the_rfc(void **state)
{
    /* 1 s and 2.5 s after the begin of 1970, as NTP has them: 2208988800 is 0x83aa7e80. */
    static const uint8_t expected[STAMP_PACKET_BYTES] = {
        0, 0,    0,    7,    0x83, 0xaa, 0x7e, 0x82, 0x80, 0, 0,  0, 0x80, 0x01, 0,
        9, 0x83, 0xaa, 0x7e, 0x81, 0,    0,    0,    0,    0, 0,  0, 5,    1,    2,
        3, 4,    5,    6,    7,    8,    0x0d, 0x0e, 0,    0, 64, 0, 0,    0};
    const struct stamp_answer answer = {
        .sequence = 7,
        .sent_ns = 2500000000,
        .received_ns = 1000000000,
        .error = STAMP_PACKET_SYNCHRONISED | 1,
        .ssid = 9,
        .test = {.sequence = 5, .time = 0x0102030405060708, .error = 0x0d0e},
        .ttl = 64,
    };
    uint8_t bytes[STAMP_PACKET_BYTES];
    struct stamp_answer back;

    (void)state;
    stamp_packet_write_answer(&answer, bytes);
    assert_memory_equal(expected, bytes, sizeof bytes);
    /* TWAMP light's answers end with the TTL. */
    assert_int_equal(0, stamp_packet_read_answer(bytes, STAMP_PACKET_ANSWER_MIN, &back));
    assert_int_equal(answer.sent_ns, back.sent_ns);
    assert_int_equal(answer.received_ns, back.received_ns);
    assert_int_equal(answer.test.time, back.test.time);
    assert_int_equal(answer.test.sequence, back.test.sequence);
    assert_int_equal(64, back.ttl);
    assert_int_equal(-EBADMSG, stamp_packet_read_answer(bytes, STAMP_PACKET_ANSWER_MIN - 1, &back));
    /* It is no test packet, so a reflector that gets it is silent. */
    assert_int_equal(-EBADMSG,
                     stamp_packet_read_test(bytes, sizeof bytes, &(struct stamp_test){0}));
}

static void test_a_test_packet_is_no_answer(void **state)
{
    const struct stamp_test test = {1, 0x83aa7e8000000000, 1, 0};
    uint8_t bytes[STAMP_PACKET_BYTES];
    struct stamp_answer back;

    (void)state;
    stamp_packet_write_test(&test, bytes);
    assert_int_equal(-EBADMSG, stamp_packet_read_answer(bytes, sizeof bytes, &back));
}

static void test_ptp_times_are_read_too(void **state)
{
    struct stamp_answer answer = {.sent_ns = 1795259813999999999,
                                  .received_ns = 1795259813000000001,
                                  .error = STAMP_PACKET_PTP | 1};
    uint8_t bytes[STAMP_PACKET_BYTES];
    struct stamp_answer back;

    (void)state;
    stamp_packet_write_answer(&answer, bytes);
    assert_int_equal(999999999, (uint32_t)bytes[8] << 24 | (uint32_t)bytes[9] << 16 |
                                    (uint32_t)bytes[10] << 8 | bytes[11]);
    assert_int_equal(0, stamp_packet_read_answer(bytes, sizeof bytes, &back));
    assert_int_equal(answer.sent_ns, back.sent_ns);
    assert_int_equal(answer.received_ns, back.received_ns);
    /* A second has no more than 10^9 ns. */
    bytes[8] = 0xff;
    assert_int_equal(-EBADMSG, stamp_packet_read_answer(bytes, sizeof bytes, &back));
}

static void test_times_come_back_to_the_ns(void **state)
{
    static const uint64_t rows[] = {
        0,
        1,
        999999999,
        1000000000,
        1795259813123456789, /* now */
        2085978495999999999,
        2085978496000000000, /* the last of NTP's first era, 2036 */
        4294967295999999999  /* 2106, which PTP's seconds reach */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(rows[i], stamp_packet_wall(stamp_packet_time(rows[i], true), true));
        if (rows[i] < 4233462144000000000) /* 2104, where the eras are no longer told apart */
            assert_int_equal(rows[i], stamp_packet_wall(stamp_packet_time(rows[i], false), false));
    }
    for (uint64_t ns = 1795259813000000000; ns < 1795259814000000000; ns += 1234567)
        assert_int_equal(ns, stamp_packet_wall(stamp_packet_time(ns, false), false));
}

static void test_an_error_estimate_claims_no_less_than_the_error(void **state)
{
    static const uint64_t rows[] = {0, 1, 60, 1000, 1000000, 16000000000, 30 * DAY, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint16_t e = stamp_packet_error(true, rows[i]);
        double claimed =
            (double)(e & 0xff) * (double)(UINT64_C(1) << (e >> 8 & 0x3f)) / 4.294967296;

        assert_true(e & STAMP_PACKET_SYNCHRONISED);
        assert_false(e & STAMP_PACKET_PTP);
        assert_int_not_equal(0, e & 0xff);
        if (rows[i] <= 30 * DAY) {
            assert_true(claimed + 0.5 >= (double)rows[i]);
            assert_true(claimed <= (double)rows[i] * 1.02 + 1);
        }
    }
    assert_false(stamp_packet_error(false, 1000) & STAMP_PACKET_SYNCHRONISED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_test_packet_has_the_bytes_of_the_rfc),
        cmocka_unit_test(test_an_answer_has_the_bytes_of_the_rfc),
        cmocka_unit_test(test_a_test_packet_is_no_answer),
        cmocka_unit_test(test_ptp_times_are_read_too),
        cmocka_unit_test(test_times_come_back_to_the_ns),
        cmocka_unit_test(test_an_error_estimate_claims_no_less_than_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
