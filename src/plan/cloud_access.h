/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * How an OpenStack cloud is entered: what the user said about it, and what the files and the environment then have. Beside a
 * run's options, since only the openstack driver needs it.
 *
 * source  python-openstackclient, "Authentication using environment variables"; openstacksdk, "Configuring OpenStack SDK
 *         Applications" (clouds.yaml)
 */
enum cloud_field {
    CLOUD_NAME, /* of the entry in clouds.yaml */
    CLOUD_AUTH_TYPE,
    CLOUD_AUTH_URL,
    CLOUD_USERNAME,
    CLOUD_USER_ID,
    CLOUD_PASSWORD,
    CLOUD_PROJECT_NAME,
    CLOUD_PROJECT_ID,
    CLOUD_USER_DOMAIN_NAME,
    CLOUD_USER_DOMAIN_ID,
    CLOUD_PROJECT_DOMAIN_NAME,
    CLOUD_PROJECT_DOMAIN_ID,
    CLOUD_DOMAIN_NAME,
    CLOUD_DOMAIN_ID,
    CLOUD_SYSTEM_SCOPE,
    CLOUD_TOKEN,
    CLOUD_CREDENTIAL_ID, /* application credential */
    CLOUD_CREDENTIAL_NAME,
    CLOUD_CREDENTIAL_SECRET,
    CLOUD_REGION_NAME,
    CLOUD_INTERFACE,
    CLOUD_IDENTITY_API_VERSION,
    CLOUD_CACERT,
    CLOUD_CERT,
    CLOUD_KEY,
    CLOUD_INSECURE, /* "true": the server's certificate is not checked */
    CLOUD_FIELDS,
};

struct cloud_field_row {
    const char *variable,
        *older; /* of the environment and of openrc files; Keystone v2 said tenant */
    const char *key, *older_key; /* of clouds.yaml */
    bool auth;                   /* it stands under auth: there */
    bool secret;                 /* it is shown to nobody */
};
extern const struct cloud_field_row cloud_fields[CLOUD_FIELDS];

/* What the user said. */
struct cloud_options {
    char rc[256];    /* an openrc file; "" none */
    char cloud[128]; /* the entry of clouds.yaml; "" OS_CLOUD says, or none */
    bool no_env;     /* OS_ variables do not count */
};

struct cloud_access {
    char *value[CLOUD_FIELDS]; /* owned; NULL not set */
    char *from[CLOUD_FIELDS]; /* owned; where it stands: "rc:3", "clouds.yaml:4:7", "environment" */
    bool ask_password;        /* none is there, and a person is to be asked for it */
};

/*
 * From the openrc file, else from the cloud's entry in clouds.yaml and secure.yaml; what that leaves open from the environment
 * (beside an entry of clouds.yaml only secrets, as the other variables may be about another cloud).
 *
 * errors  -EINVAL a sentence without any value, with file and line where there is one; those of config_tree_read()
 * owns    cloud_access_done() wipes and frees
 */
int cloud_access_find(const struct cloud_options *options, struct cloud_access *ret_access,
                      struct err *err);

/* Copies value, unless it is NULL or empty; from is a format. errors: -ENOMEM */
int cloud_access_set(struct cloud_access *access, enum cloud_field field, const char *value,
                     const char *from, ...) __attribute__((format(printf, 4, 5)));
/* OS_ variables, where access has nothing yet; secrets alone if so asked. errors: -ENOMEM */
int cloud_access_environment(struct cloud_access *access, bool secrets_alone, struct err *err);
void cloud_access_done(struct cloud_access *access);
