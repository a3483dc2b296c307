/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/stamp_delay.h"

static int64_t stamp_round_trip(struct stamp_delay_sample s)
{
    return s.forward_ns + s.backward_ns;
}

/* How far the reflector's clock is ahead of ours, were both ways of this round trip equal. */
static int64_t stamp_offset(struct stamp_delay_sample s)
{
    return (s.forward_ns - s.backward_ns) / 2;
}

static void stamp_hist(struct hist *h, int64_t ns) { hist_add(h, ns > 0 ? (uint64_t)ns : 0); }

static void stamp_count(struct stamp_delay *d, struct stamp_delay_sample s)
{
    stamp_hist(&d->forward, s.forward_ns - d->base_ns + d->bias_ns);
    stamp_hist(&d->backward, s.backward_ns + d->base_ns + d->bias_ns);
}

/* The first samples decide on what the histograms are based. */
static void stamp_settle(struct stamp_delay *d)
{
    d->ready = true;
    d->one_clock = d->maybe_one_clock;
    for (uint32_t i = 0; i < d->n_first; i++)
        if (d->first[i].forward_ns < 0 || d->first[i].backward_ns < 0)
            d->one_clock = false;
    if (!d->one_clock) {
        int64_t rtt = stamp_round_trip(d->best);

        d->base_ns = stamp_offset(d->best);
        /* Room below for what is faster than the best so far. */
        d->bias_ns = rtt > 0 ? rtt / 2 : 0;
    }
    for (uint32_t i = 0; i < d->n_first; i++)
        stamp_count(d, d->first[i]);
}

void stamp_delay_add(struct stamp_delay *d, struct stamp_delay_sample s)
{
    bool is_first = d->n_first == 0;

    if (is_first || stamp_round_trip(s) < stamp_round_trip(d->best))
        d->best = s;
    if (is_first || s.forward_ns < d->forward_min_ns)
        d->forward_min_ns = s.forward_ns;
    if (is_first || s.forward_ns > d->forward_max_ns)
        d->forward_max_ns = s.forward_ns;
    if (is_first || s.backward_ns < d->backward_min_ns)
        d->backward_min_ns = s.backward_ns;
    if (is_first || s.backward_ns > d->backward_max_ns)
        d->backward_max_ns = s.backward_ns;
    if (d->ready) {
        stamp_count(d, s);
        return;
    }
    d->first[d->n_first++] = s;
    if (d->n_first == STAMP_DELAY_FIRST)
        stamp_settle(d);
}

static double stamp_percentile(const struct hist *h, double share, double shift,
                               const struct stamp_delay_way *way)
{
    double ns = (double)hist_percentile(h, share) + shift;

    return ns < way->min_ns ? way->min_ns : ns > way->max_ns ? way->max_ns : ns;
}

bool stamp_delay_end(struct stamp_delay *d, struct stamp_delay_way *ret_forward,
                     struct stamp_delay_way *ret_backward, double *ret_error_ns)
{
    int64_t rtt = stamp_round_trip(d->best), offset;
    struct stamp_delay_way forward, backward;
    double ahead;

    if (d->n_first == 0)
        return false;
    if (!d->ready)
        stamp_settle(d);
    offset = d->one_clock ? 0 : stamp_offset(d->best);
    forward.min_ns = (double)(d->forward_min_ns - offset);
    forward.max_ns = (double)(d->forward_max_ns - offset);
    backward.min_ns = (double)(d->backward_min_ns + offset);
    backward.max_ns = (double)(d->backward_max_ns + offset);
    ahead = (double)(offset - d->base_ns);
    forward.p50_ns = stamp_percentile(&d->forward, 0.5, -(double)d->bias_ns - ahead, &forward);
    forward.p99_ns = stamp_percentile(&d->forward, 0.99, -(double)d->bias_ns - ahead, &forward);
    backward.p50_ns = stamp_percentile(&d->backward, 0.5, -(double)d->bias_ns + ahead, &backward);
    backward.p99_ns = stamp_percentile(&d->backward, 0.99, -(double)d->bias_ns + ahead, &backward);
    *ret_forward = forward;
    *ret_backward = backward;
    *ret_error_ns = d->one_clock || rtt < 0 ? 0 : (double)rtt / 2;
    return true;
}
