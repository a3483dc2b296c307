/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "model/flow_spec.h"
#include "plan/pair_run.h"
#include "plan/repeat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Rows of options into a struct. Usage, completion and the man pages' option lists come from the same rows.
 */
enum option_type {
    OPTION_FLAG,  /* bool */
    OPTION_OFF,   /* bool, set to false */
    OPTION_TEXT,  /* char[size] */
    OPTION_TIME,  /* uint64_t, ns */
    OPTION_RATE,  /* uint64_t, bit/s */
    OPTION_COUNT, /* uint32_t, min to max */
    OPTION_SHARE, /* double, 0…1 */
    OPTION_CALL,  /* call */
    OPTION_EACH,  /* call, once for each of several that may be given */
};

struct option_row {
    const char *name; /* long, without its dashes */
    char letter;      /* 0 none */
    const char *arg;  /* what the value is called; NULL takes none */
    const char *help;
    enum option_type type;
    size_t offset; /* into the target */
    size_t size;   /* OPTION_TEXT */
    uint64_t min, max;
    int (*call)(void *target, const char *value, struct err *err);
    const char *words; /* for completion: possible values, blanks between; NULL unknown */
};

struct command {
    const char *name;
    const char *summary;
    const char *args; /* positional, for the usage line */
    const char *examples;
    const struct option_row *rows; /* ended by one without a name; NULL none */
    int min_args, max_args;
    int (*run)(const struct command *command, int argc, char **argv);
    /* Of the man page, in scdoc's markup; NULL none: */
    const char *const *man; /* sections behind the options, ended by NULL */
    const char *man_exit;   /* what stands in EXIT STATUS */
};

/* All subcommands, ended by NULL; in commands.c. */
extern const struct command *const command_table[];

/* Exit codes, PRODUCT.md. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_ENVIRONMENT = 3,
    EXIT_UNREACHABLE = 4,
    EXIT_LEFT = 6,
    EXIT_SIGNAL = 128,
    OPTIONS_GO_ON = -1, /* of options_parse(): nothing ends here */
};

/*
 * Parse argv of a subcommand (argv[0] is its name) into target; positional arguments are moved to ret_args. -h prints
 * the usage. Returns OPTIONS_GO_ON, or the exit code to end with: mistakes have been said on stderr.
 */
int options_parse(const struct command *command, int argc, char **argv, void *target,
                  char ***ret_args, int *ret_n);

/* The same for a command with SETTINGS_ROWS: under the flags lie environment and files, see settings.h. */
struct settings;
int options_parse_settings(const struct command *command, int argc, char **argv, void *target,
                           struct settings *settings, char ***ret_args, int *ret_n);

/* One value of one row into target. */
int options_store(const struct option_row *row, void *target, const char *value, struct err *err);

/* How many rows a command has. */
size_t options_count(const struct command *command);

void options_usage(const struct command *command, FILE *out);

/*
 * What to do instead of an option of VMTP's that is none of ours: "--hypervisor" goes on with "is for the openstack driver…".
 * name is without its dashes, and its '_' are as good as '-'. NULL: none of VMTP's.
 */
const char *options_vmtp(const char *name);

/* "-20" … "19". */
int options_nice(const char *text, int32_t *ret_nice, struct err *err);

/*
 * "same", "spread" or "N,M" to the pins of client and server, as in struct flow_spec: the first CPU of each, from 1. The
 * machine's own first two CPUs stand for same and spread.
 */
int options_cpu(const char *text, uint32_t *ret_client, uint32_t *ret_server, struct err *err);

/* "app" or "lean". */
int options_io(const char *text, enum flow_io *ret_io, struct err *err);
/* "auto" (0) or 1 to FLOW_MAX_GSO datagrams of one send call. */
int options_gso(const char *text, uint32_t *ret_gso, struct err *err);
/* Socket buffers, 1 KiB to 1 GiB. */
int options_window(const char *text, uint32_t *ret_bytes, struct err *err);
/* Seed of a shuffle: 0 to 2^63 - 1, which JSON can keep. */
int options_seed(const char *text, struct repeat_options *ret_repeat, struct err *err);

