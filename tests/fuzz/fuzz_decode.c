/* SPDX-License-Identifier: Apache-2.0 */
/* A frame as anybody may have sent it: link type in the first two bytes, then the frame. */
#include "capture/decode.h"
#include "capture/decode_layers.h"

#include <assert.h>

#include "fuzz.h"

/* With the short way for usual frames and without it. */
static void same_both_ways(const struct frame *frame, enum decode_result r, const struct seen *seen,
                           const uint8_t *payload, uint32_t n_payload)
{
    struct seen other = {0};
    const uint8_t *other_payload = NULL;
    uint32_t n_other = 0;

    assert(decode_frame_long(frame, &other, &other_payload, &n_other) == r);
    if (r == DECODE_OK)
        assert(memcmp(&other, seen, sizeof other) == 0 && other_payload == payload &&
               n_other == n_payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame frame = {.ts_ns = 1, .outgoing = 2};
    struct seen seen = {0}, again = {0};
    struct seen_flow flow = {0};
    const uint8_t *payload = NULL;
    uint32_t n_payload = 0;
    enum decode_result r;

    if (size < 2)
        return 0;
    frame.link = (uint16_t)(data[0] << 8 | data[1]);
    frame.data = data + 2;
    frame.n = (uint32_t)(size - 2);
    frame.wire_len = frame.n;
    r = decode_frame(&frame, &seen, &payload, &n_payload);
    assert(r < DECODE_RESULT_COUNT);
    assert(decode_frame(&frame, &again, NULL, NULL) == r);
    same_both_ways(&frame, r, &seen, payload, n_payload);
    if (r != DECODE_OK)
        return 0;
    /* The payload is inside of the frame, and no more than there was. */
    assert(payload >= frame.data && payload + n_payload <= frame.data + frame.n);
    assert(n_payload <= seen.len);
    assert(seen.base == again.base && seen.base_nat == again.base_nat && seen.pos == again.pos);
    assert(seen.flow > 1 && decode_flow(&frame, &flow) == DECODE_OK);
    assert(flow.family == 4 || flow.family == 6);
    return 0;
}
