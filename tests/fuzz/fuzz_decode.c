/* SPDX-License-Identifier: Apache-2.0 */
/* A frame as anybody may have sent it: link type in the first two bytes, then the frame. */
#include "capture/decode.h"

#include <assert.h>

#include "fuzz.h"

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
