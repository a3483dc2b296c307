/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_SAMPLES = 20000 };

static uint64_t seed;

/* xorshift64*: the same samples on every machine. */
static uint64_t next_random(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * 2685821657736338717ULL;
}

static double next_share(void) { return ((double)(next_random() >> 11) + 1) / 9007199254740993.0; }

static uint64_t sample_small(void) { return next_random() % 128; }

static uint64_t sample_uniform(void) { return 1000 + next_random() % 1000000; }

static uint64_t sample_exponential(void) { return (uint64_t)(-log(next_share()) * 50000); }

/* Heavy tail: every octave up to minutes. */
static uint64_t sample_pareto(void) { return (uint64_t)(500 / pow(next_share(), 1.5)); }

static uint64_t sample_two_paths(void)
{
    return next_random() % 10 ? 20000 + next_random() % 500 : 10000000 + next_random() % 100;
}

static uint64_t sample_any(void) { return next_random() >> next_random() % 64; }

static uint64_t (*const samples[])(void) = {sample_small,  sample_uniform,   sample_exponential,
                                            sample_pareto, sample_two_paths, sample_any};

static int order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static struct hist *fill(uint64_t (*sample)(void), uint64_t *exact, size_t n)
{
    struct hist *h = calloc(1, sizeof *h);

    assert_non_null(h);
    for (size_t i = 0; i < n; i++) {
        exact[i] = sample();
        hist_add(h, exact[i]);
    }
    return h;
}

static void test_percentiles_are_within_one_percent_of_a_sort(void **state)
{
    static const double shares[] = {0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1};
    static uint64_t exact[N_SAMPLES];

    (void)state;
    for (size_t d = 0; d < sizeof samples / sizeof *samples; d++) {
        struct hist *h;

        seed = 88172645463325252ULL + d;
        h = fill(samples[d], exact, N_SAMPLES);
        qsort(exact, N_SAMPLES, sizeof *exact, order);
        for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
            double rank = ceil(shares[i] * N_SAMPLES);
            uint64_t want = exact[rank < 1 ? 0 : (size_t)rank - 1],
                     got = hist_percentile(h, shares[i]);
            double off = fabs((double)got - (double)want);

            if (off > 0.01 * (double)want)
                fail_msg("distribution %zu, share %g: %llu is not %llu", d, shares[i],
                         (unsigned long long)got, (unsigned long long)want);
        }
        assert_true(h->min == exact[0] && h->max == exact[N_SAMPLES - 1]);
        assert_int_equal(h->count, N_SAMPLES);
        free(h);
    }
}

static void test_mean_and_deviation_are_exact(void **state)
{
    struct hist *h = calloc(1, sizeof *h);

    (void)state;
    assert_non_null(h);
    /* Mean 5 and deviation 2, the schoolbook row. */
    for (size_t i = 0; i < 8; i++)
        hist_add(h, (const uint64_t[]){2, 4, 4, 4, 5, 5, 7, 9}[i]);
    assert_true(fabs(hist_mean(h) - 5) < 1e-12);
    assert_true(fabs(hist_stddev(h) - 2) < 1e-9);
    free(h);
}

static void test_equal_values_do_not_deviate(void **state)
{
    struct hist *h = calloc(1, sizeof *h);

    (void)state;
    assert_non_null(h);
    for (int i = 0; i < 1000; i++)
        hist_add(h, 123456789);
    /* The difference of two large squares leaves some rounding. */
    assert_true(hist_stddev(h) < 123456789 * 1e-6);
    assert_true(hist_percentile(h, 0.5) == 123456789);
    free(h);
}

static void test_empty_is_zero(void **state)
{
    struct hist *h = calloc(1, sizeof *h);

    (void)state;
    assert_non_null(h);
    assert_int_equal(hist_percentile(h, 0.5), 0);
    assert_true(hist_mean(h) == 0 && hist_stddev(h) == 0);
    free(h);
}

static void test_ends_of_the_range_have_a_bucket(void **state)
{
    struct hist *h = calloc(1, sizeof *h);

    (void)state;
    assert_non_null(h);
    hist_add(h, 0);
    hist_add(h, UINT64_MAX);
    assert_true(hist_percentile(h, 0) == 0);
    assert_true(hist_percentile(h, 0.5) == 0);
    assert_true(hist_percentile(h, 1) == UINT64_MAX);
    free(h);
}

static void test_worked_example_of_the_header(void **state)
{
    struct hist *h = calloc(1, sizeof *h);

    (void)state;
    assert_non_null(h);
    hist_add(h, 1);
    hist_add(h, 1000);
    hist_add(h, 5000);
    assert_int_equal(hist_percentile(h, 0.5), 1003);
    free(h);
}

