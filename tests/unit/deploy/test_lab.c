/* SPDX-License-Identifier: Apache-2.0 */
#include "lab_fixture.h"

/* Whom does `to` see when `from` sends from its address `source` to `address`? */
static void seen(struct built *b, int from, const char *source, int to, const char *address,
                 const char *expected)
{
    char *const hear[] = {(char *)"/proc/self/exe", (char *)"hear", (char *)"5001", NULL};
    char *const say[] = {(char *)"/proc/self/exe", (char *)"say",  (char *)source,
                         (char *)address,          (char *)"5001", NULL};
    char output[512], line[64] = "";
    struct pollfd p = {.events = POLLIN};
    struct spawned s = {0};
    struct err err = {0};
    AUTO(fclose_p) FILE *f = NULL;

    if (lab->spawn(b->state, rows[to].name, hear, &s, &err) < 0)
        fail_msg("%s", err.text);
    f = fdopen(dup(s.out_fd), "re");
    setbuf(f, NULL);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "ready\n");
    assert_int_equal(run_in(b, rows[from].name, say, output, sizeof output), 0);
    p.fd = s.out_fd;
    if (poll(&p, 1, WAIT_S * 1000) != 1)
        fail_msg("%s hears nothing at %s from %s", rows[to].name, address, rows[from].name);
    assert_non_null(fgets(line, sizeof line, f));
    line[strcspn(line, "\n")] = 0;
    assert_string_equal(line, expected);
    spawned_end(&s, CLOCK_S);
}

static void test_every_pair_pings_at_once(void **test)
{
    struct built b;

    (void)test;
    need_lab();
    if (system("command -v ping >/dev/null") != 0)
        skip();
    build(&b, "pings", NULL);
    for (int from = SERVER; from < N_ROWS; from++)
        for (int to = SERVER; to < N_ROWS; to++) {
            if (from == to)
                continue;
            ping(&b, from, b.placed[to].address);
            ping(&b, from, b.placed[to].floating);
            if (has_v6())
                ping(&b, from, b.placed[to].address_v6);
        }
    for (int vm = SERVER; vm < N_ROWS; vm++) {
        ping(&b, vm, b.placed[EXTERNAL].address);
        ping(&b, EXTERNAL, b.placed[vm].floating);
        if (has_v6()) {
            ping(&b, vm, b.placed[EXTERNAL].address_v6);
            ping(&b, EXTERNAL, b.placed[vm].address_v6);
        }
    }
    ping(&b, NODE1, b.placed[NODE2].address);
    ping(&b, NODE2, b.placed[NODE1].address);
    if (has_v6())
        ping(&b, NODE1, b.placed[NODE2].address_v6);
    lab->close(b.state);
}

static void test_a_vm_is_reached_as_soon_as_it_is_made(void **test)
{
    struct resource late = {
        .kind = RESOURCE_VM, .name = "late", .node = "node2", .network = "net2"};
    struct placed placed;
    struct err err = {0};
    struct built b;

    (void)test;
    need_lab();
    build(&b, "late", NULL);
    for (int i = 0; i < 10; i++) {
        if (lab->create(b.state, &late, &placed, &err) < 0)
            fail_msg("%s", err.text);
        ping(&b, SERVER, placed.address);
        ping(&b, DIFF_INTRA, placed.floating);
        if (lab->destroy(b.state, &late, &err) < 0)
            fail_msg("%s", err.text);
    }
    lab->close(b.state);
}

static void test_nat_shows_the_addresses_that_openstack_would(void **test)
{
    char *const add[] = {
        (char *)"/usr/sbin/ip", (char *)"address", (char *)"add", (char *)"192.168.1.251/24",
        (char *)"dev",          (char *)"eth0",    NULL};
    char output[512];
    struct built b;

    (void)test;
    need_lab();
    build(&b, "nat", NULL);
    /* A VM with a floating address goes out as that address; one without as the router. */
    seen(&b, SERVER, b.placed[SERVER].address, EXTERNAL, b.placed[EXTERNAL].address,
         b.placed[SERVER].floating);
    assert_int_equal(run_in(&b, "server", add, output, sizeof output), 0);
    seen(&b, SERVER, "192.168.1.251", EXTERNAL, b.placed[EXTERNAL].address,
         b.placed[ROUTER].address);
    /* In from outside nothing but the destination changes. */
    seen(&b, EXTERNAL, b.placed[EXTERNAL].address, SERVER, b.placed[SERVER].floating,
         b.placed[EXTERNAL].address);
    /* Through a floating address from tenant to tenant: seen by the floating address of the sender. */
    seen(&b, DIFF_INTER, b.placed[DIFF_INTER].address, SERVER, b.placed[SERVER].floating,
         b.placed[DIFF_INTER].floating);
    seen(&b, DIFF_INTRA, b.placed[DIFF_INTRA].address, SERVER, b.placed[SERVER].floating,
         b.placed[DIFF_INTRA].floating);
    /* By fixed addresses the router only routes. */
    seen(&b, DIFF_INTER, b.placed[DIFF_INTER].address, SERVER, b.placed[SERVER].address,
         b.placed[DIFF_INTER].address);
    lab->close(b.state);
}

