/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/source_pcap.h"

#include "capture/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2, /* obsolete */
    BLOCK_SIMPLE = 3,
    BLOCK_STATISTICS = 5,
    BLOCK_ENHANCED = 6,
    ORDER_MAGIC = 0x1a2b3c4d,
    BLOCK_LEAST = 12,
    SECTION_LEAST = 28,
    OPTION_END = 0,
    OPTION_RESOLUTION = 9,
    OPTION_OFFSET = 14,
    OPTION_FLAGS = 2,
    OPTION_DROPS_INTERFACE = 5,
    OPTION_DROPS_SYSTEM = 7,
    MAX_INTERFACES = 4096,
};

struct ng_interface {
    uint64_t drops;   /* the last that its statistics said */
    uint64_t times;   /* ticks to ns: multiply, or … */
    uint64_t divide;  /* … divide, for those finer than a ns */
    int64_t offset_s; /* to be added */
    uint32_t snaplen; /* 0 no limit */
    uint16_t link;
    uint8_t shift; /* … or ticks are 2^-shift s */
};

struct source_pcapng {
    struct source source;
    struct input input;
    struct ng_interface *interfaces; /* owned; of this section */
    uint32_t n_interfaces;
    bool swapped; /* this section is big endian */
};

static uint16_t ng_u16(const struct source_pcapng *s, const uint8_t *b)
{
    return s->swapped ? cursor_be16(b) : cursor_le16(b);
}

static uint32_t ng_u32(const struct source_pcapng *s, const uint8_t *b)
{
    return s->swapped ? cursor_be32(b) : cursor_le32(b);
}

static uint64_t ng_u64(const struct source_pcapng *s, const uint8_t *b)
{
    return s->swapped ? (uint64_t)cursor_be32(b) << 32 | cursor_be32(b + 4) : cursor_le64(b);
}

bool source_is_pcapng(const uint8_t head[4]) { return cursor_be32(head) == SOURCE_SECTION; }

/* The value of the next option of the list; NULL it is at its end, or it is none. */
static const uint8_t *ng_option(const struct source_pcapng *s, struct cursor *options,
                                uint16_t *ret_code, uint16_t *ret_n)
{
    const uint8_t *head = cursor_take(options, 4), *value;

    if (!head || ng_u16(s, head) == OPTION_END)
        return NULL;
    *ret_code = ng_u16(s, head);
    *ret_n = ng_u16(s, head + 2);
    value = cursor_take(options, *ret_n);
    if (value && !cursor_take(options, (4U - *ret_n % 4U) % 4U))
        options->at = options->end;
    return value;
}

static void ng_resolution(struct ng_interface *i, uint8_t resolution)
{
    unsigned power = resolution & 0x7f;

    i->times = i->divide = 1;
    i->shift = 0;
    if (resolution & 0x80) {
        i->shift = (uint8_t)(power > 63 ? 63 : power);
        i->times = i->shift ? 0 : 1000000000;
        return;
    }
    for (; power < 9; power++)
        i->times *= 10;
    for (; power > 9 && i->divide < 1000000000000000000ULL; power--)
        i->divide *= 10;
}

static uint64_t ng_time(const struct ng_interface *i, uint64_t ticks)
{
    uint64_t ns, part;

    if (i->shift) {
        part = ticks & ((1ULL << i->shift) - 1);
        /* Bits below 2^-33 s are no ns any more, and would not fit. */
        ns = (ticks >> i->shift) * 1000000000 + (i->shift > 33
                                                     ? (part >> (i->shift - 33)) * 1000000000 >> 33
                                                     : part * 1000000000 >> i->shift);
    } else {
        ns = ticks * i->times / i->divide;
    }
    return ns + (uint64_t)i->offset_s * 1000000000;
}

static int ng_section(struct source_pcapng *s, const uint8_t *block, struct err *err)
{
    uint32_t little = cursor_le32(block + 8), big = cursor_be32(block + 8);

    if (little != ORDER_MAGIC && big != ORDER_MAGIC)
        return source_bad(&s->input, err, "a section has byte-order magic %08" PRIx32, big);
    s->swapped = big == ORDER_MAGIC;
    s->n_interfaces = 0;
    return 0;
}

