/* SPDX-License-Identifier: Apache-2.0 */
#include "interop/serve.h"
#include "base/auto.h"
#include "base/clock.h"
#include "interop/serve_test.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum {
    SERVE_PENDING =
        128, /* connections that have not sent their cookie; the oldest goes when more come */
    SERVE_COOKIE_S = 5,
    SERVE_STACK_BYTES = 256 << 10,
    SERVE_KEEP_IDLE_S = 10, /* a client that vanished is found out in 10 + 4 × 5 s */
    SERVE_KEEP_STEP_S = 5,
    SERVE_KEEP_STEPS = 4,
    SERVE_FULL_MS = 50,
    SERVE_WAIT_MS = 500,  /* a look at the deadlines of connections */
    SERVE_RETRY_MS = 100, /* a port that could not be bound again */
};

/* A connection that has not said which test it is of. */
struct serve_pending {
    int fd; /* owned */
    union socket_address peer;
    uint64_t deadline_ns, order;
    char cookie[IPERF3_COOKIE];
    size_t n;
};

void serve_tell(struct serve_test *test)
{
    struct serve *serve = test->serve;

    pthread_mutex_lock(&serve->lock);
    /* A stranger who only knocks does not end a server for one test. */
    serve->n_reports += test->phase == SERVE_RUNNING && test->report.n_flows;
    pthread_mutex_unlock(&serve->lock);
    /* Not under the lock that serves: a reader who is slow to take the report keeps nobody else waiting. */
    pthread_mutex_lock(&serve->report_lock);
    serve->on_report(serve->arg, &test->report);
    pthread_mutex_unlock(&serve->report_lock);
}

static void serve_test_free(struct serve_test *test)
{
    for (uint32_t i = 0; i < test->n_streams; i++)
        close_p(&test->stream_fds[i]);
    close_p(&test->fd);
    close_p(&test->came_fd);
    free(test);
}

static void *serve_thread(void *arg)
{
    struct serve_test *test = arg;
    struct serve *serve = test->serve;

    if (test->cookie[0])
        iperf3_server_test(test);
    else
        iperf2_server_test(test);
    /* Now, not when it is joined: the client must not wait for that. */
    pthread_mutex_lock(&serve->lock);
    close_p(&test->fd);
    test->fd = -1;
    test->over = true;
    pthread_cond_broadcast(&serve->changed);
    pthread_mutex_unlock(&serve->lock);
    eventfd_write(serve->over_fd, 1);
    return NULL;
}

/* The lists of tests, and what goes with them; under lock. */
static void serve_list_add(struct serve *serve, struct serve_test *test)
{
    test->next = serve->tests;
    serve->tests = test;
    serve->n_tests++;
}

static void serve_list_drop(struct serve *serve, struct serve_test **at)
{
    serve->udp_bytes -= (*at)->udp_bytes;
    serve->n_tests--;
    *at = (*at)->next;
}

static int serve_start_thread(struct serve_test *test)
{
    pthread_attr_t attr;
    sigset_t all, was;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, SERVE_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    r = pthread_create(&test->thread, &attr, serve_thread, test);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    pthread_attr_destroy(&attr);
    return -r;
}

bool serve_begin(struct serve *serve, int fd, const union socket_address *peer, const char *cookie,
                 bool udp)
{
    struct serve_test *test = calloc(1, sizeof *test);
    socklen_t len = sizeof test->local;

    if (!test)
        return false;
    test->serve = serve;
    test->peer = *peer;
    test->udp = udp;
    test->fd = -1;
    test->came_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (test->came_fd < 0) {
        serve_test_free(test);
        return false;
    }
    test->report.tool = cookie ? "iperf3" : "iperf2";
    serve_name_client(&test->report, peer);
    if (cookie)
        memcpy(test->cookie, cookie, IPERF3_COOKIE);
    getsockname(fd, &test->local.any, &len);
    pthread_mutex_lock(&serve->lock);
    test->fd = fd;
    if (udp)
        socket_receive_buffer(fd, serve_udp_share(test, 1));
    serve_list_add(serve, test);
    pthread_mutex_unlock(&serve->lock);
    if (serve_start_thread(test) == 0)
        return true;
    /* It is the first: this thread alone adds and removes. */
    pthread_mutex_lock(&serve->lock);
    serve_list_drop(serve, &serve->tests);
    pthread_mutex_unlock(&serve->lock);
    test->fd = -1;
    serve_test_free(test);
    return false;
}

