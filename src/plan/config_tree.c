/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/config_tree.h"
#include "base/auto.h"
#include "base/text.h"
#include "plan/config_library.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

/* A parse going on. Events instead of libyaml's documents: those have followed the aliases already. */
struct config_parse {
    yaml_parser_t parser;
    const char *name, *bytes;
    size_t size, n_nodes;
    struct err *err;
};

static void config_node_free(struct config_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->n_children; i++)
        config_node_free(node->child[i]);
    free(node->child);
    if (node->text)
        explicit_bzero(node->text, strlen(node->text)); /* it may be a password */
    free(node->text);
    free(node);
}

void config_tree_done(struct config_tree *tree)
{
    config_node_free(tree->root);
    free(tree->name);
    *tree = (struct config_tree){0};
}

bool config_node_null(const struct config_node *node)
{
    return node->kind == CONFIG_SCALAR && node->plain &&
           (!node->text[0] || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0);
}

const char *config_node_kind(const struct config_node *node)
{
    return node->kind == CONFIG_MAP    ? "a mapping"
           : node->kind == CONFIG_LIST ? "a list"
                                       : "one value";
}

static int config_complain(const char *name, unsigned line, unsigned column, struct err *err,
                           const char *fmt, va_list ap)
{
    char words[sizeof((struct err *)0)->text];

    vsnprintf(words, sizeof words, fmt, ap);
    return err_say(err, "%s:%u:%u: %s", name, line, column, text_tame(words));
}

int config_tree_say(const struct config_tree *tree, const struct config_node *node, struct err *err,
                    const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = config_complain(tree->name, node->line, node->column, err, fmt, ap);
    va_end(ap);
    return r;
}

int config_tree_join(const struct config_tree *tree, const char *name,
                     const struct config_node *value, char **ret_text, struct err *err)
{
    AUTO(free_p) char *text = NULL;
    size_t size = 0;
    FILE *out;
    int r = 0;

    if (value->kind == CONFIG_MAP)
        return config_tree_say(tree, value, err, "%s: takes a list, not a mapping", name);
    out = open_memstream(&text, &size);
    if (!out)
        return err_set(err, ENOMEM, "%s", tree->name);
    if (value->kind == CONFIG_SCALAR)
        fputs(value->text, out);
    for (size_t i = 0; i < value->n_children && r == 0; i++) {
        const struct config_node *child = value->child[i];

        if (child->kind != CONFIG_SCALAR || config_node_null(child))
            r = config_tree_say(tree, child, err, "%s: a list of single values is wanted", name);
        else
            fprintf(out, "%s%s", i ? "," : "", child->text);
    }
    if (fclose(out) != 0 && r == 0)
        r = err_set(err, ENOMEM, "%s", tree->name);
    if (r == 0)
        *ret_text = TAKE(text);
    return r;
}

static int __attribute__((format(printf, 3, 4)))
config_parse_say(struct config_parse *p, yaml_mark_t mark, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = config_complain(p->name, (unsigned)mark.line + 1, (unsigned)mark.column + 1, p->err, fmt,
                        ap);
    va_end(ap);
    return r;
}

/* Does a tab stand in the blanks that line begins with? Nothing puzzles writers of YAML more. */
static bool config_tab(const struct config_parse *p, size_t line, size_t *ret_column)
{
    const char *at = p->bytes, *end = p->bytes + p->size;

    for (; line > 0 && at; line--) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    *ret_column = 0;
    for (; at && at < end && (*at == ' ' || *at == '\t'); at++, (*ret_column)++)
        if (*at == '\t')
            return true;
    return false;
}

/* What libyaml did not like. */
static int config_broken(struct config_parse *p)
{
    const yaml_parser_t *y = &p->parser;
    yaml_mark_t mark = y->problem_mark;
    size_t column = 0;

    if (y->error == YAML_MEMORY_ERROR)
        return err_set(p->err, ENOMEM, "%s", p->name);
    for (int back = 0; back < 2; back++) {
        /* It often sees the tab at the end of the line before. */
        size_t line = mark.line + (size_t)back;

        if (config_tab(p, line, &column))
            return config_parse_say(p, (yaml_mark_t){.line = line, .column = column},
                                    "a tab stands where YAML wants blanks");
    }
    if (y->context)
        return config_parse_say(p, mark, "%s %s", y->problem ? y->problem : "this is no YAML",
                                y->context);
    return config_parse_say(p, mark, "%s", y->problem ? y->problem : "this is no YAML");
}

