/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/options.h"
#include "base/log.h"
#include "base/text.h"
#include "cmd/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPTIONS_MAX = 128,
    OPTION_FIRST = 256,
    OPTION_DEBUG = OPTION_FIRST + OPTIONS_MAX,
    OPTION_HELP
};

/* Every subcommand has these. */
static const struct option_row options_common[] = {
    {"debug", 'd', NULL, "say what is done", OPTION_FLAG, 0, 0, 0, 0, NULL, NULL},
    {"help", 'h', NULL, "this text", OPTION_FLAG, 0, 0, 0, 0, NULL, NULL},
};

size_t options_count(const struct command *command)
{
    size_t n = 0;

    while (command->rows && command->rows[n].name)
        n++;
    return n;
}

int options_store(const struct option_row *row, void *target, const char *value, struct err *err)
{
    char *at = (char *)target + row->offset;
    uint64_t n = 0;
    int r = 0;

    switch (row->type) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return 0;
    case OPTION_OFF:
        *(bool *)at = false;
        return 0;
    case OPTION_TEXT:
        if (strlen(value) < row->min)
            return err_say(err, "is empty");
        if (!text_copy(at, row->size, value))
            return err_say(err, "is longer than %zu characters", row->size - 1);
        return 0;
    case OPTION_TIME:
        return text_time(value, (uint64_t *)(void *)at, err);
    case OPTION_RATE:
        return text_rate(value, (uint64_t *)(void *)at, err);
    case OPTION_COUNT:
        r = text_count(value, row->min, row->max, &n, err);
        if (r == 0)
            *(uint32_t *)(void *)at = (uint32_t)n;
        return r;
    case OPTION_SHARE:
        return text_share(value, (double *)(void *)at, err);
    case OPTION_CALL:
    case OPTION_EACH:
        return row->call(target, value, err);
    }
    return -EINVAL;
}

static int option_wrong(const struct command *command, const char *sentence)
{
    log_say(LOG_ERROR, "%s", sentence);
    fprintf(stderr, "(vnperf %s --help lists the options)\n", command->name);
    return EXIT_USAGE;
}

const char *options_vmtp(const char *name)
{
    static const char cloud[] = "is for the openstack driver, which this version has not";
    static const char defaults[] =
        "was VMTP's: 'vnperf init -' prints the defaults, 'vnperf config' what is in force";
    static const struct {
        const char *name, *instead;
    } rows[] = {
        {"availability-zone", cloud},
        {"hypervisor", cloud},
        {"reuse-network-name", cloud},
        {"os-dataplane-network", cloud},
        {"delete-image-after-run", cloud},
        {"vnic-type", cloud},
        {"no-dhcp", cloud},
        {"no-floatingip", cloud},
        {"use-config-drive", cloud},
        {"vm-image-url", cloud},
        {"keep-first-flow-and-exit", cloud},
        {"password", "is not taken where all can read it: OS_PASSWORD, or a file for --rc"},
        {"p", "would show a password to all who look: OS_PASSWORD, or a file for --rc"},
        {"mongod-server", "is for a store in MongoDB, which this version has not: --json FILE"},
        {"show-config", defaults},
        {"s", defaults}, /* of -sc */
        {"version", "is 'vnperf --version' here"},
        {"v", "is 'vnperf --version' here"},
        {"multicast-addr", "is --group here"},
        {"icmp-pkt-sizes", "is --icmp-sizes here"},
        {"log-file", "is not here: 2>FILE keeps the talk"},
        {"logfile", "is not here: 2>FILE keeps the talk"},
    };
    char dashed[64];

    if (!text_copy(dashed, sizeof dashed, name))
        return NULL;
    for (char *p = dashed; *p; p++)
        *p = (char)(*p == '_' ? '-' : *p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, dashed) == 0)
            return rows[i].instead;
    return NULL;
}

