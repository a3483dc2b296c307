/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options, connection and host key. The connection is ours and libssh is given the descriptor: so every wait has our
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
#include <sys/socket.h>

/* ---- options ---- */

/* A copy of an option as libssh has it; "" it has none. */
static void remote_option(ssh_session session, enum ssh_options_e option, char *ret, size_t size)
{
    char *value = NULL;

    ret[0] = 0;
    if (ssh_options_get(session, option, &value) == SSH_OK && value)
        text_copy(ret, size, value);
    ssh_string_free_char(value);
}

static int remote_options(struct remote *remote, struct err *err)
{
    const bool process_config = false;
    const long answer_s = REMOTE_ANSWER_S;
    unsigned port = remote->at.port;
    ssh_session s = remote->session = ssh_new();

    if (!s)
        return err_set(err, ENOMEM, "memory for a session");
    if (remote->config[0] && access(remote->config, R_OK) < 0)
        return err_set(err, errno, "the SSH configuration %s", remote->config);
    if (ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &process_config) < 0 ||
        ssh_options_set(s, SSH_OPTIONS_HOST, remote->at.arg) < 0)
        return remote_say(err, EINVAL, "'%s' is no host", remote->at.arg);
    if (ssh_options_parse_config(s, remote->config[0] ? remote->config : NULL) < 0)
        return remote_say(err, EINVAL, "the SSH configuration cannot be read: %s",
                          ssh_get_error(s));
    /* After the file, over which they stand. */
    if (ssh_options_set(s, SSH_OPTIONS_TIMEOUT, &answer_s) < 0 ||
        (port && ssh_options_set(s, SSH_OPTIONS_PORT, &port) < 0) ||
        (remote->at.user[0] && ssh_options_set(s, SSH_OPTIONS_USER, remote->at.user) < 0))
        return remote_say(err, EINVAL, "%s", ssh_get_error(s));
    remote_option(s, SSH_OPTIONS_HOST, remote->host, sizeof remote->host);
    return 0;
}

/* ---- connection ---- */

static int remote_tcp(struct remote *remote, const struct addrinfo *to, int *ret_fd)
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
    r = remote_poll(remote, fd, POLLOUT, deadline_ns);
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

static int remote_dial(struct remote *remote, unsigned port, int *ret_fd, struct err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char service[16];
    int r;

    snprintf(service, sizeof service, "%u", port);
    r = getaddrinfo(remote->host, service, &hints, &list);
    if (r != 0)
        return remote_say(err, EHOSTUNREACH, "host '%s': %s", remote->host, gai_strerror(r));
    r = -EHOSTUNREACH;
    for (const struct addrinfo *i = list; i; i = i->ai_next) {
        r = remote_tcp(remote, i, ret_fd);
        if (r == 0)
            getnameinfo(i->ai_addr, i->ai_addrlen, remote->address, sizeof remote->address, NULL, 0,
                        NI_NUMERICHOST);
        if (r == 0 || r == -ECANCELED)
            break;
    }
    freeaddrinfo(list);
    return r < 0 ? err_set(err, r, "connecting to port %u of %s", port, remote->host) : 0;
}

