/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/lab_keeper.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "deploy/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    KEEPER_ANSWER_MS = 10000,
    KEEPER_STOP_MS = 2000,
    KEEPER_REAP_MS = 5,
    /* Where the keeper has its own files after it has closed all others. */
    KEEPER_CONTROL_FD = 3,
    KEEPER_PARENT_FD = 4,
    KEEPER_HOME_FD = 5,
};

enum keeper_request { KEEPER_NETNS = 'n', KEEPER_QUIT = 'q' };

struct keeper_answer {
    int32_t code; /* 0 or errno */
    char doing[60];
};

/* ---- the keeper's side: one thread, no allocation, as it may have been forked from a program with threads ---- */

static void keeper_say(int code, const char *doing, int fd)
{
    struct keeper_answer answer = {.code = code};
    struct iovec iov = {&answer, sizeof answer};
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    text_copy(answer.doing, sizeof answer.doing, doing);
    if (fd >= 0) {
        struct cmsghdr *c;

        msg.msg_control = control.buf;
        msg.msg_controllen = sizeof control.buf;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    /* An answer that cannot be given means that nobody listens; the next poll sees that. */
    if (sendmsg(KEEPER_CONTROL_FD, &msg, MSG_NOSIGNAL) < 0)
        return;
}

_Noreturn static void keeper_fail(int code, const char *doing)
{
    keeper_say(code, doing, -1);
    _exit(1);
}

static int keeper_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = write(fd, text, strlen(text));
    close(fd);
    return n < 0 ? -errno : 0;
}

/* Root inside is who we are outside. */
static void keeper_map_ids(uid_t uid, gid_t gid)
{
    char text[64];
    int r;

    r = keeper_write("/proc/self/setgroups", "deny");
    if (r < 0)
        keeper_fail(-r, "writing /proc/self/setgroups");
    snprintf(text, sizeof text, "0 %u 1", (unsigned)gid);
    r = keeper_write("/proc/self/gid_map", text);
    if (r < 0)
        keeper_fail(-r, "writing /proc/self/gid_map");
    snprintf(text, sizeof text, "0 %u 1", (unsigned)uid);
    r = keeper_write("/proc/self/uid_map", text);
    if (r < 0)
        keeper_fail(-r, "writing /proc/self/uid_map");
}

/* Its own files at their places, and no other: a pipe that we held open would never end for its reader. */
static void keeper_files(int control_fd, int parent_fd)
{
    int null, home;

    control_fd = fcntl(control_fd, F_DUPFD_CLOEXEC, KEEPER_HOME_FD + 1);
    parent_fd = parent_fd < 0 ? -1 : fcntl(parent_fd, F_DUPFD_CLOEXEC, KEEPER_HOME_FD + 1);
    dup2(control_fd, KEEPER_CONTROL_FD);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        keeper_fail(errno, "opening /dev/null");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (parent_fd >= 0)
        dup2(parent_fd, KEEPER_PARENT_FD);
    else
        close(KEEPER_PARENT_FD);
    home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        keeper_fail(errno, "opening /proc/self/ns/net");
    dup2(home, KEEPER_HOME_FD);
    close_range(KEEPER_HOME_FD + 1, ~0U, 0);
}

/* A new network namespace, which we leave at once: it then lives by the descriptor that the controller has. */
static void keeper_make_netns(void)
{
    int fd;

    if (unshare(CLONE_NEWNET) < 0) {
        keeper_say(errno, "making a network namespace", -1);
        return;
    }
    fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        keeper_say(errno, "opening a new network namespace", -1);
    if (setns(KEEPER_HOME_FD, CLONE_NEWNET) < 0)
        keeper_fail(errno, "leaving a new network namespace");
    if (fd < 0)
        return;
    keeper_say(0, "", fd);
    close(fd);
}

_Noreturn static void keeper_main(const char *ledger_path, int control_fd, int parent_fd, bool user,
                                  uid_t uid, gid_t gid)
{
    struct pollfd p[2] = {{.fd = KEEPER_CONTROL_FD, .events = POLLIN},
                          {.fd = KEEPER_PARENT_FD, .events = POLLIN}};
    sigset_t none;

    keeper_files(control_fd, parent_fd);
    p[1].fd = parent_fd < 0 ? -1 : KEEPER_PARENT_FD;
    /* PID 1 ignores what is left at its default; handlers of ours must not run here. Ended orphans vanish by
     * themselves when SIGCHLD is ignored. */
    for (int i = 1; i < NSIG; i++)
        signal(i, i == SIGCHLD ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "vnperf-keeper");
    setsid();
    if (user)
        keeper_map_ids(uid, gid);
    if (mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        keeper_fail(errno, "keeping mounts to the lab");
    keeper_say(0, "", -1);
    for (;;) {
        char request = 0;
        ssize_t n;

        if (poll(p, 2, -1) < 0) /* no deadline: it is watching that is its work */
            continue;
        n = (p[0].revents) ? recv(KEEPER_CONTROL_FD, &request, 1, MSG_DONTWAIT) : -1;
        if (n == 1 && request == KEEPER_QUIT)
            _exit(0);
        if (n == 1 && request == KEEPER_NETNS)
            keeper_make_netns();
        if (n == 0 || (n < 0 && p[0].revents && errno != EAGAIN && errno != EINTR) ||
            (n < 0 && p[1].revents))
            break;
    }
    /* The controller died: nothing of the lab can be left, so its ledger has nothing to say. */
    if (ledger_path[0])
        unlink(ledger_path);
    _exit(0);
}

/* ---- the controller's side ---- */

bool lab_keeper_wants_user(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    uint32_t need = 1U << CAP_SYS_ADMIN | 1U << CAP_NET_ADMIN | 1U << CAP_NET_RAW;

    if (syscall(SYS_capget, &header, data) < 0)
        return geteuid() != 0;
    return (data[0].effective & need) != need;
}

/* One answer, and the file that may come with it. */
static int keeper_listen(const struct lab_keeper *k, int *ret_fd, struct err *err)
{
    struct pollfd p = {.fd = k->control_fd, .events = POLLIN};
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)KEEPER_ANSWER_MS * CLOCK_MS;
    struct keeper_answer answer;
    struct iovec iov = {&answer, sizeof answer};
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof control.buf};
    struct cmsghdr *c;
    ssize_t n;
    int r;

    do
        r = poll(&p, 1, clock_ms_until(deadline_ns));
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return err_set(err, ETIMEDOUT, "waiting for the lab's keeper (pid %d)", (int)k->pid);
    n = recvmsg(k->control_fd, &msg, MSG_CMSG_CLOEXEC);
    if (n != sizeof answer)
        return err_set(err, ESRCH, "the lab's keeper (pid %d) has ended", (int)k->pid);
    if (answer.code)
        return err_set(err, answer.code, "%s", answer.doing);
    c = CMSG_FIRSTHDR(&msg);
    if (ret_fd) {
        if (!c || c->cmsg_type != SCM_RIGHTS)
            return err_set(err, EBADMSG, "the lab's keeper gave no network namespace");
        memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
    }
    return 0;
}

