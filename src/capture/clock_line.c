/* SPDX-License-Identifier: Apache-2.0 */
#include "capture/clock_line.h"

#include <errno.h>
#include <math.h>

/* Samples of one way, less an origin: differences fit a double to the ns. */
struct hull {
    const struct clock_sample *all;
    size_t n;
    uint64_t x0;
    int64_t y0;
};

static double hull_x(const struct hull *h, size_t i)
{
    return (double)(int64_t)(h->all[i].x_ns - h->x0);
}

static double hull_y(const struct hull *h, size_t i)
{
    return (double)(int64_t)((uint64_t)h->all[i].y_ns - (uint64_t)h->y0);
}

/* Does the way from a over b to c turn left? Differences of long times: long double. */
static bool hull_left(const struct clock_sample *a, const struct clock_sample *b,
                      const struct clock_sample *c)
{
    long double dx = (long double)(int64_t)(b->x_ns - a->x_ns);
    long double ex = (long double)(int64_t)(c->x_ns - a->x_ns);
    long double dy = (long double)(int64_t)((uint64_t)b->y_ns - (uint64_t)a->y_ns);
    long double ey = (long double)(int64_t)((uint64_t)c->y_ns - (uint64_t)a->y_ns);

    return dx * ey - dy * ex > 0;
}

/* Only the lower (or upper) hull stays, in front; returns how many. */
static size_t hull_make(struct clock_sample *all, size_t n, bool upper)
{
    size_t m = 0;

    for (size_t i = 0; i < n; i++) {
        struct clock_sample c = all[i];

        /* Of several at one x the outermost. */
        if (m > 0 && all[m - 1].x_ns == c.x_ns) {
            if (upper ? c.y_ns <= all[m - 1].y_ns : c.y_ns >= all[m - 1].y_ns)
                continue;
            m--;
        }
        while (m >= 2 && (upper ? !hull_left(&c, &all[m - 1], &all[m - 2])
                                : !hull_left(&all[m - 2], &all[m - 1], &c)))
            m--;
        all[m++] = c;
    }
    return m;
}

/* Where a line of that slope touches the hull: least y - slope x of the lower, most of the upper. */
static double hull_touch(const struct hull *h, double slope, bool upper)
{
    double best = upper ? -INFINITY : INFINITY;

    for (size_t i = 0; i < h->n; i++) {
        double at = hull_y(h, i) - slope * hull_x(h, i);

        best = upper ? fmax(best, at) : fmin(best, at);
    }
    return best;
}

static double line_gap(const struct hull *there, const struct hull *back, double slope)
{
    return hull_touch(there, slope, false) - hull_touch(back, slope, true);
}

/* The gap is concave in the slope. */
static double line_widest(const struct hull *there, const struct hull *back, double *ret_slope)
{
    double low = -CLOCK_LINE_MAX_SKEW, high = CLOCK_LINE_MAX_SKEW;

    for (int i = 0; i < 120; i++) {
        double a = low + (high - low) / 3, b = high - (high - low) / 3;

        if (line_gap(there, back, a) < line_gap(there, back, b))
            low = a;
        else
            high = b;
    }
    *ret_slope = (low + high) / 2;
    return line_gap(there, back, *ret_slope);
}

/* The steepest (or flattest) line that still lies between: the gap falls from widest on, to 0 there. */
static double line_edge(const struct hull *there, const struct hull *back, double widest,
                        double edge)
{
    if (line_gap(there, back, edge) >= 0)
        return edge;
    for (int i = 0; i < 80; i++) {
        double middle = (widest + edge) / 2;

        if (line_gap(there, back, middle) >= 0)
            widest = middle;
        else
            edge = middle;
    }
    return widest;
}

/* The highest (or lowest) that a line between the hulls is at x: concave (convex) in its slope. */
static double line_extreme(const struct hull *there, const struct hull *back, double low,
                           double high, double x, bool lowest)
{
    const struct hull *h = lowest ? back : there;

    for (int i = 0; i < 120; i++) {
        double a = low + (high - low) / 3, b = high - (high - low) / 3;
        double at_a = hull_touch(h, a, lowest) + a * x, at_b = hull_touch(h, b, lowest) + b * x;

        if (lowest ? at_a > at_b : at_a < at_b)
            low = a;
        else
            high = b;
    }
    return hull_touch(h, (low + high) / 2, lowest) + (low + high) / 2 * x;
}

