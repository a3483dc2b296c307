/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/place_flags.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct places places;
static char word[300];

static int no_places(void **state)
{
    (void)state;
    places_done(&places);
    places = (struct places){0};
    return 0;
}

/* The place that a word becomes; word is what is left of it. */
static const struct place *take(enum place_role role, const char *text)
{
    struct err err = {0};

    snprintf(word, sizeof word, "%s", text);
    if (place_flags_add(&places, role, word, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return &places.place[places.n - 1];
}

static void expect_refused(enum place_role role, const char *text, const char *words)
{
    struct err err = {0};
    unsigned n = places.n;

    snprintf(word, sizeof word, "%s", text);
    assert_int_equal(place_flags_add(&places, role, word, &err), -EINVAL);
    if (!strstr(err.text, words))
        print_message("%s: %s\n", text, err.text);
    assert_non_null(strstr(err.text, words));
    assert_null(strstr(err.text, "sesame"));
    assert_null(strstr(word, "sesame"));
    assert_int_equal(places.n, n);
}

static void test_words_of_vmtp(void **state)
{
    const struct place *p = take(PLACE_HOST, "root@10.0.0.1::eth5");

    (void)state;
    assert_int_equal(p->there.at.kind, ENDPOINT_SSH);
    assert_string_equal(p->there.at.user, "root");
    assert_string_equal(p->there.at.arg, "10.0.0.1");
    assert_string_equal(p->there.at.ifname, "eth5");
    assert_null(p->there.password);
    assert_string_equal(p->resource.name, "10.0.0.1");
    assert_int_equal(p->resource.kind, RESOURCE_NODE);
    p = take(PLACE_HOST, "b");
    assert_string_equal(p->there.at.arg, "b");
    assert_string_equal(p->there.at.user, "");
}

static void test_a_password_is_kept_for_the_login_and_wiped_from_the_word(void **state)
{
    const struct place *p = take(PLACE_VM, "root@10.0.0.1:sesame:eth5,node=h1,net=a");

    (void)state;
    assert_string_equal(p->there.password, "sesame");
    assert_string_equal(p->there.at.ifname, "eth5");
    assert_string_equal(word, "root@10.0.0.1:xxxxxx:eth5,node=h1,net=a");
    expect_refused(PLACE_HOST, "root@10.0.0.1:sesame,node=h1", "node= is a label of --vm");
    expect_refused(PLACE_VM, "root@10.0.0.1:sesame,floating=x", "floating=x is no IPv4");
    expect_refused(PLACE_VM, "root@h:sesame,name=10.0.0.1", "name of another");
}

static void test_labels_come_off_from_the_end(void **state)
{
    const struct place *p =
        take(PLACE_VM, "exec:kubectl exec -i p -c a,b=c --,name=pod,node=h2,net=b,if=eth1");

    (void)state;
    assert_int_equal(p->there.at.kind, ENDPOINT_EXEC);
    assert_string_equal(p->there.at.arg, "kubectl exec -i p -c a,b=c --");
    assert_string_equal(p->resource.name, "pod");
    assert_string_equal(p->resource.node, "h2");
    assert_string_equal(p->resource.network, "b");
    assert_string_equal(p->there.at.ifname, "eth1");
    assert_string_equal(word, "exec:kubectl exec -i p -c a,b=c --,name=pod,node=h2,net=b,if=eth1");
    p = take(PLACE_VM, "ssh://u@[fd00::5]:2222?if=eth1,floating=203.0.113.5,addr=10.0.0.5");
    assert_string_equal(p->there.at.arg, "fd00::5");
    assert_int_equal(p->there.at.port, 2222);
    assert_string_equal(p->there.floating, "203.0.113.5");
    assert_string_equal(p->there.at.address, "10.0.0.5");
    p = take(PLACE_EXTERNAL, "netns:out");
    assert_int_equal(p->resource.kind, RESOURCE_EXTERNAL);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        enum place_role role;
        const char *word, *why;
    } rows[] = {
        {PLACE_HOST, "", "is empty"},
        {PLACE_HOST, ",name=a", "is empty"},
        {PLACE_HOST, "a,name=", "name= is empty"},
        {PLACE_HOST, "a,name=b,name=c", "comes twice"},
        {PLACE_HOST, "a,net=x", "net= is a label of --vm"},
        {PLACE_EXTERNAL, "a,floating=203.0.113.5", "label of --vm"},
        {PLACE_VM, "a,nod=h1", "'nod=' is none of"},
        {PLACE_VM, "a,floating=fd00::5", "is no IPv4 address"},
        {PLACE_VM, "a,addr=eth0", "addr="},
        {PLACE_VM, "iperf3://a", "another program's server"},
        {PLACE_VM, "ssh://root:sesame@a", "no password on a command line"},
        {PLACE_VM, "a:sesame", "USER@HOST:PASSWORD"},
        {PLACE_VM, "http://a", "http"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};

        snprintf(word, sizeof word, "%s", rows[i].word);
        assert_int_equal(place_flags_add(&places, rows[i].role, word, &err), -EINVAL);
        if (!strstr(err.text, rows[i].why))
            print_message("%s: %s\n", rows[i].word, err.text);
        assert_non_null(strstr(err.text, rows[i].why));
        assert_null(strstr(err.text, "sesame"));
    }
    assert_int_equal(places.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_words_of_vmtp, no_places),
        cmocka_unit_test_teardown(test_a_password_is_kept_for_the_login_and_wiped_from_the_word,
                                  no_places),
        cmocka_unit_test_teardown(test_labels_come_off_from_the_end, no_places),
        cmocka_unit_test_teardown(test_what_is_refused, no_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
