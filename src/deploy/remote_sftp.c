/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's bytes by SFTP, for a host whose shell has no program to read them.
 *
 * libssh's SFTP waits for each answer. So the connection waits as long as a login does: what other programs on it say
 * stays in libssh until the file is there, well below a second as a rule, REMOTE_ANSWER_S an answer at most.
 */
#include "deploy/remote_session.h"

#include <errno.h>
#include <fcntl.h>

/* Each write has an answer of its own: as much as servers take at once. */
enum { SFTP_PART = 32768 };

static int sftp_send(sftp_session sftp, const char *path, const uint8_t *bytes, size_t n)
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
    }
    return sftp_close(file) == SSH_OK && done == n ? 0 : -EIO;
}

int remote_sftp_put(struct remote *remote, const char *path, const uint8_t *bytes, size_t n,
                    struct err *err)
{
    ssh_session session = remote->line->session;
    sftp_session sftp;
    int r = -EIO;

    ssh_set_blocking(session, 1);
    sftp = sftp_new(session);
    if (sftp && sftp_init(sftp) == SSH_OK)
        r = sftp_send(sftp, path, bytes, n);
    if (r < 0)
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