/* Join what is over. */
static void serve_reap(struct serve *serve, bool all)
{
    struct serve_test *over = NULL, **at = &serve->tests;
    eventfd_t n = 0;

    eventfd_read(serve->over_fd, &n);
    pthread_mutex_lock(&serve->lock);
    while (*at) {
        struct serve_test *test = *at;

        if (test->over || all) {
            serve_list_drop(serve, at);
            test->next = over;
            over = test;
        } else {
            at = &test->next;
        }
    }
    pthread_mutex_unlock(&serve->lock);
    while (over) {
        struct serve_test *test = over;

        over = test->next;
        pthread_join(test->thread, NULL);
        serve_test_free(test);
    }
}

static void serve_drop_pending(struct serve *serve, uint32_t i)
{
    close_p(&serve->pending[i].fd);
    serve->pending[i] = serve->pending[--serve->n_pending];
}

static void serve_drop_oldest(struct serve *serve)
{
    uint32_t oldest = 0;

    for (uint32_t i = 1; i < serve->n_pending; i++)
        if (serve->pending[i].order < serve->pending[oldest].order)
            oldest = i;
    if (serve->n_pending)
        serve_drop_pending(serve, oldest);
}

/* The control connection tells when a client has vanished without a word. */
static void serve_keep_alive(int fd)
{
    int on = 1, idle = SERVE_KEEP_IDLE_S, step = SERVE_KEEP_STEP_S, steps = SERVE_KEEP_STEPS;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step, sizeof step);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &steps, sizeof steps);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool serve_has_room(struct serve *serve, bool unproven)
{
    uint32_t n = 0, most = serve->options.max_clients / SERVE_UNPROVEN_PART;
    bool room;

    pthread_mutex_lock(&serve->lock);
    for (struct serve_test *test = serve->tests; test; test = test->next)
        n += !test->over && test->udp && !test->cookie[0] && !atomic_load(&test->proven);
    room = serve->n_tests < serve->options.max_clients &&
           !(serve->options.one && (serve->n_tests || serve->n_reports)) &&
           (!unproven || n < (most ? most : 1));
    pthread_mutex_unlock(&serve->lock);
    return room;
}

/* A test's stream, if there is a test of that cookie; -ENOENT there is none, -EBUSY it takes no streams. */
static int serve_give_stream(struct serve *serve, const struct serve_pending *p)
{
    int r = -ENOENT;

    pthread_mutex_lock(&serve->lock);
    for (struct serve_test *test = serve->tests; test && r == -ENOENT; test = test->next) {
        if (test->over || memcmp(test->cookie, p->cookie, IPERF3_COOKIE) != 0)
            continue;
        r = -EBUSY;
        if (test->phase != SERVE_STREAMS || test->udp || test->n_streams >= test->n_wanted)
            continue;
        test->stream_fds[test->n_streams] = p->fd;
        test->orders[test->n_streams++] = p->order;
        eventfd_write(test->came_fd, 1);
        r = 0;
    }
    pthread_mutex_unlock(&serve->lock);
    return r;
}

