/* SPDX-License-Identifier: Apache-2.0 */
#include "agents.h"
#include "base/clock.h"
#include "base/text.h"
#include "deploy/driver_fake.h"
#include "plan/runner.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

/*
 * Runs over driver_fake: its agents are real and measure each other over 127.0.0.1.
 */
struct job {
    struct run_options options;
    struct driver driver; /* driver_fake, and spy_spawn */
    struct run_result run;
    struct ledger *ledger;
    char ledger_dir[64], ledger_file[200];
    enum runner_end end;
    int ledger_left;        /* what ledger_close() said */
    int interrupt[2];       /* [0] is the runner's */
    const char *kill_name;  /* in kill_id's first interval this agent is killed … */
    const char *kill_id;    /* … or, with interrupt_in, the signal comes */
    const char *current_id; /* lent by the run */
    unsigned kill_round;    /* not before this one, 1 … */
    bool interrupt_in;
    unsigned n_begun, n_ended, n_talk;
    char order[200]; /* ids of the scenarios as they began, "1.1 7.1 " */
    char talk[400];  /* the last one */
};

enum { MAX_SPAWNED = 32 };
static struct {
    char name[32];
    pid_t pid;
} spied[MAX_SPAWNED];
static unsigned n_spied;

static int spy_spawn(struct driver_state *state, const char *name, char *const argv[],
                     struct spawned *ret_spawned, struct err *err)
{
    int r = driver_fake.spawn(state, name, argv, ret_spawned, err);

    if (r == 0 && n_spied < MAX_SPAWNED) {
        text_copy(spied[n_spied].name, sizeof spied[n_spied].name, name);
        spied[n_spied++].pid = ret_spawned->pid;
    }
    return r;
}

static void on_begin(void *arg, unsigned k, const struct scenario_result *scenario,
                     uint64_t plan_ns)
{
    struct job *job = arg;

    job->n_begun++;
    assert_int_equal(job->n_begun, k);
    assert_true(plan_ns > 0);
    snprintf(job->order + strlen(job->order), sizeof job->order - strlen(job->order), "%s ",
             scenario->id);
    job->current_id = scenario->id;
}

/* How often a scenario has begun. */
static unsigned times(const struct job *job, const char *id)
{
    unsigned n = 0;

    for (const char *p = job->order; (p = strstr(p, id)); p++)
        n++;
    return n;
}

static void on_interval(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                        double per_s)
{
    struct job *job = arg;

    (void)ask, (void)index, (void)bps, (void)per_s;
    if (!job->kill_id || strcmp(job->current_id, job->kill_id) != 0 ||
        times(job, job->kill_id) < job->kill_round)
        return;
    for (unsigned i = 0; i < n_spied; i++)
        if (job->kill_name && strcmp(spied[i].name, job->kill_name) == 0)
            kill(spied[i].pid, SIGKILL);
    if (job->interrupt_in)
        assert_int_equal(write(job->interrupt[1], "x", 1), 1);
    job->kill_id = NULL;
}

static void on_scenario(void *arg, const struct scenario_result *scenario)
{
    struct job *job = arg;

    job->n_ended++;
    assert_true(scenario->status == SCENARIO_PASSED || scenario->reason[0]);
}

static void on_talk(void *arg, const char *text)
{
    struct job *job = arg;

    job->n_talk++;
    text_copy(job->talk, sizeof job->talk, text);
}

static void job_init(struct job *job, const char *scenarios)
{
    *job = (struct job){.driver = driver_fake};
    job->driver.spawn = spy_spawn;
    n_spied = 0;
    driver_fake_reset();
    run_options_default(&job->options);
    text_copy(job->options.driver, sizeof job->options.driver, "fake");
    text_copy(job->options.scenarios, sizeof job->options.scenarios, scenarios);
    assert_true(text_copy(job->options.agent, sizeof job->options.agent, agent_program()));
    /* Short: what is measured is of no interest here. */
    job->options.time_ns = CLOCK_S / 25;
    job->options.cc[0] = 0;
    /* Any port: other tests run beside this one. */
    job->options.port = job->options.port_last = 0;
    /* Groups of TCP alone: echo needs rights, and the search takes long. */
    job->options.protocols[PROTOCOL_UDP] = job->options.protocols[PROTOCOL_ICMP] = false;
    text_copy(job->run.id, sizeof job->run.id, "20261121-000000-test");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, job->interrupt), 0);
    text_copy(job->ledger_dir, sizeof job->ledger_dir, "/tmp/vnperf-runner-XXXXXX");
    assert_non_null(mkdtemp(job->ledger_dir));
    assert_int_equal(ledger_open(job->ledger_dir, job->run.id, "fake", &job->ledger, NULL), 0);
    text_copy(job->ledger_file, sizeof job->ledger_file, ledger_path(job->ledger));
}