static int ng_add_interface(struct source_pcapng *s, struct cursor body, struct err *err)
{
    struct ng_interface i = {0}, *grown;
    const uint8_t *head = cursor_take(&body, 8), *value;
    uint16_t code, n;

    if (!head)
        return source_bad(&s->input, err, "an interface is described in %zu bytes",
                          cursor_left(&body));
    if (s->n_interfaces == MAX_INTERFACES)
        return source_bad(&s->input, err, "it has more than %d interfaces", MAX_INTERFACES);
    i.link = ng_u16(s, head);
    i.snaplen = ng_u32(s, head + 4);
    ng_resolution(&i, 6);
    while ((value = ng_option(s, &body, &code, &n))) {
        if (code == OPTION_RESOLUTION && n >= 1)
            ng_resolution(&i, value[0]);
        else if (code == OPTION_OFFSET && n >= 8)
            i.offset_s = (int64_t)ng_u64(s, value);
    }
    grown = reallocarray(s->interfaces, s->n_interfaces + 1, sizeof *grown);
    if (!grown)
        return err_set(err, ENOMEM, "reading '%s'", s->input.path);
    s->interfaces = grown;
    grown[s->n_interfaces++] = i;
    return 0;
}

static void ng_statistics(struct source_pcapng *s, struct cursor body)
{
    const uint8_t *head = cursor_take(&body, 12), *value;
    uint16_t code, n;
    uint64_t drops = 0;
    bool told = false;

    if (!head || ng_u32(s, head) >= s->n_interfaces)
        return;
    while ((value = ng_option(s, &body, &code, &n)))
        if ((code == OPTION_DROPS_INTERFACE || code == OPTION_DROPS_SYSTEM) && n == 8) {
            drops += ng_u64(s, value);
            told = true;
        }
    if (!told)
        return;
    /* They count from the beginning of the capture. */
    s->source.drops += drops - s->interfaces[ng_u32(s, head)].drops;
    s->interfaces[ng_u32(s, head)].drops = drops;
    s->source.has_drops = true;
}

/* Direction, of an enhanced packet's options: 1 in, 2 out. */
static uint8_t ng_outgoing(const struct source_pcapng *s, struct cursor options)
{
    const uint8_t *value;
    uint16_t code, n;

    while ((value = ng_option(s, &options, &code, &n)))
        if (code == OPTION_FLAGS && n == 4)
            switch (ng_u32(s, value) & 3) {
            case 1:
                return 0;
            case 2:
                return 1;
            default:
                return 2;
            }
    return 2;
}

/* An enhanced packet, or one of the obsolete kind, which has the interface in 2 bytes and drops behind. */
static int ng_packet(struct source_pcapng *s, uint32_t type, struct cursor body,
                     struct frame *ret_frame, struct err *err)
{
    const uint8_t *head = cursor_take(&body, 20);
    const struct ng_interface *i;
    uint32_t id, n;

    if (!head)
        return source_bad(&s->input, err, "a packet's block has no room for its header");
    id = type == BLOCK_PACKET ? ng_u16(s, head) : ng_u32(s, head);
    if (id >= s->n_interfaces)
        return source_bad(&s->input, err,
                          "a packet is of interface %" PRIu32 ", of which nothing was said", id);
    n = ng_u32(s, head + 12);
    if (n > cursor_left(&body))
        return source_bad(&s->input, err,
                          "a packet claims to have %" PRIu32 " bytes, in a block of %zu", n,
                          cursor_left(&body));
    i = &s->interfaces[id];
    ret_frame->ts_ns = ng_time(i, (uint64_t)ng_u32(s, head + 4) << 32 | ng_u32(s, head + 8));
    ret_frame->data = cursor_take(&body, n);
    ret_frame->n = n;
    ret_frame->wire_len = ng_u32(s, head + 16);
    ret_frame->link = i->link;
    ret_frame->outgoing = 2;
    if (cursor_take(&body, (4U - n % 4U) % 4U) && cursor_left(&body) >= 8)
        ret_frame->outgoing = ng_outgoing(s, body);
    return 1;
}

/* It has no time. */
static int ng_simple(struct source_pcapng *s, struct cursor body, struct frame *ret_frame,
                     struct err *err)
{
    const uint8_t *head = cursor_take(&body, 4);
    uint32_t n;

