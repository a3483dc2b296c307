/* SPDX-License-Identifier: Apache-2.0 */
#include "results/facts_table.h"

#include "results/doc.h"

#include <stdbool.h>
#include <string.h>

enum { FACTS_COLUMNS = 96, FACTS_INDENT = 12, FACTS_TEXT_SIZE = 4096 };

/* What is under way: one paragraph, wrapped between items. */
struct facts_line {
    FILE *out;
    size_t column;
};

static void facts_line_item(struct facts_line *line, const char *text)
{
    size_t n = doc_columns(text);

    if (line->column > FACTS_INDENT) {
        fputc(',', line->out);
        line->column++;
        if (line->column + 1 + n > FACTS_COLUMNS) {
            fprintf(line->out, "\n%*s", FACTS_INDENT, "");
            line->column = FACTS_INDENT;
        } else {
            fputc(' ', line->out);
            line->column++;
        }
    }
    fputs(text, line->out);
    line->column += n;
}

/* Add a text to another, as far as there is room. */
static void facts_add(char ret[FACTS_TEXT_SIZE], const char *text)
{
    size_t used = strlen(ret), n = strlen(text);

    if (used + n + 1 <= FACTS_TEXT_SIZE)
        memcpy(ret + used, text, n + 1);
}

/* One value that is no list. */
static void facts_scalar(const json_t *value, char ret[FACTS_TEXT_SIZE])
{
    char text[FACTS_TEXT_SIZE] = "";

    if (json_is_string(value))
        doc_clean(text, sizeof text, json_string_value(value));
    else if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof text, "%.0f", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(text, sizeof text, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_null(value))
        snprintf(text, sizeof text, "nothing");
    facts_add(ret, text);
}

static void facts_value_text(const json_t *value, char ret[FACTS_TEXT_SIZE])
{
    void *at = json_object_iter((json_t *)value);

    ret[0] = 0;
    if (!json_is_array(value) && !json_is_object(value))
        facts_scalar(value, ret);
    for (size_t i = 0; i < json_array_size(value); i++) {
        facts_add(ret, i ? " " : "");
        facts_scalar(json_array_get(value, i), ret);
    }
    for (bool first = true; at; at = json_object_iter_next((json_t *)value, at)) {
        char key[64];

        doc_clean(key, sizeof key, json_object_iter_key(at));
        facts_add(ret, first ? "" : " ");
        facts_add(ret, key);
        facts_add(ret, "=");
        facts_scalar(json_object_iter_value(at), ret);
        first = false;
    }
}

static void facts_paragraph(const json_t *object, const char *heading, FILE *out)
{
    struct facts_line line = {.out = out, .column = FACTS_INDENT};
    void *at = json_object_iter((json_t *)object);
    char clean[FACTS_INDENT];

    if (!at)
        return;
    doc_clean(clean, sizeof clean, heading);
    fprintf(out, "  %-*s", FACTS_INDENT - 2, clean);
    for (; at; at = json_object_iter_next((json_t *)object, at)) {
        char key[64], text[FACTS_TEXT_SIZE], item[FACTS_TEXT_SIZE + 72];

        doc_clean(key, sizeof key, json_object_iter_key(at));
        facts_value_text(json_object_iter_value(at), text);
        snprintf(item, sizeof item, "%s %s", key, text);
        facts_line_item(&line, item);
    }
    fputc('\n', out);
}

static void facts_changes_of(const json_t *node, const char *indent, FILE *out)
{
    const json_t *changed = doc_at(node, "changed");
    char name[96], fact[96], before[FACTS_TEXT_SIZE], after[FACTS_TEXT_SIZE];

    doc_clean(name, sizeof name, doc_text(node, "name"));
    for (size_t i = 0; i < json_array_size(changed); i++) {
        const json_t *change = json_array_get(changed, i);

        doc_clean(fact, sizeof fact, doc_text(change, "fact"));
        facts_value_text(doc_at(change, "before"), before);
        facts_value_text(doc_at(change, "after"), after);
        fprintf(out, "%s%s: %s changed while the run went on: %s, then %s\n", indent, name, fact,
                before, after);
    }
}

static void facts_node(const json_t *node, FILE *out)
{
    const json_t *facts = doc_at(node, "facts");
    void *at = json_object_iter((json_t *)facts);
    char text[400];

    doc_clean(text, sizeof text, doc_text(node, "name"));
    fputs(text, out);
    doc_clean(text, sizeof text, doc_text(node, "role"));
    fprintf(out, "%s%s%s\n", *text ? " (" : "", text, *text ? ")" : "");
    for (; at; at = json_object_iter_next((json_t *)facts, at))
        if (json_is_object(json_object_iter_value(at)))
            facts_paragraph(json_object_iter_value(at), json_object_iter_key(at), out);
    facts_paragraph(doc_at(node, "missing"), "missing", out);
    if (*doc_text(node, "error")) {
        doc_clean(text, sizeof text, doc_text(node, "error"));
        fprintf(out, "  %-*s%s\n", FACTS_INDENT - 2, "error", text);
    }
    facts_changes_of(node, "  ", out);
}

static const char *const facts_lists[] = {"nodes", "endpoints", NULL};

void facts_table_print(const json_t *document, FILE *out)
{
    size_t n = 0;

    for (size_t k = 0; facts_lists[k]; k++) {
        const json_t *list = doc_at(document, facts_lists[k]);

        for (size_t i = 0; i < json_array_size(list); i++, n++) {
            if (n)
                fputc('\n', out);
            facts_node(json_array_get(list, i), out);
        }
    }
    if (n == 0)
        fputs("this run has no facts\n", out);
}

void facts_table_changes(const json_t *document, const char *indent, FILE *out)
{
    for (size_t k = 0; facts_lists[k]; k++) {
        const json_t *list = doc_at(document, facts_lists[k]);

        for (size_t i = 0; i < json_array_size(list); i++)
            facts_changes_of(json_array_get(list, i), indent, out);
    }
}
