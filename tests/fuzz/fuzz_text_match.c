/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two text logs by any columns. The first line says which (a letter each for sequence column, time column, piece, split,
 * interval); the logs are parted by a line "--". Every line is counted once, and counts add up.
 */
#include "capture/text_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void check(const struct hops *hops)
{
    const struct hop *hop;

    if (hops->n_points == 0)
        return;
    if (hops->n_points != 2 || hops->n_hops != 1)
        abort();
    hop = &hops->hops[0];
    if (hop->matched + hop->ambiguous + hop->lost != hops->points[0].seen ||
        hop->matched + hop->ambiguous + hop->duplicated + hop->only_later != hops->points[1].seen)
        abort();
    if (hop->delay.count != hop->matched || hop->delay.min > hop->delay.max ||
        hop->reordered > hop->matched || hops->points[0].unmatched != hop->lost)
        abort();
}

/* Where the second log begins, in `size` bytes; size where there is none. */
static size_t second(const uint8_t *data, size_t size)
{
    const uint8_t *at = size ? memmem(data, size, "\n--\n", 4) : NULL;

    return at ? (size_t)(at - data) + 4 : size;
}

static FILE *log_of(const uint8_t *data, size_t size)
{
    return size ? fmemopen((void *)(uintptr_t)data, size, "r") : fopen("/dev/null", "re");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[2] = {"a", "b"}, *const splits[] = {":", "", ",", "::"};
    struct text_match_options o = {0};
    struct hops hops = {0};
    struct err err = {0};
    FILE *logs[2];
    size_t begin;
    int r;

    if (size < 6 || data[5] != '\n')
        return 0;
    o.seq_col = data[0] % 16;
    o.time_col = data[1] % 16;
    o.seq_index = data[2] % 4;
    memcpy(o.seq_split, splits[data[3] % 4], strlen(splits[data[3] % 4]));
    o.interval_ns = data[4] == '0' ? 0 : (uint64_t)data[4] * 10000000;
    o.offset_ns = data[4] == '0' ? 0 : (int64_t)data[4] * 1000 - 100000;
    data += 6;
    size -= 6;
    begin = second(data, size);
    logs[0] = log_of(data, begin == size ? size : begin - 3);
    logs[1] = log_of(data + begin, size - begin);
    if (!logs[0] || !logs[1])
        abort();
    r = text_match(logs, names, &o, &hops, &err);
    if (r < 0 && (!err.text[0] || err.code != -r))
        abort();
    for (const char *p = err.text; *p; p++)
        if ((unsigned char)*p < ' ')
            abort();
    if (r == 0)
        check(&hops);
    hops_done(&hops);
    fclose(logs[0]);
    fclose(logs[1]);
    return 0;
}
