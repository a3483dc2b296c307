/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/cloud_access.h"
#include "plan/cloud_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int take(const char *text, struct cloud_access *access, struct err *err)
{
    struct config_tree tree = {0};
    int r;

    assert_int_equal(config_tree_parse("c", text, strlen(text), &tree, err), 0);
    r = cloud_file_take(&tree, "a", access, err);
    config_tree_done(&tree);
    return r;
}

static void test_an_entry_has_its_values_and_where_they_stand(void **state)
{
    struct cloud_access access = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(
        take("clouds:\n a:\n  password: beside\n  auth:\n   tenant_name: old\n"
             "   project_name: new\n   user_name: n\n  verify: off\n  regions: [{name: r}]\n"
             "  endpoint_type: internal\n  auth_type: password\n",
             &access, &err),
        0);
    assert_string_equal(access.value[CLOUD_NAME], "a");
    assert_string_equal(access.value[CLOUD_PASSWORD], "beside");
    assert_string_equal(access.value[CLOUD_PROJECT_NAME], "new");
    assert_string_equal(access.from[CLOUD_PROJECT_NAME], "c:6:18");
    assert_string_equal(access.value[CLOUD_USERNAME], "n");
    assert_string_equal(access.value[CLOUD_INSECURE], "true");
    assert_string_equal(access.value[CLOUD_REGION_NAME], "r");
    assert_string_equal(access.value[CLOUD_INTERFACE], "internal");
    assert_null(access.value[CLOUD_AUTH_URL]);
    /* Another file on top. */
    assert_int_equal(take("clouds: {a: {auth: {password: above}}}", &access, &err), 0);
    assert_string_equal(access.value[CLOUD_PASSWORD], "above");
    assert_string_equal(access.value[CLOUD_USERNAME], "n");
    cloud_access_done(&access);
    assert_null(access.value[CLOUD_PASSWORD]);
}

static void test_what_is_wrong_has_its_place_and_no_value(void **state)
{
    static const struct {
        const char *text, *said;
        int r;
    } rows[] = {
        {"clouds: {a: hush}", "c:1:13: a cloud is a mapping", -EINVAL},
        {"clouds: {a: {auth: hush}}", "c:1:20: auth: takes a mapping, not one value", -EINVAL},
        {"clouds: {a: {auth: {password: [hush]}}}", "c:1:31: password: takes one value, not a list",
         -EINVAL},
        {"clouds: {a: {auth: {pasword: hush}}}", "c:1:21: there is no key 'pasword' of auth: did",
         -EINVAL},
        {"clouds: {a: {regions: hush}}", "c:1:23: regions: a list", -EINVAL},
        {"clouds: {a: {regions: [{id: hush}]}}", "c:1:23: regions: the first has no name", -EINVAL},
        {"clouds: {a: {verify: hush}}", "c:1:22: verify: neither", -EINVAL},
        {"clouds: {a: {profile: hush}}", "c:1:23: profile: vendors'", -EINVAL},
        {"clouds: {b: {}}", "c: there is no cloud 'a': did you mean b?", -ENOENT},
        {"x: 1", "c: there is no cloud 'a'", -ENOENT},
        {"clouds:", "c: there is no cloud 'a'", -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cloud_access access = {0};
        struct err err = {0};

        assert_int_equal(take(rows[i].text, &access, &err), rows[i].r);
        if (strncmp(err.text, rows[i].said, strlen(rows[i].said)) != 0)
            fail_msg("%s: said %s", rows[i].text, err.text);
        assert_null(strstr(err.text, "hush"));
        cloud_access_done(&access);
    }
}

static void test_every_field_has_a_variable_and_secrets_are_marked(void **state)
{
    (void)state;
    for (int f = 0; f < CLOUD_FIELDS; f++) {
        const char *name = cloud_fields[f].variable;

        assert_non_null(name);
        assert_int_equal(cloud_fields[f].secret, strstr(name, "PASSWORD") ||
                                                     strstr(name, "SECRET") ||
                                                     strstr(name, "TOKEN"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_has_its_values_and_where_they_stand),
        cmocka_unit_test(test_what_is_wrong_has_its_place_and_no_value),
        cmocka_unit_test(test_every_field_has_a_variable_and_secrets_are_marked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
