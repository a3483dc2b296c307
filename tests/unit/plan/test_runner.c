/* SPDX-License-Identifier: Apache-2.0 */
#include "runner_job.h"

static void test_all_passes_and_nothing_stays(void **state)
{
    struct job job;

    (void)state;
    job_init(&job, "");
    job_run(&job);
    assert_int_equal(job.end, RUNNER_DONE);
    assert_int_equal(job.run.n_scenarios, 23);
    for (unsigned i = 0; i < SCENARIO_USUAL; i++) {
        if (scenario_table[i].protocol == PROTOCOL_TCP)
            expect_status(&job, scenario_table[i].id, SCENARIO_PASSED, "");
        else
            expect_status(&job, scenario_table[i].id, SCENARIO_SKIPPED, "--protocols");
        assert_int_equal(job.run.scenarios[i].chosen, scenario_table[i].protocol == PROTOCOL_TCP);
    }
    assert_int_equal(job.n_begun, 9);
    assert_int_equal(job.n_ended, 9);
    assert_int_equal(job.n_talk, 0);
    /* Two nodes; the VMs and the external host tell their facts, too. */
    assert_int_equal(job.run.n_nodes, 8);
    assert_string_equal(job.run.nodes[0].name, "node1");
    for (unsigned i = 0; i < job.run.n_nodes; i++) {
        assert_non_null(facts_get(&job.run.nodes[i].facts, "kernel"));
        assert_true(job.run.nodes[i].compared);
        assert_int_equal(job.run.nodes[i].role == NODE_ENDPOINT, i >= 2);
    }
    assert_string_equal(result_of(&job, "6.1")->to.floating, "127.0.0.1");
    assert_string_equal(result_of(&job, "1.1")->to.network, "net1");
    assert_int_equal(driver_fake_n_left(), 0);
    assert_int_equal(driver_fake_n_spawned(), 8);
    assert_true(job.run.cleaned);
    assert_int_not_equal(access(job.ledger_file, F_OK), 0);
    expect_undone();
    job_done(&job);
}

/* Each resource in turn cannot be made: what needs it fails with its name, the others pass. */
static void test_create_fails(void **state)
{
    (void)state;
    for (unsigned k = 0; k < SCENARIO_RESOURCES; k++) {
        const struct resource *resource = &scenario_resources[k];
        const char *ids[] = {"1.1", "4.1", "7.1", "8.1"};
        unsigned n_failed = 0, n = 4;
        char fault[100], words[200];
        struct job job;

        job_init(&job, "1.1,4.1,7.1,8.1");
        snprintf(fault, sizeof fault, "fail create %s:%s", resource_kind_name[resource->kind],
                 resource->name);
        snprintf(words, sizeof words, "making %s %s", resource_kind_name[resource->kind],
                 resource->name);
        assert_int_equal(driver_fake_fault(fault), 0);
        job_run(&job);
        for (unsigned i = 0; i < SCENARIO_COUNT; i++)
            for (unsigned j = 0; j < n; j++) {
                if (strcmp(scenario_table[i].id, ids[j]) != 0)
                    continue;
                if (scenario_needs(&scenario_table[i], resource)) {
                    expect_status(&job, ids[j], SCENARIO_FAILED, words);
                    n_failed++;
                } else {
                    expect_status(&job, ids[j], SCENARIO_PASSED, "");
                }
            }
        assert_int_equal(job.end, n_failed == n ? RUNNER_ENVIRONMENT : RUNNER_DONE);
        assert_int_equal(job.run.error[0] != 0, n_failed == n);
        assert_int_equal(driver_fake_n_left(), 0);
        assert_int_equal(job.run.n_left, 0);
        if (n_failed) {
            assert_int_equal(job.n_talk, 1);
            assert_non_null(strstr(job.talk, words));
        }
        expect_undone();
        job_done(&job);
    }
}

static void test_agent_does_not_start_or_dies_at_once(void **state)
{
    static const char *const faults[] = {"fail spawn vm2", "die spawn vm2"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct job job;

        job_init(&job, "1.1,2.1,7.1");
        assert_int_equal(driver_fake_fault(faults[i]), 0);
        job_run(&job);
        assert_int_equal(job.end, RUNNER_DONE);
        expect_status(&job, "1.1", SCENARIO_FAILED, "starting the agent on vm vm2");
        if (i == 1)
            expect_status(&job, "1.1", SCENARIO_FAILED, "the agent at vm2 has ended");
        expect_status(&job, "2.1", SCENARIO_PASSED, "");
        expect_status(&job, "7.1", SCENARIO_PASSED, "");
        expect_undone();
        job_done(&job);
    }
}

