/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/match_flags.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { MATCH_MAX_COLUMN = 1000 };
/* 30 years: times stay inside of what 64 bits of nanoseconds hold. */
#define MATCH_MAX_OFFSET_NS 1000000000000000000ULL

static int match_set_order(void *target, const char *value, struct err *err)
{
    struct match_flags *f = target;

    if (!*value || !text_copy(f->order, sizeof f->order, value))
        return err_say(err, "'%.40s' is no list of files", value);
    return 0;
}

static int match_set_window(void *target, const char *value, struct err *err)
{
    struct match_flags *f = target;
    int r;

    f->window_set = true;
    f->window_ns = 0;
    if (strcmp(value, "auto") == 0)
        return 0;
    r = text_time(value, &f->window_ns, err);
    if (r == 0 && f->window_ns == 0)
        return err_say(err, "a window of 0 finds nothing");
    return r;
}

static int match_set_nat(void *target, const char *value, struct err *err)
{
    static const struct {
        const char *word;
        enum match_nat nat;
    } words[] = {{"auto", MATCH_NAT_AUTO}, {"yes", MATCH_NAT_YES}, {"no", MATCH_NAT_NO}};
    struct match_flags *f = target;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(value, words[i].word) == 0) {
            f->nat = words[i].nat;
            return 0;
        }
    return err_say(err, "'%.40s' is none of auto, yes, no", value);
}

/* One of the offsets, which may be negative. */
static int match_offset(const char *text, int64_t *ret_ns, struct err *err)
{
    uint64_t ns = 0;
    int r = text_time(text + (*text == '-'), &ns, err);

    if (r < 0)
        return r;
    if (ns > MATCH_MAX_OFFSET_NS)
        return err_say(err, "'%.40s' is more than 30 years", text);
    *ret_ns = *text == '-' ? -(int64_t)ns : (int64_t)ns;
    return 0;
}

static int match_set_offset_flag(void *target, const char *value, struct err *err)
{
    struct match_flags *f = target;
    char one[64];

    f->n_offsets = 0;
    f->offset_auto = strcmp(value, "auto") == 0;
    while (!f->offset_auto) {
        size_t len = strcspn(value, ",");
        int r;

        if (len >= sizeof one || f->n_offsets + 1 >= HOP_MAX_POINTS)
            return err_say(err, "'%.40s' is no list of times", value);
        memcpy(one, value, len);
        one[len] = 0;
        r = match_offset(one, &f->offset_ns[f->n_offsets], err);
        if (r < 0)
            return r;
        f->n_offsets++;
        if (!value[len])
            break;
        value += len + 1;
    }
    return 0;
}

static int match_set_interval(void *target, const char *value, struct err *err)
{
    struct match_flags *f = target;
    int r = text_time(value, &f->interval_ns, err);

    f->interval_set = true;
    if (r == 0 && f->interval_ns == 0)
        return err_say(err, "an interval of 0 has no end");
    return r;
}

static int match_column(const char *value, uint32_t *ret_column, struct err *err)
{
    uint64_t column;
    int r = text_count(value, 0, MATCH_MAX_COLUMN, &column, err);

    if (r == 0)
        *ret_column = (uint32_t)column;
    return r;
}

static int match_set_seq_col(void *target, const char *value, struct err *err)
{
    struct match_flags *f = target;

    f->columns_set = true;
    return match_column(value, &f->columns.seq_col, err);
}

static int match_set_time_col(void *target, const char *value, struct err *err)
{
    struct match_flags *f = target;

    f->columns_set = true;
    return match_column(value, &f->columns.time_col, err);
}

static int match_set_seq_index(void *target, const char *value, struct err *err)
{
    struct match_flags *f = target;

    f->columns_set = true;
    return match_column(value, &f->columns.seq_index, err);
}

static int match_set_seq_split(void *target, const char *value, struct err *err)
{
    struct match_flags *f = target;

    f->columns_set = true;
    if (!text_copy(f->columns.seq_split, sizeof f->columns.seq_split, value))
        return err_say(err, "is longer than %d characters", TEXT_MATCH_SPLIT_SIZE - 1);
    return 0;
}

