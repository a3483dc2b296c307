/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program on another host: its life, and what the caller may do to it.
 *
 * The line's thread and the caller both hold the struct: a thread that hangs where nothing can reach it (a resolver, an agent of
 * keys) is left behind at the end, and nobody waits for it.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>

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

void remote_tell(int event_fd)
{
    const uint64_t one = 1;

    /* Its counter is far from full: this does not fail. */
    if (write(event_fd, &one, sizeof one) != sizeof one)
        return;
}

/* ---- its life ---- */

static void remote_free(struct remote *remote)
{
    int fds[] = {remote->ready_fd, remote->over_fd, remote->in_fd,
                 remote->out_fd,   remote->from_fd, remote->to_fd};

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close_p(&fds[i]);
    free(remote->argv);
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
    return remote->ready_fd < 0 || remote->over_fd < 0 ? -errno : 0;
}

/* ---- for the thread ---- */

void remote_ready(struct remote *remote, int r, const struct err *err)
{
    pthread_mutex_lock(&remote->lock);
    remote->state = r < 0 ? REMOTE_FAILED : REMOTE_RUNS;
    remote->r = r;
    remote->err = *err;
    pthread_mutex_unlock(&remote->lock);
    remote_tell(remote->ready_fd);
}

void remote_over(struct remote *remote)
{
    if (remote->channel) {
        /* libssh keeps a channel that the far side has not closed, and calls us for it until the session ends. */
        ssh_remove_channel_callbacks(remote->channel, &remote->callbacks);
        ssh_channel_close(remote->channel);
        ssh_channel_free(remote->channel);
    }
    remote->channel = NULL;
    /* The caller's read ends. */
    if (remote->to_fd >= 0)
        close(TAKE_FD(remote->to_fd));
    if (remote->from_fd >= 0)
        close(TAKE_FD(remote->from_fd));
    remote_tell(remote->over_fd);
    remote_unref(remote);
}

/* ---- the caller ---- */

int remote_begin(const struct endpoint_text *at, const struct remote_options *options,
                 char *const argv[], struct remote **ret_remote, struct err *err)
{
    struct remote *remote;
    int r = ssh_library_load(err);

    if (r < 0)
        return err_wrap(err, r, "ssh://");
    remote = calloc(1, sizeof *remote);
    if (!remote)
        return err_set(err, ENOMEM, "memory for a host");
    remote->push = options->push;
    remote->become = options->become;
    remote->beat = options->beat;
    /* The caller's; the line takes one of its own. */
    remote->refs = 1;
    remote->ready_fd = remote->over_fd = -1;
    remote->in_fd = remote->out_fd = remote->from_fd = remote->to_fd = -1;
    pthread_mutex_init(&remote->lock, NULL);
    remote->argv = remote_words(argv);
    r = remote->argv ? remote_pipes(remote) : -ENOMEM;
    if (r < 0)
        err_set(err, r, "pipes to %s", at->arg);
    else
        r = remote_line_join(remote, at, options, err);
    if (r < 0) {
        remote_free(remote);
        return r;
    }
    *ret_remote = remote;
    return 0;
}

int remote_wait(struct remote *remote, const struct remote_options *options,
                struct spawned *ret_spawned, struct err *err)
{
    struct pollfd p[] = {{.fd = remote->ready_fd, .events = POLLIN},
                         {.fd = options->interrupt_fd, .events = POLLIN}};
    int n, r;

    /* The thread's own deadlines bound this. */
    do {
        n = poll(p, ARRAY_SIZE(p), options->on_wait ? REMOTE_IDLE_MS : -1);
        if (n == 0 && options->on_wait)
            options->on_wait(options->wait_arg);
    } while (n == 0 || (n < 0 && errno == EINTR));
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
        remote_line_stop(remote);
        remote_is_over(remote, clock_mono_ns() + (uint64_t)REMOTE_STOP_MS * CLOCK_MS);
    }
    remote_unref(remote);
}

/* ---- begun ahead ---- */

struct ahead {
    struct endpoint_text at;
    char **argv; /* owned */
    bool push, become;
    struct remote *remote; /* owned */
    struct ahead *next;
};

static pthread_mutex_t ahead_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ahead *ahead_list; /* under ahead_lock */

static bool ahead_is(const struct ahead *a, const struct endpoint_text *at,
                     const struct remote_options *options, char *const argv[])
{
    size_t i = 0;

    while (a->argv[i] && argv[i] && strcmp(a->argv[i], argv[i]) == 0)
        i++;
    return !a->argv[i] && !argv[i] && a->push == options->push && a->become == options->become &&
           a->at.port == at->port && strcmp(a->at.arg, at->arg) == 0 &&
           strcmp(a->at.user, at->user) == 0 && strcmp(a->at.host_key, at->host_key) == 0;
}

/* Out of the list, or NULL; other: any one. */
static struct ahead *ahead_take(const struct endpoint_text *at,
                                const struct remote_options *options, char *const argv[])
{
    struct ahead *found = NULL;

    pthread_mutex_lock(&ahead_lock);
    for (struct ahead **a = &ahead_list; *a && !found; a = found ? a : &(*a)->next)
        if (!at || ahead_is(*a, at, options, argv)) {
            found = *a;
            *a = found->next;
        }
    pthread_mutex_unlock(&ahead_lock);
    return found;
}

static void ahead_free(struct ahead *a)
{
    free(a->argv);
    free(a);
}

void spawn_ssh_ahead(const struct endpoint_text *at, const struct remote_options *options,
                     char *const argv[])
{
    struct ahead *a = calloc(1, sizeof *a);

    if (!a)
        return;
    *a = (struct ahead){.at = *at, .push = options->push, .become = options->become};
    a->argv = remote_words(argv);
    if (!a->argv || remote_begin(at, options, argv, &a->remote, NULL) < 0) {
        ahead_free(a);
        return;
    }
    pthread_mutex_lock(&ahead_lock);
    a->next = ahead_list;
    ahead_list = a;
    pthread_mutex_unlock(&ahead_lock);
}

void spawn_ssh_ahead_end(void)
{
    struct ahead *a;

    while ((a = ahead_take(NULL, NULL, NULL))) {
        remote_end(a->remote, 0);
        ahead_free(a);
    }
}

int spawn_ssh(const struct endpoint_text *at, const struct remote_options *options,
              char *const argv[], struct spawned *ret_spawned, struct err *err)
{
    struct ahead *a = ahead_take(at, options, argv);
    struct remote *remote = a ? a->remote : NULL;
    int r = 0;

    if (a)
        ahead_free(a);
    else
        r = remote_begin(at, options, argv, &remote, err);
    return r < 0 || !remote ? r : remote_wait(remote, options, ret_spawned, err);
}

void spawn_ssh_all(struct spawn_ssh_ask asks[], size_t n_asks)
{
    for (size_t i = 0; i < n_asks; i++) {
        asks[i].remote = NULL;
        asks[i].r =
            remote_begin(asks[i].at, asks[i].options, asks[i].argv, &asks[i].remote, &asks[i].err);
    }
    for (size_t i = 0; i < n_asks; i++)
        if (asks[i].r == 0)
            asks[i].r =
                remote_wait(TAKE(asks[i].remote), asks[i].options, &asks[i].spawned, &asks[i].err);
}
