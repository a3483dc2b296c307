/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/clock.h"
#include "deploy/driver.h"
#include "deploy/process.h"
#include "deploy/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* All that a program writes, after `input` was written to it and its stdin was closed. */
static int talk(struct spawned *s, const char *input, char *output, size_t size)
{
    size_t used = 0;
    ssize_t n;
    int status = 0;

    assert_int_equal(write(s->in_fd, input, strlen(input)), (ssize_t)strlen(input));
    close(s->in_fd);
    while ((n = read(s->out_fd, output + used, size - 1 - used)) > 0)
        used += (size_t)n;
    output[used] = 0;
    close(s->out_fd);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    *s = (struct spawned){0};
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_a_program_answers_over_its_pipes(void **state)
{
    char *const argv[] = {(char *)"cat", NULL};
    struct spawned s = {0};
    char output[64];

    (void)state;
    assert_int_equal(spawn_local(argv, &s, NULL), 0);
    assert_int_equal(talk(&s, "one\ntwo\n", output, sizeof output), 0);
    assert_string_equal(output, "one\ntwo\n");
}

static void test_no_such_program_is_said_at_once(void **state)
{
    char *const argv[] = {(char *)"/nowhere/agent", NULL};
    char *const not_program[] = {(char *)"/etc", NULL};
    struct spawned s = {.in_fd = 77, .out_fd = 78, .pid = 0};
    struct err err = {0};

    (void)state;
    assert_int_equal(spawn_local(argv, &s, &err), -ENOENT);
    assert_string_equal(err.text, "starting /nowhere/agent: No such file or directory");
    assert_int_equal(spawn_local(not_program, &s, &err), -EACCES);
    assert_int_equal(s.in_fd, 77);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void test_a_command_gets_the_words_quoted(void **state)
{
    char *const argv[] = {(char *)"a b", (char *)"$HOME", (char *)"'\"", NULL};
    struct spawned s = {0};
    struct err err = {0};
    char output[128];

    (void)state;
    assert_int_equal(spawn_command("printf '<%s>'", argv, &s, &err), 0);
    assert_int_equal(talk(&s, "", output, sizeof output), 0);
    assert_string_equal(output, "<a b><$HOME><'\">");
    assert_int_equal(spawn_command("cat; exit 3; #", argv, &s, &err), 0);
    assert_int_equal(talk(&s, "x", output, sizeof output), 3);
    assert_string_equal(output, "x");
    assert_int_equal(spawn_command(" ", argv, &s, &err), -EINVAL);
}

static void test_a_namespace_that_is_not_there_is_named(void **state)
{
    char *const argv[] = {(char *)"true", NULL};
    struct spawned s = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(spawn_netns("vnperf-no-such", argv, &s, &err), -ENOENT);
    assert_non_null(strstr(err.text, "network namespace vnperf-no-such"));
    assert_int_equal(spawn_netns("../x", argv, &s, &err), -EINVAL);
    assert_int_equal(spawn_netns("", argv, &s, &err), -EINVAL);
}

static void test_the_program_has_a_clean_start(void **state)
{
    char *const argv[] = {
        (char *)"sh", (char *)"-c",
        (char *)"ls /proc/self/fd | tr '\\n' ' '; ps -o sid= -p $$ | tr -d ' '; echo $$; "
                "grep -E 'Sig(Blk|Ign)' /proc/self/status",
        NULL};
    unsigned long long blocked = 1, ignored = 1;
    int sid = 0, pid = 1;
    struct spawned s = {0};
    char output[512];
    sigset_t set, was;

    (void)state;
    /* 3 is what ls lists it by. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &was);
    assert_int_equal(spawn_local(argv, &s, NULL), 0);
    sigprocmask(SIG_SETMASK, &was, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    talk(&s, "", output, sizeof output);
    assert_int_equal(strncmp(output, "0 1 2 3 ", 8), 0);
    assert_int_equal(
        sscanf(output + 8, "%d %d SigBlk: %llx SigIgn: %llx", &sid, &pid, &blocked, &ignored), 4);
    assert_int_equal(sid, pid);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored, 0);
}

static void test_ending_closes_then_kills_and_reaps(void **state)
{
    char *const polite[] = {(char *)"cat", NULL};
    char *const deaf[] = {(char *)"sh", (char *)"-c", (char *)"sleep 1000 & echo $!; sleep 1000",
                          NULL};
    struct spawned s = {0};
    int child, pidfd;
    char line[32] = "";

    (void)state;
    spawned_end(NULL, 0);
    spawned_end(&s, 0);
    assert_int_equal(spawn_local(polite, &s, NULL), 0);
    spawned_end(&s, (uint64_t)10 * CLOCK_S);
    assert_int_equal(s.pid, 0);
    spawned_end(&s, 0);

    assert_int_equal(spawn_local(deaf, &s, NULL), 0);
    assert_true(read(s.out_fd, line, sizeof line - 1) > 0);
    child = atoi(line);
    pidfd = process_open(child);
    assert_true(pidfd >= 0);
    spawned_end(&s, (uint64_t)10 * CLOCK_MS);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    /* Its own children have gone with it. */
    assert_int_equal(process_wait(pidfd, clock_mono_ns() + (uint64_t)20 * CLOCK_S), 0);
    close(pidfd);
}

static void test_a_program_does_not_outlive_us(void **state)
{
    int fd[2], pidfd;
    pid_t pid, inner = 0;
    char c;

    (void)state;
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        char *const argv[] = {(char *)"sleep", (char *)"1000", NULL};
        struct spawned s = {0};

        if (spawn_local(argv, &s, NULL) < 0 || write(fd[1], &s.pid, sizeof s.pid) != sizeof s.pid)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(fd[0], &inner, sizeof inner), sizeof inner);
    pidfd = process_open(inner);
    assert_true(pidfd >= 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(process_wait(pidfd, clock_mono_ns() + (uint64_t)20 * CLOCK_S), 0);
    close(pidfd);
    close(fd[1]);
    assert_int_equal(read(fd[0], &c, 1), 0);
    close(fd[0]);
}

static void test_a_command_is_run_to_its_end(void **state)
{
    char *const cat[] = {(char *)"cat", NULL};
    char *const bad[] = {(char *)"sh", (char *)"-c", (char *)"echo out; echo err >&2; exit 7",
                         NULL};
    char *const never[] = {(char *)"sleep", (char *)"1000", NULL};
    char *const killed[] = {(char *)"sh", (char *)"-c", (char *)"kill -9 $$", NULL};
    struct spawn_request q = {.argv = cat};
    struct err err = {0};
    uint64_t late = clock_mono_ns() + (uint64_t)60 * CLOCK_S;
    char output[8], long_output[64];

    (void)state;
    assert_int_equal(spawn_run(&q, "hello, world", output, sizeof output, late, &err), 0);
    assert_string_equal(output, "hello, ");
    q.argv = bad;
    assert_int_equal(spawn_run(&q, "", long_output, sizeof long_output, late, &err), 7);
    assert_string_equal(long_output, "out\nerr\n");
    q.argv = killed;
    assert_int_equal(spawn_run(&q, "", output, sizeof output, late, &err), 128 + SIGKILL);
    q.argv = never;
    assert_int_equal(
        spawn_run(&q, "", output, sizeof output, clock_mono_ns() + (uint64_t)20 * CLOCK_MS, &err),
        -ETIMEDOUT);
    assert_non_null(strstr(err.text, "sleep did not end"));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_tools_of_administrators_are_found(void **state)
{
    char path[128];
    const char *path_was = getenv("PATH");
    char *was = strdup(path_was ? path_was : "/usr/bin:/bin");

    (void)state;
    setenv("PATH", "/nowhere:relative", 1);
    assert_int_equal(spawn_find("sh", path, sizeof path), 0);
    assert_int_equal(path[0], '/');
    assert_int_equal(spawn_find("vnperf-no-such-program", path, sizeof path), -ENOENT);
    setenv("PATH", was, 1);
    free(was);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program_answers_over_its_pipes),
        cmocka_unit_test(test_no_such_program_is_said_at_once),
        cmocka_unit_test(test_a_command_gets_the_words_quoted),
        cmocka_unit_test(test_a_namespace_that_is_not_there_is_named),
        cmocka_unit_test(test_the_program_has_a_clean_start),
        cmocka_unit_test(test_ending_closes_then_kills_and_reaps),
        cmocka_unit_test(test_a_program_does_not_outlive_us),
        cmocka_unit_test(test_a_command_is_run_to_its_end),
        cmocka_unit_test(test_tools_of_administrators_are_found),
    };

    return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
