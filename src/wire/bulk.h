/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/hist.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of a blob: LEB128 varints, signed ones as zigzag, reals as the bits of an IEEE 754 double, texts and
 * histograms behind their length. A writer grows; a reader checks every step against the end.
 *
 * errors  both remember: after the last step `failed` (no memory) or `bad` (nothing that a writer made) says so, and what
 *         was read since is 0
 * owns    bulk_out's buf: bulk_done(), or taken with TAKE()
 */
struct bulk_out {
    uint8_t *buf; /* owned */
    size_t size, used;
    bool failed;
};

void bulk_put(struct bulk_out *out, uint64_t v);
void bulk_put_signed(struct bulk_out *out, int64_t v);
void bulk_put_real(struct bulk_out *out, double v);
void bulk_put_text(struct bulk_out *out, const char *text);
/* NULL is one with nothing in it; behind its length. */
void bulk_put_hist(struct bulk_out *out, const struct hist *hist);
/* The same without its length: the last thing of a blob. */
void bulk_put_last_hist(struct bulk_out *out, const struct hist *hist);
void bulk_done(struct bulk_out *out);

struct bulk_in {
    const uint8_t *p, *end; /* lent */
    bool bad;
};

/* data may be NULL when n is 0. */
struct bulk_in bulk_in(const uint8_t *data, size_t n);
uint64_t bulk_get(struct bulk_in *in);
int64_t bulk_get_signed(struct bulk_in *in);
/* Bad when it is not finite. */
double bulk_get_real(struct bulk_in *in);
/* A count of things of at least one byte each, at most max. */
uint32_t bulk_get_count(struct bulk_in *in, uint64_t max);
void bulk_get_text(struct bulk_in *in, char *ret, size_t size);
/* A histogram of its own, or NULL where nothing was put; bad also without memory. */
struct hist *bulk_get_hist(struct bulk_in *in);
/* What is left is one. */
struct hist *bulk_get_last_hist(struct bulk_in *in);
