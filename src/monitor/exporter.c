/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/exporter.h"
#include "base/clock.h"
#include "monitor/curl_library.h"
#include "monitor/exposition.h"
#include "monitor/monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXPORTER_BYTES = 16 << 20, EXPORTER_FIRST_BYTES = 1 << 17 };

struct exporter {
    CURL *curl;                 /* owned */
    struct curl_slist *headers; /* owned */
    char why[CURL_ERROR_SIZE];
    char *body; /* owned */
    size_t n_body, room;
    bool too_large;
};

static size_t exporter_take(char *data, size_t size, size_t n, void *arg)
{
    struct exporter *x = arg;
    size_t bytes = size * n;

    x->too_large = bytes > EXPORTER_BYTES - x->n_body;
    if (x->too_large)
        return 0;
    if (x->n_body + bytes > x->room) {
        size_t room = x->room ? x->room : EXPORTER_FIRST_BYTES;
        char *grown;

        while (room < x->n_body + bytes)
            room *= 2;
        grown = realloc(x->body, room);
        if (!grown)
            return 0;
        x->body = grown;
        x->room = room;
    }
    memcpy(x->body + x->n_body, data, bytes);
    x->n_body += bytes;
    return bytes;
}

static bool exporter_options(struct exporter *x, const char *url)
{
    const char *authorities = getenv("SSL_CERT_FILE");
    CURL *c = x->curl;
    bool bad = false;

    bad |= curl_library.easy_set(c, CURLOPT_URL, url);
    /* Signals are the program's own, and this is no main thread. */
    bad |= curl_library.easy_set(c, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_library.easy_set(c, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_library.easy_set(c, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_library.easy_set(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    bad |= curl_library.easy_set(c, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    bad |= curl_library.easy_set(c, CURLOPT_HTTPHEADER, x->headers);
    bad |= curl_library.easy_set(c, CURLOPT_USERAGENT, "vnperf/" VNPERF_VERSION);
    bad |= curl_library.easy_set(c, CURLOPT_WRITEFUNCTION, exporter_take);
    bad |= curl_library.easy_set(c, CURLOPT_WRITEDATA, x);
    bad |= curl_library.easy_set(c, CURLOPT_ERRORBUFFER, x->why);
    if (authorities && *authorities)
        bad |= curl_library.easy_set(c, CURLOPT_CAINFO, authorities);
    return !bad;
}

int exporter_new(const char *url, struct exporter **ret_exporter, struct err *err)
{
    struct exporter *x;
    int r = curl_library_load(err);

    if (r < 0)
        return r;
    x = calloc(1, sizeof *x);
    if (x) {
        x->curl = curl_library.easy_init();
        x->headers = curl_library.slist_append(NULL, "Accept: text/plain;version=0.0.4");
    }
    if (!x || !x->curl || !x->headers || !exporter_options(x, url)) {
        exporter_free(x);
        return err_set(err, ENOMEM, "making libcurl ready");
    }
    *ret_exporter = x;
    return 0;
}

static int exporter_fault(const struct exporter *x, CURLcode code, struct err *err)
{
    int r;

    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        r = -ETIMEDOUT;
        break;
    case CURLE_COULDNT_CONNECT:
        r = -ECONNREFUSED;
        break;
    case CURLE_UNSUPPORTED_PROTOCOL: /* so it calls an answer without a status line */
    case CURLE_WEIRD_SERVER_REPLY:
        err_say(err, "what answers there does not speak HTTP");
        if (err)
            err->code = EPROTO;
        return -EPROTO;
    case CURLE_COULDNT_RESOLVE_HOST:
        r = -EHOSTUNREACH;
        break;
    default:
        r = x->too_large ? -EFBIG : -EPROTO;
        break;
    }
    if (x->too_large)
        err_say(err, "it sends more than 16 MiB");
    else if (code == CURLE_OPERATION_TIMEDOUT)
        err_say(err, "no whole answer came within %d s", MONITOR_ANSWER_S);
    else
        err_say(err, "%.300s", x->why[0] ? x->why : curl_library.easy_strerror(code));
    if (err)
        err->code = -r;
    return r;
}

static int exporter_status(struct exporter *x, struct err *err)
{
    long status = 0;

    curl_library.easy_get(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return 0;
    if (status >= 300 && status < 400)
        err_say(err, "it answered HTTP %ld and names another address: give that one", status);
    else if (status == 401 || status == 403)
        err_say(err, "it answered HTTP %ld: name and password are read from ~/.netrc", status);
    else
        err_say(err, "it answered HTTP %ld", status);
    if (err)
        err->code = EPROTO;
    return -EPROTO;
}

int exporter_read(struct exporter *x, uint64_t timeout_ns, struct core_cpus *ret_cpus,
                  uint64_t *ret_at_ns, struct err *err)
{
    long timeout_ms = (long)(timeout_ns / CLOCK_MS);
    uint64_t before = clock_mono_ns();
    CURLcode code;
    int r;

    x->n_body = 0;
    x->too_large = false;
    x->why[0] = '\0';
    curl_library.easy_set(x->curl, CURLOPT_TIMEOUT_MS, timeout_ms > 0 ? timeout_ms : 1L);
    code = curl_library.easy_perform(x->curl);
    if (code != CURLE_OK)
        return exporter_fault(x, code, err);
    *ret_at_ns = before + (clock_mono_ns() - before) / 2;
    r = exporter_status(x, err);
    return r < 0 ? r : exposition_parse(x->body ? x->body : "", x->n_body, ret_cpus, err);
}

void exporter_free(struct exporter *x)
{
    if (!x)
        return;
    if (x->curl)
        curl_library.easy_cleanup(x->curl);
    if (x->headers)
        curl_library.slist_free_all(x->headers);
    free(x->body);
    free(x);
}