/*
 * How far the true line may be from ours: it too lies between the hulls, and between two straight lines the distance is largest
 * at one of the ends.
 */
static double line_bound(const struct hull *there, const struct hull *back, double slope, double at)
{
    double low = line_edge(there, back, slope, -CLOCK_LINE_MAX_SKEW),
           high = line_edge(there, back, slope, CLOCK_LINE_MAX_SKEW);
    double ends[2] = {fmin(hull_x(there, 0), hull_x(back, 0)),
                      fmax(hull_x(there, there->n - 1), hull_x(back, back->n - 1))};
    double bound = 0;

    for (int i = 0; i < 2; i++) {
        double ours = at + slope * ends[i];

        bound = fmax(bound, line_extreme(there, back, low, high, ends[i], false) - ours);
        bound = fmax(bound, ours - line_extreme(there, back, low, high, ends[i], true));
    }
    return bound;
}

/*
 * One way only: the edge of the hull over the middle of its time is the line below all samples that is nearest to them.
 */
static void line_one_way(const struct hull *h, bool upper, struct clock_line *line)
{
    double middle = hull_x(h, 0) / 2 + hull_x(h, h->n - 1) / 2;
    size_t i = 0;

    while (i + 2 < h->n && hull_x(h, i + 1) < middle)
        i++;
    line->skew =
        h->n < 2 ? 0 : (hull_y(h, i + 1) - hull_y(h, i)) / (hull_x(h, i + 1) - hull_x(h, i));
    line->offset_ns =
        (int64_t)((uint64_t)h->y0 + (uint64_t)(int64_t)llround(hull_touch(h, line->skew, upper)));
    line->bound_ns = UINT64_MAX;
}

static size_t samples_until(const struct clock_sample *all, size_t n, uint64_t x_ns)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;

        if (all[middle].x_ns <= x_ns)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

/* The hulls cross: the earliest time up to which there is no line between them. */
static uint64_t line_step(const struct hull *there, const struct hull *back)
{
    uint64_t low = 0, high = UINT64_MAX, x0 = there->x0;

    high = there->all[there->n - 1].x_ns - x0;
    if (back->all[back->n - 1].x_ns - x0 > high)
        high = back->all[back->n - 1].x_ns - x0;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct hull a = *there, b = *back;
        double slope;

        a.n = samples_until(a.all, a.n, x0 + middle);
        b.n = samples_until(b.all, b.n, x0 + middle);
        if (a.n && b.n && line_widest(&a, &b, &slope) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return x0 + low;
}

int clock_line_fit(struct clock_sample *there, size_t n_there, struct clock_sample *back,
                   size_t n_back, struct clock_line *ret_line)
{
    struct hull a = {there, 0, 0, 0}, b = {back, 0, 0, 0};
    struct clock_line line = {0};
    double gap, touch;

    if (n_there == 0 && n_back == 0)
        return -ENODATA;
    a.n = hull_make(there, n_there, false);
    b.n = hull_make(back, n_back, true);
    a.x0 = n_there ? there[0].x_ns : back[0].x_ns;
    if (n_back && back[0].x_ns < a.x0)
        a.x0 = back[0].x_ns;
    a.y0 = n_there ? there[0].y_ns : back[0].y_ns;
    b.x0 = a.x0;
    b.y0 = a.y0;
    line.x_ns = a.x0;
    if (n_there == 0 || n_back == 0) {
        line_one_way(n_there ? &a : &b, n_there == 0, &line);
        *ret_line = line;
        return 0;
    }
    gap = line_widest(&a, &b, &line.skew);
    touch = hull_touch(&b, line.skew, true);
    line.offset_ns = (int64_t)((uint64_t)a.y0 + (uint64_t)(int64_t)llround(touch + gap / 2));
    line.crossed = gap < 0;
    line.bound_ns =
        (uint64_t)ceil(gap < 0 ? -gap / 2 : line_bound(&a, &b, line.skew, touch + gap / 2));
    if (line.crossed)
        line.step_ns = line_step(&a, &b);
    *ret_line = line;
    return 0;
}
