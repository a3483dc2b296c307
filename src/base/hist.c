/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"

/* No libc here: the unikernel guest builds this file too. */
enum { HIST_ENOSPC = 28, HIST_EBADMSG = 74 };

/* Lowest value of a bucket and its width. */
static uint64_t hist_low(unsigned i, uint64_t *ret_width)
{
    unsigned shift;

    if (i < 2 * HIST_SUB) {
        *ret_width = 1;
        return i;
    }
    shift = i / HIST_SUB - 1;
    *ret_width = 1ULL << shift;
    return (uint64_t)(i % HIST_SUB + HIST_SUB) << shift;
}

void hist_merge(struct hist *h, const struct hist *other)
{
    if (other->count == 0)
        return;
    if (h->count == 0 || other->min < h->min)
        h->min = other->min;
    if (other->max > h->max)
        h->max = other->max;
    h->count += other->count;
    h->sum += other->sum;
    h->sum_squares += other->sum_squares;
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        h->bucket[i] += other->bucket[i];
}

uint64_t hist_percentile(const struct hist *h, double share)
{
    uint64_t rank, seen = 0;

    if (h->count == 0)
        return 0;
    if (share <= 0)
        return h->min;
    if (share >= 1)
        return h->max;
    rank = (uint64_t)(share * (double)h->count);
    if ((double)rank < share * (double)h->count)
        rank++;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank) {
            uint64_t width, mid = hist_low(i, &width);

            mid += (width - 1) / 2;
            return mid < h->min ? h->min : mid > h->max ? h->max : mid;
        }
    }
    return h->max;
}

double hist_mean(const struct hist *h) { return h->count ? h->sum / (double)h->count : 0; }

/* Square root without libm: Newton from above, which falls until it stands still. */
static double hist_sqrt(double x)
{
    double r = x > 1 ? x : 1;

    if (x <= 0)
        return 0;
    for (int i = 0; i < 2100; i++) {
        double next = (r + x / r) / 2;

        if (next >= r)
            break;
        r = next;
    }
    return r;
}

double hist_stddev(const struct hist *h)
{
    double mean = hist_mean(h);

    return h->count ? hist_sqrt(h->sum_squares / (double)h->count - mean * mean) : 0;
}

struct hist_writer {
    uint8_t *buf;
    size_t size, used;
};

static void hist_put(struct hist_writer *w, uint64_t v)
{
    do {
        uint8_t byte = v & 0x7f;

        v >>= 7;
        if (w->used < w->size)
            w->buf[w->used] = (uint8_t)(byte | (v ? 0x80 : 0));
        w->used++;
    } while (v);
}

static uint64_t hist_bits(double d)
{
    union {
        double d;
        uint64_t u;
    } x = {.d = d};

    return x.u;
}

static double hist_double(uint64_t u)
{
    union {
        double d;
        uint64_t u;
    } x = {.u = u};

    return x.d;
}

int hist_pack(const struct hist *h, uint8_t *buf, size_t size)
{
    struct hist_writer w = {.buf = buf, .size = size};
    unsigned last = 0;

    hist_put(&w, h->count);
    hist_put(&w, h->min);
    hist_put(&w, h->max);
    hist_put(&w, hist_bits(h->sum));
    hist_put(&w, hist_bits(h->sum_squares));
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        if (h->bucket[i] == 0)
            continue;
        hist_put(&w, i - last);
        hist_put(&w, h->bucket[i]);
        last = i;
    }
    return w.used > w.size ? -HIST_ENOSPC : (int)w.used;
}

static int hist_get(const uint8_t *buf, size_t size, size_t *at, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte;

        if (*at >= size)
            return -HIST_EBADMSG;
        byte = buf[(*at)++];
        if (shift == 63 && byte > 1)
            return -HIST_EBADMSG;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = v;
            return 0;
        }
    }
    return -HIST_EBADMSG;
}

int hist_unpack(const uint8_t *buf, size_t size, struct hist *ret_hist)
{
    struct hist *h = ret_hist;
    uint64_t head[5], i = 0, seen = 0;
    size_t at = 0;

    for (unsigned k = 0; k < 5; k++)
        if (hist_get(buf, size, &at, &head[k]) < 0)
            return -HIST_EBADMSG;
    for (unsigned k = 0; k < HIST_BUCKETS; k++)
        h->bucket[k] = 0;
    h->count = head[0];
    h->min = head[1];
    h->max = head[2];
    h->sum = hist_double(head[3]);
    h->sum_squares = hist_double(head[4]);
    while (at < size) {
        uint64_t step, n;

        if (hist_get(buf, size, &at, &step) < 0 || hist_get(buf, size, &at, &n) < 0)
            return -HIST_EBADMSG;
        if (step >= HIST_BUCKETS || (i += step) >= HIST_BUCKETS)
            return -HIST_EBADMSG;
        h->bucket[i] += n;
        seen += n;
    }
    /* Not finite numbers would poison every mean that this histogram is merged into. */
    if (seen != h->count || h->min > h->max || !(h->sum >= 0 && h->sum <= 1e300) ||
        !(h->sum_squares >= 0 && h->sum_squares <= 1e300))
        return -HIST_EBADMSG;
    return 0;
}
