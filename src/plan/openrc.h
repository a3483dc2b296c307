/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * OpenStack's credentials, from an openrc file or the environment. The file is read, never run: of the shell it takes
 * NAME=value, export, unset, quotes, $NAME of names set before, echo, read (a password that is to be asked for), and
 * the lines by which such files clean up after themselves. Anything else is refused: what it would do is not known.
 *
 * errors  -EINVAL, the sentence begins with "FILE:LINE: "; those of config_tree_bytes()
 * owns    openrc_done() wipes and frees
 * source  the file that Horizon offers for download; python-openstackclient, "Authentication using environment variables"
 */
enum openrc_field {
    OPENRC_AUTH_URL,
    OPENRC_USERNAME,
    OPENRC_USER_ID,
    OPENRC_PASSWORD,
    OPENRC_PROJECT_NAME,
    OPENRC_PROJECT_ID,
    OPENRC_USER_DOMAIN_NAME,
    OPENRC_USER_DOMAIN_ID,
    OPENRC_PROJECT_DOMAIN_NAME,
    OPENRC_PROJECT_DOMAIN_ID,
    OPENRC_REGION_NAME,
    OPENRC_INTERFACE,
    OPENRC_IDENTITY_API_VERSION,
    OPENRC_CACERT,
    OPENRC_AUTH_TYPE,
    OPENRC_TOKEN,
    OPENRC_CREDENTIAL_ID,
    OPENRC_CREDENTIAL_NAME,
    OPENRC_CREDENTIAL_SECRET,
    OPENRC_CLOUD,
    OPENRC_FIELDS,
};

struct openrc {
    char *value[OPENRC_FIELDS];   /* owned; NULL not set */
    unsigned line[OPENRC_FIELDS]; /* of the file; 0 the environment */
    bool ask_password;            /* the file would ask on the terminal */
};

/* "OS_AUTH_URL", and whether it may be shown. */
const char *openrc_name(enum openrc_field field);
bool openrc_secret(enum openrc_field field);

/* bytes ends with a zero. */
int openrc_parse(const char *name, const char *bytes, struct openrc *ret_rc, struct err *err);
int openrc_read(const char *path, struct openrc *ret_rc, struct err *err);
/* OS_* of the environment, where rc has nothing yet. errors: -ENOMEM */
int openrc_environment(struct openrc *rc, struct err *err);
void openrc_done(struct openrc *rc);