#define MATCH_CALL(name, arg, help, call, words)                                                   \
    {                                                                                              \
        name, 0, arg, help, OPTION_CALL, 0, 0, 0, 0, call, words                                   \
    }
#define MATCH_FLAG(name, help, member)                                                             \
    {                                                                                              \
        name, 0, NULL, help, OPTION_FLAG, offsetof(struct match_flags, member), 0, 0, 0, NULL,     \
            NULL                                                                                   \
    }

const struct option_row match_flags_rows[] = {
    MATCH_CALL("order", "A,B,C", "how packets pass the files: names, or numbers from 1 (found out)",
               match_set_order, NULL),
    MATCH_CALL("nat", "WHEN", "addresses change on the way: auto (tried), yes, no", match_set_nat,
               "auto yes no"),
    MATCH_CALL("offset", "TIME,TIME",
               "each later file's clock is so much ahead of the first's; auto: estimated",
               match_set_offset_flag, "auto"),
    MATCH_CALL("window", "TIME",
               "how long a packet is awaited: a time, or auto: 100 ms at first, then 8 times the "
               "delay of nearly all; files are read anew with 1 s and 4 s where that looks too "
               "short (auto)",
               match_set_window, "auto"),
    MATCH_FLAG("per-flow", "each flow's own numbers too", per_flow),
    MATCH_CALL("interval", "TIME", "a series: numbers of each such part of the time",
               match_set_interval, NULL),
    {"packets", 0, "FILE", "each packet's way as CSV; - is stdout, and nothing else goes there",
     OPTION_TEXT, offsetof(struct match_flags, packets), sizeof(((struct match_flags *)0)->packets),
     1, 0, NULL, NULL},
    MATCH_FLAG("text", "the two files are text logs of any tool, a packet a line", text),
    MATCH_CALL("seq-col", "N", "of --text: column that tells packets apart, from 0 (7)",
               match_set_seq_col, NULL),
    MATCH_CALL("time-col", "N",
               "of --text: column of the time, from 0 (1); a date may stand before it",
               match_set_time_col, NULL),
    MATCH_CALL("seq-split", "TEXT", "of --text: what cuts that column into pieces (:)",
               match_set_seq_split, NULL),
    MATCH_CALL("seq-index", "N", "of --text: which piece, from 0 (0)", match_set_seq_index, NULL),
    OUTPUT_ROWS,
    {0},
};

static const char *match_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

/* The end of a path says more than its beginning. */
static void match_name_copy(char ret[HOP_NAME_SIZE], const char *path)
{
    size_t len = strlen(path);

    if (len >= HOP_NAME_SIZE) {
        path += len - (HOP_NAME_SIZE - 4);
        /* Not in the middle of a letter. */
        while ((*path & 0xc0) == 0x80)
            path++;
        snprintf(ret, HOP_NAME_SIZE, "…%s", path);
    } else {
        text_copy(ret, HOP_NAME_SIZE, path);
    }
}

/* Basenames; paths where two are the same; with a number where those are. */
static void match_names(struct match_flags *f)
{
    for (unsigned i = 0; i < f->n_files; i++) {
        const char *path = f->files[i];
        bool twice = false, again = false;
        char end[16] = "";
        size_t len;

        for (unsigned k = 0; k < f->n_files; k++) {
            twice = twice || (strcmp(path, f->files[k]) != 0 &&
                              strcmp(match_base(path), match_base(f->files[k])) == 0);
            again = again || (k < i && strcmp(path, f->files[k]) == 0);
        }
        if (strcmp(path, "-") == 0)
            match_name_copy(f->names[i], "stdin");
        else
            match_name_copy(f->names[i], twice ? path : match_base(path));
        for (unsigned k = 0; k < i; k++)
            again = again || strcmp(f->names[i], f->names[k]) == 0;
        if (again) {
            snprintf(end, sizeof end, " #%u", i + 1);
            len = strlen(f->names[i]);
            if (len > HOP_NAME_SIZE - sizeof end)
                len = HOP_NAME_SIZE - sizeof end;
            memcpy(f->names[i] + len, end, sizeof end);
        }
        text_tame(f->names[i]);
    }
}

