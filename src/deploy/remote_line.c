/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to one host, its thread, and the programs on it.
 *
 * libssh is asked without waiting once the login is done; the thread polls its socket together with the pipes of all programs.
 * What one channel's read takes from the socket may be another's, and does not show in a poll: pieces that come are counted,
 * and the programs are gone through until none came.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* gcc 12 loses sight of what a list holds when something in its middle is taken out, and calls it leaked. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

enum {
    LINE_PROGRAMS_MAX = 32,
    LINE_ROUNDS_MAX = 64, /* before the order to end is looked at again */
    LINE_LOOK_MS = 1000,  /* a poll at most: nothing depends on it */
    /* The same while a program is started: what another's read took from the socket may be the answer to that. */
    LINE_STARTING_MS = 20,
};

/* Of the list, of all that is "under lock" in lines, and of remote->line and remote->stop. */
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static struct remote_line *lines;
static struct remote_line *lines_ended; /* under lock: their threads are to be joined */
static unsigned lines_alive;            /* under lock */
static pthread_cond_t lines_fewer = PTHREAD_COND_INITIALIZER; /* a line has ended */

/* ---- its life ---- */

void remote_line_forget(struct remote_line *line)
{
    if (line->password)
        explicit_bzero(line->password, strlen(line->password));
    free(line->password);
    line->password = NULL;
}

static void line_free(struct remote_line *line)
{
    if (!line)
        return;
    close_p(&line->line_fd);
    close_p(&line->stop_fd);
    close_p(&line->wake_fd);
    free(line->config);
    free(line->known_hosts);
    remote_line_forget(line);
    free(line);
}

static struct remote_line *line_new(const struct endpoint_text *at,
                                    const struct remote_options *options)
{
    struct remote_line *line = calloc(1, sizeof *line);

    if (!line)
        return NULL;
    line->at = *at;
    line->host_keys = options->host_keys;
    line->has_password = options->password;
    line->line_fd = -1;
    line->proxy = (struct spawned){.in_fd = -1, .out_fd = -1};
    line->stop_fd = eventfd(0, EFD_CLOEXEC);
    line->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    line->config = strdup(options->config ? options->config : "");
    line->known_hosts = strdup(options->known_hosts ? options->known_hosts : "");
    line->password = options->password ? strdup(options->password) : NULL;
    if (line->stop_fd < 0 || line->wake_fd < 0 || !line->config || !line->known_hosts ||
        (options->password && !line->password)) {
        line_free(line);
        return NULL;
    }
    return line;
}

/* Under lock: programs that come now need a line of their own. */
static void line_unlist(struct remote_line *line)
{
    for (struct remote_line **p = &lines; *p; p = &(*p)->next)
        if (*p == line) {
            *p = line->next;
            return;
        }
}

/* A program that nobody lists any more. */
static void line_let_go(struct remote *remote)
{
    pthread_mutex_lock(&lines_lock);
    remote->line = NULL;
    pthread_mutex_unlock(&lines_lock);
    remote_over(remote);
}

static struct remote *line_first(struct remote_line *line)
{
    struct remote *first;

    pthread_mutex_lock(&lines_lock);
    first = line->programs;
    pthread_mutex_unlock(&lines_lock);
    /* The rest of the list is the thread's to change: new ones come in front. */
    return first;
}

/* Out of the line, whose programs go on. */
static void line_take_out(struct remote_line *line, struct remote *remote)
{
    pthread_mutex_lock(&lines_lock);
    for (struct remote **p = &line->programs; *p; p = &(*p)->next)
        if (*p == remote) {
            *p = remote->next;
            break;
        }
    pthread_mutex_unlock(&lines_lock);
}

static bool line_is_told(struct remote *remote)
{
    bool stop;

    pthread_mutex_lock(&lines_lock);
    stop = remote->stop;
    pthread_mutex_unlock(&lines_lock);
    return stop;
}

/* ---- waiting ---- */

