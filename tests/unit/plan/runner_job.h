/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

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
