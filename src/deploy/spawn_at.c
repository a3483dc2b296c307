/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/driver.h"
#include "deploy/remote.h"

#include <errno.h>

enum { SPAWN_AT_WORDS = 32 };

/* Of the many ways not to get into a host one code; the sentence has the rest. */
int spawn_at_code(int r)
{
    switch (r) {
    case 0:
    case -ECANCELED:
        return r;
    case -ENOEXEC:
    case -ENOENT:
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
    case -EAGAIN:
    case -EINVAL:
        return -ENOPKG;
    default:
        return -EHOSTUNREACH;
    }
}

/* The words that are started there; what is put there is argv[0] as it stands here. */
static int spawn_at_words(const struct endpoint_text *at, bool *put, const char *there,
                          char *const argv[], const char *ret_words[SPAWN_AT_WORDS],
                          struct err *err)
{
    size_t n = 0;

    for (; argv[n]; n++) {
        if (n + 1 == SPAWN_AT_WORDS)
            return err_set(err, E2BIG, "words of a command");
        ret_words[n] = argv[n];
    }
    ret_words[n] = NULL;
    if (*put && there && there[0] && (at->kind == ENDPOINT_SSH || at->kind == ENDPOINT_EXEC)) {
        ret_words[0] = there;
        *put = false;
    }
    return 0;
}

int spawn_at_begin(const struct endpoint_text *at, const struct remote_options *options, bool put,
                   const char *there, char *const argv[], struct remote **ret_remote,
                   struct err *err)
{
    struct remote_options remote = *options;
    const char *words[SPAWN_AT_WORDS];
    int r;

    if (at->kind != ENDPOINT_SSH)
        return err_set(err, EINVAL, "no host of SSH");
    remote.beat = put ? options->beat : NULL;
    r = spawn_at_words(at, &put, there, argv, words, err);
    if (r < 0)
        return r;
    remote.push = put;
    return remote_begin(at, &remote, (char *const *)words, ret_remote, err);
}

void spawn_at_ahead(const struct endpoint_text *at, const struct remote_options *options,
                    const char *there, char *const argv[])
{
    struct remote_options remote = *options;
    const char *words[SPAWN_AT_WORDS];
    bool put = true;

    if (at->kind != ENDPOINT_SSH || spawn_at_words(at, &put, there, argv, words, NULL) < 0)
        return;
    remote.push = put;
    spawn_ssh_ahead(at, &remote, (char *const *)words);
}

int spawn_at(const struct endpoint_text *at, const struct remote_options *options, bool put,
             const char *there, char *const argv[], struct spawned *ret_spawned, struct err *err)
{
    struct remote_options remote = *options;
    const char *words[SPAWN_AT_WORDS];
    int r;

    remote.beat = put ? options->beat : NULL;
    r = spawn_at_words(at, &put, there, argv, words, err);
    if (r < 0)
        return r;
    remote.push = put;
    switch (at->kind) {
    case ENDPOINT_SSH:
        return spawn_at_code(spawn_ssh(at, &remote, (char *const *)words, ret_spawned, err));
    case ENDPOINT_LOCAL:
        return spawn_local((char *const *)words, ret_spawned, err);
    case ENDPOINT_NETNS:
        return spawn_netns(at->arg, (char *const *)words, ret_spawned, err);
    case ENDPOINT_EXEC:
        return spawn_command(at->arg, (char *const *)words, ret_spawned, err);
    default:
        return err_set(err, EINVAL, "no program of ours runs there");
    }
}
