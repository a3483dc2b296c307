/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cmd/options.h"
#include "plan/config_vmtp.h"

/*
 * What the options of a command are set to, and by whom: flags > VNPERF_NAME > -c FILE > the user's file > defaults. A
 * value of a file goes through the parser of the flag; its key is the flag's name with _ for -.
 */
enum setting_from {
    SETTING_DEFAULT,
    SETTING_USER_FILE,
    SETTING_FILE,
    SETTING_ENVIRONMENT,
    SETTING_FLAG
};

struct setting {
    enum setting_from from;
    const struct config_tree *tree; /* lent by the settings: of a file */
    const char *key;                /* lent by tree: what the file calls it */
    unsigned line, column;
    char **text; /* owned: several of an option that is given again */
    size_t n_text;
};

/* A key of a file that is none of the options': VMTP's. */
struct setting_kept {
    const struct config_vmtp_key *key;
    const struct config_tree *tree;
    const struct config_node *value; /* lent by tree */
};

enum { SETTINGS_FILES = 2, SETTINGS_MAX_KEPT = 64, SETTINGS_MAX_ROWS = 128 };

struct settings {
    const struct command *command;
    struct setting *of;                      /* owned: one a row of the command */
    struct config_tree file[SETTINGS_FILES]; /* the user's, -c's */
    struct setting_kept kept[SETTINGS_MAX_KEPT];
    size_t n_kept;
};

/* Rows of commands that read files of settings. The value itself is read by options_parse_settings(). */
#define SETTINGS_ROWS                                                                              \
    {                                                                                              \
        "config", 'c', "FILE", "settings (~/.config/vnperf/config.yaml is read before it)",        \
            OPTION_CALL, 0, 0, 0, 0, settings_set_file, NULL                                       \
    }
int settings_set_file(void *target, const char *value, struct err *err);

/* The row of a command that a key is about; NULL none. */
const struct option_row *settings_row(const struct command *command, const char *key);
/* "icmp-sizes" to "icmp_sizes", or "ICMP_SIZES". Returns buf. */
enum { SETTINGS_KEY_SIZE = 48 };
const char *settings_key(const struct option_row *row, bool upper, char buf[SETTINGS_KEY_SIZE]);

/* $XDG_CONFIG_HOME/vnperf/config.yaml. errors: a sentence */
int settings_user_path(char *ret_path, size_t size, struct err *err);

/* Begin; what flags give is noted by settings_flag(). errors: -ENOMEM */
int settings_init(struct settings *s, const struct command *command, struct err *err);
int settings_flag(struct settings *s, size_t row, const char *value, struct err *err);

/* Files and environment, under what the flags say. errors: a sentence with file, line, column; those of files */
int settings_load(struct settings *s, struct err *err);
/* Store what is not the flags' into target. */
int settings_apply(const struct settings *s, void *target, struct err *err);

/* Where a setting comes from: "cloud.yaml:12:7", "VNPERF_TIME", "flag", "default". */
void settings_where(const struct settings *s, size_t row, char *ret, size_t size);
/* A complaint that begins with "--NAME:" names the place where that value stands. */
void settings_blame(const struct settings *s, struct err *err);
/* Keys that a run of the lab does nothing with, in one sentence; "" none. */
void settings_unused(const struct settings *s, char *ret, size_t size);

/* Of a key of VMTP's that is no option: "for the openstack driver, which this version has not". */
const char *settings_vmtp_means(const struct config_vmtp_key *key);

/* What a row is when nobody sets it, as its parser takes it; "" nothing stands there. Returns buf. */
enum { SETTINGS_TEXT_SIZE = 320 };
const char *settings_default(const struct command *command, const struct option_row *row,
                             char buf[SETTINGS_TEXT_SIZE]);
/* The same of a row of one command and of another's of that name ("" it has none): do they differ? */
bool settings_defaults(const struct command *command, const struct command *other,
                       const struct option_row *row, char ret_one[SETTINGS_TEXT_SIZE],
                       char ret_other[SETTINGS_TEXT_SIZE]);
/* Print a text as a value of YAML; "" is ~. */
void settings_print(const char *text, FILE *out);

void settings_done(struct settings *s);
