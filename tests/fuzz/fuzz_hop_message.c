/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer may say of points and hops: a line and behind its end the bytes of its blob, which is read as a filter and as hops.
 * What was accepted must come back the same when it is said again.
 */
#include "fuzz.h"
#include "wire/hop_message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void read_hops(const uint8_t *data, size_t size)
{
    struct hops hops, again;
    uint8_t *blob = NULL;
    size_t n = 0;

    if (hop_message_unpack(data, size, &hops, NULL) == 0) {
        assert(hop_message_pack(&hops, &blob, &n, NULL) == 0);
        assert(hop_message_unpack(blob, n, &again, NULL) == 0);
        assert(again.n_points == hops.n_points && again.n_hops == hops.n_hops);
        for (uint32_t i = 0; i < hops.n_points; i++) {
            assert(strcmp(again.points[i].name, hops.points[i].name) == 0);
            assert(again.points[i].seen == hops.points[i].seen);
            assert(again.points[i].last_ns == hops.points[i].last_ns);
        }
        for (uint32_t i = 0; i < hops.n_hops; i++) {
            assert(again.hops[i].delay.count == hops.hops[i].delay.count);
            assert(delay_percentile(&again.hops[i].delay, 0.99) ==
                   delay_percentile(&hops.hops[i].delay, 0.99));
        }
        hops_done(&again);
        free(blob);
    }
    hops_done(&hops);
}

static void read_options(const struct line *line, const uint8_t *blob, size_t n_blob)
{
    static struct live_options options, again;
    static char buf[2 * LINE_MAX_BYTES];
    struct line_out out;
    struct line second;
    uint8_t *filter = NULL;
    size_t n_filter = 0, len;

    if (hop_message_get_options(line, blob, n_blob, &options, NULL) < 0)
        return;
    line_begin(&out, buf, sizeof buf, 1, "again");
    hop_message_put_options(&out, &options);
    len = line_end(&out);
    assert(len > 0);
    buf[len - 1] = 0;
    assert(line_cut(buf, len - 1, &second) == LINE_OK);
    assert(hop_message_pack_filter(&options, &filter, &n_filter, NULL) == 0);
    assert(hop_message_get_options(&second, filter, n_filter, &again, NULL) == 0);
    assert(again.n_points == options.n_points && again.n_filter == options.n_filter);
    for (unsigned i = 0; i < options.n_points; i++) {
        assert(strcmp(again.points[i].name, options.points[i].name) == 0);
        assert(strcmp(again.points[i].netns, options.points[i].netns) == 0);
        assert(strcmp(again.points[i].ifname, options.points[i].ifname) == 0);
    }
    for (unsigned i = 0; i < options.n_filter; i++)
        assert(again.filter[i].code == options.filter[i].code &&
               again.filter[i].k == options.filter[i].k);
    assert(again.source == options.source && again.nat == options.nat);
    assert(again.window_ns == options.window_ns && again.port == options.port);
    free(filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t n_text = end ? (size_t)(end - data) : size;
    char *text = malloc(n_text + 1);
    struct line line;

    read_hops(data, size);
    if (!text)
        return 0;
    memcpy(text, data, n_text);
    text[n_text] = 0;
    if (!memchr(text, 0, n_text) && line_cut(text, n_text, &line) == LINE_OK)
        read_options(&line, end ? end + 1 : NULL, end ? size - n_text - 1 : 0);
    free(text);
    return 0;
}
