/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/log.h"
#include "base/text.h"
#include "capture/match.h"
#include "capture/source.h"
#include "capture/text_match.h"
#include "cmd/commands.h"
#include "cmd/hops_output.h"
#include "cmd/match_flags.h"
#include "cmd/match_man.h"
#include "cmd/match_packets.h"
#include "cmd/match_stop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Everything of one call. */
struct match_job {
    const struct match_flags *f; /* lent */
    const char *names[HOP_MAX_POINTS];
    struct source *sources[HOP_MAX_POINTS]; /* owned */
    struct hop_point offsets[HOP_MAX_POINTS];
    struct match_packets packets; /* its file is owned unless it is stdout */
    struct hops hops;
    int signal_number; /* that ended the reading; 0 none */
};

static void match_close(struct match_job *job)
{
    for (unsigned i = 0; i < job->f->n_files; i++) {
        if (job->sources[i])
            source_free(job->sources[i]);
        job->sources[i] = NULL;
    }
}

static int match_open(struct match_job *job, struct err *err)
{
    for (unsigned i = 0; i < job->f->n_files; i++) {
        int r = source_file_open(job->f->files[i], &job->sources[i], err);

        if (r < 0) {
            match_close(job);
            return r;
        }
    }
    return 0;
}

/* --offset: from the packets themselves, or as it was given. */
static int match_clocks(struct match_job *job, struct err *err)
{
    int r;

    for (unsigned i = 0; i < job->f->n_offsets; i++) {
        struct hop_point *p = &job->offsets[i + 1];

        p->has_offset = true;
        p->offset_ns = job->f->offset_ns[i];
        p->offset_bound_ns = UINT64_MAX;
    }
    if (!job->f->offset_auto)
        return 0;
    r = match_offsets(job->sources, job->f->n_files, job->offsets, err);
    match_close(job);
    if (r < 0 && r != -ENODATA)
        return err_wrap(err, r, "--offset auto");
    if (r == -ENODATA)
        log_say(LOG_WARN, "--offset auto: %s; times are taken as they are", err->text);
    return match_open(job, err);
}

static int match_packets_open(struct match_job *job, struct err *err)
{
    const char *path = job->f->packets;

    if (!path[0])
        return 0;
    job->packets.out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    return job->packets.out ? 0 : err_set(err, errno, "opening '%s'", path);
}

/* What was written is there, or a sentence. */
static int match_packets_close(struct match_job *job, struct err *err)
{
    FILE *out = TAKE(job->packets.out);
    int error = job->packets.error;

    if (!out)
        return 0;
    errno = 0;
    if ((fflush(out) == EOF || ferror(out)) && !error)
        error = errno ? errno : EIO;
    if (out != stdout && fclose(out) == EOF && !error)
        error = errno;
    return error ? err_set(err, error, "writing the packets to '%s'", job->f->packets) : 0;
}

/* What the user said about clocks stands in the result too. */
static void match_keep_offsets(const struct match_job *job, struct hops *hops)
{
    for (unsigned i = 0; i < hops->n_points; i++) {
        struct hop_point *p = &hops->points[i];
        const struct hop_point *o = &job->offsets[i];

        if (!o->has_offset)
            continue;
        p->has_offset = true;
        p->offset_ns = o->offset_ns;
        p->skew_share = o->skew_share;
        p->offset_bound_ns = o->offset_bound_ns;
        p->n_offset_packets = o->n_offset_packets;
    }
}

