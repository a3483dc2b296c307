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
    assert_int_equal(facts_state(&f, 0), FACT_IS_TEXT);
    assert_int_equal(facts_state(&f, 1), FACT_IS_NUMBER);
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
    assert_int_equal(facts_state(&f, 0), FACT_IS_TEXT);
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
    char much[2 * FACT_VALUE_SIZE];

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
    assert_true(f.cut);
    assert_null(facts_get(&f, "k160"));
    facts_put(&f, "k159", "still replaced");
    assert_string_equal(facts_get(&f, "k159"), "still replaced");
}

static void test_what_is_missing_is_no_value_and_gives_way_to_one(void **state)
{
    static struct facts f;

    (void)state;
    facts_miss(&f, "nic_firmware", "Permission denied");
    assert_null(facts_get(&f, "nic_firmware"));
    assert_int_equal(facts_state(&f, 0), FACT_IS_MISSING);
    assert_string_equal(facts_value(&f, 0), "Permission denied");
    facts_put(&f, "nic_firmware", "1.2");
    facts_miss(&f, "nic_firmware", "too late");
    assert_string_equal(facts_get(&f, "nic_firmware"), "1.2");
    assert_int_equal(f.n_facts, 1);
}

static void test_each_row_has_a_key_and_a_place_of_its_own(void **state)
{
    unsigned n = 0;

    (void)state;
    for (const struct fact_row *a = fact_rows; a->key; a++, n++) {
        assert_true(strlen(a->key) < FACT_KEY_SIZE);
        assert_ptr_equal(facts_row(a->key), a);
        for (const struct fact_row *b = a + 1; b->key; b++)
            assert_false(strcmp(a->group, b->group) == 0 && strcmp(a->name, b->name) == 0);
    }
    assert_in_range(n, 50, FACTS_MAX - 10);
}

static void test_only_what_can_change_is_told_when_it_did(void **state)
{
    static struct facts a, b;
    struct fact_change c[FACT_CHANGES_MAX];

    (void)state;
    facts_put_number(&a, "mtu_bytes", 1500);
    facts_put_number(&b, "mtu_bytes", 1400);
    facts_put(&a, "nic_qdisc", "fq_codel");
    facts_put(&b, "nic_qdisc", "fq_codel");
    facts_put(&a, "offloads", "tx-tcp-segmentation rx-gro tx-checksum-ipv4");
    facts_put(&b, "offloads", "rx-gro tx-checksum-ipv4 rx-lro");
    /* FIXED: nobody asks whether it is the same again. */
    facts_put(&a, "kernel", "6.1");
    facts_put(&b, "kernel", "6.2");
    /* Within the slack of 1 ms, and beyond. */
    facts_put_signed(&a, "clock_offset_ns", -400000);
    facts_put_signed(&b, "clock_offset_ns", 500000);
    facts_put_signed(&a, "chrony_offset_ns", -400000);
    facts_put_signed(&b, "chrony_offset_ns", 700000);
    /* Not there, then there; and missing, which is not compared. */
    facts_put(&b, "cpu_governor", "powersave");
    facts_miss(&b, "clock_source", "Permission denied");
    facts_put(&a, "clock_source", "tsc");
    assert_int_equal(facts_changes(&a, &b, c, FACT_CHANGES_MAX), 4);
    assert_string_equal(c[0].key, "cpu_governor");
    assert_string_equal(c[0].before, "");
    assert_string_equal(c[0].after, "powersave");
    assert_string_equal(c[1].key, "mtu_bytes");
    assert_string_equal(c[1].before, "1500");
    assert_string_equal(c[1].after, "1400");
    assert_string_equal(c[2].key, "offloads");
    assert_string_equal(c[2].before, "tx-tcp-segmentation");
    assert_string_equal(c[2].after, "rx-lro");
    assert_string_equal(c[3].key, "chrony_offset_ns");
    assert_int_equal(facts_changes(&a, &b, c, 2), 2);
    assert_int_equal(facts_changes(&a, &a, c, FACT_CHANGES_MAX), 0);
}

static void test_lists_take_whole_items_alone(void **state)
{
    char list[FACT_VALUE_SIZE] = "", long_one[FACT_VALUE_SIZE];

    (void)state;
    facts_map(list, "rx 0", "a=b c");
    facts_map(list, "rx-1", "f");
    assert_string_equal(list, "rx_0=a_b_c rx-1=f");
    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = 0;
    facts_list(list, long_one);
    facts_list(list, "");
    assert_string_equal(list, "rx_0=a_b_c rx-1=f");
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
        cmocka_unit_test(test_what_is_missing_is_no_value_and_gives_way_to_one),
        cmocka_unit_test(test_each_row_has_a_key_and_a_place_of_its_own),
        cmocka_unit_test(test_only_what_can_change_is_told_when_it_did),
        cmocka_unit_test(test_lists_take_whole_items_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
