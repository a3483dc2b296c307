/* SPDX-License-Identifier: Apache-2.0 */
/* A line of the control protocol: cut, and what was cut must come out the same when it is printed and cut again. */
#include "fuzz.h"
#include "wire/line.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void print_again(const struct line *line)
{
    static char buf[4 * LINE_MAX_BYTES];
    struct line_out out;
    struct line again;
    size_t len;

    line_begin(&out, buf, sizeof buf, line->id, line->verb);
    for (unsigned i = 0; i < line->n_pairs; i++)
        line_put(&out, line->pair[i].key, line->pair[i].value);
    len = line_end(&out);
    /* An encoded byte takes three, so that even the longest line fits. */
    assert(len > 0);
    buf[len - 1] = 0;
    assert(line_cut(buf, len - 1, &again) == LINE_OK);
    assert(again.id == line->id && again.n_pairs == line->n_pairs && line_is(&again, line->verb));
    for (unsigned i = 0; i < line->n_pairs; i++) {
        uint64_t a = 0, b = 0;

        assert(strcmp(line->pair[i].key, again.pair[i].key) == 0);
        assert(strcmp(line->pair[i].value, again.pair[i].value) == 0);
        assert(line_get(line, line->pair[i].key) == line->pair[i].value);
        assert(line_get_u64(line, line->pair[i].key, &a) ==
               line_get_u64(&again, line->pair[i].key, &b));
        assert(a == b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line line;
    char *text;

    if (size > LINE_MAX_BYTES)
        return 0;
    text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    if (line_cut(text, size, &line) == LINE_OK)
        print_again(&line);
    free(text);
    return 0;
}