/* One of the files is what another program writes at this moment. */
static bool match_piped(const struct match_flags *f)
{
    struct stat st;

    for (unsigned i = 0; i < f->n_files; i++) {
        int r = strcmp(f->files[i], "-") == 0 ? fstat(STDIN_FILENO, &st) : stat(f->files[i], &st);

        if (r == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
            return true;
    }
    return false;
}

/* All files once; owns: ret_hops, also after an error. */
static int match_captures(struct match_job *job, uint64_t window_ns, struct hops *ret_hops,
                          struct err *err)
{
    const struct match_flags *f = job->f;
    struct match_options options = {.window_ns = window_ns,
                                    .nat = f->nat,
                                    .order_given = f->order[0] != 0,
                                    .per_flow = f->per_flow,
                                    .interval_ns = f->interval_ns};
    struct match *match = NULL;
    int r;

    for (unsigned i = 0; i < f->n_files; i++)
        options.order[i] = options.order_given ? f->order_of[i] : (uint8_t)i;
    if (job->packets.out) {
        job->packets.n = f->n_files;
        job->packets.names = job->names;
        job->packets.order = options.order;
        match_packets_head(&job->packets);
        options.on_packet = match_packets_line;
        options.arg = &job->packets;
    }
    r = match_new(f->n_files, &options, &match, err);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < f->n_files; i++)
        if (job->offsets[i].has_offset)
            match_set_offset(match, i, &job->offsets[i]);
    match_stop_begin(job->sources, f->n_files, match_piped(f));
    r = match_sources(match, job->sources, job->names, ret_hops, err);
    job->signal_number = match_stop_end();
    match_free(match);
    match_keep_offsets(job, ret_hops);
    return r;
}

static uint64_t match_pairs(const struct hops *hops)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < hops->n_hops; i++)
        n += hops->hops[i].matched;
    return n;
}

/* Nothing was paired, or a hop lost some and has others that were not before it: packets longer on their way than they were awaited look so. */
static bool match_looks_late(const struct hops *hops)
{
    bool late = match_pairs(hops) == 0;

    for (uint32_t i = 0; i < hops->n_hops; i++)
        late |= hop_looks_late(&hops->hops[i]);
    return late;
}

/* The files can be read once more, and nothing was handed out yet. */
static bool match_rereads(const struct match_job *job)
{
    struct stat st;

    for (unsigned i = 0; i < job->f->n_files; i++)
        if (strcmp(job->f->files[i], "-") == 0 || stat(job->f->files[i], &st) < 0 ||
            !S_ISREG(st.st_mode))
            return false;
    return !job->packets.out;
}

/* The window found out by itself caught too few, as it looks: longer ones, as long as they catch more. False: not tried to the end. */
static bool match_widen_more(struct match_job *job)
{
    static const uint64_t windows_ns[] = {1000000000, 4000000000};
    struct err err = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(windows_ns) && match_looks_late(&job->hops); i++) {
        struct hops wide = {0};
        int r;

        match_close(job);
        r = match_open(job, &err);
        if (r == 0)
            r = match_captures(job, windows_ns[i], &wide, &err);
        if (r == 0 && job->signal_number == 0 && match_pairs(&wide) > match_pairs(&job->hops)) {
            hops_done(&job->hops);
            job->hops = wide;
        } else {
            hops_done(&wide);
        }
        if (r < 0 || job->signal_number)
            return false;
    }
    return true;
}

/* whole: the files were read to their ends, so that it is worth while to read them anew. */
static void match_widen(struct match_job *job, bool whole)
{
    if (!match_looks_late(&job->hops))
        return;
    /* What no longer window catches was not late: losses are losses. */
    if (!whole || job->f->window_ns || !match_rereads(job) || !match_widen_more(job))
        hops_late_bounds(&job->hops);
}

static int match_logs(struct match_job *job, FILE *logs[2], struct err *err)
{
    return text_match(logs, job->names, &job->f->columns, &job->hops, err);
}

static void match_warn(struct hops *hops, const char *text)
{
    size_t used = strlen(hops->warning);

    snprintf(hops->warning + used, sizeof hops->warning - used, "%s%s", used ? "; " : "", text);
}

