/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lab for real: as root, and once more as an ordinary user. Steps aside where namespaces are not allowed.
 *
 * This program is also what is started inside: `test_deploy_lab hear PORT` and `… say ADDRESS PORT`.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "deploy/driver.h"
#include "deploy/process.h"
#include "deploy/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { WAIT_S = 20, N_ROWS = 11, NOBODY = 65534 };

static const struct driver *const lab = &driver_lab;
static bool lab_allowed;

/* Two VMs on each node, and one more client, as a run has them. */
static const struct resource rows[N_ROWS] = {
    {.kind = RESOURCE_NODE, .name = "node1"},
    {.kind = RESOURCE_NODE, .name = "node2"},
    {.kind = RESOURCE_NETWORK, .name = "net1"},
    {.kind = RESOURCE_NETWORK, .name = "net2"},
    {.kind = RESOURCE_ROUTER, .name = "router", .node = "node1"},
    {.kind = RESOURCE_EXTERNAL, .name = "external"},
    {.kind = RESOURCE_VM, .name = "server", .node = "node1", .network = "net1"},
    {.kind = RESOURCE_VM, .name = "client-same-intra", .node = "node1", .network = "net1"},
    {.kind = RESOURCE_VM, .name = "client-same-inter", .node = "node2", .network = "net1"},
    {.kind = RESOURCE_VM, .name = "client-diff-intra", .node = "node1", .network = "net2"},
    {.kind = RESOURCE_VM, .name = "client-diff-inter", .node = "node2", .network = "net2"},
};

enum {
    NODE1 = 0,
    NODE2 = 1,
    ROUTER = 4,
    EXTERNAL = 5,
    SERVER = 6,
    SAME_INTRA,
    SAME_INTER,
    DIFF_INTRA,
    DIFF_INTER
};

struct built {
    struct driver_state *state;
    struct placed placed[N_ROWS];
};

static void need_lab(void)
{
    if (!lab_allowed)
        skip();
}

static void build(struct built *b, const char *run_id, const char *ledger)
{
    struct err err = {0};

    memset(b, 0, sizeof *b);
    if (lab->open(run_id, ledger, &b->state, &err) < 0)
        fail_msg("%s", err.text);
    for (int i = 0; i < N_ROWS; i++)
        if (lab->create(b->state, &rows[i], &b->placed[i], &err) < 0)
            fail_msg("%s", err.text);
}

static uint64_t deadline(void) { return clock_mono_ns() + (uint64_t)WAIT_S * CLOCK_S; }

/* Run a program in a place to its end; returns its exit code, output what it wrote to stdout. */
static int run_in(struct built *b, const char *name, char *const argv[], char *output, size_t size)
{
    struct spawned s = {0};
    struct err err = {0};
    size_t used = 0;
    ssize_t n;
    int status = -1;

    if (lab->spawn(b->state, name, argv, &s, &err) < 0)
        fail_msg("%s", err.text);
    while ((n = read(s.out_fd, output + used, size - 1 - used)) > 0)
        used += (size_t)n;
    output[used] = 0;
    assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
    close(s.in_fd);
    close(s.out_fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void ping(struct built *b, int from, const char *address)
{
    char *const argv[] = {(char *)"ping", (char *)"-n",    (char *)"-c1",
                          (char *)"-W5",  (char *)address, NULL};
    char output[2048];

    if (run_in(b, rows[from].name, argv, output, sizeof output) != 0)
        fail_msg("%s does not reach %s: %s", rows[from].name, address, output);
}

static bool has_v6(void) { return access("/proc/sys/net/ipv6", F_OK) == 0; }

/* Does anything still run in this network namespace? */
static void wait_empty(ino_t netns)
{
    uint64_t end_ns = deadline();
    bool found;

    do {
        AUTO(closedir_p) DIR *dir = opendir("/proc");
        struct dirent *entry;

        found = false;
        while ((entry = readdir(dir))) {
            char path[300];
            struct stat st;

            snprintf(path, sizeof path, "/proc/%s/ns/net", entry->d_name);
            found =
                found || (atoi(entry->d_name) > 0 && stat(path, &st) == 0 && st.st_ino == netns);
        }
        assert_true(clock_mono_ns() < end_ns);
    } while (found);
}

static ino_t netns_of(pid_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

/* A program that would stay for ever. It prints its pid as it sees it, when it runs. */
static struct spawned stay(struct built *b, const char *name)
{
    char *const argv[] = {(char *)"/proc/self/exe", (char *)"stay", NULL};
    struct spawned s = {0};
    struct err err = {0};
    char c;

    if (lab->spawn(b->state, name, argv, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(read(s.out_fd, &c, 1), 1);
    return s;
}

static void keeper_of(struct built *b, char text[128], pid_t *pid)
{
    assert_int_equal(lab->describe(b->state, &rows[0], text, 128), 0);
    assert_int_equal(sscanf(text, "keeper pid=%d start=", pid), 1);
}

/* ---- what is started inside ---- */

static int inside_hear(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))}, from;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof from;
    char text[64], byte;

    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &len) < 0)
        return 1;
    puts(inet_ntop(AF_INET, &from.sin_addr, text, sizeof text));
    return 0;
}