static int option_unknown(const struct command *command, const char *word)
{
    const char *names[OPTIONS_MAX + 2], *near;
    char sentence[256], bare[64], letter[] = {'-', (char)optopt, 0};
    size_t n = 0;

    /* A flag with "=value" is known; of letters that stand together only one is meant. */
    if (optopt >= OPTION_FIRST) {
        snprintf(sentence, sizeof sentence, "%s: '%.60s': this option takes no value",
                 command->name, word);
        return option_wrong(command, sentence);
    }
    if (optopt)
        word = letter;
    for (; n < options_count(command); n++)
        names[n] = command->rows[n].name;
    for (size_t i = 0; i < sizeof options_common / sizeof *options_common; i++)
        names[n++] = options_common[i].name;
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
             word + strspn(word, "-"));
    near = text_nearest(bare, names, n);
    if (options_vmtp(bare))
        snprintf(sentence, sizeof sentence, "%s: %s%s %s", command->name, bare[1] ? "--" : "-",
                 bare, options_vmtp(bare));
    else if (near)
        snprintf(sentence, sizeof sentence, "%s: there is no option '%.60s': did you mean --%s?",
                 command->name, word, near);
    else
        snprintf(sentence, sizeof sentence, "%s: there is no option '%.60s'", command->name, word);
    return option_wrong(command, sentence);
}

/* getopt_long's tables from the rows. */
static void options_tables(const struct command *command, struct option *longs, char *shorts)
{
    size_t n = 0, s = 0;

    shorts[s++] = ':';
    for (; n < options_count(command); n++) {
        const struct option_row *row = &command->rows[n];

        longs[n] = (struct option){row->name, row->arg ? required_argument : no_argument, NULL,
                                   OPTION_FIRST + (int)n};
        if (row->letter) {
            shorts[s++] = row->letter;
            if (row->arg)
                shorts[s++] = ':';
        }
    }
    longs[n++] = (struct option){"debug", no_argument, NULL, OPTION_DEBUG};
    longs[n++] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    longs[n] = (struct option){0};
    shorts[s++] = 'd';
    shorts[s++] = 'h';
    shorts[s] = 0;
}

static const struct option_row *options_row(const struct command *command, int c)
{
    if (c >= OPTION_FIRST && c < OPTION_FIRST + (int)options_count(command))
        return &command->rows[c - OPTION_FIRST];
    for (const struct option_row *row = command->rows; c && row && row->name; row++)
        if (row->letter == c)
            return row;
    return NULL;
}

/* What is to be said of the positional arguments; OPTIONS_GO_ON nothing. */
static int options_arguments(const struct command *command, char **args, int n)
{
    char sentence[640];

    if (n >= command->min_args && n <= command->max_args)
        return OPTIONS_GO_ON;
    if (n > command->max_args)
        snprintf(sentence, sizeof sentence, "%s: '%.80s' is one argument too many", command->name,
                 args[command->max_args]);
    else
        snprintf(sentence, sizeof sentence, "%s: needs %s", command->name, command->args);
    return option_wrong(command, sentence);
}

/*
 * The flags of argv into target, and noted in settings. Either may be NULL; without a target help is left to a second pass, which
 * looks at the values before it.
 */
enum { OPTIONS_HELP = -100 };
static int options_flags(const struct command *command, int argc, char **argv, void *target,
                         struct settings *settings)
{
    struct option longs[OPTIONS_MAX + 3];
    char shorts[2 * OPTIONS_MAX + 8], sentence[640];

    options_tables(command, longs, shorts);
    opterr = 0;
    optind = 0;
    for (;;) {
        int c = getopt_long(argc, argv, shorts, longs, NULL);
        const struct option_row *row;
        struct err err = {0};

        if (c == -1)
            return OPTIONS_GO_ON;
        if (c == 'h' || c == OPTION_HELP) {
            if (settings && !target)
                return OPTIONS_HELP;
            options_usage(command, stdout);
            return EXIT_OK;
        }
        if (c == 'd' || c == OPTION_DEBUG) {
            log_set_level(LOG_DEBUG);
            continue;
        }
        row = options_row(command, c);
        if (c == ':') {
            snprintf(sentence, sizeof sentence, "%s: %s needs a value", command->name,
                     argv[optind - 1]);
            return option_wrong(command, sentence);
        }
        if (!row)
            return option_unknown(command, argv[optind - 1]);
        if ((target && options_store(row, target, optarg, &err) < 0) ||
            (settings &&
             settings_flag(settings, (size_t)(row - command->rows), optarg, &err) < 0)) {
            snprintf(sentence, sizeof sentence, "%s: --%s: %s", command->name, row->name, err.text);
            return option_wrong(command, sentence);
        }
    }
}

int options_parse(const struct command *command, int argc, char **argv, void *target,
                  char ***ret_args, int *ret_n)
{
    int code = options_flags(command, argc, argv, target, NULL);

    if (code != OPTIONS_GO_ON)
        return code;
    *ret_args = argv + optind;
    *ret_n = argc - optind;
    return options_arguments(command, *ret_args, *ret_n);
}

