/* SPDX-License-Identifier: Apache-2.0 */
#include "model/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_what_is_put_is_got(void **state)
{
    static struct facts f;

    (void)state;
    assert_null(facts_get(&f, "kernel"));
    facts_put(&f, "kernel", "6.18.0");
    facts_put_number(&f, "cpus", UINT64_MAX);
    assert_string_equal(facts_get(&f, "kernel"), "6.18.0");
    assert_string_equal(facts_get(&f, "cpus"), "18446744073709551615");
    assert_false(f.fact[0].number);
    assert_true(f.fact[1].number);
    assert_int_equal(f.n_facts, 2);
}

static void test_a_key_is_there_once(void **state)
{
    static struct facts f;

    (void)state;
    facts_put_number(&f, "mtu_bytes", 1500);
    facts_put(&f, "mtu_bytes", "unknown");
    assert_int_equal(f.n_facts, 1);
    assert_string_equal(facts_get(&f, "mtu_bytes"), "unknown");
    assert_false(f.fact[0].number);
}

static void test_an_empty_text_is_no_fact(void **state)
{
    static struct facts f;

    (void)state;
    facts_put(&f, "nic", "");
    assert_int_equal(f.n_facts, 0);
    assert_null(facts_get(&f, "nic"));
}

static void test_long_values_are_cut(void **state)
{
    static struct facts f;
    char much[1000];

    (void)state;
    memset(much, 'a', sizeof much - 1);
    much[sizeof much - 1] = 0;
    facts_put(&f, "offloads", much);
    assert_int_equal(strlen(facts_get(&f, "offloads")), FACT_VALUE_SIZE - 1);
}

static void test_a_key_that_was_cut_is_there_once_too(void **state)
{
    static struct facts f;
    char much[2 * FACT_KEY_SIZE];

    (void)state;
    memset(much, 'k', sizeof much - 1);
    much[sizeof much - 1] = 0;
    facts_put(&f, much, "1");
    facts_put(&f, much, "2");
    assert_int_equal(f.n_facts, 1);
    assert_string_equal(facts_get(&f, much), "2");
}

static void test_a_full_table_drops_the_rest(void **state)
{
    static struct facts f;

    (void)state;
    for (int i = 0; i < FACTS_MAX + 5; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%d", i);
        facts_put_number(&f, key, (uint64_t)i);
    }
    assert_int_equal(f.n_facts, FACTS_MAX);
    assert_null(facts_get(&f, "k48"));
    facts_put(&f, "k47", "still replaced");
    assert_string_equal(facts_get(&f, "k47"), "still replaced");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_is_got),
        cmocka_unit_test(test_a_key_is_there_once),
        cmocka_unit_test(test_an_empty_text_is_no_fact),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_a_key_that_was_cut_is_there_once_too),
        cmocka_unit_test(test_a_full_table_drops_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
