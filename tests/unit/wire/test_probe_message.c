/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/probe_message.h"

#include <stdio.h>
#include <string.h>

static char buf[LINE_MAX_BYTES];

static void begin(struct line_out *out) { line_begin(out, buf, sizeof buf, 3, "probe"); }

static void cut(struct line_out *out, struct line *ret_line)
{
    size_t n = line_end(out);

    assert_true(n > 0);
    buf[n - 1] = 0;
    assert_int_equal(LINE_OK, line_cut(buf, n - 1, ret_line));
}

static void test_doors_come_back_the_same(void **state)
{
    const struct probe_doors doors = {.n = 3,
                                      .door = {{.port = 5001, .port_last = 5031},
                                               {.udp = true, .v6 = true, .port = 5001},
                                               {.udp = true, .port = 65535, .port_last = 65535}},
                                      .token = {1, 2, 0xff}};
    struct probe_doors back = {0};
    struct line_out out;
    struct line line;

    (void)state;
    begin(&out);
    probe_message_put_doors(&out, &doors);
    cut(&out, &line);
    assert_int_equal(probe_message_get_doors(&line, &back, NULL), 0);
    assert_memory_equal(&back, &doors, sizeof doors);
}

static void test_knocks_come_back_the_same(void **state)
{
    static struct probe_knocks knocks, back;
    struct line_out out;
    struct line line;

    (void)state;
    knocks.n = PROBE_MAX_KNOCKS;
    knocks.wait_ns = 2000000000;
    knocks.token[0] = 7;
    /* As many as there may be, with the longest words: a line has room for them. */
    for (uint32_t i = 0; i < knocks.n; i++) {
        struct probe_knock *k = &knocks.knock[i];

        k->udp = i % 2;
        k->port = 65535;
        k->number = PROBE_NUMBERS - 1 - i;
        k->dscp = 63;
        strcpy(k->address, "2001:db8:1111:2222:3333:4444:5555:6666");
        if (i % 3 == 0)
            strcpy(k->bind, "2001:db8:1111:2222:3333:4444:5555:7777");
    }
    begin(&out);
    probe_message_put_knocks(&out, &knocks);
    cut(&out, &line);
    assert_int_equal(probe_message_get_knocks(&line, &back, NULL), 0);
    assert_memory_equal(&back, &knocks, sizeof knocks);
}

static void test_answers_come_back_the_same(void **state)
{
    const struct probe_opened opened[] = {{5001, 0}, {0, 98}};
    const struct probe_answer answers[] = {{PROBE_REACHED, 0},
                                           {PROBE_SILENT, 0},
                                           {PROBE_CONNECTED, 0},
                                           {PROBE_STRANGER, 0},
                                           {PROBE_ERROR, 111}};
    struct probe_opened opened_back[2];
    struct probe_answer answers_back[5];
    struct line_out out;
    struct line line;

    (void)state;
    begin(&out);
    probe_message_put_opened(&out, opened, 2);
    probe_message_put_answers(&out, answers, 5);
    cut(&out, &line);
    assert_int_equal(probe_message_get_opened(&line, opened_back, 2, NULL), 0);
    assert_memory_equal(opened_back, opened, sizeof opened);
    assert_int_equal(probe_message_get_answers(&line, answers_back, 5, NULL), 0);
    assert_memory_equal(answers_back, answers, sizeof answers);
    /* One that was not answered is not taken for one that was. */
    assert_true(probe_message_get_answers(&line, answers_back, 6, NULL) < 0);
}

static void test_what_was_heard_comes_back_the_same(void **state)
{
    static struct probe_heard heard[PROBE_MAX_DOORS], back[PROBE_MAX_DOORS];
    struct line_out out;
    struct line line;

    (void)state;
    heard[1].number[0] = 0x81;
    heard[1].number[31] = 0x80;
    heard[1].n_half = 2;
    strcpy(heard[1].half[0], "10.0.0.1");
    strcpy(heard[1].half[1], "fd00::1");
    begin(&out);
    probe_message_put_heard(&out, heard, PROBE_MAX_DOORS);
    cut(&out, &line);
    assert_string_equal(line_get(&line, "heard1"), "0 7 255");
    assert_int_equal(probe_message_get_heard(&line, back, PROBE_MAX_DOORS, NULL), 0);
    assert_memory_equal(back, heard, sizeof heard);
    assert_true(probe_has_heard(&back[1], 255));
    assert_false(probe_has_heard(&back[1], 254));
    assert_false(probe_has_heard(&back[1], 256));
}

static const char token[] = "token=000102030405060708090a0b0c0d0e0f";

static void expect_refused(bool knocks, const char *keys, const char *words)
{
    static struct probe_knocks k;
    struct probe_doors d;
    struct err err = {0};
    struct line line;
    int r;

    snprintf(buf, sizeof buf, "3 probe %s %s", keys, token);
    assert_int_equal(line_cut(buf, strlen(buf), &line), LINE_OK);
    r = knocks ? probe_message_get_knocks(&line, &k, &err)
               : probe_message_get_doors(&line, &d, &err);
    if (r == 0 || !strstr(err.text, words))
        fail_msg("'%s': %d, '%s'", keys, r, err.text);
}

static void test_what_is_none_is_refused(void **state)
{
    (void)state;
    expect_refused(false, "x=1", "doors= is not 1 to 8");
    expect_refused(false, "doors=0", "doors= is not 1 to 8");
    expect_refused(false, "doors=9", "doors= is not 1 to 8");
    expect_refused(false, "doors=1", "door0=");
    expect_refused(false, "doors=1 door0=sctp%204%205001%200", "door0=");
    expect_refused(false, "doors=1 door0=tcp%205%205001%200", "door0=");
    expect_refused(false, "doors=1 door0=tcp%204%2065536%200", "door0=");
    expect_refused(false, "doors=1 door0=tcp%204%205002%205001", "door0=");
    expect_refused(false, "doors=1 door0=tcp%204%205001%200%209", "door0=");
    expect_refused(false, "doors=1 door0=tcp%20%204%205001", "door0=");
    expect_refused(true, "knocks=49", "knocks= is not 1 to 48");
    expect_refused(true, "knocks=1 wait_ns=60000000001", "wait_ns=");
    expect_refused(true, "knocks=1 wait_ns=1", "knock0=");
    expect_refused(true, "knocks=1 wait_ns=1 knock0=256%20tcp%2010.0.0.1%201%200", "knock0=");
    expect_refused(true, "knocks=1 wait_ns=1 knock0=1%20tcp%20host%201%200", "knock0=");
    expect_refused(true, "knocks=1 wait_ns=1 knock0=1%20tcp%2010.0.0.1%201%2064", "knock0=");
    expect_refused(true, "knocks=1 wait_ns=1 knock0=1%20tcp%2010.0.0.1%20-1%200", "knock0=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doors_come_back_the_same),
        cmocka_unit_test(test_knocks_come_back_the_same),
        cmocka_unit_test(test_answers_come_back_the_same),
        cmocka_unit_test(test_what_was_heard_comes_back_the_same),
        cmocka_unit_test(test_what_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