/* The same file twice tells nothing about a network. */
static void match_check_same(struct match_job *job)
{
    struct stat st[HOP_MAX_POINTS];

    for (unsigned i = 0; i < job->f->n_files; i++) {
        if (strcmp(job->f->files[i], "-") == 0 || stat(job->f->files[i], &st[i]) < 0)
            st[i] = (struct stat){0};
        for (unsigned k = 0; k < i; k++)
            if (st[i].st_ino && st[i].st_ino == st[k].st_ino && st[i].st_dev == st[k].st_dev &&
                S_ISREG(st[i].st_mode)) {
                char text[2 * HOP_NAME_SIZE + 32];

                snprintf(text, sizeof text, "the same file is given twice: %s and %s",
                         job->names[k], job->names[i]);
                match_warn(&job->hops, text);
                return;
            }
    }
}

/* How far one point's packets lie outside of another's time, offsets taken off; 0 they overlap. */
static uint64_t match_apart(const struct hop_point *a, const struct hop_point *b)
{
    int64_t a_off = a->has_offset ? a->offset_ns : 0, b_off = b->has_offset ? b->offset_ns : 0;
    int64_t a_first = (int64_t)a->first_ns - a_off, a_last = (int64_t)a->last_ns - a_off;
    int64_t b_first = (int64_t)b->first_ns - b_off, b_last = (int64_t)b->last_ns - b_off;

    return a_last < b_first   ? (uint64_t)(b_first - a_last)
           : b_last < a_first ? (uint64_t)(a_first - b_last)
                              : 0;
}

/* Nothing was matched: the likeliest reason, and what to try. */
static void match_say_why(const struct match_job *job)
{
    const struct hops *hops = &job->hops;
    char apart[TEXT_SHORT];

    for (unsigned i = 0; i < hops->n_points; i++) {
        const struct hop_point *p = &hops->points[i];

        if (p->seen)
            continue;
        if (p->no_time)
            log_say(LOG_ERROR,
                    "nothing was matched: none of the packets of %s has a time, and delays are "
                    "what lies between times (pcapng has blocks without: write it with enhanced "
                    "packet blocks)",
                    p->name);
        else if (p->unparsed)
            log_say(LOG_ERROR,
                    "nothing was matched: none of the %llu frames of %s could be read as a "
                    "packet (no IP, or cut too short)",
                    (unsigned long long)p->unparsed, p->name);
        else
            log_say(LOG_ERROR, "nothing was matched: %s has no packet", p->name);
        return;
    }
    for (unsigned i = 1; i < hops->n_points; i++) {
        const struct hop_point *a = &hops->points[0], *b = &hops->points[i];
        uint64_t ns = match_apart(a, b);

        if (ns == 0)
            continue;
        log_say(LOG_ERROR,
                "nothing was matched: the packets of %s and %s lie %s apart in time; if the "
                "captures are of one time, a clock was wrong: %s",
                a->name, b->name, text_show_span((double)ns, apart),
                job->f->offset_auto || job->f->text ? "--offset TIME says by how much"
                                                    : "--offset auto estimates by how much");
        return;
    }
    if (job->f->text)
        log_say(LOG_ERROR, "nothing was matched: no text of column %u is in both logs",
                job->f->columns.seq_col);
    else if (job->f->nat == MATCH_NAT_NO)
        log_say(LOG_ERROR, "nothing was matched: no packet is in two files with the same "
                           "addresses; where they change on the way, leave --nat no out");
    else
        log_say(LOG_ERROR, "nothing was matched: no packet is in two files%s",
                job->f->window_ns
                    ? " within --window"
                    : " (other traffic, or they are longer on their way than they are "
                      "awaited, up to 4 s: --window TIME; or clocks further apart: "
                      "--offset auto)");
}

