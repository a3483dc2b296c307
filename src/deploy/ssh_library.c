/* SPDX-License-Identifier: Apache-2.0 */
#define SSH_LIBRARY_NAMES
#include "deploy/ssh_library.h"

#include "base/auto.h"
#include "base/library.h"

#include <pthread.h>
#include <stdbool.h>

struct ssh_library ssh_library;

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

int ssh_library_load(struct err *err)
{
#define SSH_LIBRARY_ROW(name) {#name, offsetof(struct ssh_library, name)},
    static const struct library_row rows[] = {SSH_LIBRARY(SSH_LIBRARY_ROW)};
#undef SSH_LIBRARY_ROW
    static bool loaded; /* under load_lock */
    int r = 0;

    pthread_mutex_lock(&load_lock);
    if (!loaded)
        r = library_open("libssh.so.4", "libssh-4", rows, ARRAY_SIZE(rows), &ssh_library, err);
    loaded = loaded || r == 0;
    pthread_mutex_unlock(&load_lock);
    return r;
}
