/* SPDX-License-Identifier: Apache-2.0 */
#include "far.h"

#include "wire/probe_message.h"

#include <stdio.h>

static const char token[] = "token=000102030405060708090a0b0c0d0e0f";

static void write_doors(const struct far *far, unsigned id)
{
    char text[200];

    snprintf(text, sizeof text,
             "%u doors doors=2 door0=tcp%%204%%200%%200 door1=udp%%204%%200%%200 %s\n", id, token);
    far_write(far, text);
}

static void test_doors_open_are_knocked_at_and_shut(void **state)
{
    struct probe_opened opened[2];
    struct probe_answer answers[3];
    struct probe_heard heard[2];
    char text[400];
    struct far far;

    (void)state;
    far_init(&far);
    write_doors(&far, 1);
    far_expect(&far, 1, "ok");
    assert_int_equal(probe_message_get_opened(&far.message.line, opened, 2, NULL), 0);
    assert_true(opened[0].port && opened[1].port && !opened[0].error && !opened[1].error);
    write_doors(&far, 2);
    far_expect_fault(&far, 2, "error", EBUSY, "request 1");
    snprintf(text, sizeof text,
             "3 knock knocks=3 wait_ns=300000000 knock0=4%%20tcp%%20127.0.0.1%%20%u%%200 "
             "knock1=5%%20udp%%20127.0.0.1%%20%u%%200 knock2=6%%20tcp%%20127.0.0.1%%201%%200 %s\n",
             opened[0].port, opened[1].port, token);
    far_write(&far, text);
    far_expect(&far, 3, "ok");
    assert_int_equal(probe_message_get_answers(&far.message.line, answers, 3, NULL), 0);
    assert_int_equal(answers[0].end, PROBE_REACHED);
    assert_int_equal(answers[1].end, PROBE_REACHED);
    assert_int_equal(answers[2].end, PROBE_ERROR);
    assert_int_equal(answers[2].error, ECONNREFUSED);
    far_write(&far, "4 shut doors=2\n5 shut\n6 shut doors=1\n7 shut doors=1\n");
    far_expect_fault(&far, 4, "error", EINVAL, "there are no doors 2");
    far_expect_fault(&far, 5, "error", EINVAL, "lacks doors=");
    far_expect(&far, 6, "ok");
    assert_int_equal(probe_message_get_heard(&far.message.line, heard, 2, NULL), 0);
    assert_true(probe_has_heard(&heard[0], 4) && !probe_has_heard(&heard[0], 5));
    assert_true(probe_has_heard(&heard[1], 5) && !probe_has_heard(&heard[1], 4));
    far_expect_fault(&far, 7, "error", EINVAL, "there are no doors 1");
    far_done(&far, 0);
}

/* Their thread and sockets go with the agent, however it ends: a sanitizer would tell. */
static void test_a_controller_that_goes_leaves_no_doors(void **state)
{
    struct far far;

    (void)state;
    far_init(&far);
    write_doors(&far, 1);
    far_expect(&far, 1, "ok");
    far_done(&far, 0);
    far_init(&far);
    write_doors(&far, 1);
    far_write(&far, "2 quit\n");
    far_expect(&far, 1, "ok");
    far_expect(&far, 2, "ok");
    far_done(&far, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doors_open_are_knocked_at_and_shut),
        cmocka_unit_test(test_a_controller_that_goes_leaves_no_doors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