/* Show what there is; the exit code. r and err are how the reading ended. */
static int match_show(struct match_job *job, int r, const struct err *err)
{
    const struct output_options *o = &job->f->output;
    bool to_stdout = strcmp(job->f->packets, "-") == 0;
    struct err out_err = {0}, packets_err = {0};
    int code = r < 0 ? EXIT_FAILED : EXIT_OK;

    if (match_packets_close(job, &packets_err) < 0) {
        log_say(LOG_ERROR, "%s", packets_err.text);
        code = EXIT_ENVIRONMENT;
    }
    if (hops_output_print(o, &job->hops, to_stdout, &out_err) < 0) {
        log_say(LOG_ERROR, "%s", out_err.text);
        code = EXIT_ENVIRONMENT;
    }
    if (r < 0) {
        log_say(LOG_ERROR, "%s; what is shown is what was read until then", err->text);
    } else if (job->signal_number) {
        log_say(LOG_ERROR, "interrupted; what is shown is what was read until then");
        code = EXIT_SIGNAL + job->signal_number;
    } else if (hops_paired(&job->hops) == 0) {
        match_say_why(job);
        code = code == EXIT_OK ? EXIT_FAILED : code;
    }
    return code;
}

static int match_run_text(struct match_job *job, struct err *err)
{
    FILE *logs[2] = {NULL, NULL};
    int r = 0, code;

    for (unsigned i = 0; r == 0 && i < 2; i++) {
        logs[i] = strcmp(job->f->files[i], "-") == 0 ? stdin : fopen(job->f->files[i], "re");
        if (!logs[i])
            r = err_set(err, errno, "opening '%s'", job->f->files[i]);
    }
    if (r < 0) {
        log_say(LOG_ERROR, "%s", err->text);
        code = EXIT_ENVIRONMENT;
    } else {
        r = match_logs(job, logs, err);
        if (r < 0 && job->hops.n_points == 0) {
            log_say(LOG_ERROR, "%s", err->text);
            code = r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
        } else {
            match_check_same(job);
            code = match_show(job, r, err);
        }
    }
    for (unsigned i = 0; i < 2; i++)
        if (logs[i] && logs[i] != stdin)
            fclose(logs[i]);
    return code;
}

static int match_run_captures(struct match_job *job, struct err *err)
{
    int r = match_open(job, err), code;

    if (r == 0)
        r = match_clocks(job, err);
    if (r == 0)
        r = match_packets_open(job, err);
    if (r < 0) {
        log_say(LOG_ERROR, "%s", err->text);
        match_close(job);
        return EXIT_ENVIRONMENT;
    }
    r = match_captures(job, job->f->window_ns, &job->hops, err);
    match_widen(job, r == 0 && job->signal_number == 0);
    if (r < 0 && job->hops.n_points == 0) {
        log_say(LOG_ERROR, "%s", err->text);
        match_packets_close(job, NULL);
        code = r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
    } else {
        match_check_same(job);
        code = match_show(job, r, err);
    }
    match_close(job);
    return code;
}

static int match_run(const struct command *command, int argc, char **argv)
{
    struct match_flags f;
    struct match_job job = {.f = &f};
    struct err err = {0};
    int code = match_flags_parse(command, argc, argv, &f);

    if (code != OPTIONS_GO_ON)
        return code;
    for (unsigned i = 0; i < f.n_files; i++)
        job.names[i] = f.names[i];
    if (output_check(&f.output, &err) < 0) {
        log_say(LOG_ERROR, "%s", err.text);
        return EXIT_ENVIRONMENT;
    }
    code = f.text ? match_run_text(&job, &err) : match_run_captures(&job, &err);
    hops_done(&job.hops);
    return code;
}

const struct command cmd_match = {
    .name = "match",
    .summary = "where packets lost time between captures of several points, packet by packet",
    .args = "FILE FILE…   (pcap or pcapng, also as gzip or zstd; - is standard input)",
    .examples =
        "  vnperf match pif.pcap vif.pcap\n"
        "  vnperf match host1.pcapng host2.pcapng --offset auto --per-flow\n"
        "  vnperf match a.pcap b.pcap c.pcap --order a.pcap,c.pcap,b.pcap --packets way.csv\n"
        "  vnperf match --text --seq-col 7 --time-col 1 --seq-split : --seq-index 0 pif.log "
        "vif.log\n",
    .rows = match_flags_rows,
    .min_args = 2,
    .max_args = HOP_MAX_POINTS,
    .run = match_run,
    .man = match_man,
    .man_exit = match_man_exit,
};