/* Rows of what `run` and `test` ask about repetitions; r is where the struct repeat_options stands in the target. */
#define OPTIONS_REPEAT_ROWS(r, seed_call)                                                          \
    {"repeat",                                                                                     \
     0,                                                                                            \
     "N",                                                                                          \
     "measure N times, in rounds; shows the median and its 95 % interval (1)",                     \
     OPTION_COUNT,                                                                                 \
     (r) + offsetof(struct repeat_options, n),                                                     \
     0,                                                                                            \
     1,                                                                                            \
     REPEAT_MAX,                                                                                   \
     NULL,                                                                                         \
     NULL},                                                                                        \
        {"until",                                                                                  \
         0,                                                                                        \
         "SHARE",                                                                                  \
         "of --repeat: stop when that interval is so narrow, 2%; none of fewer than 6",            \
         OPTION_SHARE,                                                                             \
         (r) + offsetof(struct repeat_options, until_share),                                       \
         0,                                                                                        \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         NULL},                                                                                    \
    {                                                                                              \
        "seed", 0, "N", "of the order in each round (drawn, and kept with the result)",            \
            OPTION_CALL, 0, 0, 0, 0, seed_call, NULL                                               \
    }

/* "strict", "accept-new", "pinned", or "pinned:FILE" with the file in ret_file (else ""). */
int options_host_keys(const char *text, enum remote_host_keys *ret_keys, char *ret_file,
                      size_t size, struct err *err);

/* Rows of what is asked about ssh:// endpoints; p is where a T stands in the target, whose members are
 * called as those of struct pair_options. */
#define OPTIONS_SSH_ROWS(T, p, host_keys_call)                                                     \
    {"agent-path",                                                                                 \
     0,                                                                                            \
     "PATH",                                                                                       \
     "the agent as ssh:// hosts have it: nothing is copied there",                                 \
     OPTION_TEXT,                                                                                  \
     (p) + offsetof(T, agent_there),                                                               \
     sizeof(((T *)0)->agent_there),                                                                \
     1,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     NULL},                                                                                        \
        {"become",                                                                                 \
         0,                                                                                        \
         NULL,                                                                                     \
         "agents of ssh:// hosts as root, by sudo; it asks for the password where it needs one",   \
         OPTION_FLAG,                                                                              \
         (p) + offsetof(T, become),                                                                \
         0,                                                                                        \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"ssh-host-keys",                                                                          \
         0,                                                                                        \
         "HOW",                                                                                    \
         "host keys: strict refuses unknown ones, accept-new keeps them, pinned takes only those " \
         "of ?key=, pinned:FILE also the file's (strict)",                                         \
         OPTION_CALL,                                                                              \
         0,                                                                                        \
         0,                                                                                        \
         0,                                                                                        \
         0,                                                                                        \
         host_keys_call,                                                                           \
         "strict accept-new pinned"},                                                              \
    {                                                                                              \
        "ssh-config", 0, "FILE", "instead of ~/.ssh/config and /etc/ssh/ssh_config", OPTION_TEXT,  \
            (p) + offsetof(T, ssh_config), sizeof(((T *)0)->ssh_config), 1, 0, NULL, NULL          \
    }

/* One more monitor: a gmond's HOST[:PORT] or a node exporter's URL. */
int options_monitor(const char *text, struct node_cpu_options *cpu, struct err *err);
#define OPTIONS_MONITOR_ROW(monitor_call)                                                          \
    {                                                                                              \
        "monitor", 'm', "HOST|URL",                                                                \
            "CPU from a gmond (HOST[:8649]) or a node exporter (http://HOST:9100/metrics); again " \
            "for more",                                                                            \
            OPTION_EACH, 0, 0, 0, 0, monitor_call, NULL                                            \
    }

/* "0,0.1%,3%" to shares, from the smallest up; how many, or -EINVAL. */
int options_shares(const char *text, double *ret_shares, unsigned max, struct err *err);

/* A time, or "auto": found by pilots. */
int options_warmup(const char *text, uint64_t *ret_ns, bool *ret_find, struct err *err);

/* "5001" (just that one) or "5001-5031". */
int options_port(const char *text, uint16_t *ret_first, uint16_t *ret_last, struct err *err);