static void test_the_mtu_is_what_it_says(void **test)
{
    char *const big[] = {(char *)"ping", (char *)"-n",     (char *)"-c1", (char *)"-W5",
                         (char *)"-Mdo", (char *)"-s1422", NULL,          NULL};
    char *const over[] = {(char *)"ping", (char *)"-n",     (char *)"-c1", (char *)"-W1",
                          (char *)"-Mdo", (char *)"-s1423", NULL,          NULL};
    char output[2048], *argv[8];
    struct built b;

    (void)test;
    need_lab();
    build(&b, "mtu", NULL);
    assert_int_equal(b.placed[SERVER].mtu, 1450);
    assert_int_equal(b.placed[NODE1].mtu, 1500);
    memcpy(argv, big, sizeof argv);
    argv[6] = b.placed[SAME_INTER].address;
    assert_int_equal(run_in(&b, "server", argv, output, sizeof output), 0);
    memcpy(argv, over, sizeof argv);
    argv[6] = b.placed[SAME_INTER].address;
    assert_int_not_equal(run_in(&b, "server", argv, output, sizeof output), 0);
    lab->close(b.state);
}

static void test_a_program_inside_has_only_three_files(void **test)
{
    char *const files[] = {(char *)"/proc/self/exe", (char *)"files", NULL};
    char output[512];
    struct built b;

    (void)test;
    need_lab();
    build(&b, "files", NULL);
    assert_int_equal(run_in(&b, "server", files, output, sizeof output), 0);
    assert_string_equal(output, "0 1 2 ");
    lab->close(b.state);
}

static void test_mistakes_are_named(void **test)
{
    static const struct {
        struct resource resource;
        const char *says;
    } wrong[] = {
        {{.kind = RESOURCE_NODE, .name = "node3"}, "making node node3: the lab has 2 nodes"},
        {{.kind = RESOURCE_ROUTER, .name = "other"}, "the lab has one router"},
        {{.kind = RESOURCE_VM, .name = "server", .node = "node1", .network = "net1"},
         "making vm server: the lab has it"},
        {{.kind = RESOURCE_VM, .name = "v", .node = "node9", .network = "net1"}, "no node 'node9'"},
        {{.kind = RESOURCE_VM, .name = "v", .node = "node1", .network = "net9"},
         "no network 'net9'"},
    };
    char *const argv[] = {(char *)"/nowhere/agent", NULL};
    struct spawned s = {0};
    struct placed placed;
    struct err err;
    struct built b;

    (void)test;
    need_lab();
    build(&b, "mistakes", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        memset(&err, 0, sizeof err);
        assert_true(lab->create(b.state, &wrong[i].resource, &placed, &err) < 0);
        if (!strstr(err.text, wrong[i].says))
            fail_msg("%s", err.text);
        if (i != 2) /* half made ones are removed like whole ones */
            assert_int_equal(lab->destroy(b.state, &wrong[i].resource, &err), 0);
    }
    assert_int_equal(lab->spawn(b.state, "server", argv, &s, &err), -ENOENT);
    assert_string_equal(
        err.text,
        "starting an agent in server: starting /nowhere/agent: No such file or directory");
    assert_int_equal(lab->spawn(b.state, "nobody", argv, &s, &err), -ENOENT);
    assert_non_null(strstr(err.text, "the lab has no 'nobody'"));
    lab->close(b.state);
}

static void test_two_labs_do_not_see_each_other(void **test)
{
    struct built a, b;

    (void)test;
    need_lab();
    build(&a, "one", NULL);
    build(&b, "two", NULL);
    ping(&a, SERVER, a.placed[DIFF_INTER].floating);
    lab->close(a.state);
    ping(&b, SERVER, b.placed[DIFF_INTER].floating);
    lab->close(b.state);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_pair_pings_at_once),
    cmocka_unit_test(test_a_vm_is_reached_as_soon_as_it_is_made),
    cmocka_unit_test(test_nat_shows_the_addresses_that_openstack_would),
    cmocka_unit_test(test_the_mtu_is_what_it_says),
    cmocka_unit_test(test_a_program_inside_has_only_three_files),
    cmocka_unit_test(test_mistakes_are_named),
    cmocka_unit_test(test_two_labs_do_not_see_each_other),
    cmocka_unit_test(test_all_of_this_as_an_ordinary_user),
};

LAB_TEST_MAIN("lab")
