/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (code < 0)
        code = -code;
    if (err) {
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        err->code = code;
        if (n > 0 && (size_t)n < sizeof err->text)
            snprintf(
                err->text + n, sizeof err->text - (size_t)n, ": %s",
                strerror(
                    code)); /* glibc's and musl's are safe with threads; their strerror_r differ */
    }
    return -code;
}

int err_say(struct err *err, const char *fmt, ...)
{
    if (err) {
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        err->code = EINVAL;
    }
    return -EINVAL;
}

/* What fits of a tail. */
static void err_add(struct err *err, const char *tail)
{
    size_t n = strlen(err->text);

    while (*tail && n + 1 < sizeof err->text)
        err->text[n++] = *tail++;
    err->text[n] = 0;
}

int err_wrap(struct err *err, int r, const char *fmt, ...)
{
    if (err) {
        char was[sizeof err->text];
        va_list ap;

        memcpy(was, err->text, sizeof was);
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
        if (was[0])
            err_add(err, ": ");
        err_add(err, was);
        if (!err->code)
            err->code = r < 0 ? -r : r;
    }
    return r;
}