static void test_no_agent_at_all_is_the_environments_fault(void **state)
{
    struct job job;

    (void)state;
    job_init(&job, "1.1,7.1");
    assert_int_equal(driver_fake_fault("fail spawn"), 0);
    job_run(&job);
    assert_int_equal(job.end, RUNNER_ENVIRONMENT);
    expect_status(&job, "1.1", SCENARIO_FAILED, "starting the agent on");
    assert_non_null(strstr(job.run.error, "no scenario could be measured"));
    expect_undone();
    job_done(&job);
}

/* Killed while it measures: that scenario fails, keeping what there is; so do later ones that need it. */
static void test_agent_dies_in_mid_test(void **state)
{
    static const struct {
        const char *name, *id;
    } rows[] = {{"vm1", "1.1"}, {"vm2", "1.1"}, {"vm3", "2.1"}, {"node2", "7.1"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job job;
        char words[100];

        job_init(&job, "1.1,2.1,7.1");
        job.kill_name = rows[i].name;
        job.kill_id = rows[i].id;
        job_run(&job);
        snprintf(words, sizeof words, "the agent at %s has ended", rows[i].name);
        assert_int_equal(job.end, RUNNER_DONE);
        assert_int_equal(result_of(&job, rows[i].id)->status, SCENARIO_FAILED);
        assert_true(result_of(&job, rows[i].id)->n_measurements > 0);
        for (unsigned k = 0; k < SCENARIO_USUAL; k++) {
            const struct scenario *s = &scenario_table[k];
            bool ends = strcmp(s->from, rows[i].name) == 0 || strcmp(s->to, rows[i].name) == 0;

            if (!job.run.scenarios[k].chosen || strcmp(s->id, rows[i].id) == 0)
                continue;
            expect_status(&job, s->id, ends ? SCENARIO_FAILED : SCENARIO_PASSED, ends ? words : "");
        }
        assert_int_equal(driver_fake_n_left(), 0);
        expect_undone();
        job_done(&job);
    }
}

/* What cannot be removed is named, stays in the ledger, and the rest is removed all the same. */
static void test_destroy_fails(void **state)
{
    struct job job;
    struct ledger_content content = {0};

    (void)state;
    job_init(&job, "1.1,7.1");
    assert_int_equal(driver_fake_fault("fail destroy vm:vm1"), 0);
    assert_int_equal(driver_fake_fault("fail destroy node:node2"), 0);
    job_run(&job);
    assert_int_equal(job.end, RUNNER_DONE);
    expect_status(&job, "1.1", SCENARIO_PASSED, "");
    expect_status(&job, "7.1", SCENARIO_PASSED, "");
    assert_int_equal(job.run.n_left, 2);
    assert_string_equal(job.run.left[0], "vm vm1");
    assert_string_equal(job.run.left[1], "node node2");
    assert_int_equal(driver_fake_n_left(), 2);
    assert_int_equal(job.ledger_left, 2);
    expect_undone();
    assert_int_equal(ledger_read(job.ledger_file, &content, NULL), 0);
    assert_int_equal(content.n_entries, 2);
    assert_string_equal(content.entry[0].text, "node:node2");
    assert_string_equal(content.entry[1].text, "vm:vm1");
    assert_string_equal(content.entry[1].kind, "vm");
    ledger_content_done(&content);
    job_done(&job);
}

/* The N-th call of the driver fails, for every N: it always ends, undone, with reasons. */
static void test_every_call_fails_once(void **state)
{
    unsigned n_calls;
    struct job job;

    (void)state;
    job_init(&job, "1.1,7.1");
    job_run(&job);
    n_calls = driver_fake_n_steps();
    job_done(&job);
    assert_in_range(n_calls, 16, 20);
    for (unsigned step = 1; step <= n_calls; step++) {
        char fault[40];
        struct run_summary s;

        job_init(&job, "1.1,7.1");
        snprintf(fault, sizeof fault, "fail step %u", step);
        assert_int_equal(driver_fake_fault(fault), 0);
        job_run(&job);
        s = run_result_summary(&job.run);
        assert_int_equal(s.total, 23);
        assert_int_equal(driver_fake_n_left(), job.run.n_left);
        if (job.end == RUNNER_ENVIRONMENT)
            assert_true(job.run.error[0]);
        if (step == 1) {
            assert_int_equal(job.end, RUNNER_ENVIRONMENT);
            assert_non_null(strstr(job.run.error, "open"));
            assert_int_equal(driver_fake_n_steps(), 1);
        } else {
            expect_undone();
            /* A fault shows as a failure or as something left, but for the last call: close cannot fail. */
            assert_true(s.failed > 0 || job.run.n_left == 1 || step == n_calls);
        }
        job_done(&job);
    }
}

static void test_stop_on_error(void **state)
{
    struct job job;

    (void)state;
    job_init(&job, "1.1,2.1,7.1");
    job.options.stop_on_error = true;
    assert_int_equal(driver_fake_fault("fail create vm:vm3"), 0);
    job_run(&job);
    assert_int_equal(job.end, RUNNER_STOPPED);
    expect_status(&job, "1.1", SCENARIO_PASSED, "");
    expect_status(&job, "2.1", SCENARIO_FAILED, "making vm vm3");
    expect_status(&job, "7.1", SCENARIO_SKIPPED, "--stop-on-error");
    assert_true(result_of(&job, "7.1")->chosen);
    assert_int_equal(driver_fake_n_left(), 0);
    expect_undone();
    job_done(&job);
}

static void test_interrupt_before_anything(void **state)
{
    struct job job;

    (void)state;
    job_init(&job, "1.1,7.1");
    assert_int_equal(write(job.interrupt[1], "x", 1), 1);
    job_run(&job);
    assert_int_equal(job.end, RUNNER_INTERRUPTED);
    expect_status(&job, "1.1", SCENARIO_SKIPPED, "interrupted before it began");
    expect_status(&job, "7.1", SCENARIO_SKIPPED, "interrupted before it began");
    assert_int_equal(job.n_begun, 0);
    assert_int_equal(driver_fake_n_left(), 0);
    expect_undone();
    job_done(&job);
}

static void test_interrupt_in_mid_test(void **state)
{
    struct job job;

    (void)state;
    job_init(&job, "1.1,2.1,7.1");
    job.kill_id = "2.1";
    job.interrupt_in = true;
    job_run(&job);
    assert_int_equal(job.end, RUNNER_INTERRUPTED);
    expect_status(&job, "1.1", SCENARIO_PASSED, "");
    expect_status(&job, "2.1", SCENARIO_FAILED, "interrupted");
    expect_status(&job, "7.1", SCENARIO_SKIPPED, "interrupted before it began");
    /* What it had counted until then is kept. */
    assert_true(result_of(&job, "2.1")->n_measurements > 0);
    assert_true(metric_get(&result_of(&job, "2.1")->measurements[0].sender.metrics, METRIC_bytes) >
                0);
    assert_int_equal(driver_fake_n_left(), 0);
    expect_undone();
    job_done(&job);
}

static void test_agent_that_is_not_there(void **state)
{
    struct job job;

    (void)state;
    job_init(&job, "7.1");
    text_copy(job.options.agent, sizeof job.options.agent, "/nonexistent/vnperf-agent");
    job_run(&job);
    assert_int_equal(job.end, RUNNER_ENVIRONMENT);
    expect_status(&job, "7.1", SCENARIO_FAILED, "starting the agent on node node1");
    assert_int_equal(driver_fake_n_left(), 0);
    job_done(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_passes_and_nothing_stays),
        cmocka_unit_test(test_create_fails),
        cmocka_unit_test(test_agent_does_not_start_or_dies_at_once),
        cmocka_unit_test(test_no_agent_at_all_is_the_environments_fault),
        cmocka_unit_test(test_agent_dies_in_mid_test),
        cmocka_unit_test(test_destroy_fails),
        cmocka_unit_test(test_every_call_fails_once),
        cmocka_unit_test(test_stop_on_error),
        cmocka_unit_test(test_interrupt_before_anything),
        cmocka_unit_test(test_interrupt_in_mid_test),
        cmocka_unit_test(test_agent_that_is_not_there),
    };

    /* As every program that holds a peer does. */
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("runner", tests, NULL, NULL);
}
