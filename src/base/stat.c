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
