/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/auto.h"
#include "traffic/endpoint.h"

#include <errno.h>
#include <string.h>

static const struct flow_spec spec = {
    .kind = FLOW_UDP_RR,
    .token = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
};

/* Vectors of the paper's reference: key 00 … 0f, message 00 01 … of so many bytes. */
static void test_siphash_gives_the_published_values(void **state)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } rows[] = {
        {0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},  {2, 0x0d6c8009d9a94f5a},
        {7, 0xab0200f58b01d137},  {8, 0x93f5f5799a932462},  {15, 0xa129ca6149be45e5},
        {16, 0x3f2acc7f57c29bdb}, {63, 0x958a324ceb064572},
    };
    uint8_t message[64];

    (void)state;
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)i;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(rows[i].hash, token_siphash(spec.token, message, rows[i].n));
}

static void test_a_hello_is_read_back(void **state)
{
    uint8_t bytes[TOKEN_HELLO_BYTES];
    struct token_hello hello = {0};

    (void)state;
    token_write_hello(&spec, 511, bytes);
    assert_int_equal(0, token_read_hello(&spec, bytes, &hello));
    assert_int_equal(511, hello.flow_index);
    assert_int_equal(FLOW_UDP_RR, hello.kind);
}

static void test_each_changed_bit_is_refused(void **state)
{
    uint8_t bytes[TOKEN_HELLO_BYTES];
    struct token_hello hello;

    (void)state;
    token_write_hello(&spec, 3, bytes);
    for (unsigned bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        /* Magic and version say that it is no hello at all. */
        assert_int_equal(bit < 40 ? -EBADMSG : -EACCES, token_read_hello(&spec, bytes, &hello));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(0, token_read_hello(&spec, bytes, &hello));
}

static void test_another_token_fits_nowhere(void **state)
{
    struct flow_spec other = spec;
    uint8_t hello_bytes[TOKEN_HELLO_BYTES], welcome[TOKEN_WELCOME_BYTES];
    struct token_hello hello;

    (void)state;
    other.token[15] ^= 1;
    token_write_hello(&other, 0, hello_bytes);
    assert_int_equal(-EACCES, token_read_hello(&spec, hello_bytes, &hello));
    token_write_welcome(&other, 0, welcome);
    assert_false(token_is_welcome(&spec, 0, welcome));
    assert_int_not_equal(token_tag(&spec), token_tag(&other));
}

static void test_a_welcome_is_for_one_flow(void **state)
{
    uint8_t welcome[TOKEN_WELCOME_BYTES], hello[TOKEN_HELLO_BYTES];

    (void)state;
    token_write_welcome(&spec, 7, welcome);
    assert_true(token_is_welcome(&spec, 7, welcome));
    assert_false(token_is_welcome(&spec, 8, welcome));
    /* The proof in a hello cannot be played back as a welcome. */
    token_write_hello(&spec, 7, hello);
    assert_false(token_is_welcome(&spec, 7, hello));
    assert_false(token_is_welcome(&spec, 7, hello + TOKEN_HELLO_BYTES - TOKEN_WELCOME_BYTES));
}

static void test_the_token_itself_is_not_sent(void **state)
{
    uint8_t hello[TOKEN_HELLO_BYTES];

    (void)state;
    token_write_hello(&spec, 0, hello);
    for (size_t i = 0; i + 4 <= sizeof hello; i++)
        for (size_t k = 0; k + 4 <= sizeof spec.token; k++)
            assert_memory_not_equal(hello + i, spec.token + k, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_gives_the_published_values),
        cmocka_unit_test(test_a_hello_is_read_back),
        cmocka_unit_test(test_each_changed_bit_is_refused),
        cmocka_unit_test(test_another_token_fits_nowhere),
        cmocka_unit_test(test_a_welcome_is_for_one_flow),
        cmocka_unit_test(test_the_token_itself_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
