/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/probe_knock.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "traffic/endpoint.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    KNOCK_TRIES = 4, /* TCP: one more connection beside those that have brought nothing, each … */
    KNOCK_TRY_MS = 400, /* … so long after the last: the kernel itself repeats a SYN after 1 s */
    KNOCK_HELLO_FIRST_MS = 25, /* UDP: doubled from one hello to the next … */
    KNOCK_HELLO_MS = 200,      /* … up to this */
    KNOCK_ROUNDS = 16,
};

/* One connection, or the one socket of UDP. */
struct knock_try {
    int fd; /* owned; -1 none */
    bool connected;
    uint8_t welcome[TOKEN_WELCOME_BYTES + 1]; /* one more, to know longer datagrams */
    size_t n_welcome;
};

struct knock_job {
    const struct probe_knock *knock; /* lent */
    struct flow_spec spec;
    struct knock_try tries[KNOCK_TRIES];
    unsigned n_tries;
    uint64_t next_ns, step_ns; /* when the next connection or hello is due */
    bool done;
    struct probe_answer answer;
};

static void job_end(struct knock_job *job, enum probe_end end, int error)
{
    job->done = true;
    job->answer = (struct probe_answer){.end = end, .error = error};
}

static void job_init(struct knock_job *job, const struct probe_knocks *knocks, uint32_t i)
{
    const struct probe_knock *knock = &knocks->knock[i];

    job->knock = knock;
    job->spec = (struct flow_spec){.kind = knock->udp ? FLOW_UDP_RR : FLOW_TCP_RR,
                                   .role = FLOW_CLIENT,
                                   .n_flows = 1,
                                   .port = knock->port,
                                   .dscp = knock->dscp};
    text_copy(job->spec.address, sizeof job->spec.address, knock->address);
    text_copy(job->spec.bind, sizeof job->spec.bind, knock->bind);
    memcpy(job->spec.token, knocks->token, sizeof job->spec.token);
    job->answer.end = PROBE_SILENT;
    for (unsigned k = 0; k < KNOCK_TRIES; k++)
        job->tries[k].fd = -1;
}