int lab_keeper_start(const char *ledger_path, struct lab_keeper *ret_keeper, struct err *err)
{
    struct lab_keeper k = {.pidfd = -1, .control_fd = -1, .enter_user = lab_keeper_wants_user()};
    unsigned long flags =
        CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | SIGCHLD | (k.enter_user ? CLONE_NEWUSER : 0);
    uid_t uid = geteuid();
    gid_t gid = getegid();
    AUTO(close_p) int self = process_open(getpid());
    AUTO(close_p) int theirs = -1;
    int pair[2];
    sigset_t all, was;
    long pid;
    int r;

    /* Messages, not bytes: an answer and its file stay together. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(err, errno, "making a socket for the lab's keeper");
    k.control_fd = pair[0];
    theirs = pair[1];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    pid = syscall(SYS_clone, flags, 0, 0, 0, 0);
    r = -errno;
    if (pid == 0)
        keeper_main(ledger_path, theirs, self, k.enter_user, uid, gid);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    if (pid < 0) {
        close(k.control_fd);
        return err_set(err, r, "starting the lab's keeper in namespaces of its own");
    }
    k.pid = (pid_t)pid;
    close(TAKE_FD(theirs));
    k.pidfd = process_open(k.pid);
    r = k.pidfd < 0 ? err_set(err, k.pidfd, "watching the lab's keeper")
                    : keeper_listen(&k, NULL, err);
    if (r >= 0 && (r = process_start(k.pid, &k.start)) < 0)
        err_set(err, r, "looking for the lab's keeper (pid %d)", (int)k.pid);
    if (r < 0) {
        lab_keeper_stop(&k, NULL, NULL);
        return r;
    }
    *ret_keeper = k;
    return 0;
}

int lab_keeper_check(const struct lab_keeper *k, struct err *err)
{
    /* Its socket, not its pidfd: that stays silent until all programs of the lab are reaped. */
    struct pollfd p = {.fd = k->control_fd, .events = 0};

    if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
        return err_set(err, ESRCH, "the lab's keeper (pid %d) has ended, and the lab with it",
                       (int)k->pid);
    return 0;
}

int lab_keeper_netns(const struct lab_keeper *k, struct err *err)
{
    char request = KEEPER_NETNS;
    int fd = -1;
    int r;

    r = lab_keeper_check(k, err);
    if (r < 0)
        return r;
    if (send(k->control_fd, &request, 1, MSG_NOSIGNAL) < 0)
        return err_set(err, errno, "asking the lab's keeper (pid %d)", (int)k->pid);
    r = keeper_listen(k, &fd, err);
    if (r < 0)
        return r;
    if (fd <= STDERR_FILENO) {
        int low = fd;

        fd = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        r = -errno;
        close(low);
        if (fd < 0)
            return err_set(err, r, "keeping a network namespace");
    }
    return fd;
}

void lab_keeper_place(const struct lab_keeper *k, struct spawn_request *request)
{
    request->keeper_pidfd = k->pidfd;
    request->enter_user = k->enter_user;
}

static int keeper_wait(const struct lab_keeper *k, void (*reap)(void *arg), void *arg)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)KEEPER_STOP_MS * CLOCK_MS;
    int r;

    do {
        if (reap)
            reap(arg);
        r = process_reap(k->pidfd, clock_mono_ns() + (uint64_t)KEEPER_REAP_MS * CLOCK_MS);
    } while (r == -ETIMEDOUT && clock_mono_ns() < deadline_ns);
    return r;
}

int lab_keeper_stop(struct lab_keeper *k, void (*reap)(void *arg), void *arg)
{
    char request = KEEPER_QUIT;
    int r = 0;

    if (!k || !k->pid)
        return 0;
    /* Closing alone would end it too, but then it would take us for dead and remove the ledger. */
    if (send(k->control_fd, &request, 1, MSG_NOSIGNAL) < 0)
        r = -errno;
    if (k->pidfd < 0) {
        /* It is ours and not reaped, so the number is its own. */
        kill(k->pid, SIGKILL);
        while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        close_p(&k->control_fd);
        return r;
    }
    r = keeper_wait(k, reap, arg);
    if (r < 0) {
        process_signal(k->pidfd, SIGKILL);
        r = keeper_wait(k, reap, arg);
    }
    close_p(&k->control_fd);
    close_p(&k->pidfd);
    *k = (struct lab_keeper){.pidfd = -1, .control_fd = -1};
    return r;
}
