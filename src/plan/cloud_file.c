/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/cloud_file.h"
#include "base/auto.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLOUD_PATH_SIZE = 1024, CLOUD_MAX_NAMES = 256 };

/* ---- an entry ---- */

static const struct config_node *cloud_get(const struct config_node *map, const char *key)
{
    for (size_t i = 0; map && map->kind == CONFIG_MAP && i + 1 < map->n_children; i += 2)
        if (strcmp(map->child[i]->text, key) == 0)
            return config_node_null(map->child[i + 1]) ? NULL : map->child[i + 1];
    return NULL;
}

static int cloud_take(const struct config_tree *tree, const struct config_node *value,
                      enum cloud_field field, struct cloud_access *access, struct err *err)
{
    if (value->kind != CONFIG_SCALAR)
        return config_tree_say(tree, value, err, "%s: takes one value, not %s",
                               cloud_fields[field].key, config_node_kind(value));
    if (cloud_access_set(access, field, value->text, "%s:%u:%u", tree->name, value->line,
                         value->column) < 0)
        return err_set(err, ENOMEM, "memory for credentials");
    return 0;
}

/* Keys of auth: that are nearly one of ours. What else stands there is another way to log in, of which the driver speaks. */
static int cloud_misspelt(const struct config_tree *tree, const struct config_node *auth,
                          struct err *err)
{
    const char *names[2 * CLOUD_FIELDS];
    size_t n = 0;

    for (int f = 0; f < CLOUD_FIELDS; f++) {
        if (cloud_fields[f].key)
            names[n++] = cloud_fields[f].key;
        if (cloud_fields[f].older_key)
            names[n++] = cloud_fields[f].older_key;
    }
    for (size_t i = 0; i < auth->n_children; i += 2) {
        const char *key = auth->child[i]->text, *near = text_nearest(key, names, n);

        if (near && strcmp(near, key) != 0)
            return config_tree_say(tree, auth->child[i], err,
                                   "there is no key '%.60s' of auth: did you mean %s?", key, near);
    }
    return 0;
}

/* "region_name", else the first of "regions", which are names, or mappings with one. */
static int cloud_region(const struct config_tree *tree, const struct config_node *entry,
                        struct cloud_access *access, struct err *err)
{
    const struct config_node *regions = cloud_get(entry, "regions"), *first;

    if (cloud_get(entry, "region_name") || !regions)
        return 0;
    if (regions->kind != CONFIG_LIST || regions->n_children == 0)
        return config_tree_say(tree, regions, err, "regions: a list of regions is wanted");
    first = regions->child[0];
    if (first->kind == CONFIG_MAP)
        first = cloud_get(first, "name");
    if (!first || first->kind != CONFIG_SCALAR)
        return config_tree_say(tree, regions, err, "regions: the first has no name");
    return cloud_take(tree, first, CLOUD_REGION_NAME, access, err);
}

/* "verify: false" is "insecure: true". */
static int cloud_verify(const struct config_tree *tree, const struct config_node *entry,
                        struct cloud_access *access, struct err *err)
{
    static const char *const words[2][4] = {{"true", "yes", "on", "1"},
                                            {"false", "no", "off", "0"}};
    const struct config_node *verify = cloud_get(entry, "verify");

    if (!verify)
        return 0;
    for (int off = 0; off < 2 && verify->kind == CONFIG_SCALAR; off++)
        for (size_t i = 0; i < ARRAY_SIZE(words[0]); i++)
            if (strcasecmp(verify->text, words[off][i]) == 0)
                return cloud_access_set(access, CLOUD_INSECURE, off ? "true" : "false", "%s:%u:%u",
                                        tree->name, verify->line, verify->column) < 0
                           ? err_set(err, ENOMEM, "memory for credentials")
                           : 0;
    return config_tree_say(tree, verify, err, "verify: neither true nor false");
}

static int cloud_entry(const struct config_tree *tree, const struct config_node *entry,
                       struct cloud_access *access, struct err *err)
{
    const struct config_node *auth = cloud_get(entry, "auth"), *profile;
    int r = 0;

    if (entry->kind != CONFIG_MAP)
        return config_tree_say(tree, entry, err, "a cloud is a mapping with auth: and more");
    if (auth && auth->kind != CONFIG_MAP)
        return config_tree_say(tree, auth, err, "auth: takes a mapping, not %s",
                               config_node_kind(auth));
    if (auth && cloud_misspelt(tree, auth, err) < 0)
        return -EINVAL;
    for (int f = 0; f < CLOUD_FIELDS && r == 0; f++) {
        const struct cloud_field_row *row = &cloud_fields[f];
        const char *keys[] = {row->older_key, row->key};

        /* Some write what belongs under auth: beside it, and openstacksdk takes it. */
        for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
            const struct config_node *value = keys[k] ? cloud_get(entry, keys[k]) : NULL;

            if (keys[k] && row->auth && cloud_get(auth, keys[k]))
                value = cloud_get(auth, keys[k]);
            if (value && r == 0)
                r = cloud_take(tree, value, (enum cloud_field)f, access, err);
        }
    }
    if (r == 0)
        r = cloud_verify(tree, entry, access, err);
    if (r == 0)
        r = cloud_region(tree, entry, access, err);
    profile = cloud_get(entry, "profile");
    if (r == 0 && profile && !access->value[CLOUD_AUTH_URL])
        return config_tree_say(tree, profile, err,
                               "profile: vendors' profiles are not read here: auth_url under auth: "
                               "says where the cloud is");
    return r;
}