static struct config_node *config_node_new(struct config_parse *p, enum config_kind kind,
                                           yaml_mark_t mark)
{
    struct config_node *node;

    if (++p->n_nodes > CONFIG_MAX_NODES) {
        config_parse_say(p, mark, "more than %d values", CONFIG_MAX_NODES);
        return NULL;
    }
    node = calloc(1, sizeof *node);
    if (!node) {
        err_set(p->err, ENOMEM, "%s", p->name);
        return NULL;
    }
    node->kind = kind;
    node->line = (unsigned)mark.line + 1;
    node->column = (unsigned)mark.column + 1;
    return node;
}

/* Takes child over, also when it fails. */
static int config_node_add(struct config_parse *p, struct config_node *node,
                           struct config_node *child)
{
    /* Grown at powers of two. */
    if ((node->n_children & (node->n_children - 1)) == 0) {
        size_t room = node->n_children ? 2 * node->n_children : 1;
        struct config_node **more = reallocarray(node->child, room, sizeof(struct config_node *));

        if (!more) {
            config_node_free(child);
            return err_set(p->err, ENOMEM, "%s", p->name);
        }
        node->child = more;
    }
    node->child[node->n_children++] = child;
    return 0;
}

static int config_scalar(struct config_parse *p, const yaml_event_t *e, struct config_node *node)
{
    const char *value = (const char *)e->data.scalar.value;

    if (e->data.scalar.length > CONFIG_MAX_TEXT)
        return config_parse_say(p, e->start_mark, "a value of more than %d bytes", CONFIG_MAX_TEXT);
    if (memchr(value, 0, e->data.scalar.length))
        return config_parse_say(p, e->start_mark, "a zero byte in a value");
    node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = strdup(value);
    return node->text ? 0 : err_set(p->err, ENOMEM, "%s", p->name);
}

static int config_key(struct config_parse *p, const struct config_node *map,
                      const struct config_node *key)
{
    yaml_mark_t mark = {.line = key->line - 1, .column = key->column - 1};

    if (key->kind != CONFIG_SCALAR || !key->text || !key->text[0])
        return config_parse_say(p, mark, "a key is one word");
    for (size_t i = 0; i < map->n_children; i += 2)
        if (strcmp(map->child[i]->text, key->text) == 0)
            return config_parse_say(p, mark, "'%.60s' stands twice: first in line %u", key->text,
                                    map->child[i]->line);
    return 0;
}

static int config_value(struct config_parse *p, const yaml_event_t *e, unsigned depth,
                        struct config_node **ret_node);

/* Children until the end of node. */
static int config_children(struct config_parse *p, struct config_node *node, unsigned depth)
{
    yaml_event_type_t end =
        node->kind == CONFIG_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;

    for (;;) {
        struct config_node *child = NULL;
        yaml_event_t e;
        bool done;
        int r;

        if (!yaml_parser_parse(&p->parser, &e))
            return config_broken(p);
        done = e.type == end;
        r = done ? 0 : config_value(p, &e, depth, &child);
        yaml_event_delete(&e);
        if (done || r < 0 || !child)
            return r;
        if (node->kind == CONFIG_MAP && node->n_children % 2 == 0)
            r = config_key(p, node, child);
        if (r < 0) {
            config_node_free(child);
            return r;
        }
        r = config_node_add(p, node, child);
        if (r < 0)
            return r;
    }
}

/* What an event has that is not taken. */
static int config_extras(struct config_parse *p, const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (e->type == YAML_ALIAS_EVENT)
        return config_parse_say(p, e->start_mark,
                                "an alias (*%.40s) is not taken here: write the value again; a "
                                "value that begins with * needs quotes",
                                (const char *)e->data.alias.anchor);
    if (anchor)
        return config_parse_say(p, e->start_mark,
                                "an anchor (&%.40s) is not taken here: write the value again",
                                (const char *)anchor);
    if (tag)
        return config_parse_say(p, e->start_mark,
                                "a tag (%.60s) is not taken here: write the value alone",
                                (const char *)tag);
    return 0;
}