/* A cookie is complete: a stream of a test, or a new test. */
static void serve_sort(struct serve *serve, uint32_t i)
{
    struct serve_pending *p = &serve->pending[i];
    const int8_t denied = IPERF3_ACCESS_DENIED;
    int r;

    p->cookie[IPERF3_COOKIE - 1] = 0;
    r = p->cookie[0] ? serve_give_stream(serve, p) : -EBADMSG;
    if (r == -ENOENT && serve_has_room(serve, false)) {
        serve_keep_alive(p->fd);
        r = serve_begin(serve, p->fd, &p->peer, p->cookie, false) ? 0 : -ENOMEM;
    }
    if (r == 0)
        p->fd = -1;
    else if (send(p->fd, &denied, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        shutdown(p->fd, SHUT_RDWR);
    serve_drop_pending(serve, i);
}

static void serve_read_cookie(struct serve *serve, uint32_t i)
{
    struct serve_pending *p = &serve->pending[i];
    ssize_t n = recv(p->fd, p->cookie + p->n, sizeof p->cookie - p->n, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        serve_drop_pending(serve, i);
        return;
    }
    p->n += (size_t)n;
    if (p->n == sizeof p->cookie)
        serve_sort(serve, i);
}

/* Take connections; iperf2's are tests at once, iperf3's have to show their cookie. */
static void serve_accept(struct serve *serve, int listen_fd)
{
    for (int round = 0; round < SERVE_ROUNDS; round++) {
        union socket_address peer = {0};
        socklen_t len = sizeof peer;
        int fd = accept4(listen_fd, &peer.any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            /* No descriptor left: the listener stays readable, so give it time, and the oldest's. */
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                serve_drop_oldest(serve);
                poll(NULL, 0, SERVE_FULL_MS);
            }
            return;
        }
        if (!serve_allowed(&serve->options, &peer)) {
            close(fd);
        } else if (listen_fd == serve->iperf2_fd) {
            serve_keep_alive(fd);
            if (!serve_has_room(serve, false) || !serve_begin(serve, fd, &peer, NULL, false))
                close(fd);
        } else {
            if (serve->n_pending == SERVE_PENDING)
                serve_drop_oldest(serve);
            serve->pending[serve->n_pending++] = (struct serve_pending){
                .fd = fd,
                .peer = peer,
                .order = serve->n_accepted++,
                .deadline_ns = clock_mono_ns() + SERVE_COOKIE_S * (uint64_t)CLOCK_S,
            };
        }
    }
}

enum {
    SERVE_STOP,
    SERVE_OVER,
    SERVE_TCP3,
    SERVE_UDP3,
    SERVE_TCP2,
    SERVE_UDP2,
    SERVE_STAMP,
    SERVE_FDS
};

static void serve_round(struct serve *serve, struct pollfd *polls, uint32_t n_pending)
{
    uint64_t now = clock_mono_ns();

    if (polls[SERVE_OVER].revents)
        serve_reap(serve, false);
    /* From the last to the first: dropping one moves the last into its place. */
    for (uint32_t i = n_pending; i-- > 0;) {
        if (polls[SERVE_FDS + i].revents)
            serve_read_cookie(serve, i);
        else if (now >= serve->pending[i].deadline_ns)
            serve_drop_pending(serve, i);
    }
    if (polls[SERVE_TCP3].revents)
        serve_accept(serve, serve->iperf3_fd);
    if (polls[SERVE_TCP2].revents)
        serve_accept(serve, serve->iperf2_fd);
    if (polls[SERVE_UDP3].revents)
        serve_iperf3_udp(serve);
    if (polls[SERVE_UDP2].revents)
        serve_iperf2_udp(serve);
    if (polls[SERVE_STAMP].revents)
        stamp_reflect(&serve->stamp);
}

int serve_run(struct serve *serve, int stop_fd, struct err *err)
{
    struct pollfd polls[SERVE_FDS + SERVE_PENDING];

    for (;;) {
        bool lacks = serve->options.iperf2_port && serve_iperf2_listen(serve) < 0, done;
        uint32_t n = serve->n_pending;

        polls[SERVE_STOP] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
        polls[SERVE_OVER] = (struct pollfd){.fd = serve->over_fd, .events = POLLIN};
        polls[SERVE_TCP3] = (struct pollfd){.fd = serve->iperf3_fd, .events = POLLIN};
        polls[SERVE_UDP3] = (struct pollfd){.fd = serve->iperf3_udp_fd, .events = POLLIN};
        polls[SERVE_TCP2] = (struct pollfd){.fd = serve->iperf2_fd, .events = POLLIN};
        polls[SERVE_UDP2] = (struct pollfd){.fd = serve->iperf2_udp_fd, .events = POLLIN};
        polls[SERVE_STAMP] = (struct pollfd){.fd = serve->stamp_fd, .events = POLLIN};
        for (uint32_t i = 0; i < n; i++)
            polls[SERVE_FDS + i] = (struct pollfd){.fd = serve->pending[i].fd, .events = POLLIN};
        if (poll(polls, SERVE_FDS + n,
                 lacks ? SERVE_RETRY_MS
                 : n   ? SERVE_WAIT_MS
                       : -1) < 0 &&
            errno != EINTR)
            return err_set(err, errno, "waiting for clients");
        if (polls[SERVE_STOP].revents)
            return 0;
        serve_round(serve, polls, n);
        pthread_mutex_lock(&serve->lock);
        done = serve->options.one && serve->n_reports > 0 && serve->n_tests == 0;
        pthread_mutex_unlock(&serve->lock);
        if (done)
            return 0;
    }
}

static int serve_open_ports(struct serve *serve, struct err *err)
{
    const struct serve_options *o = &serve->options;
    int r = 0;

    if (o->iperf3_port)
        r = serve_bind(o, SOCK_STREAM, o->iperf3_port, &serve->iperf3_fd, err);
    if (r == 0 && o->iperf3_port)
        r = serve_bind(o, SOCK_DGRAM, o->iperf3_port, &serve->iperf3_udp_fd, err);
    if (r == 0 && o->iperf2_port)
        r = serve_bind(o, SOCK_STREAM, o->iperf2_port, &serve->iperf2_fd, err);
    if (r == 0 && o->iperf2_port)
        r = serve_bind(o, SOCK_DGRAM, o->iperf2_port, &serve->iperf2_udp_fd, err);
    if (r == 0)
        serve_udp_share_ports(serve);
    if (r == 0 && o->stamp_port)
        r = serve_bind(o, SOCK_DGRAM, o->stamp_port, &serve->stamp_fd, err);
    if (r == 0 && o->stamp_port)
        r = stamp_reflector_init(&serve->stamp, serve->stamp_fd, err);
    return r;
}

int serve_open(const struct serve_options *options, serve_report_fn *on_report, void *arg,
               struct serve **ret_serve, struct err *err)
{
    struct serve *serve = calloc(1, sizeof *serve);
    pthread_condattr_t monotonic;
    int r;

    if (!serve)
        return err_set(err, ENOMEM, "a server");
    serve->options = *options;
    serve->on_report = on_report;
    serve->arg = arg;
    serve->iperf3_fd = serve->iperf3_udp_fd = serve->iperf2_fd = serve->iperf2_udp_fd = -1;
    serve->stamp_fd = serve->iperf2_next_fd = -1;
    pthread_mutex_init(&serve->lock, NULL);
    pthread_mutex_init(&serve->report_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&serve->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    serve->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    serve->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    serve->pending = calloc(SERVE_PENDING, sizeof *serve->pending);
    r = serve->stop_fd < 0 || serve->over_fd < 0 || !serve->pending
            ? err_set(err, ENOMEM, "a server")
            : serve_open_ports(serve, err);
    if (r < 0) {
        serve_close(serve);
        return r;
    }
    *ret_serve = serve;
    return 0;
}

void serve_close(struct serve *serve)
{
    if (!serve)
        return;
    if (serve->stop_fd >= 0)
        eventfd_write(serve->stop_fd, 1);
    pthread_mutex_lock(&serve->lock);
    pthread_cond_broadcast(&serve->changed);
    pthread_mutex_unlock(&serve->lock);
    serve_reap(serve, true);
    while (serve->n_pending)
        serve_drop_pending(serve, 0);
    free(serve->pending);
    close_p(&serve->iperf3_fd);
    close_p(&serve->iperf3_udp_fd);
    close_p(&serve->iperf2_fd);
    close_p(&serve->iperf2_udp_fd);
    close_p(&serve->iperf2_next_fd);
    stamp_reflector_done(&serve->stamp);
    close_p(&serve->stamp_fd);
    close_p(&serve->stop_fd);
    close_p(&serve->over_fd);
    pthread_cond_destroy(&serve->changed);
    pthread_mutex_destroy(&serve->lock);
    pthread_mutex_destroy(&serve->report_lock);
    free(serve);
}
