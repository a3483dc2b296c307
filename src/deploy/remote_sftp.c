/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's bytes by SFTP, for a host whose shell has no program to read them.
 *
 * libssh's SFTP waits for each answer, without an end of its own: whoever does not answer in time has the connection closed under
 * it. What other programs on it say stays in libssh until the file is there, well below a second as a rule.
 */
#include "base/auto.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* Each write has an answer of its own: as much as servers take at once. */
enum { SFTP_PART = 32768 };

/* Beside the put: ends the connection when an answer takes too long. */
struct sftp_guard {
    pthread_t thread;
    int event_fd; /* eventfd: there was an answer, or the put is over; -1 no guard */
    int line_fd;
    _Atomic bool over;
    bool late; /* written by the guard; read when it has ended */
};

static int sftp_send(sftp_session sftp, const char *path, const uint8_t *bytes, size_t n,
                     const struct sftp_guard *guard)
{
    sftp_file file = sftp_open(sftp, path, O_WRONLY | O_TRUNC, S_IRWXU);
    size_t done = 0;

    if (!file)
        return -EIO;
    while (done < n) {
        ssize_t sent = sftp_write(file, bytes + done, n - done < SFTP_PART ? n - done : SFTP_PART);

        if (sent <= 0)
            break;
        done += (size_t)sent;
        (void)eventfd_write(guard->event_fd, 1);
    }
    return sftp_close(file) == SSH_OK && done == n ? 0 : -EIO;
}

static void *sftp_guard_run(void *arg)
{
    struct sftp_guard *guard = arg;
    struct pollfd p = {.fd = guard->event_fd, .events = POLLIN};
    eventfd_t answers;
    int n;

    do {
        n = poll(&p, 1, REMOTE_ANSWER_S * 1000);
        if (n > 0)
            (void)eventfd_read(guard->event_fd, &answers);
    } while ((n > 0 && !guard->over) || (n < 0 && errno == EINTR));
    if (n == 0) {
        guard->late = true;
        shutdown(guard->line_fd, SHUT_RDWR);
    }
    return NULL;
}

static int sftp_guard_begin(struct sftp_guard *guard)
{
    int r;

    guard->event_fd = eventfd(0, EFD_CLOEXEC);
    if (guard->event_fd < 0)
        return -errno;
    r = pthread_create(&guard->thread, NULL, sftp_guard_run, guard);
    if (r != 0)
        close_p(&guard->event_fd);
    return -r;
}

static void sftp_guard_end(struct sftp_guard *guard)
{
    if (guard->event_fd < 0)
        return;
    guard->over = true;
    (void)eventfd_write(guard->event_fd, 1);
    pthread_join(guard->thread, NULL);
    close_p(&guard->event_fd);
}

int remote_sftp_put(struct remote *remote, const char *path, const uint8_t *bytes, size_t n,
                    struct err *err)
{
    ssh_session session = remote->line->session;
    struct sftp_guard guard = {.event_fd = -1, .line_fd = remote->line->line_fd};
    sftp_session sftp;
    int r = sftp_guard_begin(&guard);

    if (r < 0)
        return remote_say(err, -r, "a thread beside SFTP");
    r = -EIO;
    ssh_set_blocking(session, 1);
    sftp = sftp_new(session);
    if (sftp && sftp_init(sftp) == SSH_OK)
        r = sftp_send(sftp, path, bytes, n, &guard);
    sftp_guard_end(&guard);
    if (r < 0 && guard.late)
        r = remote_say(err, ETIMEDOUT, "%s gave no answer to SFTP within %d s", remote->line->host,
                       REMOTE_ANSWER_S);
    else if (r < 0)
        r = ssh_is_connected(session)
                ? remote_say(err, ENOEXEC,
                             "%s has no programs that read the agent (head or dd, and cat), and "
                             "SFTP does not put it at %s: %s (--agent-path names one that is "
                             "installed)",
                             remote->line->host, path,
                             ssh_get_error(session)[0] ? ssh_get_error(session)
                                                       : "the server refuses")
                : remote_say(err, ECONNRESET, "the connection to %s was lost", remote->line->host);
    if (sftp)
        sftp_free(sftp);
    ssh_set_blocking(session, 0);
    return r;
}
