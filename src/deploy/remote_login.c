/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are: the agent's keys, keys in files, and what a person types when there is a terminal. What is typed is wiped
 * when it was sent; it never was in argv, in the environment or in a log.
 */
#include "base/text.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    REMOTE_SECRET_SIZE = 256,
    REMOTE_TRIES = 3,
    REMOTE_ROUNDS = 8,
    REMOTE_PASSWORDS = SSH_AUTH_METHOD_PASSWORD | SSH_AUTH_METHOD_INTERACTIVE,
};

/* libssh asks for the passphrase of a key. */
static int remote_on_passphrase(const char *prompt, char *buf, size_t len, int echo, int verify,
                                void *arg)
{
    struct remote *remote = arg;
    char question[512];

    (void)verify;
    snprintf(question, sizeof question, "%s (for %s) ", prompt, remote->host);
    return remote_ask(remote, question, echo, buf, len) < 0 ? -1 : 0;
}

/* given: NULL it is asked for. */
static int remote_password(struct remote *remote, const char *user, const char *given)
{
    char question[400], secret[REMOTE_SECRET_SIZE];
    int r, auth;

    if (given)
        return ssh_userauth_password(remote->session, NULL, given);
    snprintf(question, sizeof question, "%s@%s's password: ", user, remote->host);
    r = remote_ask(remote, question, false, secret, sizeof secret);
    if (r < 0)
        return r;
    auth = ssh_userauth_password(remote->session, NULL, secret);
    explicit_bzero(secret, sizeof secret);
    return auth;
}

/* One answer. A password that was given is for what is not to be seen; the rest is typed. */
static int remote_answer(struct remote *remote, unsigned i, const char *given)
{
    char question[400], secret[REMOTE_SECRET_SIZE], echo = 0;
    const char *prompt = ssh_userauth_kbdint_getprompt(remote->session, i, &echo);
    int r;

    if (given && !echo)
        return ssh_userauth_kbdint_setanswer(remote->session, i, given) < 0 ? -ENOMEM : 0;
    snprintf(question, sizeof question, "(%s) %s", remote->host, prompt ? prompt : "");
    r = remote_ask(remote, question, echo, secret, sizeof secret);
    if (r == 0 && ssh_userauth_kbdint_setanswer(remote->session, i, secret) < 0)
        r = -ENOMEM;
    explicit_bzero(secret, sizeof secret);
    return r;
}

/* One answer to each question that the host asks; some of its rounds have none. */
static int remote_interactive(struct remote *remote, const char *given, bool *ret_asked)
{
    int auth = ssh_userauth_kbdint(remote->session, NULL, NULL);

    for (int round = 0; auth == SSH_AUTH_INFO && round < REMOTE_ROUNDS; round++) {
        int n = ssh_userauth_kbdint_getnprompts(remote->session);

        *ret_asked |= n > 0;
        for (int i = 0; i < n; i++) {
            int r = remote_answer(remote, (unsigned)i, given);

            if (r < 0)
                return r;
        }
        auth = ssh_userauth_kbdint(remote->session, NULL, NULL);
    }
    return auth;
}

/* A password, given or typed, in the one way or the other that the host takes. */
static int remote_try_password(struct remote *remote, int methods, const char *user,
                               const char *given)
{
    int auth = SSH_AUTH_DENIED;
    bool asked = false;

    if (methods & SSH_AUTH_METHOD_INTERACTIVE)
        auth = remote_interactive(remote, given, &asked);
    /* sshd without PAM offers the first and asks nothing there. */
    if (methods & SSH_AUTH_METHOD_PASSWORD && auth == SSH_AUTH_DENIED && !asked)
        auth = remote_password(remote, user, given);
    return auth;
}

static int remote_refused(struct remote *remote, const char *user, int methods, bool terminal,
                          struct err *err)
{
    bool asks = methods & REMOTE_PASSWORDS;

    return remote_say(err, EACCES,
                      "%s refuses the login of %s: it takes%s%s%s%s, and no key of the agent or of "
                      "~/.ssh was good%s%s",
                      remote->host, user, methods & SSH_AUTH_METHOD_PUBLICKEY ? " keys" : "",
                      asks ? " passwords" : "",
                      methods & SSH_AUTH_METHOD_GSSAPI_MIC ? " Kerberos" : "",
                      methods ? "" : " nothing that is known here",
                      remote->password && asks ? ", nor was the password that was given" : "",
                      asks && !terminal ? " (there is no terminal to ask for a password on)" : "");
}

/* All that the methods allow, one round: an SSH_AUTH_ value, or negative as remote_ask(). */
static int remote_try(struct remote *remote, int methods, const char *user, bool *terminal)
{
    int auth = SSH_AUTH_DENIED;

    /* Before the keys: many of them use up the tries that a host allows. */
    if (remote->password && methods & REMOTE_PASSWORDS) {
        auth = remote_try_password(remote, methods, user, remote->password);
        if (auth == -ENOTTY)
            *terminal = false;
        if (auth != SSH_AUTH_DENIED && auth != -ENOTTY)
            return auth;
    }
    if (methods & SSH_AUTH_METHOD_PUBLICKEY)
        auth = ssh_userauth_publickey_auto(remote->session, NULL, NULL);
    for (int i = 0; i < REMOTE_TRIES && auth == SSH_AUTH_DENIED && *terminal; i++) {
        if (methods & REMOTE_PASSWORDS)
            auth = remote_try_password(remote, methods, user, NULL);
        if (auth == -ENOTTY) {
            *terminal = false;
            return SSH_AUTH_DENIED;
        }
    }
    return auth;
}

static int remote_log_in(struct remote *remote, const char *user, struct err *err)
{
    ssh_session s = remote->session;
    bool terminal = true;
    int auth = ssh_userauth_none(s, NULL), methods = 0;

    /* Some hosts want more than one way, one after the other. */
    for (int round = 0; round < REMOTE_ROUNDS; round++) {
        if (auth == SSH_AUTH_SUCCESS)
            return 0;
        if (remote_is_stopped(remote) || auth == -ECANCELED)
            return err_set(err, ECANCELED, "logging in to %s", remote->host);
        if (auth == -ETIMEDOUT)
            return err_set(err, ETIMEDOUT, "waiting for an answer on the terminal");
        if (auth == SSH_AUTH_ERROR || !ssh_is_connected(s))
            return remote_say(err, EACCES, "logging in to %s as %s: %s", remote->host, user,
                              ssh_get_error(s));
        if (round && auth != SSH_AUTH_PARTIAL)
            break;
        methods = ssh_userauth_list(s, NULL);
        auth = remote_try(remote, methods, user, &terminal);
    }
    return remote_refused(remote, user, methods, terminal, err);
}

int remote_login(struct remote *remote, struct err *err)
{
    char *value = NULL, user[64] = "";

    /* libssh keeps the address, and cannot be told to forget it. */
    remote->callbacks =
        (struct ssh_callbacks_struct){.userdata = remote, .auth_function = remote_on_passphrase};
    ssh_callbacks_init(&remote->callbacks);
    ssh_set_callbacks(remote->session, &remote->callbacks);
    if (ssh_options_get(remote->session, SSH_OPTIONS_USER, &value) == SSH_OK && value)
        text_copy(user, sizeof user, value);
    ssh_string_free_char(value);
    return remote_log_in(remote, user, err);
}
