/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ssh-agent, as libssh is to see it: its keys in our order, or those alone that the configuration names. libssh talks to one
 * end of a pair of sockets and waits there without a deadline; a thread at the other end asks the agent, with one.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "deploy/agent_keys.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    AGENT_LIST_S = 5, /* no person is asked for that */
    AGENT_SIGNATURE_S = REMOTE_PERSON_S,
    AGENT_NAMED_MAX = 4 * REMOTE_IDENTITY_MAX,
    AGENT_LINE_SIZE = 16384,
    AGENT_LIST_KEYS_AT = 5,
};

struct remote_agent {
    int agent_fd;  /* owned */
    int ours_fd;   /* owned: the other one is libssh's */
    int stop_fd;   /* lent by the line */
    uint8_t *list; /* owned: what libssh is told */
    size_t n_list;
    pthread_t thread;
};

/* ---- messages ---- */

static int agent_move(const struct remote_agent *agent, int fd, uint8_t *bytes, size_t n, bool out,
                      uint64_t deadline_ns)
{
    for (size_t done = 0; done < n;) {
        struct pollfd p[2] = {{.fd = agent->stop_fd, .events = POLLIN},
                              {.fd = fd, .events = out ? POLLOUT : POLLIN}};
        int r = poll(p, 2, clock_ms_until(deadline_ns));
        ssize_t moved;

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0 || p[0].revents)
            return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : -ECANCELED;
        moved = out ? send(fd, bytes + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT)
                    : recv(fd, bytes + done, n - done, MSG_DONTWAIT);
        if (moved < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (moved <= 0)
            return moved < 0 ? -errno : -EPIPE;
        done += (size_t)moved;
    }
    return 0;
}