static void job_run(struct job *job)
{
    const struct runner_hooks hooks = {.arg = job,
                                       .on_begin = on_begin,
                                       .on_interval = on_interval,
                                       .on_scenario = on_scenario,
                                       .on_talk = on_talk};

    job->end =
        runner_run(&job->options, &job->driver, job->ledger, job->interrupt[0], &hooks, &job->run);
    assert_int_equal(ledger_count(job->ledger), job->run.n_left);
    job->ledger_left = ledger_close(job->ledger, NULL);
    assert_int_equal(job->ledger_left, job->run.n_left);
    /* Every agent is gone and reaped. */
    for (unsigned i = 0; i < n_spied; i++) {
        assert_int_equal(kill(spied[i].pid, 0), -1);
        assert_int_equal(errno, ESRCH);
    }
}

static void job_done(struct job *job)
{
    run_result_done(&job->run);
    close(job->interrupt[0]);
    close(job->interrupt[1]);
    unlink(job->ledger_file);
    assert_int_equal(rmdir(job->ledger_dir), 0);
}

static const struct scenario_result *result_of(const struct job *job, const char *id)
{
    for (unsigned i = 0; i < job->run.n_scenarios; i++)
        if (strcmp(job->run.scenarios[i].id, id) == 0)
            return &job->run.scenarios[i];
    fail_msg("there is no %s", id);
    return NULL;
}

static void expect_status(const struct job *job, const char *id, enum scenario_status status,
                          const char *words)
{
    const struct scenario_result *result = result_of(job, id);

    if (result->status != status || !strstr(result->reason, words))
        print_message("%s is %s: %s\n", id, scenario_status_name[result->status], result->reason);
    assert_int_equal(result->status, status);
    assert_non_null(strstr(result->reason, words));
    if (status != SCENARIO_PASSED)
        return;
    assert_string_equal(result->reason, "");
    assert_int_equal(result->n_measurements, 2);
    assert_true(metric_get_real(&result->measurements[0].headline, METRIC_throughput_bps) > 0);
    assert_true(metric_get(&result->measurements[1].headline, METRIC_transactions) > 0);
}

/* The lines of the log that begin with a word, without it: "vm:vm1 vm:vm2". */
static void log_lines(const char *word, char *ret, size_t size)
{
    size_t used = 0, skip = strlen(word);

    ret[0] = 0;
    for (const char *line = driver_fake_log(); *line;) {
        size_t len = strcspn(line, "\n");

        if (strncmp(line, word, skip) == 0 && line[skip] == ' ')
            used += (size_t)snprintf(ret + used, size - used, "%s%.*s", used ? " " : "",
                                     (int)strcspn(line + skip + 1, " \n"), line + skip + 1);
        assert_true(used < size);
        line += len + (line[len] == '\n');
    }
}

/* Everything that create was called for is destroyed, last first. */
static void expect_undone(void)
{
    char created[1000], destroyed[1000], reversed[1000];
    size_t used = 0;

    log_lines("create", created, sizeof created);
    log_lines("destroy", destroyed, sizeof destroyed);
    for (char *last; (last = strrchr(created, ' ')); *last = 0)
        used += (size_t)snprintf(reversed + used, sizeof reversed - used, "%s ", last + 1);
    snprintf(reversed + used, sizeof reversed - used, "%s", created);
    assert_string_equal(destroyed, reversed);
}

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
    assert_int_equal(job.run.n_nodes, 2);
    assert_string_equal(job.run.nodes[0].name, "node1");
    assert_non_null(facts_get(&job.run.nodes[0].facts, "kernel"));
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

static void repeat_init(struct job *job, uint32_t n, uint64_t seed)
{
    job_init(job, "1.1,2.1,7.1");
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
        cmocka_unit_test(test_rounds_are_shuffled_by_the_seed),
        cmocka_unit_test(test_what_is_narrow_enough_is_in_no_further_round),
        cmocka_unit_test(test_what_failed_is_in_no_further_round),
        cmocka_unit_test(test_interrupt_in_a_later_round),
        cmocka_unit_test(test_agent_that_is_not_there),
    };

    /* As every program that holds a peer does. */
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("runner", tests, NULL, NULL);
}
