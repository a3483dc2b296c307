/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options and connection. The connection is ours and libssh is given the descriptor: so every wait has our
 * deadline, every address of a name is tried, and it can be ended from outside.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "deploy/remote_session.h"
#include "deploy/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

/* ---- options ---- */

/* A copy of an option as libssh has it; "" it has none. */
void remote_option(ssh_session session, enum ssh_options_e option, char *ret, size_t size)
{
    char *value = NULL;

    ret[0] = 0;
    if (ssh_options_get(session, option, &value) == SSH_OK && value)
        text_copy(ret, size, value);
    ssh_string_free_char(value);
}

static int remote_options(struct remote_line *line, struct err *err)
{
    const bool process_config = false;
    const int strict = 1;
    const long answer_s = REMOTE_ANSWER_S;
    unsigned port = line->at.port;
    ssh_session s = line->session = ssh_new();

    if (!s)
        return err_set(err, ENOMEM, "memory for a session");
    if (line->config[0] && access(line->config, R_OK) < 0)
        return err_set(err, errno, "the SSH configuration %s", line->config);
    if (ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &process_config) < 0 ||
        ssh_options_set(s, SSH_OPTIONS_HOST, line->at.arg) < 0)
        return remote_say(err, EINVAL, "'%s' is no host", line->at.arg);
    if (ssh_options_parse_config(s, line->config[0] ? line->config : NULL) < 0)
        return remote_say(err, EINVAL, "the SSH configuration cannot be read: %s",
                          ssh_get_error(s));
    /* After the file, over which they stand. */
    if (ssh_options_set(s, SSH_OPTIONS_TIMEOUT, &answer_s) < 0 ||
        ssh_options_set(s, SSH_OPTIONS_STRICTHOSTKEYCHECK, &strict) < 0 ||
        (line->known_hosts[0] &&
         (ssh_options_set(s, SSH_OPTIONS_KNOWNHOSTS, line->known_hosts) < 0 ||
          ssh_options_set(s, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") < 0)) ||
        (port && ssh_options_set(s, SSH_OPTIONS_PORT, &port) < 0) ||
        (line->at.user[0] && ssh_options_set(s, SSH_OPTIONS_USER, line->at.user) < 0))
        return remote_say(err, EINVAL, "%s", ssh_get_error(s));
    remote_option(s, SSH_OPTIONS_HOST, line->host, sizeof line->host);
    return 0;
}

/* ---- connection ---- */

static int remote_tcp(struct remote_line *line, const struct addrinfo *to, int *ret_fd)
{
    AUTO(close_p) int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const uint64_t deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_CONNECT_S * CLOCK_S;
    const int on = 1, idle_s = 15, tries = 3;
    int r, code = 0;
    socklen_t size = sizeof code;

    if (fd < 0)
        return -errno;
    if (connect(fd, to->ai_addr, to->ai_addrlen) < 0 && errno != EINPROGRESS)
        return -errno;
    r = remote_line_poll(line, fd, POLLOUT, deadline_ns);
    if (r <= 0)
        return r < 0 ? r : -ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        return -errno;
    if (code)
        return -code;
    /* Agents beat each second; this is for what says nothing for long. */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int remote_dial(struct remote_line *line, unsigned port, int *ret_fd, struct err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char service[16];
    int r;

    snprintf(service, sizeof service, "%u", port);
    r = getaddrinfo(line->host, service, &hints, &list);
    if (r != 0)
        return remote_say(err, EHOSTUNREACH, "host '%s': %s", line->host, gai_strerror(r));
    r = -EHOSTUNREACH;
    for (const struct addrinfo *i = list; i; i = i->ai_next) {
        r = remote_tcp(line, i, ret_fd);
        if (r == 0)
            getnameinfo(i->ai_addr, i->ai_addrlen, line->address, sizeof line->address, NULL, 0,
                        NI_NUMERICHOST);
        if (r == 0 || r == -ECANCELED)
            break;
    }
    freeaddrinfo(list);
    return r < 0 ? err_set(err, r, "connecting to port %u of %s", port, line->host) : 0;
}

/* What ssh_config(5) lets a ProxyCommand name. */
static int remote_expand(const struct remote_line *line, const char *command, unsigned port,
                         const char *user, char **ret, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return err_set(err, ENOMEM, "memory for a command");
    fputs("exec ", to);
    for (const char *p = command; *p; p++) {
        if (*p != '%' || !p[1]) {
            fputc(*p, to);
            continue;
        }
        switch (*++p) {
        case 'h':
            fputs(line->host, to);
            break;
        case 'n':
            fputs(line->at.arg, to);
            break;
        case 'p':
            fprintf(to, "%u", port);
            break;
        case 'r':
            fputs(user, to);
            break;
        case '%':
            fputc('%', to);
            break;
        default:
            fprintf(to, "%%%c", *p);
        }
    }
    if (ferror(to) | fclose(to)) {
        free(text);
        return err_set(err, ENOMEM, "memory for a command");
    }
    *ret = text;
    return 0;
}

/* A process that ends with our thread, or when its connection is closed. */
static int remote_proxy(struct remote_line *line, const char *command, unsigned port, int *ret_fd,
                        struct err *err)
{
    AUTO(close_p) int ours = -1;
    AUTO(close_p) int theirs = -1;
    AUTO(free_p) char *text = NULL;
    char user[64];
    int pair[2], r;
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", NULL, NULL};
    struct spawn_request q = {.argv = argv};

    remote_option(line->session, SSH_OPTIONS_USER, user, sizeof user);
    r = remote_expand(line, command, port, user, &text, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(err, errno, "making a socket pair");
    ours = pair[0];
    theirs = pair[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
        return err_set(err, errno, "making a socket pair");
    argv[2] = text;
    q.stdin_fd = q.stdout_fd = theirs;
    r = spawn_start(&q, &line->proxy, err);
    if (r < 0)
        return err_wrap(err, r, "ProxyCommand");
    *ret_fd = TAKE_FD(ours);
    return 0;
}

/* ---- all of it ---- */

/* Kinds of host keys, those of the best first; a host has most often one of each. */
static const struct {
    const char *kind;
    const char *algorithms;
} remote_kinds[] = {
    {"ssh-ed25519", "ssh-ed25519"},
    {"ecdsa-sha2-nistp", "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"},
    {"ssh-rsa", "rsa-sha2-512,rsa-sha2-256"},
};

enum { REMOTE_KINDS = ARRAY_SIZE(remote_kinds) };

/* Only kinds that were not shown yet. */
static int remote_limit_kinds(struct remote_line *line, unsigned shown, struct err *err)
{
    char text[256] = "";
    size_t used = 0;

    for (unsigned i = 0; i < REMOTE_KINDS && shown; i++)
        if (!(shown & 1U << i))
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? "," : "",
                                     remote_kinds[i].algorithms);
    if (used && ssh_options_set(line->session, SSH_OPTIONS_HOSTKEYS, text) < 0)
        return remote_say(err, EINVAL, "%s", ssh_get_error(line->session));
    return 0;
}

/* Has the host closed the connection without having said which SSH it speaks? */
static bool remote_was_turned_away(struct remote_line *line)
{
    char c;
    ssize_t n = recv(line->line_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

    return !ssh_get_serverbanner(line->session) && (n == 0 || (n < 0 && errno == ECONNRESET));
}

/* -EAGAIN the host turned us away, as sshd does when MaxStartups others are logging in. */
static int remote_connect_once(struct remote_line *line, unsigned shown, struct err *err)
{
    char proxy[1024];
    unsigned port = 22;
    int fd = -1, r = remote_options(line, err);

    if (r == 0)
        r = remote_limit_kinds(line, shown, err);
    if (r < 0)
        return r;
    ssh_options_get_port(line->session, &port);
    remote_option(line->session, SSH_OPTIONS_PROXYCOMMAND, proxy, sizeof proxy);
    r = proxy[0] && strcmp(proxy, "none") != 0 ? remote_proxy(line, proxy, port, &fd, err)
                                               : remote_dial(line, port, &fd, err);
    if (r == 0)
        r = remote_line_set(line, fd, err);
    if (r == 0 && ssh_options_set(line->session, SSH_OPTIONS_FD, &fd) < 0)
        r = remote_say(err, EINVAL, "%s", ssh_get_error(line->session));
    if (r < 0) {
        close_p(&fd);
        return r;
    }
    /* From here on libssh closes it. */
    if (ssh_connect(line->session) == SSH_OK)
        return 0;
    r = !proxy[0] && remote_was_turned_away(line) ? -EAGAIN : -EPROTO;
    remote_say(err, EPROTO, "speaking SSH with %s%s: %s", line->host,
               line->proxy.pid > 0
                   ? " by way of its ProxyJump or ProxyCommand, which has to reach it"
                   : "",
               ssh_get_error(line->session));
    return r;
}

static void remote_disconnect(struct remote_line *line)
{
    ssh_disconnect(line->session);
    ssh_free(line->session);
    line->session = NULL;
    spawned_end(&line->proxy, (uint64_t)REMOTE_STOP_MS / 4 * CLOCK_MS);
}

/* Longer each time, and not all at once where many were turned away together. */
static uint64_t remote_pause_ns(unsigned n)
{
    uint16_t random = 0;

    if (getrandom(&random, sizeof random, 0) < 0)
        random = (uint16_t)clock_mono_ns();
    return ((100U << (n < 3 ? n : 3)) + random % 200U) * CLOCK_MS;
}

/* A connection; a host that turns us away is asked again for a while. */
static int remote_connect_again(struct remote_line *line, unsigned shown, struct err *err)
{
    const uint64_t deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_RETRY_S * CLOCK_S;

    for (unsigned n = 0;; n++) {
        uint64_t next_ns;
        int r = remote_connect_once(line, shown, err);

        if (r != -EAGAIN)
            return r;
        next_ns = clock_mono_ns() + remote_pause_ns(n);
        if (next_ns >= deadline_ns)
            return remote_say(
                err, EPROTO,
                "%s closed %u connections before its first word: too many log in there "
                "at the same time (its MaxStartups), or it is no SSH server",
                line->host, n + 1);
        remote_disconnect(line);
        if (remote_line_poll(line, -1, 0, next_ns) < 0)
            return err_set(err, ECANCELED, "connecting to %s", line->host);
    }
}

int remote_connect(struct remote_line *line, struct err *err)
{
    unsigned shown = 0;

    for (int i = 0;; i++) {
        char kind[32] = "";
        bool known = false;
        struct err why = {0};
        int r = remote_connect_again(line, shown, &why);

        /* It has no other kind: the first one's words stand. */
        if (r < 0 && !i)
            *err = why;
        if (r == 0)
            r = remote_key_check(line, i + 1 == REMOTE_KINDS, kind, sizeof kind, err);
        if (r <= 0)
            return r;
        for (unsigned k = 0; k < REMOTE_KINDS; k++)
            if (strncmp(kind, remote_kinds[k].kind, strlen(remote_kinds[k].kind)) == 0) {
                known = !(shown & 1U << k);
                shown |= 1U << k;
            }
        if (!known)
            return remote_key_check(line, true, kind, sizeof kind, err);
        /* For when there is no other. */
        remote_key_check(line, true, kind, sizeof kind, err);
        remote_disconnect(line);
    }
}
