/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One channel: first the talk that puts the program there, then bytes between it and the caller's pipes.
 *
 * libssh is asked without waiting and we poll its socket, together with the caller's pipe and the order to end. What it
 * has taken from the socket already does not show in a poll, so it is asked until it has nothing before each.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum {
    REMOTE_LINE_MAX = 4096,    /* of the talk; of a longer one the end counts */
    REMOTE_TALK_MAX = 1 << 20, /* a profile that says more is none */
};

/* More of a stream into an empty buffer. 1 there is; 0 nothing now; -EPIPE the end, or the connection is lost. */
static int remote_read(struct remote *remote, bool is_stderr, struct remote_bytes *to)
{
    int n = ssh_channel_read_nonblocking(remote->channel, to->data, sizeof to->data, is_stderr);

    if (n > 0) {
        to->used = (size_t)n;
        to->taken = 0;
        return 1;
    }
    /* 0 is not the end. */
    return n == 0 && ssh_is_connected(remote->line->session) &&
                   !ssh_channel_is_eof(remote->channel) && !ssh_channel_is_closed(remote->channel)
               ? 0
               : -EPIPE;
}

short remote_events(const struct remote_line *line)
{
    return (short)(POLLIN | (ssh_get_poll_flags(line->session) & SSH_WRITE_PENDING ? POLLOUT : 0));
}

/* ---- the talk ---- */

struct remote_talk {
    struct remote_bytes bytes;
    struct remote_push push;
    char line[REMOTE_LINE_MAX];
    size_t n_line, total;
    char err_line[512]; /* of its stderr, as far as it has come */
    size_t n_err_line;
    char complaint[200]; /* its last line on stderr */
};

/* The next line of the talk: 1, or 0 more bytes are needed. */
static int remote_cut(struct remote_talk *talk)
{
    struct remote_bytes *b = &talk->bytes;

    while (!remote_is_empty(b)) {
        char c = b->data[b->taken++];

        if (c == '\n') {
            talk->line[talk->n_line] = 0;
            talk->n_line = 0;
            return 1;
        }
        if (c && c != '\r' && talk->n_line + 1 < sizeof talk->line)
            talk->line[talk->n_line++] = c;
    }
    return 0;
}

static int remote_talk_ended(struct remote *remote, const struct remote_talk *talk, struct err *err)
{
    const char *words = talk->complaint[0]    ? talk->complaint
                        : talk->push.stray[0] ? talk->push.stray
                                              : "it said nothing";

    if (!ssh_is_connected(remote->line->session))
        return remote_say(err, ECONNRESET, "the connection to %s was lost", remote->line->host);
    if (talk->push.user[0])
        return remote_say(err, EACCES, "sudo at %s does not let %s start the agent as root: %s",
                          remote->line->host, talk->push.user, words);
    return remote_say(err, ENOEXEC, "%s at %s ended before the program ran: %s",
                      talk->push.heard ? "the shell" : "what the login starts", remote->line->host,
                      words);
}

int remote_send(struct remote *remote, const uint8_t *bytes, size_t n, struct err *err)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_ANSWER_S * CLOCK_S;

    for (size_t done = 0; done < n || remote_events(remote->line) & POLLOUT;) {
        size_t part = n - done < REMOTE_BUFFER ? n - done : REMOTE_BUFFER;
        int sent = part ? ssh_channel_write(remote->channel, bytes + done, (uint32_t)part) : 0, r;

        if (sent < 0 && sent != SSH_AGAIN)
            return remote_say(err, ECONNRESET, "sending the agent to %s: %s", remote->line->host,
                              ssh_get_error(remote->line->session));
        if (sent > 0) {
            done += (size_t)sent;
            deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_ANSWER_S * CLOCK_S;
            continue;
        }
        r = remote_line_turn(remote->line, remote, deadline_ns);
        if (r == 0 && clock_mono_ns() >= deadline_ns)
            r = -ETIMEDOUT;
        if (r < 0)
            return err_set(err, r, "sending the agent to %s", remote->line->host);
        /* Lets libssh read what came, a larger window above all, and write what it has. */
        if (ssh_channel_poll(remote->channel, 1) < 0 && !ssh_is_connected(remote->line->session))
            return remote_say(err, ECONNRESET, "the connection to %s was lost", remote->line->host);
    }
    return 0;
}

