/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/spawn.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "deploy/process.h"
#include "deploy/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    SPAWN_START_MS = 10000, /* from fork to exec; an exec may wait for a slow disk */
    SPAWN_FD_SAFE = 10,     /* above all descriptors that a program is given */
};

/* What the new process says before it becomes the program; its silence (the end of the pipe) is success. */
enum spawn_stage {
    SPAWN_PID,
    SPAWN_LAB,
    SPAWN_NETNS,
    SPAWN_FORK,
    SPAWN_FILES,
    SPAWN_PREPARE,
    SPAWN_EXEC
};

struct spawn_note {
    int32_t stage;
    int32_t value; /* SPAWN_PID: the pid of the program; else an errno */
    char detail[SPAWN_DETAIL_SIZE];
};

struct spawn_pipes {
    int in[2], out[2], note[2]; /* [0] to read from, [1] to write to; owned; -1 none */
};

static void spawn_pipes_done(struct spawn_pipes *p)
{
    for (int i = 0; i < 2; i++) {
        close_p(&p->in[i]);
        close_p(&p->out[i]);
        close_p(&p->note[i]);
    }
}

/* A pipe that is never 0, 1 or 2, which a caller may have closed and which mean something to a child. */
static int spawn_pipe(int fd[2])
{
    int pair[2];
    int r = 0;

    if (pipe2(pair, O_CLOEXEC) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fd[i] = pair[i];
        if (pair[i] <= STDERR_FILENO) {
            fd[i] = fcntl(pair[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
            r = fd[i] < 0 ? -errno : r;
            close(pair[i]);
        }
    }
    return r;
}

_Noreturn static void spawn_fail(int note_fd, enum spawn_stage stage, int code, const char *detail)
{
    struct spawn_note note = {.stage = stage, .value = code < 0 ? -code : code};
    ssize_t n;

    if (detail)
        text_copy(note.detail, sizeof note.detail, detail);
    n = write(note_fd, &note, sizeof note);
    _exit(n == sizeof note ? 127 : 126);
}

/*
 * Into the keeper's namespaces. A PID namespace is entered by a child only, and the caller wants to wait for it: so this
 * process forks a sibling of itself (CLONE_PARENT), says its pid as the caller knows it, and ends. Returns in the sibling.
 */
static void spawn_enter_keeper(const struct spawn_request *q, int note_fd)
{
    struct spawn_note note = {.stage = SPAWN_PID};
    long pid;

    if (setns(q->keeper_pidfd, CLONE_NEWPID | (q->enter_user ? CLONE_NEWUSER : 0)) < 0)
        spawn_fail(note_fd, SPAWN_LAB, errno, NULL);
    pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (pid < 0)
        /* ENOMEM is how the kernel says that the namespace's first process has ended. */
        spawn_fail(note_fd, errno == ENOMEM ? SPAWN_LAB : SPAWN_FORK,
                   errno == ENOMEM ? ESRCH : errno, NULL);
    if (pid > 0) {
        note.value = (int32_t)pid;
        _exit(write(note_fd, &note, sizeof note) == sizeof note ? 0 : 126);
    }
}

/*
 * Best effort: with the /sys of before, /sys/class/net shows the interfaces of another namespace; with the /proc of
 * before, a program in a PID namespace does not find itself by its number.
 */
static void spawn_mount(bool proc)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return;
    mount("sysfs", "/sys", "sysfs", flags, NULL);
    if (proc)
        mount("proc", "/proc", "proc", flags, NULL);
}

/* Only 0, 1, 2 and what is passed stay open in the program. */
static int spawn_files(const struct spawn_request *q, const struct spawn_pipes *p)
{
    int in = fcntl(q->stdin_fd ? q->stdin_fd : p->in[0], F_DUPFD_CLOEXEC, SPAWN_FD_SAFE);
    int out = fcntl(q->stdout_fd ? q->stdout_fd : p->out[1], F_DUPFD_CLOEXEC, SPAWN_FD_SAFE);
    int pass[SPAWN_PASS_MAX] = {0};

    if (in < 0 || out < 0)
        return -errno;
    for (int i = 0; i < SPAWN_PASS_MAX; i++)
        if (q->pass_fd[i] && (pass[i] = fcntl(q->pass_fd[i], F_DUPFD_CLOEXEC, SPAWN_FD_SAFE)) < 0)
            return -errno;
    if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return -errno;
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        return -errno;
    if (q->stderr_to_out && dup2(out, STDERR_FILENO) < 0)
        return -errno;
    for (int i = 0; i < SPAWN_PASS_MAX; i++)
        if (q->pass_fd[i] && dup2(pass[i], SPAWN_PASS_FIRST + i) < 0)
            return -errno;
    return 0;
}

/* The kernel's struct sigaction with SIG_DFL in it is all zeros, on every machine. */
static const char all_default[64];

_Noreturn static void spawn_child(const struct spawn_request *q, const struct spawn_pipes *p,
                                  pid_t parent)
{
    /* Above what spawn_files() fills. */
    int note_fd = fcntl(p->note[1], F_DUPFD_CLOEXEC, SPAWN_FD_SAFE);
    char detail[SPAWN_DETAIL_SIZE] = "";
    sigset_t none;
    int r;

    close(p->note[1]);
    if (q->keeper_pidfd)
        spawn_enter_keeper(q, note_fd);
    if (q->netns_fd && setns(q->netns_fd, CLONE_NEWNET) < 0)
        spawn_fail(note_fd, SPAWN_NETNS, errno, NULL);
    if (q->own_mounts)
        spawn_mount(q->keeper_pidfd != 0);
    /* Entering a user namespace clears this, so it comes late; a parent that died before it is looked for by hand. In a
     * PID namespace the parent cannot be seen, and the keeper's end does it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!q->keeper_pidfd && getppid() != parent)
        _exit(126);
    /* A session of its own: the terminal's SIGINT is for the controller, which then ends its agents in order. */
    setsid();
    r = spawn_files(q, p);
    if (r < 0)
        spawn_fail(note_fd, SPAWN_FILES, r, NULL);
    /* By the system call: libc keeps its own two signals to itself, and whoever started us may have ignored them. */
    for (int i = 1; i < NSIG; i++)
        syscall(SYS_rt_sigaction, i, all_default, NULL, (size_t)_NSIG / 8);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (q->prepare && (r = q->prepare(q->prepare_arg, detail)) < 0)
        spawn_fail(note_fd, SPAWN_PREPARE, r, detail);
    execvp(q->argv[0], q->argv);
    spawn_fail(note_fd, SPAWN_EXEC, errno, NULL);
}

static int spawn_complain(const struct spawn_request *q, const struct spawn_note *note,
                          struct err *err)
{
    switch (note->stage) {
    case SPAWN_LAB:
        return err_set(err, note->value, "entering the lab");
    case SPAWN_NETNS:
        if (note->value == EINVAL)
            return err_set(err, ENOENT, "this is not a network namespace (any more)");
        return err_set(err, note->value, "entering the network namespace");
    case SPAWN_FORK:
        return err_set(err, note->value, "starting a process in the lab");
    case SPAWN_FILES:
        return err_set(err, note->value, "connecting the pipes of %s", q->argv[0]);
    case SPAWN_PREPARE:
        return err_set(err, note->value, "%s", note->detail);
    default:
        return err_set(err, note->value, "starting %s", q->argv[0]);
    }
}

/* Read notes until the pipe ends, which exec does. pid grows from the helper's to the program's. */
static int spawn_listen(const struct spawn_request *q, int note_fd, pid_t *pid, struct err *err)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)SPAWN_START_MS * CLOCK_MS;
    pid_t helper = *pid;
    int r = 0;

    for (;;) {
        struct pollfd p = {.fd = note_fd, .events = POLLIN};
        struct spawn_note note;
        int n = poll(&p, 1, clock_ms_until(deadline_ns));
        ssize_t got;

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            return err_set(err, ETIMEDOUT, "starting %s", q->argv[0]);
        got = read(note_fd, &note, sizeof note);
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got != sizeof note)
            return err_set(err, EBADMSG, "starting %s", q->argv[0]);
        if (note.stage == SPAWN_PID)
            *pid = note.value;
        else
            r = spawn_complain(q, &note, err);
    }
    if (q->keeper_pidfd && *pid == helper && r == 0)
        return err_set(err, ESRCH, "starting a process in the lab");
    return r;
}

