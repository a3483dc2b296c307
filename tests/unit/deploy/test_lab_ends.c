/* SPDX-License-Identifier: Apache-2.0 */
#include "lab_fixture.h"

static void test_destroying_a_vm_ends_what_runs_in_it(void **test)
{
    struct err err = {0};
    struct spawned s;
    struct built b;
    ino_t netns;

    (void)test;
    need_lab();
    build(&b, "destroy", NULL);
    s = stay(&b, "server");
    netns = netns_of(s.pid);
    assert_int_equal(lab->destroy(b.state, &rows[SERVER], &err), 0);
    wait_empty(netns);
    /* Twice, and of one that never was: nothing to do. */
    assert_int_equal(lab->destroy(b.state, &rows[SERVER], &err), 0);
    spawned_end(&s, 0);
    for (int i = N_ROWS - 1; i >= 0; i--)
        if (lab->destroy(b.state, &rows[i], &err) < 0)
            fail_msg("%s", err.text);
    /* All of it can be made once more. */
    for (int i = 0; i < N_ROWS; i++)
        if (lab->create(b.state, &rows[i], &b.placed[i], &err) < 0)
            fail_msg("%s", err.text);
    ping(&b, DIFF_INTER, b.placed[SERVER].floating);
    lab->close(b.state);
}

static void test_close_leaves_nothing_even_with_programs_running(void **test)
{
    struct spawned s[3];
    struct built b;
    char text[128];
    ino_t netns[3];
    pid_t keeper;

    (void)test;
    need_lab();
    build(&b, "close", NULL);
    keeper_of(&b, text, &keeper);
    s[0] = stay(&b, "server");
    s[1] = stay(&b, "node2");
    s[2] = stay(&b, "external");
    for (int i = 0; i < 3; i++)
        netns[i] = netns_of(s[i].pid);
    lab->close(b.state);
    assert_int_equal(kill(keeper, 0), -1);
    for (int i = 0; i < 3; i++) {
        wait_empty(netns[i]);
        spawned_end(&s[i], 0);
    }
}

static void test_a_killed_keeper_takes_all_with_it_and_is_named(void **test)
{
    struct placed placed;
    struct err err = {0};
    struct spawned s;
    struct built b;
    char text[128], expected[64];
    pid_t keeper;
    ino_t netns;
    int status;

    (void)test;
    need_lab();
    build(&b, "keeper", NULL);
    keeper_of(&b, text, &keeper);
    s = stay(&b, "client-diff-inter");
    netns = netns_of(s.pid);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    assert_true(WIFSIGNALED(status));
    s.pid = 0;
    wait_empty(netns);
    snprintf(expected, sizeof expected, "the lab's keeper (pid %d) has ended", (int)keeper);
    assert_int_equal(
        lab->create(b.state,
                    &(struct resource){
                        .kind = RESOURCE_VM, .name = "x", .node = "node1", .network = "net1"},
                    &placed, &err),
        -ESRCH);
    if (!strstr(err.text, expected))
        fail_msg("%s", err.text);
    assert_int_equal(lab->spawn(b.state, "server", (char *[]){(char *)"true", NULL}, &s, &err),
                     -ESRCH);
    if (!strstr(err.text, expected))
        fail_msg("%s", err.text);
    spawned_end(&s, 0);
    for (int i = N_ROWS - 1; i >= 0; i--)
        assert_int_equal(lab->destroy(b.state, &rows[i], &err), 0);
    lab->close(b.state);
}

/* A controller in a process of its own: it writes the pids of its keeper and of an agent, and stays. */
static pid_t controller_start(const char *ledger, pid_t pids[2])
{
    int fd[2];
    pid_t pid;

    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        struct driver_state *state = NULL;
        struct spawned s = {0};
        char *const argv[] = {(char *)"/proc/self/exe", (char *)"stay", NULL};
        struct placed placed;
        char text[128], c;

        close(fd[0]);
        if (lab->open("killed", &(const struct driver_setup){.ledger_path = ledger}, &state, NULL) <
            0)
            _exit(1);
        for (int i = 0; i < N_ROWS; i++)
            if (lab->create(state, &rows[i], &placed, NULL) < 0)
                _exit(1);
        if (lab->spawn(state, "server", argv, &s, NULL) < 0 || read(s.out_fd, &c, 1) != 1)
            _exit(1);
        lab->describe(state, &rows[0], text, sizeof text);
        if (sscanf(text, "keeper pid=%d", &pids[0]) != 1)
            _exit(1);
        pids[1] = s.pid;
        if (write(fd[1], pids, 2 * sizeof *pids) != 2 * sizeof *pids)
            _exit(1);
        for (;;)
            pause();
    }
    close(fd[1]);
    assert_int_equal(read(fd[0], pids, 2 * sizeof *pids), 2 * sizeof *pids);
    close(fd[0]);
    return pid;
}