/* One line of the talk. 1 the program runs. */
static int remote_hear(struct remote *remote, struct remote_talk *talk, char *line, struct err *err)
{
    const struct remote_push *push = &talk->push;
    int r;

    switch (remote_push_line(&talk->push, line, remote->programs, err)) {
    case REMOTE_STEP_SEND:
        return remote_send(remote, push->program->bytes, push->program->size, err);
    case REMOTE_STEP_SFTP:
        r = remote_sftp_put(remote, push->path, push->program->bytes, push->program->size, err);
        return r < 0 ? r : remote_send(remote, (const uint8_t *)"\n", 1, err);
    case REMOTE_STEP_PASSWORD:
        /* A host that asks unasked gets none. */
        return remote->become ? remote_become_answer(remote, push, err) : 0;
    case REMOTE_STEP_RUN:
        return 1;
    case REMOTE_STEP_FAIL:
        return err_wrap(err, -ENOEXEC, "%s", remote->line->host);
    default:
        return 0;
    }
}

/* What comes on stderr: a question of sudo, or what a shell complains of, for a sentence if it comes to that. */
static int remote_hear_complaint(struct remote *remote, struct remote_talk *talk, struct err *err)
{
    char some[256];
    int n, r = 0;

    while (r == 0 && (n = ssh_channel_read_nonblocking(remote->channel, some, sizeof some, 1)) > 0)
        for (int i = 0; i < n && r == 0; i++) {
            if (some[i] != '\n') {
                if (some[i] && some[i] != '\r' && talk->n_err_line + 1 < sizeof talk->err_line)
                    talk->err_line[talk->n_err_line++] = some[i];
                continue;
            }
            talk->err_line[talk->n_err_line] = 0;
            if (talk->n_err_line && !remote_push_is_ours(talk->err_line))
                text_copy(talk->complaint, sizeof talk->complaint, text_tame(talk->err_line));
            else if (talk->n_err_line)
                r = remote_hear(remote, talk, talk->err_line, err);
            talk->n_err_line = 0;
        }
    return r < 0 ? r : 0;
}

static int remote_converse(struct remote *remote, struct remote_talk *talk, struct err *err)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_ANSWER_S * CLOCK_S;

    for (;;) {
        unsigned n_passwords;
        int r;

        while (remote_cut(talk)) {
            r = remote_hear(remote, talk, talk->line, err);
            if (r != 0)
                return r < 0 ? r : 0;
            deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_ANSWER_S * CLOCK_S;
        }
        n_passwords = talk->push.n_passwords;
        r = remote_hear_complaint(remote, talk, err);
        if (r < 0)
            return r;
        if (talk->push.n_passwords > n_passwords)
            deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_ANSWER_S * CLOCK_S;
        r = remote_read(remote, false, &talk->bytes);
        if (r < 0)
            return remote_talk_ended(remote, talk, err);
        if (r > 0) {
            talk->total += talk->bytes.used;
            if (talk->total > REMOTE_TALK_MAX)
                return remote_say(err, ENOEXEC, "the login at %s says too much",
                                  remote->line->host);
            continue;
        }
        r = remote_line_turn(remote->line, remote, deadline_ns);
        if (r < 0)
            return err_set(err, r, "waiting for %s", remote->line->host);
        if (r == 0 && clock_mono_ns() >= deadline_ns)
            return err_set(err, ETIMEDOUT, "waiting for the shell at %s", remote->line->host);
    }
}

/* What came behind the last line is the program's first word: into the pipe, which has room for it. */
static int remote_hand_on(struct remote *remote, const struct remote_bytes *b, struct err *err)
{
    size_t n = b->used - b->taken;

    if (n && write(remote->to_fd, b->data + b->taken, n) != (ssize_t)n)
        return err_set(err, EPIPE, "handing on what %s said", remote->line->host);
    return 0;
}