static void spawn_wait(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

int spawn_start(const struct spawn_request *q, struct spawned *ret_spawned, struct err *err)
{
    AUTO(spawn_pipes_done) struct spawn_pipes p = {{-1, -1}, {-1, -1}, {-1, -1}};
    pid_t parent = getpid(), helper, pid;
    sigset_t all, was;
    int r;

    if ((!q->stdin_fd && (r = spawn_pipe(p.in)) < 0) ||
        (!q->stdout_fd && (r = spawn_pipe(p.out)) < 0) || (r = spawn_pipe(p.note)) < 0)
        return err_set(err, r, "making pipes for %s", q->argv[0]);
    /* No handler of ours may run in the child before its signals are reset. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    helper = fork();
    r = -errno;
    if (helper == 0)
        spawn_child(q, &p, parent);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    if (helper < 0)
        return err_set(err, r, "starting a process for %s", q->argv[0]);
    close(TAKE_FD(p.note[1]));
    pid = helper;
    r = spawn_listen(q, p.note[0], &pid, err);
    if (r < 0)
        kill(helper, SIGKILL);
    if (r < 0 && pid != helper)
        kill(pid, SIGKILL);
    if (q->keeper_pidfd || r < 0)
        spawn_wait(helper);
    if (r < 0 && pid != helper)
        spawn_wait(pid);
    if (r < 0)
        return r;
    *ret_spawned =
        (struct spawned){.pid = pid, .in_fd = TAKE_FD(p.in[1]), .out_fd = TAKE_FD(p.out[0])};
    return 0;
}

/* Wait for the program, kill it (and its group) at the deadline, reap it; returns its wait status, 0 when not ours. */
static int spawn_finish(pid_t pid, uint64_t deadline_ns, bool *ret_killed)
{
    AUTO(close_p) int pidfd = process_open(pid);
    int status = 0;

    *ret_killed = pidfd >= 0 && process_wait(pidfd, deadline_ns) == -ETIMEDOUT;
    if (pidfd < 0 && pidfd != -ESRCH) {
        /* No pidfd on this kernel: look again and again. */
        while (waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               kill(pid, 0) == 0 && clock_mono_ns() < deadline_ns)
            clock_sleep_until(clock_mono_ns() + 10 * CLOCK_MS);
        *ret_killed = clock_mono_ns() >= deadline_ns;
    }
    /* Not reaped yet, so the number still is ours. Killed or not, nobody of its group stays. */
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 0;
    return status;
}

void spawned_end(struct spawned *spawned, uint64_t grace_ns)
{
    bool killed;

    if (!spawned)
        return;
    if (spawned->in_fd > 0)
        close(spawned->in_fd);
    if (spawned->out_fd > 0 && spawned->out_fd != spawned->in_fd)
        close(spawned->out_fd);
    if (spawned->pid > 0)
        spawn_finish(spawned->pid, clock_mono_ns() + grace_ns, &killed);
    remote_end(spawned->remote, grace_ns);
    *spawned = (struct spawned){.in_fd = -1, .out_fd = -1};
}

/* A file with the text in it, so that no write to a program that died can hurt us. */
static int spawn_input(const char *text, struct err *err)
{
    AUTO(close_p) int fd = memfd_create("vnperf-input", MFD_CLOEXEC);
    size_t size = strlen(text), done = 0;

    if (fd < 0)
        return err_set(err, errno, "making a file in memory");
    while (done < size) {
        ssize_t n = write(fd, text + done, size - done);

        if (n < 0)
            return err_set(err, errno, "writing a file in memory");
        done += (size_t)n;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_set(err, errno, "rewinding a file in memory");
    return TAKE_FD(fd);
}

/* All that comes, until the end or the deadline; what does not fit is dropped. */
static int spawn_collect(int fd, char *output, size_t size, uint64_t deadline_ns)
{
    size_t used = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char buf[4096];
        int n = poll(&p, 1, clock_ms_until(deadline_ns));
        ssize_t got;
        size_t take;

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            return -ETIMEDOUT;
        got = read(fd, buf, sizeof buf);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 0;
        take = (size_t)got < size - 1 - used ? (size_t)got : size - 1 - used;
        memcpy(output + used, buf, take);
        used += take;
        output[used] = 0;
    }
}

int spawn_run(const struct spawn_request *request, const char *input, char *output, size_t size,
              uint64_t deadline_ns, struct err *err)
{
    AUTO(close_p) int in = spawn_input(input, err);
    struct spawn_request q = *request;
    struct spawned s = {0};
    bool killed = false;
    int r, status;

    if (in < 0)
        return in;
    q.stdin_fd = in;
    q.stderr_to_out = true;
    r = spawn_start(&q, &s, err);
    if (r < 0)
        return r;
    output[0] = 0;
    r = spawn_collect(s.out_fd, output, size, deadline_ns);
    close(s.out_fd);
    status = spawn_finish(s.pid, r < 0 ? 0 : deadline_ns, &killed);
    if (killed)
        return err_set(err, ETIMEDOUT, "%s did not end", q.argv[0]);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int spawn_find(const char *program, char *ret_path, size_t size)
{
    const char *path = getenv("PATH");
    char folders[4096];
    char *save = NULL;

    snprintf(folders, sizeof folders, "%s:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin",
             path ? path : "");
    for (char *dir = strtok_r(folders, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        char full[4096];
        int n = snprintf(full, sizeof full, "%s/%s", dir, program);

        if (dir[0] == '/' && n > 0 && (size_t)n < sizeof full && access(full, X_OK) == 0)
            return text_copy(ret_path, size, full) ? 0 : -ENAMETOOLONG;
    }
    return -ENOENT;
}

int spawn_local(char *const argv[], struct spawned *ret_spawned, struct err *err)
{
    struct spawn_request q = {.argv = argv};

    return spawn_start(&q, ret_spawned, err);
}

int spawn_netns(const char *name, char *const argv[], struct spawned *ret_spawned, struct err *err)
{
    AUTO(close_p) int fd = -1;
    struct spawn_request q = {.argv = argv, .own_mounts = true};
    char path[300];
    int r;

    if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strlen(name) > 255)
        return err_say(err, "'%s' is not the name of a network namespace", name);
    snprintf(path, sizeof path, "/run/netns/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ENOENT, "network namespace %s (`ip netns` lists those there are)",
                       name);
    if (fd < 0)
        return err_set(err, errno, "opening network namespace %s", name);
    if (fd <= STDERR_FILENO) {
        int high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

        if (high < 0)
            return err_set(err, errno, "opening network namespace %s", name);
        close(fd);
        fd = high;
    }
    q.netns_fd = fd;
    r = spawn_start(&q, ret_spawned, err);
    if (r < 0)
        return err_wrap(err, r, "network namespace %s", name);
    return 0;
}

int spawn_command(const char *command, char *const argv[], struct spawned *ret_spawned,
                  struct err *err)
{
    AUTO(free_p) char **words = NULL;
    AUTO(free_p) char *script = NULL;
    struct spawn_request q = {0};
    size_t n = 0;
    int r;

    if (!command[strspn(command, " \t\n")])
        return err_say(err, "an empty command to start an agent with");
    while (argv[n])
        n++;
    words = calloc(n + 5, sizeof *words);
    script = malloc(strlen(command) + sizeof " \"$@\"");
    if (!words || !script)
        return err_set(err, ENOMEM, "starting '%s'", command);
    stpcpy(stpcpy(script, command), " \"$@\"");
    words[0] = (char *)"/bin/sh";
    words[1] = (char *)"-c";
    words[2] = script;
    words[3] = (char *)"vnperf-exec"; /* $0: the name that the shell complains under */
    memcpy(words + 4, argv, n * sizeof *words);
    q.argv = words;
    r = spawn_start(&q, ret_spawned, err);
    if (r < 0)
        return err_wrap(err, r, "command '%s'", command);
    return 0;
}
