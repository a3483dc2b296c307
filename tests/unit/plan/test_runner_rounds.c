/* SPDX-License-Identifier: Apache-2.0 */
#include "runner_job.h"

static void repeat_init(struct job *job, uint32_t n, uint64_t seed)
{
    job_init(job, "1.1,2.1,7.1");
    /* Many trials, of which none may fail because others had the CPU for as long as it lasted. */
    job->options.time_ns = CLOCK_S / 8;
    job->options.repeat = (struct repeat_options){.n = n, .seed_set = true, .seed = seed};
}

/* Each round has all of them once, in an order that the seed alone says. */
static void test_rounds_are_shuffled_by_the_seed(void **state)
{
    char orders[2][200];

    (void)state;
    for (unsigned k = 0; k < 2; k++) {
        struct job job;

        repeat_init(&job, 4, 99);
        job_run(&job);
        assert_int_equal(job.end, RUNNER_DONE);
        assert_int_equal(job.n_begun, 12);
        assert_int_equal(job.n_ended, 12);
        for (unsigned round = 0; round < 4; round++) {
            char part[13];

            text_copy(part, sizeof part, job.order + round * 12);
            assert_true(strstr(part, "1.1 ") && strstr(part, "2.1 ") && strstr(part, "7.1 "));
        }
        memcpy(orders[k], job.order, sizeof orders[k]);
        assert_true(job.run.repeat.n == 4 && job.run.repeat.seed == 99);
        if (result_of(&job, "2.1")->status != SCENARIO_PASSED)
            fail_msg("2.1: %s", result_of(&job, "2.1")->reason);
        assert_int_equal(result_of(&job, "2.1")->n_measurements, 8);
        assert_int_equal(result_of(&job, "2.1")->n_repeats, 2);
        assert_int_equal(result_of(&job, "2.1")->repeats[1].n, 4);
        assert_int_equal(result_of(&job, "2.1")->repeats[1].end, REPEAT_ALL);
        assert_int_equal(result_of(&job, "2.1")->measurements[7].repetition, 4);
        job_done(&job);
    }
    assert_string_equal(orders[0], orders[1]);
    assert_string_not_equal(orders[0], "1.1 2.1 7.1 1.1 2.1 7.1 1.1 2.1 7.1 1.1 2.1 7.1 ");
}

static void test_what_is_narrow_enough_is_in_no_further_round(void **state)
{
    struct job job;

    (void)state;
    repeat_init(&job, 8, 1);
    /* So wide that the first interval there is will do: that of 6 values. */
    job.options.repeat.until_share = 1e6;
    job_run(&job);
    assert_int_equal(job.n_begun, 18);
    assert_int_equal(result_of(&job, "1.1")->repeats[0].n, 6);
    assert_int_equal(result_of(&job, "1.1")->repeats[0].end, REPEAT_NARROW);
    expect_undone();
    job_done(&job);
}

static void test_what_failed_is_in_no_further_round(void **state)
{
    struct job job;

    (void)state;
    repeat_init(&job, 3, 1);
    job.kill_name = "vm3";
    job.kill_id = "2.1";
    job_run(&job);
    assert_int_equal(job.end, RUNNER_DONE);
    assert_int_equal(job.n_begun, 7);
    expect_status(&job, "2.1", SCENARIO_FAILED, "repetition 1 of 3: ");
    assert_int_equal(result_of(&job, "2.1")->repeats[0].end, REPEAT_FAILED);
    assert_int_equal(result_of(&job, "1.1")->status, SCENARIO_PASSED);
    assert_int_equal(result_of(&job, "1.1")->repeats[0].n, 3);
    expect_undone();
    job_done(&job);
}

/* The repetitions that were whole stay what they are. */
static void test_interrupt_in_a_later_round(void **state)
{
    struct job job;

    (void)state;
    repeat_init(&job, 3, 1);
    job.kill_id = "2.1";
    job.kill_round = 2;
    job.interrupt_in = true;
    job_run(&job);
    assert_int_equal(job.end, RUNNER_INTERRUPTED);
    expect_status(&job, "2.1", SCENARIO_FAILED, "interrupted");
    assert_int_equal(result_of(&job, "1.1")->status, SCENARIO_PASSED);
    assert_int_equal(result_of(&job, "7.1")->status, SCENARIO_PASSED);
    assert_int_equal(result_of(&job, "1.1")->repeats[0].end, REPEAT_INTERRUPTED);
    assert_true(result_of(&job, "2.1")->repeats[0].n >= 1);
    expect_undone();
    job_done(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_are_shuffled_by_the_seed),
        cmocka_unit_test(test_what_is_narrow_enough_is_in_no_further_round),
        cmocka_unit_test(test_what_failed_is_in_no_further_round),
        cmocka_unit_test(test_interrupt_in_a_later_round),
    };

    /* As every program that holds a peer does. */
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("runner_rounds", tests, NULL, NULL);
}
