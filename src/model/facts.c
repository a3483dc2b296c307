/* SPDX-License-Identifier: Apache-2.0 */
#include "model/facts.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static struct fact *facts_slot(struct facts *facts, const char *key)
{
    for (unsigned i = 0; i < facts->n_facts; i++)
        if (strncmp(facts->fact[i].key, key, FACT_KEY_SIZE - 1) == 0)
            return &facts->fact[i];
    return facts->n_facts < FACTS_MAX ? &facts->fact[facts->n_facts++] : NULL;
}

static void facts_set(struct facts *facts, const char *key, const char *value, bool number)
{
    struct fact *f = *value ? facts_slot(facts, key) : NULL;

    if (!f)
        return;
    text_copy(f->key, sizeof f->key, key);
    text_copy(f->value, sizeof f->value, value);
    text_tame(f->value);
    f->number = number;
}

void facts_put(struct facts *facts, const char *key, const char *value)
{
    facts_set(facts, key, value, false);
}

void facts_put_number(struct facts *facts, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    facts_set(facts, key, text, true);
}

const char *facts_get(const struct facts *facts, const char *key)
{
    for (unsigned i = 0; i < facts->n_facts; i++)
        if (strncmp(facts->fact[i].key, key, FACT_KEY_SIZE - 1) == 0)
            return facts->fact[i].value;
    return NULL;
}
