/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "capture/cursor.h"
#include "capture/decode.h"

#include <stdbool.h>
#include <stdint.h>

/* The innermost IP packet of a frame. */
struct layers {
    struct cursor l4;    /* what was captured behind its headers; padding is cut off */
    uint32_t l4_len;     /* what there was */
    const uint8_t *from; /* address; n_address bytes */
    const uint8_t *to;
    uint16_t id; /* of IPv4 */
    uint8_t n_address;
    uint8_t protocol;
    uint8_t family; /* 4, 6 */
    bool first_fragment;
    bool outgoing;
};

/* What any layer may cost: nested deeper than this nobody sends. */
enum { LAYERS_MAX_DEPTH = 8, LAYERS_MAX_TAGS = 8, LAYERS_MAX_EXTENSIONS = 16 };

/*
 * What nearly every frame is: Ethernet, IPv4 without options and not in fragments, and this protocol, in which there may be
 * no tunnel. False: it is something else, or there is something odd about it, and decode_layers() looks again.
 */
static inline __attribute__((always_inline)) bool layers_usual(const struct frame *frame,
                                                               uint8_t protocol, struct layers *l)
{
    const uint8_t *ip = frame->data + 14;
    uint32_t total;

    if (frame->link != DECODE_ETHERNET || frame->n < 34 || cursor_be16(ip - 2) != 0x0800 ||
        ip[0] != 0x45 || ip[9] != protocol || (cursor_be16(ip + 6) & 0x3fff))
        return false;
    total = cursor_be16(ip + 2);
    if (total < 20)
        return false;
    l->l4.at = ip + 20;
    l->l4.end = ip + (total < frame->n - 14 ? total : frame->n - 14);
    l->l4_len = total - 20;
    l->from = ip + 12;
    l->to = ip + 16;
    l->id = cursor_be16(ip + 4);
    l->n_address = 4;
    l->protocol = protocol;
    l->family = 4;
    l->first_fragment = false;
    l->outgoing = frame->outgoing == 1;
    return true;
}

enum decode_result decode_layers(const struct frame *frame, struct layers *ret_layers);

/* decode_frame() without its short way for usual frames: tests hold that both find the same. */
enum decode_result decode_frame_long(const struct frame *frame, struct seen *ret_seen,
                                     const uint8_t **ret_payload, uint32_t *ret_n_payload);
