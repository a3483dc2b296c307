/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Facts of a machine as named values; a fact that could not be had is not there.
 *
 * units   by the key's suffix
 * owns    nothing: all is inside; a zeroed struct is empty
 */
enum { FACTS_MAX = 48, FACT_KEY_SIZE = 32, FACT_VALUE_SIZE = 160 };

struct fact {
    char key[FACT_KEY_SIZE];
    char value[FACT_VALUE_SIZE];
    bool number; /* value is a whole number in decimal */
};

struct facts {
    struct fact fact[FACTS_MAX];
    unsigned n_facts;
};

/* Add, or replace what the key had; a text is cut to fit, an empty one is not added. A full table drops it. */
void facts_put(struct facts *facts, const char *key, const char *value);
void facts_put_number(struct facts *facts, const char *key, uint64_t value);
/* The value as text, or NULL. */
const char *facts_get(const struct facts *facts, const char *key);
