/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stat.h"

#include <math.h>
#include <stdlib.h>

double stat_mean(const double *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return n ? sum / (double)n : 0;
}

static int stat_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double stat_median(double *v, size_t n)
{
    if (n == 0)
        return 0;
    qsort(v, n, sizeof *v, stat_order);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

struct stat_interval stat_share_interval(uint64_t k, uint64_t n)
{
    const double z = 1.959963985;
    double N = (double)n, p, mid, half;

    if (n == 0)
        return (struct stat_interval){0, 1};
    if (k > n)
        k = n;
    p = (double)k / N;
    mid = (p + z * z / (2 * N)) / (1 + z * z / N);
    half = z / (1 + z * z / N) * sqrt(p * (1 - p) / N + z * z / (4 * N * N));
    return (struct stat_interval){k == 0 ? 0 : fmax(0, mid - half),
                                  k == n ? 1 : fmin(1, mid + half)};
}

size_t stat_median_rank(size_t n)
{
    /* Of STAT_MAX_RANKED throws the smallest term is 2^-10000: a long double holds it. */
    long double term = ldexpl(1, -(int)n), below = 0;
    size_t k = 0;

    if (n > STAT_MAX_RANKED)
        return 0;
    while (k < n && 2 * (below + term) <= 0.05L) {
        below += term;
        k++;
        term *= (long double)(n - k + 1) / (long double)k;
    }
    return k;
}

bool stat_median_interval(double *v, size_t n, struct stat_interval *ret_interval)
{
    size_t k = stat_median_rank(n);

    if (k == 0)
        return false;
    qsort(v, n, sizeof *v, stat_order);
    *ret_interval = (struct stat_interval){v[k - 1], v[n - k]};
    return true;
}

double stat_mad(double *v, size_t n, double centre)
{
    for (size_t i = 0; i < n; i++)
        v[i] = fabs(v[i] - centre);
    return stat_median(v, n);
}

size_t stat_truncation(const double *v, size_t n)
{
    double best = INFINITY;
    size_t best_cut = 0;

    if (n < 4)
        return 0;
    for (size_t cut = 0; cut <= n / 2; cut++) {
        double rest = (double)(n - cut), mean = stat_mean(v + cut, n - cut), sum = 0;

        for (size_t i = cut; i < n; i++)
            sum += (v[i] - mean) * (v[i] - mean);
        /* The fewer are left out the better, when it is all the same. */
        if (sum / (rest * rest) < best) {
            best = sum / (rest * rest);
            best_cut = cut;
        }
    }
    return best_cut;
}

/* Welford's update: sums of large squares would lose the small differences that matter here. */
void stat_slope_add(struct stat_slope *s, double x, double y)
{
    double dx = x - s->mean_x, dy = y - s->mean_y;

    s->n += 1;
    s->mean_x += dx / s->n;
    s->mean_y += dy / s->n;
    s->sxx += dx * (x - s->mean_x);
    s->sxy += dx * (y - s->mean_y);
    s->syy += dy * (y - s->mean_y);
}

double stat_slope(const struct stat_slope *s)
{
    return s->n >= 2 && s->sxx > 0 ? s->sxy / s->sxx : 0;
}
