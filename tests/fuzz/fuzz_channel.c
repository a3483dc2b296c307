/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of lines and blobs through a pipe, once whole and once in odd cuts: what comes out must not depend on the cuts. The
 * first byte of the input seeds the cuts.
 */
#include "fuzz.h"
#include "wire/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Below what a pipe holds, so that the writer never waits for the reader. */
enum { MOST_BYTES = 32 * 1024 };

static uint64_t mix(uint64_t sum, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * 0x100000001b3;
    return (sum ^ n) * 0x100000001b3;
}

/* All messages that are there now, into the sum. False: the stream cannot be read any further. */
static bool take(struct channel *channel, uint64_t *sum)
{
    struct err err = {0};
    struct message m;
    int r;

    while ((r = channel_next(channel, &m, &err)) != 0) {
        *sum = mix(*sum, &r, sizeof r);
        if (r == -E2BIG)
            return false;
        if (r == -EBADMSG) {
            assert(err.text[0]);
            *sum = mix(*sum, err.text, strlen(err.text));
            continue;
        }
        assert(r == 1);
        *sum = mix(*sum, m.line.verb, strlen(m.line.verb));
        for (unsigned i = 0; i < m.line.n_pairs; i++)
            *sum = mix(*sum, m.line.pair[i].value, strlen(m.line.pair[i].value));
        assert(!m.blob == !m.n_blob);
        if (m.blob)
            *sum = mix(*sum, m.blob, m.n_blob);
    }
    return true;
}

static uint64_t run(const uint8_t *data, size_t size, unsigned cuts)
{
    struct channel channel;
    uint64_t sum = 0;
    bool goes_on = true;
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return 0;
    assert(channel_init(&channel, fds[0], fds[1], NULL) == 0);
    for (size_t at = 0, n; at < size && goes_on; at += n) {
        n = size;
        if (cuts) {
            cuts = cuts * 1103515245 + 12345;
            n = 1 + (cuts >> 16) % ((cuts >> 8) % 2 ? 7 : 600);
        }
        if (n > size - at)
            n = size - at;
        assert(write(fds[1], data + at, n) == (ssize_t)n);
        while (goes_on && channel_fill(&channel, NULL) > 0)
            goes_on = take(&channel, &sum);
    }
    if (goes_on) {
        close(fds[1]);
        fds[1] = -1;
        assert(channel_fill(&channel, NULL) == -EPIPE);
    }
    channel_done(&channel);
    close(fds[0]);
    if (fds[1] >= 0)
        close(fds[1]);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole, cut;

    if (size < 1 || size > MOST_BYTES)
        return 0;
    whole = run(data + 1, size - 1, 0);
    cut = run(data + 1, size - 1, data[0] + 1u);
    assert(whole == cut);
    return 0;
}
