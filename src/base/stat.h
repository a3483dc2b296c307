/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arithmetic of samples; no I/O. */

/* Arithmetic mean; 0 of nothing. */
double stat_mean(const double *v, size_t n);
/* Median; sorts v in place; 0 of nothing. */
double stat_median(double *v, size_t n);

struct stat_interval {
    double low, high;
};

/*
 * 95 % confidence interval of a share, k of n.
 *
 * source  Wilson score interval (1927); for k = 0 its upper end is about the "rule of three", 3/n
 */
struct stat_interval stat_share_interval(uint64_t k, uint64_t n);

/*
 * 95 % confidence interval of the median of n values: from the k-th smallest to the k-th largest. Returns k, 1 …; 0 when
 * even smallest to largest covers it less often, which is so with fewer than 6.
 *
 * shape   n at most STAT_MAX_RANKED; of more the interval is not known: 0
 * source  order statistics (sign test): the median lies outside with a chance of 2 P(B < k), B binomial of n throws and
 *         1/2; k is the largest that keeps it at or below 5 %, whatever the values' distribution
 */
enum { STAT_MAX_RANKED = 10000 };
size_t stat_median_rank(size_t n);
/* That interval; sorts v in place. False when there is none. */
bool stat_median_interval(double *v, size_t n, struct stat_interval *ret_interval);

/* Median of the distances to centre; v becomes these distances, sorted; 0 of nothing. */
double stat_mad(double *v, size_t n, double centre);

/*
 * How many values at the front of a series are still its start-up: leaving out so many makes the standard error of the
 * rest's mean smallest. At most half; 0 when the series is steady, or shorter than 4.
 *
 * source  marginal standard error rule MSER of White, "An effective truncation heuristic" (1997)
 */
size_t stat_truncation(const double *v, size_t n);

/* Least squares of y over x, fed one by one. */
struct stat_slope {
    double n, mean_x, mean_y, sxx, sxy, syy;
};

void stat_slope_add(struct stat_slope *s, double x, double y);
/* Slope of the line; 0 with fewer than two points. */
double stat_slope(const struct stat_slope *s);