/* Bytes of all that runs, until no more come. */
static void line_carry(struct remote_line *line)
{
    unsigned n_came;

    for (int i = 0; i < LINE_ROUNDS_MAX; i++) {
        n_came = line->n_came;
        for (struct remote *remote = line_first(line); remote; remote = remote->next)
            if (remote->running && !remote->ended)
                remote_carry(remote);
        if (n_came == line->n_came)
            break;
    }
}

/* Its caller is to hear of it before anything else is waited for. */
static bool line_has_ended(struct remote_line *line)
{
    for (struct remote *remote = line_first(line); remote; remote = remote->next)
        if (remote->running && remote->ended && remote_is_empty(&remote->here))
            return true;
    return false;
}

/* One poll for all there is to wait for. 1 fd has events; 2 something else; 0 nothing; -ECANCELED the line is to end. */
static int line_wait(struct remote_line *line, int fd, short events, int ms)
{
    struct pollfd p[4 + 2 * LINE_PROGRAMS_MAX] = {
        {.fd = line->stop_fd, .events = POLLIN},
        {.fd = line->wake_fd, .events = POLLIN},
        {.fd = fd, .events = events},
        {.fd = -1},
    };
    size_t n = 4;
    int ready;
    uint64_t drained;

    for (struct remote *remote = line_first(line); remote && n + 2 <= ARRAY_SIZE(p);
         remote = remote->next) {
        if (!remote->running || remote->ended)
            continue;
        p[3] = (struct pollfd){.fd = ssh_get_fd(line->session), .events = remote_events(line)};
        if (remote_is_empty(&remote->there))
            p[n++] = (struct pollfd){.fd = remote->from_fd, .events = POLLIN};
        if (!remote_is_empty(&remote->here))
            p[n++] = (struct pollfd){.fd = remote->to_fd, .events = POLLOUT};
    }
    ready = poll(p, n, ms);
    if (ready < 0)
        return errno == EINTR ? 2 : -errno;
    if (p[0].revents)
        return -ECANCELED;
    if (p[1].revents && read(line->wake_fd, &drained, sizeof drained) < 0 && errno != EAGAIN)
        return -errno;
    return p[2].revents ? 1 : ready ? 2 : 0;
}

int remote_line_poll(struct remote_line *line, int fd, short events, uint64_t deadline_ns)
{
    for (;;) {
        int r;

        line_carry(line);
        r = line_wait(line, fd, events, clock_ms_until(deadline_ns));
        if (r < 0 || r == 1)
            return r;
        if (clock_mono_ns() >= deadline_ns)
            return 0;
    }
}

int remote_line_turn(struct remote_line *line, struct remote *starting, uint64_t deadline_ns)
{
    const unsigned n_came = line->n_came;
    int ms = clock_ms_until(deadline_ns), most_ms = LINE_LOOK_MS, r;
    bool alone = !starting || !starting->next;

    line_carry(line);
    if (starting && line_is_told(starting))
        return -ECANCELED;
    if (starting ? n_came != line->n_came : line_has_ended(line))
        return 1;
    if (!alone || (starting && line_first(line) != starting))
        most_ms = LINE_STARTING_MS;
    r = line_wait(line, starting ? ssh_get_fd(line->session) : -1, remote_events(line),
                  ms < most_ms ? ms : most_ms);
    return r > 0 ? 1 : r;
}