int cloud_file_take(const struct config_tree *tree, const char *cloud, struct cloud_access *access,
                    struct err *err)
{
    const struct config_node *clouds = cloud_get(tree->root, "clouds"), *entry;
    const char *names[CLOUD_MAX_NAMES], *near;
    size_t n = 0;

    if (clouds && clouds->kind != CONFIG_MAP)
        return config_tree_say(tree, clouds, err, "clouds: takes a mapping, not %s",
                               config_node_kind(clouds));
    entry = cloud_get(clouds, cloud);
    if (entry) {
        int r = cloud_entry(tree, entry, access, err);

        return r < 0 ? r
               : cloud_access_set(access, CLOUD_NAME, cloud, "%s:%u:%u", tree->name, entry->line,
                                  entry->column) < 0
                   ? err_set(err, ENOMEM, "memory for credentials")
                   : 0;
    }
    for (size_t i = 0; clouds && i < clouds->n_children && n < CLOUD_MAX_NAMES; i += 2)
        names[n++] = clouds->child[i]->text;
    near = text_nearest(cloud, names, n);
    err_say(err, "%s: there is no cloud '%.60s'%s%.60s%s", tree->name, cloud,
            near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
    return -ENOENT;
}

/* ---- where the files are ---- */

/* The k-th place where a file of that name may stand; false there are no more, "" this one there is not. */
static bool cloud_place(unsigned k, const char *file, char ret[CLOUD_PATH_SIZE])
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n = 0;

    ret[0] = 0;
    if (k == 0)
        n = snprintf(ret, CLOUD_PATH_SIZE, "%s", file);
    else if (k == 1 && config && config[0] == '/')
        n = snprintf(ret, CLOUD_PATH_SIZE, "%s/openstack/%s", config, file);
    else if (k == 2 && home && home[0] == '/')
        n = snprintf(ret, CLOUD_PATH_SIZE, "%s/.config/openstack/%s", home, file);
    else if (k == 3)
        n = snprintf(ret, CLOUD_PATH_SIZE, "/etc/openstack/%s", file);
    if (n < 0 || n >= CLOUD_PATH_SIZE)
        ret[0] = 0;
    return k <= 3;
}

/* The first that is there; "" none. */
static void cloud_search(const char *variable, const char *stem, char ret[CLOUD_PATH_SIZE])
{
    const char *named = variable ? getenv(variable) : NULL;
    char file[32];

    if (named && *named && text_copy(ret, CLOUD_PATH_SIZE, named))
        return;
    for (unsigned k = 0; cloud_place(k, "", ret); k++)
        for (int ext = 0; ext < 2; ext++) {
            snprintf(file, sizeof file, "%s.%s", stem, ext ? "yml" : "yaml");
            if (cloud_place(k, file, ret) && ret[0] && access(ret, F_OK) == 0)
                return;
        }
    ret[0] = 0;
}

int cloud_file_find(const char *cloud, bool no_env, struct cloud_access *access, struct err *err)
{
    char path[CLOUD_PATH_SIZE], secure[CLOUD_PATH_SIZE];
    struct config_tree tree = {0};
    int r;

    cloud_search(no_env ? NULL : "OS_CLIENT_CONFIG_FILE", "clouds", path);
    cloud_search(no_env ? NULL : "OS_CLIENT_SECURE_FILE", "secure", secure);
    if (!path[0])
        return err_say(err,
                       "cloud '%.60s': no clouds.yaml is here, in ~/.config/openstack or in "
                       "/etc/openstack",
                       cloud);
    r = config_tree_read(path, &tree, err);
    if (r == 0)
        r = cloud_file_take(&tree, cloud, access, err);
    config_tree_done(&tree);
    if (r == 0 && secure[0])
        r = config_tree_read(secure, &tree, err);
    if (r == 0 && secure[0]) {
        struct err why = {0};

        /* Not every cloud has secrets of its own there. */
        r = cloud_file_take(&tree, cloud, access, &why);
        if (r == -ENOENT)
            r = 0;
        if (r < 0 && err)
            *err = why;
        config_tree_done(&tree);
    }
    return r == -ENOENT ? -EINVAL : r;
}