static int match_find(const struct match_flags *f, const char *word, struct err *err)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < f->n_files; i++)
        if (strcmp(word, f->names[i]) == 0 || strcmp(word, f->files[i]) == 0)
            return (int)i;
    if (text_count(word, 1, f->n_files, &number, NULL) == 0)
        return (int)number - 1;
    return err_say(err, "--order: '%.60s' is none of the files", word);
}

static int match_order(struct match_flags *f, struct err *err)
{
    char words[sizeof f->order], *save = NULL;
    unsigned n = 0, had = 0;

    text_copy(words, sizeof words, f->order);
    for (char *word = strtok_r(words, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        int i = match_find(f, word, err);

        if (i < 0)
            return i;
        if (had & 1U << i)
            return err_say(err, "--order: '%.60s' stands twice in it", word);
        had |= 1U << i;
        f->order_of[n++] = (uint8_t)i;
    }
    if (n != f->n_files)
        return err_say(err, "--order names %u of %u files", n, f->n_files);
    return 0;
}

static int match_check_text(const struct match_flags *f, struct err *err)
{
    static const char *const only = "--text compares two logs by columns";

    if (f->n_files != 2)
        return err_say(err, "%s: %u are given", only, f->n_files);
    if (f->offset_auto)
        return err_say(err, "%s: --offset auto needs captures", only);
    if (f->order[0] || f->window_set || f->nat || f->per_flow)
        return err_say(err, "%s: --order, --window, --nat and --per-flow are for captures", only);
    if (f->packets[0])
        return err_say(err, "%s: --packets is for captures", only);
    return 0;
}

static int match_check(struct match_flags *f, struct err *err)
{
    unsigned n_stdin = 0;
    int r;

    for (unsigned i = 0; i < f->n_files; i++)
        n_stdin += strcmp(f->files[i], "-") == 0;
    if (n_stdin > 1)
        return err_say(err, "standard input can be one of the files, not %u", n_stdin);
    if (n_stdin && f->offset_auto)
        return err_say(err, "--offset auto reads the files twice, which standard input cannot be");
    if (f->n_offsets >= f->n_files)
        return err_say(err, "--offset has %u times for %u later files", f->n_offsets,
                       f->n_files - 1);
    if (strcmp(f->packets, "-") == 0 && strcmp(f->output.json, "-") == 0)
        return err_say(err, "--packets and --json cannot both go to standard output");
    if (f->text)
        return match_check_text(f, err);
    if (f->columns_set)
        return err_say(err, "--seq-col, --time-col, --seq-split and --seq-index go with --text");
    r = f->order[0] ? match_order(f, err) : 0;
    return r;
}

int match_flags_parse(const struct command *command, int argc, char **argv,
                      struct match_flags *ret_flags)
{
    /* The columns are those of NetWeaver's own example. */
    struct match_flags f = {
        .output = {.colour = "auto"},
        .columns = {.seq_col = 7, .time_col = 1, .seq_split = ":", .seq_index = 0}};
    struct err err = {0};
    char **args;
    int n, code = options_parse(command, argc, argv, &f, &args, &n);

    if (code != OPTIONS_GO_ON)
        return code;
    f.n_files = (unsigned)n;
    for (int i = 0; i < n; i++)
        f.files[i] = args[i];
    match_names(&f);
    if (match_check(&f, &err) < 0) {
        log_say(LOG_ERROR, "match: %s", err.text);
        return EXIT_USAGE;
    }
    f.columns.offset_ns = f.offset_ns[0];
    f.columns.interval_ns = f.interval_ns;
    *ret_flags = f;
    return OPTIONS_GO_ON;
}