/* What ssh_config(5) lets a ProxyCommand name. */
static int remote_expand(const struct remote *remote, const char *command, unsigned port,
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
            fputs(remote->host, to);
            break;
        case 'n':
            fputs(remote->at.arg, to);
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
static int remote_proxy(struct remote *remote, const char *command, unsigned port, int *ret_fd,
                        struct err *err)
{
    AUTO(close_p) int ours = -1;
    AUTO(close_p) int theirs = -1;
    AUTO(free_p) char *line = NULL;
    char user[64];
    int pair[2], r;
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", NULL, NULL};
    struct spawn_request q = {.argv = argv};

    remote_option(remote->session, SSH_OPTIONS_USER, user, sizeof user);
    r = remote_expand(remote, command, port, user, &line, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(err, errno, "making a socket pair");
    ours = pair[0];
    theirs = pair[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
        return err_set(err, errno, "making a socket pair");
    argv[2] = line;
    q.stdin_fd = q.stdout_fd = theirs;
    r = spawn_start(&q, &remote->proxy, err);
    if (r < 0)
        return err_wrap(err, r, "ProxyCommand");
    *ret_fd = TAKE_FD(ours);
    return 0;
}

/* ---- host key ---- */

struct remote_key {
    char text[128]; /* "ED25519 SHA256:…" */
    char file[256]; /* where known keys stand */
};

static void remote_show_key(ssh_session session, struct remote_key *ret_key)
{
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t n_hash = 0;
    char *print = NULL;

    text_copy(ret_key->text, sizeof ret_key->text, "a key");
    remote_option(session, SSH_OPTIONS_KNOWNHOSTS, ret_key->file, sizeof ret_key->file);
    if (ssh_get_server_publickey(session, &key) != SSH_OK)
        return;
    if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &n_hash) == SSH_OK) {
        print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, n_hash);
        snprintf(ret_key->text, sizeof ret_key->text, "%s %s",
                 ssh_key_type_to_char(ssh_key_type(key)), print ? print : "");
    }
    ssh_string_free_char(print);
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
}

/* Files of known hosts are written by one thread at a time. */
static pthread_mutex_t remote_known_hosts = PTHREAD_MUTEX_INITIALIZER;

static int remote_accept(struct remote *remote, const struct remote_key *key, struct err *err)
{
    int r;

    pthread_mutex_lock(&remote_known_hosts);
    r = ssh_session_update_known_hosts(remote->session);
    pthread_mutex_unlock(&remote_known_hosts);
    if (r != SSH_OK)
        return remote_say(err, EACCES, "writing the host key of %s to %s: %s", remote->host,
                          key->file, ssh_get_error(remote->session));
    return 0;
}

static int remote_check_key(struct remote *remote, struct err *err)
{
    struct remote_key key;
    enum ssh_known_hosts_e known = ssh_session_is_known_server(remote->session);

    if (known == SSH_KNOWN_HOSTS_OK)
        return 0;
    remote_show_key(remote->session, &key);
    switch (known) {
    case SSH_KNOWN_HOSTS_NOT_FOUND:
    case SSH_KNOWN_HOSTS_UNKNOWN:
        if (remote->host_keys == REMOTE_HOST_KEYS_ACCEPT_NEW)
            return remote_accept(remote, &key, err);
        return remote_say(err, EACCES,
                          "the host key of %s is not known: it shows %s, of which %s has nothing "
                          "(compare it, then --ssh-host-keys accept-new keeps it)",
                          remote->host, key.text, key.file);
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
        return remote_say(
            err, EACCES,
            "the host key of %s has changed: it shows %s, and %s has another. Somebody "
            "else may be answering in its place; if the host was made anew, take the "
            "old key out of that file",
            remote->host, key.text, key.file);
    default:
        return remote_say(err, EACCES, "comparing the host key of %s with %s: %s", remote->host,
                          key.file, ssh_get_error(remote->session));
    }
}

int remote_connect(struct remote *remote, struct err *err)
{
    char proxy[1024];
    unsigned port = 22;
    int fd = -1, r = remote_options(remote, err);

    if (r < 0)
        return r;
    ssh_options_get_port(remote->session, &port);
    remote_option(remote->session, SSH_OPTIONS_PROXYCOMMAND, proxy, sizeof proxy);
    r = proxy[0] && strcmp(proxy, "none") != 0 ? remote_proxy(remote, proxy, port, &fd, err)
                                               : remote_dial(remote, port, &fd, err);
    if (r == 0)
        r = remote_set_line(remote, fd, err);
    if (r == 0 && ssh_options_set(remote->session, SSH_OPTIONS_FD, &fd) < 0)
        r = remote_say(err, EINVAL, "%s", ssh_get_error(remote->session));
    if (r < 0) {
        close_p(&fd);
        return r;
    }
    /* From here on libssh closes it. */
    if (ssh_connect(remote->session) != SSH_OK)
        return remote_say(err, EPROTO, "speaking SSH with %s: %s", remote->host,
                          ssh_get_error(remote->session));
    return remote_check_key(remote, err);
}
