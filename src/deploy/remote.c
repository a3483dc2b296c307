/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program on another host: the thread, and what the caller may do to it.
 *
 * The thread is detached and both hold the struct: a thread that hangs where nothing can reach it (a resolver, an agent of
 * keys) is left behind at the end, and nobody waits for it.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int remote_say(struct err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        /* Words of libssh and of the host. */
        text_tame(err->text);
        err->code = code;
    }
    return -code;
}

int remote_poll(struct remote *remote, int fd, short events, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd p[] = {{.fd = fd, .events = events},
                             {.fd = remote->stop_fd, .events = POLLIN}};
        int n = poll(p, ARRAY_SIZE(p), clock_ms_until(deadline_ns));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        return p[1].revents ? -ECANCELED : n > 0;
    }
}

bool remote_is_stopped(struct remote *remote) { return remote_poll(remote, -1, 0, 0) < 0; }

int remote_set_line(struct remote *remote, int fd, struct err *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    if (copy < 0)
        return err_set(err, errno, "one more descriptor");
    pthread_mutex_lock(&remote->lock);
    remote->line_fd = copy;
    pthread_mutex_unlock(&remote->lock);
    return remote_is_stopped(remote) ? err_set(err, ECANCELED, "connecting to %s", remote->host)
                                     : 0;
}

static void remote_tell(int event_fd)
{
    const uint64_t one = 1;

    /* Its counter is far from full: this does not fail. */
    if (write(event_fd, &one, sizeof one) != sizeof one)
        return;
}

void remote_forget(struct remote *remote)
{
    if (remote->password)
        explicit_bzero(remote->password, strlen(remote->password));
    free(remote->password);
    remote->password = NULL;
}

/* ---- its life ---- */

static void remote_free(struct remote *remote)
{
    int fds[] = {remote->line_fd, remote->ready_fd, remote->over_fd, remote->stop_fd,
                 remote->in_fd,   remote->out_fd,   remote->from_fd, remote->to_fd};

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close_p(&fds[i]);
    free(remote->argv);
    free(remote->config);
    remote_forget(remote);
    remote_program_done(&remote->program);
    pthread_mutex_destroy(&remote->lock);
    free(remote);
}

static void remote_unref(struct remote *remote)
{
    bool last;

    pthread_mutex_lock(&remote->lock);
    last = --remote->refs == 0;
    pthread_mutex_unlock(&remote->lock);
    if (last)
        remote_free(remote);
}

/* Words and the pointers to them in one piece. */
static char **remote_words(char *const argv[])
{
    size_t n = 0, n_bytes = 0;
    char **words, *text;

    for (; argv[n]; n++)
        n_bytes += strlen(argv[n]) + 1;
    words = calloc(1, (n + 1) * sizeof *words + n_bytes);
    if (!words)
        return NULL;
    text = (char *)(words + n + 1);
    for (size_t i = 0; i < n; i++) {
        words[i] = text;
        text = stpcpy(text, argv[i]) + 1;
    }
    return words;
}

static int remote_copy(struct remote *remote, const struct remote_options *options,
                       char *const argv[])
{
    remote->config = strdup(options->config ? options->config : "");
    remote->argv = remote_words(argv);
    if (options->password)
        remote->password = strdup(options->password);
    return remote->config && remote->argv && (remote->password || !options->password) ? 0 : -ENOMEM;
}