bool remote_line_is_stopped(struct remote_line *line)
{
    struct pollfd p = {.fd = line->stop_fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

int remote_line_set(struct remote_line *line, int fd, struct err *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), old;

    if (copy < 0)
        return err_set(err, errno, "one more descriptor");
    pthread_mutex_lock(&lines_lock);
    old = line->line_fd;
    line->line_fd = copy;
    pthread_mutex_unlock(&lines_lock);
    close_p(&old);
    return remote_line_is_stopped(line) ? err_set(err, ECANCELED, "connecting to %s", line->host)
                                        : 0;
}

/* ---- the thread ---- */

static int line_thread_start(struct remote_line *line);

/*
 * The host opens no more channels on this connection: a connection for this program alone. A password was forgotten after the
 * login, so there such a host's word stands.
 */
static int line_move(struct remote_line *line, struct remote *remote, struct err *err)
{
    const struct remote_options options = {
        .host_keys = line->host_keys, .config = line->config, .known_hosts = line->known_hosts};
    struct remote_line *own = line_new(&line->at, &options);
    int r;

    if (!own)
        return err_set(err, ENOMEM, "memory for one more connection");
    line_take_out(line, remote);
    pthread_mutex_lock(&lines_lock);
    remote->line = own;
    remote->next = NULL;
    own->programs = remote;
    r = line_thread_start(own);
    if (r < 0) {
        remote->line = line;
        remote->next = line->programs;
        line->programs = remote;
    }
    pthread_mutex_unlock(&lines_lock);
    if (r == 0)
        return 0;
    line_free(own);
    return err_set(err, r, "a thread for one more connection to %s", line->host);
}

static void line_start(struct remote_line *line, struct remote *remote)
{
    struct err err = {0};
    int r = remote_start(remote, &err);

    if (r == -EUSERS && remote->next == NULL && line_first(line) == remote)
        r = -EACCES;
    if (r == -EUSERS && !line->has_password) {
        if (line_move(line, remote, &err) == 0)
            return;
        r = -err.code;
    }
    if (r < 0 && (line_is_told(remote) || remote_line_is_stopped(line)))
        r = err_set(&err, ECANCELED, "reaching %s", line->at.arg);
    if (r == 0) {
        remote->running = true;
        remote->beat_ns = clock_mono_ns() + (uint64_t)REMOTE_BEAT_S * CLOCK_S;
        text_copy(remote->address, sizeof remote->address, line->address);
    } else {
        line_take_out(line, remote);
    }
    remote_ready(remote, r, &err);
    if (r < 0)
        line_let_go(remote);
}

/* Programs that have ended, or are told to. */
static void line_sweep(struct remote_line *line)
{
    struct remote *next;

    for (struct remote *remote = line_first(line); remote; remote = next) {
        next = remote->next;
        if (!line_is_told(remote) && !(remote->ended && remote_is_empty(&remote->here)))
            continue;
        line_take_out(line, remote);
        if (!remote->running) {
            struct err err = {0};

            remote_ready(remote, err_set(&err, ECANCELED, "reaching %s", line->at.arg), &err);
        }
        line_let_go(remote);
    }
}

/* Until there is no program. */
static void line_serve(struct remote_line *line)
{
    int r = 0;

    for (bool over = false; !over && r >= 0;) {
        struct remote *remote = line_first(line);

        while (remote && remote->running)
            remote = remote->next;
        if (remote)
            line_start(line, remote);
        else
            r = remote_line_turn(line, NULL, clock_mono_ns() + (uint64_t)LINE_LOOK_MS * CLOCK_MS);
        line_sweep(line);
        pthread_mutex_lock(&lines_lock);
        over = !line->programs;
        if (over)
            line_unlist(line);
        pthread_mutex_unlock(&lines_lock);
    }
}

/* Whoever is still there gets err, or the end of what ran. */
static void line_fail(struct remote_line *line, int r, const struct err *err)
{
    struct remote *all, *next;

    pthread_mutex_lock(&lines_lock);
    line_unlist(line);
    all = line->programs;
    line->programs = NULL;
    pthread_mutex_unlock(&lines_lock);
    for (; all; all = next) {
        next = all->next;
        if (!all->running)
            remote_ready(all, r, err);
        line_let_go(all);
    }
}

static void line_close(struct remote_line *line)
{
    if (line->session) {
        ssh_disconnect(line->session);
        ssh_free(line->session);
    }
    line->session = NULL;
    spawned_end(&line->proxy, (uint64_t)REMOTE_STOP_MS / 4 * CLOCK_MS);
}

static void *line_thread(void *arg)
{
    struct remote_line *line = arg;
    struct err err = {0};
    sigset_t set;
    int r;

    /* A pipe or a connection that is closed answers EPIPE. */
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    r = remote_connect(line, &err);
    if (r == 0)
        r = remote_login(line, &err);
    remote_line_forget(line);
    if (r == 0) {
        line_serve(line);
        r = -ECONNRESET;
        if (remote_line_is_stopped(line))
            r = -ECANCELED;
        err_set(&err, r, "reaching %s", line->at.arg);
    } else if (remote_line_is_stopped(line)) {
        /* A wait inside libssh that was broken has words of its own. */
        r = err_set(&err, ECANCELED, "reaching %s", line->at.arg);
    }
    line_fail(line, r, &err);
    line_close(line);
    pthread_mutex_lock(&lines_lock);
    line->next_ended = lines_ended;
    lines_ended = line;
    lines_alive--;
    pthread_cond_broadcast(&lines_fewer);
    pthread_mutex_unlock(&lines_lock);
    return NULL;
}

/* Under lock: threads that have nothing left to do are gone for good, and what OpenSSL keeps for each. */
static void line_join_ended(void)
{
    while (lines_ended) {
        struct remote_line *line = lines_ended;

        lines_ended = line->next_ended;
        pthread_join(line->thread, NULL);
        line_free(line);
    }
}

bool spawn_ssh_done(void)
{
    struct timespec until;
    bool all;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REMOTE_STOP_MS / 1000;
    pthread_mutex_lock(&lines_lock);
    while (lines_alive && r == 0)
        r = pthread_cond_timedwait(&lines_fewer, &lines_lock, &until);
    line_join_ended();
    all = lines_alive == 0;
    pthread_mutex_unlock(&lines_lock);
    return all;
}

/* Under lock. */
static int line_thread_start(struct remote_line *line)
{
    int r;

    line_join_ended();
    r = -pthread_create(&line->thread, NULL, line_thread, line);
    lines_alive += r == 0;
    return r;
}

/* ---- for the callers ---- */

static bool line_is_for(const struct remote_line *line, const struct endpoint_text *at,
                        const struct remote_options *options)
{
    unsigned n = 0;

    for (const struct remote *remote = line->programs; remote; remote = remote->next)
        n++;
    return n < LINE_PROGRAMS_MAX && strcmp(line->at.arg, at->arg) == 0 &&
           strcmp(line->at.user, at->user) == 0 && line->at.port == at->port &&
           strcmp(line->at.host_key, at->host_key) == 0 && line->host_keys == options->host_keys &&
           strcmp(line->config, options->config ? options->config : "") == 0 &&
           strcmp(line->known_hosts, options->known_hosts ? options->known_hosts : "") == 0 &&
           line->has_password == (options->password != NULL);
}

int remote_line_join(struct remote *remote, const struct endpoint_text *at,
                     const struct remote_options *options, struct err *err)
{
    struct remote_line *line;
    int r = 0;

    /* The line's own, before its thread can see it. */
    remote->refs++;
    pthread_mutex_lock(&lines_lock);
    for (line = lines; line && !line_is_for(line, at, options);)
        line = line->next;
    if (line) {
        remote->next = line->programs;
        remote->line = line;
        line->programs = remote;
        remote_tell(line->wake_fd);
    } else if ((line = line_new(at, options))) {
        remote->line = line;
        line->programs = remote;
        r = line_thread_start(line);
        if (r == 0) {
            line->next = lines;
            lines = line;
        } else {
            line_free(line);
        }
    } else {
        r = -ENOMEM;
    }
    pthread_mutex_unlock(&lines_lock);
    return r < 0 ? err_set(err, r, "a thread for %s", at->arg) : 0;
}

void remote_line_stop(struct remote *remote)
{
    struct remote_line *line;
    bool all = true;

    pthread_mutex_lock(&lines_lock);
    remote->stop = true;
    line = remote->line;
    if (line) {
        for (const struct remote *other = line->programs; other; other = other->next)
            all = all && other->stop;
        remote_tell(line->wake_fd);
    }
    if (line && all) {
        /* Nobody joins what is being broken. */
        line_unlist(line);
        remote_tell(line->stop_fd);
        /* What libssh waits for inside comes to its end too. */
        if (line->line_fd >= 0)
            shutdown(line->line_fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&lines_lock);
}
