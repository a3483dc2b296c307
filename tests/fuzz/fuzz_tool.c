/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nuttcp and iperf may print, by both parsers: numbers that can be, or a sentence of one line.
 */
#include "plan/tool_parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void check(int (*parse)(const char *, struct tool_report *, struct err *), const char *text)
{
    struct tool_report t = {.bps = -1};
    struct err err = {0};
    int r = parse(text, &t, &err);

    if (r < 0) {
        if (r != -ENODATA || err.code != ENODATA || !err.text[0] || t.bps >= 0)
            abort();
        for (const char *p = err.text; *p; p++)
            if ((unsigned char)*p < ' ')
                abort();
        return;
    }
    if (r != 0 || !isfinite(t.bps) || t.bps < 0 || t.bps > 1e15 || err.text[0])
        abort();
    if ((t.has_loss && t.lost > t.packets) || (t.has_jitter && !isfinite(t.jitter_ns)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    check(tool_parse_nuttcp, text);
    check(tool_parse_iperf, text);
    free(text);
    return 0;
}
