/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are: the agent's keys, keys in files, and what a person types when there is a terminal. What is typed is wiped
 * when it was sent; it never was in argv, in the environment or in a log.
 */
#include "base/clock.h"
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

/* ---- waiting ---- */

static bool remote_is_cut(struct remote_line *line)
{
    return !ssh_is_connected(line->session) ||
           ssh_get_status(line->session) & (SSH_CLOSED | SSH_CLOSED_ERROR);
}

static int remote_call(ssh_session s, enum remote_way way, ssh_key key, const char *password)
{
    switch (way) {
    case REMOTE_BY_AGENT:
        return ssh_userauth_agent(s, NULL);
    case REMOTE_BY_OFFER:
        return ssh_userauth_try_publickey(s, NULL, key);
    case REMOTE_BY_KEY:
        return ssh_userauth_publickey(s, NULL, key);
    case REMOTE_BY_PASSWORD:
        return ssh_userauth_password(s, NULL, password);
    case REMOTE_BY_ANSWERS:
        return ssh_userauth_kbdint(s, NULL, NULL);
    case REMOTE_BY_NOTHING:
        break;
    }
    return ssh_userauth_none(s, NULL);
}

int remote_login_by(struct remote_line *line, enum remote_way way, ssh_key key,
                    const char *password)
{
    const uint64_t deadline_ns = clock_mono_ns() + (uint64_t)REMOTE_ANSWER_S * CLOCK_S;

    for (;;) {
        int r, auth = remote_call(line->session, way, key, password);

        if (auth != SSH_AUTH_AGAIN)
            return auth;
        if (remote_is_cut(line))
            return SSH_AUTH_ERROR;
        r = remote_line_poll(line, ssh_get_fd(line->session), remote_events(line), deadline_ns);
        if (r < 0)
            return r;
        if (clock_mono_ns() >= deadline_ns)
            return -ETIME;
    }
}

bool remote_login_is_over(struct remote_line *line, int auth)
{
    return auth == SSH_AUTH_SUCCESS || auth == SSH_AUTH_PARTIAL ||
           (auth < 0 && auth != SSH_AUTH_ERROR) || remote_is_cut(line) ||
           remote_line_is_stopped(line);
}

/* ---- passwords ---- */

/* given: NULL it is asked for. */
static int remote_password(struct remote_line *line, const char *user, const char *given)
{
    char question[400], secret[REMOTE_SECRET_SIZE];
    int r, auth;

    if (given)
        return remote_login_by(line, REMOTE_BY_PASSWORD, NULL, given);
    snprintf(question, sizeof question, "%s@%s's password: ", user, line->host);
    r = remote_ask(line, question, false, secret, sizeof secret);
    if (r < 0)
        return r;
    auth = remote_login_by(line, REMOTE_BY_PASSWORD, NULL, secret);
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
    int auth = remote_login_by(line, REMOTE_BY_ANSWERS, NULL, NULL);

    for (int round = 0; auth == SSH_AUTH_INFO && round < REMOTE_ROUNDS; round++) {
        int n = ssh_userauth_kbdint_getnprompts(line->session);

        *ret_asked |= n > 0;
        for (int i = 0; i < n; i++) {
            int r = remote_answer(line, (unsigned)i, given);

            if (r < 0)
                return r;
        }
        auth = remote_login_by(line, REMOTE_BY_ANSWERS, NULL, NULL);
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

/* The host ended the connection. What it said, and what of it a person can mend. */
static int remote_cut_off(struct remote_line *line, const char *user, bool tried, struct err *err)
{
    const char *said = ssh_get_error(line->session);
    bool many = strstr(said, "oo many authentication failures");

    /* dropbear says nothing. */
    if (!many && !tried)
        return remote_say(err, EACCES, "logging in to %s as %s: %s", line->host, user, said);
    return remote_say(
        err, EACCES,
        "%s ended the connection in the midst of the login of %s: %s%s. Each key of the ssh-agent "
        "is a try: name the one for this host in %s, by IdentityFile with IdentitiesOnly yes",
        line->host, user,
        many ? "too many tries failed (its MaxAuthTries)"
             : "it may allow fewer tries than there are keys and passwords here; ",
        many ? "" : said, line->config[0] ? line->config : "~/.ssh/config");
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
    int auth = remote_login_by(line, REMOTE_BY_NOTHING, NULL, NULL), methods = 0;

    /* Some hosts want more than one way, one after the other. */
    for (int round = 0; round < REMOTE_ROUNDS; round++) {
        if (auth == SSH_AUTH_SUCCESS)
            return 0;
        if (remote_line_is_stopped(line) || auth == -ECANCELED)
            return err_set(err, ECANCELED, "logging in to %s", line->host);
        if (auth == -ETIMEDOUT)
            return err_set(err, ETIMEDOUT, "waiting for an answer on the terminal");
        if (auth == -ETIME)
            return remote_say(err, ETIMEDOUT, "logging in to %s as %s: it did not answer for %d s",
                              line->host, user, REMOTE_ANSWER_S);
        if (auth == SSH_AUTH_ERROR || remote_is_cut(line))
            return remote_cut_off(line, user, round > 0, err);
        if (round && auth != SSH_AUTH_PARTIAL)
            break;
        methods = ssh_userauth_list(s, NULL);
        if (methods & SSH_AUTH_METHOD_PUBLICKEY && !identities.n_files) {
            remote_identities_read(line, &identities);
            remote_agent_open(line, &identities);
        }
        auth = remote_try(line, &identities, methods, user, &terminal);
    }
    return remote_refused(line, user, methods, terminal, err);
}

int remote_login(struct remote_line *line, struct err *err)
{
    char user[64];
    int r;

    remote_option(line->session, SSH_OPTIONS_USER, user, sizeof user);
    ssh_set_blocking(line->session, 0);
    r = remote_log_in(line, user, err);
    remote_agent_close(line);
    return r;
}
