/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/process.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PROCESS_P_PIDFD = 3 }; /* P_PIDFD: <sys/wait.h> of older libcs does not have it */

int process_start(pid_t pid, uint64_t *ret_start)
{
    AUTO(close_p) int fd = -1;
    char path[64], text[1024], *p;
    unsigned long long start;
    char state;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    n = read(fd, text, sizeof text - 1);
    if (n < 0)
        return -errno;
    text[n] = 0;
    /* The name before it is in parentheses and may hold anything, parentheses too. */
    p = strrchr(text, ')');
    if (!p || sscanf(p + 1,
                     " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                     "%*s %llu",
                     &state, &start) != 2)
        return -EBADMSG;
    if (state == 'Z' || state == 'X')
        return -ESRCH;
    *ret_start = start;
    return 0;
}

int process_open(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    return fd < 0 ? -errno : fd;
}

int process_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int process_wait(int pidfd, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int n;

    do
        n = poll(&p, 1, clock_ms_until(deadline_ns));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n ? 0 : -ETIMEDOUT;
}

int process_reap(int pidfd, uint64_t deadline_ns)
{
    int r = process_wait(pidfd, deadline_ns);
    siginfo_t info;

    if (r < 0)
        return r;
    while (waitid((idtype_t)PROCESS_P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
        if (errno != EINTR)
            return errno == ECHILD ? 0 : -errno;
    return 0;
}

bool process_is_child(int pidfd)
{
    siginfo_t info;

    return waitid((idtype_t)PROCESS_P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* SIGKILL each process of the namespace; returns how many there were. */
static int process_kill_netns(const struct stat *ns)
{
    AUTO(closedir_p) DIR *dir = opendir("/proc");
    struct dirent *entry;
    int n = 0;

    if (!dir)
        return -errno;
    while ((entry = readdir(dir))) {
        AUTO(close_p) int pidfd = -1;
        char path[300];
        struct stat st;

        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        /* The pidfd first: what is looked at after it is then certainly what it stands for. */
        pidfd = process_open((pid_t)atol(entry->d_name));
        if (pidfd < 0)
            continue;
        snprintf(path, sizeof path, "/proc/%s/ns/net", entry->d_name);
        if (stat(path, &st) < 0 || st.st_ino != ns->st_ino || st.st_dev != ns->st_dev)
            continue;
        if (process_signal(pidfd, SIGKILL) == 0)
            n++;
    }
    return n;
}

int process_empty_netns(int netns_fd, uint64_t deadline_ns)
{
    struct stat ns;
    int n;

    if (fstat(netns_fd, &ns) < 0)
        return -errno;
    while ((n = process_kill_netns(&ns)) > 0) {
        if (clock_mono_ns() >= deadline_ns)
            return -ETIMEDOUT;
        clock_sleep_until(clock_mono_ns() + CLOCK_MS);
    }
    return n;
}
