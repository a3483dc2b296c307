/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/source.h"

#include "base/auto.h"
#include "capture/source_input.h"
#include "capture/source_pcap.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int source_bad(const struct input *input, struct err *err, const char *fmt, ...)
{
    char what[240];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    err_say(err, "'%s', byte %" PRIu64 ": %s", input->path, input_offset(input), what);
    if (err)
        err->code = EBADMSG;
    return -EBADMSG;
}

/* What people give by mistake. */
static const struct {
    const char *begin;
    const char *name;
} mistakes[] = {
    {"snoop\0\0\0", "a capture of Solaris' snoop"},
    {"\x7f"
     "ELF",
     "a program"},
    {"{", "JSON"},
    {"#!", "a script"},
};

static const char *source_looks_like(const uint8_t *head, size_t n)
{
    size_t n_text = 0;

    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        size_t length = i == 0 ? 8 : strlen(mistakes[i].begin);

        if (n >= length && memcmp(head, mistakes[i].begin, length) == 0)
            return mistakes[i].name;
    }
    while (n_text < n && (isprint(head[n_text]) || isspace(head[n_text])))
        n_text++;
    return n_text == n ? "text" : NULL;
}

static int source_no_capture(struct input *input, struct err *err)
{
    size_t n = input_left(input);
    const uint8_t *head = input->bytes + input->at;
    const char *like;
    int r = 0;

    if (input->r < 0)
        return input_failure(input, "it", err);
    if (n == 0 || !input->bytes) {
        r = err_say(err, "'%s' is empty, and no capture", input->path);
    } else {
        n = n > 64 ? 64 : n;
        like = source_looks_like(head, n);
        if (like)
            r = err_say(err, "'%s' is no capture: it looks like %s", input->path, like);
        else
            r = err_say(err, "'%s' is no capture: it begins with %02x %02x %02x %02x", input->path,
                        head[0], n > 1 ? head[1] : 0U, n > 2 ? head[2] : 0U, n > 3 ? head[3] : 0U);
    }
    if (err)
        err->code = EBADMSG;
    (void)r;
    return -EBADMSG;
}

int source_file_open(const char *path, struct source **ret_source, struct err *err)
{
    AUTO(input_done) struct input input = {.fd = -1};
    const uint8_t *head;
    int r = input_open(path, &input, err);

    if (r < 0)
        return r;
    head = input_peek(&input, 4);
    if (!head)
        return source_no_capture(&input, err);
    if (source_is_pcap(head))
        r = source_pcap_new(&input, ret_source, err);
    else if (source_is_pcapng(head))
        r = source_pcapng_new(&input, ret_source, err);
    else
        return source_no_capture(&input, err);
    if (r == 0)
        input = (struct input){.fd = -1};
    return r;
}