/* Ours of the pipes do not wait; the caller's are like any program's. */
static int remote_pipes(struct remote *remote)
{
    int there[2], here[2];

    if (pipe2(there, O_CLOEXEC) < 0)
        return -errno;
    remote->from_fd = there[0];
    remote->in_fd = there[1];
    if (pipe2(here, O_CLOEXEC) < 0)
        return -errno;
    remote->out_fd = here[0];
    remote->to_fd = here[1];
    if (fcntl(remote->from_fd, F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(remote->to_fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    remote->ready_fd = eventfd(0, EFD_CLOEXEC);
    remote->over_fd = eventfd(0, EFD_CLOEXEC);
    remote->stop_fd = eventfd(0, EFD_CLOEXEC);
    return remote->ready_fd < 0 || remote->over_fd < 0 || remote->stop_fd < 0 ? -errno : 0;
}

/* ---- the thread ---- */

static void remote_set_state(struct remote *remote, int r, const struct err *err)
{
    pthread_mutex_lock(&remote->lock);
    remote->state = r < 0 ? REMOTE_FAILED : REMOTE_RUNS;
    remote->r = r;
    remote->err = *err;
    pthread_mutex_unlock(&remote->lock);
    remote_tell(remote->ready_fd);
}

static void remote_close(struct remote *remote)
{
    if (remote->channel) {
        ssh_channel_close(remote->channel);
        ssh_channel_free(remote->channel);
    }
    if (remote->session) {
        ssh_disconnect(remote->session);
        ssh_free(remote->session);
    }
    remote->channel = NULL;
    remote->session = NULL;
    spawned_end(&remote->proxy, (uint64_t)REMOTE_STOP_MS / 4 * CLOCK_MS);
    /* The caller's read ends. */
    if (remote->to_fd >= 0)
        close(TAKE_FD(remote->to_fd));
    if (remote->from_fd >= 0)
        close(TAKE_FD(remote->from_fd));
}

static void *remote_thread(void *arg)
{
    struct remote *remote = arg;
    struct err err = {0};
    sigset_t set;
    int r = 0;

    /* A pipe or a connection that is closed answers EPIPE. */
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (remote->push)
        r = remote_program_read(remote->argv[0], &remote->program, &err);
    if (r == 0)
        r = remote_connect(remote, &err);
    if (r == 0)
        r = remote_login(remote, &err);
    remote_forget(remote);
    if (r == 0)
        r = remote_start(remote, &err);
    /* A wait inside libssh that was broken has words of its own. */
    if (r < 0 && remote_is_stopped(remote))
        r = err_set(&err, ECANCELED, "reaching %s", remote->at.arg);
    remote_set_state(remote, r, &err);
    if (r == 0)
        remote_pump(remote);
    remote_close(remote);
    remote_tell(remote->over_fd);
    remote_unref(remote);
    return NULL;
}

/* ---- the caller ---- */

int remote_begin(const struct endpoint_text *at, const struct remote_options *options,
                 char *const argv[], struct remote **ret_remote, struct err *err)
{
    struct remote *remote;
    pthread_attr_t attr;
    pthread_t thread;
    int r = ssh_library_load(err);

    if (r < 0)
        return err_wrap(err, r, "ssh://");
    remote = calloc(1, sizeof *remote);
    if (!remote)
        return err_set(err, ENOMEM, "memory for a host");
    remote->at = *at;
    remote->host_keys = options->host_keys;
    remote->push = options->push;
    remote->refs = 2;
    remote->line_fd = remote->ready_fd = remote->over_fd = remote->stop_fd = -1;
    remote->in_fd = remote->out_fd = remote->from_fd = remote->to_fd = -1;
    remote->proxy = (struct spawned){.in_fd = -1, .out_fd = -1};
    pthread_mutex_init(&remote->lock, NULL);
    r = remote_copy(remote, options, argv);
    if (r == 0)
        r = remote_pipes(remote);
    if (r == 0)
        r = -pthread_attr_init(&attr);
    if (r == 0) {
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        r = -pthread_create(&thread, &attr, remote_thread, remote);
        pthread_attr_destroy(&attr);
    }
    if (r < 0) {
        remote_free(remote);
        return err_set(err, r, "a thread for %s", at->arg);
    }
    *ret_remote = remote;
    return 0;
}

int remote_wait(struct remote *remote, int interrupt_fd, struct spawned *ret_spawned,
                struct err *err)
{
    struct pollfd p[] = {{.fd = remote->ready_fd, .events = POLLIN},
                         {.fd = interrupt_fd, .events = POLLIN}};
    int n, r;

    /* The thread's own deadlines bound this. */
    do
        n = poll(p, ARRAY_SIZE(p), -1);
    while (n < 0 && errno == EINTR);
    if (n < 0 || !p[0].revents) {
        r = n < 0 ? -errno : -ECANCELED;
        remote_end(remote, 0);
        return err_set(err, r, "a signal came");
    }
    pthread_mutex_lock(&remote->lock);
    r = remote->r;
    if (r < 0 && err)
        *err = remote->err;
    pthread_mutex_unlock(&remote->lock);
    if (r < 0) {
        remote_end(remote, 0);
        return r;
    }
    *ret_spawned = (struct spawned){
        .in_fd = TAKE_FD(remote->in_fd), .out_fd = TAKE_FD(remote->out_fd), .remote = remote};
    return 0;
}

const char *remote_address(const struct remote *remote) { return remote ? remote->address : ""; }

static bool remote_is_over(struct remote *remote, uint64_t deadline_ns)
{
    struct pollfd p = {.fd = remote->over_fd, .events = POLLIN};
    int n;

    do
        n = poll(&p, 1, clock_ms_until(deadline_ns));
    while (n < 0 && errno == EINTR);
    return n > 0;
}

void remote_end(struct remote *remote, uint64_t grace_ns)
{
    if (!remote)
        return;
    if (!remote_is_over(remote, clock_mono_ns() + grace_ns)) {
        remote_tell(remote->stop_fd);
        /* What libssh waits for inside comes to its end too. */
        pthread_mutex_lock(&remote->lock);
        if (remote->line_fd >= 0)
            shutdown(remote->line_fd, SHUT_RDWR);
        pthread_mutex_unlock(&remote->lock);
        remote_is_over(remote, clock_mono_ns() + (uint64_t)REMOTE_STOP_MS * CLOCK_MS);
    }
    remote_unref(remote);
}

int spawn_ssh(const struct endpoint_text *at, const struct remote_options *options,
              char *const argv[], struct spawned *ret_spawned, struct err *err)
{
    struct remote *remote = NULL;
    int r = remote_begin(at, options, argv, &remote, err);

    return r < 0 || !remote ? r : remote_wait(remote, options->interrupt_fd, ret_spawned, err);
}
