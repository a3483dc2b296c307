/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/keys.h"

#include <string.h>

static uint8_t *keys_put(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
    return p + n;
}

static uint64_t keys_take(const uint8_t **p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)(*p)[i] << 8 * i;
    *p += n;
    return v;
}

void keys_pack(const struct seen *seen, uint8_t *ret_bytes)
{
    uint8_t *p = keys_put(ret_bytes, seen->ts_ns, 8);

    p = keys_put(p, seen->base, 8);
    p = keys_put(p, seen->base_nat, 8);
    p = keys_put(p, seen->pos, 4);
    p = keys_put(p, seen->len, 4);
    p = keys_put(p, seen->flow, 4);
    p = keys_put(p, seen->id, 2);
    keys_put(p, seen->flags, 2);
}

void keys_unpack(const uint8_t *bytes, unsigned point, struct seen *ret_seen)
{
    struct seen seen = {.point = (uint8_t)point};
    const uint8_t *p = bytes;

    seen.ts_ns = keys_take(&p, 8);
    seen.base = keys_take(&p, 8);
    seen.base_nat = keys_take(&p, 8);
    seen.pos = (uint32_t)keys_take(&p, 4);
    seen.len = (uint32_t)keys_take(&p, 4);
    seen.flow = (uint32_t)keys_take(&p, 4);
    seen.id = (uint16_t)keys_take(&p, 2);
    seen.flags = (uint8_t)keys_take(&p, 2);
    *ret_seen = seen;
}

void keys_pack_flow(uint32_t flow, const struct seen_flow *words, uint8_t *ret_bytes)
{
    uint8_t *p = keys_put(ret_bytes, flow, 4);

    p = keys_put(p, words->protocol, 1);
    p = keys_put(p, words->family, 1);
    p = keys_put(p, words->from_port, 2);
    p = keys_put(p, words->to_port, 2);
    memcpy(p, words->from, sizeof words->from);
    memcpy(p + sizeof words->from, words->to, sizeof words->to);
}

void keys_unpack_flow(const uint8_t *bytes, uint32_t *ret_flow, struct seen_flow *ret_words)
{
    struct seen_flow words = {0};
    const uint8_t *p = bytes;

    *ret_flow = (uint32_t)keys_take(&p, 4);
    words.protocol = (uint8_t)keys_take(&p, 1);
    words.family = (uint8_t)keys_take(&p, 1);
    words.from_port = (uint16_t)keys_take(&p, 2);
    words.to_port = (uint16_t)keys_take(&p, 2);
    memcpy(words.from, p, sizeof words.from);
    memcpy(words.to, p + sizeof words.from, sizeof words.to);
    *ret_words = words;
}
