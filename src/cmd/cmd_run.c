/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/hops_sink.h"
#include "cmd/interrupt.h"
#include "cmd/record.h"
#include "cmd/run_flags.h"
#include "cmd/where.h"
#include "deploy/ledger.h"
#include "plan/runner.h"
#include "results/progress.h"
#include "results/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A file of many repetitions takes long: between two savings that many times as long is measured. */
enum { RUN_SAVE_REST = 50 };

/* A run as the command holds it. */
struct run_job {
    struct run_flags flags;
    struct run_result run;
    struct store store;
    struct ledger *ledger; /* owned */
    struct progress progress;
    char saved[STORE_PATH_SIZE + 64]; /* where the result is; "" nowhere */
    bool save_failed;                 /* the last save was not in its place */
    bool save_said;                   /* the user knows that one was not */
    uint64_t save_next_ns;            /* not before: saving stays a small part of the time */
    int interrupt_fd;
};

static void run_save(struct run_job *job)
{
    struct err err = {0};
    uint64_t began = clock_mono_ns();
    int r = store_save(&job->store, &job->run, job->saved, &err);

    job->save_next_ns = clock_mono_ns() + RUN_SAVE_REST * (clock_mono_ns() - began);
    job->save_failed = r != 0;
    if (r < 0)
        job->saved[0] = 0;
    if (r == 0 || job->save_said)
        return;
    job->save_said = true;
    log_say(LOG_ERROR, "%s", err.text);
}

static void run_on_begin(void *arg, unsigned k, const struct scenario_result *scenario,
                         uint64_t plan_ns)
{
    struct run_job *job = arg;

    progress_start(&job->progress, k, scenario->id, scenario->name, plan_ns);
}

static void run_on_interval(void *arg, const struct measure_ask *ask, uint32_t index, double bps,
                            double per_s)
{
    struct run_job *job = arg;
    char text[TEXT_SHORT];

    (void)index;
    if (!flow_kind_asks(ask->spec.kind))
        text_show_rate(bps, text);
    else
        snprintf(text, sizeof text, "%.0f/s", per_s);
    progress_update(&job->progress, text);
}

/* The first of what the last repetition measured. */
static const struct measurement *run_newest(const struct scenario_result *scenario)
{
    const struct measurement *last = &scenario->measurements[scenario->n_measurements - 1],
                             *m = last;

    while (m > scenario->measurements && m[-1].repetition == last->repetition)
        m--;
    return m;
}

static void run_on_scenario(void *arg, const struct scenario_result *scenario)
{
    struct run_job *job = arg;
    char headline[PROGRESS_HEADLINE_SIZE] = "";

    if (scenario->n_measurements)
        progress_headline(run_newest(scenario), headline);
    progress_end(&job->progress, scenario->status,
                 scenario->status == SCENARIO_PASSED ? headline : scenario->reason);
    if (clock_mono_ns() >= job->save_next_ns)
        run_save(job);
}

static void run_on_talk(void *arg, const char *text)
{
    (void)arg;
    log_say(LOG_WARN, "%s", text);
}

/* State folder, result file, ledger: all before anything is made. */
static int run_open_state(struct run_job *job, struct err *err)
{
    char state[STORE_PATH_SIZE], ledgers[STORE_PATH_SIZE + 16];
    int r = store_state_dir(state, err);

    if (r == 0)
        r = store_open(&job->store, state, job->run.id, err);
    if (r < 0)
        return r;
    snprintf(ledgers, sizeof ledgers, "%s/ledger", state);
    return ledger_open(ledgers, job->run.id, job->run.driver, &job->ledger, err);
}

static bool run_has_command(const struct places *places)
{
    for (unsigned i = 0; i < places->n; i++)
        if (places->place[i].there.at.kind == ENDPOINT_EXEC)
            return true;
    return false;
}

static int run_prepare(struct run_job *job, const struct driver *driver, struct err *err)
{
    char agent[sizeof job->flags.run.agent];
    int r = 0;

    /* A command's far end has a file system of its own: there the agent's path is taken as it is given. */
    if (job->flags.run.agent[0] && run_has_command(&job->flags.run.places))
        text_copy(agent, sizeof agent, job->flags.run.agent);
    else
        r = where_agent(job->flags.run.agent, agent, sizeof agent, err);

    if (r < 0)
        return r;
    text_copy(job->flags.run.agent, sizeof job->flags.run.agent, agent);
    r = output_check(&job->flags.output, err);
    if (r < 0)
        return r;
    r = driver->probe(err);
    if (r < 0)
        return r;
    job->interrupt_fd = interrupt_open(err);
    return job->interrupt_fd < 0 ? job->interrupt_fd : run_open_state(job, err);
}

static uint64_t run_plan_ns(const struct run_options *options, unsigned *ret_n)
{
    struct steps steps;
    uint64_t ns = 0;

    steps_make(options, &steps);
    *ret_n = 0;
    for (unsigned i = 0; i < steps.n_steps; i++) {
        if (steps.step[i].kind != STEP_SCENARIO)
            continue;
        ns += steps_scenario_ns(options, &steps.scenario[steps.step[i].scenario]);
        (*ret_n)++;
    }
    *ret_n *= repeat_rounds(&options->repeat);
    return ns * repeat_rounds(&options->repeat);
}

