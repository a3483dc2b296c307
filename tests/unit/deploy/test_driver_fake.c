/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "deploy/driver_fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct resource node = {.kind = RESOURCE_NODE, .name = "node1"};
static const struct resource vm = {
    .kind = RESOURCE_VM, .name = "server", .node = "node1", .network = "net1"};

static void test_drivers_are_found_by_name_and_test_drivers_are_not_listed(void **test)
{
    (void)test;
    assert_ptr_equal(driver_find("lab"), &driver_lab);
    assert_ptr_equal(driver_find("fake"), &driver_fake);
    assert_null(driver_find("la"));
    assert_ptr_equal(driver_at(0), &driver_lab);
    for (unsigned i = 0; driver_at(i); i++)
        assert_string_not_equal(driver_at(i)->name, "fake");
}

static void test_calls_are_logged_in_order(void **test)
{
    const struct driver *d = driver_find("fake");
    char *const argv[] = {(char *)"cat", NULL};
    struct driver_state *state = NULL;
    struct spawned s = {0};
    struct placed placed;
    char text[64], c = 0;

    (void)test;
    driver_fake_reset();
    assert_int_equal(d->probe(NULL), 0);
    assert_int_equal(d->open("r1", NULL, &state, NULL), 0);
    assert_int_equal(d->create(state, &node, &placed, NULL), 0);
    assert_string_equal(placed.floating, "");
    assert_int_equal(d->create(state, &vm, &placed, NULL), 0);
    assert_string_equal(placed.address, "127.0.0.1");
    assert_string_equal(placed.floating, "127.0.0.1");
    assert_int_equal(d->create(state, &vm, &placed, NULL), -EEXIST);
    assert_int_equal(d->spawn(state, "server", argv, &s, NULL), 0);
    assert_int_equal(write(s.in_fd, "x", 1), 1);
    assert_int_equal(read(s.out_fd, &c, 1), 1);
    assert_int_equal(c, 'x');
    spawned_end(&s, (uint64_t)10 * CLOCK_S);
    assert_int_equal(d->describe(state, &vm, text, sizeof text), 0);
    assert_string_equal(text, "vm:server");
    assert_int_equal(driver_fake_n_left(), 2);
    assert_int_equal(d->destroy(state, &vm, NULL), 0);
    assert_int_equal(d->destroy(state, &vm, NULL), 0);
    d->close(state);
    assert_int_equal(driver_fake_n_left(), 1);
    assert_int_equal(d->clean("node:node1", NULL), 1);
    assert_int_equal(d->clean("node:node1", NULL), 0);
    assert_int_equal(d->clean("rubbish", NULL), -EINVAL);
    assert_int_equal(driver_fake_n_left(), 0);
    assert_string_equal(driver_fake_log(), "probe\n"
                                           "open r1\n"
                                           "create node:node1\n"
                                           "create vm:server\n"
                                           "create vm:server failed\n"
                                           "spawn server\n"
                                           "destroy vm:server\n"
                                           "destroy vm:server\n"
                                           "close\n"
                                           "clean node:node1\n"
                                           "clean node:node1\n"
                                           "clean rubbish failed\n");
    assert_int_equal(driver_fake_n_steps(), 12);
    assert_int_equal(driver_fake_n_spawned(), 1);
}

static void test_faults_come_where_they_are_asked_for(void **test)
{
    const struct driver *d = &driver_fake;
    char *const argv[] = {(char *)"sleep", (char *)"1000", NULL};
    struct driver_state *state = NULL;
    struct spawned s = {0};
    struct placed placed;
    struct err err = {0};
    int status = 0;

    (void)test;
    driver_fake_reset();
    assert_int_equal(driver_fake_fault("fail create vm:server"), 0);
    assert_int_equal(driver_fake_fault("fail destroy"), 0);
    assert_int_equal(driver_fake_fault("fail step 2"), 0);
    assert_int_equal(driver_fake_fault("die spawn server"), 0);
    assert_int_equal(driver_fake_fault("fail step 0"), -EINVAL);
    assert_int_equal(driver_fake_fault("fail "), -EINVAL);
    assert_int_equal(driver_fake_fault("die"), -EINVAL);

    assert_int_equal(d->open("r", NULL, &state, &err), 0);
    assert_int_equal(d->create(state, &node, &placed, &err), -EIO); /* step 2 */
    assert_non_null(strstr(
        err.text, "making node node1: the fake cloud was told to fail at 'create node:node1'"));
    assert_int_equal(d->create(state, &vm, &placed, &err), -EIO);
    assert_int_equal(driver_fake_n_left(), 2); /* half made */
    assert_int_equal(d->destroy(state, &vm, &err), -EIO);
    assert_int_equal(driver_fake_n_left(), 2);
    assert_int_equal(d->spawn(state, "server", argv, &s, &err), 0);
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    assert_true(WIFSIGNALED(status));
    s.pid = 0;
    spawned_end(&s, 0);
    d->close(state);
    driver_fake_reset();
    assert_int_equal(driver_fake_fault("fail open"), 0);
    assert_int_equal(d->open("r", NULL, &state, &err), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drivers_are_found_by_name_and_test_drivers_are_not_listed),
        cmocka_unit_test(test_calls_are_logged_in_order),
        cmocka_unit_test(test_faults_come_where_they_are_asked_for),
    };

    return cmocka_run_group_tests_name("driver_fake", tests, NULL, NULL);
}
