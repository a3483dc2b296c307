/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/hops_flags.h"
#include "cmd/hops_man.h"
#include "cmd/hops_output.h"
#include "cmd/hops_sink.h"
#include "cmd/interrupt.h"
#include "cmd/pair_talk.h"
#include "cmd/record.h"
#include "cmd/ssh_note.h"
#include "cmd/where.h"
#include "results/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Nothing was paired: the likeliest reason. */
static void hops_say_why(const struct hops_flags *f, const struct hops *hops)
{
    for (unsigned i = 0; i < hops->n_points; i++) {
        if (hops->points[i].seen)
            continue;
        log_say(LOG_ERROR, "nothing was paired: %s saw no packet%s", hops->points[i].name,
                f->filter[0] ? " that the filter takes" : "");
        return;
    }
    log_say(LOG_ERROR, "nothing was paired: no packet was seen at two points within %s",
            f->hops.live.nat == 0 ? "the window with the same addresses (without --nat no?)"
                                  : "the window (a longer --window?)");
}

static int hops_show(const struct hops_flags *f, const struct hops *hops, int code)
{
    struct err err = {0};

    if (hops->n_points == 0)
        return code == EXIT_OK ? EXIT_FAILED : code;
    if (hops_output_print(&f->output, hops, false, &err) < 0) {
        log_say(LOG_ERROR, "%s", err.text);
        return code == EXIT_OK ? EXIT_ENVIRONMENT : code;
    }
    if (code == EXIT_OK && hops_paired(hops) == 0) {
        hops_say_why(f, hops);
        return EXIT_FAILED;
    }
    return code;
}

static int hops_measure(struct hops_flags *f, struct hops_sink *sink, struct run_result *run,
                        int interrupt_fd)
{
    const uint64_t plan_ns = f->traffic ? f->hops.pair.asks[0].duration_ns : f->hops.for_ns;
    struct progress progress;
    const struct measure_watch watch = {.on_interval = pair_talk_on_interval, .arg = &progress};
    struct hops hops = {0};
    struct err err = {0};
    enum pair_end end;
    int code;

    progress_init(&progress, STDERR_FILENO, f->output.quiet || !isatty(STDERR_FILENO), 1, plan_ns);
    progress_start(&progress, 1, "hops", "", plan_ns);
    end = hops_run(&f->hops, hops_sink_hooks(sink), interrupt_fd, &watch, run, &hops, &err);
    progress_done(&progress);
    ssh_note_say(run, &f->hops.pair, "watching packets");
    code = pair_talk_code(end, interrupt_fd);
    if (end == PAIR_INTERRUPTED)
        log_say(LOG_ERROR, "interrupted; what is shown is what was seen until then");
    else if (end != PAIR_DONE)
        log_say(LOG_ERROR, "%s", err.text);
    code = hops_show(f, &hops, code);
    hops_done(&hops);
    return code;
}

static int hops_run_command(const struct command *command, int argc, char **argv)
{
    static struct hops_flags f; /* large */
    struct hops_sink *sink = NULL;
    struct run_result run = {0};
    struct err err = {0};
    char agent[sizeof f.hops.pair.agent];
    int interrupt_fd = -1, code = hops_flags_parse(command, argc, argv, &f);
    struct hops_sink_options options;

    if (code != OPTIONS_GO_ON)
        return code;
    options = (struct hops_sink_options){.learn_order = f.learn_order,
                                         .nat = f.hops.live.nat,
                                         .window_ns = f.hops.live.window_ns,
                                         .per_flow = f.per_flow,
                                         .interval_ns = f.interval_ns};
    if (where_agent(f.hops.pair.agent, agent, sizeof agent, &err) < 0)
        code = EXIT_ENVIRONMENT;
    if (code == OPTIONS_GO_ON) {
        text_copy(f.hops.pair.agent, sizeof f.hops.pair.agent, agent);
        interrupt_fd = interrupt_open(&err);
        if (interrupt_fd < 0 || record_begin(&run, "hops", "", argc, argv, &err) < 0 ||
            output_check(&f.output, &err) < 0 || hops_sink_new(&options, &sink, &err) < 0)
            code = EXIT_ENVIRONMENT;
    }
    if (code == OPTIONS_GO_ON)
        code = hops_measure(&f, sink, &run, interrupt_fd);
    else
        log_say(LOG_ERROR, "%s", err.text);
    hops_sink_free(sink);
    run_result_done(&run);
    return code;
}

const struct command cmd_hops = {
    .name = "hops",
    .summary = "where on a path the time goes, live: delay, loss and reordering of each stretch",
    .args = "[FROM TO]   (points by --at, or --path; each end: local, netns:NAME, ssh://HOST, "
            "exec:COMMAND)",
    .examples =
        "  vnperf hops --at pif:eth0 --at pif:vif3.0 --for 10s\n"
        "  vnperf hops --path netns:vm1 netns:vm2 --traffic udp\n"
        "  vnperf hops --at ssh://hv1/eth0 --at ssh://hv1/vif3.0 --source ssh://vm7 \\\n"
        "      --source-command 'hping3 -c 10000 -S --fast 10.0.0.5' --filter 'tcp and host "
        "10.0.0.5'\n",
    .rows = hops_flags_rows,
    .max_args = 2,
    .run = hops_run_command,
    .man = hops_man,
    .man_exit = hops_man_exit,
};
