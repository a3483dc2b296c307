/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/source_pcap.h"

#include "capture/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const uint32_t magic_us = 0xa1b2c3d4, magic_ns = 0xa1b23c4d, magic_modified = 0xa1b2cd34;

enum {
    HEADER_BYTES = 24,
    RECORD_BYTES = 16,
    MODIFIED_BYTES = 24, /* interface index, protocol, kind of packet, padding more */
    KIND_OUTGOING = 4,
    SNAPLEN_LEAST = 262144,
};

struct source_pcap {
    struct source source;
    struct input input;
    uint32_t unit_ns;
    uint32_t most; /* bytes of a packet */
    uint32_t header;
    uint16_t link;
    bool swapped; /* big endian */
};

static uint32_t pcap_u32(bool swapped, const uint8_t *b)
{
    return swapped ? cursor_be32(b) : cursor_le32(b);
}

static bool pcap_magic(uint32_t magic)
{
    return magic == magic_us || magic == magic_ns || magic == magic_modified;
}

bool source_is_pcap(const uint8_t head[4])
{
    return pcap_magic(cursor_be32(head)) || pcap_magic(cursor_le32(head));
}

static int pcap_next(struct source *source, struct frame *ret_frame, struct err *err)
{
    struct source_pcap *s = (struct source_pcap *)source;
    const uint8_t *record = input_peek(&s->input, s->header);
    uint32_t seconds, part, n, wire_len;

    if (!record)
        return input_failure(&s->input, "the header of a packet", err);
    if (s->swapped) {
        seconds = cursor_be32(record);
        part = cursor_be32(record + 4);
        n = cursor_be32(record + 8);
        wire_len = cursor_be32(record + 12);
    } else {
        seconds = cursor_le32(record);
        part = cursor_le32(record + 4);
        n = cursor_le32(record + 8);
        wire_len = cursor_le32(record + 12);
    }
    if (n > s->most)
        return source_bad(&s->input, err, "a packet claims to have %" PRIu32 " bytes", n);
    if (input_left(&s->input) < s->header + n) {
        record = input_fill(&s->input, s->header + n);
        if (!record)
            return input_failure(&s->input, "a packet", err);
    }
    ret_frame->ts_ns = seconds * 1000000000ULL + (uint64_t)part * s->unit_ns;
    ret_frame->data = record + s->header;
    ret_frame->n = n;
    ret_frame->wire_len = wire_len > n ? wire_len : n;
    ret_frame->link = s->link;
    ret_frame->outgoing = s->header == MODIFIED_BYTES ? record[22] == KIND_OUTGOING : 2;
    input_take(&s->input, s->header + n);
    return 1;
}

static void pcap_free(struct source *source)
{
    struct source_pcap *s = (struct source_pcap *)source;

    input_done(&s->input);
    free(s);
}

static const struct source_ops pcap_ops = {pcap_next, pcap_free};

int source_pcap_new(struct input *input, struct source **ret_source, struct err *err)
{
    const uint8_t *header = input_peek(input, HEADER_BYTES);
    struct source_pcap *s;
    uint32_t magic, snaplen;

    if (!header) {
        int r = input_failure(input, "the header", err);

        return r < 0 ? r : source_bad(input, err, "it is empty");
    }
    s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "reading '%s'", input->path);
    s->source.ops = &pcap_ops;
    s->swapped = pcap_magic(cursor_be32(header));
    magic = pcap_u32(s->swapped, header);
    snaplen = pcap_u32(s->swapped, header + 16);
    s->unit_ns = magic == magic_ns ? 1 : 1000;
    s->header = magic == magic_modified ? MODIFIED_BYTES : RECORD_BYTES;
    s->most = snaplen < SNAPLEN_LEAST       ? SNAPLEN_LEAST
              : snaplen > SOURCE_MAX_PACKET ? SOURCE_MAX_PACKET
                                            : snaplen;
    /* Above are the length of a checksum and other things that we need not know. */
    s->link = (uint16_t)pcap_u32(s->swapped, header + 20);
    input_take(input, HEADER_BYTES);
    s->input = *input;
    *ret_source = (struct source *)s;
    return 0;
}