/* The exit code of what happened; a signal's beats the others, since the user asked for the end. */
static int run_code(const struct run_job *job, enum runner_end end)
{
    struct run_summary s = run_result_summary(&job->run);

    if (end == RUNNER_INTERRUPTED) {
        int signal_number = interrupt_taken(job->interrupt_fd);

        return EXIT_SIGNAL + (signal_number ? signal_number : 15);
    }
    if (end == RUNNER_ENVIRONMENT || end == RUNNER_UNREACHABLE)
        return end == RUNNER_ENVIRONMENT ? EXIT_ENVIRONMENT : EXIT_UNREACHABLE;
    if (s.failed)
        return EXIT_FAILED;
    if (job->save_failed)
        return EXIT_ENVIRONMENT;
    return job->run.n_left ? EXIT_LEFT : EXIT_OK;
}

static int run_measure(struct run_job *job, const struct driver *driver)
{
    struct runner_hooks hooks = {.arg = job,
                                 .on_begin = run_on_begin,
                                 .on_interval = run_on_interval,
                                 .on_scenario = run_on_scenario,
                                 .on_talk = run_on_talk};
    const struct hops_sink_options sink_options = {.nat = -1};
    struct hops_sink *sink = NULL;
    struct err err = {0};
    enum runner_end end;
    unsigned n = 0;
    uint64_t plan_ns = run_plan_ns(&job->flags.run, &n);
    int code;

    if (hops_sink_new(&sink_options, &sink, &err) < 0) {
        log_say(LOG_ERROR, "%s", err.text);
        return EXIT_ENVIRONMENT;
    }
    hooks.hop_sink = hops_sink_hooks(sink);
    progress_init(&job->progress, STDERR_FILENO, job->flags.output.quiet, n, plan_ns);
    end = runner_run(&job->flags.run, driver, job->ledger, job->interrupt_fd, &hooks, &job->run);
    progress_done(&job->progress);
    hops_sink_free(sink);
    job->run.ended_wall_ns = clock_wall_ns();
    run_save(job);
    code = run_code(job, end);
    if (job->run.error[0])
        log_say(LOG_ERROR, "%s", job->run.error);
    if (output_run(&job->flags.output, &job->run, &err) < 0) {
        log_say(LOG_ERROR, "%s", err.text);
        code = code == EXIT_OK ? EXIT_ENVIRONMENT : code;
    }
    for (unsigned i = 0; i < job->run.n_left; i++)
        log_say(LOG_WARN, "left behind: %s (vnperf cleanup %s removes it)", job->run.left[i],
                job->run.id);
    if (job->saved[0] && !job->flags.output.quiet)
        log_say(LOG_INFO, "saved in %s", job->saved);
    return code;
}

static int run_check(struct run_job *job)
{
    struct steps steps;
    struct err err = {0};

    steps_make(&job->flags.run, &steps);
    if (steps_check(&steps, &err) == 0)
        return OPTIONS_GO_ON;
    log_say(LOG_ERROR, "run: %s", err.text);
    run_options_done(&job->flags.run);
    return EXIT_USAGE;
}

static int run_run(const struct command *command, int argc, char **argv)
{
    struct run_job job = {.interrupt_fd = -1};
    const struct driver *driver;
    struct err err = {0};
    int code = run_flags_parse(command, argc, argv, &job.flags);

    if (code == OPTIONS_GO_ON)
        code = run_check(&job);
    if (code != OPTIONS_GO_ON)
        return code;
    driver = driver_find(job.flags.run.driver);
    if (record_begin(&job.run, driver->name, job.flags.run.description, argc, argv, &err) < 0 ||
        run_prepare(&job, driver, &err) < 0) {
        log_say(LOG_ERROR, "%s", err.text);
        code = EXIT_ENVIRONMENT;
    } else {
        code = run_measure(&job, driver);
    }
    if (job.ledger)
        ledger_close(job.ledger, NULL);
    store_done(&job.store);
    run_result_done(&job.run);
    settings_done(&job.flags.settings);
    run_options_done(&job.flags.run);
    return code;
}

const struct command cmd_run = {
    .name = "run",
    .summary = "stage, measure every scenario, save, show, clean up",
    .args = "",
    .examples =
        "  vnperf run --quick                      all 23 scenarios in a lab on this machine\n"
        "  vnperf run --scenarios 1.1,2.* -t 10    some of them, longer\n"
        "  vnperf run --quick --json -             the JSON document on stdout\n"
        "  vnperf run --host a --host b::eth5      7.1 to 7.3 between two hosts, by SSH\n"
        "  vnperf run --vm u@10.0.0.5,node=h1,net=a --vm u@10.0.0.6,node=h2,net=a\n"
        "                                          2.1 to 2.3 between two VMs that are there\n",
    .rows = run_flags_rows,
    .run = run_run,
};