static int inside_say(const char *source, const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))},
                       own = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        inet_pton(AF_INET, source, &own.sin_addr) != 1)
        return 1;
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        return 2;
    return sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1 ? 0 : 3;
}

static int inside(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "hear") == 0)
        return inside_hear(argv[2]);
    if (argc == 5 && strcmp(argv[1], "say") == 0)
        return inside_say(argv[2], argv[3], argv[4]);
    if (strcmp(argv[1], "stay") == 0) {
        /* The pipe's end does not end it: only a kill does. */
        if (write(STDOUT_FILENO, "s", 1) != 1)
            return 1;
        for (;;)
            pause();
    }
    if (strcmp(argv[1], "files") == 0) {
        for (int fd = 0; fd < 1024; fd++)
            if (fcntl(fd, F_GETFD) >= 0)
                printf("%d ", fd);
        return 0;
    }
    return 2;
}

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

/* ---- tests ---- */

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
        if (lab->open("killed", ledger, &state, NULL) < 0)
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

        strcpy(ledger + sizeof ledger - 7, "XXXXXX");
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
        assert_int_equal(lab->open("orderly", ledger, &state, NULL), 0);
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

/* The program again, without root: its own output goes to stderr, as stdout is TAP. */
static void test_all_of_this_as_an_ordinary_user(void **test)
{
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char *const argv[] = {(char *)"test_deploy_lab", NULL};
    int status = 0;
    pid_t pid;

    (void)test;
    if (geteuid() != 0 || getenv("VNPERF_TEST_USER"))
        skip();
    pid = fork();
    if (pid == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        setenv("VNPERF_TEST_USER", "1", 1);
        if (chdir("/") < 0 || setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0)
            _exit(99);
        fexecve(self, argv, environ);
        _exit(98);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(self);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 99)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_pings_at_once),
        cmocka_unit_test(test_a_vm_is_reached_as_soon_as_it_is_made),
        cmocka_unit_test(test_nat_shows_the_addresses_that_openstack_would),
        cmocka_unit_test(test_the_mtu_is_what_it_says),
        cmocka_unit_test(test_a_program_inside_has_only_three_files),
        cmocka_unit_test(test_destroying_a_vm_ends_what_runs_in_it),
        cmocka_unit_test(test_close_leaves_nothing_even_with_programs_running),
        cmocka_unit_test(test_a_killed_keeper_takes_all_with_it_and_is_named),
        cmocka_unit_test(test_a_killed_controller_leaves_nothing),
        cmocka_unit_test(test_an_orderly_end_keeps_the_ledger_for_who_wrote_it),
        cmocka_unit_test(test_clean_ends_a_keeper_and_no_other_process),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_two_labs_do_not_see_each_other),
        cmocka_unit_test(test_all_of_this_as_an_ordinary_user),
    };
    struct err err = {0};

    if (argc > 1)
        return inside(argc, argv);
    lab_allowed = lab->probe(&err) == 0;
    if (!lab_allowed)
        fprintf(stderr, "# skipped: %s\n", err.text);
    return cmocka_run_group_tests_name(
        getenv("VNPERF_TEST_USER") ? "lab of an ordinary user" : "lab", tests, NULL, NULL);
}
