/* SPDX-License-Identifier: Apache-2.0 */
/* A capture file as anybody may have written it, packed or not: read, decoded, and matched with itself. */
#include "capture/decode.h"
#include "capture/match.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

enum { FRAMES_MOST = 20000 };

/* What is packed may be much more than the input: it is read as far as that. */
static unsigned read_all(struct source *source)
{
    struct frame frame;
    struct seen seen;
    struct err err = {0};
    unsigned n = 0;
    int r = 0;

    while (n < FRAMES_MOST && (r = source_next(source, &frame, &err)) > 0) {
        const uint8_t *payload;
        uint32_t n_payload, sum = 0;

        /* Whatever it says it has is there. */
        for (uint32_t i = 0; i < frame.n; i++)
            sum += frame.data[i];
        assert(frame.n <= 16U << 20 && sum <= frame.n * 255U);
        (void)decode_frame(&frame, &seen, &payload, &n_payload);
        n++;
    }
    assert(r >= 0 || (err.code != 0 && err.text[0]));
    return n;
}

static void match_with_itself(const char *path)
{
    struct match_options options = {.per_flow = true, .interval_ns = 1000000000};
    struct source *sources[2] = {NULL, NULL};
    const char *const names[2] = {"a", "b"};
    struct match *match = NULL;
    struct hops hops = {0};

    if (source_file_open(path, &sources[0], NULL) < 0 ||
        source_file_open(path, &sources[1], NULL) < 0 || match_new(2, &options, &match, NULL) < 0)
        abort();
    (void)match_sources(match, sources, names, &hops, NULL);
    if (hops.n_points)
        assert(hops.points[0].seen == hops.points[1].seen);
    hops_done(&hops);
    match_free(match);
    source_free(sources[0]);
    source_free(sources[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source *source = NULL;
    struct err err = {0};
    char path[64];
    unsigned n;
    int fd = memfd_create("capture", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (source_file_open(path, &source, &err) == 0) {
        n = read_all(source);
        source_free(source);
        if (n < FRAMES_MOST)
            match_with_itself(path);
    } else {
        assert(err.code != 0 && err.text[0]);
    }
    close(fd);
    return 0;
}
