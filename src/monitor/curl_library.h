/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

/*
 * libcurl, opened and made ready when the first URL is asked for (library.h).
 *
 * errors  of library_open()
 */
struct curl_library {
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_cleanup) easy_cleanup;
    __typeof__(&curl_easy_setopt) easy_set;
    __typeof__(&curl_easy_perform) easy_perform;
    __typeof__(&curl_easy_getinfo) easy_get;
    __typeof__(&curl_easy_strerror) easy_strerror;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
};
extern struct curl_library curl_library;

int curl_library_load(struct err *err);
