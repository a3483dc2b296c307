/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the host who we think? Its key is compared with the pinned fingerprint where there is one, else with files of known hosts.
 * StrictHostKeyChecking of the configuration has no say: libssh takes its "no" as "any key is good".
 */
#include "base/auto.h"
#include "base/text.h"
#include "deploy/remote_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct key {
    char kind[32];        /* "ssh-ed25519" */
    char fingerprint[80]; /* "SHA256:…" */
    char file[256];       /* where known keys stand */
    ssh_key key;          /* owned */
};

static void key_done(struct key *key) { ssh_key_free(key->key); }

static int key_read(struct remote_line *line, struct key *ret_key, struct err *err)
{
    unsigned char *hash = NULL;
    size_t n_hash = 0;
    char *print = NULL;

    remote_option(line->session, SSH_OPTIONS_KNOWNHOSTS, ret_key->file, sizeof ret_key->file);
    if (ssh_get_server_publickey(line->session, &ret_key->key) != SSH_OK)
        return remote_say(err, EACCES, "%s shows no host key: %s", line->host,
                          ssh_get_error(line->session));
    text_copy(ret_key->kind, sizeof ret_key->kind,
              ssh_key_type_to_char(ssh_key_type(ret_key->key)));
    if (ssh_get_publickey_hash(ret_key->key, SSH_PUBLICKEY_HASH_SHA256, &hash, &n_hash) == SSH_OK)
        print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, n_hash);
    text_copy(ret_key->fingerprint, sizeof ret_key->fingerprint, print ? print : "");
    ssh_string_free_char(print);
    ssh_clean_pubkey_hash(&hash);
    return 0;
}

/* Files of known hosts are written by one thread at a time. */
static pthread_mutex_t key_writing = PTHREAD_MUTEX_INITIALIZER;

static int key_accept(struct remote_line *line, const struct key *key, struct err *err)
{
    int r;

    pthread_mutex_lock(&key_writing);
    r = ssh_session_update_known_hosts(line->session);
    pthread_mutex_unlock(&key_writing);
    if (r != SSH_OK)
        return remote_say(err, EACCES, "writing the host key of %s to %s: %s", line->host,
                          key->file, ssh_get_error(line->session));
    return 0;
}

/* Lines of a file that begin with that marker: is this key in one of them, or is there one at all (NULL)? */
static bool key_is_marked(const char *file, const char *marker, const char *base64)
{
    AUTO(fclose_p) FILE *f = file[0] ? fopen(file, "re") : NULL;
    AUTO(free_p) char *text = NULL;
    size_t size = 0;

    while (f && getline(&text, &size, f) > 0) {
        const char *line = text + strspn(text, " \t");

        if (strncmp(line, marker, strlen(marker)) == 0 && (!base64 || strstr(line, base64)))
            return true;
    }
    return false;
}

/* libssh skips @revoked. For whatever host the line stands: a key that was taken from its owner is good for none. */
static bool key_is_revoked(struct remote_line *line, const struct key *key)
{
    char *base64 = NULL, global[256];
    bool revoked;

    if (ssh_pki_export_pubkey_base64(key->key, &base64) != SSH_OK)
        return true;
    remote_option(line->session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, global, sizeof global);
    revoked = key_is_marked(key->file, "@revoked", base64) ||
              key_is_marked(global[0] ? global : "/etc/ssh/ssh_known_hosts", "@revoked", base64);
    ssh_string_free_char(base64);
    return revoked;
}

static int key_unknown(struct remote_line *line, const struct key *key, struct err *err)
{
    if (line->host_keys == REMOTE_HOST_KEYS_ACCEPT_NEW)
        return key_accept(line, key, err);
    if (line->host_keys == REMOTE_HOST_KEYS_PINNED)
        return remote_say(err, EACCES,
                          "the host key of %s is not pinned: it shows %s %s, of which "
                          "%s has nothing (ssh://HOST?key=SHA256:… names one)",
                          line->host, key->kind, key->fingerprint,
                          line->known_hosts[0] ? line->known_hosts : "the endpoint");
    if (key_is_marked(key->file, "@cert-authority", NULL))
        return remote_say(
            err, EACCES,
            "the host key of %s is not known: it shows %s %s. %s has a @cert-authority, "
            "but certificates of hosts are not checked here: the host's own key has to "
            "be there (ssh-keyscan), or is named by ?key=SHA256:…",
            line->host, key->kind, key->fingerprint, key->file);
    return remote_say(err, EACCES,
                      "the host key of %s is not known: it shows %s %s, of which %s has nothing "
                      "(compare it, then --ssh-host-keys accept-new keeps it)",
                      line->host, key->kind, key->fingerprint, key->file);
}

static int key_compare(struct remote_line *line, const struct key *key, struct err *err)
{
    enum ssh_known_hosts_e known;

    if (line->host_keys == REMOTE_HOST_KEYS_PINNED && !line->known_hosts[0])
        return key_unknown(line, key, err);
    known = ssh_session_is_known_server(line->session);
    switch (known) {
    case SSH_KNOWN_HOSTS_OK:
        return 0;
    case SSH_KNOWN_HOSTS_NOT_FOUND:
    case SSH_KNOWN_HOSTS_UNKNOWN:
        return key_unknown(line, key, err);
    case SSH_KNOWN_HOSTS_CHANGED:
    case SSH_KNOWN_HOSTS_OTHER:
        return remote_say(
            err, EACCES,
            "the host key of %s has changed: it shows %s %s, and %s has another. Somebody "
            "else may be answering in its place; if the host was made anew, take the "
            "old key out of that file",
            line->host, key->kind, key->fingerprint, key->file);
    default:
        return remote_say(err, EACCES, "comparing the host key of %s with %s: %s", line->host,
                          key->file, ssh_get_error(line->session));
    }
}

int remote_key_check(struct remote_line *line, bool last, char *ret_kind, size_t size,
                     struct err *err)
{
    AUTO(key_done) struct key key = {0};
    int r = key_read(line, &key, err);

    if (r < 0)
        return r;
    if (key_is_revoked(line, &key))
        return remote_say(err, EACCES,
                          "the host key of %s, %s %s, is revoked by a file of known hosts",
                          line->host, key.kind, key.fingerprint);
    if (!line->at.host_key[0])
        return key_compare(line, &key, err);
    if (strcmp(line->at.host_key, key.fingerprint) == 0)
        return 0;
    text_copy(ret_kind, size, key.kind);
    if (!last)
        return 1;
    return remote_say(
        err, EACCES,
        "the host key of %s is not the one that is pinned: it shows %s %s, and not %s. "
        "Somebody else may be answering in its place",
        line->host, key.kind, key.fingerprint, line->at.host_key);
}