/* Something came for the channel; it stays in libssh until it is read. */
static int remote_on_data(ssh_session session, ssh_channel channel, void *data, uint32_t len,
                          int is_stderr, void *arg)
{
    struct remote *remote = arg;

    (void)session, (void)channel, (void)data, (void)len, (void)is_stderr;
    remote->line->n_came++;
    return 0;
}

static void remote_on_end(ssh_session session, ssh_channel channel, void *arg)
{
    struct remote *remote = arg;

    (void)session, (void)channel;
    remote->line->n_came++;
}

/* A channel, and the command in it. -EUSERS the host opens no more channels on this connection. */
static int remote_open(struct remote *remote, const char *command, struct err *err)
{
    const uint64_t deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_ANSWER_S * CLOCK_S;
    ssh_session s = remote->line->session;
    int opened = SSH_AGAIN, asked = SSH_AGAIN, r = 1;

    remote->channel = ssh_channel_new(s);
    if (!remote->channel)
        return err_set(err, ENOMEM, "memory for a channel");
    remote->callbacks = (struct ssh_channel_callbacks_struct){
        .userdata = remote,
        .channel_data_function = remote_on_data,
        .channel_eof_function = remote_on_end,
        .channel_close_function = remote_on_end,
    };
    ssh_callbacks_init(&remote->callbacks);
    ssh_set_channel_callbacks(remote->channel, &remote->callbacks);
    while (r >= 0) {
        if (opened == SSH_AGAIN)
            opened = ssh_channel_open_session(remote->channel);
        if (opened == SSH_OK && asked == SSH_AGAIN)
            asked = ssh_channel_request_exec(remote->channel, command);
        if (asked == SSH_OK)
            return 0;
        if (!ssh_is_connected(s))
            return remote_say(err, ECONNRESET, "the connection to %s was lost", remote->line->host);
        if (opened != SSH_OK && opened != SSH_AGAIN) {
            remote_say(err, EACCES, "%s opens no session for us: %s (its MaxSessions?)",
                       remote->line->host, ssh_get_error(s));
            /* Libssh leaves it half open. */
            ssh_channel_free(TAKE(remote->channel));
            return -EUSERS;
        }
        if (opened == SSH_OK && asked != SSH_AGAIN)
            return remote_say(err, ENOEXEC, "%s runs no command for us: %s", remote->line->host,
                              ssh_get_error(s));
        r = remote_line_turn(remote->line, remote, deadline_ns);
        if (r == 0 && clock_mono_ns() >= deadline_ns)
            r = -ETIMEDOUT;
    }
    return err_set(err, r, "opening a session at %s", remote->line->host);
}

/* ---- what is put there: read once, however many hosts are reached together ---- */

static pthread_mutex_t pump_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pump_shared {
    char *path; /* owned */
    struct remote_programs programs;
    unsigned users;
    struct pump_shared *next;
} * pump_list; /* under pump_lock; the programs are constant while there are users */

static int pump_programs(const char *path, const struct remote_programs **ret_programs,
                         struct err *err)
{
    struct pump_shared *shared;
    int r = 0;

    pthread_mutex_lock(&pump_lock);
    for (shared = pump_list; shared && strcmp(shared->path, path) != 0;)
        shared = shared->next;
    if (!shared) {
        shared = calloc(1, sizeof *shared);
        if (shared)
            shared->path = strdup(path);
        r = shared && shared->path ? remote_programs_read(path, &shared->programs, err)
                                   : err_set(err, ENOMEM, "memory for the agent");
        if (shared && r == 0) {
            shared->next = pump_list;
            pump_list = shared;
        } else if (shared) {
            free(shared->path);
            free(TAKE(shared));
        }
    }
    if (shared) {
        shared->users++;
        *ret_programs = &shared->programs;
    }
    pthread_mutex_unlock(&pump_lock);
    return r;
}

static void pump_programs_done(const struct remote_programs *programs)
{
    struct pump_shared *shared = NULL;

    pthread_mutex_lock(&pump_lock);
    for (struct pump_shared **p = &pump_list; *p; p = &(*p)->next)
        if (&(*p)->programs == programs) {
            shared = *p;
            if (--shared->users == 0)
                *p = shared->next;
            break;
        }
    if (shared && shared->users == 0) {
        remote_programs_done(&shared->programs);
        free(shared->path);
        free(shared);
    }
    pthread_mutex_unlock(&pump_lock);
}

