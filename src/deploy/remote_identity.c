/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys in files, with their certificates.
 *
 * libssh 0.10 knows neither IdentitiesOnly nor CertificateFile, and does not tell which IdentityFiles it has read. Where the
 * configuration has one of these words, `ssh -G` says what it comes to; else the usual files are meant.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "deploy/remote_session.h"
#include "deploy/spawn.h"

#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

enum {
    IDENTITY_INCLUDES = 8,      /* files that include files */
    IDENTITY_TELL_S = 5,        /* ssh -G */
    IDENTITY_TELL_SIZE = 65536, /* what it says */
    IDENTITY_LINE_SIZE = 1024,
    IDENTITY_TRIES = 3, /* of a passphrase */
};

static void identity_home(char *ret, size_t size)
{
    struct passwd user, *found = NULL;
    char buf[4096];

    ret[0] = 0;
    if (getpwuid_r(getuid(), &user, buf, sizeof buf, &found) == 0 && found)
        text_copy(ret, size, found->pw_dir);
}

/* ---- what the configuration says ---- */

/* The words of a line behind its keyword, or NULL: it has another. */
static char *identity_after(char *line, const char *keyword)
{
    size_t n = strlen(keyword);

    line += strspn(line, " \t");
    if (strncasecmp(line, keyword, n) != 0 || !strchr(" \t=\"", line[n]) || !line[n])
        return NULL;
    line += n;
    line += strspn(line, " \t=");
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

static bool identity_in_file(const char *path, const char *home, int depth);

/* Patterns of an Include, relative ones to the folder of the file that is named so. */
static bool identity_in_included(char *patterns, const char *path, const char *home, int depth)
{
    bool found = false;
    char *save = NULL;

    for (char *p = strtok_r(patterns, " \t\"", &save); p && !found;
         p = strtok_r(NULL, " \t\"", &save)) {
        char full[512];
        glob_t list;
        bool user = strncmp(path, "/etc/", 5) != 0;

        if (strncmp(p, "~/", 2) == 0)
            snprintf(full, sizeof full, "%s/%s", home, p + 2);
        else if (*p == '/')
            text_copy(full, sizeof full, p);
        else if (user)
            snprintf(full, sizeof full, "%s/.ssh/%s", home, p);
        else
            snprintf(full, sizeof full, "/etc/ssh/%s", p);
        if (glob(full, 0, NULL, &list) == 0)
            for (size_t i = 0; i < list.gl_pathc && !found; i++)
                found = identity_in_file(list.gl_pathv[i], home, depth + 1);
        globfree(&list);
    }
    return found;
}

/* Does it, or what it includes, name keys at all? */
static bool identity_in_file(const char *path, const char *home, int depth)
{
    static const char *const words[] = {"IdentityFile", "IdentitiesOnly", "CertificateFile",
                                        "IdentityAgent"};
    AUTO(fclose_p) FILE *file = depth < IDENTITY_INCLUDES ? fopen(path, "re") : NULL;
    char line[IDENTITY_LINE_SIZE];

    while (file && fgets(line, sizeof line, file)) {
        char *rest = identity_after(line, "Include");

        if (rest && identity_in_included(rest, path, home, depth))
            return true;
        for (size_t i = 0; !rest && i < ARRAY_SIZE(words); i++)
            if (identity_after(line, words[i]))
                return true;
    }
    return false;
}

static bool identity_is_configured(const struct remote_line *line, const char *home)
{
    char path[512];

    if (line->config[0])
        return identity_in_file(line->config, home, 0);
    snprintf(path, sizeof path, "%s/.ssh/config", home);
    return identity_in_file(path, home, 0) || identity_in_file("/etc/ssh/ssh_config", home, 0);
}

/* "~/" and what of ssh_config's TOKENS names a file of keys. */
static void identity_expand(const struct remote_line *line, const char *home, const char *from,
                            char *ret, size_t size)
{
    char user[64];
    size_t used = 0;

    remote_option(line->session, SSH_OPTIONS_USER, user, sizeof user);
    ret[0] = 0;
    if (strncmp(from, "~/", 2) == 0) {
        used = (size_t)snprintf(ret, size, "%s", home);
        from++;
    }
    for (; *from && used + 1 < size; from++) {
        const char *put = NULL;

        if (*from == '%' && from[1]) {
            from++;
            put = *from == 'd'   ? home
                  : *from == 'h' ? line->host
                  : *from == 'n' ? line->at.arg
                  : *from == 'r' ? user
                                 : NULL;
        }
        if (put)
            used += (size_t)snprintf(ret + used, size - used, "%s", put);
        else
            ret[used++] = *from;
        if (used < size)
            ret[used] = 0;
    }
    ret[size - 1] = 0;
}

/* What `ssh -G` says; 0, or there is no ssh. */
static int identity_ask_ssh(struct remote_line *line, const char *home,
                            struct remote_identities *ret)
{
    AUTO(free_p) char *said = malloc(IDENTITY_TELL_SIZE);
    char program[256], port[16], *save = NULL, *argv[12];
    struct spawn_request q = {.argv = argv};
    unsigned n = 0;
    int r = said ? spawn_find("ssh", program, sizeof program) : -ENOMEM;

    if (r < 0 || !said)
        return r;
    snprintf(port, sizeof port, "%u", line->at.port);
    argv[n++] = program;
    argv[n++] = (char *)"-G";
    if (line->config[0]) {
        argv[n++] = (char *)"-F";
        argv[n++] = line->config;
    }
    if (line->at.port) {
        argv[n++] = (char *)"-p";
        argv[n++] = port;
    }
    if (line->at.user[0]) {
        argv[n++] = (char *)"-l";
        argv[n++] = line->at.user;
    }
    argv[n++] = (char *)"--";
    argv[n++] = line->at.arg;
    argv[n] = NULL;
    r = spawn_run(&q, "", said, IDENTITY_TELL_SIZE,
                  clock_mono_ns() + (uint64_t)IDENTITY_TELL_S * CLOCK_S, NULL);
    if (r != 0)
        return -ENOENT;
    for (char *one = strtok_r(said, "\n", &save); one; one = strtok_r(NULL, "\n", &save)) {
        char *rest;

        if ((rest = identity_after(one, "identityfile")) && ret->n_files < REMOTE_IDENTITY_MAX)
            identity_expand(line, home, rest, ret->files[ret->n_files++], sizeof ret->files[0]);
        else if ((rest = identity_after(one, "certificatefile")) &&
                 ret->n_certificates < REMOTE_IDENTITY_MAX && strcmp(rest, "none") != 0)
            identity_expand(line, home, rest, ret->certificates[ret->n_certificates++],
                            sizeof ret->certificates[0]);
        else if ((rest = identity_after(one, "identityagent")))
            identity_expand(line, home, rest, ret->agent, sizeof ret->agent);
        else if ((rest = identity_after(one, "identitiesonly")))
            ret->only = strcmp(rest, "yes") == 0;
    }
    return 0;
}

void remote_identities_read(struct remote_line *line, struct remote_identities *ret_identities)
{
    static const char *const usual[] = {"id_ed25519", "id_ecdsa", "id_rsa"};
    struct remote_identities list = {0};
    char home[200];

    bool configured;

    identity_home(home, sizeof home);
    configured = identity_is_configured(line, home);
    if (!configured || identity_ask_ssh(line, home, &list) < 0) {
        list = (struct remote_identities){0};
        /* Without ssh: the first that libssh has read, which is all that it tells, before the usual ones. */
        if (configured)
            remote_option(line->session, SSH_OPTIONS_IDENTITY, list.files[0], sizeof list.files[0]);
        if (list.files[0][0] == '/')
            list.n_files = 1;
        for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
            snprintf(list.files[list.n_files++], sizeof list.files[0], "%s/.ssh/%s", home,
                     usual[i]);
    }
    *ret_identities = list;
}

/* ---- logging in with them ---- */

struct identity {
    const char *file;
    ssh_key public; /* owned: FILE.pub; NULL none */
    ssh_key secret; /* owned; NULL not read yet */
    bool unreadable;
};

static void identity_done(struct identity *key)
{
    ssh_key_free(key->public);
    ssh_key_free(key->secret);
}

struct identity_question {
    struct remote_line *line;
    const char *file;
    bool again, asked;
};

/* libssh asks for the passphrase of a key. */
static int identity_on_passphrase(const char *prompt, char *buf, size_t len, int echo, int verify,
                                  void *arg)
{
    struct identity_question *q = arg;
    char question[512];

    (void)prompt, (void)echo, (void)verify;
    snprintf(question, sizeof question,
             "%spassphrase of the key %s (for %s): ", q->again ? "not right; " : "", q->file,
             q->line->host);
    q->asked = remote_ask(q->line, question, false, buf, len) == 0;
    return q->asked ? 0 : -1;
}

/* The secret half, for which a person may be asked. */
static bool identity_open(struct remote_line *line, struct identity *key)
{
    struct identity_question q = {.line = line, .file = key->file};

    for (int i = 0; i < IDENTITY_TRIES && !key->secret && !key->unreadable; i++) {
        q.asked = false;
        q.again = i > 0;
        if (ssh_pki_import_privkey_file(key->file, NULL, identity_on_passphrase, &q,
                                        &key->secret) != SSH_OK) {
            key->secret = NULL;
            key->unreadable = !q.asked;
        }
    }
    key->unreadable = !key->secret;
    return key->secret;
}

/* With a certificate, which the host is asked about before the key is opened. */
static int identity_try_certificate(struct remote_line *line, struct identity *key,
                                    const char *path)
{
    ssh_key certificate = NULL, both = NULL;
    int auth = SSH_AUTH_DENIED;

    if (access(path, R_OK) < 0 || ssh_pki_import_cert_file(path, &certificate) != SSH_OK)
        return SSH_AUTH_DENIED;
    if (!key->public || ssh_key_cmp(certificate, key->public, SSH_KEY_CMP_PUBLIC) == 0)
        auth = remote_login_by(line, REMOTE_BY_OFFER, certificate, NULL);
    if (auth == SSH_AUTH_SUCCESS) {
        auth = SSH_AUTH_DENIED;
        /* A key holds one certificate: its file is read again for each, and for none at last. */
        if (identity_open(line, key) &&
            ssh_pki_copy_cert_to_privkey(certificate, key->secret) == 0) {
            both = TAKE(key->secret);
            auth = remote_login_by(line, REMOTE_BY_KEY, both, NULL);
        }
    }
    ssh_key_free(both);
    ssh_key_free(certificate);
    return auth;
}

static int identity_try(struct remote_line *line, const struct remote_identities *identities,
                        const char *file)
{
    struct identity key = {.file = file};
    char path[280];
    int auth = SSH_AUTH_DENIED;

    snprintf(path, sizeof path, "%s.pub", file);
    if (access(path, R_OK) == 0 && ssh_pki_import_pubkey_file(path, &key.public) != SSH_OK)
        key.public = NULL;
    if (access(file, R_OK) < 0) {
        identity_done(&key);
        return SSH_AUTH_DENIED;
    }
    snprintf(path, sizeof path, "%s-cert.pub", file);
    auth = identity_try_certificate(line, &key, path);
    for (size_t i = 0; i < identities->n_certificates && auth == SSH_AUTH_DENIED; i++)
        auth = identity_try_certificate(line, &key, identities->certificates[i]);
    if (auth == SSH_AUTH_DENIED &&
        (!key.public ||
         (auth = remote_login_by(line, REMOTE_BY_OFFER, key.public, NULL)) == SSH_AUTH_SUCCESS)) {
        auth = SSH_AUTH_DENIED;
        if (identity_open(line, &key))
            auth = remote_login_by(line, REMOTE_BY_KEY, key.secret, NULL);
    }
    identity_done(&key);
    return auth;
}

int remote_identities_try(struct remote_line *line, const struct remote_identities *identities)
{
    int auth = SSH_AUTH_DENIED;

    if (line->agent)
        auth = remote_login_by(line, REMOTE_BY_AGENT, NULL, NULL);
    for (size_t i = 0; i < identities->n_files; i++) {
        /* An agent that does not answer is no reason to stop. */
        if (remote_login_is_over(line, auth))
            return auth;
        auth = identity_try(line, identities, identities->files[i]);
    }
    return auth == SSH_AUTH_ERROR && !remote_login_is_over(line, auth) ? SSH_AUTH_DENIED : auth;
}
