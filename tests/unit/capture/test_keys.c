/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/keys.h"

#include <string.h>

static void test_a_packet_comes_back_the_same(void **state)
{
    const struct seen seen = {.ts_ns = 0x0102030405060708,
                              .base = UINT64_MAX,
                              .base_nat = 0x8877665544332211,
                              .pos = 0xfffffffe,
                              .len = 65507,
                              .flow = 0xdeadbeef,
                              .id = 0xabcd,
                              .point = 5,
                              .flags = SEEN_TCP | SEEN_OUTGOING};
    uint8_t bytes[KEYS_BYTES + 1] = {[KEYS_BYTES] = 0xa5};
    struct seen back;

    (void)state;
    keys_pack(&seen, bytes);
    assert_int_equal(0xa5, bytes[KEYS_BYTES]);
    /* Little endian on every machine. */
    assert_int_equal(0x08, bytes[0]);
    assert_int_equal(0x01, bytes[7]);
    keys_unpack(bytes, 5, &back);
    assert_memory_equal(&seen, &back, sizeof seen);
}

static void test_a_flow_comes_back_the_same(void **state)
{
    struct seen_flow words = {.protocol = 6, .family = 4, .from_port = 40000, .to_port = 5001},
                     back;
    uint8_t bytes[KEYS_FLOW_BYTES + 1] = {[KEYS_FLOW_BYTES] = 0xa5};
    uint32_t flow = 0;

    (void)state;
    memcpy(words.from, "\x0a\x00\x00\x01", 4);
    memcpy(words.to, "\x0a\x00\x00\x02", 4);
    keys_pack_flow(77, &words, bytes);
    assert_int_equal(0xa5, bytes[KEYS_FLOW_BYTES]);
    keys_unpack_flow(bytes, &flow, &back);
    assert_int_equal(77, flow);
    assert_memory_equal(&words, &back, sizeof words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_packet_comes_back_the_same),
        cmocka_unit_test(test_a_flow_comes_back_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
