/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The lab for real, for test_lab.c and test_lab_ends.c: as root, and once more as an ordinary user. Steps aside where
 * namespaces are not allowed.
 *
 * The test program is also what is started inside: it then has arguments, see inside().
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

static inline void need_lab(void)
{
    if (!lab_allowed)
        skip();
}

static inline void build(struct built *b, const char *run_id, const char *ledger)
{
    struct err err = {0};

    memset(b, 0, sizeof *b);
    if (lab->open(run_id, &(const struct driver_setup){.ledger_path = ledger}, &b->state, &err) < 0)
        fail_msg("%s", err.text);
    for (int i = 0; i < N_ROWS; i++)
        if (lab->create(b->state, &rows[i], &b->placed[i], &err) < 0)
            fail_msg("%s", err.text);
}

static inline uint64_t deadline(void) { return clock_mono_ns() + (uint64_t)WAIT_S * CLOCK_S; }

/* Run a program in a place to its end; returns its exit code, output what it wrote to stdout. */
static inline int run_in(struct built *b, const char *name, char *const argv[], char *output,
                         size_t size)
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

static inline void ping(struct built *b, int from, const char *address)
{
    char *const argv[] = {(char *)"ping", (char *)"-n",    (char *)"-c1",
                          (char *)"-W5",  (char *)address, NULL};
    char output[2048];

    if (run_in(b, rows[from].name, argv, output, sizeof output) != 0)
        fail_msg("%s does not reach %s: %s", rows[from].name, address, output);
}

static inline bool has_v6(void) { return access("/proc/sys/net/ipv6", F_OK) == 0; }

/* Does anything still run in this network namespace? */
static inline void wait_empty(ino_t netns)
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

static inline ino_t netns_of(pid_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

/* A program that would stay for ever. It prints its pid as it sees it, when it runs. */
static inline struct spawned stay(struct built *b, const char *name)
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

static inline void keeper_of(struct built *b, char text[128], pid_t *pid)
{
    assert_int_equal(lab->describe(b->state, &rows[0], text, 128), 0);
    assert_int_equal(sscanf(text, "keeper pid=%d start=", pid), 1);
}

/* ---- what is started inside ---- */

static inline int inside_hear(const char *port)
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

static inline int inside_say(const char *source, const char *address, const char *port)
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

static inline int inside(int argc, char **argv)
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

/* The program again, without root: its own output goes to stderr, as stdout is TAP. */
static inline void test_all_of_this_as_an_ordinary_user(void **test)
{
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char *const argv[] = {(char *)"again", NULL};
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

#define LAB_TEST_MAIN(name)                                                                        \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        struct err err = {0};                                                                      \
                                                                                                   \
        if (argc > 1)                                                                              \
            return inside(argc, argv);                                                             \
        lab_allowed = lab->probe(&err) == 0;                                                       \
        if (!lab_allowed)                                                                          \
            fprintf(stderr, "# skipped: %s\n", err.text);                                          \
        return cmocka_run_group_tests_name(name, tests, NULL, NULL);                               \
    }