int options_parse_settings(const struct command *command, int argc, char **argv, void *target,
                           struct settings *settings, char ***ret_args, int *ret_n)
{
    struct err err = {0};
    int r = settings_init(settings, command, &err), code = OPTIONS_GO_ON;

    /* Twice: what a flag says keeps the same of a file from being heard, and is stored last. */
    if (r == 0)
        code = options_flags(command, argc, argv, NULL, settings);
    if (code == OPTIONS_HELP) {
        settings_done(settings);
        return options_parse(command, argc, argv, target, ret_args, ret_n);
    }
    if (r == 0 && code == OPTIONS_GO_ON)
        r = settings_load(settings, &err);
    if (r == 0 && code == OPTIONS_GO_ON)
        r = settings_apply(settings, target, &err);
    if (r == 0 && code == OPTIONS_GO_ON)
        code = options_parse(command, argc, argv, target, ret_args, ret_n);
    if (r < 0) {
        log_say(LOG_ERROR, "%s: %s", command->name, err.text);
        code = EXIT_USAGE;
    }
    if (code != OPTIONS_GO_ON)
        settings_done(settings);
    return code;
}

static void options_usage_rows(const struct option_row *rows, size_t n, FILE *out)
{
    for (size_t i = 0; rows && i < n; i++) {
        char left[64];

        snprintf(left, sizeof left, "%c%c%s --%s%s%s", rows[i].letter ? '-' : ' ',
                 rows[i].letter ? rows[i].letter : ' ', rows[i].letter ? "," : " ", rows[i].name,
                 rows[i].arg ? " " : "", rows[i].arg ? rows[i].arg : "");
        fprintf(out, "  %-32s %s\n", left, rows[i].help);
    }
}

void options_usage(const struct command *command, FILE *out)
{
    fprintf(out, "vnperf %s: %s\n\nUsage: vnperf %s%s%s%s\n", command->name, command->summary,
            command->name, command->rows ? " [OPTION…]" : "", command->args[0] ? " " : "",
            command->args);
    if (command->examples)
        fprintf(out, "\nExamples:\n%s", command->examples);
    fprintf(out, "\nOptions:\n");
    options_usage_rows(command->rows, options_count(command), out);
    options_usage_rows(options_common, sizeof options_common / sizeof *options_common, out);
}

int options_port(const char *text, uint16_t *ret_first, uint16_t *ret_last, struct err *err)
{
    const char *dash = strchr(text, '-');
    size_t len = dash ? (size_t)(dash - text) : strlen(text);
    char first[32];
    uint64_t a = 0, b = 0;
    int r;

    if (len >= sizeof first)
        return err_say(err, "'%.40s' is no port", text);
    snprintf(first, sizeof first, "%.*s", (int)len, text);
    r = text_count(first, 1, 65535, &a, err);
    if (r < 0)
        return r;
    b = a;
    if (dash && (r = text_count(dash + 1, 1, 65535, &b, err)) < 0)
        return r;
    if (b < a)
        return err_say(err, "'%s': the last port is below the first", text);
    *ret_first = (uint16_t)a;
    *ret_last = (uint16_t)b;
    return 0;
}

int options_nice(const char *text, int32_t *ret_nice, struct err *err)
{
    bool minus = text[0] == '-';
    uint64_t n = 0;
    int r = text_count(text + minus, 0, minus ? 20 : 19, &n, err);

    if (r == 0)
        *ret_nice = minus ? -(int32_t)n : (int32_t)n;
    return r;
}

int options_cpu(const char *text, uint32_t *ret_client, uint32_t *ret_server, struct err *err)
{
    const char *comma = strchr(text, ',');
    char first[16];
    uint64_t a = 0, b = 0;

    if (strcmp(text, "same") == 0 || strcmp(text, "spread") == 0) {
        *ret_client = 1;
        *ret_server = text[1] == 'a' ? 1 : 2;
        return 0;
    }
    if (!comma || (size_t)(comma - text) >= sizeof first)
        return err_say(err, "'%.20s' is neither same, spread nor two CPUs N,M", text);
    snprintf(first, sizeof first, "%.*s", (int)(comma - text), text);
    if (text_count(first, 0, FLOW_PIN_EXACT - 2, &a, NULL) < 0 ||
        text_count(comma + 1, 0, FLOW_PIN_EXACT - 2, &b, NULL) < 0)
        return err_say(err, "'%.20s' is neither same, spread nor two CPUs N,M", text);
    *ret_client = ((uint32_t)a + 1) | FLOW_PIN_EXACT;
    *ret_server = ((uint32_t)b + 1) | FLOW_PIN_EXACT;
    return 0;
}

