/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/cloud_access.h"
#include "base/auto.h"
#include "plan/cloud_file.h"
#include "plan/openrc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cloud_field_row cloud_fields[CLOUD_FIELDS] = {
    [CLOUD_NAME] = {"OS_CLOUD", NULL, NULL, NULL, false, false},
    [CLOUD_AUTH_TYPE] = {"OS_AUTH_TYPE", NULL, "auth_type", NULL, false, false},
    [CLOUD_AUTH_URL] = {"OS_AUTH_URL", NULL, "auth_url", NULL, true, false},
    [CLOUD_USERNAME] = {"OS_USERNAME", NULL, "username", "user_name", true, false},
    [CLOUD_USER_ID] = {"OS_USER_ID", NULL, "user_id", NULL, true, false},
    [CLOUD_PASSWORD] = {"OS_PASSWORD", NULL, "password", NULL, true, true},
    [CLOUD_PROJECT_NAME] = {"OS_PROJECT_NAME", "OS_TENANT_NAME", "project_name", "tenant_name",
                            true, false},
    [CLOUD_PROJECT_ID] = {"OS_PROJECT_ID", "OS_TENANT_ID", "project_id", "tenant_id", true, false},
    [CLOUD_USER_DOMAIN_NAME] = {"OS_USER_DOMAIN_NAME", NULL, "user_domain_name", NULL, true, false},
    [CLOUD_USER_DOMAIN_ID] = {"OS_USER_DOMAIN_ID", NULL, "user_domain_id", NULL, true, false},
    [CLOUD_PROJECT_DOMAIN_NAME] = {"OS_PROJECT_DOMAIN_NAME", NULL, "project_domain_name", NULL,
                                   true, false},
    [CLOUD_PROJECT_DOMAIN_ID] = {"OS_PROJECT_DOMAIN_ID", NULL, "project_domain_id", NULL, true,
                                 false},
    [CLOUD_DOMAIN_NAME] = {"OS_DOMAIN_NAME", NULL, "domain_name", NULL, true, false},
    [CLOUD_DOMAIN_ID] = {"OS_DOMAIN_ID", NULL, "domain_id", NULL, true, false},
    [CLOUD_SYSTEM_SCOPE] = {"OS_SYSTEM_SCOPE", NULL, "system_scope", NULL, true, false},
    [CLOUD_TOKEN] = {"OS_TOKEN", NULL, "token", NULL, true, true},
    [CLOUD_CREDENTIAL_ID] = {"OS_APPLICATION_CREDENTIAL_ID", NULL, "application_credential_id",
                             NULL, true, false},
    [CLOUD_CREDENTIAL_NAME] = {"OS_APPLICATION_CREDENTIAL_NAME", NULL,
                               "application_credential_name", NULL, true, false},
    [CLOUD_CREDENTIAL_SECRET] = {"OS_APPLICATION_CREDENTIAL_SECRET", NULL,
                                 "application_credential_secret", NULL, true, true},
    [CLOUD_REGION_NAME] = {"OS_REGION_NAME", NULL, "region_name", NULL, false, false},
    [CLOUD_INTERFACE] = {"OS_INTERFACE", "OS_ENDPOINT_TYPE", "interface", "endpoint_type", false,
                         false},
    [CLOUD_IDENTITY_API_VERSION] = {"OS_IDENTITY_API_VERSION", NULL, "identity_api_version", NULL,
                                    false, false},
    [CLOUD_CACERT] = {"OS_CACERT", NULL, "cacert", NULL, false, false},
    [CLOUD_CERT] = {"OS_CERT", NULL, "cert", NULL, false, false},
    [CLOUD_KEY] = {"OS_KEY", NULL, "key", NULL, false, false},
    [CLOUD_INSECURE] = {"OS_INSECURE", NULL, "insecure", NULL, false, false},
};

static void cloud_access_drop(struct cloud_access *access, enum cloud_field field)
{
    if (access->value[field])
        explicit_bzero(access->value[field], strlen(access->value[field]));
    free(access->value[field]);
    free(access->from[field]);
    access->value[field] = access->from[field] = NULL;
}

void cloud_access_done(struct cloud_access *access)
{
    for (int f = 0; f < CLOUD_FIELDS; f++)
        cloud_access_drop(access, (enum cloud_field)f);
    access->ask_password = false;
}

int cloud_access_set(struct cloud_access *access, enum cloud_field field, const char *value,
                     const char *from, ...)
{
    char *copy, *place = NULL;
    va_list ap;
    int n;

    if (!value || !*value)
        return 0;
    copy = strdup(value);
    va_start(ap, from);
    n = vasprintf(&place, from, ap);
    va_end(ap);
    if (n < 0 || !copy) {
        if (n >= 0)
            free(place);
        free(copy);
        return -ENOMEM;
    }
    cloud_access_drop(access, field);
    access->value[field] = copy;
    access->from[field] = place;
    return 0;
}

int cloud_access_environment(struct cloud_access *access, bool secrets_alone, struct err *err)
{
    for (int f = 0; f < CLOUD_FIELDS; f++) {
        const struct cloud_field_row *row = &cloud_fields[f];
        const char *value = getenv(row->variable);

        if ((!value || !*value) && row->older)
            value = getenv(row->older);
        if (access->value[f] || (secrets_alone && !row->secret))
            continue;
        if (cloud_access_set(access, (enum cloud_field)f, value, "environment") < 0)
            return err_set(err, ENOMEM, "memory for credentials");
    }
    return 0;
}

/* The entry of clouds.yaml that is meant; NULL none. */
static const char *cloud_access_name(const struct cloud_options *options,
                                     const struct cloud_access *access)
{
    const char *name = access->value[CLOUD_NAME];

    if (options->cloud[0])
        return options->cloud;
    if (!name && !options->no_env && !options->rc[0])
        name = getenv("OS_CLOUD");
    return name && *name ? name : NULL;
}

int cloud_access_find(const struct cloud_options *options, struct cloud_access *ret_access,
                      struct err *err)
{
    struct cloud_access access = {0};
    AUTO(free_p) char *name = NULL;
    const char *meant;
    int r = 0;

    if (options->rc[0] && options->cloud[0])
        return err_say(err, "--os-cloud: --rc names a cloud already: one of the two");
    if (options->rc[0] && (r = openrc_read(options->rc, &access, err)) < 0)
        return err_wrap(err, r, "--rc");
    /* A copy: what access has may be replaced by the entry's own. */
    meant = cloud_access_name(options, &access);
    name = meant ? strdup(meant) : NULL;
    if (meant && !name)
        r = err_set(err, ENOMEM, "memory for credentials");
    if (name)
        r = cloud_file_find(name, options->no_env, &access, err);
    if (r == 0 && !options->no_env)
        r = cloud_access_environment(&access, name != NULL, err);
    if (r < 0) {
        cloud_access_done(&access);
        return options->cloud[0] ? err_wrap(err, r, "--os-cloud") : r;
    }
    access.ask_password = !access.value[CLOUD_PASSWORD] &&
                          (access.ask_password ||
                           (name && (access.value[CLOUD_USERNAME] || access.value[CLOUD_USER_ID])));
    *ret_access = access;
    return 0;
}
