/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Facts of a machine as named values. A fact that does not exist there is not there; one that could not be had is there as
 * missing, with the reason.
 *
 * shape   keys are small letters, digits and _; facts.def has a row for each that this vnperf knows
 * units   by the row's name
 * owns    nothing: all is inside; a zeroed struct is empty
 */
enum { FACTS_MAX = 160, FACT_KEY_SIZE = 40, FACT_VALUE_SIZE = 2048, FACTS_POOL = 16 * 1024 };

enum fact_state { FACT_IS_TEXT, FACT_IS_NUMBER, FACT_IS_MISSING };

struct fact {
    uint16_t key, value; /* where they begin in the pool */
    uint8_t state;       /* enum fact_state */
};

struct facts {
    struct fact fact[FACTS_MAX];
    uint16_t n_facts, used;
    bool cut; /* one had no room */
    char pool[FACTS_POOL];
};

/* Add, or replace what the key had; a text is cut to fit, an empty one is not added. A full table drops it. */
void facts_put(struct facts *facts, const char *key, const char *value);
void facts_put_number(struct facts *facts, const char *key, uint64_t value);
void facts_put_signed(struct facts *facts, const char *key, int64_t value);
void facts_put_flag(struct facts *facts, const char *key, bool value);
/* It could not be had. What is known already stays. */
void facts_miss(struct facts *facts, const char *key, const char *reason);
/* One more of a text's list, with a blank between; whole or not at all. */
void facts_list(char list[FACT_VALUE_SIZE], const char *item);
/* The same of a map, "NAME=VALUE"; blanks and '=' in them become '_'. */
void facts_map(char list[FACT_VALUE_SIZE], const char *name, const char *value);

/* The value as text, or NULL. Valid until the facts change. */
const char *facts_get(const struct facts *facts, const char *key);
/* The i-th. */
const char *facts_key(const struct facts *facts, unsigned i);
const char *facts_value(const struct facts *facts, unsigned i);
enum fact_state facts_state(const struct facts *facts, unsigned i);

/* ---- what is known about facts ---- */

/* How a fact's text is to be read. A list has blanks between, a map is a list of NAME=VALUE. */
enum fact_type {
    FACT_WORD,
    FACT_COUNT,  /* whole number */
    FACT_SIGNED, /* whole number that may be negative */
    FACT_FLAG,   /* "yes" or "no" */
    FACT_LIST,
    FACT_COUNTS, /* list of whole numbers */
    FACT_MAP,
};
enum fact_after { FACT_FIXED, FACT_WATCHED };

struct fact_row {
    const char *key;
    const char *group, *name; /* in JSON */
    enum fact_type type;
    enum fact_after after;
    uint64_t slack;   /* of numbers: a change up to this is none */
    const char *path; /* the file whose first line it is; NULL a function of host/ puts it there */
};
/* All rows, in order; one more has key NULL. */
extern const struct fact_row fact_rows[];
/* The row of a key, or NULL. */
const struct fact_row *facts_row(const char *key);

/* ---- what changed ---- */

enum { FACT_CHANGES_MAX = 16, FACT_CHANGE_SIZE = 128 };

/* Of a list or map only what the other side lacks. "" nothing there. */
struct fact_change {
    char key[FACT_KEY_SIZE];
    char before[FACT_CHANGE_SIZE], after[FACT_CHANGE_SIZE];
};

/* Compare the WATCHED ones; a fact that is missing on one side is not compared. Returns how many differ, at most max. */
unsigned facts_changes(const struct facts *before, const struct facts *after,
                       struct fact_change *ret_changes, unsigned max);