/* The node that event e begins; at most CONFIG_MAX_DEPTH calls deep. */
// NOLINTNEXTLINE(misc-no-recursion)
static int config_value(struct config_parse *p, const yaml_event_t *e, unsigned depth,
                        struct config_node **ret_node)
{
    enum config_kind kind = e->type == YAML_MAPPING_START_EVENT    ? CONFIG_MAP
                            : e->type == YAML_SEQUENCE_START_EVENT ? CONFIG_LIST
                                                                   : CONFIG_SCALAR;
    struct config_node *node;
    int r = config_extras(p, e);

    if (r < 0)
        return r;
    if (depth == CONFIG_MAX_DEPTH)
        return config_parse_say(p, e->start_mark, "more than %d levels deep", CONFIG_MAX_DEPTH);
    node = config_node_new(p, kind, e->start_mark);
    if (!node)
        return p->n_nodes > CONFIG_MAX_NODES ? -EINVAL : -ENOMEM;
    r = kind == CONFIG_SCALAR ? config_scalar(p, e, node) : config_children(p, node, depth + 1);
    if (r < 0)
        config_node_free(node);
    else
        *ret_node = node;
    return r;
}

static bool config_root_empty(const struct config_node *root) { return config_node_null(root); }

/* All events of the file. */
static int config_stream(struct config_parse *p, struct config_node **ret_root)
{
    bool document = false;

    for (;;) {
        yaml_event_t e;
        yaml_event_type_t type;
        int r = 0;

        if (!yaml_parser_parse(&p->parser, &e))
            return config_broken(p);
        type = e.type;
        if (type == YAML_DOCUMENT_START_EVENT && document)
            r = config_parse_say(p, e.start_mark, "a second document begins here: one is taken");
        else if (type == YAML_DOCUMENT_START_EVENT)
            document = true;
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                 type == YAML_MAPPING_START_EVENT || type == YAML_ALIAS_EVENT)
            r = config_value(p, &e, 0, ret_root);
        yaml_event_delete(&e);
        if (r < 0 || type == YAML_STREAM_END_EVENT || type == YAML_NO_EVENT)
            return r;
    }
}

int config_tree_parse(const char *name, const char *bytes, size_t size,
                      struct config_tree *ret_tree, struct err *err)
{
    struct config_parse p = {.name = name, .bytes = bytes, .size = size, .err = err};
    struct config_tree tree = {0};
    unsigned line = 0, column = 0;
    int r;

    if (size > CONFIG_MAX_BYTES)
        return err_say(err, "%s: more than %d KiB is no file of settings", name,
                       CONFIG_MAX_BYTES / 1024);
    if (!config_tree_text(bytes, size, &line, &column))
        return err_say(err, "%s:%u:%u: this is no text in UTF-8", name, line, column);
    r = config_library_load(err);
    if (r < 0)
        return err_wrap(err, r, "%s", name);
    if (!yaml_parser_initialize(&p.parser))
        return err_set(err, ENOMEM, "%s", name);
    yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.parser, (const unsigned char *)bytes, size);
    tree.name = strdup(name);
    r = tree.name ? config_stream(&p, &tree.root) : err_set(err, ENOMEM, "%s", name);
    yaml_parser_delete(&p.parser);
    if (r == 0 && tree.root && config_root_empty(tree.root)) {
        config_node_free(tree.root);
        tree.root = NULL;
    }
    if (r == 0 && tree.root && tree.root->kind != CONFIG_MAP)
        r = config_tree_say(&tree, tree.root, err, "a file of settings has lines like 'time: 10'");
    if (r < 0)
        config_tree_done(&tree);
    else
        *ret_tree = tree;
    return r;
}

int config_tree_read(const char *path, struct config_tree *ret_tree, struct err *err)
{
    AUTO(free_p) char *bytes = NULL;
    size_t size = 0;
    int r = config_tree_bytes(path, &bytes, &size, err);

    if (r < 0)
        return r;
    r = config_tree_parse(path, bytes, size, ret_tree, err);
    explicit_bzero(bytes, size);
    return r;
}
