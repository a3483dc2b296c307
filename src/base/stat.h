/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

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

/* Least squares of y over x, fed one by one. */
struct stat_slope {
    double n, mean_x, mean_y, sxx, sxy, syy;
};

void stat_slope_add(struct stat_slope *s, double x, double y);
/* Slope of the line; 0 with fewer than two points. */
double stat_slope(const struct stat_slope *s);
