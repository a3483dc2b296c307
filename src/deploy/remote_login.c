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

/* given: NULL it is asked for. */
static int remote_password(struct remote_line *line, const char *user, const char *given)
{
    char question[400], secret[REMOTE_SECRET_SIZE];
    int r, auth;

    if (given)
        return ssh_userauth_password(line->session, NULL, given);
    snprintf(question, sizeof question, "%s@%s's password: ", user, line->host);
    r = remote_ask(line, question, false, secret, sizeof secret);
    if (r < 0)
        return r;
    auth = ssh_userauth_password(line->session, NULL, secret);
    explicit_bzero(secret, sizeof secret);
    return auth;
}

/* One answer. A password that was given is for what is not to be seen; the rest is typed. */
static int remote_answer(struct remote_line *line, unsigned i, const char *given)
{
    char question[400], secret[REMOTE_SECRET_SIZE], echo = 0;
    const char *prompt = ssh_userauth_kbdint_getprompt(line->session, i, &echo);
    int r;

    if (given && !echo)
        return ssh_userauth_kbdint_setanswer(line->session, i, given) < 0 ? -ENOMEM : 0;
    snprintf(question, sizeof question, "(%s) %s", line->host, prompt ? prompt : "");
    r = remote_ask(line, question, echo, secret, sizeof secret);
    if (r == 0 && ssh_userauth_kbdint_setanswer(line->session, i, secret) < 0)
        r = -ENOMEM;
    explicit_bzero(secret, sizeof secret);
    return r;
}

/* One answer to each question that the host asks; some of its rounds have none. */
static int remote_interactive(struct remote_line *line, const char *given, bool *ret_asked)
{
    int auth = ssh_userauth_kbdint(line->session, NULL, NULL);

    for (int round = 0; auth == SSH_AUTH_INFO && round < REMOTE_ROUNDS; round++) {
        int n = ssh_userauth_kbdint_getnprompts(line->session);

        *ret_asked |= n > 0;
        for (int i = 0; i < n; i++) {
            int r = remote_answer(line, (unsigned)i, given);

            if (r < 0)
                return r;
        }
        auth = ssh_userauth_kbdint(line->session, NULL, NULL);
    }
    return auth;
}

/* A password, given or typed, in the one way or the other that the host takes. */
static int remote_try_password(struct remote_line *line, int methods, const char *user,
                               const char *given)
{
    int auth = SSH_AUTH_DENIED;
    bool asked = false;

    if (methods & SSH_AUTH_METHOD_INTERACTIVE)
        auth = remote_interactive(line, given, &asked);
    /* sshd without PAM offers the first and asks nothing there. */
    if (methods & SSH_AUTH_METHOD_PASSWORD && auth == SSH_AUTH_DENIED && !asked)
        auth = remote_password(line, user, given);
    return auth;
}

static int remote_refused(struct remote_line *line, const char *user, int methods, bool terminal,
                          struct err *err)
{
    bool asks = methods & REMOTE_PASSWORDS;

    return remote_say(err, EACCES,
                      "%s refuses the login of %s: it takes%s%s%s%s, and no key of the agent or of "
                      "~/.ssh was good%s%s",
                      line->host, user, methods & SSH_AUTH_METHOD_PUBLICKEY ? " keys" : "",
                      asks ? " passwords" : "",
                      methods & SSH_AUTH_METHOD_GSSAPI_MIC ? " Kerberos" : "",
                      methods ? "" : " nothing that is known here",
                      line->password && asks ? ", nor was the password that was given" : "",
                      asks && !terminal ? " (there is no terminal to ask for a password on)" : "");
}

/* All that the methods allow, one round: an SSH_AUTH_ value, or negative as remote_ask(). */
static int remote_try(struct remote_line *line, const struct remote_identities *identities,
                      int methods, const char *user, bool *terminal)
{
    int auth = SSH_AUTH_DENIED;

    /* Before the keys: many of them use up the tries that a host allows. */
    if (line->password && methods & REMOTE_PASSWORDS) {
        auth = remote_try_password(line, methods, user, line->password);
        if (auth == -ENOTTY)
            *terminal = false;
        if (auth != SSH_AUTH_DENIED && auth != -ENOTTY)
            return auth;
    }
    if (methods & SSH_AUTH_METHOD_PUBLICKEY)
        auth = remote_identities_try(line, identities);
    for (int i = 0; i < REMOTE_TRIES && auth == SSH_AUTH_DENIED && *terminal; i++) {
        if (methods & REMOTE_PASSWORDS)
            auth = remote_try_password(line, methods, user, NULL);
        if (auth == -ENOTTY) {
            *terminal = false;
            return SSH_AUTH_DENIED;
        }
    }
    return auth;
}

static int remote_log_in(struct remote_line *line, const char *user, struct err *err)
{
    ssh_session s = line->session;
    struct remote_identities identities = {0};
    bool terminal = true;
    int auth = ssh_userauth_none(s, NULL), methods = 0;

    /* Some hosts want more than one way, one after the other. */
    for (int round = 0; round < REMOTE_ROUNDS; round++) {
        if (auth == SSH_AUTH_SUCCESS)
            return 0;
        if (remote_line_is_stopped(line) || auth == -ECANCELED)
            return err_set(err, ECANCELED, "logging in to %s", line->host);
        if (auth == -ETIMEDOUT)
            return err_set(err, ETIMEDOUT, "waiting for an answer on the terminal");
        if (auth == SSH_AUTH_ERROR || !ssh_is_connected(s))
            return remote_say(err, EACCES, "logging in to %s as %s: %s", line->host, user,
                              ssh_get_error(s));
        if (round && auth != SSH_AUTH_PARTIAL)
            break;
        methods = ssh_userauth_list(s, NULL);
        if (methods & SSH_AUTH_METHOD_PUBLICKEY && !identities.n_files)
            remote_identities_read(line, &identities);
        auth = remote_try(line, &identities, methods, user, &terminal);
    }
    return remote_refused(line, user, methods, terminal, err);
}

int remote_login(struct remote_line *line, struct err *err)
{
    char user[64];

    remote_option(line->session, SSH_OPTIONS_USER, user, sizeof user);
    return remote_log_in(line, user, err);
}