/* A socket on its way to the door; an error is the knock's answer. */
static void job_connect(struct knock_job *job)
{
    struct knock_try *t = &job->tries[job->n_tries++];
    int type = job->knock->udp ? SOCK_DGRAM : SOCK_STREAM;
    union socket_address address;
    struct err err = {0};
    socklen_t len;
    int r = socket_address(job->spec.address, job->spec.port, &address, &len, &err);

    if (r == 0) {
        t->fd = socket(address.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        r = t->fd < 0 ? -errno : socket_prepare(t->fd, &job->spec, &err);
    }
    if (r == 0 && connect(t->fd, &address.any, len) < 0 && errno != EINPROGRESS)
        r = -errno;
    if (r < 0)
        job_end(job, PROBE_ERROR, -r);
}

static void job_hello(struct knock_job *job, const struct knock_try *t)
{
    uint8_t hello[TOKEN_HELLO_BYTES];

    token_write_hello(&job->spec, job->knock->number, hello);
    if (send(t->fd, hello, sizeof hello, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOBUFS)
        job_end(job, PROBE_ERROR, errno);
}

/* What is due: another connection, or another hello. */
static void job_due(struct knock_job *job, uint64_t now)
{
    if (!job->knock->udp) {
        job->next_ns = now + KNOCK_TRY_MS * (uint64_t)CLOCK_MS;
        job_connect(job);
        if (job->n_tries == KNOCK_TRIES)
            job->next_ns = UINT64_MAX;
        return;
    }
    if (!job->n_tries)
        job_connect(job);
    if (!job->done)
        job_hello(job, &job->tries[0]);
    job->step_ns = job->step_ns ? job->step_ns * 2 : KNOCK_HELLO_FIRST_MS * (uint64_t)CLOCK_MS;
    if (job->step_ns > KNOCK_HELLO_MS * (uint64_t)CLOCK_MS)
        job->step_ns = KNOCK_HELLO_MS * (uint64_t)CLOCK_MS;
    job->next_ns = now + job->step_ns;
}

/* TCP: a connection stands, or has failed. */
static void job_stands(struct knock_job *job, struct knock_try *t)
{
    int code = 0;
    socklen_t len = sizeof code;

    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
        code = errno;
    if (code) {
        job_end(job, PROBE_ERROR, code);
        return;
    }
    t->connected = true;
    job_hello(job, t);
}

/* The welcome, or a part of it. */
static void job_read(struct knock_job *job, struct knock_try *t)
{
    bool udp = job->knock->udp;

    for (int i = 0; i < KNOCK_ROUNDS && !job->done; i++) {
        size_t room = (udp ? sizeof t->welcome : TOKEN_WELCOME_BYTES) - t->n_welcome;
        ssize_t n = recv(t->fd, t->welcome + t->n_welcome, room, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        /* Who closes at our hello, or breaks off, has not known it. */
        if (!udp && (n == 0 || (n < 0 && (errno == ECONNRESET || errno == EPIPE)))) {
            job_end(job, PROBE_STRANGER, 0);
        } else if (n < 0) {
            job_end(job, PROBE_ERROR, errno);
        } else if (udp) {
            if (n == TOKEN_WELCOME_BYTES &&
                token_is_welcome(&job->spec, job->knock->number, t->welcome))
                job_end(job, PROBE_REACHED, 0);
            else
                job->answer.end = PROBE_STRANGER; /* unless ours comes, too */
        } else if ((t->n_welcome += (size_t)n) == TOKEN_WELCOME_BYTES) {
            job_end(job,
                    token_is_welcome(&job->spec, job->knock->number, t->welcome) ? PROBE_REACHED
                                                                                 : PROBE_STRANGER,
                    0);
        }
    }
}

static void job_close(struct knock_job *job)
{
    for (unsigned k = 0; k < KNOCK_TRIES; k++) {
        close_p(&job->tries[k].fd);
        job->tries[k].fd = -1;
    }
}

static short job_events(const struct knock_job *job, const struct knock_try *t)
{
    return job->knock->udp || t->connected ? POLLIN : POLLOUT;
}

/* One round over all; false when none is left. */
static bool knock_step(struct knock_job *jobs, uint32_t n, struct pollfd *polls,
                       uint64_t deadline_ns)
{
    uint64_t now = clock_mono_ns(), until = deadline_ns;
    unsigned n_left = 0;

    for (uint32_t i = 0; i < n; i++) {
        struct knock_job *job = &jobs[i];

        if (!job->done && now >= job->next_ns)
            job_due(job, now);
        if (job->done)
            job_close(job);
        else if (job->next_ns < until)
            until = job->next_ns;
        n_left += !job->done;
        for (unsigned k = 0; k < KNOCK_TRIES; k++)
            polls[i * KNOCK_TRIES + k] =
                (struct pollfd){.fd = job->tries[k].fd, .events = job_events(job, &job->tries[k])};
    }
    if (!n_left || now >= deadline_ns)
        return false;
    if (poll(polls, n * KNOCK_TRIES, clock_ms_until(until)) <= 0)
        return true;
    for (uint32_t i = 0; i < n * KNOCK_TRIES; i++) {
        struct knock_job *job = &jobs[i / KNOCK_TRIES];
        struct knock_try *t = &job->tries[i % KNOCK_TRIES];

        if (!polls[i].revents || job->done)
            continue;
        if (job->knock->udp || t->connected)
            job_read(job, t);
        else
            job_stands(job, t);
    }
    return true;
}

int probe_knock_all(const struct probe_knocks *knocks,
                    struct probe_answer ret_answers[PROBE_MAX_KNOCKS], struct err *err)
{
    const uint64_t deadline = clock_mono_ns() + knocks->wait_ns;
    AUTO(free_p) struct knock_job *jobs = calloc(knocks->n, sizeof *jobs);
    AUTO(free_p)
    struct pollfd *polls = calloc((size_t)knocks->n * KNOCK_TRIES, sizeof *polls);

    if (!jobs || !polls)
        return err_set(err, ENOMEM, "memory for knocks");
    for (uint32_t i = 0; i < knocks->n; i++)
        job_init(&jobs[i], knocks, i);
    while (knock_step(jobs, knocks->n, polls, deadline))
        ;
    for (uint32_t i = 0; i < knocks->n; i++) {
        struct knock_job *job = &jobs[i];

        for (unsigned k = 0; k < KNOCK_TRIES && !job->done && job->answer.end == PROBE_SILENT; k++)
            if (job->tries[k].connected)
                job->answer.end = PROBE_CONNECTED;
        job_close(job);
        ret_answers[i] = job->answer;
    }
    return 0;
}
