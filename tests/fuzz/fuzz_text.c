/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every parser of base/text.h with the same text: each answers exactly, or refuses with a sentence.
 */
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* Refused with a sentence and nothing written, or taken without one. */
static void check(int r, const struct err *e, bool written)
{
    if (r < 0 ? r != -EINVAL || e->code != EINVAL || !e->text[0] || written : e->text[0] != 0)
        abort();
}

static void numbers(const char *text)
{
    static int (*const parse[])(const char *, uint64_t *, struct err *) = {text_rate, text_time,
                                                                           text_size};
    const uint64_t was = UINT64_MAX - 1;
    char shown[TEXT_SHORT];

    for (size_t i = 0; i < sizeof parse / sizeof *parse; i++) {
        struct err e = {0};
        uint64_t v = was;

        check(parse[i](text, &v, &e), &e, v != was);
        if (strlen(text_show_rate((double)v, shown)) >= TEXT_SHORT ||
            strlen(text_show_time((double)v, shown)) >= TEXT_SHORT ||
            strlen(text_show_size(v, shown)) >= TEXT_SHORT ||
            strlen(text_show_count((double)v, shown)) >= TEXT_SHORT)
            abort();
    }
    {
        struct err e = {0};
        uint64_t v = was;
        int r = text_count(text, 3, 1000, &v, &e);

        check(r, &e, v != was);
        if (r == 0 && (v < 3 || v > 1000))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"table", "wide", "json", "ndjson", "csv", "markdown"};
    char *text = malloc(size + 1);
    struct endpoint_text endpoint = {.kind = ENDPOINT_LOCAL};
    uint32_t sizes[4] = {0};
    struct err e = {0};
    double share = -1;
    char few[8];
    int r;

    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    numbers(text);

    r = text_share(text, &share, &e);
    check(r, &e, share != -1);
    if (r == 0 && !(share >= 0 && share <= 1))
        abort();
    e = (struct err){0};
    r = text_sizes(text, sizes, 4, &e);
    check(r < 0 ? r : 0, &e, sizes[0] != 0);
    if (r > 4 || r == 0 || (r > 0 && sizes[r - 1] == 0))
        abort();
    e = (struct err){0};
    check(text_endpoint(text, &endpoint, &e), &e, endpoint.arg[0] != 0);
    e = (struct err){0};
    r = text_address(text, &e);
    check(r < 0 ? r : 0, &e, false);
    (void)text_nearest(text, words, sizeof words / sizeof *words);
    if (text_copy(few, sizeof few, text) != (strlen(text) < sizeof few) ||
        strlen(few) >= sizeof few)
        abort();
    free(text);
    return 0;
}
