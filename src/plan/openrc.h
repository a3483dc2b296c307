/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/cloud_access.h"

/*
 * OpenStack's credentials from an openrc file, which is read and never run: of the shell it takes NAME=value, export, unset,
 * quotes, $NAME of names set before, ~, echo, read (a password that is to be asked for), and the lines by which such files
 * clean up after themselves. Anything else is refused: what it would do is not known.
 *
 * errors  -EINVAL, the sentence begins with "FILE:LINE: " and has no value; those of config_tree_bytes()
 * owns    ret_access: cloud_access_done() wipes and frees
 * source  the file that Horizon offers for download
 */

/* bytes ends with a zero. */
int openrc_parse(const char *name, const char *bytes, struct cloud_access *ret_access,
                 struct err *err);
int openrc_read(const char *path, struct cloud_access *ret_access, struct err *err);
