/* SPDX-License-Identifier: Apache-2.0 */
#include "model/facts.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct fact_row fact_rows[] = {
#define FACT(key, group, name, type, after, slack, how)                                            \
    {#key, group, name, FACT_##type, FACT_##after, slack, NULL},
#define FACT_FILE(key, group, name, type, after, slack, path)                                      \
    {#key, group, name, FACT_##type, FACT_##after, slack, path},
#include "model/facts.def"
#undef FACT
#undef FACT_FILE
    {0},
};

const struct fact_row *facts_row(const char *key)
{
    for (const struct fact_row *row = fact_rows; row->key; row++)
        if (strcmp(row->key, key) == 0)
            return row;
    return NULL;
}

const char *facts_key(const struct facts *facts, unsigned i)
{
    return facts->pool + facts->fact[i].key;
}

const char *facts_value(const struct facts *facts, unsigned i)
{
    return facts->pool + facts->fact[i].value;
}

enum fact_state facts_state(const struct facts *facts, unsigned i)
{
    return (enum fact_state)facts->fact[i].state;
}

static struct fact *facts_find(const struct facts *facts, const char *key)
{
    for (unsigned i = 0; i < facts->n_facts; i++)
        if (strncmp(facts_key(facts, i), key, FACT_KEY_SIZE - 1) == 0)
            return (struct fact *)&facts->fact[i];
    return NULL;
}

/* A text at the end of the pool, cut to size; false when there is no room. */
static bool facts_keep(struct facts *facts, const char *text, size_t size, uint16_t *ret_at)
{
    size_t n = strnlen(text, size - 1);

    if (facts->used + n + 1 > sizeof facts->pool)
        return false;
    memcpy(facts->pool + facts->used, text, n);
    facts->pool[facts->used + n] = 0;
    text_tame(facts->pool + facts->used);
    *ret_at = facts->used;
    facts->used = (uint16_t)(facts->used + n + 1);
    return true;
}

static void facts_set(struct facts *facts, const char *key, const char *value,
                      enum fact_state state)
{
    struct fact *f = facts_find(facts, key), fresh = {0};
    uint16_t used = facts->used;

    if (!*value)
        return;
    if (f)
        fresh.key = f->key;
    else if (facts->n_facts == FACTS_MAX || !facts_keep(facts, key, FACT_KEY_SIZE, &fresh.key))
        goto full;
    /* In the old one's place where it fits. */
    if (f && strnlen(value, FACT_VALUE_SIZE - 1) <= strlen(facts->pool + f->value)) {
        text_copy(facts->pool + f->value, strlen(facts->pool + f->value) + 1, value);
        text_tame(facts->pool + f->value);
        fresh.value = f->value;
    } else if (!facts_keep(facts, value, FACT_VALUE_SIZE, &fresh.value)) {
        goto full;
    }
    fresh.state = (uint8_t)state;
    if (!f)
        f = &facts->fact[facts->n_facts++];
    *f = fresh;
    return;
full:
    facts->used = used;
    facts->cut = true;
}

void facts_put(struct facts *facts, const char *key, const char *value)
{
    facts_set(facts, key, value, FACT_IS_TEXT);
}

void facts_put_number(struct facts *facts, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    facts_set(facts, key, text, FACT_IS_NUMBER);
}

void facts_put_signed(struct facts *facts, const char *key, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    facts_set(facts, key, text, FACT_IS_TEXT);
}

void facts_put_flag(struct facts *facts, const char *key, bool value)
{
    facts_set(facts, key, value ? "yes" : "no", FACT_IS_TEXT);
}

void facts_miss(struct facts *facts, const char *key, const char *reason)
{
    const struct fact *known = facts_find(facts, key);

    if (!known || known->state == FACT_IS_MISSING)
        facts_set(facts, key, reason, FACT_IS_MISSING);
}

void facts_list(char list[FACT_VALUE_SIZE], const char *item)
{
    size_t used = strlen(list), n = strlen(item);

    if (n == 0 || used + n + 2 > FACT_VALUE_SIZE)
        return;
    if (used)
        list[used++] = ' ';
    memcpy(list + used, item, n + 1);
}

void facts_map(char list[FACT_VALUE_SIZE], const char *name, const char *value)
{
    char item[FACT_VALUE_SIZE];
    int n = snprintf(item, sizeof item, "%s=%s", name, value);

    if (n < 0 || (size_t)n >= sizeof item)
        return;
    for (size_t i = 0; item[i]; i++)
        if (item[i] == ' ' || (item[i] == '=' && i != strlen(name)))
            item[i] = '_';
    facts_list(list, item);
}

const char *facts_get(const struct facts *facts, const char *key)
{
    const struct fact *f = facts_find(facts, key);

    return f && f->state != FACT_IS_MISSING ? facts->pool + f->value : NULL;
}

/* ---- what changed ---- */

static bool facts_in_list(const char *list, const char *item, size_t n)
{
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, " ");

        if (len == n && memcmp(p, item, n) == 0)
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

/* The items of one list that another lacks, as far as there is room. */
static void facts_lacking(const char *list, const char *other, char ret[FACT_CHANGE_SIZE])
{
    size_t used = 0;

    ret[0] = 0;
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, " ");

        if (!facts_in_list(other, p, len) && used + len + 6 < FACT_CHANGE_SIZE)
            used += (size_t)snprintf(ret + used, FACT_CHANGE_SIZE - used, "%s%.*s", used ? " " : "",
                                     (int)len, p);
        else if (!facts_in_list(other, p, len) && used + 5 < FACT_CHANGE_SIZE) {
            memcpy(ret + used, " ...", 5);
            return;
        }
        p += len + (p[len] == ' ');
    }
}

static bool facts_within(const struct fact_row *row, const char *a, const char *b)
{
    long long x, y;

    if (row->slack == 0 || !*a || !*b)
        return false;
    x = strtoll(a, NULL, 10);
    y = strtoll(b, NULL, 10);
    return (uint64_t)(x > y ? (unsigned long long)x - (unsigned long long)y
                            : (unsigned long long)y - (unsigned long long)x) <= row->slack;
}

unsigned facts_changes(const struct facts *before, const struct facts *after,
                       struct fact_change *ret_changes, unsigned max)
{
    unsigned n = 0;

    for (const struct fact_row *row = fact_rows; row->key && n < max; row++) {
        const struct fact *f = facts_find(before, row->key), *g = facts_find(after, row->key);
        const char *a = facts_get(before, row->key), *b = facts_get(after, row->key);
        struct fact_change *change = &ret_changes[n];

        if (row->after != FACT_WATCHED || (f && !a) || (g && !b))
            continue;
        a = a ? a : "";
        b = b ? b : "";
        if (strcmp(a, b) == 0 || facts_within(row, a, b))
            continue;
        text_copy(change->key, sizeof change->key, row->key);
        if (row->type == FACT_LIST || row->type == FACT_MAP) {
            facts_lacking(a, b, change->before);
            facts_lacking(b, a, change->after);
            /* The same words in another order are no change. */
            if (!change->before[0] && !change->after[0])
                continue;
        } else {
            text_copy(change->before, sizeof change->before, a);
            text_copy(change->after, sizeof change->after, b);
        }
        n++;
    }
    return n;
}
