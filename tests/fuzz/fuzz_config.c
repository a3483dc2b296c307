/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of settings: a tree inside its limits, whose values VMTP's rules take or refuse, or a sentence of
 * one line that begins with the place.
 */
#include "plan/config_vmtp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void said(int r, const struct err *err)
{
    if (r != -EINVAL || err->code != EINVAL || strncmp(err->text, "f.yaml:", 7) != 0)
        abort();
    for (const char *p = err->text; *p; p++)
        if ((unsigned char)*p < ' ')
            abort();
}

static size_t count(const struct config_node *node, unsigned depth)
{
    size_t n = 1;

    if (depth > CONFIG_MAX_DEPTH || !node->line || !node->column ||
        (node->kind == CONFIG_SCALAR) != (node->text != NULL) ||
        (node->kind == CONFIG_MAP && node->n_children % 2))
        abort();
    for (size_t i = 0; i < node->n_children; i++)
        n += count(node->child[i], depth + 1);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_tree tree = {0};
    struct err err = {0};
    int r = config_tree_parse("f.yaml", (const char *)data, size, &tree, &err);

    if (r < 0) {
        said(r, &err);
        return 0;
    }
    if (tree.root && count(tree.root, 0) > CONFIG_MAX_NODES)
        abort();
    for (size_t i = 0; tree.root && i < tree.root->n_children; i += 2) {
        const struct config_vmtp_key *key = config_vmtp_find(tree.root->child[i]->text);
        char *text = NULL;

        if (!key)
            continue;
        err = (struct err){0};
        r = config_vmtp_take(key, &tree, tree.root->child[i + 1], &text, &err);
        if (r < 0)
            said(r, &err);
        free(text);
    }
    config_tree_done(&tree);
    return 0;
}