int remote_start(struct remote *remote, struct err *err)
{
    struct remote_talk *talk = calloc(1, sizeof *talk);
    AUTO(free_p) char *command = NULL;
    int r = talk ? 0 : err_set(err, ENOMEM, "memory for a talk");

    if (r == 0 && remote->push)
        r = pump_programs(remote->argv[0], &remote->programs, err);
    if (r == 0)
        r = remote_push_command(remote->programs, remote->become, remote->argv, &command, err);
    if (r == 0 && command)
        r = remote_open(remote, command, err);
    if (r == 0 && talk)
        r = remote_converse(remote, talk, err);
    if (r == 0 && talk)
        r = remote_hand_on(remote, &talk->bytes, err);
    if (remote->programs)
        pump_programs_done(TAKE(remote->programs));
    free(talk);
    return r;
}

/* ---- the pump ---- */

/* What the program says on stderr goes to ours, but not to the terminal's controls. */
static void remote_relay_stderr(struct remote *remote)
{
    char some[1024];
    int n;

    while ((n = ssh_channel_read_nonblocking(remote->channel, some, sizeof some, 1)) > 0) {
        for (int i = 0; i < n; i++)
            if ((unsigned char)some[i] < 0x20 && some[i] != '\n' && some[i] != '\t')
                some[i] = '?';
        if (write(STDERR_FILENO, some, (size_t)n) < 0)
            return; /* a closed stderr: nobody reads this */
    }
}

/* Far to near. The pipe may be full, or closed: then what comes is dropped, so that the far side can end. */
static void remote_flow_here(struct remote *remote)
{
    for (;;) {
        ssize_t n;

        if (remote_is_empty(&remote->here)) {
            int r = remote_read(remote, false, &remote->here);

            if (r < 0)
                remote->ended = true;
            if (r <= 0)
                return;
        }
        if (remote->to_fd < 0) {
            remote->here.taken = remote->here.used;
            continue;
        }
        n = write(remote->to_fd, remote->here.data + remote->here.taken,
                  remote->here.used - remote->here.taken);
        if (n > 0)
            remote->here.taken += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            return;
        else if (n < 0 && errno != EINTR)
            close(TAKE_FD(remote->to_fd));
    }
}

/* Near to far, as much as the far side has room for. The end of the pipe is the end of the program's stdin. */
static void remote_flow_there(struct remote *remote)
{
    struct remote_bytes *b = &remote->there;

    while (remote->from_fd >= 0 && !remote->ended) {
        int sent;

        if (remote_is_empty(b)) {
            ssize_t n = read(remote->from_fd, b->data, sizeof b->data);

            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
            if (n <= 0) {
                close(TAKE_FD(remote->from_fd));
                ssh_channel_send_eof(remote->channel);
                return;
            }
            remote->claimed = true;
            b->used = (size_t)n;
            b->taken = 0;
        }
        sent =
            ssh_channel_write(remote->channel, b->data + b->taken, (uint32_t)(b->used - b->taken));
        if (sent < 0 && sent != SSH_AGAIN)
            remote->ended = true;
        if (sent <= 0)
            return;
        b->taken += (size_t)sent;
    }
}

/* Its caller waits for another host, or for a person who types: an agent would think that he has vanished. */
static void remote_beat(struct remote *remote)
{
    struct remote_bytes *b = &remote->there;
    uint64_t now_ns = clock_mono_ns();

    if (!remote->beat || remote->claimed || now_ns < remote->beat_ns || !remote_is_empty(b))
        return;
    remote->beat_ns = now_ns + (uint64_t)REMOTE_BEAT_S * CLOCK_S;
    b->used = strlen(remote->beat);
    b->taken = 0;
    memcpy(b->data, remote->beat, b->used);
}

void remote_carry(struct remote *remote)
{
    remote_beat(remote);
    remote_flow_there(remote);
    remote_relay_stderr(remote);
    remote_flow_here(remote);
}