static void test_merge_is_adding_both(void **state)
{
    static uint64_t exact[N_SAMPLES];

    (void)state;
    for (size_t d = 0; d < sizeof samples / sizeof *samples; d++) {
        struct hist *a, *b, *both = calloc(1, sizeof *both), *empty = calloc(1, sizeof *empty);

        assert_true(both && empty);
        seed = 7 + d;
        a = fill(samples[d], exact, 1000);
        for (size_t i = 0; i < 1000; i++)
            hist_add(both, exact[i]);
        b = fill(samples[(d + 1) % 6], exact, 3000);
        for (size_t i = 0; i < 3000; i++)
            hist_add(both, exact[i]);
        hist_merge(a, b);
        hist_merge(a, empty);
        assert_memory_equal(a->bucket, both->bucket, sizeof a->bucket);
        assert_true(a->count == both->count && a->min == both->min && a->max == both->max);
        assert_true(fabs(a->sum - both->sum) <= 1e-9 * both->sum);
        hist_merge(empty, both);
        assert_memory_equal(empty, both, sizeof *both);
        free(a);
        free(b);
        free(both);
        free(empty);
    }
}

static void test_pack_and_unpack_are_inverse(void **state)
{
    static uint64_t exact[N_SAMPLES];
    static uint8_t packed[HIST_PACKED_MAX];

    (void)state;
    for (size_t d = 0; d <= sizeof samples / sizeof *samples; d++) {
        struct hist *h, *back = malloc(sizeof *back);
        int n;

        assert_non_null(back);
        memset(back, 0xa5, sizeof *back);
        seed = 99 + d;
        h = fill(samples[d % 6], exact, d == 6 ? 0 : N_SAMPLES);
        n = hist_pack(h, packed, sizeof packed);
        assert_true(n > 0);
        assert_int_equal(hist_unpack(packed, (size_t)n, back), 0);
        assert_memory_equal(back, h, sizeof *h);
        assert_int_equal(hist_pack(h, packed, (size_t)n - 1), -ENOSPC);
        free(h);
        free(back);
    }
}

static void test_corrupt_bytes_are_refused(void **state)
{
    static uint64_t exact[1000];
    static uint8_t packed[HIST_PACKED_MAX + 16];
    struct hist *h, *back = calloc(1, sizeof *back);
    int n;

    (void)state;
    assert_non_null(back);
    seed = 5;
    h = fill(sample_exponential, exact, 1000);
    n = hist_pack(h, packed, HIST_PACKED_MAX);
    assert_true(n > 0);
    /* Every beginning lacks samples that its count promises. */
    for (int i = 0; i < n; i++)
        assert_int_equal(hist_unpack(packed, (size_t)i, back), -EBADMSG);
    /* More than the count promises. */
    packed[n] = 0;
    packed[n + 1] = 1;
    assert_int_equal(hist_unpack(packed, (size_t)n + 2, back), -EBADMSG);
    /* A number of more than 64 bits, and one without an end. */
    memset(packed, 0xff, 10);
    assert_int_equal(hist_unpack(packed, 10, back), -EBADMSG);
    memset(packed, 0x80, 16);
    assert_int_equal(hist_unpack(packed, 16, back), -EBADMSG);
    free(h);
    free(back);
}

/* One sample in bucket 5 whose header says otherwise, byte by byte: count min max sum squares, step n. */
static void test_a_header_that_lies_is_refused(void **state)
{
    static const struct {
        const char *why;
        uint8_t bytes[24];
        size_t n;
        int r;
    } rows[] = {
        {"as it should be", {1, 5, 5, 0, 0, 5, 1}, 7, 0},
        {"count is larger", {2, 5, 5, 0, 0, 5, 1}, 7, -EBADMSG},
        {"min above max", {1, 6, 5, 0, 0, 5, 1}, 7, -EBADMSG},
        {"bucket behind the last", {1, 5, 5, 0, 0, 0xff, 0x7f, 1}, 8, -EBADMSG},
        {"sum is infinite",
         {1, 5, 5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf8, 0x7f, 0, 5, 1},
         15,
         -EBADMSG},
        {"sum is negative",
         {1, 5, 5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf8, 0xbf, 1, 0, 5, 1},
         16,
         -EBADMSG},
        {"a step without its count", {1, 5, 5, 0, 0, 5, 1, 3}, 8, -EBADMSG},
    };
    struct hist *back = calloc(1, sizeof *back);

    (void)state;
    assert_non_null(back);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int r = hist_unpack(rows[i].bytes, rows[i].n, back);

        if (r != rows[i].r)
            fail_msg("%s: %d is not %d", rows[i].why, r, rows[i].r);
    }
    free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles_are_within_one_percent_of_a_sort),
        cmocka_unit_test(test_mean_and_deviation_are_exact),
        cmocka_unit_test(test_equal_values_do_not_deviate),
        cmocka_unit_test(test_empty_is_zero),
        cmocka_unit_test(test_ends_of_the_range_have_a_bucket),
        cmocka_unit_test(test_worked_example_of_the_header),
        cmocka_unit_test(test_merge_is_adding_both),
        cmocka_unit_test(test_pack_and_unpack_are_inverse),
        cmocka_unit_test(test_corrupt_bytes_are_refused),
        cmocka_unit_test(test_a_header_that_lies_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
