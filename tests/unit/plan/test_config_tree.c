/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "plan/config_tree.h"
#include "plan/config_vmtp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct config_tree *ret_tree, struct err *err)
{
    *err = (struct err){0};
    return config_tree_parse("f", text, strlen(text), ret_tree, err);
}

static void test_nodes_know_where_they_stand(void **state)
{
    struct config_tree tree = {0};
    struct err err;

    (void)state;
    assert_int_equal(parse("a: 1\n\xc3\xa9: [x,\n  'y z']\nm:\n  k: ~\n", &tree, &err), 0);
    assert_int_equal(tree.root->n_children, 6);
    assert_string_equal(tree.root->child[2]->text, "\xc3\xa9");
    /* Columns are characters, not bytes. */
    assert_int_equal(tree.root->child[3]->column, 4);
    assert_int_equal(tree.root->child[3]->kind, CONFIG_LIST);
    assert_int_equal(tree.root->child[3]->child[1]->line, 3);
    assert_string_equal(tree.root->child[3]->child[1]->text, "y z");
    assert_false(tree.root->child[3]->child[1]->plain);
    assert_true(config_node_null(tree.root->child[5]->child[1]));
    config_tree_done(&tree);
}

static void test_a_file_without_values(void **state)
{
    static const char *const texts[] = {"", "\n", "# only words\n", "---\n", "~\n", "--- null\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct config_tree tree = {0};
        struct err err;

        assert_int_equal(parse(texts[i], &tree, &err), 0);
        assert_null(tree.root);
        config_tree_done(&tree);
    }
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"a: &x 1\n", "f:1:4: an anchor (&x)"},
        {"a: {b: &x 1}\n", "f:1:8: an anchor (&x)"},
        {"a: [&x []]\n", "f:1:5: an anchor (&x)"},
        {"a: *x\n", "f:1:4: an alias (*x)"},
        {"*x\n", "f:1:1: an alias (*x)"},
        {"a: !t 1\n", "f:1:4: a tag (!t)"},
        {"a: !!map {}\n", "f:1:4: a tag (tag:yaml.org,2002:map)"},
        {"a: 1\na: 2\n", "f:2:1: 'a' stands twice: first in line 1"},
        {"a: 1\n'a': 2\n", "f:2:1: 'a' stands twice"},
        {"a: {b: 1, b: 2}\n", "f:1:11: 'b' stands twice"},
        {"[a]: 1\n", "f:1:1: a key is one word"},
        {"'': 1\n", "f:1:1: a key is one word"},
        {"a: 1\n---\nb: 1\n", "f:2:1: a second document"},
        {"- a\n", "f:1:1: a file of settings has lines like"},
        {"a:\n\tb: 1\n", "f:2:1: a tab stands where"},
        {"a: [[[[[[[[1]]]]]]]]\n", "f:1:11: more than 8 levels deep"},
        {"a: \x01\n", "f:1:4: this is no text in UTF-8"},
        {"a: \xc0\xaf\n", "f:1:4: this is no text in UTF-8"},
        {"a: \xed\xa0\x80\n", "f:1:4: this is no text in UTF-8"},
        {"a: \xf4\x90\x80\x80\n", "f:1:4: this is no text in UTF-8"},
        {"a: \xc2\x9b\n", "f:1:4: this is no text in UTF-8"},
        {"a: \"\\0\"\n", "f:1:4: a zero byte"},
        {"a: 'b\n", "f:2:1: "},
        {"a: b: c\n", "f:1:5: "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config_tree tree = {0};
        struct err err;

        assert_int_equal(parse(rows[i].text, &tree, &err), -EINVAL);
        if (strncmp(err.text, rows[i].said, strlen(rows[i].said)) != 0)
            fail_msg("%s: said %s, wanted %s", rows[i].text, err.text, rows[i].said);
        assert_null(tree.root);
    }
}

static void test_limits_of_number_and_size(void **state)
{
    static char text[CONFIG_MAX_BYTES + 2];
    struct config_tree tree = {0};
    struct err err = {0};
    size_t n = (size_t)snprintf(text, sizeof text, "a: [");

    (void)state;
    for (unsigned i = 0; i < CONFIG_MAX_NODES; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "1,");
    snprintf(text + n, sizeof text - n, "]\n");
    assert_int_equal(parse(text, &tree, &err), -EINVAL);
    assert_non_null(strstr(err.text, "more than 4096 values"));
    memset(text, '#', CONFIG_MAX_BYTES);
    assert_int_equal(config_tree_parse("f", text, CONFIG_MAX_BYTES, &tree, &err), 0);
    config_tree_done(&tree);
    assert_int_equal(config_tree_parse("f", text, CONFIG_MAX_BYTES + 1, &tree, &err), -EINVAL);
}

static void test_vmtps_values_become_ours(void **state)
{
    static const struct {
        const char *text, *ours, *said; /* said NULL: taken */
    } rows[] = {
        {"tcp_pkt_sizes: [1, 64K]", "1,64K", NULL},
        {"udp_pkt_sizes: 128", "128", NULL},
        {"vm_bandwidth: 1000", "1000k", NULL},
        {"vm_bandwidth: 0", "", NULL},
        {"udp_loss_rate_range: [2, 5]", "5%", NULL},
        {"udp_loss_rate_range: [5, 2]", NULL, "f:1:22: udp_loss_rate_range: the first is above"},
        {"udp_loss_rate_range: [1]", NULL, "takes two percentages"},
        {"udp_loss_rate_range: [1, 200]", NULL, "f:1:26: udp_loss_rate_range: '200' is no"},
        {"tcp_tp_loop_count: x", NULL, "f:1:20: tcp_tp_loop_count: number 'x'"},
        {"ping_count: 2", NULL, NULL},
        {"ping_count: 3", NULL, "f:1:13: ping_count: VMTP never read it"},
        {"reuse_existing_vm:", NULL, NULL},
        {"config_drive: yes", NULL, NULL},
        {"config_drive: [1]", NULL, "takes one value, not a list"},
        {"dns_nameservers: {a: 1}", NULL, "takes a list, not a mapping"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config_tree tree = {0};
        struct err err;
        char *text = NULL;
        int r;

        assert_int_equal(parse(rows[i].text, &tree, &err), 0);
        r = config_vmtp_take(config_vmtp_find(tree.root->child[0]->text), &tree,
                             tree.root->child[1], &text, &err);
        assert_int_equal(r, rows[i].said ? -EINVAL : 0);
        if (rows[i].said)
            assert_non_null(strstr(err.text, rows[i].said));
        else if (rows[i].ours)
            assert_string_equal(text, rows[i].ours);
        else
            assert_null(text);
        free(text);
        config_tree_done(&tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_know_where_they_stand),
        cmocka_unit_test(test_a_file_without_values),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_limits_of_number_and_size),
        cmocka_unit_test(test_vmtps_values_become_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
