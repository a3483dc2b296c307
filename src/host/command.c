/* SPDX-License-Identifier: Apache-2.0 */
#include "host/command.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int command_find(const char *name, char *ret, size_t size)
{
    static const char *const folders[] = {"/usr/bin",       "/usr/sbin",       "/bin",     "/sbin",
                                          "/usr/local/bin", "/usr/local/sbin", "/snap/bin"};

    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        int n = snprintf(ret, size, "%s/%s", folders[i], name);

        if (n > 0 && (size_t)n < size && access(ret, X_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

_Noreturn static void command_child(const char *path, const char *const argv[], int out_fd)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    setenv("LC_ALL", "C", 1);
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(null_fd, 2) < 0)
        _exit(127);
    execv(path, (char *const *)argv);
    _exit(127);
}

/* Everything until the pipe ends or the deadline. */
static int command_read(int fd, char *ret, size_t size, uint64_t deadline_ns)
{
    size_t used = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char rest[4096];
        bool room = used < size - 1;
        ssize_t n;
        int r = poll(&p, 1, clock_ms_until(deadline_ns));

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0) {
            ret[used] = 0;
            return r < 0 ? -errno : -ETIMEDOUT;
        }
        /* What is too much is read too, or the program would wait for us. */
        n = room ? read(fd, ret + used, size - 1 - used) : read(fd, rest, sizeof rest);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            ret[used] = 0;
            return n < 0 ? -errno : 0;
        }
        used += room ? (size_t)n : 0;
        /* A program that never ends its output is not waited for. */
        if (clock_mono_ns() >= deadline_ns) {
            ret[used] = 0;
            return -ETIMEDOUT;
        }
    }
}

/* It has closed its output; whoever lives on is killed at the deadline. */
static int command_end(pid_t pid, int r, uint64_t deadline_ns)
{
    int status = 0;
    pid_t ended = 0;

    while (r == 0 && (ended = waitpid(pid, &status, WNOHANG)) == 0 && clock_mono_ns() < deadline_ns)
        clock_sleep_until(clock_mono_ns() + CLOCK_MS);
    if (ended == 0) {
        r = r < 0 ? r : -ETIMEDOUT;
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    if (r < 0)
        return r;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int command_run(const char *const argv[], char *ret, size_t size, uint64_t deadline_ns)
{
    char path[256];
    int pair[2], r = command_find(argv[0], path, sizeof path);
    pid_t pid;

    if (r < 0)
        return r;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        command_child(path, argv, pair[1]);
    close(pair[1]);
    if (pid < 0) {
        r = -errno;
        close(pair[0]);
        return r;
    }
    setpgid(pid, pid);
    r = command_read(pair[0], ret, size, deadline_ns);
    close(pair[0]);
    return command_end(pid, r, deadline_ns);
}
