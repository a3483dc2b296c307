/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/bulk.h"
#include "base/auto.h"

#include <stdlib.h>
#include <string.h>

enum { BULK_VARINT = 10, BULK_FIRST = 512 };

/* Room for n more bytes. */
static uint8_t *bulk_room(struct bulk_out *out, size_t n)
{
    size_t size = out->size ? out->size : BULK_FIRST;
    uint8_t *grown;

    if (out->failed)
        return NULL;
    while (size - out->used < n)
        size *= 2;
    if (size > out->size) {
        grown = realloc(out->buf, size);
        if (!grown) {
            out->failed = true;
            return NULL;
        }
        out->buf = grown;
        out->size = size;
    }
    return out->buf + out->used;
}

void bulk_put(struct bulk_out *out, uint64_t v)
{
    uint8_t *at = bulk_room(out, BULK_VARINT);

    if (!at)
        return;
    do {
        out->buf[out->used++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
}

void bulk_put_signed(struct bulk_out *out, int64_t v)
{
    bulk_put(out, v < 0 ? ~((uint64_t)v << 1) : (uint64_t)v << 1);
}

void bulk_put_real(struct bulk_out *out, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    bulk_put(out, bits);
}

/* n bytes behind their number. */
static void bulk_put_bytes(struct bulk_out *out, const void *bytes, size_t n)
{
    uint8_t *at;

    bulk_put(out, n);
    at = bulk_room(out, n);
    if (!at || n == 0)
        return;
    memcpy(at, bytes, n);
    out->used += n;
}

void bulk_put_text(struct bulk_out *out, const char *text)
{
    bulk_put_bytes(out, text, strlen(text));
}

void bulk_put_last_hist(struct bulk_out *out, const struct hist *hist)
{
    uint8_t *at = bulk_room(out, HIST_PACKED_MAX);
    int n = at ? hist_pack(hist, at, HIST_PACKED_MAX) : 0;

    if (n < 0)
        out->failed = true;
    else
        out->used += (size_t)n;
}

void bulk_put_hist(struct bulk_out *out, const struct hist *hist)
{
    struct bulk_out own = {0};

    if (hist)
        bulk_put_last_hist(&own, hist);
    out->failed |= own.failed;
    bulk_put_bytes(out, own.buf, own.used);
    bulk_done(&own);
}

void bulk_done(struct bulk_out *out)
{
    free(out->buf);
    *out = (struct bulk_out){0};
}

struct bulk_in bulk_in(const uint8_t *data, size_t n)
{
    return (struct bulk_in){.p = data, .end = n ? data + n : data};
}

static size_t bulk_left(const struct bulk_in *in) { return (size_t)(in->end - in->p); }

uint64_t bulk_get(struct bulk_in *in)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && !in->bad; shift += 7) {
        uint8_t byte;

        if (in->p == in->end)
            break;
        byte = *in->p++;
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    in->bad = true;
    return 0;
}

int64_t bulk_get_signed(struct bulk_in *in)
{
    uint64_t v = bulk_get(in);

    return (int64_t)(v & 1 ? ~(v >> 1) : v >> 1);
}

double bulk_get_real(struct bulk_in *in)
{
    uint64_t bits = bulk_get(in);
    double v;

    memcpy(&v, &bits, sizeof v);
    /* What is no number would poison every sum that it is added to. */
    if (!(v >= -1e300 && v <= 1e300))
        in->bad = true;
    return in->bad ? 0 : v;
}

uint32_t bulk_get_count(struct bulk_in *in, uint64_t max)
{
    uint64_t n = bulk_get(in);

    if (n > max || n > bulk_left(in))
        in->bad = true;
    return in->bad ? 0 : (uint32_t)n;
}

void bulk_get_text(struct bulk_in *in, char *ret, size_t size)
{
    uint32_t n = bulk_get_count(in, size - 1);

    if (n && memchr(in->p, 0, n))
        in->bad = true;
    if (in->bad)
        n = 0;
    if (n)
        memcpy(ret, in->p, n);
    ret[n] = 0;
    in->p += n;
}

/* Of exactly n bytes that are there. */
static struct hist *bulk_hist(struct bulk_in *in, size_t n)
{
    AUTO(free_p) struct hist *hist = NULL;

    if (in->bad || n == 0)
        return NULL;
    hist = calloc(1, sizeof *hist);
    if (!hist || hist_unpack(in->p, n, hist) < 0) {
        in->bad = true;
        return NULL;
    }
    in->p += n;
    return TAKE(hist);
}

struct hist *bulk_get_hist(struct bulk_in *in)
{
    return bulk_hist(in, bulk_get_count(in, HIST_PACKED_MAX));
}

struct hist *bulk_get_last_hist(struct bulk_in *in) { return bulk_hist(in, bulk_left(in)); }