static void test_a_killed_controller_leaves_nothing(void **test)
{
    static const int signals[] = {SIGKILL, SIGTERM, SIGHUP, SIGINT};
    char ledger[] = "/tmp/vnperf-test-XXXXXX";
    int fd;

    (void)test;
    need_lab();
    /* Who adopts orphans here may be slow to reap them: be it ourselves. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        pid_t pids[2], controller;
        int keeper, agent;
        ino_t netns;

        memset(ledger + sizeof ledger - 7, 'X', 6);
        fd = mkstemp(ledger);
        assert_true(fd >= 0);
        close(fd);
        controller = controller_start(ledger, pids);
        keeper = process_open(pids[0]);
        agent = process_open(pids[1]);
        assert_true(keeper >= 0 && agent >= 0);
        netns = netns_of(pids[1]);
        kill(controller, signals[i]);
        assert_int_equal(waitpid(controller, NULL, 0), controller);
        assert_int_equal(process_reap(agent, deadline()), 0);
        assert_int_equal(process_reap(keeper, deadline()), 0);
        close(keeper);
        close(agent);
        wait_empty(netns);
        assert_int_equal(access(ledger, F_OK), -1);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void test_an_orderly_end_keeps_the_ledger_for_who_wrote_it(void **test)
{
    char ledger[] = "/tmp/vnperf-test-XXXXXX";
    struct driver_state *state = NULL;
    int fd = mkstemp(ledger);

    (void)test;
    assert_true(fd >= 0);
    close(fd);
    if (lab_allowed) {
        assert_int_equal(
            lab->open("orderly", &(const struct driver_setup){.ledger_path = ledger}, &state, NULL),
            0);
        lab->close(state);
    }
    assert_int_equal(unlink(ledger), 0);
    need_lab();
}

static void test_clean_ends_a_keeper_and_no_other_process(void **test)
{
    struct err err = {0};
    char text[128], wrong[160];
    struct driver_state *state = NULL;
    unsigned long long start;
    pid_t pid;

    (void)test;
    assert_int_equal(lab->clean("vm server", &err), 0);
    assert_int_equal(lab->clean("keeper pid=2147483647 start=1", &err), 0);
    assert_int_equal(lab->clean("keeper pid=0 start=1", &err), -EINVAL);
    assert_int_equal(lab->clean("keeper pid=12 start=1 ", &err), -EINVAL);
    assert_int_equal(lab->clean("keeper pid=-1 start=1", &err), -EINVAL);
    assert_int_equal(lab->clean("vm", &err), -EINVAL);
    assert_int_equal(lab->clean("", &err), -EINVAL);
    need_lab();
    assert_int_equal(lab->open("clean", NULL, &state, &err), 0);
    assert_int_equal(lab->describe(state, &rows[0], text, sizeof text), 0);
    assert_int_equal(sscanf(text, "keeper pid=%d start=%llu", &pid, &start), 2);
    snprintf(wrong, sizeof wrong, "keeper pid=%d start=%llu", pid, start + 1);
    assert_int_equal(lab->clean(wrong, &err), 0);
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(lab->clean(text, &err), 1);
    lab->close(state);
    assert_int_equal(lab->clean(text, &err), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_destroying_a_vm_ends_what_runs_in_it),
    cmocka_unit_test(test_close_leaves_nothing_even_with_programs_running),
    cmocka_unit_test(test_a_killed_keeper_takes_all_with_it_and_is_named),
    cmocka_unit_test(test_a_killed_controller_leaves_nothing),
    cmocka_unit_test(test_an_orderly_end_keeps_the_ledger_for_who_wrote_it),
    cmocka_unit_test(test_clean_ends_a_keeper_and_no_other_process),
    cmocka_unit_test(test_all_of_this_as_an_ordinary_user),
};

LAB_TEST_MAIN("lab_ends")
