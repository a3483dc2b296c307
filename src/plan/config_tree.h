/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A file of settings as a tree whose every node knows where it stands. YAML 1.1 without what a file of settings has no
 * use for: anchors and aliases (a page of them can mean terabytes), tags, a second document.
 *
 * shape   of a mapping the children are key, value, key, value …; a key is a scalar, and no key stands twice
 * units   line and column from 1; columns count characters
 * errors  -EINVAL, the sentence begins with "NAME:LINE:COLUMN: "; -ENOENT no libyaml; -ENOMEM
 * source  https://yaml.org/spec/1.1/
 */
enum config_kind { CONFIG_SCALAR, CONFIG_LIST, CONFIG_MAP };

enum {
    CONFIG_MAX_BYTES = 1 << 18,
    CONFIG_MAX_NODES = 4096,
    CONFIG_MAX_DEPTH = 8,
    CONFIG_MAX_TEXT = 4096, /* bytes of a scalar */
};

struct config_node {
    enum config_kind kind;
    unsigned line, column;
    char *text;                 /* owned; of a scalar: tamed by nobody */
    bool plain;                 /* of a scalar: without quotes */
    struct config_node **child; /* owned, and each of them */
    size_t n_children;
};

struct config_tree {
    char *name;               /* owned: the file's, for sentences */
    struct config_node *root; /* owned: a mapping; NULL the file holds nothing */
};

/* bytes[size], a whole file. */
int config_tree_parse(const char *name, const char *bytes, size_t size,
                      struct config_tree *ret_tree, struct err *err);

/* The file itself, or a pipe whose end comes within 10 s. errors: also those of open() and read() */
int config_tree_read(const char *path, struct config_tree *ret_tree, struct err *err);

void config_tree_done(struct config_tree *tree);

/* A null, "~" or nothing behind a key: as if it were not there. */
bool config_node_null(const struct config_node *node);

/* A complaint about a node: "NAME:LINE:COLUMN: " and the sentence. Returns -EINVAL. */
int config_tree_say(const struct config_tree *tree, const struct config_node *node, struct err *err,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* "one value", "a list", "a mapping": what stands there, for a sentence. */
const char *config_node_kind(const struct config_node *node);

/*
 * The single values of a list, a comma between; a single value is a list of one. name is whose they are, for sentences.
 *
 * owns  the caller frees ret_text
 */
int config_tree_join(const struct config_tree *tree, const char *name,
                     const struct config_node *value, char **ret_text, struct err *err);

/* A whole small file or pipe, ended by a zero that is not counted. owns: the caller frees ret_bytes */
int config_tree_bytes(const char *path, char **ret_bytes, size_t *ret_size, struct err *err);

/* Is it UTF-8, without control characters but tab and line ends? Else which line and column spoils it. */
bool config_tree_text(const char *bytes, size_t size, unsigned *ret_line, unsigned *ret_column);