int options_io(const char *text, enum flow_io *ret_io, struct err *err)
{
    for (int i = 0; i < FLOW_IO_COUNT; i++)
        if (strcmp(text, flow_io_name[i]) == 0) {
            *ret_io = (enum flow_io)i;
            return 0;
        }
    return err_say(err, "'%.20s' is neither app nor lean", text);
}

int options_gso(const char *text, uint32_t *ret_gso, struct err *err)
{
    uint64_t n = 0;

    if (strcmp(text, "auto") != 0 && text_count(text, 1, FLOW_MAX_GSO, &n, NULL) < 0)
        return err_say(err, "'%.20s' is neither auto nor 1 to %d", text, FLOW_MAX_GSO);
    *ret_gso = (uint32_t)n;
    return 0;
}

int options_window(const char *text, uint32_t *ret_bytes, struct err *err)
{
    uint64_t bytes = 0;
    int r = text_size(text, &bytes, err);

    if (r == 0 && (bytes < 1024 || bytes > FLOW_MAX_WINDOW))
        return err_say(err, "'%.20s' is not between 1 KiB and 1 GiB", text);
    if (r == 0)
        *ret_bytes = (uint32_t)bytes;
    return r;
}

int options_seed(const char *text, struct repeat_options *ret_repeat, struct err *err)
{
    uint64_t seed = 0;
    int r = text_count(text, 0, INT64_MAX, &seed, err);

    if (r < 0)
        return r;
    ret_repeat->seed = seed;
    ret_repeat->seed_set = true;
    return 0;
}

int options_shares(const char *text, double *ret_shares, unsigned max, struct err *err)
{
    unsigned n = 0;

    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");
        char one[32];
        int r;

        if (len >= sizeof one)
            return err_say(err, "'%.40s' is no list of shares", text);
        snprintf(one, sizeof one, "%.*s", (int)len, p);
        if (n == max)
            return err_say(err, "more than %u shares", max);
        r = text_share(one, &ret_shares[n], err);
        if (r < 0)
            return r;
        if (n > 0 && ret_shares[n] <= ret_shares[n - 1])
            return err_say(err, "'%.40s' does not rise: smallest first", text);
        n++;
        p += len;
        if (!*p)
            return (int)n;
    }
}

int options_warmup(const char *text, uint64_t *ret_ns, bool *ret_find, struct err *err)
{
    *ret_find = strcmp(text, "auto") == 0;
    return *ret_find ? 0 : text_time(text, ret_ns, err);
}

int options_host_keys(const char *text, enum remote_host_keys *ret_keys, char *ret_file,
                      size_t size, struct err *err)
{
    static const char pinned[] = "pinned:";

    ret_file[0] = 0;
    if (strcmp(text, "strict") == 0)
        *ret_keys = REMOTE_HOST_KEYS_STRICT;
    else if (strcmp(text, "accept-new") == 0)
        *ret_keys = REMOTE_HOST_KEYS_ACCEPT_NEW;
    else if (strcmp(text, "pinned") == 0 ||
             (strncmp(text, pinned, sizeof pinned - 1) == 0 && text[sizeof pinned - 1] &&
              text_copy(ret_file, size, text + sizeof pinned - 1)))
        *ret_keys = REMOTE_HOST_KEYS_PINNED;
    else
        return err_say(err, "'%.40s' is none of strict, accept-new, pinned, pinned:FILE", text);
    if (ret_file[0] && access(ret_file, R_OK) < 0)
        return err_set(err, EINVAL, "the file of pinned host keys %s cannot be read", ret_file);
    return 0;
}

int options_monitor(const char *text, struct node_cpu_options *cpu, struct err *err)
{
    if (cpu->n_monitors == MONITOR_MAX)
        return err_say(err, "more than %d monitors", MONITOR_MAX);
    if (monitor_spec_parse(text, &cpu->monitors[cpu->n_monitors], err) < 0)
        return -EINVAL;
    for (uint32_t i = 0; i < cpu->n_monitors; i++)
        if (cpu->monitors[i].source == cpu->monitors[cpu->n_monitors].source &&
            strcmp(cpu->monitors[i].name, cpu->monitors[cpu->n_monitors].name) == 0)
            return err_say(err, "%s is named twice", cpu->monitors[i].name);
    cpu->n_monitors++;
    return 0;
}
