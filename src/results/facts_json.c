/* SPDX-License-Identifier: Apache-2.0 */
#include "results/facts_json.h"

#include "base/text.h"
#include "results/doc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Facts come from an agent: what is not as its row says stays a text. */
static json_t *facts_json_number(const char *text, bool sign)
{
    char *end = NULL;
    json_t *number = NULL;

    errno = 0;
    if (sign && *text == '-') {
        long long n = strtoll(text, &end, 10);

        number = json_integer((json_int_t)n);
    } else {
        unsigned long long n = strtoull(text, &end, 10);

        number = doc_whole(n);
    }
    if (errno || end == text || *end || !strchr("-0123456789", *text) || (*text == '-' && !sign)) {
        json_decref(number);
        return doc_string(text);
    }
    return number;
}

/* The next word of a list, cut to fit; false at its end. */
static bool facts_json_word(const char **p, char word[FACT_VALUE_SIZE])
{
    size_t n;

    *p += strspn(*p, " ");
    n = strcspn(*p, " ");
    snprintf(word, FACT_VALUE_SIZE, "%.*s", (int)(n < FACT_VALUE_SIZE ? n : FACT_VALUE_SIZE - 1),
             *p);
    *p += n;
    return n > 0;
}

static json_t *facts_json_list(const char *text, enum fact_type type)
{
    json_t *o = type == FACT_MAP ? json_object() : json_array();
    char word[FACT_VALUE_SIZE], key[FACT_VALUE_SIZE];
    int bad = !o;

    while (!bad && facts_json_word(&text, word)) {
        char *equal = type == FACT_MAP ? strchr(word, '=') : NULL;

        if (type == FACT_LIST) {
            bad |= json_array_append_new(o, doc_string(word));
        } else if (type == FACT_COUNTS) {
            bad |= json_array_append_new(o, facts_json_number(word, false));
        } else if (equal) {
            *equal = 0;
            doc_clean(key, sizeof key, word);
            bad |= json_object_set_new(o, key, doc_string(equal + 1));
        }
    }
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *facts_json_value(const struct fact_row *row, const char *text, bool number)
{
    enum fact_type type = row ? row->type : number ? FACT_COUNT : FACT_WORD;

    switch (type) {
    case FACT_COUNT:
    case FACT_SIGNED:
        return facts_json_number(text, type == FACT_SIGNED);
    case FACT_FLAG:
        if (strcmp(text, "yes") == 0 || strcmp(text, "no") == 0)
            return json_boolean(*text == 'y');
        return doc_string(text);
    case FACT_LIST:
    case FACT_COUNTS:
    case FACT_MAP:
        return facts_json_list(text, type);
    case FACT_WORD:
        break;
    }
    return doc_string(text);
}

/* The object of a group, made when it is not there yet. Lent. */
static json_t *facts_json_group(json_t *facts, const char *group)
{
    json_t *o = json_object_get(facts, group);

    if (o)
        return o;
    /* A value that could not be put is freed by the call. */
    if (json_object_set_new(facts, group, json_object()) < 0)
        return NULL;
    return json_object_get(facts, group);
}

/* "GROUP.NAME"; what this vnperf has no row for is of the group other. */
static void facts_json_name(const struct fact_row *row, const char *key, char ret[96])
{
    char clean[FACT_KEY_SIZE];

    doc_clean(clean, sizeof clean, key);
    snprintf(ret, 96, "%s.%s", row ? row->group : "other", row ? row->name : clean);
}

static int facts_json_facts(const struct facts *facts, json_t *groups, json_t *missing)
{
    int bad = 0;

    for (unsigned i = 0; i < facts->n_facts; i++) {
        const struct fact_row *row = facts_row(facts_key(facts, i));
        char name[96];
        json_t *group;

        facts_json_name(row, facts_key(facts, i), name);
        if (facts_state(facts, i) == FACT_IS_MISSING) {
            bad |= json_object_set_new(missing, name, doc_string(facts_value(facts, i)));
            continue;
        }
        group = facts_json_group(groups, row ? row->group : "other");
        bad |= json_object_set_new(
            group, strchr(name, '.') + 1,
            facts_json_value(row, facts_value(facts, i), facts_state(facts, i) == FACT_IS_NUMBER));
    }
    return bad;
}

static json_t *facts_json_change(const struct fact_change *change)
{
    const struct fact_row *row = facts_row(change->key);
    json_t *o = json_object();
    char name[96];
    int bad = 0;

    facts_json_name(row, change->key, name);
    bad |= json_object_set_new(o, "fact", doc_string(name));
    bad |= json_object_set_new(o, "before",
                               change->before[0] ? facts_json_value(row, change->before, false)
                                                 : json_null());
    bad |= json_object_set_new(
        o, "after", change->after[0] ? facts_json_value(row, change->after, false) : json_null());
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *facts_json_node(const struct node_result *node)
{
    static const char *const roles[] = {[NODE_CONTROLLER] = "controller", [NODE_ASKED] = "asked"};
    json_t *o = json_object(), *groups = json_object(), *missing = json_object(),
           *changed = json_array();
    int bad = json_object_set_new(o, "name", doc_string(node->name));

    if (node->role >= NODE_CONTROLLER)
        bad |= json_object_set_new(o, "role", json_string(roles[node->role]));
    if (node->address[0])
        bad |= json_object_set_new(o, "data_address", doc_string(node->address));
    if (node->error[0])
        bad |= json_object_set_new(o, "error", doc_string(node->error));
    bad |= facts_json_facts(&node->facts, groups, missing);
    for (uint32_t i = 0; i < node->n_changes; i++)
        bad |= json_array_append_new(changed, facts_json_change(&node->changes[i]));
    bad |= json_object_set_new(o, "facts", groups);
    if (json_object_size(missing))
        bad |= json_object_set(o, "missing", missing);
    if (node->compared)
        bad |= json_object_set(o, "changed", changed);
    if (node->facts.cut)
        bad |= json_object_set_new(o, "facts_cut", json_true());
    json_decref(missing);
    json_decref(changed);
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}