    if (!head || s->n_interfaces == 0)
        return source_bad(&s->input, err, "a simple packet without an interface or a header");
    ret_frame->wire_len = ng_u32(s, head);
    n = ret_frame->wire_len;
    if (s->interfaces[0].snaplen && n > s->interfaces[0].snaplen)
        n = s->interfaces[0].snaplen;
    if (n > cursor_left(&body))
        return source_bad(&s->input, err,
                          "a packet claims to have %" PRIu32 " bytes, in a block of %zu", n,
                          cursor_left(&body));
    ret_frame->ts_ns = 0;
    ret_frame->data = body.at;
    ret_frame->n = n;
    ret_frame->link = s->interfaces[0].link;
    ret_frame->outgoing = 2;
    return 1;
}

/* One block that we know; 1 it was a packet. */
static int ng_block(struct source_pcapng *s, uint32_t type, struct cursor body,
                    struct frame *ret_frame, struct err *err)
{
    switch (type) {
    case BLOCK_INTERFACE:
        return ng_add_interface(s, body, err);
    case BLOCK_ENHANCED:
    case BLOCK_PACKET:
        return ng_packet(s, type, body, ret_frame, err);
    case BLOCK_SIMPLE:
        return ng_simple(s, body, ret_frame, err);
    case BLOCK_STATISTICS:
        ng_statistics(s, body);
        return 0;
    default:
        return 0;
    }
}

static bool ng_known(uint32_t type)
{
    return type == BLOCK_INTERFACE || type == BLOCK_ENHANCED || type == BLOCK_PACKET ||
           type == BLOCK_SIMPLE || type == BLOCK_STATISTICS;
}

/* The next block's type and length, the section's byte order being found out; 0 the end. */
static int ng_head(struct source_pcapng *s, uint32_t *ret_type, uint32_t *ret_n, struct err *err)
{
    const uint8_t *head = input_peek(&s->input, 8);
    int r;

    if (!head)
        return input_failure(&s->input, "the head of a block", err);
    if (source_is_pcapng(head)) {
        head = input_peek(&s->input, BLOCK_LEAST);
        if (!head)
            return input_failure(&s->input, "the head of a section", err);
        r = ng_section(s, head, err);
        if (r < 0)
            return r;
    }
    *ret_type = ng_u32(s, head);
    *ret_n = ng_u32(s, head + 4);
    if (*ret_n < (*ret_type == SOURCE_SECTION ? SECTION_LEAST : BLOCK_LEAST) || *ret_n % 4)
        return source_bad(&s->input, err, "a block claims to have %" PRIu32 " bytes", *ret_n);
    return 1;
}

static int pcapng_next(struct source *source, struct frame *ret_frame, struct err *err)
{
    struct source_pcapng *s = (struct source_pcapng *)source;

    for (;;) {
        const uint8_t *block;
        uint32_t type = 0, n = 0;
        int r = ng_head(s, &type, &n, err);

        if (r <= 0)
            return r;
        if (!ng_known(type)) {
            uint64_t at = input_offset(&s->input);

            if (!input_skip(&s->input, n)) {
                r = input_failure(&s->input, "a block", err);
                return r < 0 ? r
                             : source_bad(&s->input, err,
                                          "the file ends in the middle of a block that begins at "
                                          "byte %" PRIu64,
                                          at);
            }
            continue;
        }
        if (n > SOURCE_MAX_PACKET)
            return source_bad(&s->input, err, "a block claims to have %" PRIu32 " bytes", n);
        block = input_peek(&s->input, n);
        if (!block)
            return input_failure(&s->input, "a block", err);
        if (ng_u32(s, block + n - 4) != n)
            return source_bad(&s->input, err,
                              "a block has length %" PRIu32 " at its beginning and %" PRIu32
                              " at its end",
                              n, ng_u32(s, block + n - 4));
        r = ng_block(s, type, (struct cursor){block + 8, block + n - 4}, ret_frame, err);
        if (r < 0)
            return r;
        input_take(&s->input, n);
        if (r > 0)
            return 1;
    }
}

static void pcapng_free(struct source *source)
{
    struct source_pcapng *s = (struct source_pcapng *)source;

    free(s->interfaces);
    input_done(&s->input);
    free(s);
}

static const struct source_ops pcapng_ops = {pcapng_next, pcapng_free};

int source_pcapng_new(struct input *input, struct source **ret_source, struct err *err)
{
    struct source_pcapng *s = calloc(1, sizeof *s);

    if (!s)
        return err_set(err, ENOMEM, "reading '%s'", input->path);
    s->source.ops = &pcapng_ops;
    s->input = *input;
    *ret_source = (struct source *)s;
    return 0;
}