static int agent_send(const struct remote_agent *agent, int fd, uint8_t *bytes, size_t n,
                      uint64_t deadline_ns)
{
    uint8_t head[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    int r = agent_move(agent, fd, head, sizeof head, true, deadline_ns);

    return r < 0 ? r : agent_move(agent, fd, bytes, n, true, deadline_ns);
}

static int agent_receive(const struct remote_agent *agent, int fd, uint64_t deadline_ns,
                         uint8_t **ret_bytes, size_t *ret_n)
{
    AUTO(free_p) uint8_t *bytes = NULL;
    uint8_t head[4] = {0};
    size_t n;
    int r = agent_move(agent, fd, head, sizeof head, false, deadline_ns);

    if (r < 0)
        return r;
    n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (n == 0 || n > AGENT_KEYS_MESSAGE_MAX)
        return -EPROTO;
    bytes = malloc(n);
    if (!bytes)
        return -ENOMEM;
    r = agent_move(agent, fd, bytes, n, false, deadline_ns);
    if (r < 0)
        return r;
    *ret_bytes = TAKE(bytes);
    *ret_n = n;
    return 0;
}

/* ---- the thread ---- */

/* One request of libssh's, until it or the login ends. */
static int agent_serve(struct remote_agent *agent)
{
    AUTO(free_p) uint8_t *request = NULL;
    AUTO(free_p) uint8_t *answer = NULL;
    size_t n = 0;
    uint64_t deadline_ns;
    int r = agent_receive(agent, agent->ours_fd, UINT64_MAX, &request, &n);

    if (r < 0)
        return r;
    deadline_ns = clock_mono_ns() + (uint64_t)AGENT_SIGNATURE_S * CLOCK_S;
    if (request[0] == AGENT_KEYS_ASK)
        return agent_send(agent, agent->ours_fd, agent->list, agent->n_list, deadline_ns);
    r = agent_send(agent, agent->agent_fd, request, n, deadline_ns);
    if (r == 0)
        r = agent_receive(agent, agent->agent_fd, deadline_ns, &answer, &n);
    return r < 0 ? r : agent_send(agent, agent->ours_fd, answer, n, deadline_ns);
}

static void *agent_thread(void *arg)
{
    struct remote_agent *agent = arg;

    while (agent_serve(agent) == 0)
        continue;
    /* libssh waits for no answer that does not come. */
    shutdown(agent->ours_fd, SHUT_RDWR);
    return NULL;
}

/* ---- what it is to offer ---- */

static void agent_name(const char *file, const char *end, struct agent_key *named, size_t *n)
{
    char path[300], line[AGENT_LINE_SIZE];
    AUTO(fclose_p) FILE *from = NULL;

    snprintf(path, sizeof path, "%s%s", file, end);
    from = fopen(path, "re");
    if (from && *n < AGENT_NAMED_MAX && fgets(line, sizeof line, from) &&
        agent_keys_read(line, &named[*n]) == 0)
        ++*n;
}

/* The keys whose public halves are in files that the configuration names; certificates first, as OpenSSH has it. */
static size_t agent_named(const struct remote_identities *identities, struct agent_key *ret_named)
{
    size_t n = 0;

    for (size_t i = 0; i < identities->n_certificates; i++)
        agent_name(identities->certificates[i], "", ret_named, &n);
    for (size_t i = 0; i < identities->n_files; i++) {
        agent_name(identities->files[i], "-cert.pub", ret_named, &n);
        agent_name(identities->files[i], ".pub", ret_named, &n);
        /* People name the public half where the agent has the other. */
        agent_name(identities->files[i], "", ret_named, &n);
    }
    return n;
}

/* Ask the agent, and keep what libssh is to be told. 1 there are keys; 0 none */
static int agent_list(struct remote_agent *agent, const struct remote_identities *identities)
{
    const uint64_t deadline_ns = clock_mono_ns() + (uint64_t)AGENT_LIST_S * CLOCK_S;
    struct agent_key named[AGENT_NAMED_MAX];
    AUTO(free_p) uint8_t *all = NULL;
    uint8_t ask = AGENT_KEYS_ASK;
    size_t n_all = 0, n_named;
    int r = agent_send(agent, agent->agent_fd, &ask, 1, deadline_ns);

    if (r == 0)
        r = agent_receive(agent, agent->agent_fd, deadline_ns, &all, &n_all);
    if (r < 0)
        return r;
    n_named = agent_named(identities, named);
    r = agent_keys_pick(all, n_all, named, n_named, identities->only, &agent->list, &agent->n_list);
    for (size_t i = 0; i < n_named; i++)
        free(named[i].bytes);
    return r < 0 ? r : agent->n_list > AGENT_LIST_KEYS_AT;
}

static int agent_dial(struct remote_agent *agent, const struct remote_identities *identities)
{
    const char *path = identities->agent;
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (!path[0] || strcmp(path, "SSH_AUTH_SOCK") == 0)
        path = getenv("SSH_AUTH_SOCK");
    else if (path[0] == '$')
        path = getenv(path + 1);
    if (!path || !path[0] || strcmp(path, "none") == 0 || strlen(path) >= sizeof to.sun_path)
        return -ENOENT;
    memcpy(to.sun_path, path, strlen(path));
    agent->agent_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (agent->agent_fd < 0 || connect(agent->agent_fd, (struct sockaddr *)&to, sizeof to) < 0)
        return -errno;
    return 0;
}

/* ---- for the login ---- */

static void agent_free(struct remote_agent *agent)
{
    close_p(&agent->agent_fd);
    close_p(&agent->ours_fd);
    free(agent->list);
    free(agent);
}

/* The pair of sockets, and who answers there. */
static int agent_begin(struct remote_line *line, struct remote_agent *agent)
{
    AUTO(close_p) int theirs = -1;
    int pair[2], r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    agent->ours_fd = pair[0];
    theirs = pair[1];
    r = -pthread_create(&agent->thread, NULL, agent_thread, agent);
    if (r < 0)
        return r;
    if (ssh_set_agent_socket(line->session, theirs) < 0) {
        shutdown(agent->ours_fd, SHUT_RDWR);
        pthread_join(agent->thread, NULL);
        return -ENOMEM;
    }
    /* It closes it with its session. */
    (void)TAKE_FD(theirs);
    line->agent = agent;
    return 0;
}

void remote_agent_open(struct remote_line *line, const struct remote_identities *identities)
{
    struct remote_agent *agent = calloc(1, sizeof *agent);

    if (!agent)
        return;
    agent->agent_fd = agent->ours_fd = -1;
    agent->stop_fd = line->stop_fd;
    /* None, or one that does not answer, is as one without keys. */
    if (agent_dial(agent, identities) < 0 || agent_list(agent, identities) <= 0 ||
        agent_begin(line, agent) < 0)
        agent_free(agent);
}

void remote_agent_close(struct remote_line *line)
{
    struct remote_agent *agent = line->agent;

    if (!agent)
        return;
    line->agent = NULL;
    shutdown(agent->ours_fd, SHUT_RDWR);
    pthread_join(agent->thread, NULL);
    agent_free(agent);
}
