/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/interrupt.h"
#include "cmd/output.h"
#include "cmd/pair_talk.h"
#include "cmd/record.h"
#include "cmd/test_flags.h"
#include "cmd/where.h"
#include "plan/under_load.h"
#include "results/progress.h"
#include "results/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t test_plan_ns(const struct pair_options *pair)
{
    uint64_t ns = 0;

    if (pair->under_load)
        return under_load_plan_ns(&pair->asks[0]) * repeat_rounds(&pair->repeat);
    for (unsigned i = 0; i < pair->n_asks; i++)
        ns += pair->asks[i].warmup_ns + pair->asks[i].duration_ns +
              (pair->asks[i].search ? CLOCK_S : 0);
    return ns * repeat_rounds(&pair->repeat);
}

/* Room for the result, before anything is measured. */
static int test_open_store(const struct test_flags *f, const struct run_result *run,
                           struct store *ret_store, struct err *err)
{
    char state[STORE_PATH_SIZE];
    int r = f->no_save ? 0 : store_state_dir(state, err);

    if (!f->no_save && r == 0)
        r = store_open(ret_store, state, run->id, err);
    return r < 0 ? err_wrap(err, r, "the result cannot be kept (--no-save does without)") : 0;
}

/* Returns the exit code: the one so far, unless that was good and the result is not in its place. */
static int test_save(struct store *store, const struct run_result *run, bool quiet, int code)
{
    char saved[STORE_PATH_SIZE + 64] = "";
    struct err err = {0};
    int r = store_save(store, run, saved, &err);

    if (r != 0)
        log_say(LOG_ERROR, "%s", err.text);
    if (r >= 0 && !quiet)
        log_say(LOG_INFO, "saved in %s", saved);
    return r != 0 && code == EXIT_OK ? EXIT_ENVIRONMENT : code;
}

static int test_measure(struct test_flags *f, struct run_result *run, struct store *store,
                        int interrupt_fd)
{
    struct progress progress;
    const struct measure_watch watch = {.on_interval = pair_talk_on_interval, .arg = &progress};
    struct err err = {0}, output_err = {0};
    char name[64];
    enum pair_end end;
    int code;

    snprintf(name, sizeof name, "%.28s to %.28s", f->pair.from_text, f->pair.to_text);
    progress_init(&progress, STDERR_FILENO, f->output.quiet || !isatty(STDERR_FILENO), 1,
                  test_plan_ns(&f->pair));
    progress_start(&progress, 1, "test", name, test_plan_ns(&f->pair));
    end = pair_run(&f->pair, interrupt_fd, &watch, run, &err);
    progress_done(&progress);
    run->ended_wall_ns = clock_wall_ns();
    code = pair_talk_code(end, interrupt_fd);
    if (end != PAIR_DONE)
        log_say(LOG_ERROR, "%s", end == PAIR_INTERRUPTED ? "interrupted" : err.text);
    if (!f->no_save)
        code = test_save(store, run, f->output.quiet, code);
    if (output_run(&f->output, run, &output_err) < 0) {
        log_say(LOG_ERROR, "%s", output_err.text);
        code = code == EXIT_OK ? EXIT_ENVIRONMENT : code;
    }
    return code;
}

static int test_run(const struct command *command, int argc, char **argv)
{
    struct test_flags f;
    struct run_result run = {0};
    struct err err = {0};
    char agent[sizeof f.pair.agent];
    struct store store = {0};
    int interrupt_fd = -1, code = test_flags_parse(command, argc, argv, &f);

    if (code != OPTIONS_GO_ON)
        return code;
    /* A command's far end has a file system of its own: there the agent's path is taken as it is given. */
    if (f.pair.agent[0] && (f.pair.from.kind == ENDPOINT_EXEC || f.pair.to.kind == ENDPOINT_EXEC))
        text_copy(agent, sizeof agent, f.pair.agent);
    else if (where_agent(f.pair.agent, agent, sizeof agent, &err) < 0)
        code = EXIT_ENVIRONMENT;
    if (code == OPTIONS_GO_ON) {
        text_copy(f.pair.agent, sizeof f.pair.agent, agent);
        interrupt_fd = interrupt_open(&err);
        if (interrupt_fd < 0 || record_begin(&run, "test", f.description, argc, argv, &err) < 0 ||
            output_check(&f.output, &err) < 0 || test_open_store(&f, &run, &store, &err) < 0)
            code = EXIT_ENVIRONMENT;
    }
    if (code == OPTIONS_GO_ON)
        code = test_measure(&f, &run, &store, interrupt_fd);
    else
        log_say(LOG_ERROR, "%s", err.text);
    store_done(&store);
    run_result_done(&run);
    return code;
}

const struct command cmd_test = {
    .name = "test",
    .summary = "measure one pair of endpoints",
    .args = "FROM TO   (each: local, netns:NAME, exec:COMMAND, ssh://[USER@]HOST[:PORT]; TO also "
            "iperf3://HOST, "
            "iperf2://HOST, stamp://HOST)",
    .examples = "  vnperf test local local --rr\n"
                "  vnperf test netns:a netns:b --udp --udpbuf 64,1400\n"
                "  vnperf test ssh://a ssh://root@b:2222?if=eth5 --tcp\n"
                "  vnperf test netns:a 'exec:ip netns exec b' --tcp --flows 4 --bidir\n",
    .rows = test_flags_rows,
    .min_args = 2,
    .max_args = 1 + MEASURE_MAX_RECEIVERS,
    .run = test_run,
};
