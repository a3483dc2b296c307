/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/cloud_access.h"
#include "plan/config_tree.h"

/*
 * clouds.yaml and secure.yaml: the files of all programs that use OpenStack. Of an entry is taken what enum cloud_field has;
 * other keys (API versions, networks, floating IPs …) are other programs' and are left alone. What secure.yaml has beats
 * clouds.yaml.
 *
 * errors  -EINVAL, the sentence begins with "FILE:LINE:COLUMN: " and has no value; those of config_tree_read()
 * source  openstacksdk, "Configuring OpenStack SDK Applications"
 */

/* Searched: OS_CLIENT_CONFIG_FILE (not with no_env), here, the user's ~/.config/openstack, /etc/openstack; secure.yaml alike. */
int cloud_file_find(const char *cloud, bool no_env, struct cloud_access *access, struct err *err);

/* The entry of a file that is read already. errors: -ENOENT it has no entry of that name */
int cloud_file_take(const struct config_tree *tree, const char *cloud, struct cloud_access *access,
                    struct err *err);
