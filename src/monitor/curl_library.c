/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/curl_library.h"

#include "base/auto.h"
#include "base/library.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

struct curl_library curl_library;

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;

#define ROW(name, member)                                                                          \
    {                                                                                              \
#name, offsetof(struct curl_library, member)                                               \
    }

int curl_library_load(struct err *err)
{
    static const struct library_row rows[] = {
        ROW(curl_global_init, global_init),       ROW(curl_easy_init, easy_init),
        ROW(curl_easy_cleanup, easy_cleanup),     ROW(curl_easy_setopt, easy_set),
        ROW(curl_easy_perform, easy_perform),     ROW(curl_easy_getinfo, easy_get),
        ROW(curl_easy_strerror, easy_strerror),   ROW(curl_slist_append, slist_append),
        ROW(curl_slist_free_all, slist_free_all),
    };
    static bool loaded; /* under load_lock */
    int r = 0;

    pthread_mutex_lock(&load_lock);
    if (!loaded)
        r = library_open("libcurl.so.4", "libcurl4", rows, ARRAY_SIZE(rows), &curl_library, err);
    if (!loaded && r == 0 && curl_library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        r = err_set(err, ENOMEM, "making libcurl ready");
    loaded = loaded || r == 0;
    pthread_mutex_unlock(&load_lock);
    return r;
}
